// matmul_avx512_vnni.c - block formats against int8 activations with vpdpbusd.
//
// The inner kernel takes two panels (32 rows of W) and up to seven rows of x: 14 integer and 14
// float accumulators, two weights and a broadcast fill the 32 registers. Weights come from the
// common unpacked form; Q4_0, Q8_0 and, for few rows of x, Q4_K and Q6_K are taken straight from
// their panels. One accumulator an output element, 32 columns after 32 columns, for every number of
// rows: the result of a row is the same in any company.
#include "local/kernels/kernels.h"

#include <assert.h>
#include <limits.h>

#if defined(__x86_64__)
#include "local/kernels/parts.h"
#include "local/kernels/simd_avx512.inc"
#include "local/kernels/unpack_simd.inc"

enum { X_MAX = 7, PAIR = 2, CHUNK = 512 / 32, ASK_TILES = INT_MAX };
// How many bytes ahead memory is asked for; farther where scales lie behind 256 columns' quants.
enum { PREFETCH = 2304, PREFETCH_K = 6400 };
enum { Q4_K_BYTES = PANEL_ROWS * 144, Q6_K_BYTES = PANEL_ROWS * 210 };  // 256 columns of a panel
enum { FEW_TILES = 4 };  // of x: with more, unpacking a panel once pays
enum source { FROM_TILE, FROM_Q4_0, FROM_Q8_0, FROM_Q4_K, FROM_Q6_K };

// Weights of up to two panels, and where the sums so far are: [panel][x][16].
struct weights {
    const uint8_t *q[PAIR];
    const float *s[PAIR];  // FROM_TILE and FROM_Q4_K: unpacked scales
    int np, n_blocks;      // panels; blocks of a row, for the panels' layout
    bool ahead;            // whether panels come from memory and should be asked for early
    size_t left, skip;     // bytes to the panels' end; from there to the next pair's
};

// gcc 12 copies the accumulator twice around the intrinsic.
INLINE __m512i dot4(__m512i sum, __m512i w, int32_t x)
{
#if defined(__clang__)
    return _mm512_dpbusd_epi32(sum, w, _mm512_set1_epi32(x));
#else
    __m512i v = _mm512_set1_epi32(x);
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(v));
    return sum;
#endif
}

// Four columns (a word of x) after four: columns 4j of the block against all x.
#define STEP(w0, w1, j)                                                                            \
    UNROLL                                                                                         \
    for (int t = 0; t < nx; t++) {                                                                 \
        sum[0][t] = dot4(sum[0][t], w0, words[(j)*nx + t]);                                        \
        if (np == 2)                                                                               \
            sum[1][t] = dot4(sum[1][t], w1, words[(j)*nx + t]);                                    \
    }

// Vector j of block b of 256 columns: of each four blocks the first two have the low nibbles of 16
// vectors, the others the high ones; two more bits of all four lie in 8 vectors behind all nibbles.
INLINE __m512i word_q6_k(const uint8_t *q, int b, int j)
{
    enum { A_AND_B_OR_C = 0xea };
    const uint8_t *low = q + (b / 4 * 2 + b % 2) * Q_BLOCK + 64 * j;
    const uint8_t *high = q + (4 + b / 4) * Q_BLOCK + 64 * j;
    // To the places of the mask; bits that come around from other bytes are masked out.
    __m512i l = _mm512_rolv_epi32(bytes64_load(low), _mm512_set1_epi32(b & 2 ? 28 : 0));
    __m512i h = _mm512_rolv_epi32(bytes64_load(high), _mm512_set1_epi32((4 - 2 * (b % 4)) & 31));
    h = _mm512_and_si512(h, _mm512_set1_epi8(0x30));
    return _mm512_ternarylogic_epi32(l, _mm512_set1_epi8(15), h, A_AND_B_OR_C);
}

// The integer products of columns 4 * first .. 4 * (first + n) - 1 of block b.
INLINE void products(__m512i sum[PAIR][X_MAX], const struct weights *w, int b, const int32_t *words,
                     int np, int nx, enum source source, int first, int n)
{
    if (source == FROM_Q4_0) {
        const uint8_t *q0 = w->q[0] + panel_at(18, 2, 0, 16, b, w->n_blocks);
        const uint8_t *q1 = w->q[np - 1] + panel_at(18, 2, 0, 16, b, w->n_blocks);
        const __m512i mask = _mm512_set1_epi8(15);
        UNROLL
        for (int j = 0; j < 4; j++) {
            __m512i v0 = bytes64_load(q0 + 64 * j), v1 = bytes64_load(q1 + 64 * j);
            __m512i low0 = _mm512_and_si512(v0, mask), low1 = _mm512_and_si512(v1, mask);
            STEP(low0, low1, j)
            low0 = _mm512_and_si512(_mm512_srli_epi16(v0, 4), mask);
            low1 = _mm512_and_si512(_mm512_srli_epi16(v1, 4), mask);
            STEP(low0, low1, j + 4)
        }
        return;
    }
    const uint8_t *q0 = w->q[0] + (size_t)b * Q_BLOCK, *q1 = w->q[np - 1] + (size_t)b * Q_BLOCK;
    if (source == FROM_Q8_0) {
        q0 = w->q[0] + panel_at(34, 2, 0, 32, b, w->n_blocks);
        q1 = w->q[np - 1] + panel_at(34, 2, 0, 32, b, w->n_blocks);
    }
    if (source == FROM_Q4_K) {  // two blocks share 8 vectors: low nibbles, then high ones
        const __m512i mask = _mm512_set1_epi8(15);
        unsigned shift = b & 1 ? 4 : 0;
        q0 = w->q[0] + (size_t)(b / 8) * Q4_K_BYTES + (size_t)(b / 2 % 4) * Q_BLOCK;
        q1 = w->q[np - 1] + (size_t)(b / 8) * Q4_K_BYTES + (size_t)(b / 2 % 4) * Q_BLOCK;
        UNROLL
        for (int j = 0; j < 8; j++) {
            __m512i w0 = _mm512_and_si512(bytes64_shr(bytes64_load(q0 + 64 * j), (int)shift), mask);
            __m512i w1 = _mm512_and_si512(bytes64_shr(bytes64_load(q1 + 64 * j), (int)shift), mask);
            STEP(w0, w1, j)
        }
        return;
    }
    if (source == FROM_Q6_K) {
        q0 = w->q[0] + (size_t)(b / 8) * Q6_K_BYTES;
        q1 = w->q[np - 1] + (size_t)(b / 8) * Q6_K_BYTES;
        UNROLL
        for (int j = first; j < first + n; j++) {
            __m512i w0 = word_q6_k(q0, b % 8, j), w1 = word_q6_k(q1, b % 8, j);
            STEP(w0, w1, j)
        }
        return;
    }
    const __m512i flip = _mm512_set1_epi8((char)0x80);
    UNROLL
    for (int j = first; j < first + n; j++) {
        __m512i w0 = bytes64_load(q0 + 64 * j), w1 = bytes64_load(q1 + 64 * j);
        if (source == FROM_Q8_0) {
            w0 = _mm512_xor_si512(w0, flip);
            w1 = _mm512_xor_si512(w1, flip);
        }
        STEP(w0, w1, j)
    }
}

#include "local/kernels/panel_scale.inc"

// At a panel's end it goes on with the next pair's: between them lies the other one of this pair.
INLINE void prefetch(const struct weights *w, int b, int np, enum source source)
{
    size_t bytes = source == FROM_Q8_0   ? PANEL_ROWS * 34
                   : source == FROM_Q6_K ? Q6_K_BYTES / 8
                                         : PANEL_ROWS * 18;
    bool k = source == FROM_Q4_K || source == FROM_Q6_K;
    size_t at = (size_t)b * bytes + (k ? PREFETCH_K : PREFETCH);
    if (b & 1)
        return;
    at += at >= w->left ? w->skip : 0;
    for (int p = 0; p < np; p++)
        for (size_t i = 0; i < 2 * bytes; i += 64)
            _mm_prefetch((const char *)w->q[p] + at + i, _MM_HINT_T1);
}

// Blocks from .. from + n of x against blocks 0 .. n of unpacked weights (or the same of panels),
// added to acc. All but the pointers are constants where this is inlined.
INLINE void kernel(float *acc, const struct weights *w, const uint8_t *act, int from, int n, int np,
                   int nx, enum act_form form, enum source source)
{
    bool halves = form == ACT_Q8_HALF || form == ACT_Q8_HALF_MIN;
    bool minima = form == ACT_Q8_MIN || form == ACT_Q8_HALF_MIN;
    int n_halves = halves ? 2 : 1, header = 1 + n_halves;
    int n_s = n_halves * (minima ? 2 : 1);
    __m512 f[PAIR][X_MAX];
    UNROLL
    for (int t = 0; t < nx; t++) {
        f[0][t] = _mm512_loadu_ps(acc + 16 * t);
        if (np == 2)
            f[1][t] = _mm512_loadu_ps(acc + 16 * (nx + t));
    }
    for (int b = 0; b < n; b++) {
        const uint8_t *block = act + (size_t)(from + b) * (size_t)(header + 8) * (size_t)nx * 4;
        const float *d = (const float *)(const void *)block;
        const int32_t *start = (const int32_t *)(const void *)block + nx;
        const int32_t *words = (const int32_t *)(const void *)block + header * nx;
        int wb = source == FROM_TILE || source == FROM_Q4_K ? b : from + b;
        if (source != FROM_TILE && w->ahead)
            prefetch(w, wb, np, source);
        UNROLL
        for (int h = 0; h < n_halves; h++) {
            __m512i sum[PAIR][X_MAX];
            UNROLL
            for (int t = 0; t < nx; t++) {
                sum[0][t] = minima ? _mm512_setzero_si512() : _mm512_set1_epi32(start[h * nx + t]);
                if (np == 2)
                    sum[1][t] = sum[0][t];
            }
            products(sum, w, wb, words, np, nx, source, halves ? 4 * h : 0, halves ? 4 : 8);
            UNROLL
            for (int p = 0; p < np; p++) {
                __m512 s = scale_of(w, p, wb, source, n_s, h);
                UNROLL
                for (int t = 0; t < nx; t++)
                    f[p][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[p][t]),
                                              _mm512_mul_ps(s, _mm512_set1_ps(d[t])), f[p][t]);
                if (minima) {
                    __m512 m = scale_of(w, p, wb, source, n_s, n_halves + h);
                    UNROLL
                    for (int t = 0; t < nx; t++)
                        f[p][t] = _mm512_fmadd_ps(m, _mm512_set1_ps(d[(h + 1) * nx + t]), f[p][t]);
                }
            }
        }
    }
    UNROLL
    for (int t = 0; t < nx; t++) {
        _mm512_storeu_ps(acc + 16 * t, f[0][t]);
        if (np == 2)
            _mm512_storeu_ps(acc + 16 * (nx + t), f[1][t]);
    }
}

typedef void (*kernel_fn)(float *acc, const struct weights *w, const uint8_t *act, int from, int n);

#define KERNEL(name, np, nx, form, source)                                                         \
    static void name##_##np##_##nx(float *acc, const struct weights *w, const uint8_t *act,        \
                                   int from, int n)                                                \
    {                                                                                              \
        kernel(acc, w, act, from, n, np, nx, form, source);                                        \
    }
#define KERNELS(name, form, source)                                                                \
    KERNEL(name, 1, 1, form, source)                                                               \
    KERNEL(name, 1, 2, form, source)                                                               \
    KERNEL(name, 1, 3, form, source)                                                               \
    KERNEL(name, 1, 4, form, source)                                                               \
    KERNEL(name, 1, 5, form, source)                                                               \
    KERNEL(name, 1, 6, form, source)                                                               \
    KERNEL(name, 1, 7, form, source)                                                               \
    KERNEL(name, 2, 1, form, source)                                                               \
    KERNEL(name, 2, 2, form, source)                                                               \
    KERNEL(name, 2, 3, form, source)                                                               \
    KERNEL(name, 2, 4, form, source)                                                               \
    KERNEL(name, 2, 5, form, source)                                                               \
    KERNEL(name, 2, 6, form, source)                                                               \
    KERNEL(name, 2, 7, form, source)                                                               \
    static const kernel_fn name[PAIR][X_MAX] = {                                                   \
        {name##_1_1, name##_1_2, name##_1_3, name##_1_4, name##_1_5, name##_1_6, name##_1_7},      \
        {name##_2_1, name##_2_2, name##_2_3, name##_2_4, name##_2_5, name##_2_6, name##_2_7}};

KERNELS(plain, ACT_Q8_OFFSET_8, FROM_TILE)  // all offsets: the start of the sums is in the header
KERNELS(minimum, ACT_Q8_MIN, FROM_TILE)
KERNELS(half, ACT_Q8_HALF, FROM_TILE)
KERNELS(half_minimum, ACT_Q8_HALF_MIN, FROM_TILE)
KERNELS(direct_q4_0, ACT_Q8_OFFSET_8, FROM_Q4_0)
KERNELS(direct_q8_0, ACT_Q8_OFFSET_128, FROM_Q8_0)
KERNELS(direct_q4_k, ACT_Q8_MIN, FROM_Q4_K)
KERNELS(direct_q6_k, ACT_Q8_HALF, FROM_Q6_K)

#include "local/kernels/gemm_q8.inc"

// For unpacked weights.
static kernel_fn kernel_of(enum dtype type, int np, int nx)
{
    switch (act_form_of(type)) {
    case ACT_Q8_MIN: return minimum[np - 1][nx - 1];
    case ACT_Q8_HALF: return half[np - 1][nx - 1];
    case ACT_Q8_HALF_MIN: return half_minimum[np - 1][nx - 1];
    default: return plain[np - 1][nx - 1];
    }
}

// For panels with all that is in them.
static kernel_fn direct_of(enum dtype type, int np, int nx)
{
    switch (type) {
    case DTYPE_Q4_0: return direct_q4_0[np - 1][nx - 1];
    case DTYPE_Q8_0: return direct_q8_0[np - 1][nx - 1];
    default: assert(type == DTYPE_Q6_K); return direct_q6_k[np - 1][nx - 1];
    }
}

// Whole rows: x outside, so that its tile stays in the nearest cache over all panels of the chunk.
static void gemm_direct(const struct gemm *g, int first, int n, void *scratch)
{
    enum act_form form = act_form_of(g->dtype);
    float acc[PAIR * X_MAX * PANEL_ROWS];
    (void)scratch;
    for (int i = 0; i < g->n_tiles; i++) {
        struct x_tile x = x_tile_of(g, form, i);
        for (int p = first; p < first + n; p += PAIR) {
            int np = first + n - p < PAIR ? first + n - p : PAIR;
            const uint8_t *panel = g->panels + (size_t)p * g->panel_bytes;
            struct weights w = {.q = {panel, panel + g->panel_bytes},
                                .n_blocks = g->cols / 32,
                                .ahead = i == 0,
                                .left = g->panel_bytes,
                                .skip = g->panel_bytes};
            zero_sums(acc, np * x.n);
            direct_of(g->dtype, np, x.n)(acc, &w, x.act, 0, g->cols / 32);
            store_sums(g, p, np, x.first, x.n, acc);
        }
    }
}

// As gemm_unpacked, to the bit, but only the scales are unpacked: the quants are taken from the
// panels. Faster for few rows of x; for many, unpacking once pays.
static void gemm_q4_k(const struct gemm *g, int first, int n, void *scratch)
{
    enum { BLOCKS = 16 };  // blocks of 32 columns: two of the format's
    if (g->n_tiles > FEW_TILES) {
        gemm_unpacked(g, first, n, scratch);
        return;
    }
    int n_blocks = g->cols / 32;
    float *s = scratch, *acc = s + PAIR * BLOCKS * 2 * PANEL_ROWS;
    size_t s_panel = (size_t)(BLOCKS * 2 * PANEL_ROWS);
    struct weights w = {.s = {s, s + s_panel}, .skip = g->panel_bytes};
    for (int p = first; p < first + n; p += PAIR) {
        int np = first + n - p < PAIR ? first + n - p : PAIR;
        const uint8_t *panel = g->panels + (size_t)p * g->panel_bytes;
        memset(acc, 0, (size_t)g->n_x * PAIR * PANEL_ROWS * sizeof(float));
        for (int from = 0; from < n_blocks; from += BLOCKS) {
            int some = n_blocks - from < BLOCKS ? n_blocks - from : BLOCKS;
            for (int j = 0; j < np; j++) {
                w.q[j] = panel + (size_t)j * g->panel_bytes + (size_t)(from / 8) * Q4_K_BYTES;
                w.left = g->panel_bytes - (size_t)(from / 8) * Q4_K_BYTES;
                for (int b = 0; b < some / 8; b++)
                    scales_k4(s + (size_t)j * s_panel + b * 256, w.q[j] + b * Q4_K_BYTES + 128 * 16,
                              w.q[j] + b * Q4_K_BYTES + 140 * 16);
            }
            for (int i = 0; i < g->n_tiles; i++) {
                struct x_tile x = x_tile_of(g, ACT_Q8_MIN, i);
                w.ahead = i == 0;
                direct_q4_k[np - 1][x.n - 1](acc + (size_t)x.first * PAIR * PANEL_ROWS, &w, x.act,
                                             from, some);
            }
        }
        for (int i = 0; i < g->n_tiles; i++) {
            struct x_tile x = x_tile_of(g, ACT_Q8_MIN, i);
            store_sums(g, p, np, x.first, x.n, acc + (size_t)x.first * PAIR * PANEL_ROWS);
        }
    }
}

// As gemm_unpacked, to the bit.
static void gemm_q6_k(const struct gemm *g, int first, int n, void *scratch)
{
    if (g->n_tiles > FEW_TILES)
        gemm_unpacked(g, first, n, scratch);
    else
        gemm_direct(g, first, n, scratch);
}

void gemm_avx512_vnni(const struct gemm *g, int first, int n, void *scratch)
{
    switch (g->dtype) {
    case DTYPE_Q4_0:
    case DTYPE_Q8_0: gemm_direct(g, first, n, scratch); break;
    case DTYPE_Q4_K: gemm_q4_k(g, first, n, scratch); break;
    case DTYPE_Q6_K: gemm_q6_k(g, first, n, scratch); break;
    default: gemm_unpacked(g, first, n, scratch);
    }
}

void kernels_use_avx512_vnni(struct kernels *k)
{
    k->name = "AVX-512 VNNI";
    act_use_sums(k);
    for (int f = ACT_F32 + 1; f < ACT_FORM_COUNT; f++)
        k->tile_rows[f] = X_MAX;
    for (int t = 0; t < DTYPE_COUNT; t++)
        if (unpackers[t])
            k->gemm[t] = gemm_unpacked;
    k->gemm[DTYPE_Q4_0] = gemm_direct;
    k->gemm[DTYPE_Q8_0] = gemm_direct;
    k->gemm[DTYPE_Q4_K] = gemm_q4_k;
    k->gemm[DTYPE_Q6_K] = gemm_q6_k;
}
#endif
