// test_breaker.c - when an endpoint is asked, and the heap of times, with clocks of our own.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hash.h"
#include "net/breaker.h"
#include "net/timers.h"

enum { REST = 1000 };

static struct breaker failing(int n)
{
    return (struct breaker){.failures_max = n, .rest_ns = REST, .seed = 7};
}

// Opens it at a time.
static void fail_often(struct breaker *b, int n, int64_t now)
{
    for (int i = 0; i < n; i++) {
        enum breaker_pass pass = breaker_ask(b, now);
        assert_int_equal(pass, BREAKER_YES);
        breaker_ended(b, pass, BREAKER_FAILED, now);
    }
}

static void failures_in_a_row_open_it(void **state)
{
    struct breaker b = failing(3);
    (void)state;
    fail_often(&b, 2, 0);
    breaker_ended(&b, breaker_ask(&b, 0), BREAKER_WORKS, 0);
    fail_often(&b, 2, 0);
    breaker_ended(&b, breaker_ask(&b, 0), BREAKER_UNKNOWN, 0);
    assert_false(breaker_rests(&b, 0));
    fail_often(&b, 1, 0);
    assert_true(breaker_rests(&b, 0));
    assert_int_equal(breaker_ask(&b, REST - 1), BREAKER_NO);
    assert_true(breaker_left_ns(&b, 0) >= REST && breaker_left_ns(&b, 0) <= REST + REST / 4);
}

static void one_probe_at_a_time_closes_it(void **state)
{
    struct breaker b = failing(1);
    int64_t later = 2 * REST;
    (void)state;
    fail_often(&b, 1, 0);
    assert_int_equal(breaker_ask(&b, later), BREAKER_PROBE);
    assert_int_equal(breaker_ask(&b, later), BREAKER_NO);
    assert_true(breaker_rests(&b, later));
    breaker_ended(&b, BREAKER_PROBE, BREAKER_UNKNOWN, later);
    assert_int_equal(breaker_ask(&b, later), BREAKER_PROBE);
    breaker_ended(&b, BREAKER_YES, BREAKER_WORKS, later);  // asked before it opened
    assert_int_equal(breaker_ask(&b, later), BREAKER_NO);
    breaker_ended(&b, BREAKER_PROBE, BREAKER_WORKS, later);
    assert_int_equal(breaker_ask(&b, later), BREAKER_YES);
    assert_int_equal(breaker_ask(&b, later), BREAKER_YES);
    assert_int_equal(breaker_left_ns(&b, later), 0);
}

static void rests_double_up_to_eight_times(void **state)
{
    struct breaker b = failing(1);
    int64_t now = 0, rest = REST;
    (void)state;
    fail_often(&b, 1, now);
    for (int i = 0; i < 6; i++) {
        int64_t left = breaker_left_ns(&b, now);
        assert_true(left >= rest && left <= rest + rest / 4);
        now += left;
        assert_int_equal(breaker_ask(&b, now - 1), BREAKER_NO);
        assert_int_equal(breaker_ask(&b, now), BREAKER_PROBE);
        breaker_ended(&b, BREAKER_PROBE, BREAKER_FAILED, now);
        rest = rest < 8 * REST ? rest * 2 : rest;
    }
    now += breaker_left_ns(&b, now);
    breaker_ended(&b, breaker_ask(&b, now), BREAKER_WORKS, now);
    fail_often(&b, 1, now);
    assert_true(breaker_left_ns(&b, now) <= REST + REST / 4);
}

static void seeds_part_clients(void **state)
{
    int n_other = 0;
    (void)state;
    struct breaker one = failing(1);
    fail_often(&one, 1, 0);
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct breaker b = failing(1);
        b.seed = seed;
        fail_often(&b, 1, 0);
        n_other += breaker_left_ns(&b, 0) != breaker_left_ns(&one, 0);
    }
    assert_true(n_other > 40);
}

static void timers_come_in_order_whatever_was_set_and_unset(void **state)
{
    enum { N = 200 };
    static struct timer t[N];
    struct timers all = {0};
    int64_t last = -1;
    size_t n = 0;
    (void)state;
    for (uint64_t i = 0; i < 4000; i++) {
        uint64_t r = hash_mix(i);
        if (r % 3)
            timers_set(&all, &t[r / 8 % N], (int64_t)(r >> 40));
        else
            timers_unset(&all, &t[r / 8 % N]);
    }
    for (size_t i = 0; i < N; i++)
        n += t[i].place != 0;
    assert_int_equal(n, all.n);
    for (struct timer *first; (first = timers_first(&all)) != NULL; n--) {
        assert_true(first->at_ns >= last);
        last = first->at_ns;
        timers_unset(&all, first);
        assert_int_equal(first->place, 0);
    }
    assert_int_equal(n, 0);
    timers_release(&all);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_in_a_row_open_it),
        cmocka_unit_test(one_probe_at_a_time_closes_it),
        cmocka_unit_test(rests_double_up_to_eight_times),
        cmocka_unit_test(seeds_part_clients),
        cmocka_unit_test(timers_come_in_order_whatever_was_set_and_unset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
