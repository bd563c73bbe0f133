#include "local/quantize/feedback.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "local/quantize/cholesky.h"
#include "local/quantize/fit.h"
#include "local/quantize/linear.h"
#include "local/quantize/quantize.h"
#include "local/quantize/triangle.h"

enum { SWEEPS = 8 };  // at most, over a rounded row; after three hardly a value changes

struct feedback {
    size_t n;
    const struct linear *linear;
    const float *h;   // [n, n]: H without the doubt; the caller's
    float doubt;      // what is added to its diagonal
    float *pull;      // a triangle: row j, i < j: how much column j moves for an error of one in i
    float *diagonal;  // [n] of H with the doubt: how much an error in each column counts by itself
};

static float doubt_of(const float *h, size_t n, double share)
{
    double mean = 0;
    for (size_t i = 0; i < n; i++)
        mean += (double)h[i * n + i] / (double)n;
    return (float)(mean > 0 ? mean * share : 1);
}

// H with its rows and columns in reverse order: the lower triangle of it.
static double *reversed(const struct feedback *f)
{
    size_t n = f->n;
    double *l = memory_array(double, triangle_row(n));
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)  // (i, k) of H lands at (n-1-k, n-1-i): still lower
            l[triangle_row(n - 1 - k) + (n - 1 - i)] = (double)f->h[i * n + k];
        l[triangle_row(n - 1 - i) + (n - 1 - i)] = (double)f->diagonal[i];
    }
    return l;
}

struct feedback *feedback_new(const float *h, size_t n, double doubt, struct thread_pool *pool)
{
    assert(n > 0 && n <= FEEDBACK_COLS_MAX);
    struct feedback *f = memory_array(struct feedback, 1);
    *f = (struct feedback){n, linear_best(), h, doubt_of(h, n, doubt), NULL, NULL};
    f->diagonal = memory_array(float, n);
    for (size_t i = 0; i < n; i++)
        f->diagonal[i] = h[i * n + i] + f->doubt;
    double *l = reversed(f);
    if (cholesky(l, n, pool)) {
        f->pull = memory_array(float, triangle_row(n));
        // R[i][j] = l[n-1-i][n-1-j]; the factor is read row by row.
        for (size_t i = 0; i < n; i++) {
            const double *row = l + triangle_row(n - 1 - i);
            for (size_t j = i + 1; j < n; j++) {
                double diagonal = l[triangle_row(n - 1 - j) + (n - 1 - j)];
                f->pull[triangle_row(j) + i] = (float)(row[n - 1 - j] / diagonal);
            }
        }
    } else {
        feedback_free(f);
        f = NULL;
    }
    free(l);
    return f;
}

void feedback_free(struct feedback *f)
{
    if (!f)
        return;
    free(f->pull);
    free(f->diagonal);
    free(f);
}

bool feedback_can(enum dtype type)
{
    return format_of(type) != NULL;
}

// Rows under way.
struct rounding {
    const struct feedback *f;
    const float *rows;  // [n_rows, n]
    size_t n_rows, n, len, n_blocks;
    const struct format **formats;  // [n_rows, n_blocks]
    struct block *blocks;           // [n_rows, n_blocks]
    float *errors, *slopes;         // [n_rows, n]
    float *moved;                   // [n_rows, len] values of the block under way
    bool *changes;                  // [n_rows] whether the last sweep changed something
};

static void rounding_init(struct rounding *r, const struct feedback *f, enum dtype type,
                          const float *rows, size_t n_rows)
{
    size_t len = (size_t)dtype_info(type)->block_len, n = f->n;
    *r = (struct rounding){
        .f = f, .rows = rows, .n_rows = n_rows, .n = n, .len = len, .n_blocks = n / len};
    r->formats = memory_array(const struct format *, n_rows * r->n_blocks);
    r->blocks = memory_array(struct block, n_rows * r->n_blocks);
    r->errors = memory_array(float, n_rows *n);
    r->slopes = memory_array(float, n_rows *n);
    r->moved = memory_array(float, n_rows *len);
    r->changes = memory_array(bool, n_rows);
    for (size_t i = 0; i < n_rows * r->n_blocks; i++)
        r->formats[i] = format_for(type, rows + i * len);
}

static void rounding_free(struct rounding *r)
{
    free(r->formats);
    free(r->blocks);
    free(r->errors);
    free(r->slopes);
    free(r->moved);
    free(r->changes);
}

// One block of one row: scales for the values as errors before the block have moved them, then
// codes one by one.
static void round_block(struct rounding *r, size_t i, size_t from, const float *weights)
{
    const struct feedback *f = r->f;
    size_t at = i * r->n_blocks + from / r->len;
    const struct format *format = r->formats[at];
    struct block *b = &r->blocks[at];
    const float *row = r->rows + i * r->n + from, *moved = r->moved + i * r->len;
    float *errors = r->errors + i * r->n + from;
    fit_block_best()(format, moved, weights, true, b);
    for (size_t j = 0; j < r->len; j++) {
        const float *pull = f->pull + triangle_row(from + j) + from;
        float value, x = moved[j] - f->linear->dot(pull, errors, j);
        b->code[j] = fit_code(format, b, (int)j / format->group_len, x, &value);
        errors[j] = value - row[j];
    }
}

// Blocks outside, rows inside: the block's part of `pull` is read once for all of them.
static void round_blocks(struct rounding *r)
{
    float weights[BLOCK_MAX];
    const float *pull[BLOCK_MAX];
    for (size_t from = 0; from < r->n; from += r->len) {
        quantize_weights(r->f->diagonal + from, r->len, weights);
        for (size_t j = 0; j < r->len; j++)
            pull[j] = r->f->pull + triangle_row(from + j);
        r->f->linear->dots(r->moved, r->len, r->errors, r->n, r->n_rows, pull, r->len, from);
        for (size_t i = 0; i < r->n_rows; i++) {
            for (size_t j = 0; j < r->len; j++)
                r->moved[i * r->len + j] = r->rows[i * r->n + from + j] - r->moved[i * r->len + j];
            round_block(r, i, from, weights);
        }
    }
}

// slopes = errors H: half of how much the loss grows with each value.
static void find_slopes(struct rounding *r)
{
    enum {
        ROWS = 4,
        COLS = 1024
    };  // of H at once: the slopes of so many columns stay in the cache
    size_t n = r->n;
    for (size_t c = 0; c < n; c += COLS)
        for (size_t k = 0; k < n; k += ROWS)
            for (size_t i = 0; i < r->n_rows; i++)
                r->f->linear->add_rows(r->slopes + i * n + c, r->f->h + k * n + c, n,
                                       r->errors + i * n + k, n - k < ROWS ? n - k : ROWS,
                                       n - c < COLS ? n - c : COLS);
    for (size_t i = 0; i < r->n_rows * n; i++)
        r->slopes[i] += r->f->doubt * r->errors[i];
}

// A value of a rounded row once more, all others being known: the level at which the loss is least.
static void round_again(struct rounding *r, size_t i, size_t column)
{
    const struct feedback *f = r->f;
    size_t at = i * r->n_blocks + column / r->len, j = column % r->len;
    const struct format *format = r->formats[at];
    struct block *b = &r->blocks[at];
    float *error = r->errors + i * r->n + column, *slopes = r->slopes + i * r->n;
    float value, row = r->rows[i * r->n + column], now = row + *error;
    uint8_t code = fit_code(format, b, (int)j / format->group_len,
                            now - slopes[column] / f->diagonal[column], &value);
    if (code == b->code[j])
        return;
    float by = value - now;
    f->linear->add_rows(slopes, f->h + column * r->n, r->n, &by, 1, r->n);
    slopes[column] += f->doubt * by;
    b->code[j] = code;
    *error = value - row;
    r->changes[i] = true;
}

// Columns outside, rows inside: H is read once for all rows.
static void sweep(struct rounding *r)
{
    bool any = true, *active = memory_array(bool, r->n_rows);
    memset(r->changes, true, r->n_rows);
    for (int times = 0; times < SWEEPS && any; times++) {
        any = false;
        memcpy(active, r->changes, r->n_rows);
        memset(r->changes, false, r->n_rows);
        for (size_t c = 0; c < r->n; c++)
            for (size_t i = 0; i < r->n_rows; i++)
                if (active[i])
                    round_again(r, i, c);
        for (size_t i = 0; i < r->n_rows; i++)
            any = any || r->changes[i];
    }
    free(active);
}

bool feedback_rows(const struct feedback *f, enum dtype type, const float *rows, size_t n_rows,
                   void *out, size_t *bad_row, struct error *err)
{
    size_t bytes = (size_t)dtype_info(type)->block_bytes;
    for (size_t i = 0; i < n_rows; i++) {
        *bad_row = i;
        if (!quantize_check(type, rows + i * f->n, f->n, err))
            return false;
    }
    struct rounding r;
    rounding_init(&r, f, type, rows, n_rows);
    round_blocks(&r);
    find_slopes(&r);
    sweep(&r);
    for (size_t i = 0; i < n_rows * r.n_blocks; i++)
        format_pack(r.formats[i], &r.blocks[i], (unsigned char *)out + i * bytes);
    rounding_free(&r);
    return true;
}
