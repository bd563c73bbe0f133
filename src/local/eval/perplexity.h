// perplexity.h - how well a model predicts a text, and how far another model's predictions are.
//
// As llama.cpp's perplexity tool: the text (control tokens in it are plain text; BOS in front where
// the tokenizer adds one) is cut into windows of ctx tokens that do not overlap; what is left at
// the end is dropped. Where there is a BOS it replaces the first token of every window. Only the
// second half of a window is scored: rows ctx/2 .. ctx-2 predict tokens ctx/2+1 .. ctx-1, so every
// prediction has seen at least half a window. Perplexity is exp of the mean negative log
// likelihood. Numbers of different ctx are different numbers.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct error;
struct model;
struct tokenizer;

struct perplexity_options {
    int ctx;                  // 0: 512
    int max_windows;          // 0: all
    int threads;              // that score; 0: the cores this process may use
    const char *kv_type;      // of keys and values; NULL: the model's own
    const char *save_logits;  // NULL, or a file to write (logits_file.h)
    const char *against;      // NULL, or such a file, made from the same tokens
    // Called after each step, windows done of all; false cancels (ERR_CANCELLED).
    bool (*progress)(void *self, size_t done, size_t total);
    void *progress_self;
};
struct perplexity_result {
    double perplexity;
    double standard_error;  // of the perplexity, by the spread of the tokens' likelihoods
    size_t tokens;          // scored
    size_t tokens_read;     // computed: all but the last of each window
    int ctx, windows;
    double seconds;
    bool compared;           // with `against`: what follows is set
    double kl_mean, kl_p99;  // nats, of theirs from ours: sum p_theirs log(p_theirs / p_ours)
    double same_top;         // share of the predictions with the same likeliest token
    double their_perplexity;
};

// Windows are computed several at a time: steps are as large as the model was loaded for, max_rows,
// and max_wanted scored rows in each (model_options; half of max_rows suits any window), or fewer
// where the logits of these would take more than 256 MiB. What is found does not depend on either,
// nor on the threads, bit for bit.
bool perplexity_tokens(struct model *m, const int32_t *tokens, size_t n, int32_t bos,
                       const struct perplexity_options *o, struct perplexity_result *out,
                       struct error *err);
bool perplexity_text(struct model *m, const struct tokenizer *t, struct slice text,
                     const struct perplexity_options *o, struct perplexity_result *out,
                     struct error *err);
