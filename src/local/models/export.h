// export.h - writes a model, whatever it came from, as a GGUF file of another quantization.
//
// A folder's tensors get GGUF's names and layout (heads of q and k reordered where llama.cpp
// rotates neighbours, Gemma's norms plus one, GPT-2's matrices turned, experts stacked) and keys
// that llama.cpp reads; a GGUF file's keys and names are kept. Data is streamed: memory does not
// grow with the model. Which tensor gets which format is the mix's business (quantize/mix.h).
// Facts that GGUF has no key for (dynamic rope, exact GELU, irregular windows) are written under
// keys of our own, which our loader reads and llama.cpp ignores.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct care_tally;
struct error;
struct gguf_writer;
struct importance;
struct mix;
struct model_file;

struct export_report {
    int64_t values, bytes;    // of all tensors
    int n_matrices, n_other;  // of them: stored in another format than the mix wants
    int64_t other_cols;       // of the last of those: values in a row, which no block divides
    const char *other_type;   // what it became
    int n_zeros;              // stored in another format because theirs has no zero
    int n_quantized;          // tensors that the source already had in blocks
    // The matrix with the largest share of groups of 32 values that lost more than half of their
    // squares, since their block's largest group leaves them no scale. Of some of its rows.
    double lost_share;
    char lost_most[80];
};

struct export_options {
    const struct mix *mix;  // of quantize/mix.h
    int threads;            // 0: the cores this process may use
    const char *name;       // general.name of a folder's model; NULL: the folder's
    // Writes the tokenizer.* keys of a folder with n_vocab tokens; NULL: the file gets none.
    bool (*tokenizer_keys)(const struct model_file *folder, int n_vocab, struct gguf_writer *w,
                           struct error *err);
    // What is known of a tensor's inputs; NULL: nothing (as eval/calibrate.h's calibration_find).
    bool (*importance)(void *self, const char *tensor, struct importance *out, bool *found,
                       struct error *err);
    void *importance_self;
    struct care_tally *tally;      // what helped (quantize/care.h) is added to it; NULL: not told
    struct export_report *report;  // what was written; NULL: not told
    bool (*progress)(void *self, uint64_t done, uint64_t total);  // tensor bytes; false cancels
    void *progress_self;
};

// The file appears whole or not at all. False with err.
bool model_export(const struct model_file *file, const char *path, const struct export_options *o,
                  struct error *err);
