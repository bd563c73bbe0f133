// matmul_avx2.c - block formats against int8 activations with vpmaddubsw, and plain formats with
// FMA.
//
// One panel (16 rows of W, two registers) and up to four rows of x at once: eight accumulators of
// 16-bit sums (dot_avx2.inc), two weights, a broadcast. Float sums wait in memory, which the
// nearest cache gives in time. Few rows of x take the weights straight from their panels; for more
// a panel is unpacked once. Four to eight rows of x have a kernel of their own with Q6_K.
#include "local/kernels/kernels.h"

#if defined(__x86_64__)
#include <assert.h>

#include "local/kernels/parts.h"
#include "local/kernels/simd_avx2.inc"
#include "local/kernels/act_simd.inc"
#include "local/kernels/unpack_simd.inc"
#define FLOAT_PAIRED_X 2
#define FLOAT_AHEAD 2304
#include "local/kernels/float_simd.inc"

enum { X_MAX = 4, PAIR = 2, CHUNK = 512 / 32, ASK_TILES = 2 };
enum { AHEAD = 2304 };   // how many bytes ahead memory is asked for
enum { FEW_TILES = 2 };  // of x: with more, unpacking a panel once pays

#include "local/kernels/dot_avx2.inc"

struct weights {
    const uint8_t *q[PAIR];
    const float *s[PAIR];  // FROM_TILE, FROM_Q4_K and FROM_Q5_K: unpacked scales
    int np, n_blocks;      // panels; blocks of a row, for the panels' layout
    bool ahead;            // whether panels come from memory and should be asked for early
};

#define SOURCES_OF_32
#include "local/kernels/panel_scale.inc"

// What a kernel is made for: constants where it is inlined.
struct shape {
    int nx;
    enum act_form form;
    enum source source;
    enum width width;
};

// Block b + phase of a panel with the block of x at `x`: added to the float sums f [vector of 8
// rows][row of x] where they are kept in registers, else to acc [nx][16].
INLINE void one_block(vec f[2][2], float *acc, const struct weights *w, int p, int b, int phase,
                      const uint8_t *x, struct shape k)
{
    bool halves = k.form == ACT_Q8_HALF || k.form == ACT_Q8_HALF_MIN;
    bool minima = k.form == ACT_Q8_MIN || k.form == ACT_Q8_HALF_MIN;
    bool keep = k.nx <= 2;
    int n_halves = halves ? 2 : 1, n_s = n_halves * (minima ? 2 : 1);
    const float *d = (const float *)(const void *)x;
    const int32_t *start = (const int32_t *)(const void *)x + k.nx;
    const int32_t *words = start + n_halves * k.nx;
    struct place at = place_of(k.source, w->q[p], b, phase, w->n_blocks);
    UNROLL
    for (int h = 0; h < n_halves; h++) {
        __m256i sum[2][X_MAX];
        if (k.width == WHOLE)
            products_whole(sum, at.q, words, k.nx, k.source);
        else
            products(sum, &at, words, minima ? NULL : start + h * k.nx, k.nx, k.source, k.width,
                     halves ? 4 * h : 0, halves ? 4 : 8);
        rows16 s = scale_of(w, p, b + phase, k.source, n_s, h), m = s;
        if (minima)
            m = scale_of(w, p, b + phase, k.source, n_s, n_halves + h);
        UNROLL
        for (int t = 0; t < k.nx; t++) {
            vec dt = vec_set1(d[t]);
            vec f0 = keep ? f[0][t & 1] : vec_load(acc + 16 * t);
            vec f1 = keep ? f[1][t & 1] : vec_load(acc + 16 * t + 8);
            f0 = vec_fma(_mm256_cvtepi32_ps(sum[0][t]), vec_mul(s.low, dt), f0);
            f1 = vec_fma(_mm256_cvtepi32_ps(sum[1][t]), vec_mul(s.high, dt), f1);
            if (minima) {
                vec sum_x = vec_set1(d[(h + 1) * k.nx + t]);
                f0 = vec_fma(m.low, sum_x, f0);
                f1 = vec_fma(m.high, sum_x, f1);
            }
            if (keep) {
                f[0][t & 1] = f0;
                f[1][t & 1] = f1;
            } else {
                vec_store(acc + 16 * t, f0);
                vec_store(acc + 16 * t + 8, f1);
            }
        }
    }
}

// Asks memory for what will be wanted when `bytes` at a time have been taken AHEAD bytes long: of
// this panel or of the next, which lies behind it.
INLINE void ask_ahead_of(const uint8_t *at, size_t bytes)
{
    UNROLL
    for (size_t i = 0; i < bytes; i += 64)
        _mm_prefetch((const char *)at + AHEAD + i, _MM_HINT_T0);
}

// Blocks from .. from + n of x against as many of panel p, added to acc [nx][16].
INLINE void kernel_panel(float *acc, const struct weights *w, int p, const uint8_t *act, int from,
                         int n, struct shape k)
{
    bool chunked = k.source == FROM_TILE || k.source == FROM_Q4_K || k.source == FROM_Q5_K;
    int phases = phases_of(k.source);
    size_t bytes = bytes_of(k.source);
    size_t x_bytes = (size_t)(8 + act_header_words(k.form)) * (size_t)k.nx * 4;
    const uint8_t *x = act + (size_t)from * x_bytes;
    int kept = k.nx <= 2 ? k.nx : 0;  // rows of x whose float sums stay in registers
    vec f[2][2];
    UNROLL
    for (int t = 0; t < kept; t++) {
        f[0][t] = vec_load(acc + 16 * t);
        f[1][t] = vec_load(acc + 16 * t + 8);
    }
    for (int i = 0; i < n; i += phases) {
        int b = chunked ? i : from + i;
        if (k.source != FROM_TILE && w->ahead)
            ask_ahead_of(w->q[p] + (size_t)b * bytes, bytes * (size_t)phases);
        UNROLL
        for (int phase = 0; phase < phases; phase++, x += x_bytes)
            one_block(f, acc, w, p, b, phase, x, k);
    }
    UNROLL
    for (int t = 0; t < kept; t++) {
        vec_store(acc + 16 * t, f[0][t]);
        vec_store(acc + 16 * t + 8, f[1][t]);
    }
}

typedef void (*kernel_fn)(float *acc, const struct weights *w, const uint8_t *act, int from, int n);

#define KERNEL(name, nx, form, source, width)                                                      \
    static void name##_##nx(float *acc, const struct weights *w, const uint8_t *act, int from,     \
                            int n)                                                                 \
    {                                                                                              \
        for (int p = 0; p < w->np; p++)                                                            \
            kernel_panel(acc + p * (nx)*PANEL_ROWS, w, p, act, from, n,                            \
                         (struct shape){nx, form, source, width});                                 \
    }
#define KERNELS(name, form, source, width)                                                         \
    KERNEL(name, 1, form, source, width)                                                           \
    KERNEL(name, 2, form, source, width)                                                           \
    KERNEL(name, 3, form, source, width)                                                           \
    KERNEL(name, 4, form, source, width)                                                           \
    static const kernel_fn name[X_MAX] = {name##_1, name##_2, name##_3, name##_4};

KERNELS(plain, ACT_Q8_OFFSET_8, FROM_TILE, EIGHT)  // all offsets: what sums start with is in x
KERNELS(whole, ACT_Q8_OFFSET_128, FROM_TILE, WHOLE)
KERNELS(minimum, ACT_Q8_MIN, FROM_TILE, EIGHT)
KERNELS(minimum_5, ACT_Q8_MIN, FROM_TILE, FOUR)
KERNELS(half, ACT_Q8_HALF, FROM_TILE, FOUR)
KERNELS(half_minimum, ACT_Q8_HALF_MIN, FROM_TILE, FOUR)
KERNELS(direct_q4_0, ACT_Q8_OFFSET_8, FROM_Q4_0, EIGHT)
KERNELS(direct_q4_1, ACT_Q8_MIN, FROM_Q4_1, EIGHT)
KERNELS(direct_q5_0, ACT_Q8_OFFSET_16, FROM_Q5_0, EIGHT)
KERNELS(direct_q5_1, ACT_Q8_MIN, FROM_Q5_1, FOUR)
KERNELS(direct_q8_0, ACT_Q8_OFFSET_128, FROM_Q8_0, WHOLE)
KERNELS(direct_q4_k, ACT_Q8_MIN, FROM_Q4_K, EIGHT)
KERNELS(direct_q5_k, ACT_Q8_MIN, FROM_Q5_K, FOUR)
KERNELS(direct_q6_k, ACT_Q8_HALF, FROM_Q6_K, FOUR)

#include "local/kernels/gemm_q8.inc"

// For unpacked weights.
static kernel_fn kernel_of(enum dtype type, int np, int nx)
{
    (void)np;
    switch (act_form_of(type)) {
    case ACT_Q8_OFFSET_128: return whole[nx - 1];
    case ACT_Q8_MIN:
        return type == DTYPE_Q5_1 || type == DTYPE_Q5_K ? minimum_5[nx - 1] : minimum[nx - 1];
    case ACT_Q8_HALF: return half[nx - 1];
    case ACT_Q8_HALF_MIN: return half_minimum[nx - 1];
    default: return plain[nx - 1];
    }
}

static kernel_fn direct_of(enum dtype type, int nx)
{
    switch (type) {
    case DTYPE_Q4_0: return direct_q4_0[nx - 1];
    case DTYPE_Q4_1: return direct_q4_1[nx - 1];
    case DTYPE_Q5_0: return direct_q5_0[nx - 1];
    case DTYPE_Q5_1: return direct_q5_1[nx - 1];
    case DTYPE_Q8_0: return direct_q8_0[nx - 1];
    case DTYPE_Q4_K: return direct_q4_k[nx - 1];
    case DTYPE_Q5_K: return direct_q5_k[nx - 1];
    default: assert(type == DTYPE_Q6_K); return direct_q6_k[nx - 1];
    }
}

#include "local/kernels/eight_x_avx2.inc"

// Whether unpacking a panel once pays, for all the rows of x: where that is dear, or they are many.
static bool unpacking_pays(const struct gemm *g)
{
    if (g->dtype == DTYPE_Q8_0)
        return false;
    return g->n_tiles > (g->dtype == DTYPE_Q4_0 || g->dtype == DTYPE_Q4_K ? FEW_TILES : 1);
}

// Weights straight from the panels, whole rows.
static void gemm_direct(const struct gemm *g, int first, int n, void *scratch)
{
    enum act_form form = act_form_of(g->dtype);
    if (g->dtype == DTYPE_Q6_K && (g->n_tiles == 2 || g->n_x == X_MAX)) {
        gemm_eight_x(g, first, n);
        return;
    }
    if (unpacking_pays(g)) {
        gemm_unpacked(g, first, n, scratch);
        return;
    }
    float acc[X_MAX * PANEL_ROWS];
    for (int p = first; p < first + n; p++) {
        const uint8_t *panel = g->panels + (size_t)p * g->panel_bytes;
        struct weights w = {.q = {panel}, .np = 1, .n_blocks = g->cols / 32};
        for (int i = 0; i < g->n_tiles; i++) {
            struct x_tile x = x_tile_of(g, form, i);
            w.ahead = i == 0;
            ask_for_sums(g, p, 1, x.first, x.n);
            zero_sums(acc, x.n);
            direct_of(g->dtype, x.n)(acc, &w, x.act, 0, g->cols / 32);
            store_sums(g, p, 1, x.first, x.n, acc);
        }
    }
}

// As gemm_direct for Q4_K and Q5_K, whose scales are unpacked for 256 columns at a time.
static void gemm_direct_k(const struct gemm *g, int first, int n, void *scratch)
{
    if (unpacking_pays(g)) {
        gemm_unpacked(g, first, n, scratch);
        return;
    }
    size_t bytes = g->dtype == DTYPE_Q4_K ? Q4_K_BYTES : Q5_K_BYTES;
    float s[8 * 2 * PANEL_ROWS], acc[FEW_TILES * X_MAX * PANEL_ROWS];
    for (int p = first; p < first + n; p++) {
        const uint8_t *panel = g->panels + (size_t)p * g->panel_bytes;
        zero_sums(acc, g->n_x);
        for (int from = 0; from < g->cols / 32; from += 8, panel += bytes) {
            scales_k4(s, panel + bytes - 16 * PANEL_ROWS, panel + bytes - 4 * PANEL_ROWS);
            struct weights w = {.q = {panel}, .s = {s}, .np = 1};
            for (int i = 0; i < g->n_tiles; i++) {
                struct x_tile x = x_tile_of(g, ACT_Q8_MIN, i);
                w.ahead = i == 0;
                direct_of(g->dtype, x.n)(acc + x.first * PANEL_ROWS, &w, x.act, from, 8);
            }
        }
        for (int i = 0; i < g->n_tiles; i++) {
            struct x_tile x = x_tile_of(g, ACT_Q8_MIN, i);
            store_sums(g, p, 1, x.first, x.n, acc + x.first * PANEL_ROWS);
        }
    }
}

void matmul_use_avx2(struct kernels *k)
{
    use_act_tiles(k, true);
    use_float_gemms(k);
    for (int f = ACT_F32 + 1; f < ACT_FORM_COUNT; f++)
        k->tile_rows[f] = X_MAX;
    for (int t = 0; t < DTYPE_COUNT; t++)
        if (unpackers[t])
            k->gemm[t] = gemm_unpacked;
    k->gemm[DTYPE_Q4_0] = gemm_direct;
    k->gemm[DTYPE_Q4_1] = gemm_direct;
    k->gemm[DTYPE_Q5_0] = gemm_direct;
    k->gemm[DTYPE_Q5_1] = gemm_direct;
    k->gemm[DTYPE_Q8_0] = gemm_direct;
    k->gemm[DTYPE_Q6_K] = gemm_direct;
    k->gemm[DTYPE_Q4_K] = gemm_direct_k;
    k->gemm[DTYPE_Q5_K] = gemm_direct_k;
}

void act_use_sums(struct kernels *k)
{
    use_act_tiles(k, false);
}
#endif
