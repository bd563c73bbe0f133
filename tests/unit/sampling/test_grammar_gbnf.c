// test_grammar_gbnf.c - grammars as llama.cpp writes them: what they take, and what is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "grammar_help.h"
#include "local/sampling/grammar/gbnf.h"

static const struct slice no_tokens[] = {{"", 0}};

static void check(const char *grammar, const char *const *texts)
{
    struct error err = {0};
    struct grammar_vocab *v = grammar_vocab_of(no_tokens, NULL, 1);
    struct program *p = gbnf_compile(slice_str(grammar), &err);
    if (!p)
        fail_msg("%s: %s", grammar, err.text);
    struct grammar *g = grammar_of(p, v);
    for (int wanted = 1; wanted >= 0; wanted--, texts++)
        for (; *texts; texts++)
            if ((taken(g, slice_str(*texts)) == TAKEN) != wanted)
                fail_msg("%s: \"%s\" should be taken: %d", grammar, *texts, wanted);
    grammar_release(g);
    grammar_vocab_free(v);
}
#define CHECK(grammar, ...) check(grammar, (const char *const[]){__VA_ARGS__, NULL})

static void grammars_take_their_texts(void **s)
{
    (void)s;
    CHECK("root ::= \"yes\" | \"no\"", "yes", "no", NULL, "", "yesno", "y");
    CHECK("# a comment\nroot ::= (\n  \"a\" # here too\n  | \"b\"\n)+ end\nend ::= \"\\n\"?\n\n",
          "ab", "b\n", NULL, "\n", "c");
    CHECK("root ::= [a-cx] [^a\\n]* [-z] [\\]\\x41\\u00e9]", "a-]", "xbbzé", "czA", NULL, "aa-]",
          "d-A");
    CHECK("root ::= item{2} item{0,1} \"-\" item{3,}\nitem ::= [0-9] | \"ten\"", "12-345",
          "ten23-tententen1", NULL, "1-234", "1234-567", "12-34");
    CHECK("root ::= \"ab\"{2} .", "ababé", NULL, "abab", "abbx");
    CHECK("root ::= \"(\" root \")\" | \"x\"", "x", "(((x)))", NULL, "((x)", "");
    CHECK("root ::= | \"a\" root", "", "aaaa", NULL, "b");
    CHECK("root ::= a? b* \"c\"\na ::= \"a\"?\nb ::= (\"b\" | \"\")*", "c", "abbc", NULL, "ba");
    CHECK("root ::=\n  \"a\" |\n  \"b\"\n", "a", "b", NULL, "ab");
    CHECK("root ::= x-1 x_2\r\nx-1 ::= \"1\"\r\nx_2 ::= \"2\"", "12", NULL, "1");
    CHECK("root ::= \"a\"*?", "", "aa", NULL, "b");
}

static void tail_calls_need_no_stack(void **s)
{
    (void)s;
    struct buf text = {0};
    for (int i = 0; i < 100000; i++)
        buf_char(&text, 'a');
    struct error err = {0};
    struct grammar_vocab *v = grammar_vocab_of(no_tokens, NULL, 1);
    struct grammar *g =
        grammar_of(gbnf_compile(slice_str("root ::= \"a\" more\nmore ::= root | \"\""), &err), v);
    assert_int_equal(taken(g, buf_view(&text)), TAKEN);
    grammar_release(g);
    grammar_vocab_free(v);
    buf_release(&text);
}

static void what_is_wrong_is_told_with_its_line(void **s)
{
    (void)s;
    static const char *const bad[][2] = {
        {"", "no rule 'root'"},
        {"a ::= \"x\"", "no rule 'root'"},
        {"root ::= a\n", "line 1: there is no rule 'a'"},
        {"root ::= \"a\"\n\nroot ::= \"b\"", "line 3: a second rule"},
        {"root ::= root \"a\" | \"b\"", "root begins with itself"},
        {"root ::= a \"x\" | \"y\"\na ::= b* root\nb ::= \"z\"", "begins with itself"},
        {"root ::= \"a", "ends too early"},
        {"root ::= [a", "ends too early"},
        {"root ::= (\"a\"", "a group without its end"},
        {"root ::= \"a\" )", "no part of a rule"},
        {"root = \"a\"", "no ::="},
        {"root ::= \"\\q\"", "unknown meaning"},
        {"root ::= \"a\"{3,2}", "maximum below"},
        {"root ::= \"a\"{x}", "braces"},
        {"root ::= <think>", "tokens by name"},
        {"root ::= [z-a]", "before it begins"},
        {"root ::= \"a\" root", "no text of finite length"},
        {"root ::= \"\\uD800\"", "no character"},
        {"root ::= *", "no part of a rule"},
        {"root ::= \"\xff\"", "not UTF-8"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = {0};
        struct program *p = gbnf_compile(slice_str(bad[i][0]), &err);
        if (p || !strstr(err.text, bad[i][1]))
            fail_msg("%s: '%s' does not say '%s'", bad[i][0], err.text, bad[i][1]);
    }
}

static void hostile_ones_end_in_time(void **s)
{
    (void)s;
    struct error err = {0};
    struct buf text = {0};
    buf_text_add(&text, "root ::= ");
    for (int i = 0; i < 100000; i++)
        buf_char(&text, '(');
    assert_null(gbnf_compile(buf_view(&text), &err));
    buf_clear(&text);
    buf_text_add(&text, "root ::= a0\n");
    for (int i = 0; i < 40000; i++)  // a chain whose facts travel its whole length
        buf_printf(&text, "a%d ::= a%d\n", i, i + 1);
    buf_text_add(&text, "a40000 ::= \"x\"\n");
    struct program *p = gbnf_compile(buf_view(&text), &err);
    assert_non_null(p);
    program_free(p);
    buf_clear(&text);
    buf_text_add(&text, "root ::= a0\n");
    for (int i = 0; i < 200; i++)  // 2 to the 200th texts
        buf_printf(&text, "a%d ::= a%d a%d | a%d\n", i, i + 1, i + 1, i + 1);
    buf_text_add(&text, "a200 ::= \"x\"\n");
    p = gbnf_compile(buf_view(&text), &err);
    if (p) {
        struct grammar_vocab *v = grammar_vocab_of(no_tokens, NULL, 1);
        struct grammar *g = grammar_of(p, v);
        (void)taken(g, slice_str("xxxxxx"));
        grammar_release(g);
        grammar_vocab_free(v);
    }
    buf_release(&text);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(grammars_take_their_texts),
    cmocka_unit_test(tail_calls_need_no_stack),
    cmocka_unit_test(what_is_wrong_is_told_with_its_line),
    cmocka_unit_test(hostile_ones_end_in_time),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
