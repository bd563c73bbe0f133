#include "local/models/export.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "local/formats/gguf.h"
#include "local/formats/gguf_write.h"
#include "local/formats/model_file.h"
#include "local/models/convert.h"
#include "local/models/export_impl.h"
#include "local/models/export_keys.h"
#include "local/models/facts.h"
#include "local/models/family.h"
#include "local/models/tensors.h"
#include "local/quantize/care.h"
#include "local/quantize/mix.h"

// What a tensor is stored as; see mix.h.
static enum dtype stored_type(const struct export *e, const char *name, int n_dims, int64_t cols)
{
    const struct mix *mix = e->o->mix;
    struct mix_tensor t = {.name = name,
                           .n_dims = n_dims,
                           .cols = cols,
                           .n_layers = e->facts.n_layers,
                           .n_experts = e->facts.n_experts,
                           .heads_per_kv = e->facts.n_heads / e->facts.n_kv_heads,
                           .tied = e->facts.tied};
    enum dtype type = mix_dtype(mix, &t);
    struct export_report *r = e->o->report;
    if (r && n_dims > 1)
        r->n_matrices++;
    if (r && mix_stands_in(mix, &t)) {
        r->n_other++;
        r->other_cols = cols;
        r->other_type = dtype_info(type)->name;
    }
    if (type == DTYPE_F16 && mix->base != DTYPE_F16)
        log_info("tensor '%s': rows of %" PRId64 " are no whole blocks, stored as f16", name, cols);
    return type;
}

static struct piece *add_piece(struct export *e, const char *name, int n_dims, const int64_t *shape)
{
    memory_grow(e->pieces, e->capacity, e->n_pieces + 1);
    struct piece *p = &e->pieces[e->n_pieces++];
    *p = (struct piece){.n_dims = n_dims};
    (void)snprintf(p->name, sizeof p->name, "%s", name);
    for (int i = 0; i < n_dims; i++)
        p->shape[i] = shape[i];
    p->dtype = stored_type(e, name, n_dims, shape[n_dims - 1]);
    return p;
}

// A matrix that has zeros on purpose gets a format that can say so. Experts are left alone.
static void keep_zeros(struct export *e, struct piece *p, const struct tensor_view *v)
{
    enum dtype type = convert_type_for_zeros(p->dtype, v);
    if (e->o->report)
        e->o->report->n_zeros += type != p->dtype;
    p->dtype = type;
}

// Adds a role if the folder has it (or must have it).
static bool add_role(struct export *e, enum tensor_role role, int layer, bool needed, bool *found)
{
    const struct model_facts *f = &e->facts;
    struct tensor_view v;
    char name[80];
    if (!tensor_find(e->file, f, role, layer, 0, &v, found, e->err))
        return false;
    if (!*found)
        return !needed || tensor_need(e->file, f, role, layer, 0, &v, e->err);
    bool expert = tensor_is_expert(role);
    bool vector = tensor_is_vector(role);
    int64_t shape[3] = {f->n_experts, v.rows, v.cols};
    int skip = expert ? 0 : vector ? 2 : 1;
    tensor_gguf_name(role, layer, name, sizeof name);
    struct piece *p = add_piece(e, name, 3 - skip, shape + skip);
    p->role = role;
    p->layer = layer;
    p->n_experts = expert ? f->n_experts : 0;
    if (!expert && !vector)
        keep_zeros(e, p, &v);
    bool heads =
        role == TENSOR_Q || role == TENSOR_K || role == TENSOR_Q_BIAS || role == TENSOR_K_BIAS;
    p->head_dim = heads && strcmp(f->family->arch, "llama") == 0 ? f->head_dim : 0;
    return true;
}

static bool add_experts(struct export *e, int layer)
{
    static const enum tensor_role roles[] = {TENSOR_EXPERT_GATE, TENSOR_EXPERT_UP,
                                             TENSOR_EXPERT_DOWN};
    bool found;
    for (int i = 0; i < 3; i++)
        if (!add_role(e, roles[i], layer, true, &found))
            return false;
    return true;
}

// Which whole a part was written with, if it was.
static bool in_fused(enum tensor_role role, bool qkv, bool qkv_bias, bool gate_up)
{
    switch (role) {
    case TENSOR_Q:
    case TENSOR_K:
    case TENSOR_V: return qkv;
    case TENSOR_Q_BIAS:
    case TENSOR_K_BIAS:
    case TENSOR_V_BIAS: return qkv_bias;
    case TENSOR_GATE:
    case TENSOR_UP: return gate_up;
    default: return false;
    }
}

static bool add_layer(struct export *e, int layer)
{
    const struct model_facts *f = &e->facts;
    bool qkv, qkv_bias, gate_up = false, found;
    if (!add_role(e, TENSOR_QKV, layer, false, &qkv) ||
        !add_role(e, TENSOR_QKV_BIAS, layer, false, &qkv_bias))
        return false;
    if (f->gated && !add_role(e, TENSOR_GATE_UP, layer, false, &gate_up))
        return false;
    for (enum tensor_role role = TENSOR_ATTN_NORM; role < TENSOR_ROLES; role++) {
        enum tensor_presence presence = tensor_presence(f, layer, role);
        if (presence != TENSOR_ABSENT && !in_fused(role, qkv, qkv_bias, gate_up) &&
            !add_role(e, role, layer, presence == TENSOR_NEEDED, &found))
            return false;
    }
    return f->n_experts == 0 || f->dense[layer] || add_experts(e, layer);
}

static void add_factors(struct export *e, const char *name, const float *factors)
{
    int64_t n = e->facts.rope[0].n_dims / 2;
    add_piece(e, name, 1, &n)->numbers = factors;
}

// Rope scalings that GGUF states as a factor for each frequency.
static void add_rope(struct export *e)
{
    const struct rope_facts *r = &e->facts.rope[0];
    float plain[ROPE_FREQS_MAX], scaled[ROPE_FREQS_MAX], scale;
    if (e->facts.learned_positions)
        return;
    if (r->scaling == ROPE_FACTORS) {
        add_factors(e, "rope_factors_long.weight", r->long_factors);
        add_factors(e, "rope_factors_short.weight", r->short_factors);
    }
    if (r->scaling != ROPE_LLAMA3)
        return;
    struct rope_facts unscaled = *r;
    unscaled.scaling = ROPE_PLAIN;
    rope_frequencies(&unscaled, e->facts.ctx_train, 1, plain, &scale);
    rope_frequencies(r, e->facts.ctx_train, 1, scaled, &scale);
    for (int i = 0; i < r->n_dims / 2; i++)
        e->factors[0][i] = plain[i] / scaled[i];
    add_factors(e, "rope_freqs.weight", e->factors[0]);
}

static bool plan_folder(struct export *e)
{
    const struct model_facts *f = &e->facts;
    bool found, layer_norm = f->norm == NORM_LAYER;
    if (!add_role(e, TENSOR_TOKEN_EMBD, 0, true, &found) ||
        (f->learned_positions && !add_role(e, TENSOR_POSITION_EMBD, 0, true, &found)))
        return false;
    add_rope(e);
    for (int i = 0; i < f->n_layers; i++)
        if (!add_layer(e, i))
            return false;
    return add_role(e, TENSOR_OUTPUT_NORM, 0, true, &found) &&
           (!layer_norm || add_role(e, TENSOR_OUTPUT_NORM_BIAS, 0, true, &found)) &&
           (f->tied || add_role(e, TENSOR_OUTPUT, 0, true, &found));
}

// A GGUF file's tensor as one matrix.
static struct tensor_view view_of(const struct model_tensor *t)
{
    struct tensor_view v = {
        .tensor = t, .rows = 1, .cols = t->shape[t->n_dims - 1], .dtype = t->dtype};
    for (int i = 0; i < t->n_dims - 1; i++)
        v.rows *= t->shape[i];
    v.file_rows = v.rows + 1;  // no vector: rows are rows
    return v;
}

static bool plan_gguf(struct export *e)
{
    for (size_t i = 0; i < model_file_n_tensors(e->file); i++) {
        const struct model_tensor *t = model_file_tensor(e->file, i);
        if (t->n_dims < 1 || t->n_dims > 3 || strlen(t->name) >= sizeof e->pieces->name)
            return error_set(e->err, ERR_UNSUPPORTED, "tensor '%.80s' has %d dimensions", t->name,
                             t->n_dims);
        struct piece *p = add_piece(e, t->name, t->n_dims, t->shape);
        p->tensor = t;
        if (t->n_dims == 2) {
            struct tensor_view v = view_of(t);
            keep_zeros(e, p, &v);
        }
    }
    return true;
}

static bool put_vector(struct export *e, const struct piece *p, const struct tensor_view *v)
{
    float *in = memory_array(float, (size_t)v->cols), *out = memory_array(float, (size_t)v->cols);
    tensor_view_floats(v, in);
    for (int64_t i = 0; i < v->cols; i++)
        out[i] = in[export_source_row(p, i)];
    bool ok = export_rows(e, p, NULL, out, 1, v->cols);
    free(in);
    free(out);
    return ok;
}

static bool put_role(struct export *e, const struct piece *p)
{
    struct tensor_view v;
    for (int i = 0; i < (p->n_experts ? p->n_experts : 1); i++) {
        if (!tensor_need(e->file, &e->facts, p->role, p->layer, i, &v, e->err) ||
            !(p->n_dims == 1 ? put_vector(e, p, &v) : export_rows(e, p, &v, NULL, v.rows, v.cols)))
            return false;
        tensor_view_forget(e->file, &v);
    }
    return true;
}

static bool put_tensor(struct export *e, const struct piece *p)
{
    const struct model_tensor *t = p->tensor;
    struct tensor_view v = view_of(t);
    bool ok =
        t->dtype == p->dtype ? export_copy(e, p, t) : export_rows(e, p, &v, NULL, v.rows, v.cols);
    model_file_forget(e->file, t);
    return ok;
}

// Keys that are not copied: the new file has other types, and is one.
static bool is_own_key(struct slice key)
{
    return slice_is(key, "general.file_type") || slice_is(key, "general.quantization_version") ||
           slice_is(key, "split.no") || slice_is(key, "split.count") ||
           slice_is(key, "split.tensors.count");
}

static bool write_keys(struct export *e)
{
    const struct gguf *g = model_file_gguf(e->file);
    for (size_t i = 0; g && i < gguf_n_values(g); i++)
        if (!is_own_key(gguf_value(g, i)->key))
            gguf_write_value(e->w, gguf_value(g, i));
    if (!g) {
        char folder[256];
        (void)snprintf(folder, sizeof folder, "%s", model_file_path(e->file));
        for (size_t n = strlen(folder); n > 1 && folder[n - 1] == '/'; n--)
            folder[n - 1] = 0;
        const char *slash = strrchr(folder, '/');
        const char *name = e->o->name ? e->o->name : slash ? slash + 1 : folder;
        export_keys(e->w, &e->facts, name);
        struct slice template = model_file_chat_template(e->file, NULL);
        if (template.len)
            gguf_write_text(e->w, "tokenizer.chat_template", template);
        if (e->o->tokenizer_keys && !e->o->tokenizer_keys(e->file, e->facts.n_vocab, e->w, e->err))
            return false;
    }
    export_type_keys(e->w, e->o->mix);
    return true;
}

static bool write_all(struct export *e, const char *path)
{
    bool folder = !model_file_gguf(e->file);
    if (!(folder ? plan_folder(e) : plan_gguf(e)) || !write_keys(e))
        return false;
    for (size_t i = 0; i < e->n_pieces; i++) {
        const struct piece *p = &e->pieces[i];
        int64_t n = 1;
        for (int d = 0; d < p->n_dims; d++)
            n *= p->shape[d];
        e->total += export_bytes(p->dtype, n);
        if (e->o->report) {
            e->o->report->values += n;
            e->o->report->bytes += (int64_t)export_bytes(p->dtype, n);
            e->o->report->n_quantized += p->tensor && dtype_info(p->tensor->dtype)->block_len > 1;
        }
        gguf_write_tensor(e->w, p->name, p->dtype, p->n_dims, p->shape);
    }
    if (!gguf_writer_begin(e->w, path, e->err))
        return false;
    for (size_t i = 0; i < e->n_pieces; i++) {
        const struct piece *p = &e->pieces[i];
        bool ok = p->numbers  ? export_rows(e, p, NULL, p->numbers, 1, p->shape[0])
                  : p->tensor ? put_tensor(e, p)
                              : put_role(e, p);
        if (!ok)
            return false;
    }
    return gguf_writer_finish(e->w, e->err);
}

bool model_export(const struct model_file *file, const char *path, const struct export_options *o,
                  struct error *err)
{
    assert(o->mix);
    if (model_file_is_at(file, path))
        return error_set(err, ERR_USAGE, "'%s' would be written over itself: name another file",
                         path);
    struct export *e = memory_array(struct export, 1);
    *e = (struct export){.file = file, .o = o, .err = err};
    e->pool = thread_pool_new(o->threads > 0 ? o->threads : thread_pool_default_size(), NULL);
    bool ok = facts_read(file, &e->facts, err);
    if (ok) {
        e->w = gguf_writer_new();
        ok = write_all(e, path) || error_wrap(err, "%s", path);
        gguf_writer_free(e->w);
    }
    care_free(e->care);
    thread_pool_free(e->pool);
    free(e->pieces);
    free(e);
    return ok;
}
