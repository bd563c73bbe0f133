// pooled.h - a text's embedding in the making: the sum of hidden states, row by row.
//
// Rows come in ascending positions, whatever the chunks; a position that was added is not added
// again, so that a text whose pages were taken away and computed anew stays what it was. So the
// embedding depends on the text alone, to the bit.
#pragma once
#include <stdbool.h>

struct pooled {
    double *sum;  // [n]; NULL before the first row
    int next;     // position from which rows count
};

void pooled_release(struct pooled *p);
void pooled_add(struct pooled *p, int position, const float *row, int n);
// The direction of the sum (for a mean it is the mean's), of length 1; a sum of nothing but zeros
// stays zero. False if the rows were not all finite.
bool pooled_finish(const struct pooled *p, float *out, int n);
