// qwen2.c - Qwen 2 and 2.5: Llama with biases on q, k and v.
#include "local/models/family.h"

static bool read_gguf(const struct model_file *file, struct model_facts *f, struct error *err)
{
    f->qkv_bias = true;
    return gguf_common(file, f, err) && gguf_sliding(file, f, 1, err);
}

// use_sliding_window: the layers from max_window_layers on slide.
static bool read_hf(const json_t *config, struct model_facts *f, struct error *err)
{
    bool slides = false;
    int first = 28, window = 4096;
    f->qkv_bias = true;
    f->ctx_train = 32768;
    if (!hf_common(config, f, err) || !hf_bool(config, "use_sliding_window", &slides, err) ||
        !hf_int(config, "sliding_window", 1, INT32_MAX, &window, err) ||
        !hf_int(config, "max_window_layers", 0, INT32_MAX, &first, err))
        return false;
    f->window = slides ? window : 0;
    if (!hf_layer_types(config, 0, f, err))
        return false;
    for (int i = 0; !json_is_array(json_object_get(config, "layer_types")) && i < f->n_layers; i++)
        f->sliding[i] = slides && i >= first;
    return true;
}

const struct family family_qwen2 = {
    .arch = "qwen2", .hf_types = {"qwen2"}, .read_gguf = read_gguf, .read_hf = read_hf};
