// model.h - a loaded model: facts, packed weights, and the forward pass over backend operations.
//
// A family is facts (models/families/), never a name tested in the forward pass. Threads: the
// engine's thread runs forward; facts are immutable and may be read anywhere.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "local/backend/backend.h"
#include "local/models/packed.h"

struct error;
struct mix;  // quantize/mix.h
struct model;
struct model_facts;  // models/facts.h
struct model_file;

struct model_options {
    int ctx;         // longest sequence; 0: the model's own
    int max_rows;    // rows of the largest batch (scratch is sized once); 0: 512
    int max_wanted;  // rows of which logits or hidden states are wanted; 0: 64
    int max_seqs;    // 0: 64
    int threads;     // that convert weights while loading; 0: the cores this process may use
    // Weights are rounded while they are read, as `hearth quantize` would (convert.h); NULL: they
    // stay as they are.
    const struct mix *mix;
    struct packed_options packed;  // whether packed weights are kept on disk for the next start
    // Called between layers while loading, done of total bytes; false cancels (ERR_CANCELLED).
    bool (*progress)(void *self, uint64_t done, uint64_t total);
    void *progress_self;
};

// Layers that share page tables: group 0 full attention, group 1 sliding window (one may be absent;
// a model whose layers all slide has one group with a window).
struct kv_group {
    int n_layers, n_kv_heads, head_dim;
    int window;  // 0: everything is kept
};

// What the facts alone say, before anything is loaded: the groups (at most BATCH_GROUPS_MAX),
// and bytes of scratch with these options.
int model_groups_of(const struct model_facts *f, struct kv_group *groups);
uint64_t model_scratch_of(const struct model_facts *f, const struct model_options *o);

// NULL with err, naming tensor and what is wrong. The file stays open as long as the model.
struct model *model_load(const struct model_file *file, struct backend *backend,
                         const struct model_options *o, struct error *err);
void model_free(struct model *m);

const struct model_facts *model_facts(const struct model *m);
struct backend *model_backend(const struct model *m);
int model_n_vocab(const struct model *m);
int model_n_embd(const struct model *m);
int model_ctx(const struct model *m);  // longest sequence it takes
// What scratch was made for: rows of a batch, those of them that are wanted, sequences.
void model_limits(const struct model *m, int *max_rows, int *max_wanted, int *max_seqs);
int model_n_groups(const struct model *m);
const struct kv_group *model_group(const struct model *m, int i);
enum dtype model_kv_default(const struct model *m);  // F32 for F32 weights, else F16
uint64_t model_weight_bytes(const struct model *m);  // in memory, packed

// What the layers' matrices are multiplied with, for calibration: n_rows rows of n floats, in the
// backend's memory, valid during the call. INPUT_OUTPUT: of wanted rows only. The inputs of experts
// are shown before they are routed; what goes into their last matrix is not shown.
enum model_input { INPUT_ATTN, INPUT_ATTN_OUT, INPUT_FFN, INPUT_FFN_DOWN, INPUT_OUTPUT };
typedef void (*model_observer)(void *self, enum model_input input, int layer, const float *x,
                               int n_rows, int n);
// Called by every forward pass from now on, by its thread; NULL: no more. For the CPU backend,
// whose memory can be read.
void model_observe(struct model *m, model_observer observer, void *self);

// One forward pass. kv[g] is the cache of group g. out [number of rows with a want, n_vocab]: rows
// in the batch's order; for WANT_HIDDEN the first n_embd floats are the normed hidden state (cut to
// n_vocab where a vocabulary is smaller than the width). At most max_wanted rows. WANT_EMBEDDING
// takes no place in out and is not counted.
void model_forward(struct model *m, struct kv_cache *const *kv, const struct batch *batch,
                   float *out);
// Does now what would otherwise happen beside the first hundreds of passes: mapped weights that
// are slow to read move to memory of our own (packed.h). To be called before speed is measured.
void model_warm_up(struct model *m);
// After model_forward of the same batch: the normed hidden states of its rows with WANT_EMBEDDING,
// in the batch's order. out [number of them, n_embd].
void model_hidden(struct model *m, const struct batch *batch, float *out);
