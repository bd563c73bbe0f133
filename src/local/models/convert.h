// convert.h - a model's matrices as they are read, or rounded to another type while it is loaded.
//
// What a quantization makes of each tensor is what `hearth quantize` would write (export.h), so
// that a model quantized while it is loaded answers as the file does. Memory: the rows asked for
// and one row of floats a thread. Threads: those of the pool, which one caller drives at a time.
#pragma once
#include <stdbool.h>

#include "local/models/tensors.h"

struct error;
struct mix;
struct model_facts;
struct thread_pool;

// A quantization that can be made, by name; *mix becomes NULL for no name or an empty one. False
// with err (ERR_USAGE), which lists the names.
bool convert_mix(const char *name, const struct mix **mix, struct error *err);

// The type that the tensor gets; mix NULL: its own.
enum dtype convert_type(const struct mix *mix, const struct model_facts *f, enum tensor_role role,
                        int layer, const struct tensor_view *view);
// The type in which a whole matrix of a network, if it has zeros on purpose, keeps them.
enum dtype convert_type_for_zeros(enum dtype type, const struct tensor_view *matrix);
// All rows, in that type, to out: dtype_bytes(type, cols) bytes for each. False with err
// (ERR_NUMERIC, ERR_UNSUPPORTED) naming tensor and row.
bool convert_rows(const struct tensor_view *view, enum dtype type, struct thread_pool *pool,
                  void *out, struct error *err);
