// test_retry.c - how long to wait, and the header fields that decide about it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/http.h"
#include "net/http_head.h"
#include "net/retry.h"

static void waits_grow_and_are_bounded(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        int64_t longest = 500;
        for (int n = 1; n < 40; n++) {
            int64_t ms = retry_wait_ms(n, -1, seed);
            assert_true(ms > longest / 2 - 1 && ms <= longest);
            longest = longest * 2 > 30000 ? 30000 : longest * 2;
        }
    }
}

static void clients_do_not_return_at_once(void **state)
{
    int n_other = 0;
    (void)state;
    for (uint64_t seed = 1; seed < 50; seed++)
        n_other += retry_wait_ms(3, -1, seed) != retry_wait_ms(3, -1, 0);
    assert_true(n_other > 40);
}

static void what_the_server_asks_is_the_least_up_to_a_bound(void **state)
{
    (void)state;
    assert_int_equal(retry_wait_ms(1, 7, 1), 7000);
    assert_int_equal(retry_wait_ms(1, 1000000000, 1), RETRY_AFTER_MAX_S * 1000);
    assert_true(retry_wait_ms(9, 1, 1) > 10000);
}

static void only_what_may_pass_is_tried_again(void **state)
{
    static const int later[] = {408, 425, 429, 500, 502, 503, 504, 520, 529};
    static const int never[] = {200, 301, 400, 401, 403, 404, 410, 416, 501, 505, 600, 0, -1};
    (void)state;
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
        assert_true(retry_status(later[i]));
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        assert_false(retry_status(never[i]));
}

static void retry_after_is_seconds_or_a_date(void **state)
{
    (void)state;
    assert_int_equal(http_head_retry_after("120", 0), 120);
    assert_int_equal(http_head_retry_after("Thu, 01 Jan 1970 00:01:40 GMT", 40), 60);
    assert_int_equal(http_head_retry_after("Thu, 01 Jan 1970 00:00:10 GMT", 40), 0);
    assert_int_equal(http_head_retry_after("soon", 0), -1);
    assert_int_equal(http_head_retry_after("-5", 0), -1);
    assert_int_equal(http_head_retry_after("", 0), -1);
    assert_int_equal(http_head_retry_after("99999999999999999999999", 0), -1);
}

static void content_ranges_that_make_no_sense_are_none(void **state)
{
    static const char *const bad[] = {"",
                                      "bytes",
                                      "bytes */10",
                                      "bytes 5-4/10",
                                      "bytes 0-10/10",
                                      "bytes 0-9/10x",
                                      "bytes -1-9/10",
                                      "bytes 0-9",
                                      "bytes 0-99999999999999999999/*",
                                      "items 0-9/10",
                                      "bytes 0 - 9/10"};
    struct http_head head = {.total = -1};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(http_head_range(&head, bad[i]));
        assert_false(head.has_range);
    }
    assert_true(http_head_range(&head, "bytes 10-19/100"));
    assert_true(head.first == 10 && head.last == 19 && head.total == 100);
    assert_true(http_head_range(&head, "Bytes 0-0/*"));
    assert_true(head.first == 0 && head.last == 0 && head.total == -1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_grow_and_are_bounded),
        cmocka_unit_test(clients_do_not_return_at_once),
        cmocka_unit_test(what_the_server_asks_is_the_least_up_to_a_bound),
        cmocka_unit_test(only_what_may_pass_is_tried_again),
        cmocka_unit_test(retry_after_is_seconds_or_a_date),
        cmocka_unit_test(content_ranges_that_make_no_sense_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
