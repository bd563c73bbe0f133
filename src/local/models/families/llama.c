// llama.c - Llama 1 to 3.x, and what is built like it: TinyLlama, SmolLM, and in GGUF files also
// Mistral (with a window) and Mixtral (with experts).
#include "local/models/family.h"

static bool read_gguf(const struct model_file *file, struct model_facts *f, struct error *err)
{
    f->rope_interleaved = true;
    return gguf_common(file, f, err) && gguf_sliding(file, f, 0, err);
}

static bool read_hf(const json_t *config, struct model_facts *f, struct error *err)
{
    bool bias = false;
    if (!hf_common(config, f, err) || !hf_bool(config, "attention_bias", &bias, err) ||
        !hf_bool(config, "mlp_bias", &f->mlp_bias, err))
        return false;
    f->qkv_bias = f->out_bias = bias;
    return true;
}

const struct family family_llama = {
    .arch = "llama", .hf_types = {"llama"}, .read_gguf = read_gguf, .read_hf = read_hf};
