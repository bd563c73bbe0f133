// matmul_amx_int8.c - block formats against int8 activations with AMX's tdpbsud, for many rows of
// x.
//
// Tile registers are asked of the system in isa_detect; between kernels they are given back, so
// that a switch of threads need not save them.
#include "local/kernels/kernels.h"

#if defined(__x86_64__)
#include "local/kernels/parts.h"
#include "local/kernels/simd_avx512.inc"
#include "local/kernels/unpack_simd.inc"

enum { FEW_X = 7 };  // as many rows as one tile of AVX-512 VNNI takes

struct tile_config {
    uint8_t palette, start_row, zero[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};
_Static_assert(sizeof(struct tile_config) == 64, "what ldtilecfg reads");

INLINE void tiles_shape(int rows, int k)
{
    struct tile_config config = {.palette = 1,
                                 .row_bytes = {64, (uint16_t)k, 64},
                                 .rows = {(uint8_t)rows, (uint8_t)rows, (uint8_t)(k / 4)}};
    __asm__ volatile(""
                     :
                     : "r"(&config)
                     : "memory");  // gcc 12 believes that 8 bytes of it are read
    _tile_loadconfig(&config);
}
INLINE void tiles_product(int32_t *c, const uint8_t *a, const uint8_t *b)
{
    _tile_zero(0);
    _tile_loadd(1, a, 32);
    _tile_loadd(2, b, 64);
    _tile_dpbsud(0, 1, 2);
    _tile_stored(0, c, 64);
}
INLINE void tiles_done(void)
{
    _tile_release();
}
INLINE vec vec_of_sums(const int32_t *c, int32_t start)
{
    return _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_loadu_si512(c), _mm512_set1_epi32(start)));
}
INLINE void gemm_few(const struct gemm *g, int first, int n, void *scratch)
{
    gemm_avx512_vnni(g, first, n, scratch);
}

#include "local/kernels/amx.inc"

void kernels_use_amx_int8(struct kernels *k)
{
    k->name = "AMX int8";
    use_amx(k);
}
#endif
