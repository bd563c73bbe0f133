// unpack_simd.h - panels of every block format to one form that a single inner kernel takes.
//
// Included by a file of an instruction set after its simd header. For each 32 columns: `q`
// [8][16 rows][4] unsigned bytes, column 4j + i at vector j, byte i of the row's four; `s`
// floats of 16 rows each: the scale, or scale and minimum, or two scales of 16 columns each, or
// two scales and two minima, as the activation form says (kernels.h). A weight is
// scale * (byte - offset), or scale * byte + minimum.
// All works on vectors of 16 rows, since packing put the same thing of 16 rows side by side.
#include "local/kernels/kernels.h"
#include "local/kernels/unpack.h"

enum { Q_BLOCK = 512 };  // bytes of q for 32 columns

INLINE __m128i load16(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}
INLINE __m128i low4(__m128i a)
{
    return _mm_and_si128(a, _mm_set1_epi8(15));
}
INLINE __m128i high4(__m128i a)
{
    return low4(_mm_srli_epi16(a, 4));
}
INLINE __m128i bits2(__m128i a, int shift)
{
    return _mm_and_si128(_mm_srl_epi16(a, _mm_cvtsi32_si128(shift)), _mm_set1_epi8(3));
}

// 16 bytes of nibbles a row: low ones are columns 0..15, high ones 16..31.
INLINE void nibbles(uint8_t *q, const uint8_t *from)
{
    const bytes64 mask = bytes64_set1(15);
    UNROLL
    for (int j = 0; j < 4; j++) {
        bytes64 v = bytes64_load(from + 64 * j);
        bytes64_store(q + 64 * j, bytes64_and(v, mask));
        bytes64_store(q + 64 * (4 + j), bytes64_and(bytes64_shr(v, 4), mask));
    }
}

INLINE void nibbles_lookup(uint8_t *q, const uint8_t *from, __m128i table)
{
    const bytes64 mask = bytes64_set1(15);
    UNROLL
    for (int j = 0; j < 4; j++) {
        bytes64 v = bytes64_load(from + 64 * j);
        bytes64_store(q + 64 * j, bytes64_lookup(table, bytes64_and(v, mask)));
        bytes64_store(q + 64 * (4 + j),
                      bytes64_lookup(table, bytes64_and(bytes64_shr(v, 4), mask)));
    }
}

// Bit k of a row's 32 bits is bit 4 of column k.
INLINE void fifth_bits(uint8_t *q, const uint8_t *from)
{
    const bytes64 bits = bytes64_load(from), bit4 = bytes64_set1(16);
    UNROLL
    for (int j = 0; j < 8; j++) {
        bytes64 mask = bytes64_repeat(j & 1 ? (int)0x80402010u : 0x08040201);
        bytes64 more = bytes64_if(bytes64_spread(bits, j / 2), mask, bit4);
        bytes64_store(q + 64 * j, bytes64_or(bytes64_load(q + 64 * j), more));
    }
}

// Where a field of block b lies; arguments as in panel_at.
#define AT(bytes, group, start, len) (panel + panel_at(bytes, group, start, len, b, n_blocks))

// From one block to many; a block makes n_q times 32 columns and n_s floats.
#define UNPACKER(type, n_q, n_s)                                                                   \
    static void unpack_##type(uint8_t *q, float *s, const uint8_t *panel, int n_blocks, int from,  \
                              int n)                                                               \
    {                                                                                              \
        for (int b = from / (n_q); b < (from + n) / (n_q); b++, q += (n_q)*Q_BLOCK, s += (n_s))    \
            block_##type(q, s, panel, b, n_blocks);                                                \
    }

INLINE void block_q4_0(uint8_t *q, float *s, const uint8_t *panel, int b, int n_blocks)
{
    nibbles(q, AT(18, 2, 0, 16));
    rows16_store(s, rows16_f16(AT(18, 2, 16, 2)));
}
UNPACKER(q4_0, 1, 16)

INLINE void block_q4_1(uint8_t *q, float *s, const uint8_t *panel, int b, int n_blocks)
{
    nibbles(q, AT(20, 2, 0, 16));
    rows16_store(s, rows16_f16(AT(20, 2, 16, 4)));
    rows16_store(s + 16, rows16_f16(AT(20, 2, 16, 4) + 32));
}
UNPACKER(q4_1, 1, 32)

INLINE void block_q5_0(uint8_t *q, float *s, const uint8_t *panel, int b, int n_blocks)
{
    nibbles(q, AT(22, 2, 0, 16));
    fifth_bits(q, AT(22, 2, 16, 4));
    rows16_store(s, rows16_f16(AT(22, 2, 20, 2)));
}
UNPACKER(q5_0, 1, 16)

INLINE void block_q5_1(uint8_t *q, float *s, const uint8_t *panel, int b, int n_blocks)
{
    nibbles(q, AT(24, 2, 0, 16));
    fifth_bits(q, AT(24, 2, 16, 4));
    rows16_store(s, rows16_f16(AT(24, 2, 20, 4)));
    rows16_store(s + 16, rows16_f16(AT(24, 2, 20, 4) + 32));
}
UNPACKER(q5_1, 1, 32)

INLINE void block_q8_0(uint8_t *q, float *s, const uint8_t *panel, int b, int n_blocks)
{
    const bytes64 flip = bytes64_set1(0x80);
    const uint8_t *w = AT(34, 2, 0, 32);
    UNROLL
    for (int j = 0; j < 8; j++)
        bytes64_store(q + 64 * j, bytes64_xor(bytes64_load(w + 64 * j), flip));
    rows16_store(s, rows16_f16(AT(34, 2, 32, 2)));
}
UNPACKER(q8_0, 1, 16)

// The 16 values of IQ4, plus 128.
INLINE __m128i iq4_values(void)
{
    return _mm_setr_epi8(1, 24, 45, 63, 79, 93, 106, 118, (char)129, (char)141, (char)153,
                         (char)166, (char)181, (char)197, (char)217, (char)241);
}

INLINE void block_iq4_nl(uint8_t *q, float *s, const uint8_t *panel, int b, int n_blocks)
{
    nibbles_lookup(q, AT(18, 2, 0, 16), iq4_values());
    rows16_store(s, rows16_f16(AT(18, 2, 16, 2)));
}
UNPACKER(iq4_nl, 1, 16)

// Twice the 16 values of FP4 (E2M1), plus 16.
INLINE void block_mxfp4(uint8_t *q, float *s, const uint8_t *panel, int b, int n_blocks)
{
    nibbles_lookup(q, AT(17, 4, 0, 16),
                   _mm_setr_epi8(16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4));
    rows16_store(s, rows16_e8m0_half(load16(AT(17, 4, 16, 1))));
}
UNPACKER(mxfp4, 1, 16)

// Scales and minima of Q4_K and Q5_K, six bits each in 12 bytes, times d and -dmin.
INLINE void scales_k4(float *s, const uint8_t *packed, const uint8_t *d)
{
    const rows16 by = rows16_f16(d), min_by = rows16_negative(rows16_f16(d + 32));
    const __m128i six = _mm_set1_epi8(63);
    for (int j = 0; j < 8; j++, s += 32) {
        __m128i scale, min;
        if (j < 4) {
            scale = _mm_and_si128(load16(packed + 16 * j), six);
            min = _mm_and_si128(load16(packed + 16 * (j + 4)), six);
        } else {
            __m128i both = load16(packed + 16 * (j + 4));
            scale = _mm_or_si128(low4(both),
                                 _mm_slli_epi16(bits2(load16(packed + 16 * (j - 4)), 6), 4));
            min = _mm_or_si128(high4(both), _mm_slli_epi16(bits2(load16(packed + 16 * j), 6), 4));
        }
        rows16_store(s, rows16_mul(by, rows16_u8(scale)));
        rows16_store(s + 16, rows16_mul(min_by, rows16_u8(min)));
    }
}

// Pairs of 32 columns: low nibbles of 32 bytes a row, then their high nibbles.
INLINE void nibbles_k(uint8_t *q, const uint8_t *from)
{
    const bytes64 mask = bytes64_set1(15);
    for (int pair = 0; pair < 4; pair++, from += Q_BLOCK, q += 2 * Q_BLOCK)
        UNROLL
    for (int j = 0; j < 8; j++) {
        bytes64 v = bytes64_load(from + 64 * j);
        bytes64_store(q + 64 * j, bytes64_and(v, mask));
        bytes64_store(q + Q_BLOCK + 64 * j, bytes64_and(bytes64_shr(v, 4), mask));
    }
}

INLINE void block_q4_k(uint8_t *q, float *s, const uint8_t *panel, int b, int n_blocks)
{
    nibbles_k(q, AT(144, 1, 0, 128));
    scales_k4(s, AT(144, 1, 128, 12), AT(144, 1, 140, 4));
}
UNPACKER(q4_k, 8, 256)

INLINE void block_q5_k(uint8_t *q, float *s, const uint8_t *panel, int b, int n_blocks)
{
    const uint8_t *high = AT(176, 1, 128, 32);
    const bytes64 bit4 = bytes64_set1(16);
    nibbles_k(q, AT(176, 1, 0, 128));
    for (int j = 0; j < 8; j++) {
        bytes64 v = bytes64_load(high + 64 * j);
        UNROLL
        for (int c = 0; c < 8; c++) {
            uint8_t *at = q + c * Q_BLOCK + 64 * j;
            bytes64 more = bytes64_if(v, bytes64_set1(1 << c), bit4);
            bytes64_store(at, bytes64_or(bytes64_load(at), more));
        }
    }
    scales_k4(s, AT(176, 1, 160, 12), AT(176, 1, 172, 4));
}
UNPACKER(q5_k, 8, 256)

// Two bits a column; byte l of each 32 holds columns l, 32 + l, 64 + l, 96 + l.
INLINE void pairs_of_bits(uint8_t *q, const uint8_t *from)
{
    const bytes64 mask = bytes64_set1(3);
    for (int half = 0; half < 2; half++, from += Q_BLOCK, q += 4 * Q_BLOCK)
        UNROLL
    for (int j = 0; j < 8; j++) {
        bytes64 v = bytes64_load(from + 64 * j);
        UNROLL
        for (int c = 0; c < 4; c++)
            bytes64_store(q + c * Q_BLOCK + 64 * j, bytes64_and(bytes64_shr(v, 2 * c), mask));
    }
}

INLINE void block_q2_k(uint8_t *q, float *s, const uint8_t *panel, int b, int n_blocks)
{
    const uint8_t *packed = AT(84, 1, 64, 16);
    const rows16 by = rows16_f16(AT(84, 1, 80, 4));
    const rows16 min_by = rows16_negative(rows16_f16(AT(84, 1, 80, 4) + 32));
    pairs_of_bits(q, AT(84, 1, 0, 64));
    for (int c = 0; c < 8; c++, s += 64)
        for (int half = 0; half < 2; half++) {
            __m128i both = load16(packed + 16 * (2 * c + half));
            rows16_store(s + 16 * half, rows16_mul(by, rows16_u8(low4(both))));
            rows16_store(s + 32 + 16 * half, rows16_mul(min_by, rows16_u8(high4(both))));
        }
}
UNPACKER(q2_k, 8, 512)

// The third bit and 28 more: weights are byte - 32, as for Q6_K.
INLINE void block_q3_k(uint8_t *q, float *s, const uint8_t *panel, int b, int n_blocks)
{
    const uint8_t *high = AT(110, 1, 64, 32), *packed = AT(110, 1, 96, 12);
    const rows16 by = rows16_f16(AT(110, 1, 108, 2));
    const bytes64 bit2 = bytes64_set1(4), more = bytes64_set1(28);
    pairs_of_bits(q, AT(110, 1, 0, 64));
    for (int j = 0; j < 8; j++) {
        bytes64 v = bytes64_load(high + 64 * j);
        UNROLL
        for (int c = 0; c < 8; c++) {
            uint8_t *at = q + c * Q_BLOCK + 64 * j;
            bytes64 bit = bytes64_if(v, bytes64_set1(1 << c), bit2);
            bytes64_store(at, bytes64_add(bytes64_add(bytes64_load(at), bit), more));
        }
    }
    for (int i = 0; i < 16; i++, s += 16) {
        __m128i low = load16(packed + 16 * (i % 8)), top = load16(packed + 16 * (8 + i % 4));
        __m128i six = _mm_or_si128(i < 8 ? low4(low) : high4(low),
                                   _mm_slli_epi16(bits2(top, 2 * (i / 4)), 4));
        rows16_store(s, rows16_mul(by, rows16_s8(_mm_sub_epi8(six, _mm_set1_epi8(32)))));
    }
}
UNPACKER(q3_k, 8, 256)

INLINE void block_q6_k(uint8_t *q, float *s, const uint8_t *panel, int b, int n_blocks)
{
    const uint8_t *low = AT(210, 1, 0, 128), *high = AT(210, 1, 128, 64),
                  *packed = AT(210, 1, 192, 16);
    const rows16 by = rows16_f16(AT(210, 1, 208, 2));
    const bytes64 four = bytes64_set1(15), two = bytes64_set1(0x30);
    for (int half = 0; half < 2; half++, low += 2 * Q_BLOCK, high += Q_BLOCK)
        UNROLL
    for (int j = 0; j < 8; j++) {
        bytes64 a = bytes64_load(low + 64 * j), c = bytes64_load(low + Q_BLOCK + 64 * j);
        bytes64 h = bytes64_load(high + 64 * j);
        uint8_t *at = q + half * 4 * Q_BLOCK + 64 * j;
        bytes64_store(at, bytes64_or(bytes64_and(a, four), bytes64_and(bytes64_shl(h, 4), two)));
        bytes64_store(at + Q_BLOCK,
                      bytes64_or(bytes64_and(c, four), bytes64_and(bytes64_shl(h, 2), two)));
        bytes64_store(at + 2 * Q_BLOCK,
                      bytes64_or(bytes64_and(bytes64_shr(a, 4), four), bytes64_and(h, two)));
        bytes64_store(at + 3 * Q_BLOCK, bytes64_or(bytes64_and(bytes64_shr(c, 4), four),
                                                   bytes64_and(bytes64_shr(h, 2), two)));
    }
    for (int i = 0; i < 16; i++, s += 16)
        rows16_store(s, rows16_mul(by, rows16_s8(load16(packed + 16 * i))));
}
UNPACKER(q6_k, 8, 256)

INLINE void block_iq4_xs(uint8_t *q, float *s, const uint8_t *panel, int b, int n_blocks)
{
    const uint8_t *w = AT(136, 1, 0, 128), *packed = AT(136, 1, 128, 4), *top = AT(136, 1, 132, 2);
    const rows16 by = rows16_f16(AT(136, 1, 134, 2));
    const __m128i table = iq4_values(), low_byte = _mm_set1_epi16(255);
    const __m128i t0 = load16(top), t1 = load16(top + 16);
    for (int c = 0; c < 8; c++, s += 16) {
        nibbles_lookup(q + c * Q_BLOCK, w + 256 * c, table);
        // Two bits of each row's 16, down to bytes of 16 rows.
        __m128i shift = _mm_cvtsi32_si128(2 * c);
        __m128i high = _mm_packus_epi16(_mm_and_si128(_mm_srl_epi16(t0, shift), low_byte),
                                        _mm_and_si128(_mm_srl_epi16(t1, shift), low_byte));
        __m128i both = load16(packed + 16 * (c / 2));
        __m128i six = _mm_or_si128(c % 2 ? high4(both) : low4(both),
                                   _mm_slli_epi16(_mm_and_si128(high, _mm_set1_epi8(3)), 4));
        rows16_store(s, rows16_mul(by, rows16_s8(_mm_sub_epi8(six, _mm_set1_epi8(32)))));
    }
}
UNPACKER(iq4_xs, 8, 128)

static const unpack_fn unpackers[DTYPE_COUNT] = {
    [DTYPE_Q4_0] = unpack_q4_0,   [DTYPE_Q4_1] = unpack_q4_1,     [DTYPE_Q5_0] = unpack_q5_0,
    [DTYPE_Q5_1] = unpack_q5_1,   [DTYPE_Q8_0] = unpack_q8_0,     [DTYPE_Q2_K] = unpack_q2_k,
    [DTYPE_Q3_K] = unpack_q3_k,   [DTYPE_Q4_K] = unpack_q4_k,     [DTYPE_Q5_K] = unpack_q5_k,
    [DTYPE_Q6_K] = unpack_q6_k,   [DTYPE_IQ4_NL] = unpack_iq4_nl, [DTYPE_IQ4_XS] = unpack_iq4_xs,
    [DTYPE_MXFP4] = unpack_mxfp4,
};
