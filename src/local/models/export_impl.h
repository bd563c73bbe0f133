// export_impl.h - the inside of an export, shared by export.c (what is written) and export_rows.c
// (how matrices are rounded).
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "local/models/export.h"
#include "local/models/facts.h"
#include "local/models/tensors.h"

struct care;
struct thread_pool;

// One tensor of the file to be written.
struct piece {
    char name[80];
    enum dtype dtype;
    int n_dims;
    int64_t shape[3];
    // What it is made of: a vector of our own, a role of the facts, or a tensor as it is.
    const float *numbers;
    const struct model_tensor *tensor;
    enum tensor_role role;
    int layer, n_experts;  // n_experts: parts stacked in one tensor
    int head_dim;          // rows of heads change from halves to pairs; 0: they stay
};

struct export
{
    const struct model_file *file;
    const struct export_options *o;
    struct model_facts facts;
    struct gguf_writer *w;
    struct thread_pool *pool;
    struct care *care;  // NULL until it is needed
    struct piece *pieces;
    size_t n_pieces, capacity;
    float factors[3][ROPE_FREQS_MAX];  // rope_freqs, short, long
    uint64_t done, total;
    struct error *err;
};

uint64_t export_bytes(enum dtype dtype, int64_t n);  // of n values
// Where row r of the new file stands in the folder.
int64_t export_source_row(const struct piece *p, int64_t r);
// The tensor whose turn it is, as it is.
bool export_copy(struct export *e, const struct piece *p, const struct model_tensor *t);
// A matrix, or its part that one view shows: read, converted to floats and rounded to the piece's
// format, some rows at a time on all threads. With v NULL the rows are given as `numbers`.
bool export_rows(struct export *e, const struct piece *p, const struct tensor_view *v,
                 const float *numbers, int64_t rows, int64_t cols);
