// cholesky.h - the lower triangular factor L of a symmetric positive matrix: L L^T.
//
// Threads: one caller at a time a pool. Source: any textbook; here by blocks of columns, so that
// what a block subtracts from the rest is read once for all of its columns.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct thread_pool;

// l: the lower triangle of an n by n matrix (triangle.h), which its factor takes the place of.
// False if the matrix is not positive or not finite. The same bits with any number of threads.
bool cholesky(double *l, size_t n, struct thread_pool *pool);
