// filters.h - which tokens may be drawn, and with what weight: temperature, top-k, top-p, min-p,
// typical. Internal to sampling; a header of its own so that tests can see the surviving sets.
//
// The vocabulary is never sorted as a whole: one pass counts tokens and mass in buckets of distance
// from the best logit, which tells how far down the survivors can reach; only those are gathered
// and sorted exactly. Threads: one candidates struct, one thread.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct sampling;

// A survivor is one number: the bits of its distance below the best logit, (max - logit) /
// temperature >= 0, above its id. Ascending order is then descending probability, ties by lower id.
struct candidates {
    uint64_t *keys;   // n survivors
    uint64_t *spare;  // for sorting
    size_t n, capacity;
    double mass;  // sum of the survivors' candidate_weight
};

// logits [n_vocab]: no NaN, no +infinity, at least one finite, whose largest is `max`. -infinity
// is forbidden. Needs temperature > 0. Leaves at least one survivor.
void filters_apply(struct candidates *c, const float *logits, int n_vocab, float max,
                   const struct sampling *s);
// The candidate at which the mass of filters_apply's survivors, walked from the likeliest on,
// passes u of the whole, 0 <= u < 1. Less is sorted than there; c is left unspecified.
int32_t filters_draw(struct candidates *c, const float *logits, int n_vocab, float max,
                     const struct sampling *s, double u);
void candidates_release(struct candidates *c);

int32_t candidate_id(uint64_t key);
double candidate_weight(uint64_t key);  // exp(-distance); divided by mass: the probability
