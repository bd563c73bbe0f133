// roofline.h - what a forward pass must read and compute, to be held against what a machine can do.
//
// Counted from the model's facts: bytes of weights (each matrix once a step) and of keys and values
// (once a sequence), and the multiplications and additions of the weight matrices. Attention's own
// products, norms and the rounding of activations are left out: they are time that is lost. Of a
// mixture's experts those count that rows are routed to; of several rows as many different ones as
// chance would give. The last layer computes no more than keys and values of rows that are not
// wanted. Threads: pure functions.
#pragma once

#include "local/tensor/dtype.h"

struct model;

struct step_shape {
    int rows;  // of which `wanted` get logits
    int wanted;
    int sequences;
    int seen;            // positions that each sequence attends to
    enum dtype kv_type;  // of their keys and values
};
double step_bytes(const struct model *m, const struct step_shape *s);
double step_operations(const struct model *m, const struct step_shape *s);
