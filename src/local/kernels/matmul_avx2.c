// matmul_avx2.c - block formats against int8 activations with vpmaddubsw, and plain formats with
// FMA.
//
// One panel (16 rows of W, two registers) and up to four rows of x at once. vpmaddubsw adds pairs
// in 16 bits and saturates: bytes up to 15 leave room for eight such sums, up to 31 for four, up
// to 63 for two; whole bytes take the sign of the weight over to x and stand alone.
#include "local/kernels/kernels.h"

#if defined(__x86_64__)
#include "local/kernels/parts.h"
#include "local/kernels/simd_avx2.inc"
#include "local/kernels/act_simd.inc"
#include "local/kernels/unpack_simd.inc"
#define FLOAT_TWO_PANELS 0
#include "local/kernels/float_simd.inc"

enum { X_MAX = 4, PAIR = 1, CHUNK = 512 / 32, ASK_AHEAD = 0 };

struct weights {
    const uint8_t *q[PAIR + 1];
    const float *s[PAIR + 1];
    int n_blocks;
};

// Products of four columns with a row of x, as 16-bit pairs.
INLINE __m256i pairs(__m256i w, int32_t x, bool whole_bytes)
{
    __m256i v = _mm256_set1_epi32(x);
    if (whole_bytes) {
        w = _mm256_xor_si256(w, _mm256_set1_epi8((char)0x80));
        return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(v, w));
    }
    return _mm256_maddubs_epi16(w, v);
}

// Vectors first .. first + n - 1 of a block, `together` of them summed in 16 bits.
INLINE void products(__m256i sum[2][X_MAX], const uint8_t *q, const int32_t *words, int nx,
                     int first, int n, int together, bool whole_bytes)
{
    const __m256i ones = _mm256_set1_epi16(1);
    const __m256i *v = (const __m256i *)(const void *)q;
    UNROLL
    for (int r = 0; r < 2; r++)
        UNROLL
    for (int t = 0; t < nx; t++)
        UNROLL
    for (int g = first; g < first + n; g += together) {
        __m256i s = _mm256_setzero_si256();
        UNROLL
        for (int j = g; j < g + together; j++)
            s = _mm256_add_epi16(
                s, pairs(_mm256_loadu_si256(v + 2 * j + r), words[j * nx + t], whole_bytes));
        sum[r][t] = _mm256_add_epi32(sum[r][t], _mm256_madd_epi16(s, ones));
    }
}

INLINE void kernel(float *acc, const struct weights *w, const uint8_t *act, int from, int n, int nx,
                   enum act_form form)
{
    bool halves = form == ACT_Q8_HALF || form == ACT_Q8_HALF_MIN;
    bool minima = form == ACT_Q8_MIN || form == ACT_Q8_HALF_MIN;
    bool whole = form == ACT_Q8_OFFSET_128;
    int together = form == ACT_Q8_OFFSET_8 ? 8 : form == ACT_Q8_HALF ? 2 : whole ? 1 : 4;
    int n_halves = halves ? 2 : 1, header = 1 + n_halves, n_s = n_halves * (minima ? 2 : 1);
    __m256 f[2][X_MAX];
    UNROLL
    for (int t = 0; t < nx; t++) {
        f[0][t] = _mm256_loadu_ps(acc + 16 * t);
        f[1][t] = _mm256_loadu_ps(acc + 16 * t + 8);
    }
    for (int b = 0; b < n; b++) {
        const uint8_t *block = act + (size_t)(from + b) * (size_t)(header + 8) * (size_t)nx * 4;
        const float *d = (const float *)(const void *)block;
        const int32_t *start = (const int32_t *)(const void *)block + nx;
        const int32_t *words = (const int32_t *)(const void *)block + header * nx;
        UNROLL
        for (int h = 0; h < n_halves; h++) {
            __m256i sum[2][X_MAX];
            UNROLL
            for (int t = 0; t < nx; t++)
                sum[0][t] = sum[1][t] =
                    minima || whole ? _mm256_setzero_si256() : _mm256_set1_epi32(start[h * nx + t]);
            products(sum, w->q[0] + (size_t)b * Q_BLOCK, words, nx, halves ? 4 * h : 0,
                     halves ? 4 : 8, together, whole);
            const float *s = w->s[0] + ((size_t)b * (size_t)n_s + (size_t)h) * 16;
            UNROLL
            for (int r = 0; r < 2; r++)
                UNROLL
            for (int t = 0; t < nx; t++) {
                __m256 scale = _mm256_mul_ps(_mm256_loadu_ps(s + 8 * r), _mm256_set1_ps(d[t]));
                f[r][t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[r][t]), scale, f[r][t]);
                if (minima)
                    f[r][t] = _mm256_fmadd_ps(_mm256_loadu_ps(s + 16 * n_halves + 8 * r),
                                              _mm256_set1_ps(d[(h + 1) * nx + t]), f[r][t]);
            }
        }
    }
    UNROLL
    for (int t = 0; t < nx; t++) {
        _mm256_storeu_ps(acc + 16 * t, f[0][t]);
        _mm256_storeu_ps(acc + 16 * t + 8, f[1][t]);
    }
}

typedef void (*kernel_fn)(float *acc, const struct weights *w, const uint8_t *act, int from, int n);

#define KERNEL(form, nx)                                                                           \
    static void form##_##nx(float *acc, const struct weights *w, const uint8_t *act, int from,     \
                            int n)                                                                 \
    {                                                                                              \
        kernel(acc, w, act, from, n, nx, form);                                                    \
    }
#define KERNELS(form) KERNEL(form, 1) KERNEL(form, 2) KERNEL(form, 3) KERNEL(form, 4)
KERNELS(ACT_Q8_OFFSET_8)
KERNELS(ACT_Q8_OFFSET_16)
KERNELS(ACT_Q8_OFFSET_128)
KERNELS(ACT_Q8_MIN)
KERNELS(ACT_Q8_HALF)
KERNELS(ACT_Q8_HALF_MIN)

#define ROW(form) [form] = {form##_1, form##_2, form##_3, form##_4}
static const kernel_fn kernels_by_form[ACT_FORM_COUNT][X_MAX] = {
    ROW(ACT_Q8_OFFSET_8), ROW(ACT_Q8_OFFSET_16), ROW(ACT_Q8_OFFSET_128),
    ROW(ACT_Q8_MIN),      ROW(ACT_Q8_HALF),      ROW(ACT_Q8_HALF_MIN),
};

#include "local/kernels/gemm_q8.inc"

static kernel_fn kernel_of(enum dtype type, int np, int nx)
{
    (void)np;
    return kernels_by_form[act_form_of(type)][nx - 1];
}

void act_use_sums(struct kernels *k)
{
    k->act_tile[ACT_Q8_OFFSET_8] = tile_offset_8;
    k->act_tile[ACT_Q8_OFFSET_16] = tile_offset_16;
    k->act_tile[ACT_Q8_OFFSET_128] = tile_offset_128;
    k->act_tile[ACT_Q8_MIN] = tile_min;
    k->act_tile[ACT_Q8_HALF] = tile_half;
    k->act_tile[ACT_Q8_HALF_MIN] = tile_half_min;
}

void matmul_use_avx2(struct kernels *k)
{
    act_use_sums(k);
    use_float_gemms(k);
    for (int f = ACT_F32 + 1; f < ACT_FORM_COUNT; f++)
        k->tile_rows[f] = X_MAX;
    for (int t = 0; t < DTYPE_COUNT; t++)
        if (unpackers[t])
            k->gemm[t] = gemm_unpacked;
}
#endif
