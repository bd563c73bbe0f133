#include "local/tensor/dtype.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "local/tensor/dtype_blocks.h"
#include "local/tensor/halves.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "model files are little-endian and read in place"
#endif

static const struct dtype_info infos[DTYPE_COUNT] = {
    [DTYPE_F32] = {"f32", 0, 1, 4},
    [DTYPE_F16] = {"f16", 1, 1, 2},
    [DTYPE_BF16] = {"bf16", 30, 1, 2},
    [DTYPE_Q4_0] = {"q4_0", 2, 32, 18},
    [DTYPE_Q4_1] = {"q4_1", 3, 32, 20},
    [DTYPE_Q5_0] = {"q5_0", 6, 32, 22},
    [DTYPE_Q5_1] = {"q5_1", 7, 32, 24},
    [DTYPE_Q8_0] = {"q8_0", 8, 32, 34},
    [DTYPE_Q2_K] = {"q2_k", 10, 256, 84},
    [DTYPE_Q3_K] = {"q3_k", 11, 256, 110},
    [DTYPE_Q4_K] = {"q4_k", 12, 256, 144},
    [DTYPE_Q5_K] = {"q5_k", 13, 256, 176},
    [DTYPE_Q6_K] = {"q6_k", 14, 256, 210},
    [DTYPE_IQ4_NL] = {"iq4_nl", 20, 32, 18},
    [DTYPE_IQ4_XS] = {"iq4_xs", 23, 256, 136},
    [DTYPE_MXFP4] = {"mxfp4", 39, 32, 17},
    [DTYPE_F8_E4M3] = {"f8_e4m3", -1, 1, 1},
};

// One block to floats; the plain types are read in dtype_to_f32 itself.
static void (*const readers[DTYPE_COUNT])(const unsigned char *block, float *out) = {
    [DTYPE_Q4_0] = q4_0_to_f32,   [DTYPE_Q4_1] = q4_1_to_f32,     [DTYPE_Q5_0] = q5_0_to_f32,
    [DTYPE_Q5_1] = q5_1_to_f32,   [DTYPE_Q8_0] = q8_0_to_f32,     [DTYPE_Q2_K] = q2_k_to_f32,
    [DTYPE_Q3_K] = q3_k_to_f32,   [DTYPE_Q4_K] = q4_k_to_f32,     [DTYPE_Q5_K] = q5_k_to_f32,
    [DTYPE_Q6_K] = q6_k_to_f32,   [DTYPE_IQ4_NL] = iq4_nl_to_f32, [DTYPE_IQ4_XS] = iq4_xs_to_f32,
    [DTYPE_MXFP4] = mxfp4_to_f32,
};

// ggml's names, also of the types that are not read here; a hole is a number ggml gave up.
static const char *const ggml_names[] = {
    [0] = "F32",     [1] = "F16",         [2] = "Q4_0",        [3] = "Q4_1",        [4] = "Q4_2",
    [5] = "Q4_3",    [6] = "Q5_0",        [7] = "Q5_1",        [8] = "Q8_0",        [9] = "Q8_1",
    [10] = "Q2_K",   [11] = "Q3_K",       [12] = "Q4_K",       [13] = "Q5_K",       [14] = "Q6_K",
    [15] = "Q8_K",   [16] = "IQ2_XXS",    [17] = "IQ2_XS",     [18] = "IQ3_XXS",    [19] = "IQ1_S",
    [20] = "IQ4_NL", [21] = "IQ3_S",      [22] = "IQ2_S",      [23] = "IQ4_XS",     [24] = "I8",
    [25] = "I16",    [26] = "I32",        [27] = "I64",        [28] = "F64",        [29] = "IQ1_M",
    [30] = "BF16",   [31] = "Q4_0_4_4",   [32] = "Q4_0_4_8",   [33] = "Q4_0_8_8",   [34] = "TQ1_0",
    [35] = "TQ2_0",  [36] = "IQ4_NL_4_4", [37] = "IQ4_NL_4_8", [38] = "IQ4_NL_8_8", [39] = "MXFP4",
    [40] = "NVFP4",  [41] = "Q1_0",
};

const struct dtype_info *dtype_info(enum dtype type)
{
    assert((unsigned)type < DTYPE_COUNT);
    return &infos[type];
}

bool dtype_from_ggml(uint32_t ggml_type, enum dtype *type)
{
    for (unsigned i = 0; i < DTYPE_COUNT; i++)
        if (infos[i].ggml_type >= 0 && (uint32_t)infos[i].ggml_type == ggml_type) {
            *type = (enum dtype)i;
            return true;
        }
    return false;
}

bool dtype_from_name(const char *name, enum dtype *type)
{
    for (unsigned i = 0; i < DTYPE_COUNT; i++)
        if (strcasecmp(infos[i].name, name) == 0) {
            *type = (enum dtype)i;
            return true;
        }
    return false;
}

const char *dtype_ggml_name(uint32_t ggml_type)
{
    return ggml_type < sizeof ggml_names / sizeof *ggml_names ? ggml_names[ggml_type] : NULL;
}

bool dtype_bytes(enum dtype type, uint64_t n, uint64_t *bytes)
{
    const struct dtype_info *info = dtype_info(type);
    if (n % (uint64_t)info->block_len != 0)
        return false;
    return !__builtin_mul_overflow(n / (uint64_t)info->block_len, (uint64_t)info->block_bytes,
                                   bytes);
}

// How many of n 16-bit floats the processor's vectors have done. There is none with AVX2 and
// without F16C.
static size_t halves_row(enum dtype type, const void *from, float *out, size_t n)
{
#if defined(__x86_64__)
    if (n >= 8 && __builtin_cpu_supports("avx2"))
        return type == DTYPE_F16 ? f16_row_avx2(from, out, n) : bf16_row_avx2(from, out, n);
#endif
    (void)type, (void)from, (void)out, (void)n;
    return 0;
}

void dtype_to_f32(enum dtype type, const void *from, float *out, size_t n)
{
    const unsigned char *p = from;
    const struct dtype_info *info = dtype_info(type);
    uint16_t h;
    assert(n % (size_t)info->block_len == 0);
    switch (type) {
    case DTYPE_F32:
        if (n)
            memcpy(out, p, n * sizeof *out);
        break;
    case DTYPE_F16:
        for (size_t i = halves_row(type, p, out, n); i < n; i++) {
            memcpy(&h, p + 2 * i, sizeof h);
            out[i] = f16_to_f32(h);
        }
        break;
    case DTYPE_BF16:
        for (size_t i = halves_row(type, p, out, n); i < n; i++) {
            memcpy(&h, p + 2 * i, sizeof h);
            out[i] = bf16_to_f32(h);
        }
        break;
    case DTYPE_F8_E4M3:
        for (size_t i = 0; i < n; i++)
            out[i] = f8_e4m3_to_f32(p[i]);
        break;
    default:
        for (size_t i = 0; i < n / (size_t)info->block_len; i++)
            readers[type](p + i * (size_t)info->block_bytes, out + i * (size_t)info->block_len);
    }
}

static float f32_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

float f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 0x3FF;
    if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24, which is exact
        float f = (float)mantissa * 0x1p-24f;
        return sign ? -f : f;
    }
    if (exponent == 31) {  // infinity; a NaN becomes quiet, as the hardware's instruction does
        uint32_t quiet = mantissa ? UINT32_C(0x400000) : 0;
        return f32_of(sign | UINT32_C(0x7F800000) | quiet | mantissa << 13);
    }
    return f32_of(sign | (exponent + 112) << 23 | mantissa << 13);
}

// Divides by 2^shift (1..24), nearest, ties to even.
static uint32_t shift_to_even(uint32_t v, uint32_t shift)
{
    uint32_t half = UINT32_C(1) << (shift - 1), rest = v & (2 * half - 1), q = v >> shift;
    return q + (rest > half || (rest == half && (q & 1)));
}

uint16_t f32_to_f16(float f)
{
    uint32_t bits = bits_of(f), sign = bits >> 16 & 0x8000, a = bits & UINT32_C(0x7FFFFFFF);
    if (a > UINT32_C(0x7F800000))
        return (uint16_t)(sign | 0x7E00 | (a >> 13 & 0x3FF));
    if (a >= UINT32_C(0x47800000))  // 65536 and more
        return (uint16_t)(sign | 0x7C00);
    if (a >= UINT32_C(0x38800000))  // 2^-14 and more: normal; rounding may carry into infinity
        return (uint16_t)(sign | shift_to_even(a - UINT32_C(0x38000000), 13));
    if (a < UINT32_C(0x33000000))  // below 2^-25, half of the smallest
        return (uint16_t)sign;
    uint32_t exponent = a >> 23, mantissa = (a & 0x7FFFFF) | 0x800000;
    return (uint16_t)(sign | shift_to_even(mantissa, 126 - exponent));
}

float bf16_to_f32(uint16_t h)
{
    return f32_of((uint32_t)h << 16);
}

uint16_t f32_to_bf16(float f)
{
    uint32_t bits = bits_of(f);
    if ((bits & UINT32_C(0x7FFFFFFF)) > UINT32_C(0x7F800000))
        return (uint16_t)(bits >> 16 | 64);  // quiet, so that a NaN cannot become infinity
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// The "fn" variant that checkpoints use: no infinity, one NaN a sign, the largest value is 448.
float f8_e4m3_to_f32(uint8_t v)
{
    uint32_t exponent = v >> 3 & 15, mantissa = v & 7;
    float f;
    if ((v & 0x7F) == 0x7F)
        f = f32_of(UINT32_C(0x7FC00000));
    else if (exponent == 0)
        f = (float)mantissa * 0x1p-9f;
    else
        f = f32_of((exponent + 120) << 23 | mantissa << 20);
    return v & 0x80 ? -f : f;
}
