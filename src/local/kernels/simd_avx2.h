// simd_avx2.h - the vector words that the *_simd.h bodies are written in, for AVX2.
//
// vec: VEC_N floats. rows16: one float of each of a panel's 16 rows. bytes64: four bytes of each of
// the 16 rows. Included only by files compiled for AVX2, FMA and F16C.
#pragma once
#include <immintrin.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline, unused))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

typedef __m256 vec;
enum { VEC_N = 8 };

INLINE vec vec_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
INLINE void vec_store(float *p, vec a)
{
    _mm256_storeu_ps(p, a);
}
INLINE __m256i lanes_below(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
// n < VEC_N lanes; the others read as zero and are not written.
INLINE vec vec_load_n(const float *p, int n)
{
    return _mm256_maskload_ps(p, lanes_below(n));
}
INLINE void vec_store_n(float *p, vec a, int n)
{
    _mm256_maskstore_ps(p, lanes_below(n), a);
}
INLINE vec vec_load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
INLINE vec vec_load_bf16(const uint16_t *p)
{
    __m256i h = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(h, 16));
}
// E4M3 read as a half with a bias 8 too small, where subnormals survive; 0x7f is its only NaN.
INLINE vec vec_load_f8(const uint8_t *p)
{
    __m128i b = _mm_loadl_epi64((const __m128i *)(const void *)p), wide = _mm_cvtepi8_epi16(b);
    __m128i h = _mm_slli_epi16(wide, 7);
    h = _mm_or_si128(_mm_andnot_si128(_mm_set1_epi16((short)0xc000), h),
                     _mm_and_si128(h, _mm_set1_epi16((short)0x8000)));
    __m256 f = _mm256_mul_ps(_mm256_cvtph_ps(h), _mm256_set1_ps(256.0f));
    __m128i size = _mm_and_si128(wide, _mm_set1_epi16(0x7f));
    __m256i nan = _mm256_cvtepi16_epi32(_mm_cmpeq_epi16(size, _mm_set1_epi16(0x7f)));
    return _mm256_or_ps(f, _mm256_castsi256_ps(nan));
}
INLINE void vec_store_f16(uint16_t *p, vec a)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
INLINE vec vec_set1(float a)
{
    return _mm256_set1_ps(a);
}
INLINE vec vec_add(vec a, vec b)
{
    return _mm256_add_ps(a, b);
}
INLINE vec vec_sub(vec a, vec b)
{
    return _mm256_sub_ps(a, b);
}
INLINE vec vec_mul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}
INLINE vec vec_div(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}
INLINE vec vec_fma(vec a, vec b, vec c)  // a * b + c
{
    return _mm256_fmadd_ps(a, b, c);
}
// The second operand where one of them is NaN.
INLINE vec vec_max(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}
INLINE vec vec_min(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}
INLINE vec vec_round(vec a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// a * 2^n, n whole and at least -126; below that the result is zero. In two steps, since 2^128
// is no float.
INLINE vec vec_scale2(vec a, vec n)
{
    __m256i whole = _mm256_cvtps_epi32(n);
    __m256i half = _mm256_srai_epi32(whole, 1), rest = _mm256_sub_epi32(whole, half);
    __m256i bias = _mm256_set1_epi32(127);
    __m256 x = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    __m256 y = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
    return _mm256_mul_ps(_mm256_mul_ps(a, x), y);
}
INLINE vec vec_abs(vec a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
INLINE vec vec_sign_of(vec size, vec sign)
{
    const __m256 bit = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(bit, size), _mm256_and_ps(bit, sign));
}
// yes where a < b, else no (also for NaN)
INLINE vec vec_if_less(vec a, vec b, vec yes, vec no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
// a and b hold pairs in order: firsts and seconds of the 8 pairs.
INLINE void vec_unzip(vec a, vec b, vec *first, vec *second)
{
    __m256 x = _mm256_shuffle_ps(a, b, 0x88), y = _mm256_shuffle_ps(a, b, 0xdd);
    *first = _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(x), 0xd8));
    *second = _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(y), 0xd8));
}
INLINE float vec_sum(vec a)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
INLINE float vec_largest(vec a)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
// b in lanes from..to - 1 (of this vector), a elsewhere.
INLINE vec vec_pick(vec a, vec b, int from, int to)
{
    __m256i inside = _mm256_andnot_si256(lanes_below(from), lanes_below(to));
    return _mm256_blendv_ps(a, b, _mm256_castsi256_ps(inside));
}

typedef struct {
    __m256 low, high;
} rows16;

INLINE rows16 rows16_f16(const uint8_t *p)
{
    const __m128i *h = (const __m128i *)(const void *)p;
    return (rows16){_mm256_cvtph_ps(_mm_loadu_si128(h)), _mm256_cvtph_ps(_mm_loadu_si128(h + 1))};
}
INLINE rows16 rows16_u8(__m128i a)
{
    return (rows16){_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(a)),
                    _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(a, 8)))};
}
INLINE rows16 rows16_s8(__m128i a)
{
    return (rows16){_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(a)),
                    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(a, 8)))};
}
INLINE __m256 e8m0_half(__m128i e)
{
    const __m256i one = _mm256_set1_epi32(1);
    __m256i x = _mm256_max_epi32(_mm256_cvtepu8_epi32(e), one);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_sub_epi32(x, one), 23));
}
// 2^(e - 128), the scale of MXFP4 with its doubled values; denormals are zero.
INLINE rows16 rows16_e8m0_half(__m128i e)
{
    return (rows16){e8m0_half(e), e8m0_half(_mm_srli_si128(e, 8))};
}
INLINE rows16 rows16_mul(rows16 a, rows16 b)
{
    return (rows16){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
INLINE rows16 rows16_negative(rows16 a)
{
    const __m256 bit = _mm256_set1_ps(-0.0f);
    return (rows16){_mm256_xor_ps(a.low, bit), _mm256_xor_ps(a.high, bit)};
}
INLINE void rows16_store(float *p, rows16 a)
{
    _mm256_storeu_ps(p, a.low);
    _mm256_storeu_ps(p + 8, a.high);
}

typedef struct {
    __m256i low, high;
} bytes64;

INLINE bytes64 bytes64_load(const uint8_t *p)
{
    const __m256i *v = (const __m256i *)(const void *)p;
    return (bytes64){_mm256_loadu_si256(v), _mm256_loadu_si256(v + 1)};
}
INLINE void bytes64_store(uint8_t *p, bytes64 a)
{
    __m256i *v = (__m256i *)(void *)p;
    _mm256_storeu_si256(v, a.low);
    _mm256_storeu_si256(v + 1, a.high);
}
#define BOTH(f, a, b) ((bytes64){f((a).low, (b).low), f((a).high, (b).high)})
INLINE bytes64 bytes64_set1(int a)
{
    __m256i v = _mm256_set1_epi8((char)a);
    return (bytes64){v, v};
}
INLINE bytes64 bytes64_and(bytes64 a, bytes64 b)
{
    return BOTH(_mm256_and_si256, a, b);
}
INLINE bytes64 bytes64_or(bytes64 a, bytes64 b)
{
    return BOTH(_mm256_or_si256, a, b);
}
INLINE bytes64 bytes64_xor(bytes64 a, bytes64 b)
{
    return BOTH(_mm256_xor_si256, a, b);
}
INLINE bytes64 bytes64_add(bytes64 a, bytes64 b)
{
    return BOTH(_mm256_add_epi8, a, b);
}
// Shifts move bits across the bytes of a pair: mask after.
INLINE bytes64 bytes64_shr(bytes64 a, int n)
{
    return (bytes64){_mm256_srli_epi16(a.low, n), _mm256_srli_epi16(a.high, n)};
}
INLINE bytes64 bytes64_shl(bytes64 a, int n)
{
    return (bytes64){_mm256_slli_epi16(a.low, n), _mm256_slli_epi16(a.high, n)};
}
// `value` in bytes that have the bit of mask (one bit in each byte), else 0.
INLINE bytes64 bytes64_if(bytes64 a, bytes64 mask, bytes64 value)
{
    bytes64 has = bytes64_and(a, mask);
    return bytes64_and(BOTH(_mm256_cmpeq_epi8, has, mask), value);
}
INLINE bytes64 bytes64_lookup(__m128i table, bytes64 index)  // index < 16
{
    __m256i both = _mm256_broadcastsi128_si256(table);
    return (bytes64){_mm256_shuffle_epi8(both, index.low), _mm256_shuffle_epi8(both, index.high)};
}
INLINE bytes64 bytes64_spread(bytes64 a, int byte)  // that byte of each four to all four
{
    __m128i pattern =
        _mm_add_epi8(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12),
                     _mm_set1_epi8((char)byte));
    __m256i both = _mm256_broadcastsi128_si256(pattern);
    return (bytes64){_mm256_shuffle_epi8(a.low, both), _mm256_shuffle_epi8(a.high, both)};
}
INLINE bytes64 bytes64_repeat(int four)  // the same four bytes for every row
{
    __m256i v = _mm256_set1_epi32(four);
    return (bytes64){v, v};
}
