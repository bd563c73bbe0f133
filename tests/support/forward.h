// forward.h - runs a loaded model over plain lists of tokens, without an engine: pages are handed
// out in order and never given back.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "local/models/model.h"

struct forward {
    struct model *model;
    struct kv_cache *kv[BATCH_GROUPS_MAX];
    struct batch *batch;
    int n_seqs, n_tokens, pages_per_seq;
    int want_every, want_after;  // logits of the positions i >= want_after with i % want_every == 0
};

// Room for n_seqs sequences of n_tokens each; every position's logits are wanted. Ends the test if
// there is no memory.
void forward_open(struct forward *f, struct model *m, enum dtype kv, int n_seqs, int n_tokens);
void forward_close(struct forward *f);

bool forward_wants(const struct forward *f, int i);

// Logits [n, n_vocab] of every position of one text that is wanted, in chunks of `chunk` rows; out
// of other positions is left as it was.
void forward_text(struct forward *f, const int32_t *tokens, int n, int final_len, int chunk,
                  float *out);
// The same for n_seqs texts of equal length at once, a chunk of each in every step;
// out [n_seqs, n, n_vocab].
void forward_texts(struct forward *f, int n_seqs, const int32_t *const *tokens, int n,
                   int final_len, int chunk, float *out);
// Continues tokens[0 .. n_prompt) greedily up to n tokens, one at a time.
void forward_greedy(struct forward *f, int32_t *tokens, int n_prompt, int n, int chunk);
int argmax(const float *row, int n);
