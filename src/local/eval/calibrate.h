// calibrate.h - what the inputs of a model's matrices are like, over a text: for rounding with
// care.
//
// The model reads the text in windows. For every matrix the mean square of each input is kept (its
// importance), and, where rows are not too long, the mean of all products of two inputs, which
// error feedback needs (quantize/feedback.h). Every eighth window is kept out of that: some of its
// inputs are kept as they are, to show whether what was learned helps (quantize/care.h). A text of
// less than eight windows is cut into shorter ones. Products take n^2 floats for n inputs: as many
// matrices' as fit the budget are gathered at a time, in the order of the layers, and the text is
// read again when one of another layer is asked for.
// Threads: one at a time; the model must not be used by others meanwhile.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct calibration;
struct error;
struct importance;  // quantize/importance.h
struct model;
struct tokenizer;

struct calibration_options {
    int ctx;                                                  // tokens of a window; 0: 512
    int max_windows;                                          // over the text, > 1; 0: 128
    int threads;                                              // 0: the cores it may use
    size_t products_bytes;                                    // 0: 1 GiB
    bool (*progress)(void *self, size_t done, size_t total);  // windows of a pass; false cancels
    void *progress_self;
};

// Reads the text once. The model must have been loaded with max_rows and max_wanted of at least
// ctx, and must live as long. NULL with err: the text has less than 128 tokens.
struct calibration *calibration_new(struct model *m, const struct tokenizer *t, struct slice text,
                                    const struct calibration_options *o, struct error *err);
void calibration_free(struct calibration *c);            // NULL is fine
size_t calibration_tokens(const struct calibration *c);  // that are read of the text
int calibration_ctx(const struct calibration *c);        // tokens of a window, at most those asked
// Windows that were kept out, `most` at most, spread over the text: [*n, calibration_ctx], the
// caller's.
int32_t *calibration_kept_out(const struct calibration *c, size_t most, size_t *n);

// By a tensor's name in GGUF files. *found is false for what is no matrix, or was not seen. What
// *out points to lives until the next call. False with err only if reading the text again failed
// or was cancelled. self: a struct calibration (as export_options want it).
bool calibration_find(void *self, const char *name, struct importance *out, bool *found,
                      struct error *err);
