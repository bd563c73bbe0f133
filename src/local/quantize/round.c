// round.c - rounding of groups in plain C, and which instruction set's is taken.
#include <math.h>

#define ROUND_GROUP round_group_plain
#define ROUND_STARTS round_starts_plain
#include "local/quantize/round.inc"

float round_inverse(double d)
{
    float id = d != 0 ? (float)(1 / d) : 0;
    return isfinite(id) ? id : 0;
}

void sum_group(int n, const float *x, const float *w, struct plain_sums *sums)
{
    *sums = (struct plain_sums){0};
    for (int i = 0; i < n; i++) {
        double product = (double)w[i] * (double)x[i];
        sums->w += (double)w[i];
        sums->wx += product;
        sums->wxx += product * (double)x[i];
    }
}

round_group_fn round_group_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        return round_group_avx2;
#endif
    return round_group_plain;
}

round_starts_fn round_starts_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        return round_starts_avx2;
#endif
    return round_starts_plain;
}
