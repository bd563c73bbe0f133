// round.c - rounding of groups in plain C, and which instruction set's is taken.
#define ROUND_GROUP round_group_plain
#include "local/quantize/round.inc"

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
