// score.c - the loops over a row of logits in plain C, and which instruction set's are taken.
#define SCORE_KERNELS score_plain
#include "local/eval/score.inc"

const struct score_kernels *score_kernels_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        return &score_avx2;
#endif
    return &score_plain;
}
