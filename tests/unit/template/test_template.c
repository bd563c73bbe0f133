// test_template.c - templates by hand: what is printed, where it came from, and what stops them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/json.h"
#include "local/template/template.h"

static const char conversation[] =
    "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi <|x|> there\"},"
    "{\"role\":\"assistant\",\"content\":\"  Ça  \"}],\"name\":\"<b>\",\"n\":3}";

struct outcome {
    bool ok;
    struct rendered r;
    struct error err;
    char *marked;  // the text with its spans in brackets
};

static char *bracketed(const struct rendered *r)
{
    struct buf b = {0};
    size_t at = 0;
    for (size_t i = 0; i < r->n_from_values; i++) {
        struct rendered_span s = r->from_values[i];
        assert_true(s.start >= at && s.start < s.end && s.end <= r->text.len);
        buf_add(&b, r->text.ptr + at, s.start - at);
        buf_char(&b, '[');
        buf_add(&b, r->text.ptr + s.start, s.end - s.start);
        buf_char(&b, ']');
        at = s.end;
    }
    buf_add(&b, buf_text(&r->text) + at, r->text.len - at);
    return b.ptr;
}

static struct outcome run(const char *source, const struct template_limits *limits)
{
    struct outcome o = {0};
    json_t *variables = json_parse(slice_str(conversation), &o.err);
    assert_non_null(variables);
    struct template *t = template_open(slice_str(source), &o.err);
    o.ok = t && template_render(t, variables, limits, &o.r, &o.err);
    if (o.ok)
        o.marked = bracketed(&o.r);
    template_close(t);
    json_decref(variables);
    return o;
}

static void outcome_release(struct outcome *o)
{
    rendered_release(&o->r);
    free(o->marked);
}

static void expect_marked(const char *source, const char *marked)
{
    struct outcome o = run(source, NULL);
    if (!o.ok)
        fail_msg("%s: %s", source, o.err.text);
    assert_string_equal(o.marked, marked);
    outcome_release(&o);
}

static void expect_error(const char *source, enum error_code code, const char *text)
{
    struct outcome o = run(source, NULL);
    if (o.ok)
        fail_msg("%s: rendered", source);
    assert_string_equal(o.err.text, text);
    assert_int_equal(o.err.code, code);
    outcome_release(&o);
}

static void values_are_marked_and_literals_are_not(void **state)
{
    (void)state;
    expect_marked("<|{{ messages[0].role }}|>{{ messages[0].content }}<|end|>",
                  "<|user|>[Hi <|x|> there]<|end|>");
    expect_marked("{% if messages[0].role == 'user' %}user{% endif %}{{ 'a' }}{{ 5 }}", "usera5");
}

static void marks_survive_what_is_done_to_a_text(void **state)
{
    (void)state;
    expect_marked("{{ '<' + name + '>' }}{{ '<' ~ name ~ '>' }}", "<[<b>]><[<b>]>");
    expect_marked("{{ messages[1].content|trim }}|{{ messages[0].content[3:8] }}", "[Ça]|[<|x|>]");
    expect_marked("{{ ('-' ~ messages[0].content)[:6][::-1] }}", "[|< iH]-");
    expect_marked("{{ messages[0].content.split()|join('+') }}", "[Hi]+[<|x|>]+[there]");
    expect_marked("{{ messages[0].content.replace('Hi', 'Ho') }}", "Ho[ <|x|> there]");
    expect_marked("{{ 'x y'.replace('y', name) }}{{ '%s!' % name }}{{ '{}?'.format(name) }}",
                  "x [<b><b>]![<b>]?");
    expect_marked("{{ messages[0].content|upper }}{{ messages[1].content|upper }}",
                  "[HI <|X|> THERE  ÇA  ]");
    expect_marked("{{ name|e }}{{ 'a<' ~ name|e }}", "[&lt;b&gt;]a<[&lt;b&gt;]");
    expect_marked("{{ name|tojson }} {{ {'k': name}|tojson }} {{ [name] }}",
                  "\"[<b>]\" {\"k\": \"[<b>]\"} ['[<b>]']");
    expect_marked("{% set x %}a{{ name }}{% endset %}{% macro m(y) %}({{ y }}){% endmacro %}"
                  "{{ m(x) }}{% filter indent(2) %}{{ \"\\n\" }}{{ name }}{% endfilter %}",
                  "(a[<b>])\n  [<b>]");
    expect_marked("{{ name * 2 }}{{ name|center(7) }}{{ name|truncate(2, true, '', 0) }}",
                  "[<b><b>]  [<b>]  [<b]");
}

// Keys and numbers of the caller: keys are texts of theirs, numbers cannot spell a token.
static void keys_are_marked_and_numbers_are_not(void **state)
{
    (void)state;
    expect_marked("{% for k in messages[0] %}{{ k }},{% endfor %}{{ n }}", "[role],[content],3");
}

static void whitespace_is_controlled_as_transformers_sets_it(void **state)
{
    (void)state;
    expect_marked("a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "a\n  b\nc");
    expect_marked("a\n  {%+ if true +%}\n  b{%- endif -%}\n\n c", "a\n  \n  bc");
    expect_marked("a  {{- ' b ' -}}  c {# x #}\nd", "a b c d");
    expect_marked("{% raw %}{{ x }}{% endraw %}", "{{ x }}");
}

static void errors_name_the_line(void **state)
{
    (void)state;
    expect_error("a\n\n{{ raise_exception('roles must alternate') }}", ERR_FORMAT,
                 "template, line 3: roles must alternate");
    expect_error("{{ nope.x }}", ERR_FORMAT, "template, line 1: 'nope' is undefined");
    expect_error("{{ messages[0].nope.x }}", ERR_FORMAT,
                 "template, line 1: 'dict object' has no attribute 'nope'");
    expect_error("x\n{% if %}", ERR_FORMAT, "template, line 2: Expected an expression");
    expect_error("x\n{{ 1|nope }}", ERR_FORMAT, "template, line 2: No filter named 'nope'.");
    expect_error("{% include 'x' %}", ERR_FORMAT,
                 "template, line 1: 'include' of other templates is not supported");
    expect_error("{{ messages.append(1) }}", ERR_FORMAT,
                 "template, line 1: access to attribute 'append' of 'list' object is unsafe.");
    expect_error("\n{{ '\xff' }}", ERR_FORMAT, "template: not valid UTF-8");
}

static void every_bound_stops_a_template(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "{{ 'a' * 10000000000 }}",
        "{{ [1] * 10000000000 }}",
        "{{ 'x'|center(10000000000) }}",
        "{{ '%10000000d' % 1 ~ '%9999999999d' % 1 }}",
        "{{ range(1000000000000) }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ 9223372036854775807 + 1 }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s * 2 %}"
        "{% endfor %}",
        "{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}"
        "{% endfor %}{{ ns.x }}",
        "{{ range(99999)|join('x' * 9999) }}",
    };
    const struct template_limits limits = {.max_steps = 3000000, .max_output = 1 << 20};
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct outcome o = run(sources[i], &limits);
        if (o.ok || o.err.code != ERR_LIMIT)
            fail_msg("%s: %s", sources[i], o.ok ? "rendered" : o.err.text);
        outcome_release(&o);
    }
}

static void limits_are_the_callers(void **state)
{
    (void)state;
    static const char loops[] = "{% for i in range(1000) %}x{% endfor %}";
    const struct template_limits few_steps = {.max_steps = 100}, short_text = {.max_output = 999};
    struct outcome o = run(loops, &few_steps);
    assert_false(o.ok);
    assert_int_equal(o.err.code, ERR_LIMIT);
    o = run(loops, &short_text);
    assert_false(o.ok);
    assert_int_equal(o.err.code, ERR_LIMIT);
    o = run(loops, NULL);
    assert_true(o.ok);
    assert_int_equal(o.r.text.len, 1000);
    outcome_release(&o);
}

static void sources_nested_beyond_reason_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *open, *middle, *close;
    } shapes[] = {{"(", "1", ")"}, {"[", "1", "]"},          {"not ", "1", ""},
                  {"-", "1", ""},  {"1+", "1", ""},          {"", "1", "|string"},
                  {"", "n", ".a"}, {"1 if 0 else ", "2", ""}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct buf b = {0};
        buf_text_add(&b, "{{ ");
        for (int k = 0; k < 20000; k++)
            buf_text_add(&b, shapes[i].open);
        buf_text_add(&b, shapes[i].middle);
        for (int k = 0; k < 20000; k++)
            buf_text_add(&b, shapes[i].close);
        buf_text_add(&b, " }}");
        struct outcome o = run(buf_text(&b), NULL);
        assert_false(o.ok);
        assert_int_equal(o.err.code, ERR_FORMAT);
        buf_release(&b);
    }
}

static void a_fixed_clock_is_utc(void **state)
{
    (void)state;
    const struct template_limits limits = {.now = 1717236489};
    struct outcome o = run("{{ strftime_now('%d %b %Y %H:%M:%S') }}", &limits);
    assert_true(o.ok);
    assert_string_equal(buf_text(&o.r.text), "01 Jun 2024 10:08:09");
    outcome_release(&o);
}

static void a_template_renders_again_and_again(void **state)
{
    (void)state;
    struct error err;
    struct rendered r = {0};
    json_t *variables = json_parse(slice_str(conversation), &err);
    struct template *t = template_open(slice_str("{{ n }}{{ name }}"), &err);
    for (int i = 0; i < 3; i++) {
        assert_true(template_render(t, variables, NULL, &r, &err));
        assert_string_equal(buf_text(&r.text), "3<b>");
        assert_int_equal(r.n_from_values, 1);
    }
    rendered_release(&r);
    template_close(t);
    json_decref(variables);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(values_are_marked_and_literals_are_not),
    cmocka_unit_test(marks_survive_what_is_done_to_a_text),
    cmocka_unit_test(keys_are_marked_and_numbers_are_not),
    cmocka_unit_test(whitespace_is_controlled_as_transformers_sets_it),
    cmocka_unit_test(errors_name_the_line),
    cmocka_unit_test(every_bound_stops_a_template),
    cmocka_unit_test(limits_are_the_callers),
    cmocka_unit_test(sources_nested_beyond_reason_are_refused),
    cmocka_unit_test(a_fixed_clock_is_utc),
    cmocka_unit_test(a_template_renders_again_and_again),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
