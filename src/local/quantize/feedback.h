// feedback.h - rounding where each value makes up for the errors of those before it.
//
// What a matrix is for is its product with inputs x. With H = mean of x x^T over a calibration
// text, rounding a row w to q costs (q - w)^T H (q - w). Columns are rounded one after another;
// each is first moved by what the errors so far, through the correlations in H, ask of it. Block
// scales are searched (fit.h) for the moved values when a block's turn comes. Once a row is whole,
// its codes are gone through again, each now minding the errors behind it too, until none changes.
// Threads: immutable after feedback_new; rows are independent. Source: GPTQ, arXiv:2210.17323; the
// form without an inverse: H = R R^T with R upper triangular; coordinate descent after it.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "local/tensor/dtype.h"

struct error;
struct feedback;
struct thread_pool;

enum { FEEDBACK_COLS_MAX = 8192 };  // longer rows would take too long to prepare

// h [n, n]: H, symmetric, which must live as long as the feedback. n^2/2 doubles while it is
// made, n^2/2 floats from then on. doubt > 0: how little the text is believed what it says of
// correlations, as a share of H's diagonal that is added to it. NULL if H is not finite. Inputs
// that are always zero are let alone.
struct feedback *feedback_new(const float *h, size_t n, double doubt, struct thread_pool *pool);
void feedback_free(struct feedback *f);  // NULL is fine

// Whether the format's values can be chosen one by one: all block formats.
bool feedback_can(enum dtype type);
// Rounds n_rows rows [n_rows, n] to out [n_rows, dtype_bytes(type, n)]. False with err and the row
// in *bad_row (see quantize_row).
bool feedback_rows(const struct feedback *f, enum dtype type, const float *rows, size_t n_rows,
                   void *out, size_t *bad_row, struct error *err);
