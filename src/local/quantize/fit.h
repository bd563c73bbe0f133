// fit.h - the scales and codes of one block that lose least: the search that all formats share.
//
// What is made small is the sum of weight * (value - as it reads back)^2 over the block. First
// every group gets the scale (and min) that it would like best; then the block's own two numbers
// are chosen so that the groups' whole-numbered scales come near, and groups, block and codes are
// improved in turn until nothing gets better. Deterministic, on every machine the same bits.
// Internal to local/quantize. Threads: pure functions.
#pragma once
#include <float.h>
#include <stdbool.h>

#include "local/quantize/format.h"

// x, w [format->block_len]; w > 0, x finite and below 65520. told: w comes from a text and may be
// anything, which more beginnings must answer to. Never fails: what is too small for a half is
// zero.
typedef void (*fit_block_fn)(const struct format *f, const float *x, const float *w, bool told,
                             struct block *out);
void fit_block_plain(const struct format *f, const float *x, const float *w, bool told,
                     struct block *out);
void fit_block_avx2(const struct format *f, const float *x, const float *w, bool told,
                    struct block *out);
fit_block_fn fit_block_best(void);  // the fastest that this processor has; all give the same

// With scales and mins as fit_block left them, codes can be chosen one by one: the one whose value
// is nearest to x in group g, and that value.
uint8_t fit_code(const struct format *f, const struct block *b, int group, float x, float *value);

// 1 / d, or 0 where that is none.
static inline float round_inverse(double d)
{
    float inverse = (float)(1 / d);
    return inverse >= -FLT_MAX && inverse <= FLT_MAX ? inverse : 0;
}
