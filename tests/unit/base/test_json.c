// test_json.c - what our JSON must do beyond the library's: odd numbers, NUL, order, shortest
// doubles.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"

static void same_text(const char *in, const char *out, enum json_style style)
{
    struct buf b = {0};
    struct error err = {0};
    json_t *v = json_parse(slice_str(in), &err);
    assert_non_null(v);
    json_write(&b, v, style);
    assert_string_equal(buf_text(&b), out);
    json_decref(v);
    buf_release(&b);
}

static void any_top_value_and_member_order_are_kept(void **state)
{
    (void)state;
    same_text("\"x\"", "\"x\"", JSON_STYLE_COMPACT);
    same_text("{\"z\":1, \"a\":[true,null,{}], \"m\":\"\\u00e9/\"}",
              "{\"z\":1,\"a\":[true,null,{}],\"m\":\"é/\"}", JSON_STYLE_COMPACT);
    same_text("{\"z\":1,\"a\":[1,2]}", "{\"z\": 1, \"a\": [1, 2]}", JSON_STYLE_SPACED);
    same_text("{\"z\":[1],\"e\":[]}", "{\n  \"z\": [\n    1\n  ],\n  \"e\": []\n}",
              JSON_STYLE_INDENTED);
    same_text("\"a\\u0000b\\u001f\\\"\"", "\"a\\u0000b\\u001f\\\"\"", JSON_STYLE_COMPACT);
}

static void integers_beyond_64_bits_are_read_as_doubles(void **state)
{
    struct error err = {0};
    int64_t n = 0;
    double d = 0;
    (void)state;
    json_t *v = json_parse(
        slice_str("{\"model_max_length\": 1000000000000000019884624838656, \"n\": 7}"), &err);
    assert_non_null(v);
    assert_true(json_get_i64(v, "n", &n));
    assert_int_equal(n, 7);
    assert_true(json_get_f64(v, "model_max_length", &d));
    assert_true(d == 1000000000000000019884624838656.0);
    assert_false(json_get_i64(v, "model_max_length", &n));
    json_decref(v);
}

static void doubles_are_written_shortest_and_read_back_equal(void **state)
{
    (void)state;
    same_text("[0.1, 1e-05, 2.5, 1e300, 3.0]", "[0.1,1e-05,2.5,1e+300,3.0]", JSON_STYLE_COMPACT);
    for (uint64_t i = 0; i < 2000; i++) {
        union {
            uint64_t bits;
            double value;
        } u = {hash_mix(i)};
        struct buf b = {0};
        if ((u.bits >> 52 & 0x7FF) == 0x7FF)
            continue;
        json_write_number(&b, u.value);
        assert_true(strtod(buf_text(&b), NULL) == u.value);
        buf_release(&b);
    }
}

static void wrong_json_is_told_with_line_and_column(void **state)
{
    struct error err = {0};
    (void)state;
    assert_null(json_parse(slice_str("{\"a\": 1,\n \"b\": }"), &err));
    assert_non_null(strstr(err.text, "line 2"));
    assert_null(json_parse(slice_str(""), &err));
    assert_null(json_parse(slice_str("[\x1b[2J]"), &err));
    assert_null(strchr(err.text, '\x1b'));
    char deep[8192];
    memset(deep, '[', sizeof deep);
    assert_null(json_parse(slice_of(deep, sizeof deep), &err));  // an error, not a stack overflow
}

static void members_given_twice_can_be_refused(void **state)
{
    struct error err = {0};
    (void)state;
    json_t *v = json_parse(slice_str("{\"a\": 1, \"a\": 2}"), &err);
    assert_int_equal(json_integer_value(json_object_get(v, "a")), 2);
    json_decref(v);
    assert_null(json_parse_unique(slice_str("{\"a\": 1, \"a\": 2}"), &err));
    assert_non_null(strstr(err.text, "duplicate object key"));
}

// A list of empty objects takes 77 times the memory of its text.
static void text_that_would_fill_the_memory_is_refused(void **state)
{
    struct error err = {0};
    struct buf b = {0};
    (void)state;
    for (int i = 0; i < 2000000; i++)
        buf_text_add(&b, i ? "{}," : "[");
    buf_text_add(&b, "0]");
    assert_null(json_parse(buf_view(&b), &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_string_equal(err.text, "JSON: its values would take up to 610 MiB, at most 512");
    buf_release(&b);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(members_given_twice_can_be_refused),
    cmocka_unit_test(text_that_would_fill_the_memory_is_refused),
    cmocka_unit_test(any_top_value_and_member_order_are_kept),
    cmocka_unit_test(integers_beyond_64_bits_are_read_as_doubles),
    cmocka_unit_test(doubles_are_written_shortest_and_read_back_equal),
    cmocka_unit_test(wrong_json_is_told_with_line_and_column),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
