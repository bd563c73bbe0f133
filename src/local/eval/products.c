// products.c - sums of products in plain C, and which instruction set's are taken.
#define ADD_PRODUCTS add_products_plain
#include "local/eval/products.inc"

void products_panel(float *panels, const float *x, size_t n, size_t n_rows, size_t panel)
{
    size_t first = panel * PANEL_COLS, cols = n - first < PANEL_COLS ? n - first : PANEL_COLS;
    float *to = panels + panel * n_rows * PANEL_COLS;
    memset(to, 0, n_rows * PANEL_COLS * sizeof *to);
    for (size_t r = 0; r < n_rows; r++)
        memcpy(to + r * PANEL_COLS, x + r * n + first, cols * sizeof *to);
}

add_products_fn add_products_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        return add_products_avx2;
#endif
    return add_products_plain;
}
