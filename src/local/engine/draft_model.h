// draft_model.h - a smaller model that guesses what the model will say.
//
// Its keys and values lie in pages that have the same numbers as the model's own, so that prefixes
// are shared, copied, given back and computed again without a second bookkeeping; each page says of
// how many of its positions the draft model knows (page.n_drafted). It lags behind: it reads tokens
// only when it is to guess after them. For a place it draws with the draw of that place, so that
// where it thinks like the model it also says what the model will say. Threads: the engine's.
// Source: speculative decoding, arXiv:2211.17192; the coupling of draws is our own rule, see
// docs/engine.md.
#pragma once
#include <stdbool.h>

#include "local/engine/job.h"
#include "local/engine/speculation.h"

struct scheduler;

struct draft_model {
    const struct engine_model *model;
    struct scheduler *scheduler;
    struct batch *batch;   // NULL: there is no draft model
    float *logits;         // [max_seqs, draft vocabulary]
    float *row;            // [n_vocab]
    struct choice **said;  // [max_seqs] whose logits these are
    int n_said;
    int lag_most;  // tokens that a sequence may bring to read when it is to be guessed for
};

void draft_model_init(struct draft_model *d, const struct engine_model *m, struct scheduler *s);
void draft_model_release(struct draft_model *d);

// Whether it can guess after the choice's tokens, at most `most` of them, in the step that is being
// planned; returns how many. If there is too much that it has not read, 0, and it will read of that
// in draft_model_read.
int draft_model_reach(struct draft_model *d, struct choice *c, int most);
// Reads what draft_model_reach found unread, as much as fits a batch.
void draft_model_read(struct draft_model *d);
// Writes the guesses of the runs of the planned step that are to be its own.
void draft_model_guess(struct draft_model *d, struct speculation *s);
