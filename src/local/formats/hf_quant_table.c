// hf_quant_table.c - bitsandbytes' 4-bit weights: codes that index a table of 16 numbers, one scale
// for every run of the flattened matrix, and perhaps 8-bit scales with scales of their own.
#include <assert.h>
#include <math.h>

#include "base/error.h"
#include "base/json.h"
#include "local/formats/hf_quant_impl.h"
#include "local/formats/model_file.h"

enum { STATE_BYTES_MAX = 1 << 14 };

static bool bad_state(const struct quant_open *o, const char *ending, const char *what)
{
    return quant_fail(o, ending, "is not the state of a quantization: %s", what);
}

static bool read_block_size(const struct quant_open *o, const char *ending, const json_t *state,
                            const char *key, int64_t *out)
{
    if (json_get_i64(state, key, out) && *out >= 1 && *out <= 1 << 20)
        return true;
    return bad_state(o, ending, key);
}

static bool check_state_shape(const struct quant_open *o, const char *ending, const json_t *state)
{
    const json_t *shape = json_object_get(state, "shape");
    const struct quant_weight *w = o->w;
    if (json_array_size(shape) == 2 && json_integer_value(json_array_get(shape, 0)) == w->rows &&
        json_integer_value(json_array_get(shape, 1)) == w->cols)
        return true;
    return quant_fail(o, ending, "states another shape than [%lld, %lld]", (long long)w->rows,
                      (long long)w->cols);
}

// The JSON that stands in a tensor of bytes beside the weight.
static bool read_state(const struct quant_open *o, const char *ending, const json_t *state)
{
    struct quant_weight *w = o->w;
    const char *dtype = json_get_text(state, "dtype");
    if (!json_is_object(state))
        return bad_state(o, ending, "no object");
    if (!read_block_size(o, ending, state, "blocksize", &w->block) ||
        !check_state_shape(o, ending, state))
        return false;
    // What bitsandbytes would compute with: it rounds weights to it. F32 is kept as F16.
    w->dtype = dtype && strcmp(dtype, "bfloat16") == 0 ? DTYPE_BF16 : DTYPE_F16;
    if (!json_object_get(state, "nested_blocksize"))
        return true;
    double offset = NAN;
    if (!read_block_size(o, ending, state, "nested_blocksize", &w->nested_block) ||
        !json_get_f64(state, "nested_offset", &offset) || !(fabs(offset) < 1e30))
        return bad_state(o, ending, "nested_offset");
    w->nested_offset = (float)offset;
    return true;
}

static bool find_state(const struct quant_open *o)
{
    static const char *const endings[] = {".weight.quant_state.bitsandbytes__nf4",
                                          ".weight.quant_state.bitsandbytes__fp4"};
    const struct raw_tensor *t = NULL;
    int i = 0;
    for (; i < 2 && !t; i++)
        t = quant_raw(o, endings[i]);
    if (!t)
        return quant_fail(o, endings[0], "is missing (nor is there one of __fp4)");
    const char *ending = endings[i - 1];
    if (t->type != RAW_U8 || t->bytes > STATE_BYTES_MAX)
        return bad_state(o, ending, "no text in bytes");
    struct error why;
    json_t *state = json_parse(slice_of(t->data, (size_t)t->bytes), &why);
    if (!state)
        return bad_state(o, ending, "no JSON");
    bool ok = read_state(o, ending, state);
    json_decref(state);
    return ok;
}

static bool read_table(const struct quant_open *o, const char *ending, float *out, int n)
{
    const struct model_tensor *t;
    if (!quant_need_floats(o, ending, n, &t))
        return false;
    dtype_to_f32(t->dtype, t->data, out, (size_t)n);
    for (int i = 0; i < n; i++)
        if (!isfinite(out[i]))
            return quant_fail(o, ending, "holds NaN or infinity");
    return true;
}

bool quant_open_table(struct quant_open *o)
{
    struct quant_weight *w = o->w;
    w->layout = QUANT_TABLE;
    w->bits = 4;
    int64_t n;
    if (__builtin_mul_overflow(w->rows, w->cols, &n))
        return quant_fail(o, ".weight", "is too large");
    if (!quant_check_raw(o, ".weight", w->codes, RAW_U8, 0, (n + 1) / 2) || !find_state(o) ||
        !read_table(o, ".weight.quant_map", w->table, 16))
        return false;
    int64_t n_blocks = (n + w->block - 1) / w->block;
    if (!w->nested_block)
        return quant_need_floats(o, ".weight.absmax", n_blocks, &w->absmax);
    int64_t n_nested = (n_blocks + w->nested_block - 1) / w->nested_block;
    return quant_need_raw(o, ".weight.absmax", RAW_U8, 0, n_blocks, &w->absmax_codes) &&
           quant_need_floats(o, ".weight.nested_absmax", n_nested, &w->nested_absmax) &&
           read_table(o, ".weight.nested_quant_map", w->nested_table, 256);
}

static float float_at(const struct model_tensor *t, int64_t i)
{
    float f;
    dtype_to_f32(t->dtype, (const char *)t->data + i * dtype_info(t->dtype)->block_bytes, &f, 1);
    return f;
}

static float absmax_at(const struct quant_weight *w, int64_t block)
{
    if (w->absmax)
        return float_at(w->absmax, block);
    uint8_t code = ((const uint8_t *)w->absmax_codes->data)[block];
    float scale = float_at(w->nested_absmax, block / w->nested_block);
    return w->nested_table[code] * scale + w->nested_offset;
}

void quant_table_row(const struct quant_weight *w, int64_t row, float *out)
{
    const uint8_t *codes = w->codes->data;
    float scale = 0;
    int64_t first = row * w->cols;
    for (int64_t i = first; i < first + w->cols; i++) {
        if (i == first || i % w->block == 0)
            scale = absmax_at(w, i / w->block);
        int code = i % 2 ? codes[i / 2] & 15 : codes[i / 2] >> 4;
        out[i - first] = w->table[code] * scale;
    }
}
