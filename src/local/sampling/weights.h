// weights.h - exp of many distances at once: the weights that logits have in a draw. Internal to
// sampling.
//
// Four lanes of whatever vectors the machine has; the same bits on every instruction set, because
// the order of operations is written out. exp(x) is good to two units in the last place for
// -87 <= x <= 0 and zero below (Cody and Waite's reduction to |r| <= ln 2 / 2, then Taylor's
// polynomial of degree 6, whose next term is below 1.2e-7).
#pragma once
#include <stdint.h>
#include <string.h>

typedef float floats __attribute__((vector_size(16)));
typedef int32_t masks __attribute__((vector_size(16)));

enum {
    WEIGHT_LANES = 4,
    WEIGHT_BLOCK = 64,  // weights that are summed in floats before the sum goes into a double
};

static inline floats floats_load(const float *p)
{
    floats x;
    memcpy(&x, p, sizeof x);
    return x;
}

static inline floats floats_of(float x)
{
    return (floats){x, x, x, x};
}

static inline floats floats_choose(masks where, floats a, floats b)
{
    return (floats)((where & (masks)a) | (~where & (masks)b));
}

// x <= 0, also -infinity.
static inline floats exp_lanes(floats x)
{
    const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
    masks none = x < -87.0f;
    x = floats_choose(none, floats_of(-87.0f), x);
    floats whole = x * 1.44269504f + magic;
    masks exponent = (masks)whole - (masks)floats_of(magic);
    whole -= magic;
    floats r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
    floats p = floats_of(1.0f / 720);
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return floats_choose(none, floats_of(0), p * (floats)((exponent + 127) << 23));
}

// w[i] = exp((logits[i] - max) / t) for i < n <= WEIGHT_BLOCK; their sum. No logit is above max.
static inline double weights_of(const float *logits, int n, float max, float t,
                                float w[WEIGHT_BLOCK])
{
    floats sum = {0, 0, 0, 0};
    int i = 0;
    for (; i + WEIGHT_LANES <= n; i += WEIGHT_LANES) {
        floats x = exp_lanes((floats_load(logits + i) - max) / t);
        memcpy(w + i, &x, sizeof x);
        sum += x;
    }
    for (; i < n; i++) {
        floats x = exp_lanes(floats_of((logits[i] - max) / t));
        w[i] = x[0];
        sum[0] += x[0];
    }
    return (double)((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

// The sum of exp((logits[i] - max) / t) over all n.
double weights_sum(const float *logits, int n, float max, float t);
