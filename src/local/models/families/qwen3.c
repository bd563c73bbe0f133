// qwen3.c - Qwen 3: norms on the heads of q and k, no biases.
#include "local/models/family.h"

static bool read_gguf(const struct model_file *file, struct model_facts *f, struct error *err)
{
    f->qk_norm = true;
    return gguf_common(file, f, err) && gguf_sliding(file, f, 1, err);
}

static bool read_hf(const json_t *config, struct model_facts *f, struct error *err)
{
    bool bias = false;
    f->head_dim = 128;
    f->qk_norm = true;
    if (!family_qwen2.read_hf(config, f, err) || !hf_bool(config, "attention_bias", &bias, err))
        return false;
    f->qkv_bias = f->out_bias = bias;
    return true;
}

const struct family family_qwen3 = {
    .arch = "qwen3", .hf_types = {"qwen3"}, .read_gguf = read_gguf, .read_hf = read_hf};
