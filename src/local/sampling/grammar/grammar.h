// grammar.h - a compiled grammar over a vocabulary, and places that follow texts through it.
//
// Front ends (schema.h, regex.h, gbnf.h) make a program of what a user wrote; a grammar joins it
// with a model's tokens. A place is a place in one text: a few words, so that copying it for
// another choice, or keeping a copy to go back to, costs nothing. Memory is bounded: what is
// remembered of places and tokens (GRAMMAR_SPACE_BYTES) is dropped when it is full and found anew.
// Threads: any may use a grammar (a lock inside); a place belongs to one at a time. The
// vocabulary must outlive the grammar, and the grammar lives as long as its last holder.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct error;
struct grammar;
struct grammar_vocab;
struct program;
struct space;

enum { GRAMMAR_SPACE_BYTES = 32 << 20 };

// Takes over a finished program. max_bytes 0: GRAMMAR_SPACE_BYTES.
struct grammar *grammar_new(struct program *p, const struct grammar_vocab *v, size_t max_bytes);
struct grammar *grammar_hold(struct grammar *g);
void grammar_release(struct grammar *g);       // NULL is fine
size_t grammar_bytes(struct grammar *g);       // of memory now
uint64_t grammar_n_spaces(struct grammar *g);  // how often memory was full, and once more

struct place {  // zeroed: none
    struct grammar *grammar;
    struct space *space;
    uint32_t set;
    bool started;
};
// False with err: ERR_LIMIT. The same of all that follow.
bool place_init(struct place *m, struct grammar *g, struct error *err);
void place_copy(struct place *to, const struct place *from);  // `to` is zeroed or released
void place_release(struct place *m);

// A token more, or bytes. False: it does not fit (ERR_USAGE), or a bound was met; the place then
// stays where it was.
bool place_accept(struct place *m, int32_t token, struct error *err);
bool place_accept_bytes(struct place *m, struct slice bytes, struct error *err);
// How many of the tokens fit one after another. The place stays where it is.
size_t place_fits(struct place *m, const int32_t *tokens, size_t n);
bool place_can_end(struct place *m);   // the text may end here
bool place_must_end(struct place *m);  // and cannot go on
// One bit a token, 1 where the text may go on with it; tokens that end a text are the caller's
// business. mask [n_words]; words beyond the vocabulary become 0. True also if no bit is set.
bool place_mask(struct place *m, uint32_t *mask, size_t n_words, struct error *err);
