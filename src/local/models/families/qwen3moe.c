// qwen3moe.c - Qwen 3 MoE: Qwen 3 with experts, in all layers or in some.
#include "base/error.h"
#include "local/formats/model_file.h"
#include "local/models/family.h"

static bool read_gguf(const struct model_file *file, struct model_facts *f, struct error *err)
{
    f->qk_norm = true;
    if (!gguf_common(file, f, err))
        return false;
    for (int i = 0; i < f->n_layers; i++) {
        char router[64];
        tensor_gguf_name(TENSOR_ROUTER, i, router, sizeof router);
        f->dense[i] = !model_file_find(file, router);
    }
    return gguf_sliding(file, f, 1, err);
}

// Layers that stay dense: those listed, and those between the steps.
static bool read_dense(const json_t *config, struct model_facts *f, struct error *err)
{
    const json_t *only = json_object_get(config, "mlp_only_layers");
    int step = 1;
    if (!hf_int(config, "decoder_sparse_step", 1, LAYERS_MAX, &step, err))
        return false;
    for (int i = 0; i < f->n_layers && i < LAYERS_MAX; i++)
        f->dense[i] = (i + 1) % step != 0;
    for (size_t i = 0; i < json_array_size(only); i++) {
        const json_t *v = json_array_get(only, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0 ||
            json_integer_value(v) >= f->n_layers)
            return error_set(err, ERR_FORMAT, "config.json: mlp_only_layers[%zu] is no layer", i);
        f->dense[json_integer_value(v)] = true;
    }
    return true;
}

static bool read_hf(const json_t *config, struct model_facts *f, struct error *err)
{
    bool slides = false, bias = false;
    int window = 4096;
    f->qk_norm = true;
    f->n_kv_heads = 4;
    f->ctx_train = 32768;
    f->n_experts = 128;
    f->n_experts_used = 8;
    f->n_expert_ff = 768;
    f->moe_renormalize = false;
    if (!hf_common(config, f, err) ||
        !hf_int(config, "num_local_experts", 1, EXPERTS_MAX, &f->n_experts, err) ||
        !hf_int(config, "num_experts", 1, EXPERTS_MAX, &f->n_experts, err) ||
        !hf_int(config, "num_experts_per_tok", 1, EXPERTS_MAX, &f->n_experts_used, err) ||
        !hf_int(config, "moe_intermediate_size", 1, 1 << 20, &f->n_expert_ff, err) ||
        !hf_bool(config, "norm_topk_prob", &f->moe_renormalize, err) ||
        !hf_bool(config, "attention_bias", &bias, err) ||
        !hf_bool(config, "use_sliding_window", &slides, err) ||
        !hf_int(config, "sliding_window", 1, INT32_MAX, &window, err) ||
        !read_dense(config, f, err))
        return false;
    f->qkv_bias = f->out_bias = bias;
    f->window = slides ? window : 0;
    return hf_layer_types(config, 0, f, err);
}

const struct family family_qwen3moe = {
    .arch = "qwen3moe", .hf_types = {"qwen3_moe"}, .read_gguf = read_gguf, .read_hf = read_hf};
