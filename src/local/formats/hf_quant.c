// hf_quant.c - the tensors of a packed weight: found by name, checked, their roles filled in.
#include "local/formats/hf_quant.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "local/formats/hf_quant_impl.h"
#include "local/formats/model_file.h"
#include "local/formats/shown.h"

static const char weight_ending[] = ".weight";

// "a.b.weight" to "a.b"; false if it ends otherwise or is too long.
static bool base_of(const char *name, char *base, size_t size)
{
    size_t n = strlen(name), end = sizeof weight_ending - 1;
    if (n < end || n - end >= size || strcmp(name + n - end, weight_ending) != 0)
        return false;
    memcpy(base, name, n - end);
    base[n - end] = 0;
    return true;
}

// How the codes' tensor ends instead of ".weight".
static const char *codes_ending(enum hf_quant_method method)
{
    switch (method) {
    case HF_QUANT_GPTQ:
    case HF_QUANT_AWQ: return ".qweight";
    case HF_QUANT_COMPRESSED: return ".weight_packed";
    default: return weight_ending;
    }
}

void hf_quant_codes_name(const struct hf_quant *q, const char *name, char *out, size_t size)
{
    char base[200];
    bool ok = base_of(name, base, sizeof base);
    (void)snprintf(out, size, "%s%s", ok ? base : name, ok ? codes_ending(q->method) : "");
}

const struct raw_tensor *hf_quant_find(const struct model_file *file, const struct hf_quant *q,
                                       const char *name)
{
    char base[200], codes[220];
    if (q->method == HF_QUANT_NONE || q->method == HF_QUANT_FP8 ||
        !base_of(name, base, sizeof base))
        return NULL;
    (void)snprintf(codes, sizeof codes, "%s%s", base, codes_ending(q->method));
    const struct raw_tensor *t = model_file_raw(file, codes);
    if (!t && q->method == HF_QUANT_COMPRESSED)  // INT8 is not packed
        t = model_file_raw(file, name);
    return t;
}

bool quant_fail(const struct quant_open *o, const char *ending, const char *format, ...)
{
    char text[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char name[240];
    (void)snprintf(name, sizeof name, "%s%s", o->base, ending);
    return error_set(o->err, ERR_FORMAT, "%s: tensor '%s' %s",
                     shown_path(model_file_path(o->file)).text, shown_name(slice_str(name)).text,
                     text);
}

const struct raw_tensor *quant_raw(const struct quant_open *o, const char *ending)
{
    char name[240];
    (void)snprintf(name, sizeof name, "%s%s", o->base, ending);
    return model_file_raw(o->file, name);
}

const struct model_tensor *quant_floats(const struct quant_open *o, const char *ending)
{
    char name[240];
    (void)snprintf(name, sizeof name, "%s%s", o->base, ending);
    return model_file_find(o->file, name);
}

static void shape_text(int n_dims, const int64_t *shape, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "[");
    for (int i = 0; i < n_dims && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%" PRId64, i ? ", " : "", shape[i]);
    if (n < size)
        (void)snprintf(out + n, size - n, "]");
}

static int64_t elements(int n_dims, const int64_t *shape)
{
    int64_t n = 1;
    for (int i = 0; i < n_dims; i++)
        n *= shape[i];
    return n;
}

static const char *type_name(enum raw_type type)
{
    static const char *const names[] = {"another type", "U8", "I8", "I32", "I64"};
    return names[type];
}

bool quant_check_raw(const struct quant_open *o, const char *ending, const struct raw_tensor *t,
                     enum raw_type type, int64_t d0, int64_t d1)
{
    if (t->type != type)
        return quant_fail(o, ending, "has %s, expected %s", type_name(t->type), type_name(type));
    bool ok = d0   ? t->n_dims == (d1 ? 2 : 1) && t->shape[0] == d0 && (!d1 || t->shape[1] == d1)
              : d1 ? elements(t->n_dims, t->shape) == d1
                   : true;
    if (ok)
        return true;
    char have[100], want[60];
    int64_t shape[2] = {d0 ? d0 : d1, d1};
    shape_text(t->n_dims, t->shape, have, sizeof have);
    shape_text(d0 && d1 ? 2 : 1, shape, want, sizeof want);
    return quant_fail(o, ending, "has shape %s, expected %s", have, want);
}

bool quant_need_raw(const struct quant_open *o, const char *ending, enum raw_type type, int64_t d0,
                    int64_t d1, const struct raw_tensor **out)
{
    *out = quant_raw(o, ending);
    if (!*out)
        return quant_fail(o, ending, "is missing");
    return quant_check_raw(o, ending, *out, type, d0, d1);
}

static bool plain(const struct model_tensor *t)
{
    return t->dtype == DTYPE_F32 || t->dtype == DTYPE_F16 || t->dtype == DTYPE_BF16;
}

bool quant_need_floats(const struct quant_open *o, const char *ending, int64_t n,
                       const struct model_tensor **out)
{
    *out = quant_floats(o, ending);
    if (!*out)
        return quant_fail(o, ending, "is missing");
    if (!plain(*out))
        return quant_fail(o, ending, "has type %s, expected a float", dtype_name((*out)->dtype));
    int64_t have = elements((*out)->n_dims, (*out)->shape);
    return have == n ? true
                     : quant_fail(o, ending, "has %" PRId64 " numbers, expected %" PRId64, have, n);
}

// Bits a code and the shape of the codes' tensor. Dimension `packed` of [d0, d1] counts codes,
// `n` of which are what is packed: bits follow where the config does not say.
static bool take_bits(struct quant_open *o, const char *ending, int packed, int64_t n)
{
    const struct raw_tensor *t = o->w->codes;
    if (!quant_check_raw(o, ending, t, RAW_I32, 0, 0))
        return false;
    if (t->n_dims != 2)
        return quant_fail(o, ending, "has %d dimensions, expected 2", t->n_dims);
    o->w->bits = o->q->bits;
    for (int bits = 4; !o->w->bits && bits <= 8; bits += 4)
        if (t->shape[packed] == (n * bits + 31) / 32)
            o->w->bits = bits;
    if (o->w->bits)
        return true;
    return quant_fail(o, ending,
                      "has %" PRId64 " words for %" PRId64 " values: neither 4 nor 8 "
                      "bits each",
                      t->shape[packed], n);
}

static bool whole_words(struct quant_open *o, const char *ending, const char *what, int64_t n)
{
    int64_t in_word = 32 / o->w->bits;
    return n % in_word == 0 ? true
                            : quant_fail(o, ending,
                                         "packs %" PRId64 " to a word, but there are "
                                         "%" PRId64 " %s",
                                         in_word, n, what);
}

// Scales of `rows` rows: how many groups there are, and how wide. Dimension `at` counts groups.
static bool take_groups(struct quant_open *o, const char *ending, int at)
{
    struct quant_weight *w = o->w;
    const struct model_tensor *s = w->scales = quant_floats(o, ending);
    if (!s)
        return quant_fail(o, ending, "is missing");
    if (!plain(s))
        return quant_fail(o, ending, "has type %s, expected a float", dtype_name(s->dtype));
    bool one = at == 1 && s->n_dims == 1 && s->shape[0] == w->rows;
    if (!one && (s->n_dims != 2 || s->shape[1 - at] != w->rows || s->shape[at] > w->cols)) {
        char have[100];
        shape_text(s->n_dims, s->shape, have, sizeof have);
        return quant_fail(o, ending,
                          "has shape %s, which is no scale for each of %" PRId64
                          " rows and their groups",
                          have, w->rows);
    }
    w->n_groups = one ? 1 : s->shape[at];
    w->group = (w->cols + w->n_groups - 1) / w->n_groups;
    if (o->q->group > 0 && w->n_groups > 1)
        w->group = o->q->group;
    bool as_stated = o->q->group == 0 || (o->q->group > 0 && o->q->group >= w->group) ||
                     (o->q->group < 0 && w->n_groups == 1);
    if (as_stated && (w->cols + w->group - 1) / w->group == w->n_groups)
        return true;
    return quant_fail(o, ending, "has %" PRId64 " groups for rows of %" PRId64 ", group_size is %d",
                      w->n_groups, w->cols, o->q->group);
}

// The group of each column: checked, and left out if it says nothing. compressed-tensors writes -1
// where no order was chosen.
static bool take_order(struct quant_open *o, const char *ending)
{
    struct quant_weight *w = o->w;
    const struct raw_tensor *t = quant_raw(o, ending);
    bool in_turn = true;
    if (!t)
        return true;
    if (!quant_check_raw(o, ending, t, RAW_I32, w->cols, 0))
        return false;
    for (int64_t c = 0; c < w->cols; c++) {
        int32_t g = (int32_t)quant_word(t, c);
        if (g == -1 && w->layout == QUANT_ROWS)
            return true;
        if (g < 0 || g >= w->n_groups)
            return quant_fail(o, ending,
                              "puts column %" PRId64 " into group %" PRId32 " of %" PRId64, c, g,
                              w->n_groups);
        in_turn &= g == c / w->group;
    }
    w->order = in_turn ? NULL : t;
    return true;
}

static bool open_gptq(struct quant_open *o)
{
    struct quant_weight *w = o->w;
    w->layout = QUANT_GPTQ;
    w->zeros_less_one = o->q->zeros_less_one;
    if (!take_bits(o, ".qweight", 0, w->cols) || !whole_words(o, ".qweight", "columns", w->cols) ||
        !whole_words(o, ".qzeros", "rows", w->rows) ||
        !quant_check_raw(o, ".qweight", w->codes, RAW_I32, w->cols * w->bits / 32, w->rows) ||
        !take_groups(o, ".scales", 0) || !take_order(o, ".g_idx"))
        return false;
    return quant_need_raw(o, ".qzeros", RAW_I32, w->n_groups, w->rows * w->bits / 32, &w->zeros);
}

static bool open_awq(struct quant_open *o)
{
    struct quant_weight *w = o->w;
    w->layout = QUANT_AWQ;
    w->bits = 4;
    if (!whole_words(o, ".qweight", "rows", w->rows) ||
        !quant_check_raw(o, ".qweight", w->codes, RAW_I32, w->cols, w->rows / 8) ||
        !take_groups(o, ".scales", 0))
        return false;
    // Without zero points (zero_point: false) there is no such tensor.
    return !quant_raw(o, ".qzeros") ||
           quant_need_raw(o, ".qzeros", RAW_I32, w->n_groups, w->rows / 8, &w->zeros);
}

// Zero points of compressed-tensors: packed along the rows, or a signed byte each.
static bool take_zeros(struct quant_open *o)
{
    struct quant_weight *w = o->w;
    const struct raw_tensor *t = w->zeros = quant_raw(o, ".weight_zero_point");
    if (!t)
        return true;
    if (t->type != RAW_I8 && w->layout == QUANT_ROWS) {
        int64_t in_word = 32 / w->bits;
        return quant_check_raw(o, ".weight_zero_point", t, RAW_I32,
                               (w->rows + in_word - 1) / in_word, w->n_groups);
    }
    return quant_check_raw(o, ".weight_zero_point", t, RAW_I8, 0, w->rows * w->n_groups);
}

// The shape that was packed, [rows, cols], where it is stated.
static bool check_stated_shape(struct quant_open *o)
{
    const struct raw_tensor *t = quant_raw(o, ".weight_shape");
    int64_t stated[2];
    if (!t)
        return true;
    if (!quant_check_raw(o, ".weight_shape", t, t->type == RAW_I32 ? RAW_I32 : RAW_I64, 2, 0))
        return false;
    if (t->type == RAW_I64) {
        memcpy(stated, t->data, sizeof stated);
    } else {
        stated[0] = (int32_t)quant_word(t, 0);
        stated[1] = (int32_t)quant_word(t, 1);
    }
    if (stated[0] == o->w->rows && stated[1] == o->w->cols)
        return true;
    return quant_fail(o, ".weight_shape",
                      "says [%" PRId64 ", %" PRId64 "], expected [%" PRId64 ", %" PRId64 "]",
                      stated[0], stated[1], o->w->rows, o->w->cols);
}

static bool open_rows(struct quant_open *o)
{
    struct quant_weight *w = o->w;
    w->layout = QUANT_ROWS;
    if (!take_bits(o, ".weight_packed", 1, w->cols))
        return false;
    int64_t in_word = 32 / w->bits, words = (w->cols + in_word - 1) / in_word;
    return quant_check_raw(o, ".weight_packed", w->codes, RAW_I32, w->rows, words) &&
           check_stated_shape(o) && take_groups(o, ".weight_scale", 1) && take_zeros(o) &&
           take_order(o, ".weight_g_idx");
}

// compressed-tensors' INT8: one scale, one a row, or one a group.
static bool open_int8(struct quant_open *o)
{
    struct quant_weight *w = o->w;
    w->layout = QUANT_INT8;
    w->bits = 8;
    if (!quant_check_raw(o, ".weight", w->codes, RAW_I8, w->rows, w->cols))
        return false;
    const struct model_tensor *s = quant_floats(o, ".weight_scale");
    if (!s || elements(s->n_dims, s->shape) != 1)
        return take_groups(o, ".weight_scale", 1) && take_zeros(o);
    if (!quant_need_floats(o, ".weight_scale", 1, &w->scales))
        return false;
    w->n_groups = 1;
    w->group = w->cols;
    w->zeros = quant_raw(o, ".weight_zero_point");
    return !w->zeros || quant_check_raw(o, ".weight_zero_point", w->zeros, RAW_I8, 0, 1);
}

// bitsandbytes' INT8: a row's scale is its largest magnitude, which became 127.
static bool open_llm_int8(struct quant_open *o)
{
    struct quant_weight *w = o->w;
    w->layout = QUANT_INT8;
    w->bits = 8;
    w->n_groups = 1;
    w->group = w->cols;
    w->factor = 7.874015718698502e-3f;
    const struct raw_tensor *format = quant_raw(o, ".weight_format");
    if (format && format->type == RAW_U8 && *(const uint8_t *)format->data != 0)
        return quant_fail(o, ".weight_format", "is %d: only rows one after another can be read",
                          *(const uint8_t *)format->data);
    return quant_check_raw(o, ".weight", w->codes, RAW_I8, w->rows, w->cols) &&
           quant_need_floats(o, ".SCB", w->rows, &w->scales);
}

static bool is_packed(const struct quant_open *o)
{
    return strcmp(o->w->codes->name + strlen(o->base), ".weight_packed") == 0;
}

static bool open_by_method(struct quant_open *o)
{
    switch (o->q->method) {
    case HF_QUANT_GPTQ: return open_gptq(o);
    case HF_QUANT_AWQ: return open_awq(o);
    case HF_QUANT_COMPRESSED: return is_packed(o) ? open_rows(o) : open_int8(o);
    case HF_QUANT_BITSANDBYTES:
        return o->w->codes->type == RAW_I8 ? open_llm_int8(o) : quant_open_table(o);
    case HF_QUANT_NONE:
    case HF_QUANT_FP8: break;
    }
    assert(false);  // hf_quant_find gives no codes then
    return false;
}

bool hf_quant_open(const struct model_file *file, const struct hf_quant *q,
                   const struct raw_tensor *codes, int64_t rows, int64_t cols,
                   struct quant_weight *w, struct error *err)
{
    struct quant_open o = {.file = file, .q = q, .w = w, .err = err};
    *w = (struct quant_weight){.codes = codes, .rows = rows, .cols = cols, .factor = 1};
    (void)snprintf(o.base, sizeof o.base, "%s", codes->name);
    *strrchr(o.base, '.') = 0;  // every ending of codes has one dot
    if (!open_by_method(&o))
        return false;
    if (w->layout != QUANT_TABLE)
        w->dtype = quant_choose(w);
    return true;
}

void quant_weight_forget(const struct model_file *file, const struct quant_weight *w)
{
    model_file_forget_raw(file, w->codes);
}
