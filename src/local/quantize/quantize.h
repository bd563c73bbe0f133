// quantize.h - rounding rows of floats to the formats that weights are stored in.
//
// Without calibration plain types and Q8_0 come out as ggml's reference quantizers round them, bit
// for bit; the other block formats by a search of our own (fit.h) that loses less of the values
// than ggml's does (tests/golden/data/quantize*.txt). A new format is one row in the table of
// format.c. Threads: pure functions.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "local/tensor/dtype.h"

struct error;

// Whether quantize_row knows the format.
bool quantize_can(enum dtype type);

// n values (whole blocks of the format: asserted) from `in` to `out`, dtype_bytes(type, n) bytes,
// which may be unaligned; they may not overlap. importance [n], finite and not negative, says how
// much each value's squared error counts beside its block's others; NULL: all the same, but in
// blocks with a min |value| plus the group's root mean square. Plain types and Q8_0 ignore it.
// False with err (ERR_NUMERIC), naming the index within the row, if a value is NaN or infinite or
// too large for the format's scale; the caller adds tensor and row.
bool quantize_row(enum dtype type, const float *in, const float *importance, void *out, size_t n,
                  struct error *err);

// For feedback.h, which rounds rows in its own order: quantize_row's check of its values, and the
// weights of a block's values [n] from their importance.
bool quantize_check(enum dtype type, const float *in, size_t n, struct error *err);
void quantize_weights(const float *importance, size_t n, float *weights);
