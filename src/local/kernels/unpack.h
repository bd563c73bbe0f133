// unpack.h - panels in one common form, 16 rows of unsigned bytes with float scales: see
// unpack_simd.inc.
#pragma once
#include <stdint.h>

// Columns 32 * from .. 32 * (from + n) - 1 of a panel of n_blocks blocks a row; from and n are
// multiples of the format's block.
typedef void (*unpack_fn)(uint8_t *q, float *s, const uint8_t *panel, int n_blocks, int from,
                          int n);
