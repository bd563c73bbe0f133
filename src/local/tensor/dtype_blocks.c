// Reading of block formats, one function a format, in the order of enum dtype.
//
// A block is read as bytes, never through a struct: rows in a file have no alignment. Products and
// sums stand in ggml's order, so that the floats are the same bit for bit.
// Source: ggml-common.h for the layouts; tests/golden/data/dequantize.txt checks every format.
#include "local/tensor/dtype_blocks.h"

#include <stdint.h>
#include <string.h>

#include "local/tensor/dtype.h"

enum { QK = 32, QK_K = 256, SCALES_K_BYTES = 12 };

static float f16_at(const unsigned char *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return f16_to_f32(h);
}

static uint32_t u32_at(const unsigned char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

// In formats of 32 values, byte i holds value i in its low nibble and value i + 16 in its high one.
void q4_0_to_f32(const unsigned char *b, float *y)
{
    float d = f16_at(b);
    for (int i = 0; i < QK / 2; i++) {
        y[i] = d * (float)((b[2 + i] & 15) - 8);
        y[i + QK / 2] = d * (float)((b[2 + i] >> 4) - 8);
    }
}

void q4_1_to_f32(const unsigned char *b, float *y)
{
    float d = f16_at(b), m = f16_at(b + 2);
    for (int i = 0; i < QK / 2; i++) {
        y[i] = d * (float)(b[4 + i] & 15) + m;
        y[i + QK / 2] = d * (float)(b[4 + i] >> 4) + m;
    }
}

// The fifth bits of 32 values stand together in one word, value i in bit i.
void q5_0_to_f32(const unsigned char *b, float *y)
{
    float d = f16_at(b);
    uint32_t high = u32_at(b + 2);
    for (int i = 0; i < QK / 2; i++) {
        int low = (int)(high >> i & 1) << 4, upper = (int)(high >> (i + QK / 2) & 1) << 4;
        y[i] = d * (float)(((b[6 + i] & 15) | low) - 16);
        y[i + QK / 2] = d * (float)((b[6 + i] >> 4 | upper) - 16);
    }
}

void q5_1_to_f32(const unsigned char *b, float *y)
{
    float d = f16_at(b), m = f16_at(b + 2);
    uint32_t high = u32_at(b + 4);
    for (int i = 0; i < QK / 2; i++) {
        int low = (int)(high >> i & 1) << 4, upper = (int)(high >> (i + QK / 2) & 1) << 4;
        y[i] = d * (float)((b[8 + i] & 15) | low) + m;
        y[i + QK / 2] = d * (float)(b[8 + i] >> 4 | upper) + m;
    }
}

void q8_0_to_f32(const unsigned char *b, float *y)
{
    float d = f16_at(b);
    for (int i = 0; i < QK; i++)
        y[i] = (float)(signed char)b[2 + i] * d;
}

// scales[16] (scale | min << 4), quants[64] of 2 bits, d, dmin.
void q2_k_to_f32(const unsigned char *b, float *y)
{
    const unsigned char *scales = b, *quants = b + 16;
    float d = f16_at(b + 80), dmin = f16_at(b + 82);
    for (int i = 0; i < QK_K; i++) {
        int q = quants[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
        unsigned char s = scales[i / 16];
        y[i] = d * (float)(s & 15) * (float)q - dmin * (float)(s >> 4);
    }
}

// high[32] (the third bits, inverted), quants[64] of 2 bits, scales of 6 bits in 12 bytes, d.
void q3_k_to_f32(const unsigned char *b, float *y)
{
    const unsigned char *high = b, *quants = b + 32, *scales = b + 96;
    float d = f16_at(b + 108);
    for (int i = 0; i < QK_K; i++) {
        int group = i / 16;
        int low = scales[group % 8] >> (group / 8 * 4) & 15;
        int scale = (low | (scales[8 + group % 4] >> (group / 4 * 2) & 3) << 4) - 32;
        int q = quants[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
        if (!(high[i % 32] >> (i / 32) & 1))
            q -= 4;
        y[i] = d * (float)scale * (float)q;
    }
}

// Q4_K and Q5_K keep 8 scales and 8 mins of 6 bits in 12 bytes: the first four of each in the low
// bits of bytes 0-7, the others' low nibbles in bytes 8-11 and their high bits atop bytes 0-7.
static void scale_and_min(const unsigned char *packed, int group, int *scale, int *min)
{
    if (group < 4) {
        *scale = packed[group] & 63;
        *min = packed[group + 4] & 63;
    } else {
        *scale = (packed[group + 4] & 15) | packed[group - 4] >> 6 << 4;
        *min = packed[group + 4] >> 4 | packed[group] >> 6 << 4;
    }
}

// d, dmin, scales and mins, quants[128]: 32 bytes hold 64 values, low nibbles first.
void q4_k_to_f32(const unsigned char *b, float *y)
{
    const unsigned char *quants = b + 4 + SCALES_K_BYTES;
    float d = f16_at(b), dmin = f16_at(b + 2);
    for (int group = 0; group < 8; group++) {
        int scale, min;
        scale_and_min(b + 4, group, &scale, &min);
        float ds = d * (float)scale, dm = dmin * (float)min;
        for (int i = 0; i < 32; i++) {
            int q = quants[group / 2 * 32 + i] >> (group % 2 * 4) & 15;
            y[group * 32 + i] = ds * (float)q - dm;
        }
    }
}

// As Q4_K, with the fifth bits in 32 bytes between scales and quants: bit `group` of byte i.
void q5_k_to_f32(const unsigned char *b, float *y)
{
    const unsigned char *high = b + 4 + SCALES_K_BYTES, *quants = high + 32;
    float d = f16_at(b), dmin = f16_at(b + 2);
    for (int group = 0; group < 8; group++) {
        int scale, min;
        scale_and_min(b + 4, group, &scale, &min);
        float ds = d * (float)scale, dm = dmin * (float)min;
        for (int i = 0; i < 32; i++) {
            int q = quants[group / 2 * 32 + i] >> (group % 2 * 4) & 15;
            q |= (high[i] >> group & 1) << 4;
            y[group * 32 + i] = ds * (float)q - dm;
        }
    }
}

// low[128] nibbles, high[64] of 2 bits, scales[16] signed, d.
void q6_k_to_f32(const unsigned char *b, float *y)
{
    const unsigned char *low = b, *high = b + 128, *scales = b + 192;
    float d = f16_at(b + 208);
    for (int i = 0; i < QK_K; i++) {
        int half = i / 128, r = i % 128;
        int q = low[half * 64 + r % 64] >> (r / 64 * 4) & 15;
        q |= (high[half * 32 + r % 32] >> (r / 32 * 2) & 3) << 4;
        y[i] = d * (float)(signed char)scales[i / 16] * (float)(q - 32);
    }
}

static const signed char iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                           1,    13,   25,  38,  53,  69,  89,  113};

void iq4_nl_to_f32(const unsigned char *b, float *y)
{
    float d = f16_at(b);
    for (int i = 0; i < QK / 2; i++) {
        y[i] = d * (float)iq4_values[b[2 + i] & 15];
        y[i + QK / 2] = d * (float)iq4_values[b[2 + i] >> 4];
    }
}

// d, the high 2 bits of 8 scales in one 16-bit word, their low nibbles in 4 bytes, quants[128].
void iq4_xs_to_f32(const unsigned char *b, float *y)
{
    const unsigned char *low = b + 4, *quants = b + 8;
    float d = f16_at(b);
    unsigned high = (unsigned)b[2] | (unsigned)b[3] << 8;
    for (int group = 0; group < 8; group++) {
        int scale = low[group / 2] >> (group % 2 * 4) & 15;
        scale = (scale | (int)(high >> (2 * group) & 3) << 4) - 32;
        float ds = d * (float)scale;
        const unsigned char *q = quants + group * 16;
        for (int i = 0; i < 16; i++) {
            y[group * 32 + i] = ds * (float)iq4_values[q[i] & 15];
            y[group * 32 + i + 16] = ds * (float)iq4_values[q[i] >> 4];
        }
    }
}

// The E2M1 values doubled, so that they are integers; the scale is halved for it.
static const signed char e2m1_doubled[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                             0, -1, -2, -3, -4, -6, -8, -12};

void mxfp4_to_f32(const unsigned char *b, float *y)
{
    // 2^(e - 128); the two smallest exponents are subnormal floats.
    uint32_t bits = b[0] < 2 ? UINT32_C(0x00200000) << b[0] : (uint32_t)(b[0] - 1) << 23;
    float d;
    memcpy(&d, &bits, sizeof d);
    for (int i = 0; i < QK / 2; i++) {
        y[i] = d * (float)e2m1_doubled[b[1 + i] & 15];
        y[i + QK / 2] = d * (float)e2m1_doubled[b[1 + i] >> 4];
    }
}
