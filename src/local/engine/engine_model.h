// engine_model.h - what the engine's loop asks of a model and its text; internal.
//
// A small vtable, so that the loop's tests can script logits and text. engine_new (engine_model.c)
// makes one over struct model and struct tokenizer.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "local/backend/batch.h"
#include "local/tokenizer/tokenizer.h"

struct buf;
struct engine;
struct error;

struct engine_model_ops {
    // As model_forward: one row of n_vocab logits for each row that is wanted.
    void (*forward)(void *self, const struct batch *batch, float *logits);
    // The same of the draft model, where draft.n_vocab > 0.
    void (*draft_forward)(void *self, const struct batch *batch, float *logits);
    // After forward, of the same batch: as model_hidden, n_embd floats a row. NULL: no embeddings.
    void (*hidden)(void *self, const struct batch *batch, float *out);
    // With what the draft model keeps in the page.
    void (*copy_page)(void *self, int group, int from, int to);
    // Sequences of equal class compute equal keys and values from equal tokens. NULL: all do.
    uint64_t (*length_class)(void *self, int final_len);
    void (*text_begin)(void *self, struct detokenizer *d, bool skip_special);
    void (*text_push)(void *self, struct detokenizer *d, int32_t token, struct buf *out);
    void (*text_finish)(void *self, struct detokenizer *d, struct buf *out);
    void (*free)(void *self);
};
struct engine_model {
    const struct engine_model_ops *ops;
    void *self;  // owned by the engine once it has started
    int n_vocab, ctx;
    int n_embd;  // width of hidden states, where ops->hidden is there
    int max_rows, max_seqs;
    int max_wanted;  // rows of a step with logits; at least max_seqs
    int n_groups, window[BATCH_GROUPS_MAX], n_pages[BATCH_GROUPS_MAX];
    bool no_prefix_cache;
    int queue_max;      // requests that may wait; 0: 8192
    uint64_t kv_bytes;  // of the pages; only told
    // A smaller model that guesses. Its keys and values lie in pages of the same numbers as those
    // of the model's group `group`, which never leave a window. n_vocab 0: there is none.
    struct {
        int n_vocab, ctx, n_groups, group, max_rows;
    } draft;
};
// Starts the thread. NULL with err (ERR_MEMORY, ERR_IO); then self is not freed.
struct engine *engine_start(const struct engine_model *m, struct error *err);
