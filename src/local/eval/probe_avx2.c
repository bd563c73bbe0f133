// probe_avx2.c - 8-bit products as 4-bit weights allow them: VPMADDUBSW, sums of eight in 16 bits
// (VPADDW), then VPMADDWD and VPADDD, all in registers. Whole bytes do not fit 16 bits and take
// more instructions: about half of this rate is theirs.
#if defined(__AVX2__)
#include <immintrin.h>

#include "local/eval/probe.h"

enum { CHAINS = 6, IN_16_BITS = 8 };

double probe_int8_avx2(long n, int *sink)
{
    __m256i acc[CHAINS], a = _mm256_set1_epi8(1), one = _mm256_set1_epi16(1);
    __m256i b = _mm256_set1_epi8((char)(*sink | 1));
    long rounds = n / IN_16_BITS;
    for (int i = 0; i < CHAINS; i++)
        acc[i] = _mm256_set1_epi32(i);
    for (long r = 0; r < rounds; r++) {
        __m256i sum[CHAINS];
#pragma GCC unroll 6
        for (int i = 0; i < CHAINS; i++)
            sum[i] = _mm256_setzero_si256();
#pragma GCC unroll 8
        for (int k = 0; k < IN_16_BITS; k++)
#pragma GCC unroll 6
            for (int i = 0; i < CHAINS; i++) {
                __asm__("" : "+x"(b));  // for all that the compiler knows it is another b
                sum[i] = _mm256_add_epi16(sum[i], _mm256_maddubs_epi16(a, b));
                __asm__("" : "+x"(sum[i]));  // and no tree of additions, in memory
            }
#pragma GCC unroll 6
        for (int i = 0; i < CHAINS; i++)
            acc[i] = _mm256_add_epi32(acc[i], _mm256_madd_epi16(sum[i], one));
    }
    for (int i = 1; i < CHAINS; i++)
        acc[0] = _mm256_add_epi32(acc[0], acc[i]);
    *sink = _mm256_extract_epi32(acc[0], 0);
    return (double)rounds * IN_16_BITS * CHAINS * 32 * 2;
}
#else
typedef int no_avx2;
#endif
