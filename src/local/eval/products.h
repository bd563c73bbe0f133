// products.h - sums of products of inputs: the inner loop of calibration, for each instruction set.
//
// Inputs come as panels of PANEL_COLS columns, [n_rows][PANEL_COLS] each, one panel after another
// and zeros beyond the last column: what a tile reads lies in a row then. All give the same bits.
// Threads: pure functions; panels of one matrix may be made, and stripes of it added, at once.
#pragma once
#include <stddef.h>

enum { PANEL_COLS = 16 };

static inline size_t panels_of(size_t n)
{
    return (n + PANEL_COLS - 1) / PANEL_COLS;
}

// The panel-th panel of x [n_rows, n] into its place in panels.
void products_panel(float *panels, const float *x, size_t n, size_t n_rows, size_t panel);

// products: the lower triangle of [n, n] (quantize/triangle.h). Adds x[r][i] * x[r][k] over r to
// (i, k), for the rows i of the panel-th panel.
typedef void (*add_products_fn)(float *products, const float *panels, size_t n, size_t n_rows,
                                size_t panel);
void add_products_plain(float *products, const float *panels, size_t n, size_t n_rows,
                        size_t panel);
void add_products_avx2(float *products, const float *panels, size_t n, size_t n_rows, size_t panel);
add_products_fn add_products_best(void);
