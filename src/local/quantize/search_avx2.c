// search_avx2.c - the search for scales, eight numbers in one register.
#if defined(__AVX2__)
#define FIT_BLOCK fit_block_avx2
#include "local/quantize/search.inc"
#else
typedef int no_avx2;
#endif
