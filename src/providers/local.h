// local.h - the provider that answers on this machine: loaded models, their templates and engines.
//
// Models are loaded when first asked for. Another one that needs their memory closes the least
// recently used that nobody uses, as far as models_memory or the machine asks for it. A request is
// rendered by the model's chat template, tokenized so that text from messages cannot forge control
// tokens, and submitted to the model's engine; a few threads carry the engines' events to the sinks
// of all answers. Threads: any. The provider must outlive its answers.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "local/tensor/dtype.h"

struct error;
struct provider;

struct local_options {  // zeroed is the default
    int threads;        // 0: one for each fast core that this process may use
    const char *pin;    // which CPUs they keep to: NULL or "auto", "cores", "off" (base/cores.h)
    int ctx;            // 0: the model's own, capped by memory
    int max_seqs;       // running at once; 0: the engine's default
    int queue_max;      // that may wait for each model; 0: the engine's default
    // Bytes for all loaded models with their keys and values; 0: as the machine has.
    uint64_t models_memory;
    int speculate;        // of every request: as in engine_request
    const char *draft;    // model that guesses tokens ahead for all others; NULL: none
    const char *isa;      // NULL: the best this CPU has
    const char *kv_type;  // NULL: the model's default; "f32", "f16", "q8_0", "q4_0"
    // NULL: weights stay as the file has them; else they are rounded while they load ("q8_0").
    const char *quantize;
    // Disk space for packed weights of large models, which load faster next time: NULL or "auto",
    // "off", or a number of gigabytes.
    const char *packed;
    // How all models write calls of tools, by a name of answer_format_name (template/
    // answer_syntax.h); NULL: as each one's chat template shows.
    const char *tool_format;
    // How all models make embeddings: "mean", "cls" or "last"; NULL or "auto": as each one's files
    // say, else the mean.
    const char *pooling;
    // While a model loads: done of total bytes; false cancels (ERR_CANCELLED). May be NULL.
    bool (*progress)(void *self, const char *model, uint64_t done, uint64_t total);
    void *progress_self;
};

// NULL with err (negative numbers, an unknown tool_format or pooling). A wrong pin, kv_type, isa,
// quantize or packed is told when a model loads. The texts are copied.
struct provider *provider_local_new(const struct local_options *o, struct error *err);
// Freed by its own ops: provider->ops->free(provider).
