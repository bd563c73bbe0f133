// test_admission.c - the queue's bound, and when to come back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "local/engine/admission.h"

static const int64_t SECOND = 1000000000;

static void a_full_queue_says_when_to_come_back(void **state)
{
    (void)state;
    struct admission a;
    struct error err = {0};
    admission_init(&a, 10, 4);
    for (int i = 0; i < 10; i++)
        assert_true(admission_enter(&a, 100 * SECOND, &err));
    // Nothing has started in 6 s: the next will take that long at least, and half of ten are five.
    assert_false(admission_enter(&a, 106 * SECOND, &err));
    assert_int_equal(err.code, ERR_BUSY);
    assert_int_equal(err.retry_after_s, 30);
    assert_non_null(strstr(err.text, "10 requests are waiting"));
    assert_int_equal(a.refused, 1);
    // Four start at once; then one every 2 s.
    admission_start(&a, 4, 106 * SECOND);
    for (int i = 0; i < 100; i++) {
        admission_start(&a, 1, (108 + 2 * i) * SECOND);
        assert_true(admission_enter(&a, (108 + 2 * i) * SECOND, &err));
        admission_leave(&a, false);
    }
    int64_t now = (106 + 200) * SECOND;
    assert_int_equal(a.n_waiting, 6);
    assert_in_range(admission_retry_after(&a, now), 6, 7);
    assert_false(admission_enter(&a, now, NULL) && admission_enter(&a, now, NULL) &&
                 admission_enter(&a, now, NULL) && admission_enter(&a, now, NULL) &&
                 admission_enter(&a, now, NULL));
}

static void seconds_have_bounds(void **state)
{
    (void)state;
    struct admission a;
    admission_init(&a, 1000, 4);
    assert_int_equal(admission_retry_after(&a, 5 * SECOND), 1);
    for (int i = 0; i < 1000; i++)
        assert_true(admission_enter(&a, 5 * SECOND, NULL));
    assert_int_equal(admission_retry_after(&a, 5 * SECOND), 1);
    assert_int_equal(admission_retry_after(&a, 5000 * SECOND), 600);
}

static void an_idle_hour_is_no_wait(void **state)
{
    (void)state;
    struct admission a;
    struct error err;
    admission_init(&a, 2, 4);
    assert_true(admission_enter(&a, 3600 * SECOND, &err));
    admission_start(&a, 1, 3600 * SECOND + 1000);
    admission_leave(&a, false);
    assert_true(admission_enter(&a, 7200 * SECOND, &err));
    assert_true(admission_enter(&a, 7200 * SECOND, &err));
    assert_false(admission_enter(&a, 7200 * SECOND, &err));
    assert_int_equal(err.retry_after_s, 1);
}

// Those that have begun and are put aside, as nobody reads them, are bounded too.
static void jobs_that_have_begun_count(void **state)
{
    (void)state;
    struct admission a;
    struct error err;
    admission_init(&a, 3, 4);
    for (int i = 0; i < 10; i++) {
        assert_true(admission_enter(&a, SECOND, &err));
        admission_start(&a, 1, SECOND);
    }
    assert_false(admission_enter(&a, SECOND, &err));
    assert_int_equal(err.code, ERR_BUSY);
    admission_leave(&a, false);
    assert_true(admission_enter(&a, SECOND, &err));
    admission_leave(&a, true);
    assert_int_equal(a.n_waiting, 0);
    assert_int_equal(a.n_jobs, 9);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_says_when_to_come_back),
        cmocka_unit_test(seconds_have_bounds),
        cmocka_unit_test(an_idle_hour_is_no_wait),
        cmocka_unit_test(jobs_that_have_begun_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
