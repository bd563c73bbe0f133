// rows_avx2.c - the AVX2 table; functions of rows and attention with 8 floats at once.
#include "local/kernels/kernels.h"

#if defined(__x86_64__)
#include "local/kernels/parts.h"
#include "local/kernels/simd_avx2.inc"
#include "local/kernels/rows_simd.inc"
#include "local/kernels/attention_simd.inc"

void kernels_use_avx2(struct kernels *k)
{
    k->name = "AVX2";
    matmul_use_avx2(k);
    use_rows_simd(k);
    use_attention_simd(k);
}
#endif
