// simd_avx512.h - the vector words that the *_simd.h bodies are written in, for AVX-512.
//
// vec: VEC_N floats. rows16: one float of each of a panel's 16 rows. bytes64: four bytes of each of
// the 16 rows. Included only by files compiled for AVX-512 (F, BW, DQ, VL).
#pragma once
#include <immintrin.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline, unused))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

typedef __m512 vec;
enum { VEC_N = 16 };

INLINE vec vec_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
INLINE void vec_store(float *p, vec a)
{
    _mm512_storeu_ps(p, a);
}
// n < VEC_N lanes; the others read as zero and are not written.
INLINE vec vec_load_n(const float *p, int n)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
INLINE void vec_store_n(float *p, vec a, int n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), a);
}
INLINE vec vec_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
INLINE vec vec_load_bf16(const uint16_t *p)
{
    __m512i h = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(h, 16));
}
// E4M3 read as a half with a bias 8 too small, where subnormals survive; 0x7f is its only NaN.
INLINE vec vec_load_f8(const uint8_t *p)
{
    __m128i b = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m256i h = _mm256_slli_epi16(_mm256_cvtepi8_epi16(b), 7);
    __m256i sign = _mm256_set1_epi16((short)0x8000);
    h = _mm256_or_si256(_mm256_andnot_si256(_mm256_set1_epi16((short)0xc000), h),
                        _mm256_and_si256(h, sign));
    __m512 f = _mm512_mul_ps(_mm512_cvtph_ps(h), _mm512_set1_ps(256.0f));
    __mmask16 nan = _mm_cmpeq_epi8_mask(_mm_and_si128(b, _mm_set1_epi8(0x7f)), _mm_set1_epi8(0x7f));
    return _mm512_mask_mov_ps(f, nan, _mm512_set1_ps(__builtin_nanf("")));
}
INLINE void vec_store_f16(uint16_t *p, vec a)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
INLINE vec vec_set1(float a)
{
    return _mm512_set1_ps(a);
}
INLINE vec vec_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}
INLINE vec vec_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}
INLINE vec vec_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}
INLINE vec vec_div(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}
INLINE vec vec_fma(vec a, vec b, vec c)  // a * b + c
{
    return _mm512_fmadd_ps(a, b, c);
}
// The second operand where one of them is NaN.
INLINE vec vec_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}
INLINE vec vec_min(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}
INLINE vec vec_round(vec a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
INLINE vec vec_scale2(vec a, vec n)  // a * 2^n, n whole
{
    return _mm512_scalef_ps(a, n);
}
INLINE vec vec_abs(vec a)
{
    return _mm512_abs_ps(a);
}
INLINE vec vec_sign_of(vec size, vec sign)
{
    const __m512 bit = _mm512_set1_ps(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(bit, size), _mm512_and_ps(bit, sign));
}
// yes where a < b, else no (also for NaN)
INLINE vec vec_if_less(vec a, vec b, vec yes, vec no)
{
    return _mm512_mask_mov_ps(no, _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), yes);
}
// a and b hold pairs in order: firsts and seconds of the 16 pairs.
INLINE void vec_unzip(vec a, vec b, vec *first, vec *second)
{
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    *first = _mm512_permutex2var_ps(a, even, b);
    *second = _mm512_permutex2var_ps(a, _mm512_add_epi32(even, _mm512_set1_epi32(1)), b);
}
INLINE float vec_sum(vec a)
{
    return _mm512_reduce_add_ps(a);
}
INLINE float vec_largest(vec a)
{
    return _mm512_reduce_max_ps(a);
}
// b in lanes from..to - 1 (of this vector), a elsewhere.
INLINE vec vec_pick(vec a, vec b, int from, int to)
{
    from = from < 0 ? 0 : from > 16 ? 16 : from;
    to = to < from ? from : to > 16 ? 16 : to;
    return _mm512_mask_mov_ps(a, (__mmask16)(((1u << to) - 1) & ~((1u << from) - 1)), b);
}

typedef __m512 rows16;

INLINE rows16 rows16_f16(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
INLINE rows16 rows16_u8(__m128i a)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(a));
}
INLINE rows16 rows16_s8(__m128i a)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(a));
}
// 2^(e - 128), the scale of MXFP4 with its doubled values; denormals are zero.
INLINE rows16 rows16_e8m0_half(__m128i e)
{
    __m512i x = _mm512_max_epi32(_mm512_cvtepu8_epi32(e), _mm512_set1_epi32(1));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_sub_epi32(x, _mm512_set1_epi32(1)), 23));
}
INLINE rows16 rows16_mul(rows16 a, rows16 b)
{
    return _mm512_mul_ps(a, b);
}
INLINE rows16 rows16_negative(rows16 a)
{
    return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f));
}
INLINE void rows16_store(float *p, rows16 a)
{
    _mm512_storeu_ps(p, a);
}

typedef __m512i bytes64;

INLINE bytes64 bytes64_load(const uint8_t *p)
{
    return _mm512_loadu_si512(p);
}
INLINE void bytes64_store(uint8_t *p, bytes64 a)
{
    _mm512_storeu_si512(p, a);
}
INLINE bytes64 bytes64_set1(int a)
{
    return _mm512_set1_epi8((char)a);
}
INLINE bytes64 bytes64_and(bytes64 a, bytes64 b)
{
    return _mm512_and_si512(a, b);
}
INLINE bytes64 bytes64_or(bytes64 a, bytes64 b)
{
    return _mm512_or_si512(a, b);
}
INLINE bytes64 bytes64_xor(bytes64 a, bytes64 b)
{
    return _mm512_xor_si512(a, b);
}
INLINE bytes64 bytes64_add(bytes64 a, bytes64 b)
{
    return _mm512_add_epi8(a, b);
}
// Shifts move bits across the bytes of a pair: mask after.
INLINE bytes64 bytes64_shr(bytes64 a, int n)
{
    return _mm512_srli_epi16(a, (unsigned)n);
}
INLINE bytes64 bytes64_shl(bytes64 a, int n)
{
    return _mm512_slli_epi16(a, (unsigned)n);
}
// `value` in bytes that have the bit (or any of the bits) of mask, else 0.
INLINE bytes64 bytes64_if(bytes64 a, bytes64 mask, bytes64 value)
{
    return _mm512_maskz_mov_epi8(_mm512_test_epi8_mask(a, mask), value);
}
INLINE bytes64 bytes64_lookup(__m128i table, bytes64 index)  // index < 16
{
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), index);
}
INLINE bytes64 bytes64_spread(bytes64 a, int byte)  // that byte of each four to all four
{
    __m128i pattern =
        _mm_add_epi8(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12),
                     _mm_set1_epi8((char)byte));
    return _mm512_shuffle_epi8(a, _mm512_broadcast_i32x4(pattern));
}
INLINE bytes64 bytes64_repeat(int four)  // the same four bytes for every row
{
    return _mm512_set1_epi32(four);
}
