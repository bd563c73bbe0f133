// mix.h - which format each tensor gets in a quantization as users name it ("q4_k_m").
//
// A quantization is a mix: most matrices have its base format, those that matter more (the output,
// values, some feed-forward matrices) a wider one, and what is no whole number of blocks another.
// Names are GGUF's. The mixes of the plain types and of Q8_0 and Q4_0 are what Hearth writes
// (models/export.h); the K mixes are those of files that llama.cpp's quantizer made.
// Threads: constant tables and pure functions.
// Source: llama.cpp, tools/quantize (what is chosen by name, layer and number of layers).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "local/tensor/dtype.h"

struct mix {
    const char *name;    // lower case
    uint32_t file_type;  // general.file_type of GGUF files
    enum dtype base;     // of most matrices
    enum dtype output;   // of the output matrix, and of an embedding that serves as one
    enum dtype more;     // of values and of feed-forward's last matrix in some layers
    enum dtype fused;    // of query, key and value in one
    bool more_at_start;  // "some layers" are the first ones; else also the last and every third
};

// From narrow to wide; NULL after the last.
const struct mix *mix_at(size_t i);
const struct mix *mix_find(const char *name);            // case is ignored; NULL if there is none
const struct mix *mix_of_file_type(uint64_t file_type);  // or NULL

struct mix_tensor {
    const char *name;  // "blk.3.ffn_down.weight"
    int n_dims;
    int64_t cols;   // values in a row
    int n_layers;   // of the model
    int n_experts;  // of the model; 0: none
    bool tied;      // the embedding is the output
};
enum dtype mix_dtype(const struct mix *m, const struct mix_tensor *t);
