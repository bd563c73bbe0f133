// mix.h - which format each tensor gets in a quantization as users name it ("q4_k_m").
//
// A quantization is a mix: most matrices have its base format, those that matter more (the output,
// values, some feed-forward matrices) a wider one, and what is no whole number of blocks another.
// Names are GGUF's, and so is the choice: a file has the types, and the size, that llama.cpp's
// quantizer would give it. Threads: constant tables and pure functions.
// Source: llama.cpp, tools/quantize (what is chosen by name, layer and number of layers).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "local/tensor/dtype.h"

// Layers that get more, of all n.
enum mix_layers {
    MIX_NONE,
    MIX_FIRST_2,
    MIX_FIRST_4,
    MIX_FIRST_SIXTEENTH,
    MIX_FIRST_EIGHTH,
    MIX_SPREAD,  // the first and last eighth, and every third between
};

// One matrix of every layer: usual, or more in some layers.
struct mix_rule {
    enum dtype usual;
    enum mix_layers some;
    enum dtype more;
};

struct mix {
    const char *name;    // lower case
    uint32_t file_type;  // general.file_type of GGUF files
    bool common;         // what `hearth fit` offers
    enum dtype base;     // of most matrices
    enum dtype output;   // of the output matrix, and of an embedding that serves as one
    struct mix_rule value, down;
    enum dtype shared_value;  // of values that four or more heads share
    enum dtype attn_output;
    enum dtype fused;   // of query, key and value in one
    bool only_experts;  // all but experts' matrices are Q8_0
};

// From narrow to wide; NULL after the last.
const struct mix *mix_at(size_t i);
const struct mix *mix_find(const char *name);            // case is ignored; NULL if there is none
const struct mix *mix_of_file_type(uint64_t file_type);  // or NULL

struct mix_tensor {
    const char *name;  // "blk.3.ffn_down.weight"
    int n_dims;
    int64_t cols;      // values in a row
    int n_layers;      // of the model
    int n_experts;     // of the model; 0: none
    int heads_per_kv;  // heads that share one key and value
    bool tied;         // the embedding is the output
};
enum dtype mix_dtype(const struct mix *m, const struct mix_tensor *t);
// What stands in for a format that has no zero, in a matrix that needs one; other formats stay.
enum dtype mix_dtype_with_zero(enum dtype type);
// Whether another format stands in for the one that the mix wants, whose blocks do not divide rows
// of t->cols values.
bool mix_stands_in(const struct mix *m, const struct mix_tensor *t);
