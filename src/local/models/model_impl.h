// model_impl.h - the inside of a loaded model, shared by loader.c and decoder.c only.
//
// Weights and vectors are found by role (tensors.h); NULL where the model has none. Everything is
// owned by struct model and lives until model_free. Activations are scratch of one step.
#pragma once
#include <stdint.h>

#include "local/models/facts.h"
#include "local/models/model.h"
#include "local/models/tensors.h"

enum { EXPERT_GATE, EXPERT_UP, EXPERT_DOWN, EXPERT_PARTS };

struct layer {
    struct weight *weight[TENSOR_ROLES];
    float *vector[TENSOR_ROLES];
    struct weight **expert[EXPERT_PARTS];  // [n_experts] each, in a mixture
    bool sliding;
    int group, kv_layer;  // which cache, and which layer of it
};

// Frequencies for one set of rope facts. Table 0 serves every sequence whose rotation does not
// depend on its length; table 1 + s is that of the batch's sequence s.
struct rope_state {
    float *inv_freq;        // [1 + max_seqs, n_freqs]
    float *scale;           // [1 + max_seqs]
    float *rows;            // [max_rows, n_freqs, 2], of this step
    int32_t *table_of_seq;  // [max_seqs]
    int32_t *len_of_table;  // [1 + max_seqs] final length a table was made for; 0: none
    int n_freqs;
};

struct scratch {
    float *x, *h, *branch;  // [max_rows, n_embd]: residual stream, normed, output of a branch
    float *q, *att;         // [max_rows, n_heads * head_dim]
    float *k, *v;           // [max_rows, n_kv_heads * head_dim]
    float *gate, *up;       // [max_rows, n_ff]
    float *router;          // [max_rows, n_experts]
    float *wanted;          // [max_wanted, n_embd]
};

struct model {
    struct model_facts facts;
    struct backend *backend;
    int ctx, max_rows, max_wanted, max_seqs;
    int n_groups;
    struct kv_group groups[BATCH_GROUPS_MAX];
    enum dtype kv_default;
    uint64_t weight_bytes;

    struct layer *layers;
    struct weight *token_embd, *position_embd, *output;
    float *output_norm, *output_norm_bias;

    float *vectors;  // one block for all vectors
    size_t n_vectors, n_vectors_used;
    void *embd_rows[2];  // embeddings that could not be used where they lie in the file
    uint64_t embd_bytes[2];
    struct packed *packed;  // what the weights lie in, or NULL: in memory of the backend's

    float *scratch_block;
    size_t n_scratch;
    struct scratch s;
    struct rope_state rope[2];
    int32_t *wanted_rows;   // [max_wanted] places in s.x
    int32_t *kept_rows;     // [max_rows] rows that the last layer ends with, ascending
    int32_t *place_of_row;  // [max_rows] in s.x after the last layer; -1: not kept

    model_observer observer;  // or NULL
    void *observer_self;
};
