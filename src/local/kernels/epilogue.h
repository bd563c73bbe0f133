// epilogue.h - from accumulators to y, for any instruction set (after its simd header).
#pragma once
#include "local/kernels/kernels.h"

// acc [np][nx][16]: sums of panels p .. p + np - 1 with rows first_x .. of x.
INLINE void store_sums(const struct gemm *g, int p, int np, int first_x, int nx, const float *acc)
{
    for (int t = 0; t < nx; t++)
        for (int j = 0; j < np; j++)
            for (int i = 0; i < PANEL_ROWS; i += VEC_N) {
                int row = (p + j) * PANEL_ROWS + i, left = g->rows - row;
                float *y = g->y + (size_t)(first_x + t) * g->y_stride + row;
                vec sum = vec_load(acc + (j * nx + t) * PANEL_ROWS + i);
                if (left >= VEC_N) {
                    if (g->bias)
                        sum = vec_add(sum, vec_load(g->bias + row));
                    vec_store(y, g->add ? vec_add(vec_load(y), sum) : sum);
                } else if (left > 0) {
                    if (g->bias)
                        sum = vec_add(sum, vec_load_n(g->bias + row, left));
                    vec_store_n(y, g->add ? vec_add(vec_load_n(y, left), sum) : sum, left);
                }
            }
}
