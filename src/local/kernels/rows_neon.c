// rows_neon.c - the NEON table; functions of rows and attention with 4 floats at once.
#include "local/kernels/kernels.h"

#if defined(__aarch64__)
#include "local/kernels/parts.h"
#include "local/kernels/simd_neon.inc"
#include "local/kernels/rows_simd.inc"
#include "local/kernels/attention_simd.inc"

void kernels_use_neon(struct kernels *k)
{
    k->name = "NEON";
    matmul_use_neon(k);
    use_rows_simd(k);
    use_attention_simd(k);
}
#endif
