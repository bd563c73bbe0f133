// facts.h - what a model is, as numbers and flags: all that the forward pass may ask about.
//
// Filled from a GGUF file's keys or a folder's config.json by the family's file
// (models/families/), checked once by facts_check(); plain data, no pointers, free to copy. No
// field names a model: code that computes asks for facts, never for a family.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "local/backend/backend.h"
#include "local/formats/hf_quant.h"

struct error;
struct family;
struct model_file;

enum {
    LAYERS_MAX = 1024,
    HEAD_DIM_MAX = 512,
    ROPE_FREQS_MAX = HEAD_DIM_MAX / 2,
    EXPERTS_MAX = 1024,
};

// How the frequencies of the rotary embedding are stretched beyond the trained length.
enum rope_scaling {
    ROPE_PLAIN,
    ROPE_LINEAR,   // all divided by factor
    ROPE_DYNAMIC,  // the base grows with the sequence's length ("dynamic NTK")
    ROPE_LLAMA3,   // low frequencies divided, high kept, smooth between
    ROPE_YARN,     // the same by rotations, and scores sharpened
    ROPE_FACTORS,  // each frequency divided by its own factor; two sets, for short and long
};
struct rope_facts {
    enum rope_scaling scaling;
    double base;
    int n_dims;  // of head_dim that rotate; even
    double factor;
    double attention_factor;                   // cos and sin are multiplied by it; 1: nothing
    int original_ctx;                          // trained length that the scaling starts from
    double low_freq_factor, high_freq_factor;  // ROPE_LLAMA3
    double beta_fast, beta_slow;               // ROPE_YARN, in rotations
    bool truncate;                             // ROPE_YARN: whole dimensions as bounds
    float short_factors[ROPE_FREQS_MAX];       // ROPE_FACTORS: up to original_ctx
    float long_factors[ROPE_FREQS_MAX];        // beyond
};

struct model_facts {
    const struct family *family;
    int n_layers, n_embd, n_heads, n_kv_heads, head_dim, n_ff, n_vocab;
    int ctx_train;

    enum norm_kind norm;
    float norm_eps;
    bool norm_plus_one;  // stored as w, applied as 1 + w (Gemma's folders)
    bool post_norms;     // attention's and feed-forward's outputs are normed before they are added
    bool qk_norm;        // RMS norm of every head of q and k, before the rotation

    bool rope_interleaved;   // pairs (2i, 2i + 1), as GGUF's llama stores q and k
    bool learned_positions;  // a table added to the embeddings; no rotation
    bool local_rope;         // sliding layers use rope[1]
    struct rope_facts rope[2];

    int window;  // of sliding layers; 0: none
    bool sliding[LAYERS_MAX];
    float attn_scale;                   // of scores
    float attn_softcap, logit_softcap;  // 0: none
    float embed_scale;                  // 1: none

    enum activation act;
    bool gated;  // act(gate) * up, else act(up)
    // Biases that must be there; others are used where the file has them.
    bool qkv_bias, out_bias, mlp_bias;
    bool tied;        // the output is the embedding
    bool headless;    // the folder has no output: the embedding stands in, but writes no text
    bool transposed;  // matrices are stored [cols, rows] (Conv1D)

    int n_experts, n_experts_used, n_expert_ff;  // 0: no mixture
    bool dense[LAYERS_MAX];                      // layers without experts in a mixture
    bool moe_softmax_first, moe_renormalize;
    float moe_scale;

    struct hf_quant quant;  // how a folder's weights are packed, if they are
};

// From any model file: finds the family, reads, checks. False with err naming the field.
bool facts_read(const struct model_file *file, struct model_facts *f, struct error *err);

// The name of a value of `enum activation` in a config ("silu"); false if unknown.
bool facts_activation(const char *name, enum activation *act);

// Relations between numbers that every family keeps: ranges, divisibility, memory bounds.
bool facts_check(const struct model_facts *f, struct error *err);

// Inverse frequencies [rope->n_dims / 2] for a sequence that will be final_len tokens long, and
// the factor of cos and sin. Single precision in the order of operations of transformers
// (modeling_rope_utils.py), so that far positions agree.
void rope_frequencies(const struct rope_facts *rope, int ctx_train, int final_len, float *inv_freq,
                      float *scale);
// Whether final_len changes anything.
bool rope_depends_on_length(const struct rope_facts *rope);
