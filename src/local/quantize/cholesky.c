#include "local/quantize/cholesky.h"

#include <math.h>

#include "base/thread_pool.h"
#include "local/quantize/linear.h"
#include "local/quantize/triangle.h"

enum { BLOCK = 128, TILE = 64 };  // columns of a block; rows and columns that an item updates

struct factor {
    const struct linear *linear;
    double *l;
    size_t n, first, end;  // columns of the block under way
};

static double *row_of(const struct factor *f, size_t i)
{
    return f->l + triangle_row(i);
}

// Columns first..until - 1 of row i, all columns before `first` being accounted for.
static void solve_row(const struct factor *f, size_t i, size_t until)
{
    double *row = row_of(f, i), *to = row, *from = row + f->first;
    for (size_t c = f->first; c < until; c++) {
        const double *pivot = row_of(f, c), *pivot_from = pivot + f->first;
        to = row + c;
        f->linear->subtract_dots(&to, (const double *const *)&from, 1, &pivot_from, 1,
                                 c - f->first);
        *to /= pivot[c];
    }
}

static bool solve_corner(const struct factor *f)
{
    for (size_t i = f->first; i < f->end; i++) {
        solve_row(f, i, i);
        double *row = row_of(f, i), *to = row + i, *from = row + f->first;
        f->linear->subtract_dots(&to, (const double *const *)&from, 1, (const double *const *)&from,
                                 1, i - f->first);
        if (!(*to > 0) || !isfinite(*to))
            return false;
        *to = sqrt(*to);
    }
    return true;
}

static void solve_rows(void *self, int item, int worker)
{
    (void)worker;
    const struct factor *f = self;
    size_t i = f->end + (size_t)item * TILE, end = i + TILE < f->n ? i + TILE : f->n;
    for (; i < end; i++)
        solve_row(f, i, f->end);
}

// Subtracts what the block's columns account for from a tile of the rest.
static void update_tile(void *self, int item, int worker)
{
    (void)worker;
    const struct factor *f = self;
    size_t down = 0, across = (size_t)item;
    while (across > down)
        across -= ++down;
    size_t first = f->end + down * TILE, n = f->n - first < TILE ? f->n - first : TILE;
    size_t column = f->end + across * TILE, depth = f->end - f->first;
    double *to[TILE];
    const double *a[TILE], *b[TILE];
    for (size_t i = 0; i < n; i++) {
        to[i] = row_of(f, first + i) + column;
        a[i] = row_of(f, first + i) + f->first;
    }
    if (across < down) {
        for (size_t i = 0; i < TILE; i++)
            b[i] = row_of(f, column + i) + f->first;
        f->linear->subtract_dots(to, a, n, b, TILE, depth);
    } else {  // on the diagonal: each row as far as it goes
        for (size_t i = 0; i < n; i++)
            f->linear->subtract_dots(to + i, a + i, 1, a, i + 1, depth);
    }
}

bool cholesky(double *l, size_t n, struct thread_pool *pool)
{
    struct factor f = {.linear = linear_best(), .l = l, .n = n};
    for (; f.first < n; f.first += BLOCK) {
        f.end = f.first + BLOCK < n ? f.first + BLOCK : n;
        if (!solve_corner(&f))
            return false;
        size_t tiles = (n - f.end + TILE - 1) / TILE;
        thread_pool_run(pool, solve_rows, &f, (int)tiles);
        thread_pool_run(pool, update_tile, &f, (int)(tiles * (tiles + 1) / 2));
    }
    return true;
}
