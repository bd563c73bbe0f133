// test_redact.c - what the rules find does not leave, and what comes back is as it was.
//
// A vendor that says everything it was sent is the echo here: whatever it sends, cut anywhere, the
// client must get the original.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/json.h"
#include "gateway/redact.h"

static const char *words[] = {"Acme", "Acme Corporation", "Zoë", "a \"b\"\\\n"};
static const struct config_redaction rules[] = {
    {.name = "email", .pattern = "[\\w.+-]+@[\\w-]+(\\.[\\w-]+)+"},
    {.name = "card-number", .pattern = "\\b\\d{4}(?: ?\\d{4}){3}\\b"},
    {.name = "who", .words = words, .n_words = 4},
};

struct scene {
    struct redaction_rules *rules;
    struct arena arena;
    struct redaction *r;
    struct chat_request in, out;
    struct error err;
    struct buf text[3], thoughts[3], arguments[3];  // of the answer, by choice
    int n_events;
};

static struct scene scene_of(const struct config_redaction *list, size_t n)
{
    struct scene s = {0};
    if (!redaction_rules_new(list, n, &s.rules, NULL, &s.err))
        fail_msg("%s", s.err.text);
    return s;
}

static void begin(struct scene *s)
{
    redaction_free(s->r);
    if (!redaction_begin(s->rules, &s->in, &s->arena, &s->out, &s->r, &s->err))
        fail_msg("%s", s->err.text);
}

static void begin_text(struct scene *s, const char *text)
{
    s->in = (struct chat_request){.input = INPUT_TEXT, .text = slice_str(text)};
    begin(s);
}

static void refuse(struct scene *s, const char *why)
{
    redaction_free(s->r);
    assert_false(redaction_begin(s->rules, &s->in, &s->arena, &s->out, &s->r, &s->err));
    assert_null(s->r);
    if (!strstr(s->err.text, why))
        fail_msg("expected '%s' in '%s'", why, s->err.text);
}

static void end(struct scene *s)
{
    redaction_free(s->r);
    redaction_rules_free(s->rules);
    arena_release(&s->arena);
    for (int i = 0; i < 3; i++) {
        buf_release(&s->text[i]);
        buf_release(&s->thoughts[i]);
        buf_release(&s->arguments[i]);
    }
}

static void collect(void *self, const struct chat_event *e)
{
    struct scene *s = self;
    s->n_events++;
    if (e->kind == CHAT_TEXT)
        buf_slice(&s->text[e->choice], e->text);
    if (e->kind == CHAT_REASONING)
        buf_slice(&s->thoughts[e->choice], e->text);
    if (e->kind == CHAT_TOOL_ARGUMENTS)
        buf_slice(&s->arguments[e->choice], e->text);
    if (e->kind == CHAT_FINISH)
        buf_slice(&s->text[e->choice], e->stop);
}

static void say(struct scene *s, enum chat_event_kind kind, int choice, struct slice text)
{
    struct chat_sink sink = {.push = collect, .self = s};
    redaction_event(s->r, &(struct chat_event){.kind = kind, .choice = choice, .text = text},
                    &sink);
}

static void say_in_pieces(struct scene *s, enum chat_event_kind kind, int choice, struct slice text,
                          uint64_t seed)
{
    for (size_t at = 0; at < text.len;) {
        size_t n = 1 + (seed = hash_mix(seed)) % 7;
        struct slice piece = slice_sub(text, at, n);
        say(s, kind, choice, piece);
        at += piece.len;
    }
}

static void is(struct slice text, const char *expected)
{
    if (!slice_is(text, expected))
        fail_msg("'%.*s' instead of '%s'", (int)text.len, text.ptr, expected);
}

static void the_same_text_gets_the_same_placeholder(void **state)
{
    struct scene s = scene_of(rules, 3);
    (void)state;
    begin_text(&s, "ann@x.org, bob@x.org and ann@x.org pay with 1234 5678 9012 3456");
    is(s.out.text, "[EMAIL_1], [EMAIL_2] and [EMAIL_1] pay with [CARD_NUMBER_1]");
    assert_int_equal(redaction_n(s.r), 3);
    begin_text(&s, "nothing");
    is(s.out.text, "nothing");
    assert_int_equal(redaction_n(s.r), 0);
    end(&s);
}

static void overlapping_finds_are_one(void **state)
{
    struct scene s = scene_of(rules, 3);
    (void)state;
    begin_text(&s, "Acme Corporation, Acme, Acme@x.org");
    is(s.out.text, "[WHO_1], [WHO_2], [EMAIL_1]");
    begin_text(&s, "AcmeAcme Zoë");
    is(s.out.text, "[WHO_1][WHO_1] [WHO_2]");
    end(&s);
}

static void a_text_like_a_placeholder_is_not_taken_for_one(void **state)
{
    struct scene s = scene_of(rules, 3);
    (void)state;
    begin_text(&s, "[EMAIL_1] is ann@x.org, Acme");
    is(s.out.text, "[EMAIL_1] is [EMAIL_B1_1], [WHO_1]");
    say(&s, CHAT_TEXT, 0, s.out.text);
    is(buf_view(&s.text[0]), "[EMAIL_1] is ann@x.org, Acme");
    begin_text(&s, "EMAIL_B1_ or EMAIL_? ann@x.org");
    is(s.out.text, "EMAIL_B1_ or EMAIL_? [EMAIL_C2_1]");
    end(&s);
}

// A pattern that is only there because of what another took away finds it, too.
static void nothing_is_left_for_a_second_look(void **state)
{
    static const struct config_redaction two[] = {{.name = "x", .pattern = "b+"},
                                                  {.name = "y", .pattern = "a(?!b)\\S*"},
                                                  {.name = "digit", .pattern = "\\d"}};
    struct scene s = scene_of(two, 3);
    (void)state;
    begin_text(&s, "ab c1");
    is(s.out.text, "[Y_1] c[DIGIT_1]");
    say(&s, CHAT_TEXT, 0, s.out.text);
    is(buf_view(&s.text[0]), "ab c1");
    end(&s);
}

static void what_is_cut_comes_back_whole(void **state)
{
    struct scene s = scene_of(rules, 3);
    (void)state;
    begin_text(&s, "ann@x.org Acme");
    const char *answer = "[[EMAIL_1][EMAIL_1[WHO_1] [EMAIL_9] [who_1] []]";
    for (uint64_t seed = 0; seed < 200; seed++) {
        buf_clear(&s.text[0]);
        say_in_pieces(&s, CHAT_TEXT, 0, slice_str(answer), seed);
        say(&s, CHAT_FINISH, 0, (struct slice){0});
        is(buf_view(&s.text[0]), "[ann@x.org[EMAIL_1Acme [EMAIL_9] [who_1] []]");
    }
    end(&s);
}

static void choices_and_kinds_do_not_mix(void **state)
{
    struct scene s = scene_of(rules, 3);
    (void)state;
    begin_text(&s, "ann@x.org");
    say(&s, CHAT_TEXT, 0, slice_str("a[EMA"));
    say(&s, CHAT_TEXT, 1, slice_str("b[EMAI"));
    say(&s, CHAT_REASONING, 2, slice_str("c[EMAIL"));
    say(&s, CHAT_TEXT, 0, slice_str("IL_1]"));
    say(&s, CHAT_TEXT, 1, slice_str("L_1]"));
    say(&s, CHAT_TEXT, 2, slice_str("_1]"));  // another kind: the first has ended
    is(buf_view(&s.text[0]), "aann@x.org");
    is(buf_view(&s.text[1]), "bann@x.org");
    is(buf_view(&s.thoughts[2]), "c[EMAIL");
    is(buf_view(&s.text[2]), "_1]");
    say(&s, CHAT_TEXT, 0, slice_str("["));
    say(&s, CHAT_TEXT, 1, slice_str("[E"));
    say(&s, CHAT_FINISH, 1, (struct slice){0});
    is(buf_view(&s.text[1]), "bann@x.org[E");
    say(&s, CHAT_DONE, 0, (struct slice){0});
    is(buf_view(&s.text[0]), "aann@x.org[");
    end(&s);
}

static void inside_of_json_it_is_escaped(void **state)
{
    struct scene s = scene_of(rules, 3);
    (void)state;
    begin_text(&s, "a \"b\"\\\n");
    is(s.out.text, "[WHO_1]");
    say_in_pieces(&s, CHAT_TOOL_ARGUMENTS, 0, slice_str("{\"x\":\"[WHO_1]\"}"), 3);
    is(buf_view(&s.arguments[0]), "{\"x\":\"a \\\"b\\\"\\\\\\n\"}");
    say_in_pieces(&s, CHAT_TEXT, 0, slice_str("[WHO_1]"), 3);
    is(buf_view(&s.text[0]), "a \"b\"\\\n");
    s.in.constraint.kind = CONSTRAINT_JSON_OBJECT;  // then a text is JSON as well
    begin(&s);
    buf_clear(&s.text[0]);
    say_in_pieces(&s, CHAT_TEXT, 0, slice_str("{\"x\":\"[WHO_1]\"}"), 5);
    is(buf_view(&s.text[0]), "{\"x\":\"a \\\"b\\\"\\\\\\n\"}");
    end(&s);
}

static void a_stop_text_is_replaced_and_told_as_it_was(void **state)
{
    struct slice stop = slice_str("-- Acme");
    struct scene s = scene_of(rules, 3);
    (void)state;
    s.in = (struct chat_request){.sampling = {.stops = &stop, .n_stops = 1}};
    begin(&s);
    is(s.out.sampling.stops[0], "-- [WHO_1]");
    struct chat_sink sink = {.push = collect, .self = &s};
    redaction_event(s.r, &(struct chat_event){.kind = CHAT_FINISH, .stop = s.out.sampling.stops[0]},
                    &sink);
    is(buf_view(&s.text[0]), "-- Acme");
    end(&s);
}

static void take_end(void *self, const struct chat_event *e)
{
    *(bool *)self = true;
    is(e->stop, "-- Acme");
    is(e->end_text, "call of f(Acme)");
    is(e->end_word, "MALFORMED");
}

static void what_a_vendor_says_of_an_end_is_told_as_it_was(void **state)
{
    struct slice stop = slice_str("-- Acme");
    bool seen = false;
    struct scene s = scene_of(rules, 3);
    (void)state;
    s.in = (struct chat_request){.sampling = {.stops = &stop, .n_stops = 1}};
    begin(&s);
    struct chat_sink sink = {.push = take_end, .self = &seen};
    redaction_event(s.r,
                    &(struct chat_event){.kind = CHAT_FINISH,
                                         .stop = s.out.sampling.stops[0],
                                         .end_vendor = "gemini",
                                         .end_word = slice_str("MALFORMED"),
                                         .end_text = slice_str("call of f([WHO_1])")},
                    &sink);
    assert_true(seen);
    end(&s);
}

static json_t *json_of(const char *text)
{
    struct error err;
    json_t *v = json_parse(slice_str(text), &err);
    if (!v)
        fail_msg("%s", err.text);
    return v;
}

static void is_json(const json_t *v, const char *expected)
{
    struct buf text = {0};
    json_write(&text, v, JSON_STYLE_COMPACT);
    assert_string_equal(buf_text(&text), expected);
    buf_release(&text);
}

static void every_member_of_a_request_is_looked_into(void **state)
{
    struct scene s = scene_of(rules, 3);
    json_t *raw = json_of(
        "{\"role\":\"user\",\"name\":\"Acme\",\"content\":\"Hi Acme\",\"tool_calls\":[{\"type\":"
        "\"function\",\"id\":\"call_Acme\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":["
        "\"Acme\","
        "1234567890123456,true,null]}}}],\"tool_call_id\":\"call_Acme\",\"reasoning_content\":"
        "\"Acme?\"}");
    json_t *text_arguments = json_of("{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":"
                                     "\"{\\\"a\\\":\\\"Zo\\\\u00eb\\\"}\"}}]}");
    json_t *parts = json_of("[{\"type\":\"text\",\"text\":\"Ac\"},{\"type\":\"image_url\","
                            "\"image_url\":{\"url\":\"data:image/png;base64,Acme\"}},"
                            "{\"type\":\"text\",\"text\":\"me\"}]");
    json_t *blobs =
        json_of("[{\"vendor\":\"v\",\"value\":\"Acme\"},{\"vendor\":\"v\",\"value\":\"x\"}]");
    json_t *tools =
        json_of("[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"of "
                "Acme\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"enum\":"
                "[\"Acme\"],\"type\":\"string\"}}}}}]");
    json_t *extras = json_of("{\"x\":\"Acme\"}");
    struct chat_message messages[] = {{.role = ROLE_USER, .text = slice_str("Hi Acme"), .raw = raw},
                                      {.raw = text_arguments, .blobs = blobs},
                                      {.text = slice_str("Acme"), .parts = parts}};
    struct chat_embed_input input = {.text = slice_str("Acme")};
    struct chat_prompt prompt = {.text = slice_str("Acme")};
    (void)state;
    s.in = (struct chat_request){.messages = messages,
                                 .n_messages = 3,
                                 .inputs = &input,
                                 .n_inputs = 1,
                                 .prompts = &prompt,
                                 .n_prompts = 1,
                                 .tools = tools,
                                 .extras = extras,
                                 .constraint = {.kind = CONSTRAINT_JSON_SCHEMA, .schema = extras},
                                 .session = "Acme",
                                 .wire = "openai",
                                 .body = raw};
    begin(&s);
    is(s.out.messages[0].text, "Hi [WHO_1]");
    is_json(s.out.messages[0].raw,
            "{\"role\":\"user\",\"name\":\"WHO_1\",\"content\":\"Hi "
            "[WHO_1]\",\"tool_calls\":[{\"type\":"
            "\"function\",\"id\":\"call_WHO_1\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":["
            "\"[WHO_1]\",\"[CARD_NUMBER_1]\",true,null]}}}],\"tool_call_id\":\"call_WHO_1\","
            "\"reasoning_content\":\"[WHO_1]?\"}");
    is_json(s.out.messages[1].raw, "{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":"
                                   "\"{\\\"a\\\":\\\"[WHO_2]\\\"}\"}}]}");
    is_json(s.out.messages[1].blobs, "[null,{\"vendor\":\"v\",\"value\":\"x\"}]");
    is_json(
        s.out.messages[2].parts,
        "[{\"type\":\"text\",\"text\":\"[WHO_1]\"},{\"type\":\"image_url\",\"image_url\":{\"url\":"
        "\"data:image/png;base64,Acme\"}}]");
    is_json(s.out.tools,
            "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"of "
            "[WHO_1]\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"enum\":["
            "\"[WHO_1]\"],\"type\":\"string\"}}}}}]");
    is_json(s.out.extras, "{\"x\":\"[WHO_1]\"}");
    is_json(s.out.constraint.schema, "{\"x\":\"[WHO_1]\"}");
    is(s.out.inputs[0].text, "[WHO_1]");
    is(s.out.prompts[0].text, "[WHO_1]");
    assert_null(s.out.session);
    assert_string_equal(s.out.wire, "openai");  // by which its answer is worded
    assert_null(s.out.body);
    struct chat_request same = s.in;  // read and written at once
    redaction_free(s.r);
    assert_true(redaction_begin(s.rules, &same, &s.arena, &same, &s.r, &s.err));
    is(same.messages[2].text, "[WHO_1]");
    is_json(same.constraint.schema, "{\"x\":\"[WHO_1]\"}");
    end(&s);
    json_decref(raw);
    json_decref(text_arguments);
    json_decref(parts);
    json_decref(blobs);
    json_decref(tools);
    json_decref(extras);
}

static void what_cannot_be_replaced_does_not_leave(void **state)
{
    static const char *const tools[][2] = {
        {"[{\"function\":{\"name\":\"Acme\"}}]", "in the name of a tool"},
        {"[{\"function\":{\"parameters\":{\"properties\":{\"Acme\":{}}}}}]",
         "in the name of a member"},
        {"[{\"function\":{\"parameters\":{\"const\":1234567890123456}}}]",
         "in a number of a schema"}};
    static const char *const parts[][2] = {
        {"[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x/Acme.png\"}}]",
         "the address of a picture"},
        {"[{\"type\":\"file\",\"file\":{\"file_data\":\"data:text/plain;base64,QWNtZQ==\"}}]",
         "a file within a request"}};
    struct scene s = scene_of(rules, 3);
    int32_t token = 1;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        json_t *v = json_of(tools[i][0]);
        s.in = (struct chat_request){.tools = v};
        refuse(&s, tools[i][1]);
        json_decref(v);
    }
    for (size_t i = 0; i < 2; i++) {
        json_t *v = json_of(parts[i][0]);
        struct chat_message m = {.parts = v};
        s.in = (struct chat_request){.messages = &m, .n_messages = 1};
        refuse(&s, parts[i][1]);
        json_decref(v);
    }
    s.in = (struct chat_request){.tokens = &token, .n_tokens = 1};
    refuse(&s, "token ids");
    s.in = (struct chat_request){.text = slice_str("\xff")};
    refuse(&s, "not UTF-8");
    s.in = (struct chat_request){.constraint = {.text = slice_str("Acme|b")}};
    refuse(&s, "in a grammar");
    end(&s);
}

static void a_pattern_that_takes_too_long_is_refused(void **state)
{
    static const struct config_redaction bad[] = {{.name = "slow", .pattern = "(a*)*(a*)*b\\d"}};
    struct scene s = scene_of(bad, 1);
    (void)state;
    s.in = (struct chat_request){.text = slice_str("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab")};
    refuse(&s, "redaction 'SLOW' takes too long");
    assert_int_equal(s.err.code, ERR_UNSUPPORTED);
    end(&s);
}

// More of a text than the stack of compiled patterns holds.
static void a_find_may_be_long(void **state)
{
    static const struct config_redaction key[] = {
        {.name = "key", .pattern = "BEGIN(?:a|b|\\s)*?END"}};
    struct scene s = scene_of(key, 1);
    struct buf text = {0};
    (void)state;
    buf_text_add(&text, "BEGIN");
    for (int i = 0; i < 20000; i++)
        buf_text_add(&text, i % 60 ? i % 2 ? "a" : "b" : "\n");
    buf_text_add(&text, "END");
    begin_text(&s, buf_text(&text));
    is(s.out.text, "[KEY_1]");
    buf_release(&text);
    end(&s);
}

static void rules_that_are_none_are_refused(void **state)
{
    static const struct config_redaction bad[] = {{.name = "a", .pattern = "x"},
                                                  {.name = "b", .pattern = "(x"}};
    struct redaction_rules *r;
    struct redaction *made;
    struct error err;
    struct chat_request in = {.text = slice_str("ann@x.org")}, out;
    (void)state;
    size_t which = 0;
    assert_false(redaction_rules_new(bad, 2, &r, &which, &err));
    assert_int_equal(which, 1);
    assert_int_equal(err.code, ERR_FORMAT);
    assert_non_null(strstr(err.text, "redaction 'b': its pattern, at byte 2"));
    assert_true(redaction_rules_new(NULL, 0, &r, NULL, &err));
    assert_null(r);
    assert_true(redaction_begin(r, &in, NULL, &out, &made, &err));
    is(out.text, "ann@x.org");
    assert_null(made);
    assert_int_equal(redaction_n(made), 0);
}

// Long texts are looked at in windows: what lies over their edges is found like all else.
static void windows_have_no_edges(void **state)
{
    struct scene s = scene_of(rules, 3);
    (void)state;
    for (size_t at = 1180; at < 1280; at++) {
        struct buf text = {0}, expected = {0};
        for (size_t i = 0; i < at / 2; i++)
            buf_text_add(&text, i % 3 ? "é" : " ");  // 983 to 1,067 bytes
        buf_text_add(&text, at % 2 ? " " : "");
        buf_slice(&expected, buf_view(&text));
        buf_text_add(&text, " ann@x.org \n ann@x.org");
        buf_text_add(&expected, " [EMAIL_1] \n [EMAIL_1]");
        begin_text(&s, buf_text(&text));
        is(s.out.text, buf_text(&expected));
        buf_release(&text);
        buf_release(&expected);
    }
    end(&s);
}

// Random texts of what is near the rules and the placeholders.
static void write_random(struct buf *out, uint64_t *seed)
{
    static const char *const bits[] = {
        "Acme", " Corporation", "Zoë", "ann@x.org", "b@y.de",  "1234", " 5678",      "[",
        "]",    "EMAIL_1",      "WHO", "_1]",       "[WHO_1]", " ",    "\n",         "\"",
        "\\",   "a \"b\"\\\n",  "@",   ".",         "A",       "é",    "[EMAIL_B1_", "9012 3456"};
    size_t n = (*seed = hash_mix(*seed)) % 24;
    buf_clear(out);
    for (size_t i = 0; i < n; i++)
        buf_text_add(out, bits[(*seed = hash_mix(*seed)) % (sizeof bits / sizeof *bits)]);
}

static void check_nothing_found(struct scene *s, struct slice text)
{
    // A second redaction of what leaves: only a rule that finds placeholders may find something.
    struct redaction *again;
    struct chat_request in = {.text = text}, out;
    assert_true(redaction_begin(s->rules, &in, &s->arena, &out, &again, &s->err));
    if (!slice_eq(out.text, text))
        fail_msg("left in '%.*s': '%.*s'", (int)text.len, text.ptr, (int)out.text.len,
                 out.text.ptr);
    redaction_free(again);
}

// What any rule found is nowhere in the request, whoever serialises it, and the echo is the
// original, wherever it is cut.
static void random_texts_come_back_and_do_not_leave(void **state)
{
    struct scene s = scene_of(rules, 3);
    struct buf a = {0}, b = {0}, all = {0};
    uint64_t seed = 1;
    (void)state;
    for (int round = 0; round < 4000; round++) {
        write_random(&a, &seed);
        write_random(&b, &seed);
        json_t *raw = json_pack("{sss[{s{s{ss%}}}]}", "content", "x", "tool_calls", "function",
                                "arguments", "k", buf_text(&b), b.len);
        struct chat_message m[2] = {{.text = buf_view(&a)}, {.text = buf_view(&b), .raw = raw}};
        s.in = (struct chat_request){.messages = m, .n_messages = 2};
        begin(&s);
        check_nothing_found(&s, s.out.messages[0].text);
        buf_clear(&all);
        json_write(&all, s.out.messages[1].raw, JSON_STYLE_COMPACT);
        const char *arguments = strstr(buf_text(&all), "\"arguments\":") + 12;
        check_nothing_found(&s, s.out.messages[1].text);
        for (int i = 0; i < 3; i++) {
            buf_clear(&s.text[i]);
            buf_clear(&s.arguments[i]);
        }
        say_in_pieces(&s, CHAT_TEXT, 0, s.out.messages[0].text, seed);
        say_in_pieces(&s, CHAT_TEXT, 1, s.out.messages[1].text, seed + 1);
        say_in_pieces(&s, CHAT_TOOL_ARGUMENTS, 2, slice_str(arguments), seed + 2);
        say(&s, CHAT_DONE, 0, (struct slice){0});
        assert_true(slice_eq(buf_view(&s.text[0]), buf_view(&a)));
        assert_true(slice_eq(buf_view(&s.text[1]), buf_view(&b)));
        struct buf k = {0};
        buf_text_add(&k, "{\"k\":");
        json_write_text(&k, buf_view(&b));
        buf_text_add(&k, "}");
        assert_true(slice_eq(slice_sub(buf_view(&s.arguments[2]), 0, k.len), buf_view(&k)));
        buf_release(&k);
        json_decref(raw);
        if (round % 500 == 0)
            arena_release(&s.arena);
    }
    buf_release(&a);
    buf_release(&b);
    buf_release(&all);
    end(&s);
}

// Words against the plainest way of finding them.
static void many_words_are_found_as_if_each_were_searched(void **state)
{
    enum { N = 60 };
    static char texts[N][8];
    const char *list[N];
    uint64_t seed = 5;
    (void)state;
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < N; i++) {
            size_t n = 1 + (seed = hash_mix(seed)) % 5;
            for (size_t k = 0; k < n; k++)
                texts[i][k] = (char)('a' + (seed = hash_mix(seed)) % 4);
            texts[i][n] = 0;
            list[i] = texts[i];
        }
        struct config_redaction rule = {
            .name = "w", .words = list, .n_words = 1 + (size_t)round % N};
        struct scene s = scene_of(&rule, 1);
        char text[61] = "", found[61] = "";
        for (int i = 0; i < 60; i++)
            text[i] = (char)('a' + (seed = hash_mix(seed)) % 5);
        for (size_t w = 0; w < rule.n_words; w++)
            for (const char *at = text; (at = strstr(at, list[w])); at++)
                for (size_t k = 0; k < strlen(list[w]); k++)
                    found[at - text + (ptrdiff_t)k] = 1;
        begin_text(&s, text);
        char left[61] = "", expected[61] = "";
        size_t n = 0, e = 0, depth = 0;
        for (size_t i = 0; i < s.out.text.len; i++) {
            char c = s.out.text.ptr[i];
            depth += c == '[';
            if (!depth)
                left[n++] = c;
            depth -= c == ']';
        }
        for (int i = 0; i < 60; i++)
            if (!found[i])
                expected[e++] = text[i];
        assert_string_equal(left, expected);
        end(&s);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_same_text_gets_the_same_placeholder),
    cmocka_unit_test(overlapping_finds_are_one),
    cmocka_unit_test(a_text_like_a_placeholder_is_not_taken_for_one),
    cmocka_unit_test(nothing_is_left_for_a_second_look),
    cmocka_unit_test(what_is_cut_comes_back_whole),
    cmocka_unit_test(choices_and_kinds_do_not_mix),
    cmocka_unit_test(inside_of_json_it_is_escaped),
    cmocka_unit_test(a_stop_text_is_replaced_and_told_as_it_was),
    cmocka_unit_test(what_a_vendor_says_of_an_end_is_told_as_it_was),
    cmocka_unit_test(every_member_of_a_request_is_looked_into),
    cmocka_unit_test(what_cannot_be_replaced_does_not_leave),
    cmocka_unit_test(a_pattern_that_takes_too_long_is_refused),
    cmocka_unit_test(a_find_may_be_long),
    cmocka_unit_test(rules_that_are_none_are_refused),
    cmocka_unit_test(windows_have_no_edges),
    cmocka_unit_test(random_texts_come_back_and_do_not_leave),
    cmocka_unit_test(many_words_are_found_as_if_each_were_searched),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
