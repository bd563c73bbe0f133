#include "local/quantize/format.h"

#include <math.h>
#include <string.h>

enum { QK = 32, QK_K = 256 };

static void put_half(unsigned char *out, float v)
{
    uint16_t h = f32_to_f16(v);
    memcpy(out, &h, sizeof h);
}

// 32 codes of 4 bits: code i in the low nibble of byte i, code i + 16 in its high one.
static void put_nibbles(unsigned char *restrict out, const uint8_t *restrict code)
{
    for (int i = 0; i < QK / 2; i++)
        out[i] = (unsigned char)((code[i] & 15) | (code[i + QK / 2] & 15) << 4);
}

// Bit `shift` of 8 codes, that of code i in bit i.
static unsigned char bits_of_eight(const uint8_t *code, int shift)
{
    uint64_t eight = 0;
    for (int i = 0; i < 8; i++)
        eight |= (uint64_t)code[i] << (8 * i);
    eight = eight >> shift & UINT64_C(0x0101010101010101);
    return (unsigned char)(eight * UINT64_C(0x0102040810204080) >> 56);
}

// The fifth bits of 32 codes, code i in bit i.
static void put_fifth_bits(unsigned char *out, const uint8_t *code)
{
    for (int i = 0; i < QK / 8; i++)
        out[i] = bits_of_eight(code + 8 * i, 4);
}

static void pack_q4_0(const struct block *b, unsigned char *out)
{
    put_half(out, b->d);
    put_nibbles(out + 2, b->code);
}

static void pack_q8_0(const struct block *b, unsigned char *out)
{
    put_half(out, b->d);
    for (int i = 0; i < QK; i++)
        out[2 + i] = (unsigned char)(b->code[i] - 127);
}

static void pack_q4_1(const struct block *b, unsigned char *out)
{
    put_half(out, b->d);
    put_half(out + 2, -b->dmin);
    put_nibbles(out + 4, b->code);
}

static void pack_q5_0(const struct block *b, unsigned char *out)
{
    put_half(out, b->d);
    put_fifth_bits(out + 2, b->code);
    put_nibbles(out + 6, b->code);
}

static void pack_q5_1(const struct block *b, unsigned char *out)
{
    put_half(out, b->d);
    put_half(out + 2, -b->dmin);
    put_fifth_bits(out + 4, b->code);
    put_nibbles(out + 8, b->code);
}

// 256 codes of 2 bits: 32 bytes hold 128 of them, those that are 32 apart in one byte.
static void put_pairs(unsigned char *restrict out, const uint8_t *restrict code)
{
    for (int half = 0; half < 2; half++, out += 32, code += 128)
        for (int i = 0; i < 32; i++)
            out[i] = (unsigned char)((code[i] & 3) | (code[i + 32] & 3) << 2 |
                                     (code[i + 64] & 3) << 4 | (code[i + 96] & 3) << 6);
}

// 32 bytes: bit g of byte i is bit `shift` of code i of group g, for 8 groups of 32 codes.
static void put_high_bits(unsigned char *restrict out, const uint8_t *restrict code, int shift)
{
    memset(out, 0, 32);
    for (int g = 0; g < QK_K / 32; g++, code += 32)
        for (int i = 0; i < 32; i++)
            out[i] |= (unsigned char)((code[i] >> shift & 1) << g);
}

static void pack_q2_k(const struct block *b, unsigned char *out)
{
    for (int g = 0; g < 16; g++)
        out[g] = (unsigned char)(b->scale[g] | b->min[g] << 4);
    put_pairs(out + 16, b->code);
    put_half(out + 80, b->d);
    put_half(out + 82, b->dmin);
}

static void pack_q3_k(const struct block *b, unsigned char *out)
{
    unsigned char *high = out, *scales = out + 96;
    put_high_bits(high, b->code, 2);
    put_pairs(out + 32, b->code);
    memset(scales, 0, 12);
    for (int g = 0; g < 16; g++) {
        int s = b->scale[g] + 32;
        scales[g % 8] |= (unsigned char)((s & 15) << (g / 8 * 4));
        scales[8 + g % 4] |= (unsigned char)((s >> 4) << (g / 4 * 2));
    }
    put_half(out + 108, b->d);
}

// 8 scales and 8 mins of 6 bits in 12 bytes; see dtype_blocks.c.
static void put_scales_and_mins(unsigned char *out, const struct block *b)
{
    for (int g = 0; g < 4; g++) {
        out[g] = (unsigned char)(b->scale[g] | (b->scale[g + 4] >> 4) << 6);
        out[g + 4] = (unsigned char)(b->min[g] | (b->min[g + 4] >> 4) << 6);
        out[g + 8] = (unsigned char)((b->scale[g + 4] & 15) | (b->min[g + 4] & 15) << 4);
    }
}

// 32 bytes hold 64 codes: those of an even group low, those of the odd one after it high.
static void put_group_nibbles(unsigned char *restrict out, const uint8_t *restrict code)
{
    for (int g = 0; g < QK_K / 64; g++, out += 32, code += 64)
        for (int i = 0; i < 32; i++)
            out[i] = (unsigned char)((code[i] & 15) | (code[i + 32] & 15) << 4);
}

static void pack_q4_k(const struct block *b, unsigned char *out)
{
    put_half(out, b->d);
    put_half(out + 2, b->dmin);
    put_scales_and_mins(out + 4, b);
    put_group_nibbles(out + 16, b->code);
}

static void pack_q5_k(const struct block *b, unsigned char *out)
{
    unsigned char *high = out + 16;
    put_half(out, b->d);
    put_half(out + 2, b->dmin);
    put_scales_and_mins(out + 4, b);
    put_high_bits(high, b->code, 4);
    put_group_nibbles(out + 48, b->code);
}

static void pack_q6_k(const struct block *b, unsigned char *restrict out)
{
    for (int half = 0; half < 2; half++) {
        const uint8_t *code = b->code + half * 128;
        unsigned char *low = out + half * 64, *high = out + 128 + half * 32;
        for (int i = 0; i < 64; i++)
            low[i] = (unsigned char)((code[i] & 15) | (code[i + 64] & 15) << 4);
        for (int i = 0; i < 32; i++)
            high[i] = (unsigned char)(code[i] >> 4 | code[i + 32] >> 4 << 2 |
                                      code[i + 64] >> 4 << 4 | code[i + 96] >> 4 << 6);
    }
    for (int g = 0; g < 16; g++)
        out[192 + g] = (unsigned char)(signed char)b->scale[g];
    put_half(out + 208, b->d);
}

static void pack_iq4_xs(const struct block *b, unsigned char *out)
{
    unsigned high = 0;
    put_half(out, b->d);
    memset(out + 4, 0, 4);
    for (int g = 0; g < 8; g++) {
        unsigned s = (unsigned)(b->scale[g] + 32);
        high |= (s >> 4) << (2 * g);
        out[4 + g / 2] |= (unsigned char)((s & 15) << (g % 2 * 4));
        put_nibbles(out + 8 + g * 16, b->code + g * QK);
    }
    out[2] = (unsigned char)high;
    out[3] = (unsigned char)(high >> 8);
}

// The byte e says 2^(e - 127) for levels as they are, 2^(e - 128) for the doubled ones here.
static void pack_mxfp4(const struct block *b, unsigned char *out)
{
    int exponent = 0;
    (void)frexpf(b->d, &exponent);  // d = 0.5 * 2^exponent
    int e = exponent - 1 + 128;
    out[0] = (unsigned char)(b->d <= 0 || e < 0 ? 0 : e > 254 ? 254 : e);
    put_nibbles(out + 1, b->code);
}

static const int8_t iq4_levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113};
// Twice the values of E2M1, ascending; its sign is the code's highest bit.
static const int8_t e2m1_levels[15] = {-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12};
static const uint8_t e2m1_codes[15] = {15, 14, 13, 12, 11, 10, 9, 0, 1, 2, 3, 4, 5, 6, 7};

static const struct format formats[DTYPE_COUNT] = {
    [DTYPE_Q4_0] =
        {.block_len = 32, .group_len = 32, .n_levels = 16, .first = -8, .pack = pack_q4_0},
    [DTYPE_Q4_1] =
        {.block_len = 32, .group_len = 32, .n_levels = 16, .has_min = true, .pack = pack_q4_1},
    [DTYPE_Q5_0] =
        {.block_len = 32, .group_len = 32, .n_levels = 32, .first = -16, .pack = pack_q5_0},
    [DTYPE_Q5_1] =
        {.block_len = 32, .group_len = 32, .n_levels = 32, .has_min = true, .pack = pack_q5_1},
    [DTYPE_Q8_0] =
        {.block_len = 32, .group_len = 32, .n_levels = 255, .first = -127, .pack = pack_q8_0},
    [DTYPE_Q2_K] = {.block_len = 256,
                    .group_len = 16,
                    .n_levels = 4,
                    .scale_hi = 15,
                    .has_min = true,
                    .min_hi = 15,
                    .pack = pack_q2_k},
    [DTYPE_Q3_K] = {.block_len = 256,
                    .group_len = 16,
                    .n_levels = 8,
                    .first = -4,
                    .scale_lo = -32,
                    .scale_hi = 31,
                    .pack = pack_q3_k},
    [DTYPE_Q4_K] = {.block_len = 256,
                    .group_len = 32,
                    .n_levels = 16,
                    .scale_hi = 63,
                    .has_min = true,
                    .min_hi = 63,
                    .pack = pack_q4_k},
    [DTYPE_Q5_K] = {.block_len = 256,
                    .group_len = 32,
                    .n_levels = 32,
                    .scale_hi = 63,
                    .has_min = true,
                    .min_hi = 63,
                    .pack = pack_q5_k},
    [DTYPE_Q6_K] = {.block_len = 256,
                    .group_len = 16,
                    .n_levels = 64,
                    .first = -32,
                    .scale_lo = -128,
                    .scale_hi = 127,
                    .pack = pack_q6_k},
    [DTYPE_IQ4_NL] =
        {.block_len = 32, .group_len = 32, .n_levels = 16, .levels = iq4_levels, .pack = pack_q4_0},
    [DTYPE_IQ4_XS] = {.block_len = 256,
                      .group_len = 32,
                      .n_levels = 16,
                      .levels = iq4_levels,
                      .scale_lo = -32,
                      .scale_hi = 31,
                      .pack = pack_iq4_xs},
    [DTYPE_MXFP4] = {.block_len = 32,
                     .group_len = 32,
                     .n_levels = 15,
                     .levels = e2m1_levels,
                     .codes = e2m1_codes,
                     .power_of_two = true,
                     .pack = pack_mxfp4},
};

const struct format *format_of(enum dtype type)
{
    return formats[type].pack ? &formats[type] : NULL;
}

// Groups' scales are not negative in K formats, so one level less makes both sides alike.
static const struct format around_zero[DTYPE_COUNT] = {
    [DTYPE_Q4_1] = {.block_len = 32,
                    .group_len = 32,
                    .n_levels = 16,
                    .first = -8,
                    .zero = 8,
                    .pack = pack_q4_1},
    [DTYPE_Q5_1] = {.block_len = 32,
                    .group_len = 32,
                    .n_levels = 32,
                    .first = -16,
                    .zero = 16,
                    .pack = pack_q5_1},
    [DTYPE_Q4_K] = {.block_len = 256,
                    .group_len = 32,
                    .n_levels = 15,
                    .first = -7,
                    .scale_hi = 63,
                    .zero = 8,
                    .pack = pack_q4_k},
    [DTYPE_Q5_K] = {.block_len = 256,
                    .group_len = 32,
                    .n_levels = 31,
                    .first = -15,
                    .scale_hi = 63,
                    .zero = 16,
                    .pack = pack_q5_k},
};

const struct format *format_for(enum dtype type, const float *x)
{
    const struct format *f = &around_zero[type];
    const float far = 16384;  // 16 d must be a half, with room for what feedback moves
    int n_zeros = 0, n_far = 0;
    for (int i = 0; f->pack && i < f->block_len; i++) {
        n_zeros += x[i] == 0;
        n_far += fabsf(x[i]) > far;
    }
    return f->pack && n_zeros >= f->block_len / 8 && !n_far ? f : format_of(type);
}

// dmin = zero * d and the min of a group as large as its scale: code `zero` reads back as nothing,
// and the others as multiples of the scale on either side. No bit of d is lost, `zero` being a
// power of two.
void format_pack(const struct format *f, const struct block *b, unsigned char *out)
{
    if (!f->zero) {
        f->pack(b, out);
        return;
    }
    struct block with_min = *b;
    with_min.dmin = (float)f->zero * b->d;
    for (int g = 0; g < f->block_len / f->group_len; g++)
        with_min.min[g] = b->scale[g];
    for (int i = 0; i < f->block_len; i++)
        with_min.code[i] = (uint8_t)(b->code[i] + f->zero + f->first);
    f->pack(&with_min, out);
}
