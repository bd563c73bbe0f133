// halves_avx2.c - rows of 16-bit floats to F32, eight in one instruction.
#include "local/tensor/halves.h"
#if defined(__AVX2__)
#include <immintrin.h>

size_t f16_row_avx2(const void *from, float *out, size_t n)
{
    const __m128i *p = from;
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(p++)));
    return i;
}

size_t bf16_row_avx2(const void *from, float *out, size_t n)
{
    const __m128i *p = from;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(p++));
        _mm256_storeu_ps(out + i, _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16)));
    }
    return i;
}
#endif
