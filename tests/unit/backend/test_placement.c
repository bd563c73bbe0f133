// test_placement.c - layers on imaginary machines: what goes where, and what does not fit.
//
// The rule is checked against all ways to cut small models into runs, on random machines.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "local/backend/placement.h"

enum { MB = 1000 * 1000, GB = 1000 * MB };
static const double GB_per_s = 1e9;

static void fill(struct placement_layer *layers, int n, uint64_t weights, uint64_t kv)
{
    for (int i = 0; i < n; i++)
        layers[i] = (struct placement_layer){weights, kv, weights};
}

static bool is_near(double x, double want)
{
    return x > want * .999 && x < want * 1.001;
}

static void one_device_holds_all_or_nothing(void **state)
{
    (void)state;
    struct placement_layer layers[10];
    struct placement_device cpu = {.free_bytes = 1200 * MB, .bytes_per_s = 20 * GB_per_s};
    int on[10];
    fill(layers, 10, 100 * MB, 10 * MB);
    assert_true(placement_make(layers, 10, 100 * MB, &cpu, 1, on));
    for (int i = 0; i < 10; i++)
        assert_int_equal(on[i], 0);
    assert_true(is_near(placement_seconds(layers, 10, &cpu, on), 1.0 / 20));
    assert_false(placement_make(layers, 10, 101 * MB, &cpu, 1, on));
    assert_false(placement_make(layers, 10, 0, &cpu, 0, on));
    cpu.free_bytes = 50 * MB;  // less than scratch alone
    assert_false(placement_make(layers, 10, 100 * MB, &cpu, 1, on));
    assert_true(placement_make(layers, 0, 100 * MB, &cpu, 1, on));
}

static void the_fastest_memory_is_filled_first(void **state)
{
    (void)state;
    struct placement_layer layers[40];
    struct placement_device machine[] = {
        {.free_bytes = 64ull * GB, .bytes_per_s = 50 * GB_per_s},   // the CPU
        {.free_bytes = 2ull * GB, .bytes_per_s = 900 * GB_per_s},   // a small fast GPU
        {.free_bytes = 4ull * GB, .bytes_per_s = 2000 * GB_per_s},  // a larger faster one
    };
    int on[40];
    fill(layers, 40, 180 * MB, 20 * MB);
    assert_true(placement_make(layers, 40, 200 * MB, machine, 3, on));
    for (int i = 0; i < 40; i++)  // 19 in (4 - 0.2) / 0.2, 9 in (2 - 0.2) / 0.2, the rest
        assert_int_equal(on[i], i < 19 ? 2 : i < 28 ? 1 : 0);
    double want = 19 * .18 / 2000 + 9 * .18 / 900 + 12 * .18 / 50;
    assert_true(is_near(placement_seconds(layers, 40, machine, on), want));
}

static void an_unknown_speed_is_last_and_leaves_time_unknown(void **state)
{
    (void)state;
    struct placement_layer layers[4];
    struct placement_device machine[] = {{.free_bytes = 4ull * GB},
                                         {.free_bytes = 1ull * GB, .bytes_per_s = GB_per_s}};
    int on[4];
    fill(layers, 4, 400 * MB, 0);
    assert_true(placement_make(layers, 4, 0, machine, 2, on));
    assert_int_equal(on[1], 1);
    assert_int_equal(on[2], 0);
    assert_true(placement_seconds(layers, 4, machine, on) == 0);
}

static void a_device_too_small_for_a_layer_is_passed_over(void **state)
{
    (void)state;
    struct placement_layer layers[3];
    struct placement_device machine[] = {{.free_bytes = 300 * MB, .bytes_per_s = 9 * GB_per_s},
                                         {.free_bytes = 3ull * GB, .bytes_per_s = GB_per_s}};
    int on[3];
    fill(layers, 3, 400 * MB, 0);
    assert_true(placement_make(layers, 3, 10 * MB, machine, 2, on));
    for (int i = 0; i < 3; i++)
        assert_int_equal(on[i], 1);
}

static void bytes_that_overflow_do_not_fit(void **state)
{
    (void)state;
    struct placement_layer layer = {UINT64_MAX - 1, 3, 1};
    struct placement_device huge = {.free_bytes = UINT64_MAX};
    int on;
    assert_false(placement_make(&layer, 1, 0, &huge, 1, &on));
}

static void a_mixture_reads_less_than_it_holds(void **state)
{
    (void)state;
    struct placement_layer layers[2] = {{800 * MB, 0, 100 * MB}, {800 * MB, 0, 100 * MB}};
    struct placement_device cpu = {.free_bytes = 2ull * GB, .bytes_per_s = GB_per_s};
    int on[2];
    assert_true(placement_make(layers, 2, 0, &cpu, 1, on));
    assert_true(is_near(placement_seconds(layers, 2, &cpu, on), .2));
}

// Whether some cut of the layers into runs, devices in the order given, fits.
static bool can(const struct placement_layer *layers, int n, const struct placement_device *d,
                int n_devices)
{
    if (n == 0)
        return true;
    if (n_devices == 0)
        return false;
    uint64_t sum = 0;
    for (int take = 0; take <= n; take++) {
        if (sum <= d->free_bytes && can(layers + take, n - take, d + 1, n_devices - 1))
            return true;
        if (take < n)
            sum += layers[take].weights_bytes;
    }
    return false;
}

static void it_fits_if_any_cut_into_runs_does(void **state)
{
    (void)state;
    uint32_t seed = 1;
    int n_fits = 0;
    for (int round = 0; round < 2000; round++) {
        struct placement_layer layers[6];
        struct placement_device machine[3];
        int on[6];
        for (int i = 0; i < 6; i++) {
            seed = seed * 1664525 + 1013904223;
            layers[i] = (struct placement_layer){.weights_bytes = seed >> 28};
        }
        for (int i = 0; i < 3; i++) {
            seed = seed * 1664525 + 1013904223;
            machine[i] = (struct placement_device){.free_bytes = seed >> 27, .bytes_per_s = 3 - i};
        }
        bool fits = placement_make(layers, 6, 0, machine, 3, on);
        assert_int_equal(fits, can(layers, 6, machine, 3));
        n_fits += fits;
        uint64_t used[3] = {0};
        for (int i = 0; fits && i < 6; i++) {
            used[on[i]] += layers[i].weights_bytes;
            assert_true(used[on[i]] <= machine[on[i]].free_bytes);
            assert_true(i == 0 || on[i] >= on[i - 1]);
        }
    }
    assert_in_range(n_fits, 200, 1900);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(one_device_holds_all_or_nothing),
    cmocka_unit_test(the_fastest_memory_is_filled_first),
    cmocka_unit_test(an_unknown_speed_is_last_and_leaves_time_unknown),
    cmocka_unit_test(a_device_too_small_for_a_layer_is_passed_over),
    cmocka_unit_test(bytes_that_overflow_do_not_fit),
    cmocka_unit_test(a_mixture_reads_less_than_it_holds),
    cmocka_unit_test(it_fits_if_any_cut_into_runs_does),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
