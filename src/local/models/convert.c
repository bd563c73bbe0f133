#include "local/models/convert.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "local/models/facts.h"
#include "local/quantize/mix.h"
#include "local/quantize/quantize.h"

enum { VALUES_PER_ITEM = 1 << 16 };

static bool can_be_made(const struct mix *mix)
{
    return quantize_can(mix->base) && quantize_can(mix->output);
}

bool convert_mix(const char *name, const struct mix **mix, struct error *err)
{
    char names[200] = "";
    size_t n = 0;
    *mix = name && name[0] ? mix_find(name) : NULL;
    if (!name || !name[0] || (*mix && can_be_made(*mix)))
        return true;
    for (size_t i = 0; mix_at(i) && n < sizeof names; i++)
        if (can_be_made(mix_at(i)))
            n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", n ? ", " : "",
                                  mix_at(i)->name);
    return error_set(err, ERR_USAGE, "quantization: '%.40s' is none of %s", name, names);
}

enum dtype convert_type_for_zeros(enum dtype type, const struct tensor_view *matrix)
{
    enum dtype with_zero = mix_dtype_with_zero(type);
    return with_zero != type && tensor_has_zeros(matrix) ? with_zero : type;
}

enum dtype convert_type(const struct mix *mix, const struct model_facts *f, enum tensor_role role,
                        int layer, const struct tensor_view *v)
{
    char name[80];
    if (!mix)
        return v->dtype;
    // A part is rounded as the file's whole would be; experts are written apart.
    tensor_gguf_name(v->whole == TENSOR_EXPERT_GATE_UP ? role : v->whole, layer, name, sizeof name);
    struct mix_tensor t = {.name = name,
                           .n_dims = tensor_is_vector(role) ? 1 : 2,
                           .cols = v->cols,
                           .n_layers = f->n_layers,
                           .n_experts = f->n_experts,
                           .heads_per_kv = f->n_heads / f->n_kv_heads,
                           .tied = f->tied};
    enum dtype type = mix_dtype(mix, &t);
    struct tensor_view whole = *v;
    whole.first_row = 0;
    whole.rows = v->file_rows;
    return tensor_is_expert(role) ? type : convert_type_for_zeros(type, &whole);
}

struct conversion {
    const struct tensor_view *v;
    enum dtype type;
    uint64_t row_bytes;
    char *out;
    int64_t rows_per_item;
    float *numbers;        // [threads, cols]; NULL: rows are read as they are
    struct error *errors;  // [threads]: the first fault that each met
    int64_t *failed_row;   // [threads]
};

static void convert_some(void *self, int item, int worker)
{
    const struct conversion *c = self;
    struct error *err = &c->errors[worker];
    float *numbers = c->numbers ? c->numbers + worker * c->v->cols : NULL;
    int64_t first = item * c->rows_per_item, last = first + c->rows_per_item;
    for (int64_t r = first; r < last && r < c->v->rows && err->code == ERR_NONE; r++) {
        char *out = c->out + c->row_bytes * (uint64_t)r;
        if (!numbers) {
            tensor_view_read(c->v, r, 1, out);
            continue;
        }
        tensor_view_numbers(c->v, r, 1, numbers);
        if (!quantize_row(c->type, numbers, NULL, out, (size_t)c->v->cols, err)) {
            c->failed_row[worker] = r;
            (void)error_wrap(err, "tensor '%s': row %" PRId64, tensor_view_name(c->v), r);
        }
    }
}

// The fault in the first row that has one, of those that were met.
static bool report(const struct conversion *c, int n_threads, struct error *err)
{
    int first = -1;
    for (int i = 0; i < n_threads; i++)
        if (c->errors[i].code != ERR_NONE && (first < 0 || c->failed_row[i] < c->failed_row[first]))
            first = i;
    if (first < 0)
        return true;
    *err = c->errors[first];
    return false;
}

bool convert_rows(const struct tensor_view *v, enum dtype type, struct thread_pool *pool, void *out,
                  struct error *err)
{
    struct conversion c = {.v = v, .type = type, .out = out};
    int n_threads = thread_pool_size(pool);
    bool rounds = type != v->dtype;
    if (rounds && !quantize_can(type))
        return error_set(err, ERR_UNSUPPORTED, "tensor '%s': %s cannot be made",
                         tensor_view_name(v), dtype_name(type));
    bool whole = dtype_bytes(type, (uint64_t)v->cols, &c.row_bytes);
    assert(whole);  // the mix chose a type that the rows are whole blocks of
    (void)whole;
    c.rows_per_item = VALUES_PER_ITEM / v->cols + 1;
    c.errors = memory_array(struct error, (size_t)n_threads);
    c.failed_row = memory_array(int64_t, (size_t)n_threads);
    c.numbers = rounds ? memory_array(float, (size_t)n_threads *(size_t)v->cols) : NULL;
    thread_pool_run(pool, convert_some, &c, (int)((v->rows - 1) / c.rows_per_item + 1));
    bool ok = report(&c, n_threads, err);
    free(c.numbers);
    free(c.failed_row);
    free(c.errors);
    return ok;
}
