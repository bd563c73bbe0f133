// doubles.h - order among measured numbers. Threads: pure functions.
#pragma once
#include <stddef.h>

void doubles_sort(double *x, size_t n);      // ascending; none may be NaN
double doubles_median(double *x, size_t n);  // of one or more, which it sorts
