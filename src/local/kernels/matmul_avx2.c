// matmul_avx2.c - block formats against int8 activations with vpmaddubsw, and plain formats with
// FMA.
//
// One panel (16 rows of W, two registers) and up to four rows of x at once: eight accumulators of
// 16-bit sums (dot_avx2.inc), two weights, a broadcast. Float sums wait in memory, which the
// nearest cache gives in time. Few rows of x take the weights straight from their panels; for more
// a panel is unpacked once. Four to eight rows of x have a kernel of their own with Q6_K.
#include "local/kernels/kernels.h"

#if defined(__x86_64__)
#include "local/kernels/parts.h"
#include "local/kernels/simd_avx2.inc"
#include "local/kernels/act_simd.inc"
#include "local/kernels/unpack_simd.inc"
#define FLOAT_PAIRED_X 2
#define FLOAT_AHEAD 2304
#include "local/kernels/float_simd.inc"

enum { X_MAX = 4, FEW_TILES = 2 };

#include "local/kernels/sources_avx2.inc"
#include "local/kernels/panels_avx2.inc"
#include "local/kernels/dot_avx2.inc"
#include "local/kernels/eight_x_avx2.inc"

void matmul_use_avx2(struct kernels *k)
{
    use_act_tiles(k, true);
    use_float_gemms(k);
    use_panel_gemms(k);
    k->gemm[DTYPE_Q6_K] = gemm_q6_k;
}

void act_use_sums(struct kernels *k)
{
    use_act_tiles(k, false);
}
#endif
