// rows_avx512.c - the AVX-512 table; functions of rows and attention with 16 floats at once.
#include "local/kernels/kernels.h"

#if defined(__x86_64__)
#include "local/kernels/parts.h"
#include "local/kernels/simd_avx512.inc"
#include "local/kernels/rows_simd.inc"
#include "local/kernels/attention_simd.inc"

void kernels_use_avx512(struct kernels *k)
{
    k->name = "AVX-512";
    matmul_use_avx512(k);
    use_rows_simd(k);
    use_attention_simd(k);
}
#endif
