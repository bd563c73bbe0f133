// linear.h - the arithmetic of rounding with feedback, for each instruction set.
//
// All give the same bits. Threads: pure functions.
#pragma once
#include <stddef.h>

struct linear {
    float (*dot)(const float *a, const float *b, size_t n);
    // to[i * to_stride + j] = the dot product of row i of a [n_a, a_stride] and b[j] (whose last
    // bits are not those of dot's).
    void (*dots)(float *to, size_t to_stride, const float *a, size_t a_stride, size_t n_a,
                 const float *const *b, size_t n_b, size_t n);
    // to[n] += by[i] * row i of x [n_rows, stride], one row after another.
    void (*add_rows)(float *to, const float *x, size_t stride, const float *by, size_t n_rows,
                     size_t n);
    // to[i][j] -= the dot product of a[i] and b[j], for i < n_a and j < n_b; rows of n.
    void (*subtract_dots)(double *const *to, const double *const *a, size_t n_a,
                          const double *const *b, size_t n_b, size_t n);
};
extern const struct linear linear_plain, linear_avx2;
const struct linear *linear_best(void);
