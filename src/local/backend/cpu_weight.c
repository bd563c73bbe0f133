// cpu_weight.c - weights: packed into panels for matmul, read in place for embedding.
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/thread_pool.h"
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
    const struct weight_source *s;
    int64_t first, n;  // rows
    size_t row_bytes;
    uint8_t *out;
};

enum { PANELS_PER_ITEM = 8 };

static void pack_some(void *self, int item, int worker)
{
    const struct pack_run *run = self;
    const struct weight_source *s = run->s;
    const uint8_t *data = s->data;
    int cols = (int)s->cols;
    size_t unit = (size_t)dtype_info(s->dtype)->block_bytes;
    (void)worker;
    for (int64_t p = (int64_t)item * PANELS_PER_ITEM;
         p < ((int64_t)item + 1) * PANELS_PER_ITEM && p * PANEL_ROWS < run->n; p++) {
        int64_t left = run->n - p * PANEL_ROWS, row = run->first + p * PANEL_ROWS;
        int n = left < PANEL_ROWS ? (int)left : PANEL_ROWS;
        uint8_t *panel = run->out + (size_t)p * run->row_bytes * PANEL_ROWS;
        if (s->transposed)
            panel_pack_transposed(s->dtype, panel, data + (size_t)row * unit,
                                  (size_t)s->rows * unit, n, cols);
        else
            panel_pack(s->dtype, panel, data + (size_t)row * run->row_bytes, run->row_bytes, n,
                       cols);
    }
}

static size_t row_bytes_of(const struct weight_source *s)
{
    const struct dtype_info *info = dtype_info(s->dtype);
    return (size_t)(s->cols / info->block_len) * (size_t)info->block_bytes;
}

void cpu_pack(struct backend *b, const struct weight_source *s, int64_t first, int64_t n, void *out)
{
    _Static_assert((int)PACK_ROWS == (int)PANEL_ROWS, "runs of rows are runs of panels");
    struct pack_run run = {s, first, n, row_bytes_of(s), out};
    enum { ROWS_PER_ITEM = PANELS_PER_ITEM * PANEL_ROWS };
    cpu_run(cpu_of(b), pack_some, &run, (int)((n + ROWS_PER_ITEM - 1) / ROWS_PER_ITEM));
}

static size_t panels_bytes(const struct weight_source *s)
{
    return row_bytes_of(s) * PANEL_ROWS * (size_t)((s->rows + PANEL_ROWS - 1) / PANEL_ROWS);
}

size_t cpu_packed_bytes(const struct backend *b, const struct weight_source *s)
{
    struct error ignored;
    (void)b;
    return s->use == WEIGHT_MATMUL && check(s, &ignored) ? panels_bytes(s) : 0;
}

// What packing makes of a pattern in every type, so that no change of the layout is forgotten. The
// pattern has groups of blocks with a rest, and a panel that is not full.
uint64_t cpu_layout(const struct backend *b)
{
    enum { ROWS = PANEL_ROWS + 3, BLOCKS = 5 };
    static const char version[] = "panels 1";
    uint64_t layout = hash_bytes(version, sizeof version, 0);
    if (thread_pool_n_nodes(((const struct cpu *)b)->pool) > 1)
        return 0;
    for (int t = 0; t < DTYPE_COUNT; t++) {
        int cols = BLOCKS * dtype_info((enum dtype)t)->block_len;
        if (!panel_layout((enum dtype)t)->fields[0].unit)
            continue;
        size_t panel = panel_bytes((enum dtype)t, cols), row = panel / PANEL_ROWS;
        uint8_t *rows = memory_new(ROWS, row), *panels = memory_new(2, panel);
        for (size_t i = 0; i < ROWS * row; i++)
            rows[i] = (uint8_t)hash_mix(i);
        panel_pack((enum dtype)t, panels, rows, row, PANEL_ROWS, cols);
        panel_pack((enum dtype)t, panels + panel, rows + PANEL_ROWS * row, row, ROWS - PANEL_ROWS,
                   cols);
        layout = hash_bytes(panels, 2 * panel, layout);
        free(rows);
        free(panels);
    }
    return layout;
}

// Columns of a transposed table become rows of our own.
static void copy_transposed(struct weight *w, const uint8_t *data, size_t unit)
{
    for (size_t c = 0; c < (size_t)w->cols; c++)
        for (size_t r = 0; r < (size_t)w->rows; r++)
            memcpy(w->own + (r * (size_t)w->cols + c) * unit,
                   data + (c * (size_t)w->rows + r) * unit, unit);
}

// Rows of our own, where the file's cannot be used.
static void copy_rows(struct weight *w, const struct weight_source *s)
{
    if (s->transposed)
        copy_transposed(w, s->data, (size_t)dtype_info(s->dtype)->block_bytes);
    else
        memcpy(w->own, s->data, w->bytes);
    w->data = w->own;
}

struct weight *cpu_weight_new(struct backend *b, const struct weight_source *s, struct error *err)
{
    struct cpu *c = cpu_of(b);
    if (!check(s, err))
        return NULL;
    struct weight *w = memory_new(1, sizeof *w);
    w->use = s->use;
    w->dtype = s->dtype;
    w->rows = (int)s->rows;
    w->cols = (int)s->cols;
    w->data = s->data;
    if (s->use == WEIGHT_EMBED && !s->transposed)
        return w;
    w->n_panels = (w->rows + PANEL_ROWS - 1) / PANEL_ROWS;
    w->panel_bytes = row_bytes_of(s) * PANEL_ROWS;
    // A panel kernel may prefetch, but never reads, past the last panel.
    bool matmul = s->use == WEIGHT_MATMUL;
    w->bytes = matmul ? panels_bytes(s) : row_bytes_of(s) * (size_t)w->rows;
    if (matmul && w->cols > c->max_cols)
        c->max_cols = w->cols;
    w->panels = matmul ? s->packed : NULL;
    if (w->panels)
        return w;
    w->own = memory_big_new(w->bytes);
    if (!w->own) {
        error_set(err, ERR_MEMORY, "no memory for a weight of %zu bytes", w->bytes);
        free(w);
        return NULL;
    }
    if (!matmul) {
        copy_rows(w, s);
        return w;
    }
    cpu_pack(b, s, 0, s->rows, w->own);
    w->panels = w->own;
    w->data = NULL;
    return w;
}

void cpu_weight_free(struct backend *b, struct weight *w)
{
    (void)b;
    if (!w)
        return;
    memory_big_free(w->own, w->bytes);
    free(w);
}

size_t cpu_weight_bytes(const struct weight *w)
{
    return w->bytes;
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
