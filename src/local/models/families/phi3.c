// phi3.c - Phi 3 and 3.5: q, k and v in one tensor, gate and up in one, LongRoPE in the long ones.
#include "base/json.h"
#include "local/models/family.h"

static bool read_gguf(const struct model_file *file, struct model_facts *f, struct error *err)
{
    f->norm_eps = 1e-5f;
    return gguf_common(file, f, err) && gguf_sliding(file, f, 0, err);
}

// "yarn" in the oldest configs is LongRoPE under another name, as transformers reads it.
static json_t *rename_yarn(const json_t *config)
{
    json_t *copy = json_copy((json_t *)config);
    static const char *const places[] = {"rope_scaling", "rope_parameters"};
    for (int i = 0; i < 2; i++) {
        const json_t *rope = json_object_get(copy, places[i]);
        const char *type = json_get_text(rope, "rope_type");
        if (!type)
            type = json_get_text(rope, "type");
        if (!type || strcmp(type, "yarn") != 0)
            continue;
        json_t *renamed = json_copy((json_t *)rope);
        (void)json_object_set_new(renamed, "rope_type", json_string("longrope"));
        (void)json_object_set_new(copy, places[i], renamed);
    }
    return copy;
}

static bool read_hf(const json_t *config, struct model_facts *f, struct error *err)
{
    f->norm_eps = 1e-5f;
    f->ctx_train = 4096;
    json_t *fixed = rename_yarn(config);
    bool ok = hf_common(fixed, f, err) &&
              hf_int(config, "sliding_window", 1, INT32_MAX, &f->window, err) &&
              hf_layer_types(config, 0, f, err);
    json_decref(fixed);
    return ok;
}

const struct family family_phi3 = {
    .arch = "phi3", .hf_types = {"phi3"}, .read_gguf = read_gguf, .read_hf = read_hf};
