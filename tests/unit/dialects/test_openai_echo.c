// test_openai_echo.c - /v1/completions with echo: the prompt's text and its tokens' logprobs before
// the choice's own, in a stream as in a whole answer.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "../../support/dialect_call.h"

// A token without logprob stands first in its prompt; others have an alternative.
static struct chat_token token_of(const char *text, float logprob)
{
    static const struct chat_token top = {.logprob = -0.5f, .bytes = {"t", 1}};
    struct chat_token t = {.logprob = logprob, .bytes = slice_str(text), .top = &top, .n_top = 1};
    t.n_top = isnan(logprob) ? 0 : 1;
    return t;
}

static void tell(struct dialect_case *d, enum chat_event_kind kind, int choice, const char *token,
                 float logprob)
{
    struct chat_token t = token_of(token, logprob);
    struct chat_event e = {.kind = kind, .choice = choice, .tokens = &t, .n_tokens = 1};
    if (kind == CHAT_TEXT)
        e.text = t.bytes;
    dialect_case_event(d, &e);
}

static void tell_prompt(struct dialect_case *d, int choice, const char *const *tokens)
{
    for (size_t i = 0; tokens[i]; i++)
        tell(d, CHAT_PROMPT_TOKENS, choice, tokens[i], i ? -1.5f : NAN);
}

static void begin(struct dialect_case *d, const char *json)
{
    dialect_case_begin(d, "POST", "/v1/completions", json);
    if (!d->read)
        fail_msg("%s: %s", json, d->err.text);
}

struct joined {  // of one choice
    struct buf text;
    json_t *tokens, *logprobs, *tops, *offsets;
};

static void join_choice(struct joined *all, const json_t *choice)
{
    int64_t index = 0;
    (void)json_get_i64(choice, "index", &index);
    struct joined *j = &all[index];
    const json_t *l = json_object_get(choice, "logprobs");
    buf_text_add(&j->text, json_get_text(choice, "text"));
    json_array_extend(j->tokens, json_object_get(l, "tokens"));
    json_array_extend(j->logprobs, json_object_get(l, "token_logprobs"));
    json_array_extend(j->tops, json_object_get(l, "top_logprobs"));
    json_array_extend(j->offsets, json_object_get(l, "text_offset"));
}

// What came in all: the values of a stream, or the one of a whole answer.
static void join(const char *out, bool stream, struct joined *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        all[i] = (struct joined){.tokens = json_array(),
                                 .logprobs = json_array(),
                                 .tops = json_array(),
                                 .offsets = json_array()};
    for (const char *line = out, *end; line && *line; line = end + 2) {
        end = stream ? strstr(line, "\n\n") : line + strlen(line) - 2;
        struct slice value = slice_of(line, (size_t)(end - line) + (stream ? 0 : 2));
        if (stream)
            value = slice_sub(value, 6, value.len);
        if (slice_is(value, "[DONE]"))
            return;
        json_t *o = json_parse(value, NULL), *choices = json_object_get(o, "choices");
        assert_non_null(o);
        for (size_t i = 0; i < json_array_size(choices); i++)
            join_choice(all, json_array_get(choices, i));
        json_decref(o);
    }
}

static void release(struct joined *all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_release(&all[i].text);
        json_decref(all[i].tokens);
        json_decref(all[i].logprobs);
        json_decref(all[i].tops);
        json_decref(all[i].offsets);
    }
}

static void is_list(const json_t *list, const char *json)
{
    json_t *wanted = json_parse(slice_str(json), NULL);
    assert_non_null(wanted);
    if (!json_equal(list, wanted)) {
        char *text = json_dumps(list, JSON_COMPACT);
        fail_msg("%s, not %s", text, json);
    }
    json_decref(wanted);
}

static const char *body(char *out, size_t bytes, const char *members, bool stream)
{
    (void)snprintf(out, bytes, "{%s,\"echo\":true%s}", members, stream ? ",\"stream\":true" : "");
    return out;
}

// A token that begins texts covers nothing of the prompt, nor does a space that is not there.
static void a_text_with_its_tokens(void **state)
{
    static const char *const tokens[] = {"<s>", " one", " tw\xC3", "\xA9", NULL};
    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        struct dialect_case d;
        struct joined all[2];
        char text[200];
        begin(&d, body(text, sizeof text,
                       "\"prompt\":\"one tw\xC3\xA9\",\"n\":2,\"logprobs\":1,\"max_tokens\":2",
                       stream));
        assert_true(d.call.request.score_prompt);
        tell_prompt(&d, 0, tokens);
        tell(&d, CHAT_TEXT, 0, " a", -2);
        tell(&d, CHAT_TEXT, 1, " b", -4);
        tell(&d, CHAT_TEXT, 0, "c", -3);
        join(dialect_case_finish(&d, CHAT_LENGTH, NULL), stream, all, 2);
        assert_string_equal(buf_text(&all[0].text), "one tw\xC3\xA9 ac");
        assert_string_equal(buf_text(&all[1].text), "one tw\xC3\xA9 b");
        is_list(all[0].logprobs, "[null,-1.5,-1.5,-1.5,-2.0,-3.0]");
        is_list(all[1].logprobs, "[null,-1.5,-1.5,-1.5,-4.0]");
        is_list(all[0].tops, "[null,{\"t\":-0.5},{\"t\":-0.5},{\"t\":-0.5},{\"t\":-0.5},"
                             "{\"t\":-0.5}]");
        is_list(all[0].offsets, "[0,0,3,7,8,10]");
        is_list(all[1].offsets, "[0,0,3,7,8]");
        assert_string_equal(json_string_value(json_array_get(all[0].tokens, 0)), "<s>");
        assert_int_equal(json_array_size(all[1].tokens), 5);
        release(all, 2);
        dialect_case_end(&d);
    }
}

// Prompts of ids are shown as their tokens' bytes; without logprobs too.
static void ids_of_several_prompts(void **state)
{
    static const char *const first[] = {"x\xC3", "\xA9", "y", NULL};
    static const char *const second[] = {"z", NULL};
    (void)state;
    for (int stream = 0; stream < 2; stream++)
        for (int logprobs = 0; logprobs < 2; logprobs++) {
            struct dialect_case d;
            struct joined all[2];
            char text[200];
            begin(&d, body(text, sizeof text,
                           logprobs ? "\"prompt\":[[1,2,3],[4]],\"max_tokens\":0,\"logprobs\":0"
                                    : "\"prompt\":[[1,2,3],[4]],\"max_tokens\":0",
                           stream));
            assert_true(d.call.request.score_prompt);
            tell_prompt(&d, 1, second);
            tell_prompt(&d, 0, first);
            join(dialect_case_finish(&d, CHAT_LENGTH, NULL), stream, all, 2);
            assert_string_equal(buf_text(&all[0].text), "x\xC3\xA9y");
            assert_string_equal(buf_text(&all[1].text), "z");
            is_list(all[0].logprobs, logprobs ? "[null,-1.5,-1.5]" : "[]");
            is_list(all[0].offsets, logprobs ? "[0,2,3]" : "[]");
            is_list(all[1].logprobs, logprobs ? "[null]" : "[]");
            release(all, 2);
            dialect_case_end(&d);
        }
}

// A tokenizer may change a text; what is shown is the text as it came, and no offset is beyond it.
static void a_text_that_its_tokenizer_changed(void **state)
{
    static const char *const tokens[] = {"a", "bcd", "efg", NULL};
    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        struct dialect_case d;
        struct joined all[1];
        char text[200];
        begin(&d, body(text, sizeof text, "\"prompt\":\"aBCDE\",\"logprobs\":1", stream));
        tell_prompt(&d, 0, tokens);
        tell(&d, CHAT_TEXT, 0, "!", -2);
        join(dialect_case_finish(&d, CHAT_LENGTH, NULL), stream, all, 1);
        assert_string_equal(buf_text(&all[0].text), "aBCDE!");
        is_list(all[0].offsets, "[0,1,4,5]");
        release(all, 1);
        dialect_case_end(&d);
    }
}

// Nothing is scored that nobody asked for.
static void a_text_alone_needs_no_tokens(void **state)
{
    static const char *const bodies[] = {"{\"prompt\":\"a\",\"echo\":true}",
                                         "{\"prompt\":\"a\",\"logprobs\":1}", "{\"prompt\":[1]}"};
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct dialect_case d;
        begin(&d, bodies[i]);
        assert_false(d.call.request.score_prompt);
        dialect_case_end(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_with_its_tokens),
        cmocka_unit_test(ids_of_several_prompts),
        cmocka_unit_test(a_text_that_its_tokenizer_changed),
        cmocka_unit_test(a_text_alone_needs_no_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
