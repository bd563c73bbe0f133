// test_decimal.c - decimals to whole counts, exactly; numbers of JSON as they were written; and
// where Hearth's own files are.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/decimal.h"
#include "base/error.h"
#include "base/json.h"
#include "base/places.h"

static void is(const char *text, int scale, int64_t value, bool exact)
{
    int64_t got = 77;
    bool whole = !exact;
    assert_true(decimal_scaled(slice_str(text), scale, &got, &whole));
    assert_int_equal(got, value);
    assert_int_equal(whole, exact);
}

static void decimals_are_scaled_without_a_float(void **state)
{
    (void)state;
    is("2.5", 6, 2500000, true);
    is("1.5e-07", 12, 150000, true);
    is("0.00000015", 12, 150000, true);
    is("3.625E-9", 12, 3625, true);
    is("12e+2", 0, 1200, true);
    is("0", 12, 0, true);
    is("-0.0e99999999999", 12, 0, true);
    is("-12.5", 1, -125, true);
    is("0.1", 0, 0, false);
    is("9007199254740993", 0, 9007199254740993, true);  // no double is this
    is("0.9007199254740993", 16, 9007199254740993, true);
    is("9223372036854775807", 0, INT64_MAX, true);
    is("-9223372036854775808", 0, INT64_MIN, true);
    is("0.000000000000000000009223372036854775807", 39, INT64_MAX, true);
}

static void what_is_finer_is_rounded_half_away_from_zero(void **state)
{
    (void)state;
    is("1.5000000000000002e-07", 12, 150000, false);
    is("0.5", 0, 1, false);
    is("0.4999999999999999999999", 0, 0, false);
    is("-0.5", 0, -1, false);
    is("1.49", 0, 1, false);
    is("0.05", 0, 0, false);
    is("9e-300000000000", 12, 0, false);
    is("9223372036854775806.5", 0, INT64_MAX, false);
}

static void what_is_no_number_or_too_large_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "01",
                                      ".5",
                                      "5.",
                                      "1e",
                                      "1e+",
                                      "0x1",
                                      "1.2.3",
                                      "nan",
                                      "--1",
                                      "1,5",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "1e19",
                                      "1e999999999999999999",
                                      "9223372036854775807.5",
                                      "1\n"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t value = 77;
        assert_false(decimal_scaled(slice_str(bad[i]), 0, &value, NULL));
        assert_int_equal(value, 77);
    }
}

static void json_numbers_are_kept_as_they_were_written(void **state)
{
    struct error err = {0};
    struct slice text;
    (void)state;
    json_t *v = json_parse_exact(
        slice_str("{\"a\\\"1\": [1.50000000000000000001, -2e-7,\"3\", \"\\\\\"], \"n\": 12}"),
        &err);
    assert_non_null(v);
    const json_t *list = json_object_get(v, "a\"1");
    assert_true(json_number_text(json_array_get(list, 0), &text));
    assert_true(slice_is(text, "1.50000000000000000001"));
    assert_true(json_number_text(json_array_get(list, 1), &text));
    assert_true(slice_is(text, "-2e-7"));
    assert_false(json_number_text(json_array_get(list, 2), &text));
    assert_string_equal(json_string_value(json_array_get(list, 3)), "\\");
    assert_true(json_number_text(json_object_get(v, "n"), &text));
    assert_true(slice_is(text, "12"));
    assert_false(json_number_text(NULL, &text));
    json_decref(v);
    assert_null(json_parse_exact(slice_str("{1: 2}"), &err));
    assert_non_null(strstr(err.text, "line 1, column 2"));
}

static void hearths_files_are_where_the_environment_says(void **state)
{
    char path[PLACE_BYTES];
    struct error err = {0};
    (void)state;
    setenv("HEARTH_HOME", "/h", 1);
    setenv("XDG_DATA_HOME", "/x", 1);
    setenv("HOME", "/u", 1);
    assert_true(place_data("prices.json", path, &err));
    assert_string_equal(path, "/h/prices.json");
    unsetenv("HEARTH_HOME");
    assert_true(place_data("prices.json", path, &err));
    assert_string_equal(path, "/x/hearth/prices.json");
    setenv("XDG_DATA_HOME", "relative", 1);
    assert_true(place_data("prices.json", path, &err));
    assert_string_equal(path, "/u/.local/share/hearth/prices.json");
    unsetenv("HOME");
    assert_false(place_data("prices.json", path, &err));
    assert_true(place_shipped("prices.json", path));  // of the build tree
    assert_false(place_shipped("no such file", path));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(decimals_are_scaled_without_a_float),
    cmocka_unit_test(what_is_finer_is_rounded_half_away_from_zero),
    cmocka_unit_test(what_is_no_number_or_too_large_is_refused),
    cmocka_unit_test(json_numbers_are_kept_as_they_were_written),
    cmocka_unit_test(hearths_files_are_where_the_environment_says),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
