// gpt2.c - GPT-2: layer norms, biases everywhere, learned positions, a plain feed-forward.
// Folders keep matrices transposed (Conv1D) and have names of their own.
#include <math.h>

#include "base/error.h"
#include "local/models/family.h"

static const char *const names[TENSOR_ROLES] = {
    [TENSOR_TOKEN_EMBD] = "wte.weight",        [TENSOR_POSITION_EMBD] = "wpe.weight",
    [TENSOR_OUTPUT_NORM] = "ln_f.weight",      [TENSOR_OUTPUT_NORM_BIAS] = "ln_f.bias",
    [TENSOR_ATTN_NORM] = "h.{l}.ln_1.weight",  [TENSOR_ATTN_NORM_BIAS] = "h.{l}.ln_1.bias",
    [TENSOR_QKV] = "h.{l}.attn.c_attn.weight", [TENSOR_QKV_BIAS] = "h.{l}.attn.c_attn.bias",
    [TENSOR_O] = "h.{l}.attn.c_proj.weight",   [TENSOR_O_BIAS] = "h.{l}.attn.c_proj.bias",
    [TENSOR_FFN_NORM] = "h.{l}.ln_2.weight",   [TENSOR_FFN_NORM_BIAS] = "h.{l}.ln_2.bias",
    [TENSOR_UP] = "h.{l}.mlp.c_fc.weight",     [TENSOR_UP_BIAS] = "h.{l}.mlp.c_fc.bias",
    [TENSOR_DOWN] = "h.{l}.mlp.c_proj.weight", [TENSOR_DOWN_BIAS] = "h.{l}.mlp.c_proj.bias",
};

static void gpt2_facts(struct model_facts *f)
{
    f->norm = NORM_LAYER;
    f->norm_eps = 1e-5f;
    f->act = ACT_GELU_TANH;
    f->gated = false;
    f->learned_positions = true;
    f->qkv_bias = f->out_bias = f->mlp_bias = true;
    f->ctx_train = 1024;
}

static bool read_gguf(const struct model_file *file, struct model_facts *f, struct error *err)
{
    gpt2_facts(f);
    return gguf_common(file, f, err) &&
           gguf_float(file, f, "attention.layer_norm_epsilon", &f->norm_eps, err);
}

static bool read_hf(const json_t *config, struct model_facts *f, struct error *err)
{
    bool scaled = true, by_layer = false;
    gpt2_facts(f);
    f->transposed = f->tied = true;
    f->n_layers = f->n_heads = 12;
    f->n_embd = 768;
    f->n_vocab = 50257;
    if (!hf_int(config, "n_layer", 1, LAYERS_MAX, &f->n_layers, err) ||
        !hf_int(config, "n_embd", 1, 1 << 20, &f->n_embd, err) ||
        !hf_int(config, "n_head", 1, 1 << 14, &f->n_heads, err) ||
        !hf_int(config, "n_positions", 1, 1 << 30, &f->ctx_train, err) ||
        !hf_int(config, "vocab_size", 1, 1 << 24, &f->n_vocab, err) ||
        !hf_float(config, "layer_norm_epsilon", &f->norm_eps, err) ||
        !hf_bool(config, "tie_word_embeddings", &f->tied, err) ||
        !hf_bool(config, "scale_attn_weights", &scaled, err) ||
        !hf_bool(config, "scale_attn_by_inverse_layer_idx", &by_layer, err) ||
        !hf_activation(config, "activation_function", f, err))
        return false;
    f->n_ff = 4 * f->n_embd;
    if (!hf_int(config, "n_inner", 1, 1 << 24, &f->n_ff, err))
        return false;
    if (by_layer)
        return error_set(err, ERR_UNSUPPORTED,
                         "config.json: scale_attn_by_inverse_layer_idx is not supported");
    if (f->n_embd % f->n_heads)
        return error_set(err, ERR_FORMAT, "config.json: n_embd %d is no multiple of n_head %d",
                         f->n_embd, f->n_heads);
    f->n_kv_heads = f->n_heads;
    f->head_dim = f->n_embd / f->n_heads;
    f->attn_scale = scaled ? 1.0f / sqrtf((float)f->head_dim) : 1.0f;
    return true;
}

const struct family family_gpt2 = {.arch = "gpt2",
                                   .hf_types = {"gpt2"},
                                   .hf_names = names,
                                   .read_gguf = read_gguf,
                                   .read_hf = read_hf};
