// facts_gguf.c - the keys that GGUF files of all families share.
// Source: github.com/ggml-org/ggml/blob/master/docs/gguf.md; llama.cpp's use of the keys.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "local/formats/gguf.h"
#include "local/formats/model_file.h"
#include "local/models/family.h"

static void key_name(const struct model_facts *f, const char *name, char key[128])
{
    (void)snprintf(key, 128, "%s.%s", f->family->arch, name);
}

// A number, or an array that says the same number for every layer.
static bool get_same(const struct gguf *g, const char *key, int64_t *value, struct error *err)
{
    const struct gguf_value *v = gguf_find(g, key);
    if (v->type != GGUF_ARRAY) {
        if (gguf_get_i64(g, key, value))
            return true;
        return error_set(err, ERR_FORMAT, "key %s is not a whole number", key);
    }
    for (uint64_t i = 0; i < v->n && i < LAYERS_MAX; i++) {
        int64_t item;
        if (!gguf_item_i64(v, i, &item))
            return error_set(err, ERR_FORMAT, "key %s is no array of whole numbers", key);
        if (i && item != *value)
            return error_set(err, ERR_UNSUPPORTED, "key %s differs between layers", key);
        *value = item;
    }
    return v->n ? true : error_set(err, ERR_FORMAT, "key %s is an empty array", key);
}

bool gguf_int(const struct model_file *file, const struct model_facts *f, const char *name,
              int64_t min, int64_t max, int *value, struct error *err)
{
    char key[128];
    int64_t v;
    key_name(f, name, key);
    if (!gguf_find(model_file_gguf(file), key))
        return true;
    if (!get_same(model_file_gguf(file), key, &v, err))
        return false;
    if (v < min || v > max)
        return error_set(err, ERR_FORMAT, "key %s is %" PRId64 ", expected %" PRId64 " to %" PRId64,
                         key, v, min, max);
    *value = (int)v;
    return true;
}

static bool gguf_double(const struct model_file *file, const struct model_facts *f,
                        const char *name, double *value, struct error *err)
{
    char key[128];
    key_name(f, name, key);
    if (!gguf_find(model_file_gguf(file), key) || gguf_get_f64(model_file_gguf(file), key, value))
        return true;
    return error_set(err, ERR_FORMAT, "key %s is not a number", key);
}

bool gguf_float(const struct model_file *file, const struct model_facts *f, const char *name,
                float *value, struct error *err)
{
    double v = (double)*value;
    if (!gguf_double(file, f, name, &v, err))
        return false;
    *value = (float)v;
    return true;
}

static bool need(const struct model_facts *f, int value, const char *name, struct error *err)
{
    if (value > 0)
        return true;
    return error_set(err, ERR_FORMAT, "key %s.%s is missing", f->family->arch, name);
}

// Factors of each frequency, as llama.cpp's converters write them for Llama 3 and LongRoPE.
static bool read_factors(const struct model_file *file, const char *name, struct rope_facts *r,
                         float *out, struct error *err)
{
    const struct model_tensor *t = model_file_find(file, name);
    if (!t)
        return true;
    if (t->dtype != DTYPE_F32 || t->n_dims != 1 || t->shape[0] != r->n_dims / 2 ||
        t->shape[0] > ROPE_FREQS_MAX)
        return error_set(err, ERR_FORMAT, "tensor '%s': expected %d numbers of type f32", name,
                         r->n_dims / 2);
    memcpy(out, t->data, (size_t)t->shape[0] * sizeof *out);
    r->scaling = ROPE_FACTORS;
    return true;
}

static bool read_scaling(const struct model_file *file, struct model_facts *f, struct error *err)
{
    struct rope_facts *r = &f->rope[0];
    struct slice type = slice_str("none");
    char key[128];
    key_name(f, "rope.scaling.type", key);
    (void)gguf_get_text(model_file_gguf(file), key, &type);
    r->original_ctx = f->ctx_train;
    r->beta_fast = 32;
    r->beta_slow = 1;
    r->truncate = true;
    double magnitude = 1, factor = 1, old_linear = 1;
    if (!gguf_double(file, f, "rope.scaling.factor", &factor, err) ||
        !gguf_double(file, f, "rope.scale_linear", &old_linear, err) ||
        !gguf_double(file, f, "rope.scaling.attn_factor", &magnitude, err) ||
        !gguf_double(file, f, "rope.scaling.yarn_beta_fast", &r->beta_fast, err) ||
        !gguf_double(file, f, "rope.scaling.yarn_beta_slow", &r->beta_slow, err) ||
        !gguf_int(file, f, "rope.scaling.original_context_length", 1, 1 << 30, &r->original_ctx,
                  err))
        return false;
    r->factor = factor > 0 ? factor : 1;
    r->attention_factor = magnitude;
    if (slice_is(type, "none") && old_linear > 1) {
        r->scaling = ROPE_LINEAR;
        r->factor = old_linear;
    } else if (slice_is(type, "linear")) {
        r->scaling = ROPE_LINEAR;
    } else if (slice_is(type, "yarn")) {
        r->scaling = ROPE_YARN;
        if (r->factor > 1)
            r->attention_factor = magnitude * (0.1 * log(r->factor) + 1);
    } else if (!slice_is(type, "none") && !slice_is(type, "longrope")) {
        return error_set(err, ERR_UNSUPPORTED, "key %s: scaling '%.*s' is not supported", key,
                         (int)(type.len < 40 ? type.len : 40), type.ptr);
    }
    return true;
}

static bool read_rope(const struct model_file *file, struct model_facts *f, struct error *err)
{
    struct rope_facts *r = &f->rope[0];
    r->n_dims = f->head_dim;
    if (!gguf_double(file, f, "rope.freq_base", &r->base, err) ||
        !gguf_int(file, f, "rope.dimension_count", 2, HEAD_DIM_MAX, &r->n_dims, err) ||
        !read_scaling(file, f, err))
        return false;
    f->rope[1].n_dims = r->n_dims;
    if (!gguf_double(file, f, "rope.freq_base_swa", &f->rope[1].base, err) ||
        !read_factors(file, "rope_freqs.weight", r, r->short_factors, err))
        return false;
    memcpy(r->long_factors, r->short_factors, sizeof r->long_factors);
    return read_factors(file, "rope_factors_long.weight", r, r->long_factors, err) &&
           read_factors(file, "rope_factors_short.weight", r, r->short_factors, err);
}

bool gguf_sliding(const struct model_file *file, struct model_facts *f, int pattern,
                  struct error *err)
{
    char key[128];
    key_name(f, "attention.sliding_window_pattern", key);
    const struct gguf_value *v = gguf_find(model_file_gguf(file), key);
    if (!v || v->type != GGUF_ARRAY) {
        if (!gguf_int(file, f, "attention.sliding_window_pattern", 1, LAYERS_MAX, &pattern, err))
            return false;
        sliding_pattern(f, pattern);
        return true;
    }
    if (v->item_type != GGUF_BOOL || v->n != (uint64_t)f->n_layers)
        return error_set(err, ERR_FORMAT, "key %s is no array of %d bools", key, f->n_layers);
    for (int i = 0; i < f->n_layers; i++)
        f->sliding[i] = v->data[i] != 0 && f->window > 0;
    return true;
}

// Keys that only our own files have, for what llama.cpp keeps in its code or cannot do.
static bool read_own_keys(const struct model_file *file, struct model_facts *f, struct error *err)
{
    char key[128], name[32];
    struct slice act;
    struct rope_facts *r = &f->rope[0];
    key_name(f, "expert_weights_norm", key);
    (void)gguf_get_bool(model_file_gguf(file), key, &f->moe_renormalize);
    key_name(f, "rope.scaling.yarn_truncate", key);
    (void)gguf_get_bool(model_file_gguf(file), key, &r->truncate);
    double factor = 0;
    if (!gguf_double(file, f, "rope.scaling.dynamic_factor", &factor, err))
        return false;
    if (factor > 0) {
        r->scaling = ROPE_DYNAMIC;
        r->factor = factor;
    }
    key_name(f, "hidden_activation", key);
    if (!gguf_get_text(model_file_gguf(file), key, &act))
        return true;
    (void)snprintf(name, sizeof name, "%.*s", (int)(act.len < 31 ? act.len : 31), act.ptr);
    if (!facts_activation(name, &f->act))
        return error_set(err, ERR_UNSUPPORTED, "key %s: '%s' is not supported", key, name);
    return true;
}

// The embedding says how many tokens there are; the tokenizer's list must agree.
static bool read_vocab(const struct model_file *file, struct model_facts *f, struct error *err)
{
    const struct model_tensor *t = model_file_find(file, "token_embd.weight");
    const struct gguf_value *tokens = gguf_find(model_file_gguf(file), "tokenizer.ggml.tokens");
    if (!t || t->n_dims != 2 || t->shape[0] > 1 << 24)
        return error_set(err, ERR_FORMAT, "tensor 'token_embd.weight' is %s",
                         t ? "no matrix of at most 16777216 rows" : "missing");
    f->n_vocab = (int)t->shape[0];
    if (tokens && tokens->type == GGUF_ARRAY && tokens->n != (uint64_t)f->n_vocab)
        return error_set(err, ERR_FORMAT,
                         "key tokenizer.ggml.tokens has %" PRIu64
                         " tokens, but tensor 'token_embd.weight' has %d rows",
                         tokens->n, f->n_vocab);
    return true;
}

bool gguf_common(const struct model_file *file, struct model_facts *f, struct error *err)
{
    int value_dim = 0, experts = 0;
    if (!gguf_int(file, f, "block_count", 1, LAYERS_MAX, &f->n_layers, err) ||
        !need(f, f->n_layers, "block_count", err) ||
        !gguf_int(file, f, "embedding_length", 1, 1 << 20, &f->n_embd, err) ||
        !need(f, f->n_embd, "embedding_length", err) ||
        !gguf_int(file, f, "attention.head_count", 1, 1 << 14, &f->n_heads, err) ||
        !need(f, f->n_heads, "attention.head_count", err) ||
        !gguf_int(file, f, "context_length", 1, 1 << 30, &f->ctx_train, err) ||
        !gguf_int(file, f, "feed_forward_length", 0, 1 << 24, &f->n_ff, err))
        return false;
    f->n_kv_heads = f->n_heads;
    f->head_dim = f->n_embd / f->n_heads;
    if (!gguf_int(file, f, "attention.head_count_kv", 1, 1 << 14, &f->n_kv_heads, err) ||
        !gguf_int(file, f, "attention.key_length", 1, HEAD_DIM_MAX, &f->head_dim, err))
        return false;
    value_dim = f->head_dim;
    if (!gguf_int(file, f, "attention.value_length", 1, HEAD_DIM_MAX, &value_dim, err) ||
        !gguf_int(file, f, "attention.sliding_window", 0, INT32_MAX, &f->window, err) ||
        !gguf_int(file, f, "expert_count", 0, EXPERTS_MAX, &experts, err))
        return false;
    if (value_dim != f->head_dim)
        return error_set(err, ERR_UNSUPPORTED, "keys of %d and values of %d dimensions differ",
                         f->head_dim, value_dim);
    f->n_experts = experts;
    f->n_expert_ff = experts ? f->n_ff : 0;
    f->attn_scale = 1.0f / sqrtf((float)f->head_dim);
    if (!gguf_int(file, f, "expert_used_count", 0, EXPERTS_MAX, &f->n_experts_used, err) ||
        !gguf_int(file, f, "expert_feed_forward_length", 0, 1 << 20, &f->n_expert_ff, err) ||
        !gguf_float(file, f, "attention.layer_norm_rms_epsilon", &f->norm_eps, err) ||
        !gguf_float(file, f, "attention.scale", &f->attn_scale, err) || !read_vocab(file, f, err))
        return false;
    f->tied = !model_file_find(file, "output.weight");
    return (f->learned_positions || read_rope(file, f, err)) && read_own_keys(file, f, err);
}
