// mixtral.c - Mixtral's folders: Llama with experts. Its GGUF files are llama's.
#include "local/models/family.h"

static const char *const names[TENSOR_ROLES] = {
    [TENSOR_ROUTER] = "layers.{l}.block_sparse_moe.gate.weight",
    [TENSOR_EXPERT_GATE] = "layers.{l}.block_sparse_moe.experts.{e}.w1.weight",
    [TENSOR_EXPERT_UP] = "layers.{l}.block_sparse_moe.experts.{e}.w3.weight",
    [TENSOR_EXPERT_DOWN] = "layers.{l}.block_sparse_moe.experts.{e}.w2.weight",
};

static bool read_hf(const json_t *config, struct model_facts *f, struct error *err)
{
    f->ctx_train = 4096 * 32;
    f->n_kv_heads = 8;
    f->rope[0].base = 1e6;
    f->norm_eps = 1e-5f;
    f->n_experts = 8;
    f->n_experts_used = 2;
    if (!hf_common(config, f, err) ||
        !hf_int(config, "num_local_experts", 1, EXPERTS_MAX, &f->n_experts, err) ||
        !hf_int(config, "num_experts_per_tok", 1, EXPERTS_MAX, &f->n_experts_used, err) ||
        !hf_int(config, "sliding_window", 1, INT32_MAX, &f->window, err))
        return false;
    f->n_expert_ff = f->n_ff;
    return hf_layer_types(config, 0, f, err);
}

const struct family family_mixtral = {
    .arch = "llama", .hf_types = {"mixtral"}, .hf_names = names, .read_hf = read_hf};
