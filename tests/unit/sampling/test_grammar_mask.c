// test_grammar_mask.c - masks against a try of every token, places that are copied and kept,
// bounds.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "grammar_help.h"
#include "local/sampling/grammar/gbnf.h"
#include "local/sampling/grammar/regex.h"
#include "local/sampling/grammar/schema.h"

static uint64_t state;

static unsigned pick(unsigned n)
{
    return (unsigned)(hash_mix(++state) % n);
}

// Every byte, and strings that begin, end, cross and repeat what grammars are made of.
#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
static const char *const parts[] = {
    A32,      (A32 "a"), (A32 "aa"), (A32 A32),   (A32 "\""), (A32 "a\","), (A32 "é"), (A32 ".\n"),
    "\"",     "\",",     "\":",      "\": ",      "{\"",      "\"}",        "\"]",     "\"},",
    "a",      "ab",      "abc",      "aa",        "aaaa",     "aaaaaaaa",   "\\",      "\\n",
    "\\u",    "\\\"",    "true",     "tru",       "e",        "false",      "null",    "12",
    "1.5",    "-",       "0",        "00",        "e+",       " ",          "  ",      "\n",
    "\n  ",   "{",       "}",        "[",         "]",        "],",         ",",       ", ",
    ":",      "}}",      "]]",       "é",         "\xc3",     "\xa9",       "日",      "\xe6\x97",
    "日本",   "name",    "\"name\"", "\"name\":", "b\"",      "b\",\"",     "a\"}",    "x",
    "y",      "xy",      "(",        ")",         "((",       "+",          "a+",      "é\"",
    "a\": [", "id",      "2024",     "-01",       "@",        ".",          "a\\",     "]}",
    "1,",     "1]",
};
enum { N_PARTS = sizeof parts / sizeof *parts, N_TOKENS = 256 + N_PARTS + 40 };

static struct grammar_vocab *new_vocab(bool loses_space)
{
    struct slice texts[N_TOKENS], first[N_TOKENS];
    static char bytes[256], mixed[40][16];
    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)i;
        texts[i] = slice_of(&bytes[i], 1);
    }
    for (int i = 0; i < N_PARTS; i++)
        texts[256 + i] = slice_str(parts[i]);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(mixed[i], sizeof mixed[i], "%s%s", parts[pick(N_PARTS)] + 0,
                       i % 3 ? parts[pick(8)] : "");
        texts[256 + N_PARTS + i] = slice_str(mixed[i]);
    }
    texts[7] = slice_str("");  // a control token
    for (int i = 0; i < N_TOKENS; i++) {
        first[i] = texts[i];
        if (texts[i].len && texts[i].ptr[0] == ' ')
            first[i] = slice_sub(texts[i], 1, texts[i].len);
    }
    return grammar_vocab_of(texts, loses_space ? first : NULL, N_TOKENS);
}

enum { N_WORDS = (N_TOKENS + 31) / 32 + 2 };

// All bits of a mask are what trying each token says. Returns how many are set.
static int check_mask(struct place *m, uint32_t *mask)
{
    struct error err = {0};
    int n = 0;
    if (!place_mask(m, mask, N_WORDS, &err))
        fail_msg("%s", err.text);
    for (int32_t t = 0; t < N_WORDS * 32; t++) {
        struct place copy = {0};
        place_copy(&copy, m);
        bool fits = place_accept(&copy, t, &err), bit = mask[t / 32] >> (t % 32) & 1;
        if (fits != (place_fits(m, &t, 1) == 1) || fits != bit)
            fail_msg("token %d: mask %d, try %d at set %u", (int)t, bit, fits, m->set);
        place_release(&copy);
        n += bit;
    }
    return n;
}

// Random texts through the grammar, a mask checked at each token.
static void walk(struct grammar *g, int n_texts, int n_steps)
{
    uint32_t mask[N_WORDS];
    struct error err = {0};
    for (int i = 0; i < n_texts; i++) {
        struct place m = {0}, kept = {0};
        assert_true(place_init(&m, g, &err));
        for (int k = 0; k < n_steps; k++) {
            int n = check_mask(&m, mask);
            assert_true(n > 0 || place_can_end(&m));
            assert_int_equal(place_must_end(&m), n == 0);
            if (n == 0)
                break;
            int32_t token = 0;
            for (int left = (int)pick((unsigned)n) + 1; left; token++)
                left -= mask[token / 32] >> (token % 32) & 1;
            place_release(&kept);
            place_copy(&kept, &m);
            assert_true(place_accept(&m, token - 1, &err));
            if (pick(4) == 0) {  // back, and again
                place_release(&m);
                m = kept;
                kept = (struct place){0};
                assert_true(place_accept(&m, token - 1, &err));
            }
        }
        place_release(&m);
        place_release(&kept);
    }
}

static const char *const schemas[] = {
    "{}",
    "{\"type\":\"object\"}",
    "{\"type\":\"string\"}",
    "{\"type\":\"string\",\"minLength\":2,\"maxLength\":30}",
    "{\"type\":\"string\",\"minLength\":300,\"maxLength\":100000}",
    "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":3},\"minItems\":1}",
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"id\":{\"type\":"
    "\"integer\"},"
    "\"x\":{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}},\"required\":[\"id\"],"
    "\"additionalProperties\":{\"type\":\"string\"}}",
    "{\"enum\":[\"abc\",\"ab\",\"aa\",1,null,\"\\u00e9\"]}",
    "{\"type\":\"string\",\"pattern\":\"^a(b|\\u00e9)*\\\"x+$\",\"maxLength\":9}",
    "{\"anyOf\":[{\"pattern\":\"ab\"},{\"format\":\"date\"}],\"type\":\"string\"}",
};
static const char *const grammars[] = {
    "root ::= (expr \"\\n\"?)+\nexpr ::= term (\"+\" term)*\nterm ::= \"a\" | \"(\" expr \")\"",
    "root ::= string*\nstring ::= \"\\\"\" char* \"\\\"\"\nchar ::= [^\"\\\\] | \"\\\\\" [\"\\\\n]",
    "root ::= ([^\\n]{0,20} \"\\n\")*",
    "root ::= \"a\" root \"b\" | \"\"",
};
static const char *const regexes[] = {
    "([^\\n]{1,120}\\.\\n){1,9}", "a{30,60}b?", "[^\\n]*",
    "(a|aa|ab)*x{2,40}",          ".{3,}é",     "(\"[^\"]*\",?){1,1000}"};

static struct program *compile(int kind, const char *text)
{
    struct error err = {0};
    struct program *p = NULL;
    if (kind == 0) {
        json_t *schema = json_parse(slice_str(text), &err);
        assert_non_null(schema);
        p = schema_compile(schema, &err);
        json_decref(schema);
    } else {
        p = kind == 1 ? gbnf_compile(slice_str(text), &err) : regex_compile(slice_str(text), &err);
    }
    if (!p)
        fail_msg("%s: %s", text, err.text);
    return p;
}

static void walk_all(size_t max_bytes, bool loses_space)
{
    struct grammar_vocab *v = new_vocab(loses_space);
    const char *const *lists[] = {schemas, grammars, regexes};
    const size_t counts[] = {sizeof schemas / sizeof *schemas, sizeof grammars / sizeof *grammars,
                             sizeof regexes / sizeof *regexes};
    for (int kind = 0; kind < 3; kind++)
        for (size_t i = 0; i < counts[kind]; i++) {
            struct grammar *g = grammar_new(compile(kind, lists[kind][i]), v, max_bytes);
            walk(g, 3, 14);
            grammar_release(g);
        }
    grammar_vocab_free(v);
}

static void masks_are_what_every_token_says(void **s)
{
    (void)s;
    state = 3;
    walk_all(0, false);
}

static void also_where_a_text_loses_its_first_space(void **s)
{
    (void)s;
    state = 4;
    walk_all(0, true);
}

static void and_where_memory_is_full_all_the_time(void **s)
{
    (void)s;
    state = 5;
    walk_all(40 << 10, false);
}

static void full_memory_is_begun_anew_and_places_move(void **s)
{
    (void)s;
    state = 6;
    struct grammar_vocab *v = new_vocab(false);
    struct grammar *g = grammar_new(compile(0, "{}"), v, 100 << 10);
    struct place a = {0}, b = {0};
    struct error err = {0};
    uint32_t mask[N_WORDS];
    assert_true(place_init(&a, g, &err));
    assert_true(place_accept_bytes(&a, slice_str("[{\"a\":[[["), &err));
    place_copy(&b, &a);
    for (int i = 0; i < 300; i++) {
        assert_true(place_accept_bytes(&a, slice_str(i % 2 ? "[" : "{\"ab\": "), &err));
        (void)check_mask(&a, mask);
    }
    assert_true(grammar_n_spaces(g) > 1);
    assert_true(grammar_bytes(g) < 1 << 20);
    assert_true(place_accept_bytes(&b, slice_str("1]]]}]"), &err));
    assert_true(place_must_end(&b));
    place_release(&a);
    place_release(&b);
    grammar_release(g);
    grammar_vocab_free(v);
}

static void nesting_is_bounded(void **s)
{
    (void)s;
    struct grammar_vocab *v = new_vocab(false);
    struct grammar *g = grammar_new(compile(0, "{}"), v, 0);
    struct place m = {0};
    struct error err = {0};
    int depth = 0;
    assert_true(place_init(&m, g, &err));
    while (depth < 5000 && place_accept_bytes(&m, slice_str("["), &err))
        depth++;
    assert_true(depth > 300 && depth < 5000);
    for (; depth > 0; depth--)
        assert_true(place_accept_bytes(&m, slice_str("]"), &err));
    assert_true(place_must_end(&m));
    place_release(&m);
    grammar_release(g);
    grammar_vocab_free(v);
}

// A bound that one text meets is its own error: others of the grammar go on.
static void too_many_ways_end_one_text(void **s)
{
    (void)s;
    struct grammar_vocab *v = new_vocab(false);
    struct grammar *g = grammar_new(compile(2, "((a{1,900}){1,900}){1,900}|b*"), v, 2 << 20);
    struct place bad = {0}, good = {0};
    struct error err = {0};
    assert_true(place_init(&bad, g, &err) && place_init(&good, g, &err));
    assert_true(place_accept_bytes(&good, slice_str("b"), &err));
    int n = 0;
    while (n < 5000 && place_accept_bytes(&bad, slice_str("a"), &err))
        n++;
    assert_int_equal(err.code, ERR_LIMIT);
    assert_true(n < 5000);
    assert_true(place_accept_bytes(&good, slice_str("bb"), &err));
    assert_true(place_can_end(&good));
    place_release(&bad);
    place_release(&good);
    grammar_release(g);
    grammar_vocab_free(v);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(masks_are_what_every_token_says),
    cmocka_unit_test(also_where_a_text_loses_its_first_space),
    cmocka_unit_test(and_where_memory_is_full_all_the_time),
    cmocka_unit_test(full_memory_is_begun_anew_and_places_move),
    cmocka_unit_test(nesting_is_bounded),
    cmocka_unit_test(too_many_ways_end_one_text),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
