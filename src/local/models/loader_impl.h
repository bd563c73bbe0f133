// loader_impl.h - what loader.c and loader_packed.c share; nobody else includes it.
#pragma once
#include "local/models/model_impl.h"
#include "local/models/packed.h"
#include "local/models/tensors.h"

struct thread_pool;

// The passes over a model's tensors, in order; the second only where its weights are to be kept.
enum load_pass { LOAD_COUNT, LOAD_KEEP, LOAD_PACK };

struct loader {
    const struct model_file *file;
    struct model *m;
    const struct model_options *o;
    struct thread_pool *pool;  // see loader_pool
    enum load_pass pass;
    bool narrow;  // a matrix with fewer than 32 bits was seen
    uint64_t done, total;
    size_t n_floats;          // of all vectors
    struct packed_plan plan;  // of what is packed, in the order of the passes
    size_t n_packed;          // of the plan, so far in this pass
    struct packed_writer *writer;
    bool not_kept;                   // the writer failed, with err
    uint64_t rounding[DTYPE_COUNT];  // fingerprints; 0: not made yet
    struct error *err;
};

// A matrix, and the type it is loaded as.
struct matrix {
    struct tensor_view view;
    enum dtype type;
    uint64_t bytes;  // of all rows in that type
    bool direct;     // used where it lies in the file
};

// loader.c
struct thread_pool *loader_pool(struct loader *l);  // converts and checks; made when first needed
bool loader_advance(struct loader *l, uint64_t bytes);  // false: cancelled
bool loader_visit_all(struct loader *l);
// All rows in x->type, from memory_big_new. NULL with the loader's error.
void *loader_read_rows(struct loader *l, const struct matrix *x);
// False with the loader's error if a number is NaN or infinite.
bool loader_finite(struct loader *l, const struct matrix *x, const void *rows);

// loader_packed.c
void loader_plan(struct loader *l, const struct matrix *x, enum weight_use use);
bool loader_keep(struct loader *l, const struct matrix *x, enum weight_use use);
// What was kept of the matrix; NULL if nothing was.
const void *loader_kept(struct loader *l, const struct matrix *x, enum weight_use use);
// After the first pass: finds the file of packed weights, or makes it by another pass. False with
// the loader's error if the model cannot be loaded; what cannot be kept is only told in the log.
bool loader_find_packed(struct loader *l);
