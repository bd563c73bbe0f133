// probe_avx512_vnni.c - 8-bit products by VPDPBUSD, all in registers.
#if defined(__AVX512VNNI__)
#include <immintrin.h>

#include "local/eval/probe.h"

enum { CHAINS = 16 };

double probe_int8_avx512_vnni(long n, int *sink)
{
    __m512i acc[CHAINS], a = _mm512_set1_epi8((char)(*sink | 1)), b = _mm512_set1_epi8(3);
    for (int i = 0; i < CHAINS; i++)
        acc[i] = _mm512_set1_epi32(i);
    for (long r = 0; r < n; r++) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++)
            acc[i] = _mm512_dpbusd_epi32(acc[i], a, b);
    }
    for (int i = 1; i < CHAINS; i++)
        acc[0] = _mm512_add_epi32(acc[0], acc[i]);
    *sink = _mm_cvtsi128_si32(_mm512_castsi512_si128(acc[0]));
    return (double)n * CHAINS * 64 * 2;
}
#else
typedef int no_avx512_vnni;
#endif
