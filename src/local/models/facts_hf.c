// facts_hf.c - the members of config.json that folders of most families share, as transformers 4
// and 5 write them.
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "local/models/family.h"

static const json_t *member(const json_t *config, const char *key)
{
    const json_t *v = json_object_get(config, key);
    return json_is_null(v) ? NULL : v;
}

bool hf_int(const json_t *config, const char *key, int64_t min, int64_t max, int *value,
            struct error *err)
{
    int64_t v;
    if (!member(config, key))
        return true;
    if (!json_get_i64(config, key, &v))
        return error_set(err, ERR_FORMAT, "config.json: %s is not a whole number", key);
    if (v < min || v > max)
        return error_set(err, ERR_FORMAT,
                         "config.json: %s is %" PRId64 ", expected %" PRId64 " to %" PRId64, key, v,
                         min, max);
    *value = (int)v;
    return true;
}

static bool hf_double(const json_t *config, const char *key, double *value, struct error *err)
{
    if (!member(config, key) || json_get_f64(config, key, value))
        return true;
    return error_set(err, ERR_FORMAT, "config.json: %s is not a number", key);
}

bool hf_float(const json_t *config, const char *key, float *value, struct error *err)
{
    double v = (double)*value;
    if (!hf_double(config, key, &v, err))
        return false;
    if (!(fabs(v) < 1e30))
        return error_set(err, ERR_FORMAT, "config.json: %s is too large", key);
    *value = (float)v;
    return true;
}

bool hf_bool(const json_t *config, const char *key, bool *value, struct error *err)
{
    if (!member(config, key) || json_get_bool(config, key, value))
        return true;
    return error_set(err, ERR_FORMAT, "config.json: %s is neither true nor false", key);
}

bool hf_activation(const json_t *config, const char *key, struct model_facts *f, struct error *err)
{
    const json_t *v = member(config, key);
    if (!v)
        return true;
    if (!json_is_string(v))
        return error_set(err, ERR_FORMAT, "config.json: %s is not a text", key);
    if (facts_activation(json_string_value(v), &f->act))
        return true;
    return error_set(err, ERR_UNSUPPORTED, "config.json: %s '%.40s' is not supported", key,
                     json_string_value(v));
}

static bool read_factors(const json_t *rope, const char *key, const struct rope_facts *r,
                         float *out, struct error *err)
{
    const json_t *list = json_object_get(rope, key);
    if (!json_is_array(list) || json_array_size(list) != (size_t)r->n_dims / 2)
        return error_set(err, ERR_FORMAT, "config.json: rope's %s is no list of %d numbers", key,
                         r->n_dims / 2);
    for (int i = 0; i < r->n_dims / 2 && i < ROPE_FREQS_MAX; i++) {
        const json_t *v = json_array_get(list, (size_t)i);
        double d = json_is_number(v) ? json_number_value(v) : 0;
        if (!(d > 0 && d < 1e9))
            return error_set(err, ERR_FORMAT, "config.json: rope's %s[%d] is not a positive number",
                             key, i);
        out[i] = (float)d;
    }
    return true;
}

static double yarn_magnitude(double factor, double mscale)
{
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

// The factor of cos and sin where the config does not state one.
static bool attention_factor(const json_t *rope, struct rope_facts *r, struct error *err)
{
    double mscale = 0, all = 0;
    if (member(rope, "attention_factor"))
        return hf_double(rope, "attention_factor", &r->attention_factor, err);
    if (r->scaling == ROPE_FACTORS && r->factor > 1 && r->original_ctx > 1)
        r->attention_factor = sqrt(1 + log(r->factor) / log(r->original_ctx));
    if (r->scaling != ROPE_YARN)
        return true;
    if (!hf_double(rope, "mscale", &mscale, err) || !hf_double(rope, "mscale_all_dim", &all, err))
        return false;
    bool both = mscale != 0 && all != 0;
    r->attention_factor = both ? yarn_magnitude(r->factor, mscale) / yarn_magnitude(r->factor, all)
                               : yarn_magnitude(r->factor, 1);
    return true;
}

static bool scaling_kind(const char *name, enum rope_scaling *kind)
{
    static const struct {
        const char *name;
        enum rope_scaling kind;
    } kinds[] = {
        {"default", ROPE_PLAIN},    {"mrope", ROPE_PLAIN},   {"linear", ROPE_LINEAR},
        {"dynamic", ROPE_DYNAMIC},  {"llama3", ROPE_LLAMA3}, {"yarn", ROPE_YARN},
        {"longrope", ROPE_FACTORS}, {"su", ROPE_FACTORS},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(name, kinds[i].name) == 0) {
            *kind = kinds[i].kind;
            return true;
        }
    }
    return false;
}

// One set of rope parameters: rope holds them (NULL: none), config what stands outside of them.
static bool read_rope_set(const json_t *config, const json_t *rope, struct model_facts *f,
                          struct rope_facts *r, struct error *err)
{
    double rotary = 1;
    const char *type = rope ? json_get_text(rope, "rope_type") : NULL;
    if (rope && !type)
        type = json_get_text(rope, "type");
    if (!hf_double(config, "rope_theta", &r->base, err) ||
        !hf_double(config, "partial_rotary_factor", &rotary, err) ||
        !hf_double(rope, "rope_theta", &r->base, err) ||
        !hf_double(rope, "partial_rotary_factor", &rotary, err))
        return false;
    if (!(rotary > 0 && rotary <= 1))
        return error_set(err, ERR_FORMAT, "config.json: partial_rotary_factor is not in (0, 1]");
    r->n_dims = (int)(f->head_dim * rotary);
    if (!type || strcmp(type, "default") == 0)
        return true;
    if (!scaling_kind(type, &r->scaling))
        return error_set(err, ERR_UNSUPPORTED, "config.json: rope type '%.40s' is not supported",
                         type);
    r->original_ctx = f->ctx_train;
    r->beta_fast = 32;
    r->beta_slow = 1;
    r->truncate = true;
    r->factor = 0;
    if (!hf_int(rope, "original_max_position_embeddings", 1, 1 << 30, &r->original_ctx, err) ||
        !hf_int(config, "original_max_position_embeddings", 1, 1 << 30, &r->original_ctx, err) ||
        !hf_double(rope, "factor", &r->factor, err) ||
        !hf_double(rope, "low_freq_factor", &r->low_freq_factor, err) ||
        !hf_double(rope, "high_freq_factor", &r->high_freq_factor, err) ||
        !hf_double(rope, "beta_fast", &r->beta_fast, err) ||
        !hf_double(rope, "beta_slow", &r->beta_slow, err) ||
        !hf_bool(rope, "truncate", &r->truncate, err))
        return false;
    if (!member(rope, "factor"))
        r->factor = r->scaling == ROPE_PLAIN ? 1 : (double)f->ctx_train / r->original_ctx;
    if (r->scaling == ROPE_FACTORS &&
        (!read_factors(rope, "short_factor", r, r->short_factors, err) ||
         !read_factors(rope, "long_factor", r, r->long_factors, err)))
        return false;
    return attention_factor(rope, r, err);
}

// rope_scaling beside rope_theta (transformers 4), or rope_parameters (5), which may hold one set
// for each kind of layer.
static bool read_rope(const json_t *config, struct model_facts *f, struct error *err)
{
    const json_t *rope = member(config, "rope_scaling"), *newer = member(config, "rope_parameters");
    if ((rope && !json_is_object(rope)) || (newer && !json_is_object(newer)))
        return error_set(err, ERR_FORMAT, "config.json: rope parameters are no object");
    if (json_object_size(rope) == 0)
        rope = newer;
    const json_t *full = member(rope, "full_attention");
    const json_t *sliding = member(rope, "sliding_attention");
    if (!json_is_object(full) && !json_is_object(sliding)) {
        f->rope[1].n_dims = f->head_dim;
        return hf_double(config, "rope_local_base_freq", &f->rope[1].base, err) &&
               read_rope_set(config, rope, f, &f->rope[0], err);
    }
    f->local_rope = true;
    return read_rope_set(config, json_is_object(full) ? full : NULL, f, &f->rope[0], err) &&
           read_rope_set(NULL, json_is_object(sliding) ? sliding : NULL, f, &f->rope[1], err);
}

bool hf_layer_types(const json_t *config, int pattern, struct model_facts *f, struct error *err)
{
    const json_t *types = member(config, "layer_types");
    if (!types) {
        sliding_pattern(f, pattern);
        return true;
    }
    if (!json_is_array(types) || json_array_size(types) != (size_t)f->n_layers)
        return error_set(err, ERR_FORMAT, "config.json: layer_types is no list of %d entries",
                         f->n_layers);
    for (int i = 0; i < f->n_layers && i < LAYERS_MAX; i++) {
        const char *type = json_string_value(json_array_get(types, (size_t)i));
        bool sliding = type && strcmp(type, "sliding_attention") == 0;
        if (!type || (!sliding && strcmp(type, "full_attention") != 0))
            return error_set(err, ERR_UNSUPPORTED, "config.json: layer_types[%d] is '%.40s'", i,
                             type ? type : "no text");
        f->sliding[i] = sliding && f->window > 0;
    }
    return true;
}

static bool need(int value, const char *key, struct error *err)
{
    return value > 0 ? true : error_set(err, ERR_FORMAT, "config.json: %s is missing", key);
}

bool hf_common(const json_t *config, struct model_facts *f, struct error *err)
{
    if (!hf_int(config, "num_hidden_layers", 1, LAYERS_MAX, &f->n_layers, err) ||
        !need(f->n_layers, "num_hidden_layers", err) ||
        !hf_int(config, "hidden_size", 1, 1 << 20, &f->n_embd, err) ||
        !need(f->n_embd, "hidden_size", err) ||
        !hf_int(config, "num_attention_heads", 1, 1 << 14, &f->n_heads, err) ||
        !need(f->n_heads, "num_attention_heads", err) ||
        !hf_int(config, "vocab_size", 1, 1 << 24, &f->n_vocab, err) ||
        !need(f->n_vocab, "vocab_size", err) ||
        !hf_int(config, "intermediate_size", 1, 1 << 24, &f->n_ff, err) ||
        !hf_int(config, "max_position_embeddings", 1, 1 << 30, &f->ctx_train, err))
        return false;
    if (f->n_kv_heads == 0)
        f->n_kv_heads = f->n_heads;
    if (f->head_dim == 0)
        f->head_dim = f->n_embd / f->n_heads;
    if (!hf_int(config, "num_key_value_heads", 1, 1 << 14, &f->n_kv_heads, err) ||
        !hf_int(config, "head_dim", 1, HEAD_DIM_MAX, &f->head_dim, err) ||
        !hf_float(config, "rms_norm_eps", &f->norm_eps, err) ||
        !hf_bool(config, "tie_word_embeddings", &f->tied, err) ||
        !hf_activation(config, "hidden_act", f, err))
        return false;
    f->attn_scale = 1.0f / sqrtf((float)f->head_dim);
    return read_rope(config, f, err);
}
