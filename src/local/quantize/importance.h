// importance.h - what a calibration text has told of a matrix's inputs.
#pragma once
#include <stddef.h>

struct importance {
    size_t id;              // the same for matrices that share their input, else different
    size_t n;               // inputs: the matrix's columns
    const float *squares;   // [n] mean squares: how much an error in a column counts
    const float *products;  // triangle of [n, n]: means of x[i] * x[k]; NULL: not known
    // Inputs of another part of the text, which the means know nothing of, to judge by.
    const float *held_out;  // [n_held_out, n]
    size_t n_held_out;
};
