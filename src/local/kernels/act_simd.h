// act_simd.h - rows of x to the tiles that kernels take, with AVX2 (also used by AVX-512).
//
// The int8 numbers are those of the scalar function (matmul_scalar.c): the largest magnitude of 32
// floats becomes 127, rounded to nearest even; a NaN or infinity makes the scale NaN.
#include <string.h>

#include "local/kernels/kernels.h"

struct q8_block {
    __m256i q;  // 32 int8 in order
    float d;
    int sum0, sum1;  // of the halves
};

INLINE int sum_of_8(__m128i two_longs)
{
    return _mm_cvtsi128_si32(_mm_add_epi32(two_longs, _mm_unpackhi_epi64(two_longs, two_longs)));
}

INLINE struct q8_block quantize_32(const float *x)
{
    struct q8_block r = {.q = _mm256_setzero_si256()};
    const __m256i size_mask = _mm256_set1_epi32(0x7fffffff);
    __m256 v[4];
    __m256i m = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++) {
        v[i] = _mm256_loadu_ps(x + 8 * i);
        // As integers, magnitudes keep their order, and infinities and NaN are the largest.
        m = _mm256_max_epi32(m, _mm256_and_si256(_mm256_castps_si256(v[i]), size_mask));
    }
    __m128i h = _mm_max_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
    h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0x4e));
    h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0xb1));
    int bits = _mm_cvtsi128_si32(h);
    if (bits >= 0x7f800000) {
        r.d = __builtin_nanf("");
        return r;
    }
    float largest = _mm_cvtss_f32(_mm_castsi128_ps(h));
    if (largest < 1e-30f)
        return r;
    __m256 inverse = _mm256_set1_ps(127.0f / largest);
    __m256i i0 = _mm256_cvtps_epi32(_mm256_mul_ps(v[0], inverse));
    __m256i i1 = _mm256_cvtps_epi32(_mm256_mul_ps(v[1], inverse));
    __m256i i2 = _mm256_cvtps_epi32(_mm256_mul_ps(v[2], inverse));
    __m256i i3 = _mm256_cvtps_epi32(_mm256_mul_ps(v[3], inverse));
    __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(i0, i1), _mm256_packs_epi32(i2, i3));
    r.q = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    r.d = largest / 127.0f;
    // Unsigned sums of bytes + 128, less what that added.
    __m256i sums = _mm256_sad_epu8(_mm256_xor_si256(r.q, _mm256_set1_epi8((char)0x80)),
                                   _mm256_setzero_si256());
    r.sum0 = sum_of_8(_mm256_castsi256_si128(sums)) - 16 * 128;
    r.sum1 = sum_of_8(_mm256_extracti128_si256(sums, 1)) - 16 * 128;
    return r;
}

INLINE void act_tile_q8(void *tile, const float *x, size_t x_stride, int n, int cols,
                        enum act_form form)
{
    size_t header = (size_t)act_header_words(form), nx = (size_t)n;
    for (size_t t = 0; t < nx; t++) {
        uint32_t *at = (uint32_t *)tile + t;
        const float *row = x + t * x_stride;
        for (int b = 0; b < cols / 32; b++, at += (header + 8) * nx, row += 32) {
            struct q8_block r = quantize_32(row);
            uint32_t words[8];
            _mm256_storeu_si256((__m256i *)(void *)words, r.q);
            for (size_t j = 0; j < 8; j++)
                at[(header + j) * nx] = words[j];
            memcpy(at, &r.d, 4);
            float f0 = r.d * (float)(form == ACT_Q8_MIN ? r.sum0 + r.sum1 : r.sum0);
            float f1 = r.d * (float)r.sum1;
            switch (form) {
            case ACT_Q8_OFFSET_8: at[nx] = (uint32_t)(-8 * (r.sum0 + r.sum1)); break;
            case ACT_Q8_OFFSET_16: at[nx] = (uint32_t)(-16 * (r.sum0 + r.sum1)); break;
            case ACT_Q8_OFFSET_128: at[nx] = (uint32_t)(-128 * (r.sum0 + r.sum1)); break;
            case ACT_Q8_HALF:
                at[nx] = (uint32_t)(-32 * r.sum0);
                at[2 * nx] = (uint32_t)(-32 * r.sum1);
                break;
            case ACT_Q8_HALF_MIN:
                memcpy(at + 2 * nx, &f1, 4);
                memcpy(at + nx, &f0, 4);
                break;
            case ACT_Q8_MIN: memcpy(at + nx, &f0, 4); break;
            case ACT_F32:
            case ACT_FORM_COUNT: break;
            }
        }
    }
}

#define ACT_TILE(name, form)                                                                       \
    static void name(void *tile, const float *x, size_t x_stride, int n, int cols)                 \
    {                                                                                              \
        act_tile_q8(tile, x, x_stride, n, cols, form);                                             \
    }
ACT_TILE(tile_offset_8, ACT_Q8_OFFSET_8)
ACT_TILE(tile_offset_16, ACT_Q8_OFFSET_16)
ACT_TILE(tile_offset_128, ACT_Q8_OFFSET_128)
ACT_TILE(tile_min, ACT_Q8_MIN)
ACT_TILE(tile_half, ACT_Q8_HALF)
ACT_TILE(tile_half_min, ACT_Q8_HALF_MIN)
