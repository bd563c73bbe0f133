// round.h - rounding one group of values to a format's levels, and the sums that judge it.
//
// The inner loops of the search, which tries dozens of scales for every group; so they stand in a
// file of their own for each instruction set. All give the same bits: partial sums of eight values,
// joined as doubles in a fixed order. Internal to local/quantize. Threads: pure functions.
#pragma once
#include <stdbool.h>

enum { TABLE_MAX = 16, STARTS = 8 };

struct rounding {
    int n;         // values in a group: 16 or 32
    float lo, hi;  // lowest and highest level
    // Levels of a table: from lo, steps[i] more from mids[i] on. 0 mids: whole numbers.
    int n_mids;
    float mids[TABLE_MAX], steps[TABLE_MAX];
    bool has_min, min_positive;  // x is about d * level - m; m may not be negative
};

struct group_sums {
    double wl, wll, wxl;  // of weight * level, weight * level^2, weight * value * level
};
struct plain_sums {
    double w, wx, wxx;
};
// In: eight ways to round, to the levels nearest to (x + m) / d. Out: the d and m that fit those
// levels best, and what is wrong of x then, squared and weighted.
struct starts {
    double d[STARTS], m[STARTS], error[STARTS];
};

// level[n] = the level nearest to (x + m) * inverse. x, w, level [n], any alignment.
typedef void (*round_group_fn)(const struct rounding *r, const float *x, const float *w,
                               float inverse, float m, float *level, struct group_sums *sums);
void round_group_plain(const struct rounding *r, const float *x, const float *w, float inverse,
                       float m, float *level, struct group_sums *sums);
void round_group_avx2(const struct rounding *r, const float *x, const float *w, float inverse,
                      float m, float *level, struct group_sums *sums);
// The eight side by side: one value of x at a time meets all of them.
typedef void (*round_starts_fn)(const struct rounding *r, const struct plain_sums *p,
                                const float *x, const float *w, struct starts *s);
void round_starts_plain(const struct rounding *r, const struct plain_sums *p, const float *x,
                        const float *w, struct starts *s);
void round_starts_avx2(const struct rounding *r, const struct plain_sums *p, const float *x,
                       const float *w, struct starts *s);
// The fastest that this processor has.
round_group_fn round_group_best(void);
round_starts_fn round_starts_best(void);
float round_inverse(double d);  // 1 / d, or 0 where that is none

void sum_group(int n, const float *x, const float *w, struct plain_sums *sums);
