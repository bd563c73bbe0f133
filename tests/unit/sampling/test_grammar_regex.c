// test_grammar_regex.c - regular expressions as programs against PCRE2, and what is refused.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/hash.h"
#include "grammar_help.h"
#include "local/sampling/grammar/regex.h"

static const struct slice no_tokens[] = {{"", 0}};

static uint64_t state;

static unsigned pick(unsigned n)
{
    return (unsigned)(hash_mix(++state) % n);
}

// A random expression of a few characters, which both sides read the same way.
static void random_regex(struct buf *out, int depth)
{
    static const char *const atoms[] = {"a",     "b",    "c",    "é",      "\\d",       "\\w",
                                        ".",     "[ab]", "[^a]", "[a-c1]", "[^\\d\\w]", "\\x61",
                                        "[é-ü]", "\\s",  "\\S",  "[\\W]",  "\\u{1F600}"};
    static const char *const counts[] = {"*",     "+",    "?",  "{2}", "{1,3}",
                                         "{0,2}", "{2,}", "*?", "+?",  ""};
    unsigned n = 1 + pick(3);
    for (unsigned i = 0; i < n; i++) {
        bool group = depth > 0 && pick(3) == 0;
        if (group) {
            buf_text_add(out, pick(2) ? "(" : "(?:");
            random_regex(out, depth - 1);
            buf_char(out, ')');
        } else {
            buf_text_add(out, atoms[pick(sizeof atoms / sizeof *atoms)]);
        }
        if (pick(2))
            buf_text_add(out, counts[pick(sizeof counts / sizeof *counts)]);
    }
    if (depth > 0 && pick(3) == 0) {
        buf_char(out, '|');
        if (pick(4))
            random_regex(out, depth - 1);
    }
}

static void random_text(struct buf *out)
{
    static const char *const parts[] = {"a", "b", "c", "1", "é", "ü", "_", " ", "-", "😀", "ab"};
    unsigned n = pick(7);
    for (unsigned i = 0; i < n; i++)
        buf_text_add(out, parts[pick(sizeof parts / sizeof *parts)]);
}

// As PCRE2 writes it: \u{H} is \x{H}.
static void for_pcre2(struct buf *out, const char *text)
{
    for (; *text; text++)
        if (text[0] == '\\' && text[1] == 'u' && text[2] == '{') {
            buf_text_add(out, "\\x");
            text++;
        } else {
            buf_char(out, *text);
        }
}

static bool pcre2_takes(pcre2_code *code, struct slice text)
{
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    int n = pcre2_match(code, (PCRE2_SPTR)text.ptr, text.len, 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED,
                        data, NULL);
    pcre2_match_data_free(data);
    return n > 0;
}

static void compare_with_pcre2(const char *regex, struct grammar *g)
{
    struct buf other = {0}, text = {0};
    int code_error;
    PCRE2_SIZE at;
    for_pcre2(&other, regex);
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)buf_text(&other), other.len,
                                     PCRE2_UTF | PCRE2_DOTALL * 0, &code_error, &at, NULL);
    assert_non_null(code);
    for (int i = 0; i < 40; i++) {
        buf_clear(&text);
        random_text(&text);
        bool wanted = pcre2_takes(code, buf_view(&text));
        if ((taken(g, buf_view(&text)) == TAKEN) != wanted)
            fail_msg("/%s/ and \"%s\": PCRE2 says %d", regex, buf_text(&text), wanted);
    }
    pcre2_code_free(code);
    buf_release(&other);
    buf_release(&text);
}

static void random_expressions_take_what_pcre2_takes(void **s)
{
    (void)s;
    struct grammar_vocab *v = grammar_vocab_of(no_tokens, NULL, 1);
    state = 17;
    int n_compiled = 0;
    for (int i = 0; i < 1500; i++) {
        struct buf regex = {0};
        struct error err = {0};
        random_regex(&regex, 3);
        struct program *p = regex_compile(buf_view(&regex), &err);
        if (p) {
            struct grammar *g = grammar_of(p, v);
            compare_with_pcre2(buf_text(&regex), g);
            grammar_release(g);
            n_compiled++;
        } else if (err.code != ERR_UNSUPPORTED) {
            fail_msg("/%s/: %s", buf_text(&regex), err.text);
        }
        buf_release(&regex);
    }
    assert_true(n_compiled > 1400);
    grammar_vocab_free(v);
}

static enum taken taken_by(const char *regex, const char *text)
{
    struct error err = {0};
    struct grammar_vocab *v = grammar_vocab_of(no_tokens, NULL, 1);
    struct program *p = regex_compile(slice_str(regex), &err);
    if (!p)
        fail_msg("/%s/: %s", regex, err.text);
    struct grammar *g = grammar_of(p, v);
    enum taken result = taken(g, slice_str(text));
    grammar_release(g);
    grammar_vocab_free(v);
    return result;
}

static void large_counts_cost_nothing(void **s)
{
    (void)s;
    struct buf text = {0};
    for (int i = 0; i < 5000; i++)
        buf_text_add(&text, "ab");
    assert_int_equal(taken_by("(ab){0,1000000}", buf_text(&text)), TAKEN);
    assert_int_equal(taken_by("(ab){4999}", buf_text(&text)), NOT_TAKEN);
    assert_int_equal(taken_by("(ab){5001,}", buf_text(&text)), BEGINS);
    // Counts that can be split in many ways are followed in all of them.
    text.ptr[300] = 0;
    assert_int_equal(taken_by("((a|b){1,3}){0,100000}", buf_text(&text)), TAKEN);
    buf_release(&text);
}

static void exponential_ones_take_linear_time(void **s)
{
    (void)s;
    struct buf text = {0};
    for (int i = 0; i < 20000; i++)
        buf_char(&text, 'a');
    assert_int_equal(taken_by("(a|a)*", buf_text(&text)), TAKEN);
    assert_int_equal(taken_by("(a*)*b", buf_text(&text)), BEGINS);
    assert_int_equal(taken_by("((a?){10})*((a*)*)*c?", buf_text(&text)), TAKEN);
    buf_release(&text);
}

static void anchors_at_the_ends_say_nothing_more(void **s)
{
    (void)s;
    assert_int_equal(taken_by("^ab$", "ab"), TAKEN);
    assert_int_equal(taken_by("^a|b$", "a"), TAKEN);
    assert_int_equal(taken_by("(^a$|b)", "b"), TAKEN);
    assert_int_equal(taken_by("", ""), TAKEN);
    assert_int_equal(taken_by("|a", ""), TAKEN);
}

static void check_refused(const char *regex, size_t len, const char *why)
{
    struct error err = {0};
    struct program *p = regex_compile(slice_of(regex, len), &err);
    if (p)
        fail_msg("/%s/ was taken", regex);
    if (!strstr(err.text, why))
        fail_msg("/%s/: '%s' does not say '%s'", regex, err.text, why);
}

static void what_cannot_be_followed_is_named(void **s)
{
    (void)s;
    static const struct {
        const char *regex, *why;
    } bad[] = {
        {"(a)\\1", "backreferences"},
        {"a(?=b)", "look-around"},
        {"(?<!a)b", "look-around"},
        {"(?i)a", "flags"},
        {"\\bword", "\\b"},
        {"\\p{L}", "\\p"},
        {"a++", "possessive"},
        {"a**", "quantifier"},
        {"*a", "nothing to repeat"},
        {"a^b", "anchor"},
        {"(a$)b", "anchor"},
        {"^*", "anchor"},
        {"[a", "without its end"},
        {"[]", "empty class"},
        {"(a", "without its end"},
        {"a)", "')' without"},
        {"a{3,2}", "maximum below"},
        {"a{2000000}", "too large"},
        {"\\", "lone backslash"},
        {"\\q", "unknown meaning"},
        {"\\ud800", "no character"},
        {"\\u{110000}", "no character"},
        {"[b-a]", "before it begins"},
        {"\\xZ1", "hexadecimal"},
        {"(?<name", "name of a group"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_refused(bad[i].regex, strlen(bad[i].regex), bad[i].why);
    check_refused("a\xff", 2, "not UTF-8");
    check_refused("[\xc3]", 3, "not UTF-8");
    struct buf deep = {0};
    for (int i = 0; i < 100000; i++)
        buf_char(&deep, '(');
    check_refused(buf_text(&deep), deep.len, "too long");
    check_refused(buf_text(&deep), 60000, "too deep");
    buf_clear(&deep);
    buf_text_add(&deep, "a");
    for (int i = 0; i < 100; i++) {  // 5 to the 100th
        struct buf more = {0};
        buf_printf(&more, "(?:%s){5}", buf_text(&deep));
        buf_release(&deep);
        deep = more;
    }
    struct error err = {0};
    program_free(regex_compile(buf_view(&deep), &err));  // counts nest, nothing is written out
    buf_release(&deep);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(random_expressions_take_what_pcre2_takes),
    cmocka_unit_test(large_counts_cost_nothing),
    cmocka_unit_test(exponential_ones_take_linear_time),
    cmocka_unit_test(anchors_at_the_ends_say_nothing_more),
    cmocka_unit_test(what_cannot_be_followed_is_named),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
