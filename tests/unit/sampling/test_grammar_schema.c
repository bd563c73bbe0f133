// test_grammar_schema.c - what schemas take, what they do not, and what is refused by name.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "grammar_help.h"
#include "local/sampling/grammar/schema.h"

static const struct slice no_tokens[] = {{"", 0}};

static struct program *compile(const char *schema, struct error *err)
{
    json_t *json = json_parse(slice_str(schema), err);
    if (!json)
        fail_msg("%s: %s", schema, err->text);
    struct program *p = schema_compile(json, err);
    json_decref(json);
    return p;
}

// Texts that the schema takes, then NULL, then such that it does not, then NULL.
static void check(const char *schema, const char *const *texts)
{
    struct error err = {0};
    struct grammar_vocab *v = grammar_vocab_of(no_tokens, NULL, 1);
    struct program *p = compile(schema, &err);
    if (!p)
        fail_msg("%s: %s", schema, err.text);
    struct grammar *g = grammar_of(p, v);
    for (int wanted = 1; wanted >= 0; wanted--, texts++)
        for (; *texts; texts++)
            if ((taken(g, slice_str(*texts)) == TAKEN) != wanted)
                fail_msg("%s: %s should be taken: %d", schema, *texts, wanted);
    grammar_release(g);
    grammar_vocab_free(v);
}
#define CHECK(schema, ...) check(schema, (const char *const[]){__VA_ARGS__, NULL})

static void check_refused(const char *schema, const char *why)
{
    struct error err = {0};
    struct program *p = compile(schema, &err);
    if (p)
        fail_msg("%s was taken", schema);
    if (!strstr(err.text, why) || !err.code)
        fail_msg("%s: '%s' does not say '%s'", schema, err.text, why);
}

static void any_value_is_json(void **s)
{
    (void)s;
    CHECK("{}", "{}", "[]", "{\"a\": [1, -2.5e+3, \"x\\n\\u00e9\\ud83d\\ude00\", true, null]}", "0",
          "-0", "{\n  \"a\": {\n    \"b\": []\n  }\n}", "\"é\"", NULL, "", " {}", "{} ", "[1,]",
          "{\"a\" :1}", "01", "1.", ".5", "+1", "\"\\ud800\"", "\"\\u0000\"", "\"\n\"", "[1,  2]",
          "nul", "{a:1}", "1e999", "1234567890123456", "\"\xff\"", "\"\xed\xa0\x80\"");
    CHECK("true", "1", NULL, "x");
    CHECK("{\"type\":\"object\"}", "{\"x\":{}}", NULL, "[]");
}

static void objects_have_their_members_in_order(void **s)
{
    (void)s;
    const char *schema =
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":"
        "\"null\"},\"c\":{\"type\":\"boolean\"}},\"required\":[\"b\"]}";
    CHECK(schema, "{\"a\":1,\"b\":null,\"c\":true}", "{\"b\":null}", "{ \"b\": null }",
          "{\"b\":null,\"c\":false}", NULL, "{}", "{\"a\":1}", "{\"b\":null,\"a\":1}",
          "{\"b\":null,}", "{\"a\":1,\"c\":true}", "{\"b\":null,\"x\":1}",
          "{\"a\":1.5,\"b\":null}");
    CHECK("{\"type\":\"object\",\"properties\":{\"ab\":{\"type\":\"null\"},\"ac\":{}},\"required\":"
          "[\"z\"],"
          "\"additionalProperties\":{\"type\":\"integer\"}}",
          "{\"ab\":null,\"z\":1}", "{\"z\":1,\"a\":2,\"abc\":3,\"\":4}", NULL, "{\"z\":1,\"ab\":2}",
          "{\"a\":2}", "{\"z\":null}", "{\"z\":1,\"\\u0061b\":2}", "{\"z\":1,\"z\":2}");
    CHECK("{\"type\":\"object\",\"additionalProperties\":false}", "{}", NULL, "{\"a\":1}");
    CHECK("{\"type\":\"object\",\"maxProperties\":2}", "{}", "{\"a\":1,\"b\":2}", NULL,
          "{\"a\":1,\"b\":2,\"c\":3}");
    CHECK("{\"type\":\"object\",\"minProperties\":1,\"properties\":{\"a\":{},\"b\":{}}}",
          "{\"b\":1}", NULL, "{}");
    CHECK("{\"type\":\"object\",\"patternProperties\":{\"^i\":{\"type\":\"integer\"},\"s$\":{"
          "\"type\":"
          "\"string\"}},\"additionalProperties\":{\"type\":\"null\"},\"properties\":{\"in\":{"
          "\"maximum\":3}}}",
          "{\"in\":3,\"i\":9,\"s\":\"\",\"x\":null}", "{}", NULL, "{\"in\":4}", "{\"i\":\"\"}",
          "{\"is\":1}", "{\"is\":\"\"}", "{\"x\":1}", "{\"in\":1,\"in\":2}");
    CHECK("{\"type\":\"object\",\"propertyNames\":{\"pattern\":\"^[a-z]+$\",\"maxLength\":3}}",
          "{\"abc\":1}", "{}", NULL, "{\"abcd\":1}", "{\"A\":1}", "{\"\":1}");
    CHECK("{\"$defs\":{\"K\":{\"type\":\"string\",\"enum\":[\"x\",\"y\"]}},\"type\":\"object\","
          "\"propertyNames\":{\"$ref\":\"#/$defs/K\"},\"additionalProperties\":{\"const\":1}}",
          "{}", "{\"x\":1,\"y\":1}", "{\"y\":1}", NULL, "{\"z\":1}", "{\"x\":2}");
    CHECK("{\"type\":\"object\",\"propertyNames\":{\"const\":\"x\"}}", "{}", "{\"x\":5}", NULL,
          "{\"y\":5}");
    CHECK("{\"type\":\"object\",\"propertyNames\":{\"enum\":[\"x\",\"y\"]}}", "{\"x\":1,\"y\":2}",
          "{\"y\":0}", NULL, "{\"z\":1}", "{\"y\":1,\"y\":2}");
}

static void arrays_are_counted(void **s)
{
    (void)s;
    CHECK("{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":2,\"maxItems\":3}",
          "[1,2]", "[1, 2, 3]", NULL, "[]", "[1]", "[1,2,3,4]", "[1,null]");
    CHECK("{\"type\":\"array\",\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"string\"}],"
          "\"items\":false}",
          "[]", "[1]", "[1,\"a\"]", NULL, "[\"a\"]", "[1,\"a\",2]");
    CHECK("{\"type\":\"array\",\"prefixItems\":[{\"type\":\"integer\"}],\"items\":{\"type\":"
          "\"null\"},"
          "\"minItems\":2}",
          "[1,null]", "[1,null,null]", NULL, "[1]", "[]", "[1,1]");
    CHECK("{\"type\":\"array\",\"maxItems\":0}", "[]", "[ ]", NULL, "[1]");
    CHECK("{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"maxItems\":100000}", "[null,null]",
          NULL, "[1]");
}

static void numbers_lie_between_their_bounds(void **s)
{
    (void)s;
    CHECK("{\"type\":\"integer\",\"minimum\":-12,\"maximum\":105}", "-12", "-9", "0", "7", "99",
          "100", "105", NULL, "-13", "106", "-0", "200", "1.0", "00");
    CHECK("{\"type\":\"integer\",\"exclusiveMinimum\":1.5,\"exclusiveMaximum\":10}", "2", "9", NULL,
          "1", "10", "0", "-2");
    CHECK("{\"type\":\"integer\",\"maximum\":-5}", "-5", "-123456789012345678", NULL, "-4", "0",
          "5");
    CHECK("{\"type\":\"integer\",\"minimum\":0}", "0", "999999999999999999", NULL, "-1",
          "1000000000000000000");
    CHECK("{\"type\":\"number\",\"minimum\":-1.5,\"maximum\":2.25}", "-1.5", "-1.50", "-0.7", "0",
          "2.25", "2.2499", "2", "1.999999", NULL, "-1.51", "2.26", "2.250001", "3", "-2", "1e0");
    CHECK("{\"type\":\"number\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":1}", "0.5", "0.00001",
          "0.99", NULL, "0", "0.0", "1", "1.0", "-0.5");
    CHECK("{\"type\":\"number\",\"minimum\":1e-7,\"maximum\":1e3}", "1000", "0.0000001", "1000.000",
          "1", NULL, "0.00000009", "1000.1", "0");
    CHECK("{\"type\":\"integer\",\"multipleOf\":7,\"minimum\":-21}", "0", "-21", "7", "7777777777",
          "98", NULL, "1", "-28", "-1", "97");
    CHECK("{\"type\":\"number\",\"multipleOf\":25,\"maximum\":1000}", "0", "-25", "1000", "975",
          NULL, "1025", "20", "12.5");
}

static void strings_fit_lengths_patterns_and_formats(void **s)
{
    (void)s;
    CHECK("{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", "\"ab\"", "\"日本語\"",
          "\"\\n\\u00e9\"", "\"\\ud83d\\ude00a\"", NULL, "\"a\"", "\"abcd\"", "\"\"");
    CHECK("{\"type\":\"string\",\"pattern\":\"b+\"}", "\"b\"", "\"abba\"", "\"\\\"b\"", NULL,
          "\"\"", "\"a\"");
    CHECK("{\"type\":\"string\",\"pattern\":\"^\\\"\\\\\\\\\\n$\"}", "\"\\\"\\\\\\n\"", NULL,
          "\"\"");
    CHECK("{\"type\":\"string\",\"pattern\":\"^[a-z]+$\",\"minLength\":2,\"maxLength\":4}",
          "\"ab\"", "\"abcd\"", NULL, "\"a\"", "\"abcde\"", "\"AB\"");
    CHECK("{\"allOf\":[{\"type\":\"string\",\"pattern\":\"^a\"},{\"pattern\":\"z$\"},{"
          "\"maxLength\":3}]}",
          "\"az\"", "\"a-z\"", NULL, "\"a\"", "\"abcz\"");
    CHECK("{\"type\":\"string\",\"format\":\"date\"}", "\"2024-02-29\"", "\"2000-02-29\"",
          "\"1999-12-31\"", NULL, "\"2023-02-29\"", "\"1900-02-29\"", "\"2024-13-01\"",
          "\"2024-04-31\"", "\"2024-1-1\"");
    CHECK("{\"type\":\"string\",\"format\":\"date-time\"}", "\"2024-02-29T23:59:59Z\"",
          "\"2024-01-01T00:00:00.5+02:00\"", NULL, "\"2024-01-01T24:00:00Z\"", "\"2024-01-01\"");
    CHECK("{\"type\":\"string\",\"format\":\"ipv4\"}", "\"255.1.0.10\"", NULL, "\"256.1.1.1\"",
          "\"01.1.1.1\"");
    CHECK("{\"type\":\"string\",\"format\":\"ipv6\"}", "\"::\"", "\"1::\"", "\"::1\"",
          "\"1:2:3:4:5:6:7:8\"", "\"fe80::1:2\"", NULL, "\"1:2:3\"", "\":::\"",
          "\"1:2:3:4:5:6:7:8:9\"");
    CHECK("{\"type\":\"string\",\"format\":\"uuid\"}", "\"123e4567-e89b-12d3-a456-426614174000\"",
          NULL, "\"123e4567e89b12d3a456426614174000\"");
    CHECK("{\"type\":\"string\",\"format\":\"uuid4\"}", "\"123e4567-e89b-42d3-a456-426614174000\"",
          NULL, "\"123e4567-e89b-12d3-a456-426614174000\"",
          "\"123e4567-e89b-42d3-7456-426614174000\"");
    CHECK("{\"type\":\"string\",\"format\":\"email\",\"maxLength\":12}", "\"a@b.de\"", NULL,
          "\"a@b\"", "\"abcdef@b-c.org\"");
    CHECK("{\"type\":\"string\",\"format\":\"uri\"}", "\"https://a.b/c?d=e#f\"", NULL, "\"a b\"");
    CHECK("{\"type\":\"string\",\"format\":\"password\",\"maxLength\":2}", "\"\"", "\"a/\"", NULL,
          "\"abc\"");
    CHECK("{\"type\":\"string\",\"format\":\"path\",\"pattern\":\"^/\"}", "\"/a b\"", NULL,
          "\"a\"");
    CHECK("{\"type\":\"string\",\"format\":\"binary\",\"enum\":[\"a\"]}", "\"a\"", NULL, "\"b\"");
}

static void values_and_branches_are_combined(void **s)
{
    (void)s;
    CHECK("{\"enum\":[\"a\",1,1.5,null,[1,{\"b\":2}],\"\\n\"],\"type\":[\"string\",\"array\"]}",
          "\"a\"", "[1,{\"b\":2}]", "\"\\n\"", NULL, "1", "null", "\"b\"");
    CHECK("{\"const\":{\"a\":1}}", "{\"a\":1}", NULL, "{}");
    CHECK("{\"enum\":[\"ab\",\"abc\",\"b\"],\"pattern\":\"^a\",\"maxLength\":2}", "\"ab\"", NULL,
          "\"abc\"", "\"b\"");
    CHECK("{\"anyOf\":[{\"type\":\"integer\",\"minimum\":5},{\"type\":\"string\"}],\"maximum\":7}",
          "5", "7", "\"\"", NULL, "8", "4");
    CHECK(
        "{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"a\"},\"x\":{\"type\":"
        "\"null\"}},"
        "\"required\":[\"k\",\"x\"]},{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"b\"}},"
        "\"required\":[\"k\"]}]}",
        "{\"k\":\"a\",\"x\":null}", "{\"k\":\"b\"}", NULL, "{\"k\":\"a\"}", "{\"k\":\"c\"}");
    CHECK("{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"null\"},{\"enum\":[\"x\"]}]}", "1",
          "null", "\"x\"", NULL, "\"y\"");
    CHECK(
        "{\"allOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"minimum\":2}},\"required\":["
        "\"a\"]},"
        "{\"properties\":{\"a\":{\"type\":\"integer\",\"maximum\":3},\"b\":{\"type\":\"null\"}}}]}",
        "{\"a\":2}", "{\"a\":3,\"b\":null}", NULL, "{\"a\":4}", "{\"b\":null}", "{\"a\":\"\"}");
    CHECK(
        "{\"$ref\":\"#/$defs/a~1b%25\",\"maxLength\":2,\"$defs\":{\"a/b%\":{\"type\":\"string\"}}}",
        "\"ab\"", NULL, "\"abc\"", "1");
    CHECK("{\"$ref\":\"#node\",\"$defs\":{\"n\":{\"$anchor\":\"node\",\"type\":\"array\",\"items\":"
          "{\"$ref\":"
          "\"#node\"}}}}",
          "[]", "[[],[[]]]", NULL, "[1]");
    CHECK("{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},\"n\":{\"anyOf\":[{\"$"
          "ref\":\"#\"},"
          "{\"type\":\"null\"}]}},\"required\":[\"v\",\"n\"],\"additionalProperties\":false}",
          "{\"v\":1,\"n\":{\"v\":2,\"n\":null}}", NULL, "{\"v\":1,\"n\":{}}");
}

static void schemas_that_refer_to_themselves_say_nothing_by_it(void **s)
{
    (void)s;
    CHECK("{\"$ref\":\"#\"}", "1", NULL, "x");
    CHECK("{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}", "null", NULL, "1");
    CHECK("{\"allOf\":[{\"$ref\":\"#/$defs/"
          "a\"}],\"$defs\":{\"a\":{\"allOf\":[{\"$ref\":\"#\"},{\"type\":"
          "\"null\"}]}}}",
          "null", NULL, "1");
}

static void what_cannot_be_compiled_is_named_with_its_place(void **s)
{
    (void)s;
    static const char *const bad[][2] = {
        {"{\"not\":{}}", "\"not\" at #:"},
        {"{\"properties\":{\"x\":{\"type\":\"array\",\"contains\":{}}}}",
         "\"contains\" at #/properties/x:"},
        {"{\"items\":{\"if\":{}},\"type\":\"array\"}", "\"if\" at #/items:"},
        {"{\"type\":\"array\",\"uniqueItems\":true}", "\"uniqueItems\" at #:"},
        {"{\"requierd\":[]}", "\"requierd\""},
        {"{\"type\":\"number\",\"multipleOf\":0.1}", "\"multipleOf\""},
        {"{\"type\":\"text\"}", "\"type\""},
        {"{\"type\":\"string\",\"format\":\"colour\"}", "'colour' cannot be compiled"},
        {"{\"type\":\"string\",\"pattern\":\"(?=a)\"}", "look-around"},
        {"{\"type\":\"string\",\"pattern\":\"(a)\\\\1\"}", "backreferences"},
        {"{\"type\":\"string\",\"pattern\":\"^(a|b)*c$\",\"maxLength\":900000}",
         "too large together"},
        {"{\"$ref\":\"http://x/y\"}", "\"$ref\""},
        {"{\"$ref\":\"#/nowhere\"}", "is not there"},
        {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}", "\"oneOf\""},
        {"{\"anyOf\":[]}", "\"anyOf\""},
        {"{\"type\":\"object\",\"minProperties\":3}", "\"minProperties\""},
        {"{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{}},\"maxProperties\":1}",
         "\"maxProperties\""},
        {"{\"items\":5,\"type\":\"array\"}", "neither an object"},
        {"{\"minLength\":-1,\"type\":\"string\"}", "\"minLength\""},
        {"{\"type\":\"string\",\"maxLength\":1e12}", "\"maxLength\""},
        {"false", "no text"},
        {"{\"type\":\"string\",\"enum\":[1]}", "no text"},
        {"{\"type\":\"integer\",\"minimum\":5,\"maximum\":4}", "\"minimum\" at #: is above"},
        {"{\"enum\":[]}", "\"enum\" at #: an empty list"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"minLength\":2,"
         "\"maxLength\":1}},\"required\":[\"a\"]}",
         "\"minLength\" at #/properties/a: is above"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}",
         "no text"},
        {"5", "neither an object"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_refused(bad[i][0], bad[i][1]);
}

static void large_ones_end_in_time(void **s)
{
    (void)s;
    struct buf text = {0};
    struct error err = {0};
    for (int i = 0; i < 2000; i++)
        buf_text_add(&text, "{\"items\":");
    buf_text_add(&text, "{}");
    for (int i = 0; i < 2000; i++)
        buf_char(&text, '}');
    program_free(compile(buf_text(&text), &err));
    buf_clear(&text);
    buf_text_add(&text, "{\"allOf\":[");
    for (int i = 0; i < 40; i++)
        buf_printf(&text, "%s{\"anyOf\":[{\"minimum\":%d},{\"maximum\":%d}]}", i ? "," : "", i, i);
    buf_text_add(&text, "]}");
    assert_null(compile(buf_text(&text), &err));
    assert_int_equal(err.code, ERR_LIMIT);
    buf_clear(&text);
    buf_text_add(&text, "{\"enum\":[0");
    for (int i = 0; i < 5000; i++)
        buf_printf(&text, ",\"name %d\"", i * 7);
    buf_text_add(&text, "]}");
    struct program *p = compile(buf_text(&text), &err);
    assert_non_null(p);
    program_free(p);
    buf_release(&text);
}

// Compiles it in a time that is far beyond what the bounds allow, on whatever machine.
static enum error_code compiled_soon(struct buf *schema, const char *why)
{
    struct error err = {0};
    int64_t start = clock_ns();
    program_free(compile(buf_text(schema), &err));
    assert_true(clock_ns() - start < INT64_C(15000000000));
    if (why && !strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
    buf_clear(schema);
    return err.code;
}

static void add_values(struct buf *schema, int from, int n)
{
    buf_printf(schema, "{\"enum\":[%d", from);
    for (int i = from; i < from + n; i++)
        buf_printf(schema, ",\"a%d\"", i);
    buf_text_add(schema, "]}");
}

static void the_time_of_lists_grows_with_their_length(void **s)
{
    (void)s;
    struct buf text = {0};
    add_values(&text, 0, 60000);
    assert_int_equal(compiled_soon(&text, NULL), ERR_NONE);
    // A list that another keyword picks from.
    buf_text_add(&text, "{\"allOf\":[");
    add_values(&text, 0, 30000);
    buf_char(&text, ',');
    add_values(&text, 20000, 30000);
    buf_text_add(&text, "]}");
    assert_int_equal(compiled_soon(&text, NULL), ERR_NONE);
    CHECK("{\"allOf\":[{\"enum\":[1,2.0,\"a\",[1,{\"b\":0,\"c\":1}]]},{\"enum\":[2,[1.0,{\"c\":1,"
          "\"b\":"
          "-0.0}],\"b\"]}]}",
          "2.0", "[1,{\"b\":0,\"c\":1}]", NULL, "1", "\"a\"", "\"b\"", "[1,{\"b\":0}]");
    buf_release(&text);
}

static void what_would_take_too_long_ends_with_its_keyword(void **s)
{
    (void)s;
    struct buf text = {0};
    // Each schema asks two times what the next one says of a value.
    buf_text_add(&text, "{\"enum\":[1],\"$ref\":\"#/$defs/d0\",\"$defs\":{");
    for (int i = 0; i < 25; i++)
        buf_printf(&text,
                   "\"d%d\":{\"allOf\":[{\"minimum\":0,\"$ref\":\"#/$defs/d%d\"},{\"$ref\":"
                   "\"#/$defs/d%d\"}]},",
                   i, i + 1, i + 1);
    buf_text_add(&text, "\"d25\":{\"type\":\"integer\"}}}");
    assert_int_equal(compiled_soon(&text, "\"enum\" at #"), ERR_LIMIT);
    // Each of many branches is compared with all others, value by value.
    buf_text_add(&text, "{\"oneOf\":[");
    for (int i = 0; i < 190; i++) {
        if (i)
            buf_char(&text, ',');
        add_values(&text, i * 1000, 1000);
    }
    buf_text_add(&text, "]}");
    assert_int_equal(compiled_soon(&text, "enum\" at #/oneOf"), ERR_LIMIT);
    // Names that are looked for all over the schema.
    buf_text_add(&text, "{\"type\":\"object\",\"properties\":{");
    for (int i = 0; i < 5000; i++)
        buf_printf(&text, "%s\"p%d\":{\"$ref\":\"#a%d\"}", i ? "," : "", i, i);
    buf_text_add(&text, "},\"$defs\":{");
    for (int i = 0; i < 5000; i++)
        buf_printf(&text, "%s\"d%d\":{\"$anchor\":\"a%d\"}", i ? "," : "", i, i);
    buf_text_add(&text, "}}");
    assert_int_equal(compiled_soon(&text, "\"$anchor\" at #"), ERR_LIMIT);
    buf_release(&text);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(any_value_is_json),
    cmocka_unit_test(objects_have_their_members_in_order),
    cmocka_unit_test(arrays_are_counted),
    cmocka_unit_test(numbers_lie_between_their_bounds),
    cmocka_unit_test(strings_fit_lengths_patterns_and_formats),
    cmocka_unit_test(values_and_branches_are_combined),
    cmocka_unit_test(schemas_that_refer_to_themselves_say_nothing_by_it),
    cmocka_unit_test(what_cannot_be_compiled_is_named_with_its_place),
    cmocka_unit_test(large_ones_end_in_time),
    cmocka_unit_test(the_time_of_lists_grows_with_their_length),
    cmocka_unit_test(what_would_take_too_long_ends_with_its_keyword),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
