// score.h - what a row of logits says: its likeliest token, the sum of its exponentials, how far
// another model's row is. The inner loops of perplexity, for each instruction set.
//
// Every logit is taken relative to the row's largest, so that exponentials cannot overflow.
// Exponentials are floats (relative error below 2e-7; below exp(-87) they are 0), summed in eight
// lanes over 128 values and then in doubles. All instruction sets give the same bits.
// Threads: pure functions.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// NaN and infinity among the logits make `sum` no finite number.
struct row_score {
    size_t best;  // the first of the likeliest
    float max;    // its logit
    double sum;   // of exp(logit - max)
};
// Of one model's logits and another's distances: halves, how far below its likeliest token's logit
// each token is.
struct row_divergence {
    double sum;    // of exp(-distance)
    double cross;  // of exp(-distance) * (-distance - (logit - max))
    size_t best;   // the first with the smallest distance
    bool valid;    // no distance is negative or NaN
};

struct score_kernels {
    struct row_score (*score)(const float *logits, size_t n);
    void (*distances)(uint16_t *out, const float *logits, float max, size_t n);
    struct row_divergence (*diverge)(const uint16_t *distances, const float *logits, float max,
                                     size_t n);
};
extern const struct score_kernels score_plain, score_avx2;
const struct score_kernels *score_kernels_best(void);
