// timing.h - what the benchmarks share: a clock of the wall or of this process, and the order of
// samples.
#pragma once
#include <stdbool.h>
#include <time.h>

#include "base/clock.h"

static inline double timing_s(bool of_cpu)
{
    struct timespec t;
    if (!of_cpu)
        return clock_s();
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// For qsort: ascending doubles.
static inline int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
