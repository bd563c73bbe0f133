// cpu_weight.c - weights: packed into panels for matmul, read in place for embedding.
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "local/backend/cpu.h"

static bool check(const struct weight_source *s, struct error *err)
{
    const struct dtype_info *info = dtype_info(s->dtype);
    if (s->rows < 1 || s->cols < 1 || s->rows > INT_MAX - PANEL_ROWS || s->cols > INT_MAX / 64)
        return error_set(err, ERR_UNSUPPORTED, "a weight of %lld x %lld", (long long)s->rows,
                         (long long)s->cols);
    if (s->cols % info->block_len != 0)
        return error_set(err, ERR_UNSUPPORTED,
                         "rows of %lld are no whole number of %s blocks (of %d)",
                         (long long)s->cols, info->name, info->block_len);
    if (s->transposed && info->block_len != 1)
        return error_set(err, ERR_UNSUPPORTED, "%s cannot be transposed", info->name);
    return true;
}

struct pack_run {
    struct weight *w;
    const struct weight_source *s;
    size_t row_bytes;
    int panels_per_item;
};

static void pack_some(void *self, int item, int worker)
{
    const struct pack_run *run = self;
    const struct weight *w = run->w;
    (void)worker;
    int last = (item + 1) * run->panels_per_item;
    for (int p = item * run->panels_per_item; p < last && p < w->n_panels; p++) {
        int row = p * PANEL_ROWS;
        int n = w->rows - row < PANEL_ROWS ? w->rows - row : PANEL_ROWS;
        uint8_t *panel = w->own + (size_t)p * w->panel_bytes;
        const uint8_t *data = run->s->data;
        size_t unit = (size_t)dtype_info(w->dtype)->block_bytes;
        if (run->s->transposed)
            panel_pack_transposed(w->dtype, panel, data + (size_t)row * unit,
                                  (size_t)w->rows * unit, n, w->cols);
        else
            panel_pack(w->dtype, panel, data + (size_t)row * run->row_bytes, run->row_bytes, n,
                       w->cols);
    }
}

// Columns of a transposed table become rows of our own.
static void copy_transposed(struct weight *w, const uint8_t *data, size_t unit)
{
    for (size_t c = 0; c < (size_t)w->cols; c++)
        for (size_t r = 0; r < (size_t)w->rows; r++)
            memcpy(w->own + (r * (size_t)w->cols + c) * unit,
                   data + (c * (size_t)w->rows + r) * unit, unit);
}

struct weight *cpu_weight_new(struct backend *b, const struct weight_source *s, struct error *err)
{
    struct cpu *c = cpu_of(b);
    if (!check(s, err))
        return NULL;
    struct weight *w = memory_new(1, sizeof *w);
    const struct dtype_info *info = dtype_info(s->dtype);
    w->use = s->use;
    w->dtype = s->dtype;
    w->rows = (int)s->rows;
    w->cols = (int)s->cols;
    w->data = s->data;
    if (s->use == WEIGHT_EMBED && !s->transposed)
        return w;
    size_t row_bytes = (size_t)(s->cols / info->block_len) * (size_t)info->block_bytes;
    w->n_panels = (w->rows + PANEL_ROWS - 1) / PANEL_ROWS;
    w->panel_bytes = row_bytes * PANEL_ROWS;
    // A panel kernel may prefetch, but never reads, past the last panel.
    w->own_bytes = w->use == WEIGHT_MATMUL ? w->panel_bytes * (size_t)w->n_panels
                                           : row_bytes * (size_t)w->rows;
    w->own = memory_big_new(w->own_bytes);
    if (!w->own) {
        error_set(err, ERR_MEMORY, "no memory for a weight of %zu bytes", w->own_bytes);
        free(w);
        return NULL;
    }
    if (w->use != WEIGHT_MATMUL) {
        if (s->transposed)
            copy_transposed(w, s->data, (size_t)info->block_bytes);
        else
            memcpy(w->own, s->data, w->own_bytes);
        w->data = w->own;
        return w;
    }
    if (w->cols > c->max_cols)
        c->max_cols = w->cols;
    struct pack_run run = {w, s, row_bytes, 8};
    cpu_run(c, pack_some, &run, (w->n_panels + 7) / 8);
    w->data = NULL;
    return w;
}

void cpu_weight_free(struct backend *b, struct weight *w)
{
    (void)b;
    if (!w)
        return;
    memory_big_free(w->own, w->own_bytes);
    free(w);
}

size_t cpu_weight_bytes(const struct weight *w)
{
    return w->own_bytes;
}

struct embed_run {
    float *x;
    const struct weight *table;
    const int32_t *ids;
    float scale;
};

static void embed_some(void *self, int first, int n)
{
    const struct embed_run *run = self;
    const struct weight *w = run->table;
    const struct dtype_info *info = dtype_info(w->dtype);
    size_t row_bytes = (size_t)(w->cols / info->block_len) * (size_t)info->block_bytes;
    for (int r = first; r < first + n; r++) {
        float *x = run->x + (size_t)r * (size_t)w->cols;
        int32_t id = run->ids[r];
        if (id < 0 || id >= w->rows) {  // no such token: NaN, which ends its sequence only
            for (int i = 0; i < w->cols; i++)
                x[i] = __builtin_nanf("");
            continue;
        }
        dtype_to_f32(w->dtype, w->data + (size_t)id * row_bytes, x, (size_t)w->cols);
        if (run->scale != 1.0f)
            for (int i = 0; i < w->cols; i++)
                x[i] *= run->scale;
    }
}

void cpu_embed(struct backend *b, float *x, const struct weight *table, const int32_t *ids,
               int n_rows, float scale)
{
    struct cpu *c = cpu_of(b);
    double start = clock_s();
    struct embed_run run = {x, table, ids ? ids : batch_token(c->batch), scale};
    cpu_run_rows(c, embed_some, &run, n_rows, (size_t)table->cols);
    c->stats.other_s += clock_s() - start;
}
