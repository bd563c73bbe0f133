// emulated_avx2.c - tables of instruction sets that this CPU may lack, on AVX2: the code is theirs
// (the same .inc files), but the one instruction that they add is written out.
#include "emulated.h"

#if defined(__x86_64__)
#include "local/kernels/simd_avx2.inc"
#include "local/kernels/unpack_simd.inc"

// What vpdpbusd means. Products of a pair of bytes in 16 bits need 17, so they are added in 32.
INLINE __m256i dot4(__m256i sum, __m256i w, __m256i x)
{
    const __m256i low = _mm256_set1_epi16(255);
    __m256i even =
        _mm256_madd_epi16(_mm256_and_si256(w, low), _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8));
    __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(w, 8), _mm256_srai_epi16(x, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}

#include "local/kernels/vnni_avx2.inc"

bool emulated_avx2_vnni(struct kernels *k)
{
    if (!(isa_detect() & ISA_AVX2))
        return false;
    kernels_init(k, ISA_AVX2);
    use_vnni_avx2(k);
    k->name = "AVX2 VNNI, emulated";
    return true;
}
#else
bool emulated_avx2_vnni(struct kernels *k)
{
    (void)k;
    return false;
}
#endif
