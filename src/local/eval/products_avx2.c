// products_avx2.c - sums of products, eight values in one register.
#if defined(__AVX2__)
#define ADD_PRODUCTS add_products_avx2
#include "local/eval/products.inc"
#else
typedef int no_avx2;
#endif
