// linear.c - the arithmetic in plain C, and which instruction set's is taken.
#define LINEAR linear_plain
#include "local/quantize/linear.inc"

const struct linear *linear_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        return &linear_avx2;
#endif
    return &linear_plain;
}
