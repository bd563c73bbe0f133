// test_local_cost.c - what local tokens cost, by hand; and that the parts agree with each other on
// random machines.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "gateway/local_cost.h"

#define USD INT64_C(1000000000000)

// 100 W at $0.20, $876.60 over 1 year (0.10 an hour): 0.12 an hour in all, if idle power is the
// same. 1,000 tokens a second read, 100 written.
static const struct local_machine machine = {.busy_milliwatts = 100000,
                                             .idle_milliwatts = 100000,
                                             .kwh = USD / 5,
                                             .hardware = 876600 * (USD / 1000),
                                             .life_seconds = 31557600};
static const struct local_speed speed = {.read = 1000000, .write = 100000};

static void an_hour_is_power_hardware_and_rent(void **state)
{
    (void)state;
    assert_int_equal(local_hour_fixed(&machine), 12 * USD / 100);
    assert_int_equal(local_hour_more(&machine), 0);
    struct local_machine m = machine;
    m.idle_milliwatts = 25000;
    m.hour = USD;
    assert_int_equal(local_hour_fixed(&m), USD + 10 * USD / 100 + USD / 200);
    assert_int_equal(local_hour_more(&m), 15 * USD / 1000);
    m.life_seconds = 0;  // rented: no hardware
    assert_int_equal(local_hour_fixed(&m), USD + USD / 200);
}

static void tokens_cost_as_long_as_they_take(void **state)
{
    (void)state;
    // A million tokens read take 1,000 s, written 10,000 s.
    struct token_price full = local_price(&machine, &speed, PART);
    assert_int_equal(full.input, 33333333333);
    assert_int_equal(full.output, 333333333333);
    struct token_price twentieth = local_price(&machine, &speed, PART / 20);
    assert_int_equal(twentieth.input, 666666666667);
    assert_int_equal(twentieth.output, 6666666666667);
    // What only work costs does not grow with the hours in between.
    struct local_machine m = {.busy_milliwatts = 100000, .kwh = USD / 5};
    assert_int_equal(local_price(&m, &speed, PART / 20).output,
                     local_price(&m, &speed, PART).output);
}

static void mixtures_and_capacity(void **state)
{
    (void)state;
    struct token_price p = {.input = 2 * USD, .output = 10 * USD};
    assert_int_equal(token_price_mixed(p, PART), 2 * USD);
    assert_int_equal(token_price_mixed(p, 0), 10 * USD);
    assert_int_equal(token_price_mixed(p, 800000), 36 * USD / 10);
    assert_int_equal(local_capacity(&speed, PART), INT64_C(2629800) * 1000);
    // 0.8 read and 0.2 written: 800 + 2,000 s for a million.
    assert_int_equal(local_capacity(&speed, 800000), 939214286);
}

static void the_break_even_is_where_both_cost_the_same(void **state)
{
    (void)state;
    struct token_price vendor = {.input = USD, .output = 5 * USD};  // 1.80 of the mixture
    struct break_even e = local_break_even(&machine, &speed, 800000, vendor);
    assert_true(e.reached);
    assert_int_equal(e.tokens, 48700000);  // 87.66 a month / 1.80
    assert_int_equal(e.utilization, 51852);
    vendor = (struct token_price){.input = USD / 100, .output = USD / 10};
    e = local_break_even(&machine, &speed, 800000,
                         vendor);  // cheaper than this machine at its best
    assert_false(e.reached);
    assert_true(e.tokens > local_capacity(&speed, 800000));
    struct local_machine hot = {.busy_milliwatts = 100000000, .kwh = USD};
    e = local_break_even(&hot, &speed, 800000, vendor);  // every token costs more here
    assert_false(e.reached);
    assert_int_equal(e.tokens, 0);
    struct local_machine free = {0};
    assert_true(local_break_even(&free, &speed, 800000, vendor).reached);
}

static uint64_t random_state;
static int64_t any(int64_t from, int64_t to)
{
    random_state = hash_mix(random_state + 1);
    return from + (int64_t)(random_state % (uint64_t)(to - from + 1));
}

static bool close_to(int64_t a, int64_t b)
{
    int64_t most = a > b ? a : b, apart = a > b ? a - b : b - a;
    return apart <= most / 1000 + 1000000;
}

static void random_machines_agree_with_themselves(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct local_machine m = {.busy_milliwatts = any(0, 1000000),
                                  .idle_milliwatts = any(0, 500000),
                                  .kwh = any(0, USD),
                                  .hardware = any(0, 10000) * USD,
                                  .life_seconds = any(1, 10) * 31557600,
                                  .hour = any(0, 5 * USD)};
        struct local_speed s = {.read = any(1000, 100000000), .write = any(1000, 10000000)};
        int64_t part = any(0, PART), u = any(PART / 100, PART);
        int64_t capacity = local_capacity(&s, part),
                n = (int64_t)((double)capacity * (double)u / PART);
        // A month's bill is its tokens at the price of their utilization.
        int64_t by_price =
            (int64_t)((double)token_price_mixed(local_price(&m, &s, u), part) * (double)n / 1e6);
        assert_true(close_to(local_month(&m, &s, part, n), by_price));
        struct token_price vendor = {.input = any(0, 20 * USD), .output = any(0, 90 * USD)};
        struct break_even e = local_break_even(&m, &s, part, vendor);
        int64_t theirs =
            (int64_t)((double)token_price_mixed(vendor, part) * (double)e.tokens / 1e6);
        if (e.reached)
            assert_true(close_to(local_month(&m, &s, part, e.tokens), theirs) &&
                        e.utilization <= PART);
    }
}

static void nothing_overflows(void **state)
{
    (void)state;
    struct local_machine m = {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, 1, INT64_MAX};
    struct local_speed s = {1, 1}, fast = {INT64_MAX, INT64_MAX};
    assert_int_equal(local_hour_fixed(&m), INT64_MAX);
    assert_int_equal(local_price(&m, &s, 1).output, INT64_MAX);
    assert_int_equal(local_month(&m, &s, 0, INT64_MAX), INT64_MAX);
    assert_true(local_capacity(&fast, PART / 2) > 0);
    struct token_price vendor = {INT64_MAX, INT64_MAX};
    assert_true(local_break_even(&m, &fast, PART / 2, vendor).tokens >= 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_hour_is_power_hardware_and_rent),
    cmocka_unit_test(tokens_cost_as_long_as_they_take),
    cmocka_unit_test(mixtures_and_capacity),
    cmocka_unit_test(the_break_even_is_where_both_cost_the_same),
    cmocka_unit_test(random_machines_agree_with_themselves),
    cmocka_unit_test(nothing_overflows),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
