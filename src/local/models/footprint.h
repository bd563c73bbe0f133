// footprint.h - what a model's weights take, layer by layer, before anything is loaded.
//
// Counted from shapes: either those of a file in the formats it has, or those that the facts give
// in the formats of a quantization (quantize/mix.h). Weights stay in their block format in memory,
// so the bytes of the file are those of memory, but for vectors, which become floats (under one in
// a thousand). Threads: pure functions of immutable things.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "local/models/facts.h"
#include "local/models/model.h"

struct error;
struct mix;
struct model_file;

struct footprint {
    int n_layers;
    uint64_t layer_bytes[LAYERS_MAX];
    uint64_t layer_read[LAYERS_MAX];  // of them read for one token: of experts those that are used
    uint64_t embd_bytes;              // tables read row by row; 0 where the output serves as one
    uint64_t output_bytes;
    uint64_t bytes;       // all
    uint64_t parameters;  // numbers, whatever their format
    bool narrow;          // a matrix has fewer than 32 bits
};

// The file as it is. False with err, as the loader would fail: a tensor is missing or its shape is
// wrong. Large: keep it off small stacks.
bool footprint_of_file(const struct model_file *file, const struct model_facts *f,
                       struct footprint *out, struct error *err);
// The same model where only the sum of its bytes is known: every part in proportion.
void footprint_scale(struct footprint *p, uint64_t bytes);
// A model of these facts in a quantization; biases that the facts do not promise are left out.
void footprint_of_mix(const struct model_facts *f, const struct mix *mix, struct footprint *out);
