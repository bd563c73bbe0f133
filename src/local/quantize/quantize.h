// quantize.h - rounding rows of floats to the formats that weights are stored in.
//
// The results are those of ggml's reference quantizers, bit for bit (tests/golden/data/
// quantize.txt), so that files made here and there are the same. A new format is one row in the
// table of quantize.c. Threads: pure functions.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "local/tensor/dtype.h"

struct error;

// Whether quantize_row knows the format.
bool quantize_can(enum dtype type);

// n values (whole blocks of the format: asserted) from `in` to `out`, dtype_bytes(type, n) bytes,
// which may be unaligned; they may not overlap. False with err (ERR_NUMERIC), naming the index
// within the row, if a value is NaN or infinite or too large for the format's scale; the caller
// adds tensor and row.
bool quantize_row(enum dtype type, const float *in, void *out, size_t n, struct error *err);
