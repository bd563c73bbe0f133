// hf_quant_impl.h - shared by the files of hf_quant: finding and checking the tensors of a weight.
#pragma once
#include <string.h>

#include "local/formats/hf_quant.h"
#include "local/formats/model_file.h"

// A weight being opened. `base` is what the names of its tensors have in common.
struct quant_open {
    const struct model_file *file;
    const struct hf_quant *q;
    struct quant_weight *w;
    char base[200];
    struct error *err;
};

// False with err "FILE: tensor 'BASE.ending' ...".
bool quant_fail(const struct quant_open *o, const char *ending, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Tensors by the ending of their names; NULL if absent (err is untouched).
const struct raw_tensor *quant_raw(const struct quant_open *o, const char *ending);
const struct model_tensor *quant_floats(const struct quant_open *o, const char *ending);
// The same with type and shape [d0, d1] checked (d1 0: one dimension, [d0]); d0 0: any shape with
// n elements, n given by d1. False with err if it is absent or otherwise.
bool quant_need_raw(const struct quant_open *o, const char *ending, enum raw_type type, int64_t d0,
                    int64_t d1, const struct raw_tensor **out);
bool quant_check_raw(const struct quant_open *o, const char *ending, const struct raw_tensor *t,
                     enum raw_type type, int64_t d0, int64_t d1);
bool quant_need_floats(const struct quant_open *o, const char *ending, int64_t n,
                       const struct model_tensor **out);

bool quant_open_table(struct quant_open *o);  // hf_quant_table.c
void quant_table_row(const struct quant_weight *w, int64_t row, float *out);

// hf_quant_rows.c: w->dtype of a weight with scales and zeros.
enum dtype quant_choose(const struct quant_weight *w);

static inline uint32_t quant_word(const struct raw_tensor *t, int64_t i)
{
    uint32_t v;
    memcpy(&v, (const char *)t->data + i * 4, sizeof v);
    return v;
}
