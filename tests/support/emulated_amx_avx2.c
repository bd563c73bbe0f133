// emulated_amx_avx2.c - the AMX table with what tdpbssd means in plain C; AVX2 for the
// rest of it.
#include "emulated.h"

#if defined(__x86_64__)
#include "local/kernels/simd_avx2.inc"
#include "local/kernels/unpack_simd.inc"

enum { FEW_X = 20, FEW_TILE_ROWS = 4 };

static struct kernels few;  // the emulated AVX2 VNNI table, of which FEW_TILE_ROWS is the tile
static int tile_rows;

static void tiles_shape(int rows)
{
    tile_rows = rows;
}
static int32_t product(const uint8_t *a, const uint8_t *b)
{
    int32_t sum = 0;
    for (int i = 0; i < 32; i++)
        sum += (int8_t)a[i] * (int8_t)b[i / 4 * 64 + i % 4];
    return sum;
}
static void tiles_products(int32_t *c, const uint8_t *a, size_t a_step, const uint8_t *b, int n)
{
    for (int i = 0; i < n; i++, a += a_step, b += Q_BLOCK, c += 16 * PANEL_ROWS)
        for (int t = 0; t < tile_rows; t++)
            for (int r = 0; r < PANEL_ROWS; r++)
                c[t * PANEL_ROWS + r] = product(a + t * 32, b + r * 4);
}
static void tiles_done(void)
{
    tile_rows = 0;
}
INLINE vec vec_of_sums(const int32_t *c)
{
    return _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)(const void *)c));
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
