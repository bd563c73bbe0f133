// family.h - one row per family of models: how its files name things and which facts hold.
//
// A family's file (families/x.c) sets the facts that its files leave unsaid, reads the others
// with the helpers below, and lists the tensor names that differ from Llama's. Adding a family is
// one such file and one line in family.c.
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "local/models/facts.h"
#include "local/models/tensors.h"

struct gguf;

struct family {
    const char *arch;             // general.architecture of its GGUF files
    const char *hf_types[3];      // model_type of config.json
    const char *const *hf_names;  // [TENSOR_ROLES] names in folders where they differ, or NULL
    // Both get facts that family_defaults() filled. False with err naming the field.
    bool (*read_gguf)(const struct model_file *file, struct model_facts *f, struct error *err);
    bool (*read_hf)(const json_t *config, struct model_facts *f, struct error *err);
};

extern const struct family family_llama, family_mistral, family_mixtral, family_qwen2, family_qwen3,
    family_qwen3moe, family_gemma2, family_gemma3, family_phi3, family_gpt2;

// What most families share: RMS norm, SiLU, gated, base 10000, scores by 1/sqrt(head_dim).
void family_defaults(struct model_facts *f);
// Facts of a parsed config.json, before any tensor is known (a multimodal config's text_config).
bool facts_from_config(const json_t *config, struct model_facts *f, struct error *err);

// Keys "<arch>.x" that every GGUF file has, and rope with its scaling.
bool gguf_common(const struct model_file *file, struct model_facts *f, struct error *err);
// Which layers slide, if there is a window: the key attention.sliding_window_pattern (a number, or
// a bool for each layer), else the family's pattern.
bool gguf_sliding(const struct model_file *file, struct model_facts *f, int pattern,
                  struct error *err);
// Members of config.json that the Llama-like families share, and rope with its scaling.
bool hf_common(const json_t *config, struct model_facts *f, struct error *err);
// layer_types, else every layer for which (i + 1) % pattern != 0 slides; pattern 1: none,
// 0: all. Sets f->sliding if there is a window.
bool hf_layer_types(const json_t *config, int pattern, struct model_facts *f, struct error *err);
void sliding_pattern(struct model_facts *f, int pattern);

// One number of a config; absent or null leaves *value, another type or a value outside is an
// error.
bool hf_int(const json_t *config, const char *key, int64_t min, int64_t max, int *value,
            struct error *err);
bool hf_float(const json_t *config, const char *key, float *value, struct error *err);
bool hf_bool(const json_t *config, const char *key, bool *value, struct error *err);
bool hf_activation(const json_t *config, const char *key, struct model_facts *f, struct error *err);
// The same for a key "<arch>.<name>" of a GGUF file.
bool gguf_int(const struct model_file *file, const struct model_facts *f, const char *name,
              int64_t min, int64_t max, int *value, struct error *err);
bool gguf_float(const struct model_file *file, const struct model_facts *f, const char *name,
                float *value, struct error *err);
