// care.h - how much of what a text tells of a matrix's inputs is believed.
//
// A text may be too little, or unlike what the model will read, and rounding that minds what it
// tells does harm then. So inputs of another part of the text, which nothing was learned from, are
// the judge. By some rows of the first matrix that has the inputs it is found out how much doubt
// (feedback.h) serves them best; then every row of every matrix is rounded with what is known and
// without, and what changes its products with the judging inputs less is kept.
// Threads: care_begin by one at a time, with nobody in care_rows; rows are independent. The same
// bits with any number of threads. Source: ours.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "local/tensor/dtype.h"

struct care;
struct error;
struct importance;
struct thread_pool;

enum { CARE_ROWS = 32 };  // of a matrix, spread over it, are enough to find the doubt

struct care *care_new(struct thread_pool *pool);
void care_free(struct care *c);  // NULL is fine

// A matrix that is to become `type` (of which feedback_can): some of its rows [n_rows, known->n].
// What known points to must live while care_rows is called.
void care_begin(struct care *c, const struct importance *known, enum dtype type, const float *rows,
                size_t n_rows);

// What was judged: rows, those rounded with what is known, and the sum of squared errors of their
// products with the judging inputs, all rounded without and as they were kept.
struct care_tally {
    size_t n_rows, n_cared;
    double plain, kept;
};

// Rounds rows [n_rows, n] of the matrix to out [n_rows, dtype_bytes(type, n)] and adds to *tally.
// False with err and the row in *bad_row (see quantize_row).
bool care_rows(const struct care *c, enum dtype type, const float *rows, size_t n_rows, void *out,
               struct care_tally *tally, size_t *bad_row, struct error *err);
