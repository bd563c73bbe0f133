// matmul_neon_dotprod.c - block formats against int8 activations with sdot: four products of each
// of four rows at once.
#include "local/kernels/kernels.h"

#if defined(__aarch64__)
#include "local/kernels/quads_neon.inc"

#define X_MAX 6
#define WEIGHTS_SIGNED 1
#include "local/kernels/dot_simd.inc"

// n words of x, one a lane; the other lanes do not matter.
INLINE int32x4_t load_words(const int32_t *p, int n)
{
    if (n == 1)
        return vld1q_dup_s32(p);
    if (n == 2)
        return vcombine_s32(vld1_s32(p), vdup_n_s32(0));
    return n == 3 ? vcombine_s32(vld1_s32(p), vld1_dup_s32(p + 2)) : vld1q_s32(p);
}

INLINE ints dot_lane(ints sum, int8x16_t w, int32x4_t words, int lane)
{
    int8x16_t x = vreinterpretq_s8_s32(words);
    switch (lane) {
    case 0: return vdotq_laneq_s32(sum, w, x, 0);
    case 1: return vdotq_laneq_s32(sum, w, x, 1);
    case 2: return vdotq_laneq_s32(sum, w, x, 2);
    default: return vdotq_laneq_s32(sum, w, x, 3);
    }
}

INLINE void products(ints sum[DOT_VECS][X_MAX], const uint8_t *q, const int32_t *words, int nx,
                     int first, int n, enum source source, enum act_form form)
{
    UNROLL
    for (int j = first; j < first + n; j++) {
        int32x4_t x[2];
        x[0] = load_words(words + j * nx, nx < 4 ? nx : 4);
        x[1] = nx > 4 ? load_words(words + j * nx + 4, nx - 4) : x[0];
        UNROLL
        for (int v = 0; v < DOT_VECS; v++) {
            int8x16_t w = vreinterpretq_s8_u8(quads_of(q, j, v, source, form));
            UNROLL
            for (int t = 0; t < nx; t++)
                sum[v][t] = dot_lane(sum[v][t], w, x[t / 4], t % 4);
        }
    }
}

void kernels_use_neon_dotprod(struct kernels *k)
{
    k->name = "NEON dotprod";
    use_dot_gemms(k);
}
#endif
