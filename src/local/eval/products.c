// products.c - sums of products in plain C, and which instruction set's are taken.
#define ADD_PRODUCTS add_products_plain
#include "local/eval/products.inc"

add_products_fn add_products_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        return add_products_avx2;
#endif
    return add_products_plain;
}
