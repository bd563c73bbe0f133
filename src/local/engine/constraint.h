// constraint.h - what a choice's text must be: its place in a grammar, as the engine's loop asks.
//
// A constraint moves only with tokens that stand in the text; guesses are looked at from a copy. So
// nothing needs undoing, and preemption does not touch it. Zeroed: none, and anything goes.
// Threads: the engine's.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "local/sampling/grammar/grammar.h"

struct constraint {
    struct place place;
    uint32_t *mask;  // [n_words]
    size_t n_words;
    struct error error;  // that it could not begin
};

// A text's beginning. grammar NULL: none. A failure is told by constraint_mask.
void constraint_begin(struct constraint *c, struct grammar *g, int n_vocab);
void constraint_release(struct constraint *c);
// *mask: tokens that may come next, with `ends` where the text may end; NULL if anything may. Valid
// until the next call. False with err if a bound was met.
bool constraint_mask(struct constraint *c, const int32_t *ends, size_t n_ends,
                     const uint32_t **mask, struct error *err);
// The same after some more tokens, for a guess; NULL too where they do not fit.
const uint32_t *constraint_mask_after(struct constraint *c, const int32_t *tokens, int n,
                                      const int32_t *ends, size_t n_ends);
bool constraint_accept(struct constraint *c, int32_t token, struct error *err);
bool constraint_must_end(struct constraint *c);  // nothing can follow
// How many of the tokens fit, one after another.
int constraint_fits(struct constraint *c, const int32_t *tokens, int n);
