// scoring.h - rows of logits become likelihoods and divergences, on all threads, in the text's
// order.
//
// Rows are shared out among a pool's threads; what each says is summed in the rows' order, so that
// neither the number of threads nor the rows given at once change a bit. Files of saved logits are
// read and written here, a block of rows at a time. Threads: one caller.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "local/eval/logits_file.h"

struct error;
struct perplexity_options;
struct perplexity_result;
struct score_kernels;
struct thread_pool;

struct scoring {
    const struct score_kernels *kernels;
    struct thread_pool *pool;
    int n_vocab;
    struct logits_file save, against;  // open if f is set
    double nll, nll_squared, their_nll;
    double *kl;  // [n_max], with `against`
    size_t n, n_max, n_same_top;
};

// tokens [n_windows, ctx] as they are computed. scoring_release is due in either case.
bool scoring_init(struct scoring *s, const struct perplexity_options *o, struct logits_header h,
                  const int32_t *tokens, struct error *err);
void scoring_release(struct scoring *s);
// logits [n_rows, n_vocab]; came[i] is the token that row i was to predict.
bool scoring_add(struct scoring *s, const float *logits, const int32_t *came, int n_rows,
                 struct error *err);
// After the last row: writes what is left to write and fills in what was scored.
bool scoring_end(struct scoring *s, struct perplexity_result *out, struct error *err);
