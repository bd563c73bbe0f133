// test_money.c - dollars and dates as text: exact, both ways, and refused where they are none.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/hash.h"
#include "ledger/money.h"

static void assert_money(const char *text, int64_t want)
{
    int64_t got = -7;
    struct error err = {0};
    assert_true(money_parse(slice_str(text), &got, &err));
    assert_true(got == want);
}

static void dollars_are_read_exactly(void **state)
{
    (void)state;
    assert_money("12.50", INT64_C(12500000000000));
    assert_money("0", 0);
    assert_money("0.1", INT64_C(100000000000));
    assert_money("0.000000000001", 1);
    assert_money("4000000", MONEY_MAX);
    assert_money("3999999.999999999999", MONEY_MAX - 1);
}

static void what_is_no_amount_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "-1",
                                        "1e3",
                                        "1.",
                                        ".5",
                                        "1,5",
                                        "12 ",
                                        " 12",
                                        "$5",
                                        "nan",
                                        "0x1",
                                        "4000000.000000000001",
                                        "4000001",
                                        "99999999999999999999",
                                        "1.0000000000001",
                                        "1.2.3"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t got = -7;
        struct error err = {0};
        assert_false(money_parse(slice_str(wrong[i]), &got, &err));
        assert_int_equal(err.code, ERR_USAGE);
        assert_true(got == -7);
    }
}

static void money_is_written_exactly(void **state)
{
    (void)state;
    char out[MONEY_TEXT_BYTES];
    assert_string_equal(money_text(INT64_C(12500000000000), out), "12.5");
    assert_string_equal(money_text(1, out), "0.000000000001");
    assert_string_equal(money_text(0, out), "0");
    assert_string_equal(money_text(-3 * PICO_PER_USD, out), "-3");
    assert_string_equal(money_text(INT64_MIN, out), "-9223372.036854775808");
    assert_string_equal(money_shown(INT64_C(12500000000000), out), "12.50");
    assert_string_equal(money_shown(INT64_C(123456000000), out), "0.123456");
}

static void money_survives_its_text(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 20000; i++) {
        char out[MONEY_TEXT_BYTES];
        int64_t n = (int64_t)(hash_mix(i) >> (i % 60)) % (MONEY_MAX + 1);
        n = n < 0 ? -n : n;
        assert_money(money_text(n, out), n);
        assert_money(money_shown(n, out), n);
    }
}

static void days_and_months_are_the_calendars(void **state)
{
    (void)state;
    char out[DATE_TEXT_BYTES];
    assert_string_equal(day_text(0, out), "1970-01-01");
    assert_string_equal(day_text(day_of(951782400), out), "2000-02-29");
    assert_string_equal(time_text(1795700000, out), "2026-11-26 13:33");
    assert_true(day_of(-1) == -1 && day_of(86399) == 0 && day_of(86400) == 1);
    for (int64_t day = 0; day < 60000; day++) {
        int64_t first = month_begins(month_of(day)), next = month_begins(month_of(day) + 1);
        assert_true(first <= day && day < next && next - first >= 28 && next - first <= 31);
    }
}

static void dates_are_read_from_calendar_or_now(void **state)
{
    (void)state;
    int64_t at;
    struct error err = {0};
    assert_true(date_parse(slice_str("2026-12-31"), 0, 1, &at, &err) && at == 1798675200);
    assert_true(date_parse(slice_str("30d"), 1000, 1, &at, &err) && at == 1000 + 30 * 86400);
    assert_true(date_parse(slice_str("2w"), 9000000, -1, &at, &err) && at == 9000000 - 14 * 86400);
    assert_true(date_parse(slice_str("999999w"), 5, -1, &at, &err) && at == 0);
    static const char *const wrong[] = {
        "",    "2026-02-30", "2026-13-01",  "2026-1-1", "30",       "d",         "30x",
        "-3d", "1969-12-31", "2026-12-31 ", "9999999d", "tomorrow", "2026/12/31"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(date_parse(slice_str(wrong[i]), 1000, 1, &at, &err));
        assert_int_equal(err.code, ERR_USAGE);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(dollars_are_read_exactly),
        cmocka_unit_test(what_is_no_amount_is_refused),
        cmocka_unit_test(money_is_written_exactly),
        cmocka_unit_test(money_survives_its_text),
        cmocka_unit_test(days_and_months_are_the_calendars),
        cmocka_unit_test(dates_are_read_from_calendar_or_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
