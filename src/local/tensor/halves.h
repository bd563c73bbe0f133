// halves.h - rows of 16-bit floats to F32, as f16_to_f32() and bf16_to_f32() do it bit for bit.
// Internal to local/tensor; only for processors that have AVX2 and F16C. Threads: pure functions.
#pragma once
#include <stddef.h>

// n halves, any alignment. How many are done: all but the last few.
size_t f16_row_avx2(const void *from, float *out, size_t n);
size_t bf16_row_avx2(const void *from, float *out, size_t n);
