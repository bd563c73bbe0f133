#include "local/quantize/feedback.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/thread_pool.h"
#include "local/quantize/fit.h"
#include "local/quantize/quantize.h"

enum { SWEEPS = 8 };  // at most, over a rounded row; after three hardly a value changes

struct feedback {
    size_t n;
    float *pull;  // [n, n]; row j, i < j: how much column j moves for an error of one in column i
    float *h;     // [n, n]: H with the doubt, both halves
    float *diagonal;  // [n] of h: how much an error in each column counts by itself
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

static float *damped(const float *products, size_t n, double doubt)
{
    double mean = 0;
    for (size_t i = 0; i < n; i++)
        mean += (double)products[i * n + i] / (double)n;
    double more = mean > 0 ? mean * doubt : 1;
    float *h = memory_array(float, n *n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k <= i; k++)
            h[i * n + k] = h[k * n + i] =
                (float)((double)products[i * n + k] + (i == k ? more : 0));
    return h;
}

static double *reversed(const float *h, size_t n)
{
    double *l = memory_array(double, n *n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k <= i; k++)  // (i, k) of H lands at (n-1-k, n-1-i): still lower
            l[(n - 1 - k) * n + (n - 1 - i)] = (double)h[i * n + k];
    return l;
}

struct feedback *feedback_new(const float *products, size_t n, double doubt,
                              struct thread_pool *pool)
{
    assert(n > 0 && n <= FEEDBACK_COLS_MAX);
    float *h = damped(products, n, doubt);
    struct factor l = {.n = n, .l = reversed(h, n)};
    struct feedback *f = NULL;
    if (factorize(&l, pool)) {
        f = memory_array(struct feedback, 1);
        f->n = n;
        f->h = h;
        f->pull = memory_array(float, n *n);
        f->diagonal = memory_array(float, n);
        for (size_t j = 0; j < n; j++) {
            // R[i][j] = l[n-1-i][n-1-j]
            double diagonal = l.l[(n - 1 - j) * n + (n - 1 - j)];
            f->diagonal[j] = h[j * n + j];
            for (size_t i = 0; i < j; i++)
                f->pull[j * n + i] = (float)(l.l[(n - 1 - i) * n + (n - 1 - j)] / diagonal);
        }
    }
    if (!f)
        free(h);
    free(l.l);
    return f;
}

void feedback_free(struct feedback *f)
{
    if (!f)
        return;
    free(f->pull);
    free(f->h);
    free(f->diagonal);
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
                        const float *weights, size_t from, float *errors, struct block *b)
{
    size_t len = (size_t)format->block_len;
    float moved[BLOCK_MAX];
    for (size_t j = 0; j < len; j++)
        moved[j] = row[from + j] - dot_floats(f->pull + (from + j) * f->n, errors, from);
    fit_block_best()(format, moved, weights, true, b);
    for (size_t j = 0; j < len; j++) {
        float value,
            x = moved[j] - dot_floats(f->pull + (from + j) * f->n + from, errors + from, j);
        b->code[j] = fit_code(format, b, (int)j / format->group_len, x, &value);
        errors[from + j] = value - row[from + j];
    }
}

static void add_scaled(float *to, const float *x, float scale, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += scale * x[i];
}

// slope [n_rows, n] = errors [n_rows, n] H: half of how much the loss grows with each value.
static float *slopes_of(const struct feedback *f, const float *errors, size_t n_rows)
{
    size_t n = f->n;
    float *slopes = memory_array(float, n_rows *n);
    for (size_t i = 0; i < n; i++)  // rows inside: H is read once
        for (size_t r = 0; r < n_rows; r++)
            add_scaled(slopes + r * n, f->h + i * n, errors[r * n + i], n);
    return slopes;
}

// Every value of a rounded row once more, when all others are known: the level at which the loss
// is least. True if any changed.
static bool sweep_row(const struct feedback *f, const struct format *const *formats,
                      const float *row, float *errors, float *slope, struct block *blocks)
{
    bool changed = false;
    size_t len = (size_t)formats[0]->block_len;
    for (size_t i = 0; i < f->n; i++) {
        size_t j = i % len;
        const struct format *format = formats[i / len];
        struct block *b = &blocks[i / len];
        float now = row[i] + errors[i], value;
        uint8_t code = fit_code(format, b, (int)j / format->group_len,
                                now - slope[i] / f->h[i * f->n + i], &value);
        if (code == b->code[j])
            continue;
        b->code[j] = code;
        add_scaled(slope, f->h + i * f->n, value - now, f->n);
        errors[i] = value - row[i];
        changed = true;
    }
    return changed;
}

static void pack_row(const struct format *const *formats, size_t block_bytes,
                     const struct block *blocks, size_t n_blocks, unsigned char *out)
{
    for (size_t i = 0; i < n_blocks; i++)
        format_pack(formats[i], &blocks[i], out + i * block_bytes);
}

bool feedback_rows(const struct feedback *f, enum dtype type, const float *rows, size_t n_rows,
                   void *out, size_t *bad_row, struct error *err)
{
    size_t len = (size_t)dtype_info(type)->block_len, bytes = (size_t)dtype_info(type)->block_bytes;
    size_t n = f->n, n_blocks = n / len;
    for (size_t r = 0; r < n_rows; r++) {
        *bad_row = r;
        if (!quantize_check(type, rows + r * n, n, err))
            return false;
    }
    float *errors = memory_array(float, n_rows *n), weights[BLOCK_MAX];
    struct block *blocks = memory_array(struct block, n_rows * n_blocks);
    const struct format **formats = memory_array(const struct format *, n_rows *n_blocks);
    // Blocks outside, rows inside: the block's part of `pull` stays in the cache.
    for (size_t from = 0; from < n; from += len) {
        quantize_weights(f->diagonal + from, len, weights);
        for (size_t r = 0; r < n_rows; r++) {
            size_t i = r * n_blocks + from / len;
            formats[i] = format_for(type, rows + r * n + from);
            round_block(f, formats[i], rows + r * n, weights, from, errors + r * n, &blocks[i]);
        }
    }
    float *slopes = slopes_of(f, errors, n_rows);
    for (size_t r = 0; r < n_rows; r++) {
        struct block *of_row = blocks + r * n_blocks;
        const struct format *const *formats_of_row = formats + r * n_blocks;
        for (int i = 0; i < SWEEPS; i++)
            if (!sweep_row(f, formats_of_row, rows + r * n, errors + r * n, slopes + r * n, of_row))
                break;
        pack_row(formats_of_row, bytes, of_row, n_blocks,
                 (unsigned char *)out + r * n_blocks * bytes);
    }
    free(slopes);
    free(formats);
    free(blocks);
    free(errors);
    return true;
}
