// matmul_avx2_vnni.c - block formats against int8 activations with the 256-bit vpdpbusd of CPUs
// without AVX-512 (AVX-VNNI); plain formats, rows and attention stay AVX2's.
#include "local/kernels/kernels.h"

#if defined(__x86_64__)
#include "local/kernels/simd_avx2.inc"
#include "local/kernels/unpack_simd.inc"

INLINE __m256i dot4(__m256i sum, __m256i w, __m256i x)
{
    return _mm256_dpbusd_avx_epi32(sum, w, x);
}

#include "local/kernels/vnni_avx2.inc"

void kernels_use_avx2_vnni(struct kernels *k)
{
    use_vnni_avx2(k);
}
#endif
