#include "local/models/facts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/slice.h"
#include "local/formats/gguf.h"
#include "local/formats/model_file.h"
#include "local/models/family.h"

static const struct family *const families[] = {
    // Mistral's and Mixtral's GGUF files call themselves llama, so that comes first.
    &family_llama,    &family_mistral, &family_mixtral, &family_qwen2, &family_qwen3,
    &family_qwen3moe, &family_gemma2,  &family_gemma3,  &family_phi3,  &family_gpt2,
};
enum { N_FAMILIES = sizeof families / sizeof *families };

static const struct {
    const char *name;
    enum activation act;
} activations[] = {
    {"silu", ACT_SILU},           {"swish", ACT_SILU},
    {"gelu_new", ACT_GELU_TANH},  {"gelu_pytorch_tanh", ACT_GELU_TANH},
    {"gelu_fast", ACT_GELU_TANH}, {"gelu", ACT_GELU_ERF},
    {"relu", ACT_RELU},           {"relu2", ACT_RELU2},
};

bool facts_activation(const char *name, enum activation *act)
{
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
        if (strcmp(name, activations[i].name) == 0) {
            *act = activations[i].act;
            return true;
        }
    }
    return false;
}

void family_defaults(struct model_facts *f)
{
    const struct family *family = f->family;
    memset(f, 0, sizeof *f);
    f->family = family;
    f->norm = NORM_RMS;
    f->norm_eps = 1e-6f;
    f->embed_scale = 1;
    f->act = ACT_SILU;
    f->gated = true;
    f->moe_scale = 1;
    f->moe_softmax_first = true;
    f->moe_renormalize = true;
    f->ctx_train = 2048;
    for (int i = 0; i < 2; i++)
        f->rope[i] = (struct rope_facts){.base = 10000, .factor = 1, .attention_factor = 1};
}

void sliding_pattern(struct model_facts *f, int pattern)
{
    for (int i = 0; i < f->n_layers && i < LAYERS_MAX; i++)
        f->sliding[i] = f->window > 0 && (pattern == 0 || (i + 1) % pattern != 0);
}

static bool in_range(const char *name, int64_t value, int64_t min, int64_t max, struct error *err)
{
    if (value >= min && value <= max)
        return true;
    return error_set(err, ERR_FORMAT, "%s is %lld, expected %lld to %lld", name, (long long)value,
                     (long long)min, (long long)max);
}

static bool check_rope(const struct model_facts *f, const struct rope_facts *r, struct error *err)
{
    const double most = 1e18;
    bool ok = r->base > 0 && r->base < most && r->factor > 0 && r->factor < most &&
              r->attention_factor > 0 && r->attention_factor < most;
    if (!ok)
        return error_set(err, ERR_FORMAT, "rope: base and factors must be in (0, 1e18)");
    if (r->n_dims < 2 || r->n_dims > f->head_dim || r->n_dims % 2)
        return error_set(err, ERR_FORMAT, "rope: %d of %d dimensions cannot rotate", r->n_dims,
                         f->head_dim);
    if (r->scaling == ROPE_LLAMA3 && !(r->original_ctx > 0 && r->low_freq_factor > 0 &&
                                       r->high_freq_factor > r->low_freq_factor))
        return error_set(err, ERR_FORMAT,
                         "rope: llama3 scaling needs original length and "
                         "0 < low_freq_factor < high_freq_factor");
    if (r->scaling == ROPE_YARN &&
        !(r->original_ctx > 0 && r->beta_fast > 0 && r->beta_slow > 0 && r->base > 1))
        return error_set(err, ERR_FORMAT,
                         "rope: yarn scaling needs original length, betas > 0 "
                         "and a base above 1");
    for (int i = 0; r->scaling == ROPE_FACTORS && i < r->n_dims / 2; i++)
        if (!(r->short_factors[i] > 0 && r->long_factors[i] > 0 && r->short_factors[i] < 1e9f &&
              r->long_factors[i] < 1e9f))
            return error_set(err, ERR_FORMAT, "rope: factor %d is not a positive number", i);
    return true;
}

static bool check_experts(const struct model_facts *f, struct error *err)
{
    return f->n_experts == 0 ||
           (in_range("number of experts", f->n_experts, 1, EXPERTS_MAX, err) &&
            in_range("experts used", f->n_experts_used, 1, f->n_experts, err) &&
            in_range("width of an expert", f->n_expert_ff, 1, 1 << 20, err));
}

static bool check_numbers(const struct model_facts *f, struct error *err)
{
    bool finite = isfinite(f->norm_eps) && f->norm_eps >= 0 && isfinite(f->attn_scale) &&
                  isfinite(f->attn_softcap) && f->attn_softcap >= 0 && isfinite(f->logit_softcap) &&
                  f->logit_softcap >= 0 && isfinite(f->embed_scale) && isfinite(f->moe_scale);
    return finite ? true
                  : error_set(err, ERR_FORMAT, "an epsilon, scale or softcap is not a number >= 0");
}

bool facts_check(const struct model_facts *f, struct error *err)
{
    bool all_experts = f->n_experts > 0;
    for (int i = 0; i < f->n_layers && i < LAYERS_MAX; i++)
        all_experts &= !f->dense[i];
    if (!in_range("number of layers", f->n_layers, 1, LAYERS_MAX, err) ||
        !in_range("width", f->n_embd, 1, 1 << 20, err) ||
        !in_range("attention heads", f->n_heads, 1, 1 << 14, err) ||
        !in_range("key/value heads", f->n_kv_heads, 1, f->n_heads, err) ||
        !in_range("head dimension", f->head_dim, 1, HEAD_DIM_MAX, err) ||
        !in_range("feed-forward width", f->n_ff, all_experts ? 0 : 1, 1 << 24, err) ||
        !in_range("vocabulary", f->n_vocab, 1, 1 << 24, err) ||
        !in_range("context", f->ctx_train, 1, 1 << 30, err) ||
        !in_range("sliding window", f->window, 0, INT32_MAX, err) || !check_experts(f, err) ||
        !check_numbers(f, err))
        return false;
    if (f->n_heads % f->n_kv_heads)
        return error_set(err, ERR_FORMAT,
                         "%d attention heads are no multiple of %d key/value heads", f->n_heads,
                         f->n_kv_heads);
    if ((int64_t)f->n_heads * f->head_dim > 1 << 21)
        return error_set(err, ERR_FORMAT, "%d heads of %d dimensions are too wide", f->n_heads,
                         f->head_dim);
    if (f->learned_positions)
        return true;
    return check_rope(f, &f->rope[0], err) && (!f->local_rope || check_rope(f, &f->rope[1], err));
}

static bool has_type(const struct family *family, const char *type)
{
    for (int i = 0; i < 3 && family->hf_types[i]; i++)
        if (strcmp(family->hf_types[i], type) == 0)
            return true;
    return false;
}

// Some models for embeddings look ahead, which pages of a text that goes on cannot.
static bool check_causal(const json_t *config, struct error *err)
{
    const json_t *both = json_object_get(config, "use_bidirectional_attention");
    const char *what = json_string_value(both);
    if (json_is_true(both) || (what && strcmp(what, "all") == 0))
        return error_set(err, ERR_UNSUPPORTED,
                         "config.json: use_bidirectional_attention is not supported");
    if (json_is_false(json_object_get(config, "is_causal")))
        return error_set(err, ERR_UNSUPPORTED, "config.json: is_causal false is not supported");
    return true;
}

static bool check_causal_gguf(const struct model_file *file, struct slice arch, struct error *err)
{
    char key[128];
    bool causal = true;
    (void)snprintf(key, sizeof key, "%.*s.attention.causal", (int)arch.len, arch.ptr);
    if (!gguf_get_bool(model_file_gguf(file), key, &causal) || causal)
        return true;
    return error_set(err, ERR_UNSUPPORTED, "key %s: attention that looks ahead is not supported",
                     key);
}

bool facts_from_config(const json_t *config, struct model_facts *f, struct error *err)
{
    const char *type = json_get_text(config, "model_type");
    const json_t *text = json_object_get(config, "text_config");
    if (json_is_object(text)) {  // a multimodal model: its language half
        config = text;
        type = json_get_text(text, "model_type") ? json_get_text(text, "model_type") : type;
    }
    if (!type)
        return error_set(err, ERR_FORMAT, "config.json: model_type is missing");
    for (int i = 0; i < N_FAMILIES; i++) {
        if (!has_type(families[i], type))
            continue;
        f->family = families[i];
        family_defaults(f);
        return check_causal(config, err) && families[i]->read_hf(config, f, err) &&
               facts_check(f, err);
    }
    return error_set(err, ERR_UNSUPPORTED, "config.json: model_type '%.64s' is not supported",
                     type);
}

static bool facts_from_gguf(const struct model_file *file, struct model_facts *f, struct error *err)
{
    struct slice arch;
    if (!gguf_get_text(model_file_gguf(file), "general.architecture", &arch))
        return error_set(err, ERR_FORMAT, "key general.architecture is missing");
    for (int i = 0; i < N_FAMILIES; i++) {
        if (!slice_is(arch, families[i]->arch))
            continue;
        f->family = families[i];
        family_defaults(f);
        return check_causal_gguf(file, arch, err) && families[i]->read_gguf(file, f, err) &&
               facts_check(f, err);
    }
    return error_set(err, ERR_UNSUPPORTED, "architecture '%.*s' is not supported",
                     (int)(arch.len < 64 ? arch.len : 64), arch.ptr);
}

// Whether the class that was saved is the layers alone ("MistralModel").
static bool is_bare(const json_t *config)
{
    static const char end[] = "Model";
    const char *class =
        json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
    size_t n = class ? strlen(class) : 0, m = sizeof end - 1;
    return n > m && strcmp(class + n - m, end) == 0;
}

// Configs leave out what is their class's default; a folder without an output matrix whose config
// says nothing uses its embedding.
static bool tie_if_unsaid(const struct model_file *file, struct model_facts *f, struct error *err)
{
    const json_t *config = model_file_config(file), *text = json_object_get(config, "text_config");
    struct tensor_view v;
    bool found;
    bool said = json_object_get(config, "tie_word_embeddings") ||
                json_object_get(text, "tie_word_embeddings");
    if (f->tied || (said && !is_bare(config)))
        return true;
    if (!tensor_find(file, f, TENSOR_OUTPUT, 0, 0, &v, &found, err))
        return false;
    f->tied = !found;
    f->headless = f->tied && said;
    return true;
}

// A multimodal model's may stand in its language half.
static bool read_quant(const json_t *config, struct model_facts *f, struct error *err)
{
    const json_t *text = json_object_get(config, "text_config");
    return hf_quant_read(config, &f->quant, err) &&
           (f->quant.method != HF_QUANT_NONE || !json_is_object(text) ||
            hf_quant_read(text, &f->quant, err));
}

bool facts_read(const struct model_file *file, struct model_facts *f, struct error *err)
{
    const json_t *config = model_file_config(file);
    bool ok;
    if (model_file_gguf(file))
        ok = facts_from_gguf(file, f, err);
    else if (config)
        ok = facts_from_config(config, f, err) && read_quant(config, f, err) &&
             tie_if_unsaid(file, f, err);
    else
        ok = error_set(err, ERR_FORMAT, "config.json is missing");
    return ok ? true : error_wrap(err, "%s", model_file_path(file));
}
