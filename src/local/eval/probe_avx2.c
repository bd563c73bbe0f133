// probe_avx2.c - 8-bit products by VPMADDUBSW, VPMADDWD and VPADDD, all in registers.
#if defined(__AVX2__)
#include <immintrin.h>

#include "local/eval/probe.h"

enum { CHAINS = 8 };

double probe_int8_avx2(long n, int *sink)
{
    __m256i acc[CHAINS], a = _mm256_set1_epi8((char)(*sink | 1)), one = _mm256_set1_epi16(1);
    for (int i = 0; i < CHAINS; i++)
        acc[i] = _mm256_set1_epi32(i);
    for (long r = 0; r < n; r++)
        for (int i = 0; i < CHAINS; i++) {
            __m256i products = _mm256_maddubs_epi16(a, acc[i]);
            acc[i] = _mm256_add_epi32(acc[i], _mm256_madd_epi16(products, one));
        }
    for (int i = 1; i < CHAINS; i++)
        acc[0] = _mm256_add_epi32(acc[0], acc[i]);
    *sink = _mm256_extract_epi32(acc[0], 0);
    return (double)n * CHAINS * 32 * 2;
}
#else
typedef int no_avx2;
#endif
