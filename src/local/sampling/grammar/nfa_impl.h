// nfa_impl.h - what nfa.c and product.c share; nobody else includes it.
#pragma once
#include "local/sampling/grammar/nfa.h"

#define NFA_NOWHERE UINT32_MAX

enum nfa_kind { NFA_SET, NFA_SPLIT, NFA_END };
struct nfa_state {
    enum nfa_kind kind;
    const struct regex *set;  // SET
    uint32_t next, other;     // other: SPLIT's second
};
struct nfa {
    struct nfa_state *states;
    size_t n, capacity;
    uint32_t start;
    bool overflow;
};
struct nfa_set {  // SET states, and whether END is among what was added
    uint32_t *ids;
    size_t n;
    bool ends;
    uint32_t *stack, *seen;  // [n_states]; seen: the round
    uint32_t round;
};
void nfa_set_init(struct nfa_set *s, const struct nfa *n);
void nfa_set_release(struct nfa_set *s);
void nfa_set_clear(struct nfa_set *s);
void nfa_set_add(struct nfa_set *s, const struct nfa *n, uint32_t state);  // and what follows
bool nfa_takes(const struct regex *set, uint32_t code);
