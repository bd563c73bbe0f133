// matmul_neon_i8mm.c - block formats against int8 activations with usmmla: eight products of two
// rows of W with two rows of x at once; usdot for an odd last row of x.
#include "local/kernels/kernels.h"

#if defined(__aarch64__)
#include "local/kernels/quads_neon.inc"

#define X_MAX 6
#define WEIGHTS_SIGNED 0
#include "local/kernels/dot_simd.inc"

// Two words of two rows of x: those of the first row, then those of the second.
INLINE int8x16_t two_rows(const int32_t *words, int nx)
{
    int32x2x2_t z = vzip_s32(vld1_s32(words), vld1_s32(words + nx));
    return vreinterpretq_s8_s32(vcombine_s32(z.val[0], z.val[1]));
}
// Two words of four rows of W, to two such pairs of rows.
INLINE uint8x16_t first_rows(quads a, quads b)
{
    return vreinterpretq_u8_u32(vzip1q_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)));
}
INLINE uint8x16_t last_rows(quads a, quads b)
{
    return vreinterpretq_u8_u32(vzip2q_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)));
}
INLINE ints dot(ints sum, quads w, int32_t word)
{
    return vusdotq_s32(sum, w, vreinterpretq_s8_s32(vdupq_n_s32(word)));
}

INLINE void products(ints sum[DOT_VECS][X_MAX], const uint8_t *q, const int32_t *words, int nx,
                     int first, int n, enum source source, enum act_form form)
{
    // Of rows 0 and 1, and of rows 2 and 3: each [row of W][row of x].
    ints pair[DOT_VECS][2][X_MAX / 2];
    UNROLL
    for (int v = 0; v < DOT_VECS; v++)
        UNROLL
    for (int p = 0; p < nx / 2; p++)
        pair[v][0][p] = pair[v][1][p] = vdupq_n_s32(0);
    UNROLL
    for (int j = first; j < first + n; j += 2) {
        const int32_t *at = words + j * nx;
        UNROLL
        for (int v = 0; v < DOT_VECS; v++) {
            quads a = quads_of(q, j, v, source, form), b = quads_of(q, j + 1, v, source, form);
            UNROLL
            for (int p = 0; p < nx / 2; p++) {
                int8x16_t x = two_rows(at + 2 * p, nx);
                pair[v][0][p] = vusmmlaq_s32(pair[v][0][p], first_rows(a, b), x);
                pair[v][1][p] = vusmmlaq_s32(pair[v][1][p], last_rows(a, b), x);
            }
            if (nx % 2)
                sum[v][nx - 1] = dot(dot(sum[v][nx - 1], a, at[nx - 1]), b, at[2 * nx - 1]);
        }
    }
    UNROLL
    for (int v = 0; v < DOT_VECS; v++)
        UNROLL
    for (int p = 0; p < nx / 2; p++) {
        ints low = pair[v][0][p], high = pair[v][1][p];
        sum[v][2 * p] = vaddq_s32(sum[v][2 * p], vuzp1q_s32(low, high));
        sum[v][2 * p + 1] = vaddq_s32(sum[v][2 * p + 1], vuzp2q_s32(low, high));
    }
}

void kernels_use_neon_i8mm(struct kernels *k)
{
    k->name = "NEON i8mm";
    use_dot_gemms(k);
}
#endif
