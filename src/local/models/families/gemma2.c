// gemma2.c - Gemma 2: norms before and after, softcaps, every other layer slides, embeddings
// times sqrt(width). Folders store norm weights less one.
#include <math.h>

#include "local/models/family.h"

static const char *const names[TENSOR_ROLES] = {
    [TENSOR_FFN_NORM] = "layers.{l}.pre_feedforward_layernorm.weight",
};

static void gemma2_facts(struct model_facts *f)
{
    f->post_norms = true;
    f->act = ACT_GELU_TANH;
    f->window = 4096;
    f->attn_softcap = 50;
    f->logit_softcap = 30;
    f->ctx_train = 8192;
}

static bool read_gguf(const struct model_file *file, struct model_facts *f, struct error *err)
{
    gemma2_facts(f);
    if (!gguf_common(file, f, err) ||
        !gguf_float(file, f, "attn_logit_softcapping", &f->attn_softcap, err) ||
        !gguf_float(file, f, "final_logit_softcapping", &f->logit_softcap, err))
        return false;
    // The file does not say how scores are scaled; the 27B model (46 layers) differs.
    if (f->n_layers == 46 && f->n_heads > 0) {
        f->attn_scale = 1.0f / sqrtf((float)f->n_embd / (float)f->n_heads);
        if (!gguf_float(file, f, "attention.scale", &f->attn_scale, err))
            return false;
    }
    f->embed_scale = sqrtf((float)f->n_embd);
    return gguf_sliding(file, f, 2, err);
}

static bool read_hf(const json_t *config, struct model_facts *f, struct error *err)
{
    float query = 256;
    gemma2_facts(f);
    f->norm_plus_one = f->tied = true;
    f->n_vocab = 256000;
    f->n_heads = 8;
    f->n_kv_heads = 4;
    f->head_dim = 256;
    if (json_object_get(config, "attn_logit_softcapping"))
        f->attn_softcap = 0;  // null: none
    if (json_object_get(config, "final_logit_softcapping"))
        f->logit_softcap = 0;
    if (json_object_get(config, "sliding_window"))
        f->window = 0;
    if (!hf_common(config, f, err) || !hf_activation(config, "hidden_activation", f, err) ||
        !hf_float(config, "attn_logit_softcapping", &f->attn_softcap, err) ||
        !hf_float(config, "final_logit_softcapping", &f->logit_softcap, err) ||
        !hf_float(config, "query_pre_attn_scalar", &query, err) ||
        !hf_int(config, "sliding_window", 1, INT32_MAX, &f->window, err))
        return false;
    bool bias = false;
    if (!hf_bool(config, "attention_bias", &bias, err))
        return false;
    f->qkv_bias = f->out_bias = bias;
    f->attn_scale = 1.0f / sqrtf(query);
    f->embed_scale = sqrtf((float)f->n_embd);
    return hf_layer_types(config, 2, f, err);
}

const struct family family_gemma2 = {.arch = "gemma2",
                                     .hf_types = {"gemma2"},
                                     .hf_names = names,
                                     .read_gguf = read_gguf,
                                     .read_hf = read_hf};
