// test_answer_grammar.c - what a grammar of answers lets a model write is read as calls that
// validate, in every format.
//
// Tokens are drawn at random among those that the grammar allows: single bytes, pieces, and the
// marks as control tokens or ordinary ones. What comes out is read by the parser of answers, whole
// and in pieces, and every call is checked by hand: its name, its members, their types and bounds.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../support/answer_log.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/sampling/grammar/grammar.h"
#include "local/sampling/grammar/program.h"
#include "local/sampling/grammar/vocab.h"
#include "local/template/answer_parser.h"
#include "providers/answer_grammar.h"

static const char tools_text[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"weather\",\"strict\":true,\"parameters\":{"
    "\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"city\",\"days\"],"
    "\"properties\":{\"city\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":8},"
    "\"days\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":14},"
    "\"unit\":{\"type\":\"string\",\"enum\":[\"C\",\"F\",\"<b>\"]},"
    "\"when\":{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"string\",\"pattern\":"
    "\"^[0-9]{2}:[0-9<]$\"}]},"
    "\"day\":{\"type\":\"string\",\"pattern\":\"^(mon|tue)$\"},"
    "\"tags\":{\"type\":\"array\",\"maxItems\":2,\"items\":{\"type\":\"string\",\"maxLength\":4}},"
    "\"note\":{\"type\":\"string\"},\"at\":{\"$ref\":\"#/$defs/"
    "at\"},\"ok\":{\"type\":\"boolean\"}},"
    "\"$defs\":{\"at\":{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"lat "
    "<x>\"],"
    "\"properties\":{\"lat <x>\":{\"type\":\"number\"},\"of\":{\"const\":[{\"a\":\"<\"},1]}}}}}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"now\"}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"free.form-1\",\"parameters\":{\"type\":"
    "\"object\"}}}]";
static json_t *tools;

// A vocabulary for one shape: bytes, pieces, marks.
struct words {
    struct slice texts[600];
    char bytes[256][1], marks[ANSWER_MARKS][2];
    int32_t n, first_mark;
    struct grammar_vocab *vocab;
};

static void add_word(struct words *w, struct slice text)
{
    assert_true(w->n < 600);
    w->texts[w->n++] = text;
}

static void words_init(struct words *w, const struct answer_grammar *g)
{
    static const char *const pieces[] = {
        "{\"",         "\":",        "\": \"",      "\", \"",      "name",         "arguments",
        "parameters",  "weather",    "now",         "city",        "days",         "\"}",
        "}}",          "<",          "</",          "</function>", "</parameter>", "</arg_value>",
        "<parameter=", "<function=", "<tool_call>", "functions.",  "call:",        "\n```",
        "\u00fc",      "\\u003c",    "\\n",         "```json\n",   "analysis",     "final",
        "commentary",  " to=",       "unit",        "null",        "<arg_key>",    "assistant",
        "1",           "[",          "]",           ", ",          "true"};
    *w = (struct words){0};
    for (int b = 1; b < 256; b++) {
        w->bytes[b][0] = (char)b;
        add_word(w, slice_of(w->bytes[b], 1));
    }
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        add_word(w, slice_str(pieces[i]));
    w->first_mark = w->n;  // what is drawn more often
    add_word(w, slice_str("\n</parameter>\n"));
    add_word(w, slice_str("</arg_value>\n"));
    for (int i = 0; i < ANSWER_MARKS; i++) {
        const char *mark = answer_mark(&g->shape, i);
        w->marks[i][0] = (char)GRAMMAR_MARK;
        w->marks[i][1] = (char)i;
        if (mark && g->control >> i & 1)
            add_word(w, slice_of(w->marks[i], 2));
        else if (mark)
            add_word(w, slice_str(mark));
    }
    // The byte of marks is no token of its own, as in a real vocabulary (vocab.c).
    w->texts[GRAMMAR_MARK - 1] = slice_str("");
    w->vocab = grammar_vocab_of(w->texts, NULL, w->n);
}

static int32_t pick(const struct words *w, const uint32_t *mask, uint64_t *state)
{
    int32_t allowed[600], n = 0, n_marks = 0;
    for (int32_t t = 0; t < w->n; t++) {
        if (mask[t / 32] >> t % 32 & 1) {
            allowed[n++] = t;
            n_marks += t >= w->first_mark;
        }
    }
    *state = hash_mix(*state + 1);
    if (n_marks && *state % 8 == 0)
        return allowed[n - 1 - (int32_t)(*state / 8 % (uint64_t)n_marks)];
    return n ? allowed[*state / 8 % (uint64_t)n] : -1;
}

// What the engine would show of a token.
static void show(const struct answer_grammar *g, struct slice text, struct buf *out)
{
    if (text.len == 2 && (unsigned char)text.ptr[0] == GRAMMAR_MARK) {
        buf_char(out, (char)ANSWER_MARK);
        buf_text_add(out, answer_mark(&g->shape, (unsigned char)text.ptr[1]));
    } else {
        buf_slice(out, text);
    }
}

// A random answer of at most so many tokens. True if it is whole.
static bool draw(const struct answer_grammar *g, struct grammar *grammar, const struct words *w,
                 uint64_t seed, int most, struct buf *out)
{
    uint32_t mask[20];
    struct place at = {0};
    struct error err = {0};
    uint64_t state = hash_mix(seed);
    bool whole = false;
    buf_clear(out);
    assert_true(place_init(&at, grammar, &err));
    for (int i = 0; i < most && !whole; i++) {
        state = hash_mix(state + 1);
        if (place_must_end(&at) || (place_can_end(&at) && state % 3 == 0)) {
            whole = true;
            break;
        }
        assert_true(place_mask(&at, mask, 20, &err));
        int32_t token = pick(w, mask, &state);
        if (token < 0) {
            assert_true(place_can_end(&at));
            whole = true;
            break;
        }
        assert_true(place_accept(&at, token, &err));
        show(g, w->texts[token], out);
    }
    place_release(&at);
    return whole;
}

// What was read of an answer.
struct reading {
    struct buf text, names, arguments[200];
    char name[200][32];
    int n_calls;
};

static void note(void *self, const struct chat_event *e)
{
    struct reading *r = self;
    if (e->kind == CHAT_TEXT)
        buf_slice(&r->text, e->text);
    if (e->kind == CHAT_TOOL_CALL) {
        assert_true(r->n_calls < 200);
        (void)snprintf(r->name[r->n_calls++], 32, "%s", e->tool_name);
    }
    if (e->kind == CHAT_TOOL_ARGUMENTS)
        buf_slice(&r->arguments[e->tool_index], e->text);
}

static void read_answer(const struct answer_grammar *g, struct slice text, struct chat_sink sink,
                        uint64_t pieces)
{
    struct answer_options o = {.shape = g->shape,
                               .control = g->control,
                               .thinking = g->begins == ANSWER_BEGINS_THINKING,
                               .tools = g->tools,
                               .one_call = g->one_call,
                               .sink = sink};
    struct answer_parser *p = answer_parser_new(&o);
    for (size_t at = 0, n; at < text.len; at += n) {
        pieces = pieces ? hash_mix(pieces) : 0;
        n = pieces ? 1 + pieces % 5 : text.len;
        n = n < text.len - at ? n : text.len - at;
        answer_parser_push(p, slice_sub(text, at, n));
    }
    answer_parser_finish(p, false);
    answer_parser_free(p);
}

static size_t characters(const json_t *text)
{
    size_t n = 0;
    for (size_t i = 0; i < json_string_length(text); i++)
        n += (json_string_value(text)[i] & 0xC0) != 0x80;
    return n;
}

static bool is_word(const json_t *v, const char *a, const char *b, const char *c)
{
    const char *s = json_string_value(v);
    return s && (strcmp(s, a) == 0 || strcmp(s, b) == 0 || strcmp(s, c) == 0);
}

static bool is_time(const json_t *v)
{
    const char *s = json_string_value(v);
    return json_is_null(v) ||
           (s && strlen(s) == 4 && s[0] >= '0' && s[0] <= '9' && s[1] >= '0' && s[1] <= '9' &&
            s[2] == ':' && ((s[3] >= '0' && s[3] <= '9') || s[3] == '<'));
}

static bool are_tags(const json_t *v)
{
    bool ok = json_is_array(v) && json_array_size(v) <= 2;
    for (size_t i = 0; ok && i < json_array_size(v); i++)
        ok = json_is_string(json_array_get(v, i)) && characters(json_array_get(v, i)) <= 4;
    return ok;
}

static bool is_place(const json_t *v)
{
    const json_t *of = json_object_get(v, "of");
    json_t *only = json_parse(slice_str("[{\"a\":\"<\"},1]"), NULL);
    size_t known = 1 + (of != NULL);
    bool ok = json_is_number(json_object_get(v, "lat <x>")) && json_object_size(v) == known &&
              (!of || json_equal(of, only));
    json_decref(only);
    return ok;
}

static bool weather_is_right(const json_t *v)
{
    static const char *const names[] = {"city", "days", "unit", "when", "day",
                                        "tags", "at",   "ok",   "note"};
    const json_t *m[9];
    size_t n = 0;
    for (int i = 0; i < 9; i++) {
        m[i] = json_object_get(v, names[i]);
        n += m[i] != NULL;
    }
    return json_object_size(v) == n && json_is_string(m[0]) && characters(m[0]) >= 1 &&
           characters(m[0]) <= 8 && json_is_integer(m[1]) && json_integer_value(m[1]) >= 1 &&
           json_integer_value(m[1]) <= 14 && (!m[2] || is_word(m[2], "C", "F", "<b>")) &&
           (!m[3] || is_time(m[3])) && (!m[4] || is_word(m[4], "mon", "tue", "tue")) &&
           (!m[5] || are_tags(m[5])) && (!m[6] || is_place(m[6])) &&
           (!m[7] || json_is_boolean(m[7])) && (!m[8] || json_is_string(m[8]));
}

static bool call_is_right(const struct answer_grammar *g, const struct reading *r, int i)
{
    const char *name = r->name[i];
    json_t *v = json_parse(buf_view(&r->arguments[i]), NULL);
    bool ok = json_is_object(v) && (!g->only || strcmp(g->only, name) == 0);
    if (strcmp(name, "weather") == 0)
        ok = ok && weather_is_right(v);
    else if (strcmp(name, "now") == 0)
        ok = ok && json_object_size(v) == 0;
    else
        ok = ok && strcmp(name, "free.form-1") == 0;
    json_decref(v);
    return ok;
}

static void reading_release(struct reading *r)
{
    buf_release(&r->text);
    for (int i = 0; i < r->n_calls; i++)
        buf_release(&r->arguments[i]);
    free(r);
}

static void check_whole(const struct answer_grammar *g, struct slice text, uint64_t seed)
{
    struct reading *r = memory_new(1, sizeof *r);
    read_answer(g, text, (struct chat_sink){.push = note, .self = r}, 0);
    bool ok = !g->must_call || (r->n_calls > 0 && r->text.len == 0);
    ok = ok && (!g->one_call || r->n_calls <= 1);
    for (int i = 0; i < r->n_calls; i++)
        ok = ok && call_is_right(g, r, i);
    if (!ok)
        fail_msg("format %s, control %x, seed %llu: %d calls, text '%s', last '%s' of\n%.*s",
                 answer_format_name(g->shape.format), g->control, (unsigned long long)seed,
                 r->n_calls, buf_text(&r->text),
                 r->n_calls ? buf_text(&r->arguments[r->n_calls - 1]) : "", (int)text.len,
                 text.ptr);
    reading_release(r);
}

static void check_pieces(const struct answer_grammar *g, struct slice text, uint64_t seed)
{
    struct answer_log whole = {0}, cut = {0};
    read_answer(g, text, answer_log_sink(&whole), 0);
    read_answer(g, text, answer_log_sink(&cut), seed + 1);
    assert_string_equal(buf_text(&whole.out), buf_text(&cut.out));
    answer_log_release(&whole);
    answer_log_release(&cut);
}

// How many of the answers were whole.
static int try_seeds(const struct answer_grammar *g, int n_seeds, int most)
{
    struct words w;
    struct buf text = {0};
    struct error err = {0};
    int n_whole = 0;
    words_init(&w, g);
    struct program *p = answer_grammar_compile(g, &err);
    if (!p)
        fail_msg("%s: %s", answer_format_name(g->shape.format), err.text);
    struct grammar *grammar = grammar_new(p, w.vocab, 0);
    for (int i = 0; i < n_seeds; i++) {
        uint64_t seed = hash_mix((uint64_t)i + 1000 * (uint64_t)g->shape.format);
        bool whole = draw(g, grammar, &w, seed, most, &text);
        check_pieces(g, buf_view(&text), seed);
        n_whole += whole;
        if (whole)
            check_whole(g, buf_view(&text), seed);
    }
    buf_release(&text);
    grammar_release(grammar);
    grammar_vocab_free(w.vocab);
    return n_whole;
}

enum { SEEDS = 30, TOKENS = 4000, ALL_CONTROL = (1 << ANSWER_MARKS) - 1 };

static struct answer_grammar grammar_of(int format, unsigned control)
{
    return (struct answer_grammar){.shape = {.format = (enum answer_format)format},
                                   .control = control,
                                   .tools = tools,
                                   .must_call = true};
}

static void required_calls_are_right_in_every_format(void **state)
{
    (void)state;
    for (int f = ANSWER_PLAIN + 1; f < ANSWER_FORMATS; f++)
        for (int k = 0; k < 4; k++) {
            struct answer_grammar g = grammar_of(f, k & 1 ? ALL_CONTROL : 0);
            g.one_call = k & 2;
            assert_int_equal(try_seeds(&g, SEEDS, TOKENS), SEEDS);
        }
}

static void a_named_tool_is_the_one_that_is_called(void **state)
{
    (void)state;
    for (int f = ANSWER_PLAIN + 1; f < ANSWER_FORMATS; f++) {
        struct answer_grammar g = grammar_of(f, f % 2 ? ALL_CONTROL : 0);
        g.only = "weather";
        assert_int_equal(try_seeds(&g, SEEDS / 2, TOKENS), SEEDS / 2);
    }
}

static void thoughts_may_come_before(void **state)
{
    (void)state;
    for (int f = ANSWER_PLAIN + 1; f < ANSWER_FORMATS; f++)
        for (int t = THINKING_THINK; t < THINKINGS; t++) {
            struct answer_grammar g = grammar_of(f, t % 2 ? ALL_CONTROL : 0);
            g.shape.thinking = f == ANSWER_HARMONY ? THINKING_NONE : (enum answer_thinking)t;
            if (f != ANSWER_HARMONY)
                g.begins = (enum answer_begins)(t % 3);
            g.only = "now";
            assert_int_equal(try_seeds(&g, 12, TOKENS), 12);
        }
}

static void a_call_that_begins_is_right_where_tools_are_strict(void **state)
{
    (void)state;
    for (int f = ANSWER_PLAIN + 1; f < ANSWER_FORMATS; f++)
        for (int k = 0; k < 2; k++) {
            struct answer_grammar g = grammar_of(f, k ? ALL_CONTROL : 0);
            g.must_call = false;
            assert_true(answer_grammar_needed(&g));
            assert_true(try_seeds(&g, SEEDS, TOKENS) > SEEDS / 2);
        }
}

static void answers_that_are_cut_are_read_as_far_as_they_came(void **state)
{
    (void)state;
    for (int f = ANSWER_PLAIN + 1; f < ANSWER_FORMATS; f++)
        for (int most = 1; most < 40; most += 3) {
            struct answer_grammar g = grammar_of(f, most % 2 ? ALL_CONTROL : 0);
            (void)try_seeds(&g, 2, most);
        }
}

// What cannot be held to is refused, by the tool's name.
static void what_cannot_be_compiled_is_named(void **state)
{
    static const struct {
        enum answer_format format;
        const char *tools, *error;
    } rows[] = {
        {ANSWER_HERMES, "[{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"not\":{}}}}}]",
         "tool 'f': schema: \"not\" at #/properties/a: this keyword cannot be compiled"},
        {ANSWER_HERMES, "[{\"name\":\"f\",\"parameters\":{\"type\":\"string\"}}]",
         "tool 'f': schema: \"type\" at #: a call's arguments are an object"},
        {ANSWER_KIMI, "[{\"name\":\"f g\"}]",
         "tool 'f g': a model of this format cannot write this name"},
        {ANSWER_DEEPSEEK, "[{\"name\":\"functions.f\"}]",
         "tool 'functions.f': a model of this format cannot write this name"},
        {ANSWER_GLM, "[{\"name\":\"f\",\"parameters\":{\"anyOf\":[{}]}}]",
         "tool 'f': schema: \"anyOf\" at #: cannot be compiled where a call's arguments stand "
         "between tags"},
        {ANSWER_QWEN_XML, "[{\"name\":\"f\",\"parameters\":{\"properties\":{\"a>\":{}}}}]",
         "tool 'f': schema: \"properties\" at #: this model cannot write the name 'a>'"},
        {ANSWER_QWEN_XML,
         "[{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"type\":\"string\",\"const\":"
         "\"</function>\"}},\"required\":[\"a\"]}}]",
         "tool 'f': schema: \"enum\" at #/properties/a: '</function>' cannot stand in a call as "
         "this "
         "model writes them"},
        {ANSWER_PLAIN, "[{\"name\":\"f\"}]",
         "tool_choice: the model's chat template knows no calls of tools (--tool-format can say "
         "how "
         "it writes them)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err = {0};
        json_t *own = json_parse(slice_str(rows[i].tools), NULL);
        struct answer_grammar g = grammar_of(rows[i].format, 0);
        g.tools = own;
        assert_non_null(own);
        assert_null(answer_grammar_compile(&g, &err));
        assert_string_equal(err.text, rows[i].error);
        json_decref(own);
    }
}

// A tool that need not be right takes any object; one that must be is refused.
static void only_strict_tools_are_refused(void **state)
{
    static const char text[] = "[{\"function\":{\"name\":\"f\",\"parameters\":{\"not\":{}}}},"
                               "{\"function\":{\"name\":\"g\",\"strict\":true}}]";
    struct error err = {0};
    json_t *own = json_parse(slice_str(text), NULL);
    struct answer_grammar g = grammar_of(ANSWER_HERMES, 0);
    (void)state;
    g.tools = own;
    g.must_call = false;
    assert_true(answer_grammar_needed(&g));
    struct program *p = answer_grammar_compile(&g, &err);
    assert_non_null(p);
    program_free(p);
    g.strict = true;
    assert_null(answer_grammar_compile(&g, &err));
    json_decref(own);
}

// Many tools with many texts fit.
static void many_tools_fit(void **state)
{
    static const enum answer_format formats[] = {ANSWER_HERMES, ANSWER_QWEN_XML, ANSWER_GEMMA4};
    json_t *own = json_array();
    (void)state;
    for (int i = 0; i < 100; i++) {
        json_t *members = json_object();
        for (int k = 0; k < 10; k++) {
            char name[16];
            (void)snprintf(name, sizeof name, "m%d", k);
            json_object_set_new(members, name, json_pack("{ss}", "type", "string"));
        }
        char name[16];
        (void)snprintf(name, sizeof name, "tool%d", i);
        json_array_append_new(own, json_pack("{sss{ssso}}", "name", name, "parameters", "type",
                                             "object", "properties", members));
    }
    for (size_t i = 0; i < 3; i++) {
        struct error err = {0};
        struct answer_grammar g = grammar_of(formats[i], 0);
        g.tools = own;
        struct program *p = answer_grammar_compile(&g, &err);
        if (!p)
            fail_msg("%s: %s", answer_format_name(formats[i]), err.text);
        program_free(p);
    }
    json_decref(own);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_cannot_be_compiled_is_named),
    cmocka_unit_test(only_strict_tools_are_refused),
    cmocka_unit_test(many_tools_fit),
    cmocka_unit_test(required_calls_are_right_in_every_format),
    cmocka_unit_test(a_named_tool_is_the_one_that_is_called),
    cmocka_unit_test(thoughts_may_come_before),
    cmocka_unit_test(a_call_that_begins_is_right_where_tools_are_strict),
    cmocka_unit_test(answers_that_are_cut_are_read_as_far_as_they_came),
};

static int read_tools(void **state)
{
    (void)state;
    tools = json_parse(slice_str(tools_text), NULL);
    return tools ? 0 : -1;
}

static int drop_tools(void **state)
{
    (void)state;
    json_decref(tools);
    return 0;
}

int main(void)
{
    return cmocka_run_group_tests(tests, read_tools, drop_tools);
}
