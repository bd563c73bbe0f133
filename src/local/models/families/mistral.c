// mistral.c - Mistral's folders: Llama with a sliding window in every layer, or none where
// sliding_window is null. Its GGUF files are llama's.
#include "local/models/family.h"

static bool read_hf(const json_t *config, struct model_facts *f, struct error *err)
{
    f->ctx_train = 4096 * 32;
    f->n_kv_heads = 8;
    // Absent means the default; only null means no window.
    f->window = json_object_get(config, "sliding_window") ? 0 : 4096;
    return hf_common(config, f, err) &&
           hf_int(config, "sliding_window", 1, INT32_MAX, &f->window, err) &&
           hf_layer_types(config, 0, f, err);
}

const struct family family_mistral = {
    .arch = "llama", .hf_types = {"mistral"}, .read_gguf = NULL, .read_hf = read_hf};
