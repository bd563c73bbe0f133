// gemma3.c - Gemma 3 (text): Gemma 2 without softcaps, with norms on q and k, five sliding layers
// for each full one, and a rotary base of their own for the sliding ones.
#include <math.h>

#include "base/error.h"
#include "base/json.h"
#include "local/models/family.h"

static const char *const names[TENSOR_ROLES] = {
    [TENSOR_FFN_NORM] = "layers.{l}.pre_feedforward_layernorm.weight",
};

static void gemma3_facts(struct model_facts *f)
{
    f->post_norms = f->qk_norm = true;
    f->act = ACT_GELU_TANH;
    f->ctx_train = 131072;
    f->local_rope = true;
    f->rope[0].base = 1e6;
    f->rope[1].base = 1e4;
}

static bool read_gguf(const struct model_file *file, struct model_facts *f, struct error *err)
{
    gemma3_facts(f);
    if (!gguf_common(file, f, err) ||
        !gguf_float(file, f, "final_logit_softcapping", &f->logit_softcap, err))
        return false;
    // The file does not say how scores are scaled; the 27B model (62 layers) differs.
    if (f->n_layers == 62 && f->n_heads > 0) {
        f->attn_scale = 1.0f / sqrtf((float)f->n_embd / (float)f->n_heads);
        if (!gguf_float(file, f, "attention.scale", &f->attn_scale, err))
            return false;
    }
    f->embed_scale = sqrtf((float)f->n_embd);
    return gguf_sliding(file, f, 6, err);
}

static bool read_hf(const json_t *config, struct model_facts *f, struct error *err)
{
    float query = 256;
    int pattern = 6;
    bool bias = false, both_ways = false;
    gemma3_facts(f);
    f->norm_plus_one = f->tied = true;
    f->n_vocab = 262208;
    f->n_heads = 8;
    f->n_kv_heads = 4;
    f->head_dim = 256;
    f->window = json_object_get(config, "sliding_window") ? 0 : 4096;
    if (!hf_common(config, f, err) || !hf_activation(config, "hidden_activation", f, err) ||
        !hf_float(config, "attn_logit_softcapping", &f->attn_softcap, err) ||
        !hf_float(config, "final_logit_softcapping", &f->logit_softcap, err) ||
        !hf_float(config, "query_pre_attn_scalar", &query, err) ||
        !hf_int(config, "sliding_window", 1, INT32_MAX, &f->window, err) ||
        !hf_int(config, "sliding_window_pattern", 1, LAYERS_MAX, &pattern, err) ||
        !hf_bool(config, "attention_bias", &bias, err) ||
        !hf_bool(config, "use_bidirectional_attention", &both_ways, err))
        return false;
    if (both_ways)
        return error_set(err, ERR_UNSUPPORTED,
                         "config.json: use_bidirectional_attention is not supported");
    f->qkv_bias = f->out_bias = bias;
    f->attn_scale = 1.0f / sqrtf(query);
    f->embed_scale = sqrtf((float)f->n_embd);
    return hf_layer_types(config, pattern, f, err);
}

const struct family family_gemma3 = {.arch = "gemma3",
                                     .hf_types = {"gemma3_text", "gemma3"},
                                     .hf_names = names,
                                     .read_gguf = read_gguf,
                                     .read_hf = read_hf};
