// zeros.c - does a matrix have zeros among its other values, as networks have that were pruned or
// constructed? Some rows are asked.
#include <stdlib.h>

#include "base/memory.h"
#include "local/models/tensors.h"

// Of groups of 32 values, those with an eighth of zeros and something else beside; a matrix has
// zeros if they are a thirty-second of all but empty groups. Matrices that were trained and left
// alone have none of either (docs/decisions.md, 87).
enum { ROWS = 64, GROUP = 32, ZEROS = GROUP / 8, SHARE = 32 };

struct groups {
    int64_t n, n_torn;
};

static void count_groups(const float *row, int64_t cols, struct groups *g)
{
    for (int64_t i = 0; i + GROUP <= cols; i += GROUP) {
        int n_zeros = 0;
        for (int64_t k = i; k < i + GROUP; k++)
            n_zeros += row[k] == 0;
        g->n += n_zeros < GROUP;
        g->n_torn += n_zeros < GROUP && n_zeros >= ZEROS;
    }
}

bool tensor_has_zeros(const struct tensor_view *v)
{
    struct groups g = {0};
    int64_t n = v->rows < ROWS ? v->rows : ROWS;
    float *row = memory_array(float, (size_t)v->cols);
    for (int64_t i = 0; i < n; i++) {
        tensor_view_numbers(v, i * v->rows / n, 1, row);
        count_groups(row, v->cols, &g);
    }
    free(row);
    return g.n_torn * SHARE > g.n;
}
