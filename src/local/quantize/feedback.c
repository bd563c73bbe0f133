#include "local/quantize/feedback.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/thread_pool.h"
#include "local/quantize/fit.h"
#include "local/quantize/quantize.h"
#include "local/quantize/round.h"

// Share of H's mean diagonal that is added to it: a text is a sample, and what it says of
// correlations is not all to be believed.
static const double damping = 0.02;

struct feedback {
    size_t n;
    float *pull;  // [n, n]; row j, i < j: how much column j moves for an error of one in column i
};

// Cholesky's factor of H with its rows and columns in reverse order, lower triangular, in place.
struct factor {
    size_t n, column;
    double *l;  // [n, n]
};

static double dot_doubles(const double *a, const double *b, size_t n)
{
    double sum[4] = {0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t k = 0; k < 4; k++)
            sum[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        sum[0] += a[i] * b[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

enum { ROWS_OF_ITEM = 32 };

static void factor_rows(void *self, int item, int worker)
{
    (void)worker;
    struct factor *f = self;
    size_t b = f->column, from = b + 1 + (size_t)item * ROWS_OF_ITEM, to = from + ROWS_OF_ITEM;
    const double *pivot = f->l + b * f->n;
    for (size_t a = from; a < to && a < f->n; a++) {
        double *row = f->l + a * f->n;
        row[b] = (row[b] - dot_doubles(row, pivot, b)) / pivot[b];
    }
}

static bool factorize(struct factor *f, struct thread_pool *pool)
{
    for (size_t b = 0; b < f->n; b++) {
        double *row = f->l + b * f->n, square = row[b] - dot_doubles(row, row, b);
        if (!(square > 0) || !isfinite(square))
            return false;
        row[b] = sqrt(square);
        f->column = b;
        size_t n_items = (f->n - b - 1 + ROWS_OF_ITEM - 1) / ROWS_OF_ITEM;
        thread_pool_run(pool, factor_rows, f, (int)n_items);
    }
    return true;
}

static double *reversed(const float *products, size_t n)
{
    double *h = memory_array(double, n *n), mean = 0;
    for (size_t i = 0; i < n; i++)
        mean += (double)products[i * n + i] / (double)n;
    double more = mean > 0 ? mean * damping : 1;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k <= i; k++)  // (i, k) of H lands at (n-1-k, n-1-i): still lower
            h[(n - 1 - k) * n + (n - 1 - i)] = (double)products[i * n + k] + (i == k ? more : 0);
    return h;
}

struct feedback *feedback_new(const float *products, size_t n, struct thread_pool *pool)
{
    assert(n > 0 && n <= FEEDBACK_COLS_MAX);
    struct factor l = {.n = n, .l = reversed(products, n)};
    struct feedback *f = NULL;
    if (factorize(&l, pool)) {
        f = memory_array(struct feedback, 1);
        f->n = n;
        f->pull = memory_array(float, n *n);
        for (size_t j = 0; j < n; j++) {
            // R[i][j] = l[n-1-i][n-1-j]
            double diagonal = l.l[(n - 1 - j) * n + (n - 1 - j)];
            for (size_t i = 0; i < j; i++)
                f->pull[j * n + i] = (float)(l.l[(n - 1 - i) * n + (n - 1 - j)] / diagonal);
        }
    }
    free(l.l);
    return f;
}

void feedback_free(struct feedback *f)
{
    if (!f)
        return;
    free(f->pull);
    free(f);
}

bool feedback_can(enum dtype type)
{
    return format_of(type) != NULL;
}

static float dot_floats(const float *a, const float *b, size_t n)
{
    float sum[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t k = 0; k < 8; k++)
            sum[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        sum[0] += a[i] * b[i];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

// One block of one row: scales for the values as errors before the block have moved them, then
// codes one by one. errors [from + block] of the row so far; those of the block are added.
static void round_block(const struct feedback *f, const struct format *format, const float *row,
                        const float *weights, size_t from, float *errors, unsigned char *out)
{
    size_t len = (size_t)format->block_len;
    float moved[BLOCK_MAX];
    struct block b;
    for (size_t j = 0; j < len; j++)
        moved[j] = row[from + j] - dot_floats(f->pull + (from + j) * f->n, errors, from);
    fit_block(format, moved, weights, &b);
    for (size_t j = 0; j < len; j++) {
        float value,
            x = moved[j] - dot_floats(f->pull + (from + j) * f->n + from, errors + from, j);
        b.code[j] = fit_code(format, &b, (int)j / format->group_len, x, &value);
        errors[from + j] = value - row[from + j];
    }
    format->pack(&b, out);
}

bool feedback_rows(const struct feedback *f, enum dtype type, float *rows, size_t n_rows,
                   const float *importance, void *out, size_t *bad_row, struct error *err)
{
    const struct format *format = format_of(type);
    size_t len = (size_t)format->block_len, bytes = (size_t)dtype_info(type)->block_bytes;
    size_t n = f->n, row_bytes = n / len * bytes;
    float *errors = memory_array(float, n_rows *n), weights[BLOCK_MAX];
    bool ok = true;
    for (size_t r = 0; ok && r < n_rows; r++) {
        *bad_row = r;
        ok = quantize_check(type, rows + r * n, n, err);
    }
    // Blocks outside, rows inside: the block's part of `pull` stays in the cache.
    for (size_t from = 0; ok && from < n; from += len) {
        quantize_weights(importance ? importance + from : NULL, len, weights);
        for (size_t r = 0; r < n_rows; r++)
            round_block(f, format, rows + r * n, weights, from, errors + r * n,
                        (unsigned char *)out + r * row_bytes + from / len * bytes);
    }
    free(errors);
    return ok;
}
