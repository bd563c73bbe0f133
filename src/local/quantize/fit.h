// fit.h - the scales and codes of one block that lose least: the search that all formats share.
//
// What is made small is the sum of weight * (value - as it reads back)^2 over the block. First
// every group gets the scale (and min) that it would like best; then the block's own two numbers
// are chosen so that the groups' whole-numbered scales come near, and groups, block and codes are
// improved in turn until nothing gets better. Deterministic, on every machine the same bits.
// Internal to local/quantize. Threads: pure functions.
#pragma once
#include "local/quantize/format.h"

// x, w [format->block_len]; w > 0, x finite and below 65520. Never fails: what is too small for a
// half is zero.
void fit_block(const struct format *f, const float *x, const float *w, struct block *out);

// The same, but only scales and mins count; the codes are as fit_block leaves them. Codes are then
// chosen one by one with fit_code: the one whose value is nearest to x in group g, and that value.
uint8_t fit_code(const struct format *f, const struct block *b, int group, float x, float *value);
