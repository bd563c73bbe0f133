// matmul_amx_int8.c - block formats against int8 activations with AMX's tdpbssd, for many rows
// of x.
//
// Tile registers are asked of the system in isa_detect; between kernels they are given back, so
// that a switch of threads need not save them.
#include "local/kernels/kernels.h"

#if defined(__x86_64__)
#include "local/kernels/parts.h"
#include "local/kernels/simd_avx512.inc"
#include "local/kernels/unpack_simd.inc"

enum { FEW_X = 63, FEW_TILE_ROWS = 7 };  // the tiles of AVX-512 VNNI

struct tile_config {
    uint8_t palette, start_row, zero[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};
_Static_assert(sizeof(struct tile_config) == 64, "what ldtilecfg reads");

// Tiles 0 to 3 are products, 4 and 5 of x, 6 and 7 of weights.
INLINE void tiles_shape(int rows)
{
    struct tile_config config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = i == 4 || i == 5 ? 32 : 64;
        config.rows[i] = (uint8_t)(i >= 6 ? 8 : rows);
    }
    __asm__ volatile(""
                     :
                     : "r"(&config)
                     : "memory");  // gcc 12 believes that 8 bytes of it are read
    _tile_loadconfig(&config);
}

#define MULTIPLY(i, tc, ta, tb)                                                                    \
    _tile_zero(tc);                                                                                \
    _tile_loadd(ta, a + (i)*a_step, 32);                                                           \
    _tile_loadd(tb, b + (i)*Q_BLOCK, 64);                                                          \
    _tile_dpbssd(tc, ta, tb)
#define STORE(i, tc) _tile_stored(tc, c + (i)*PRODUCT_INTS, 64)

// Four products are under way at a time: one is stored when three more have been begun.
INLINE void tiles_products(int32_t *c, const uint8_t *a, size_t a_step, const uint8_t *b, int n)
{
    enum { PRODUCT_INTS = 16 * PANEL_ROWS };
    size_t i = 0;
    for (; i + 4 <= (size_t)n; i += 4) {
        MULTIPLY(i, 0, 4, 6);
        if (i)
            STORE(i - 3, 1);
        MULTIPLY(i + 1, 1, 5, 7);
        if (i)
            STORE(i - 2, 2);
        MULTIPLY(i + 2, 2, 4, 6);
        if (i)
            STORE(i - 1, 3);
        MULTIPLY(i + 3, 3, 5, 7);
        STORE(i, 0);
    }
    if (i) {
        STORE(i - 3, 1);
        STORE(i - 2, 2);
        STORE(i - 1, 3);
    }
    for (; i < (size_t)n; i++) {
        MULTIPLY(i, 0, 4, 6);
        STORE(i, 0);
    }
}
INLINE void tiles_done(void)
{
    _tile_release();
}
INLINE vec vec_of_sums(const int32_t *c)
{
    return _mm512_cvtepi32_ps(_mm512_load_si512(c));
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
