// model_list.h - a short list of good open models that Hearth runs, from small to large.
//
// Only shapes stand in the list: parameters and bytes are computed from them by the rules of the
// quantizer, so that they cannot be mistyped. Threads: constant tables and pure functions.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fit_machine;
struct model_facts;

struct listed_model {
    const char *repo, *quant;  // hearth pull REPO:QUANT
    const char *licence;       // SPDX
    int ctx;
    int n_layers, n_embd, n_heads, n_kv_heads, head_dim, n_ff, n_vocab;
    int n_experts, n_experts_used, n_expert_ff;
    bool qkv_bias, qk_norm;
    bool thinks;    // writes its reasoning before an answer, unless it is told not to
    bool tied;      // the embedding is the output ...
    bool repeated;  // ... and the file holds it twice all the same
};

// NULL after the last.
const struct listed_model *listed_model_at(size_t i);
// What weights and keys and values depend on; nothing can be computed with these facts.
void listed_model_facts(const struct listed_model *m, struct model_facts *f);
// Numbers of the model, each once; p is its footprint.
struct footprint;
uint64_t listed_model_parameters(const struct listed_model *m, const struct footprint *p);

enum { LISTED_CTX = 8192 };  // tokens of context that the list is judged with, or the model's own

// The best of the list for everyday use here: it takes at most half of the free memory with
// LISTED_CTX tokens, writes at a reading pace (5 tokens a second, if every core brings 10 GB/s, 60
// GB/s in all) and answers without thinking first. A rule of thumb, so that the answer is the same
// each time and nothing is measured. NULL if there is none.
const struct listed_model *listed_model_suggest(uint64_t free_bytes, int n_cores);
