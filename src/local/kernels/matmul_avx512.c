// matmul_avx512.c - plain formats with 512-bit FMA: two panels and up to six rows of x at once.
#include "local/kernels/kernels.h"

#if defined(__x86_64__)
#include "local/kernels/parts.h"
#include "local/kernels/simd_avx512.inc"
#define FLOAT_PAIRED_X 6
#define FLOAT_AHEAD 0
#include "local/kernels/float_simd.inc"

void matmul_use_avx512(struct kernels *k)
{
    use_float_gemms(k);
}
#endif
