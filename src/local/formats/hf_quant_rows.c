// hf_quant_rows.c - rows of packed weights: as floats, or as blocks that hold them as well as 16
// bits would.
//
// Codes of 4 bits around the middle are Q4_0's and codes of 8 bits Q8_0's, with the same scale:
// nothing is lost if the scale is a half. Other zero points of 4 bits become Q4_1's minimum,
// -scale * zero, rounded to a half: by at most 2^-12 of it, which is about what the weights
// themselves would lose as halves (docs/engine.md has both numbers). Everything else (columns out
// of order, groups that cut a block, scales too small or too large for a half, 8 bits with zero
// points) is kept in 16 bits.
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "local/formats/hf_quant_impl.h"
#include "local/formats/model_file.h"

enum { QK = 32 };

static float scale_at(const struct quant_weight *w, int64_t row, int64_t g)
{
    const struct model_tensor *s = w->scales;
    bool by_group = w->layout == QUANT_GPTQ || w->layout == QUANT_AWQ;
    int64_t i = by_group ? g * w->rows + row : row * w->n_groups + g;
    if (s->n_dims == 0 || (s->n_dims == 1 && s->shape[0] == 1))
        i = 0;  // one for all
    if (s->n_dims == 2 && s->shape[0] == 1 && s->shape[1] == 1)
        i = 0;
    float f;
    dtype_to_f32(s->dtype, (const char *)s->data + i * dtype_info(s->dtype)->block_bytes, &f, 1);
    return f;
}

static int signed_at(const struct raw_tensor *t, int64_t i)
{
    return (((const uint8_t *)t->data)[i] ^ 0x80) - 0x80;
}

// Which four bits of a word hold column j of eight, as AWQ's kernels unpack them.
static const int awq_place[8] = {0, 4, 1, 5, 2, 6, 3, 7};

static int middle(const struct quant_weight *w)
{
    return w->layout == QUANT_INT8 ? 0 : 1 << (w->bits - 1);
}

// Adds one to each of the zero points in a word. GPTQ's first format took it off the whole words,
// so it comes back the same way, carries included.
static uint32_t plus_one(uint32_t word, int bits)
{
    return word + (bits == 4 ? UINT32_C(0x11111111) : UINT32_C(0x01010101));
}

static int zero_at(const struct quant_weight *w, int64_t row, int64_t g)
{
    const struct raw_tensor *z = w->zeros;
    if (!z)
        return middle(w);
    int in_word = 32 / w->bits, mask = (1 << w->bits) - 1, place = (int)(row % in_word);
    uint32_t word;
    switch (w->layout) {
    case QUANT_GPTQ:
        word = quant_word(z, g * (w->rows / in_word) + row / in_word);
        word = w->zeros_less_one ? plus_one(word, w->bits) : word;
        return (int)(word >> (w->bits * place)) & mask;
    case QUANT_AWQ:
        word = quant_word(z, g * (w->rows / 8) + row / 8);
        return (int)(word >> (4 * awq_place[row % 8])) & 15;
    case QUANT_ROWS:
        if (z->type == RAW_I8)
            return signed_at(z, row * w->n_groups + g) + middle(w);
        word = quant_word(z, row / in_word * w->n_groups + g);
        return (int)(word >> (w->bits * place)) & mask;
    case QUANT_INT8: return signed_at(z, z->bytes == 1 ? 0 : row * w->n_groups + g);
    case QUANT_TABLE: break;
    }
    assert(false);
    return 0;
}

// The codes of a row, as integers.
static void read_codes(const struct quant_weight *w, int64_t row, int16_t *out)
{
    const int in_word = 32 / w->bits, bits = w->bits, mask = (1 << bits) - 1;
    int64_t words = (w->cols + in_word - 1) / in_word;
    switch (w->layout) {
    case QUANT_GPTQ:
    case QUANT_ROWS:
        for (int64_t i = 0; i < words; i++) {
            bool across = w->layout == QUANT_GPTQ;
            uint32_t word = quant_word(w->codes, across ? i * w->rows + row : row * words + i);
            for (int64_t c = i * in_word; c < (i + 1) * in_word && c < w->cols; c++, word >>= bits)
                out[c] = (int16_t)(word & (uint32_t)mask);
        }
        return;
    case QUANT_AWQ:
        for (int64_t c = 0; c < w->cols; c++)
            out[c] = (int16_t)(quant_word(w->codes, c * (w->rows / 8) + row / 8) >>
                                   (4 * awq_place[row % 8]) &
                               15);
        return;
    case QUANT_INT8:
        for (int64_t c = 0; c < w->cols; c++)
            out[c] = (int16_t)signed_at(w->codes, row * w->cols + c);
        return;
    case QUANT_TABLE: break;
    }
    assert(false);
}

// Up to here 16 times a scale is a half, too.
#define MOST 2048.0f

// Whether a half holds a scale as well as it would hold the weights themselves.
static bool fits_half(float scale)
{
    return scale == 0 || (fabsf(scale) >= 0x1p-14f && fabsf(scale) <= MOST);
}

// All scales and zeros seen once.
struct survey {
    bool scales_fit, all_middle;
};

static struct survey look(const struct quant_weight *w)
{
    struct survey s = {true, true};
    bool halves = w->scales->dtype == DTYPE_F16 && w->factor == 1.0f;
    int mid = middle(w);
    for (int64_t row = 0; row < w->rows && (!halves || w->zeros); row++)
        for (int64_t g = 0; g < w->n_groups; g++) {
            float scale = scale_at(w, row, g) * w->factor;
            s.scales_fit = s.scales_fit && (halves ? !(fabsf(scale) > MOST) : fits_half(scale));
            s.all_middle = s.all_middle && (!w->zeros || zero_at(w, row, g) == mid);
        }
    return s;
}

enum dtype quant_choose(const struct quant_weight *w)
{
    struct survey s = look(w);
    enum dtype plain = w->scales->dtype == DTYPE_BF16 || !s.scales_fit ? DTYPE_BF16 : DTYPE_F16;
    bool blocks = !w->order && w->cols % QK == 0 && (w->n_groups == 1 || w->group % QK == 0);
    if (!blocks || !s.scales_fit)
        return plain;
    if (w->bits == 8)
        return s.all_middle ? DTYPE_Q8_0 : plain;
    return s.all_middle ? DTYPE_Q4_0 : DTYPE_Q4_1;
}

// The group of a column.
static int64_t group_of(const struct quant_weight *w, int64_t c)
{
    return w->order ? (int64_t)quant_word(w->order, c) : c / w->group;
}

void quant_weight_row(const struct quant_weight *w, int64_t row, float *out)
{
    if (w->layout == QUANT_TABLE) {
        quant_table_row(w, row, out);
        return;
    }
    int16_t *codes = memory_array(int16_t, (size_t)w->cols);
    int64_t last = -1;
    float scale = 0;
    int zero = 0;
    read_codes(w, row, codes);
    for (int64_t c = 0; c < w->cols; c++) {
        int64_t g = group_of(w, c);
        if (g != last) {
            scale = scale_at(w, row, g);
            zero = zero_at(w, row, g);
            last = g;
        }
        float value = (float)(codes[c] - zero) * scale;
        out[c] = w->factor == 1.0f ? value : value * w->factor;
    }
    free(codes);
}

static void put_half(unsigned char *out, float f)
{
    uint16_t h = f32_to_f16(f);
    memcpy(out, &h, sizeof h);
}

// One block of 32 columns, all of one group.
static void put_block(const struct quant_weight *w, int64_t row, int64_t first,
                      const int16_t *codes, unsigned char *out)
{
    int64_t g = group_of(w, first);
    float scale = scale_at(w, row, g) * w->factor;
    put_half(out, scale);
    out += 2;
    if (w->dtype == DTYPE_Q8_0) {
        int mid = middle(w);
        for (int i = 0; i < QK; i++)
            out[i] = (unsigned char)(signed char)(codes[i] - mid);
        return;
    }
    if (w->dtype == DTYPE_Q4_1) {
        put_half(out, -scale * (float)zero_at(w, row, g));
        out += 2;
    }
    for (int i = 0; i < QK / 2; i++)
        out[i] = (unsigned char)(codes[i] | codes[i + QK / 2] << 4);
}

void quant_weight_blocks(const struct quant_weight *w, int64_t row, void *out)
{
    const struct dtype_info *info = dtype_info(w->dtype);
    unsigned char *to = out;
    if (info->block_len == QK) {
        int16_t *codes = memory_array(int16_t, (size_t)w->cols);
        read_codes(w, row, codes);
        for (int64_t c = 0; c < w->cols; c += QK)
            put_block(w, row, c, codes + c, to + c / QK * info->block_bytes);
        free(codes);
        return;
    }
    float *numbers = memory_array(float, (size_t)w->cols);
    quant_weight_row(w, row, numbers);
    for (int64_t c = 0; c < w->cols; c++) {
        uint16_t half = w->dtype == DTYPE_BF16 ? f32_to_bf16(numbers[c]) : f32_to_f16(numbers[c]);
        memcpy(to + c * 2, &half, sizeof half);
    }
    free(numbers);
}
