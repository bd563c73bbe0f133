// float_simd.h - plain formats (F32, F16, BF16, F8_E4M3) times float rows, for any instruction set.
//
// Included after a simd header. A column of a panel is 16 numbers side by side: one or two vectors
// of W meet a broadcast of x. Columns are taken in ascending order by one accumulator an output
// element.
#include "local/kernels/epilogue.h"

// Panels at once so that two vectors of rows are busy: two of AVX-512's, one of AVX2's.
enum { F_PANELS = VEC_N == 16 ? 2 : 1, F_VECS_PANEL = PANEL_ROWS / VEC_N, F_X_MAX = 6 };

INLINE vec float_weights(enum dtype type, const uint8_t *p)
{
    if (type == DTYPE_F32)
        return vec_load((const float *)(const void *)p);
    if (type == DTYPE_F16)
        return vec_load_f16((const uint16_t *)(const void *)p);
    if (type == DTYPE_BF16)
        return vec_load_bf16((const uint16_t *)(const void *)p);
    return vec_load_f8(p);
}

INLINE void float_kernel(float *acc, const uint8_t *panels, size_t panel_bytes, const float *x,
                         int cols, int np, int nx, enum dtype type, size_t unit)
{
    int nv = np * F_VECS_PANEL;
    vec sum[2][F_X_MAX];
    UNROLL
    for (int v = 0; v < nv; v++)
        UNROLL
    for (int t = 0; t < nx; t++)
        sum[v][t] = vec_set1(0);
    for (int c = 0; c < cols; c++, x += nx) {
        const uint8_t *at = panels + (size_t)c * PANEL_ROWS * unit;
        vec w[2];
        UNROLL
        for (int v = 0; v < nv; v++)
            w[v] = float_weights(type, at + (F_VECS_PANEL == 2 ? (size_t)v * VEC_N * unit
                                                               : (size_t)v * panel_bytes));
        UNROLL
        for (int t = 0; t < nx; t++) {
            vec xt = vec_set1(x[t]);
            UNROLL
            for (int v = 0; v < nv; v++)
                sum[v][t] = vec_fma(w[v], xt, sum[v][t]);
        }
    }
    UNROLL
    for (int v = 0; v < nv; v++)
        UNROLL
    for (int t = 0; t < nx; t++)
        vec_store(acc + ((v / F_VECS_PANEL) * nx + t) * PANEL_ROWS + v % F_VECS_PANEL * VEC_N,
                  sum[v][t]);
}

typedef void (*float_fn)(float *acc, const uint8_t *panels, size_t panel_bytes, const float *x,
                         int cols);

#define FLOAT_KERNEL(type, unit, np, nx)                                                           \
    static void float_##type##_##np##_##nx(float *acc, const uint8_t *panels, size_t panel_bytes,  \
                                           const float *x, int cols)                               \
    {                                                                                              \
        float_kernel(acc, panels, panel_bytes, x, cols, np, nx, type, unit);                       \
    }
#define FLOAT_ROWS(type, unit, np)                                                                 \
    FLOAT_KERNEL(type, unit, np, 1)                                                                \
    FLOAT_KERNEL(type, unit, np, 2)                                                                \
    FLOAT_KERNEL(type, unit, np, 3)                                                                \
    FLOAT_KERNEL(type, unit, np, 4)                                                                \
    FLOAT_KERNEL(type, unit, np, 5)                                                                \
    FLOAT_KERNEL(type, unit, np, 6)
#define FLOAT_ROW(type, np)                                                                        \
    {                                                                                              \
        float_##type##_##np##_1, float_##type##_##np##_2, float_##type##_##np##_3,                 \
            float_##type##_##np##_4, float_##type##_##np##_5, float_##type##_##np##_6              \
    }

FLOAT_ROWS(DTYPE_F32, 4, 1)
FLOAT_ROWS(DTYPE_F16, 2, 1)
FLOAT_ROWS(DTYPE_BF16, 2, 1)
FLOAT_ROWS(DTYPE_F8_E4M3, 1, 1)
#if FLOAT_TWO_PANELS
FLOAT_ROWS(DTYPE_F32, 4, 2)
FLOAT_ROWS(DTYPE_F16, 2, 2)
FLOAT_ROWS(DTYPE_BF16, 2, 2)
FLOAT_ROWS(DTYPE_F8_E4M3, 1, 2)
#define FLOAT_TABLE(type) [type] = {FLOAT_ROW(type, 1), FLOAT_ROW(type, 2)}
#else
#define FLOAT_TABLE(type) [type] = {FLOAT_ROW(type, 1)}
#endif

static const float_fn float_fns[DTYPE_COUNT][F_PANELS][F_X_MAX] = {
    FLOAT_TABLE(DTYPE_F32), FLOAT_TABLE(DTYPE_F16), FLOAT_TABLE(DTYPE_BF16),
    FLOAT_TABLE(DTYPE_F8_E4M3)};

static void gemm_float(const struct gemm *g, int first, int n, void *scratch)
{
    float acc[F_PANELS * F_X_MAX * PANEL_ROWS];
    (void)scratch;
    for (int i = 0; i < g->n_tiles; i++) {
        int x_first = act_tile_first(g->n_x, g->n_tiles, i);
        int nx = act_tile_first(g->n_x, g->n_tiles, i + 1) - x_first;
        const float *x = (const float *)(const void *)g->act + (size_t)x_first * (size_t)g->cols;
        for (int p = first; p < first + n; p += F_PANELS) {
            int np = first + n - p < F_PANELS ? first + n - p : F_PANELS;
            float_fns[g->dtype][np - 1][nx - 1](acc, g->panels + (size_t)p * g->panel_bytes,
                                                g->panel_bytes, x, g->cols);
            store_sums(g, p, np, x_first, nx, acc);
        }
    }
}

static void use_float_gemms(struct kernels *k)
{
    k->tile_rows[ACT_F32] = F_X_MAX;
    k->gemm[DTYPE_F32] = gemm_float;
    k->gemm[DTYPE_F16] = gemm_float;
    k->gemm[DTYPE_BF16] = gemm_float;
    k->gemm[DTYPE_F8_E4M3] = gemm_float;
}
