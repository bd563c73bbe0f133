// emulated_amx_avx2.c - the AMX table with what tdpbsud means in plain C; AVX2 for the rest of it.
#include "emulated.h"

#if defined(__x86_64__)
#include "local/kernels/simd_avx2.inc"
#include "local/kernels/unpack_simd.inc"

enum { FEW_X = 4 };

static struct kernels few;  // the emulated AVX2 VNNI table, of which FEW_X is the tile
static int tile_rows, tile_k;

static void tiles_shape(int rows, int k)
{
    tile_rows = rows;
    tile_k = k;
}
static void tiles_product(int32_t *c, const uint8_t *a, const uint8_t *b)
{
    for (int t = 0; t < tile_rows; t++)
        for (int r = 0; r < PANEL_ROWS; r++) {
            int32_t sum = 0;
            for (int i = 0; i < tile_k; i++)
                sum += (int8_t)a[t * 32 + i] * b[i / 4 * 64 + r * 4 + i % 4];
            c[t * PANEL_ROWS + r] = sum;
        }
}
static void tiles_done(void)
{
    tile_rows = tile_k = 0;
}
INLINE vec vec_of_sums(const int32_t *c, int32_t start)
{
    __m256i sums = _mm256_loadu_si256((const __m256i *)(const void *)c);
    return _mm256_cvtepi32_ps(_mm256_add_epi32(sums, _mm256_set1_epi32(start)));
}
static void gemm_few(const struct gemm *g, int first, int n, void *scratch)
{
    few.gemm[g->dtype](g, first, n, scratch);
}

#include "local/kernels/amx.inc"

bool emulated_amx_int8(struct kernels *k)
{
    if (!emulated_avx2_vnni(&few))
        return false;
    *k = few;
    use_amx(k);
    k->name = "AMX int8, emulated";
    return true;
}
#else
bool emulated_amx_int8(struct kernels *k)
{
    (void)k;
    return false;
}
#endif
