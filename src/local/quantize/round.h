// round.h - rounding one group of values to a format's levels, and the sums that judge it.
//
// The inner loop of the search, which runs it some hundred times for every group; so it stands in
// a file of its own for each instruction set. All give the same bits: eight partial sums, joined
// as doubles in a fixed order. Internal to local/quantize. Threads: pure functions.
#pragma once

enum { TABLE_MAX = 16 };

struct rounding {
    int n;         // values in a group: 16 or 32
    float lo, hi;  // lowest and highest level
    // Levels of a table: from lo, steps[i] more from mids[i] on. 0 mids: whole numbers.
    int n_mids;
    float mids[TABLE_MAX], steps[TABLE_MAX];
};

struct group_sums {
    double wl, wll, wxl;  // of weight * level, weight * level^2, weight * value * level
};
struct plain_sums {
    double w, wx, wxx;
};

// level[n] = the level nearest to (x + m) * inverse. x, w, level [n], any alignment.
typedef void (*round_group_fn)(const struct rounding *r, const float *x, const float *w,
                               float inverse, float m, float *level, struct group_sums *sums);
void round_group_plain(const struct rounding *r, const float *x, const float *w, float inverse,
                       float m, float *level, struct group_sums *sums);
void round_group_avx2(const struct rounding *r, const float *x, const float *w, float inverse,
                      float m, float *level, struct group_sums *sums);
// The fastest that this processor has.
round_group_fn round_group_best(void);

void sum_group(int n, const float *x, const float *w, struct plain_sums *sums);
