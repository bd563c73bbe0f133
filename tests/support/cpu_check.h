// cpu_check.h - what the tests of the CPU backend share: numbers by chance (the same in every run),
// a backend of one instruction set, comparison with doubles. After <cmocka.h>.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "local/backend/cpu.h"
#include "local/backend/backend.h"
#include "local/kernels/kernels.h"

static inline float draw(void)
{
    static uint64_t seed = 7;
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(seed >> 33) / 1073741824.0 - 1.0);
}

static inline float *draws(size_t n)
{
    float *x = malloc(n * sizeof(float));
    for (size_t i = 0; i < n; i++)
        x[i] = draw();
    return x;
}

static inline struct backend *open_backend(size_t isa, int threads)  // NULL: not on this CPU
{
    struct error err = {0};
    struct backend *b =
        backend_cpu_new(&(struct cpu_options){.threads = threads, .isa = isa_name(isa)}, &err);
    if (!b)
        assert_int_equal(err.code, ERR_UNSUPPORTED);
    return b;
}

static inline void assert_close(const float *got, const double *want, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= tolerance * (1 + fabs(want[i]))))
            fail_msg("at %zu: %g, should be %g", i, (double)got[i], want[i]);
}
