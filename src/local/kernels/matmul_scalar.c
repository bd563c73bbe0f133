// matmul_scalar.c - the specification of every matmul kernel, in plain C.
//
// Weights are read back block by block through dtype_to_f32; activations have the same form as
// for the fast kernels (int8 with a scale per 32 for block formats), so that results differ from
// theirs by the rounding of float sums only.
#include <math.h>
#include <string.h>

#include "local/kernels/kernels.h"
#include "local/kernels/parts.h"

static void tile_f32(void *tile, const float *x, size_t x_stride, int n, int cols)
{
    float *out = tile;
    for (int c = 0; c < cols; c++)
        for (int t = 0; t < n; t++)
            *out++ = x[(size_t)t * x_stride + (size_t)c];
}

// 32 floats to int8 in [-127, 127] and their scale. A block with an infinity or NaN gets a NaN
// scale, so that it shows in the output. Blocks smaller than 1e-30 are zero: 127 / their largest
// would overflow.
static float quantize_32(int8_t *q, const float *x)
{
    float largest = 0;
    for (int i = 0; i < 32; i++) {
        float a = fabsf(x[i]);
        if (!(a <= 3.402823466e38f)) {
            memset(q, 0, 32);
            return NAN;
        }
        largest = a > largest ? a : largest;
    }
    if (largest < 1e-30f) {
        memset(q, 0, 32);
        return 0;
    }
    float inverse = 127.0f / largest;
    for (int i = 0; i < 32; i++)
        q[i] = (int8_t)lrintf(x[i] * inverse);
    return largest / 127.0f;
}

static void put_word(uint8_t *tile, size_t word, const void *value)
{
    memcpy(tile + word * 4, value, 4);
}

// Header words after d, from the sums of both halves.
static void put_sums(uint8_t *words, int n, int t, enum act_form form, float d, int s0, int s1)
{
    size_t first = (size_t)n + (size_t)t, second = first + (size_t)n;
    int32_t i0 = 0, i1 = 0;
    float f0 = 0, f1 = 0;
    switch (form) {
    case ACT_Q8_OFFSET_8: i0 = -8 * (s0 + s1); break;
    case ACT_Q8_OFFSET_16: i0 = -16 * (s0 + s1); break;
    case ACT_Q8_OFFSET_128: i0 = -128 * (s0 + s1); break;
    case ACT_Q8_HALF:
        i0 = -32 * s0;
        i1 = -32 * s1;
        put_word(words, second, &i1);
        break;
    case ACT_Q8_MIN:
        f0 = d * (float)(s0 + s1);
        put_word(words, first, &f0);
        return;
    case ACT_Q8_HALF_MIN:
        f0 = d * (float)s0;
        f1 = d * (float)s1;
        put_word(words, first, &f0);
        put_word(words, second, &f1);
        return;
    case ACT_F32:
    case ACT_FORM_COUNT: return;
    }
    put_word(words, first, &i0);
}

static void tile_q8(void *tile, const float *x, size_t x_stride, int n, int cols,
                    enum act_form form)
{
    size_t header = (size_t)act_header_words(form);
    size_t block_bytes = (header + 8) * (size_t)n * 4;
    for (int t = 0; t < n; t++)
        for (int b = 0; b < cols / 32; b++) {
            uint8_t *words = (uint8_t *)tile + (size_t)b * block_bytes;
            int8_t q[32];
            float d = quantize_32(q, x + (size_t)t * x_stride + (size_t)b * 32);
            int s0 = 0, s1 = 0;
            for (int i = 0; i < 16; i++) {
                s0 += q[i];
                s1 += q[i + 16];
            }
            put_word(words, (size_t)t, &d);
            put_sums(words, n, t, form, d, s0, s1);
            for (size_t j = 0; j < 8; j++)
                put_word(words, (header + j) * (size_t)n + (size_t)t, q + 4 * j);
        }
}

#define TILE_Q8(name, form)                                                                        \
    static void name(void *tile, const float *x, size_t x_stride, int n, int cols)                 \
    {                                                                                              \
        tile_q8(tile, x, x_stride, n, cols, form);                                                 \
    }
TILE_Q8(tile_offset_8, ACT_Q8_OFFSET_8)
TILE_Q8(tile_offset_16, ACT_Q8_OFFSET_16)
TILE_Q8(tile_offset_128, ACT_Q8_OFFSET_128)
TILE_Q8(tile_min, ACT_Q8_MIN)
TILE_Q8(tile_half, ACT_Q8_HALF)
TILE_Q8(tile_half_min, ACT_Q8_HALF_MIN)

static void put_y(const struct gemm *g, int x_row, int row, float sum)
{
    float *y = g->y + (size_t)x_row * g->y_stride + row;
    if (g->bias)
        sum += g->bias[row];
    *y = g->add ? *y + sum : sum;
}

// One row of W in floats against every row of x.
static void row_f32(const struct gemm *g, int row, const float *w)
{
    for (int i = 0; i < g->n_tiles; i++) {
        int first = act_tile_first(g->n_x, g->n_tiles, i);
        int n = act_tile_first(g->n_x, g->n_tiles, i + 1) - first;
        const float *tile =
            (const float *)(const void *)(g->act + (size_t)first * act_row_bytes(ACT_F32, g->cols));
        for (int t = 0; t < n; t++) {
            float sum = 0;
            for (int c = 0; c < g->cols; c++)
                sum = fmaf(w[c], tile[(size_t)c * (size_t)n + (size_t)t], sum);
            put_y(g, first + t, row, sum);
        }
    }
}

static void row_q8(const struct gemm *g, int row, const float *w, enum act_form form)
{
    size_t header = (size_t)act_header_words(form);
    for (int i = 0; i < g->n_tiles; i++) {
        int first = act_tile_first(g->n_x, g->n_tiles, i);
        size_t n = (size_t)(act_tile_first(g->n_x, g->n_tiles, i + 1) - first);
        const uint8_t *tile = g->act + (size_t)first * act_row_bytes(form, g->cols);
        for (size_t t = 0; t < n; t++) {
            float sum = 0;
            for (int b = 0; b < g->cols / 32; b++) {
                const uint8_t *words = tile + (size_t)b * (header + 8) * n * 4;
                float d, dot = 0;
                memcpy(&d, words + t * 4, 4);
                for (size_t c = 0; c < 32; c++) {
                    size_t word = (header + c / 4) * n + t;
                    dot += w[(size_t)b * 32 + c] * (float)(int8_t)words[word * 4 + c % 4];
                }
                sum += d * dot;
            }
            put_y(g, first + (int)t, row, sum);
        }
    }
}

static void gemm_scalar(const struct gemm *g, int first, int n, void *scratch)
{
    const struct dtype_info *info = dtype_info(g->dtype);
    enum act_form form = act_form_of(g->dtype);
    size_t len = info->block_len == 1 ? (size_t)g->cols : (size_t)info->block_len;
    float *w = scratch;
    uint8_t *block = (uint8_t *)(w + g->cols);
    for (int p = first; p < first + n; p++)
        for (int r = 0; r < PANEL_ROWS && p * PANEL_ROWS + r < g->rows; r++) {
            const uint8_t *panel = g->panels + (size_t)p * g->panel_bytes;
            for (int b = 0; b < panel_blocks(g->dtype, g->cols); b++) {
                panel_block(g->dtype, panel, g->cols, r, b, block);
                dtype_to_f32(g->dtype, block, w + (size_t)b * len, len);
            }
            if (form == ACT_F32)
                row_f32(g, p * PANEL_ROWS + r, w);
            else
                row_q8(g, p * PANEL_ROWS + r, w, form);
        }
}

void matmul_use_scalar(struct kernels *k)
{
    for (int f = 0; f < ACT_FORM_COUNT; f++)
        k->tile_rows[f] = 8;
    k->few_x = k->few_tile_rows = 0;
    k->act_tile[ACT_F32] = tile_f32;
    k->act_tile[ACT_Q8_OFFSET_8] = tile_offset_8;
    k->act_tile[ACT_Q8_OFFSET_16] = tile_offset_16;
    k->act_tile[ACT_Q8_OFFSET_128] = tile_offset_128;
    k->act_tile[ACT_Q8_MIN] = tile_min;
    k->act_tile[ACT_Q8_HALF] = tile_half;
    k->act_tile[ACT_Q8_HALF_MIN] = tile_half_min;
    for (int d = 0; d < DTYPE_COUNT; d++)
        k->gemm[d] = gemm_scalar;
}
