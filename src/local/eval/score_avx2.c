// score_avx2.c - the loops over a row of logits, eight values in one register.
#if defined(__AVX2__)
#define SCORE_KERNELS score_avx2
#include "local/eval/score.inc"
#else
typedef int no_avx2;
#endif
