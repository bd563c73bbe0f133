// gemm_q8.h - the loops around the kernels for int8 activations, for any instruction set.
//
// The including file has defined X_MAX, PAIR (panels a kernel takes), CHUNK (blocks of 32 columns
// that are unpacked at once, a multiple of 8), struct weights, kernel_fn, and is followed by
// kernel_of. Rows are taken chunk by chunk through the common form; each chunk resumes the
// accumulators, so that the sums are those of one run.
#include <string.h>

#include "local/kernels/epilogue.h"

static kernel_fn kernel_of(enum dtype type, int np, int nx);

struct x_tile {
    int first, n;
    const uint8_t *act;
};

INLINE struct x_tile x_tile_of(const struct gemm *g, enum act_form form, int i)
{
    struct x_tile x = {.first = act_tile_first(g->n_x, g->n_tiles, i)};
    x.n = act_tile_first(g->n_x, g->n_tiles, i + 1) - x.first;
    x.act = g->act + (size_t)x.first * act_row_bytes(form, g->cols);
    return x;
}

static void gemm_unpacked(const struct gemm *g, int first, int n, void *scratch)
{
    enum act_form form = act_form_of(g->dtype);
    int per_block = (form == ACT_Q8_HALF_MIN)                     ? 4
                    : (form == ACT_Q8_HALF || form == ACT_Q8_MIN) ? 2
                                                                  : 1;
    int n_blocks = g->cols / 32, file_blocks = panel_blocks(g->dtype, g->cols);
    uint8_t *q = scratch;
    float *s = (float *)(void *)(q + PAIR * CHUNK * Q_BLOCK);
    float *acc = s + PAIR * CHUNK * 4 * PANEL_ROWS;
    size_t s_panel = (size_t)(CHUNK * per_block * PANEL_ROWS);
    struct weights w = {.q = {q, q + CHUNK * Q_BLOCK}, .s = {s, s + s_panel}};
    for (int p = first; p < first + n; p += PAIR) {
        int np = first + n - p < PAIR ? first + n - p : PAIR;
        memset(acc, 0, (size_t)g->n_x * PAIR * PANEL_ROWS * sizeof(float));
        for (int from = 0; from < n_blocks; from += CHUNK) {
            int some = n_blocks - from < CHUNK ? n_blocks - from : CHUNK;
            for (int j = 0; j < np; j++)
                unpackers[g->dtype](q + j * CHUNK * Q_BLOCK, s + (size_t)j * s_panel,
                                    g->panels + (size_t)(p + j) * g->panel_bytes, file_blocks, from,
                                    some);
            for (int i = 0; i < g->n_tiles; i++) {
                struct x_tile x = x_tile_of(g, form, i);
                kernel_of(g->dtype, np, x.n)(acc + (size_t)x.first * PAIR * PANEL_ROWS, &w, x.act,
                                             from, some);
            }
        }
        for (int i = 0; i < g->n_tiles; i++) {
            struct x_tile x = x_tile_of(g, form, i);
            store_sums(g, p, np, x.first, x.n, acc + (size_t)x.first * PAIR * PANEL_ROWS);
        }
    }
}
