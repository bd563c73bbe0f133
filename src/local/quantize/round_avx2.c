// round_avx2.c - rounding of groups, eight values in one register.
#if defined(__AVX2__)
#define ROUND_GROUP round_group_avx2
#define ROUND_STARTS round_starts_avx2
#include "local/quantize/round.inc"
#else
typedef int no_avx2;
#endif
