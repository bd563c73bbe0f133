// predictions.h - what a model predicts of some tokens, kept to be compared with a file made of it.
//
// The tokens are those that a calibration kept out of what rounding learns from. One thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct calibration;
struct error;
struct loaded;
struct perplexity_result;
struct settings;

struct predictions {
    int32_t *tokens;  // [n_windows, ctx]
    size_t n_windows;
    int ctx;
    char *path;  // of a file under TMPDIR, which is gone after predictions_release
};

// predictions_release is due in either case; {0} may be released.
bool predictions_keep(struct predictions *p, struct loaded *l, const struct calibration *c,
                      const struct settings *s, struct error *err);
// Loads the model at `path` and compares its predictions of the same tokens.
bool predictions_compare(const struct predictions *p, const char *path, const struct settings *s,
                         struct perplexity_result *out, struct error *err);
void predictions_release(struct predictions *p);
