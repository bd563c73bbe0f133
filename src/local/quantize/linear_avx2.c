// linear_avx2.c - the arithmetic with vectors of 32 bytes in one register.
#if defined(__AVX2__)
#define LINEAR linear_avx2
#include "local/quantize/linear.inc"
#else
typedef int no_avx2;
#endif
