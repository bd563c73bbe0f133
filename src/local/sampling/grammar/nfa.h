// nfa.h - regular languages of characters: run over a text, or intersected into nodes of a program.
//
// For what a program alone cannot say: that a string fits a pattern, another one, and a length,
// all at once, or that a name is none of some. Counted repetition is written out, so both sizes and
// products are bounded: beyond, making one fails. Threads: immutable once made.
// Source: Thompson, CACM 11 (1968); the product is the subset construction over several at once.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "local/sampling/grammar/regex.h"

enum { NFA_STATES_MAX = 20000, PRODUCT_STATES_MAX = 20000, LANGUAGES_MAX = 16 };

struct nfa;
// The tree must outlive it. NULL if it would be too large.
struct nfa *nfa_new(const struct regex *r);
void nfa_free(struct nfa *n);
size_t nfa_states(const struct nfa *n);
bool nfa_matches(const struct nfa *n, struct slice text);  // as a whole; UTF-8

struct language {
    const struct nfa *nfa;
    bool negated;  // all texts but those
};
// Nodes of the texts that are in all languages and have min to max characters (REPEAT_NO_MAX: no
// bound). At most LANGUAGES_MAX. False if it would be too large. Adds the steps that it took to
// *work (NULL is fine).
bool nfa_product(struct program *p, const struct language *list, size_t n, uint32_t min,
                 uint32_t max, regex_chars *chars, uint32_t next, uint32_t *node, uint64_t *work);
