// products.h - sums of products of inputs: the inner loop of calibration, for each instruction set.
//
// All give the same bits. Threads: pure functions; stripes of one matrix may run at once.
#pragma once
#include <stddef.h>

// products [n, n]: adds x[r][i] * x[r][k] over r to (i, k), for from <= i < to and k <= i (and some
// k above i, whose sums mean nothing). x [n_rows, n]. from is a multiple of 4.
typedef void (*add_products_fn)(float *products, const float *x, size_t n, size_t n_rows,
                                size_t from, size_t to);
void add_products_plain(float *products, const float *x, size_t n, size_t n_rows, size_t from,
                        size_t to);
void add_products_avx2(float *products, const float *x, size_t n, size_t n_rows, size_t from,
                       size_t to);
add_products_fn add_products_best(void);
