// matmul_neon.c - block formats against int8 activations with plain NEON, and plain formats.
//
// Products are summed in 16 bits: bytes up to 31 leave room for eight of them, up to 63 for four,
// signed ones of eight bits for two. x never holds -128.
#include "local/kernels/kernels.h"

#if defined(__aarch64__)
#include "local/kernels/parts.h"
#include "local/kernels/quads_neon.inc"
#include "local/kernels/act_neon.inc"
#define FLOAT_PAIRED_X 0
#define FLOAT_AHEAD 0
#include "local/kernels/float_simd.inc"

#define X_MAX 4
#define WEIGHTS_SIGNED 1
#include "local/kernels/dot_simd.inc"

// Rows 0 and 1 of a vector, and rows 2 and 3.
struct sums16 {
    int16x8_t low, high;
};

INLINE struct sums16 add_product(struct sums16 s, int8x16_t w, int32_t x)
{
    int8x16_t v = vreinterpretq_s8_s32(vdupq_n_s32(x));
    return (struct sums16){vmlal_s8(s.low, vget_low_s8(w), vget_low_s8(v)),
                           vmlal_high_s8(s.high, w, v)};
}

INLINE void products(ints sum[DOT_VECS][X_MAX], const uint8_t *q, const int32_t *words, int nx,
                     int first, int n, enum source source, enum act_form form)
{
    int together = form == ACT_Q8_OFFSET_128 ? 2 : n;
    UNROLL
    for (int v = 0; v < DOT_VECS; v++)
        UNROLL
    for (int g = first; g < first + n; g += together) {
        struct sums16 s[X_MAX];
        UNROLL
        for (int t = 0; t < nx; t++)
            s[t] = (struct sums16){vdupq_n_s16(0), vdupq_n_s16(0)};
        UNROLL
        for (int j = g; j < g + together; j++) {
            int8x16_t w = vreinterpretq_s8_u8(quads_of(q, j, v, source, form));
            UNROLL
            for (int t = 0; t < nx; t++)
                s[t] = add_product(s[t], w, words[j * nx + t]);
        }
        UNROLL
        for (int t = 0; t < nx; t++)
            sum[v][t] =
                vaddq_s32(sum[v][t], vpaddq_s32(vpaddlq_s16(s[t].low), vpaddlq_s16(s[t].high)));
    }
}

void matmul_use_neon(struct kernels *k)
{
    use_act_tiles(k);
    use_float_gemms(k);
    use_dot_gemms(k);
}
#endif
