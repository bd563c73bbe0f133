// mask.h - which tokens a set of configurations allows; internal to grammar/.
//
// Where few bytes are possible, the tree of tokens is walked: most of it falls away at its root.
// Where many are (inside of strings), the walk is done once for the top of the stack alone, with
// FRAME_UNKNOWN below, for all texts that ever stand so: most tokens then are surely in or out,
// and the few that return into what is below are walked with the true stack each time. Counters
// of repeats are cut to what a token can reach, so a{0,100000} needs no more masks than a{0,300}.
// Threads: as the space.
// Source: context-independent tokens, XGrammar, arXiv:2411.15100; counters and trees are our own.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct grammar_vocab;
struct space;

// Bits of the tokens allowed at `set`. mask [n_words]. False if the space has failed.
bool mask_of(struct space *s, const struct grammar_vocab *v, uint32_t set, bool first,
             uint32_t *mask, size_t n_words);
void mask_free(void *mask);
