#include "base/doubles.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

void doubles_sort(double *x, size_t n)
{
    qsort(x, n, sizeof *x, compare);
}

double doubles_median(double *x, size_t n)
{
    doubles_sort(x, n);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}
