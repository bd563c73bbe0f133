// test_openai.c - requests of OpenAI's forms read, answers written; every refusal names its member.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "dialects/answer.h"
#include "dialects/dialect.h"
#include "dialects/members.h"

struct read {  // a request that was read
    const struct dialect *dialect;
    struct arena arena;
    json_t *body;
    struct dialect_call call;
    struct dialect_error error;
    bool ok;
};

static void read_with(struct read *r, const struct dialect *d, const char *text)
{
    *r = (struct read){.dialect = d, .body = json_parse(slice_str(text), NULL)};
    assert_non_null(r->body);
    dialect_call_init(&r->call, &r->arena);
    r->call.state = arena_alloc(&r->arena, 1, d->state_size);
    r->call.id = "1";
    r->call.created = 5;
    r->call.model = "m";
    struct http_request in = {.body = r->body};
    r->ok = d->read_request(&in, &r->call, &r->error);
}

static void release(struct read *r)
{
    dialect_call_release(&r->call);
    json_decref(r->body);
    arena_release(&r->arena);
}

static void refused(const struct dialect *d, const char *text, const char *member)
{
    struct read r;
    read_with(&r, d, text);
    if (r.ok || strcmp(r.error.member, member) != 0 || !r.error.text[0])
        print_error("%s: member '%s', not '%s': %s\n", text, r.error.member, member, r.error.text);
    assert_false(r.ok);
    assert_string_equal(r.error.member, member);
    assert_true(r.error.text[0]);
    release(&r);
}

#define M "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static void unset_members_stay_unset(void **state)
{
    struct read r;
    (void)state;
    read_with(&r, &dialect_openai_chat, "{" M ",\"temperature\":null,\"stop\":null,\"n\":null}");
    assert_true(r.ok);
    const struct chat_request *q = &r.call.request;
    assert_true(isnan(q->sampling.temperature) && isnan(q->sampling.top_p));
    assert_true(q->sampling.seed == -1 && q->sampling.n_choices == -1 && q->max_tokens == -1);
    assert_true(q->sampling.n_logprobs == -1 && !q->stream && !q->model && !q->tools);
    assert_int_equal(q->n_messages, 1);
    assert_true(slice_is(q->messages[0].text, "hi") && !q->messages[0].raw);
    release(&r);
}

static void every_member_is_read(void **state)
{
    struct read r;
    (void)state;
    read_with(&r, &dialect_openai_chat,
              "{" M ",\"model\":\"x\",\"temperature\":0.5,\"top_p\":1,\"min_p\":0.25,\"top_k\":-1,"
              "\"n\":3.0,\"seed\":-2,\"stop\":[\"a\",\"b\"],\"logit_bias\":{\"5\":-100},"
              "\"presence_penalty\":-2,\"frequency_penalty\":2,\"max_tokens\":7,"
              "\"max_completion_tokens\":9,\"logprobs\":true,\"top_logprobs\":4,\"stream\":true,"
              "\"reasoning_effort\":\"low\",\"chat_template_kwargs\":{\"a\":1}}");
    assert_true(r.ok);
    const struct chat_request *q = &r.call.request;
    const struct chat_sampling *s = &q->sampling;
    assert_string_equal(q->model, "x");
    assert_true(s->temperature == 0.5f && s->top_p == 1 && s->min_p == 0.25f && s->top_k == 0);
    assert_true(s->n_choices == 3 && s->seed == (INT64_MAX - 1) && s->n_logprobs == 4);
    assert_true(s->n_stops == 2 && slice_is(s->stops[1], "b"));
    assert_true(s->n_bias == 1 && s->bias_tokens[0] == 5 && s->bias_values[0] == -100);
    assert_true(s->presence_penalty == -2 && s->frequency_penalty == 2 && q->max_tokens == 9);
    assert_true(q->stream);
    assert_string_equal(json_get_text(q->extras, "reasoning_effort"), "low");
    assert_non_null(json_object_get(q->extras, "a"));
    release(&r);
}

static void messages_of_every_role(void **state)
{
    struct read r;
    (void)state;
    read_with(&r, &dialect_openai_chat,
              "{\"messages\":[{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
              "{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":\"assistant\",\"content\":null,"
              "\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
              "\"arguments\":\"{\\\"x\\\":1}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c1\","
              "\"content\":\"2\"}]}");
    assert_true(r.ok);
    const struct chat_message *m = r.call.request.messages;
    assert_true(m[0].role == ROLE_SYSTEM && slice_is(m[0].text, "ab") && !m[0].raw);
    const json_t *call = json_array_get(json_object_get(m[1].raw, "tool_calls"), 0);
    const json_t *arguments = json_object_get(json_object_get(call, "function"), "arguments");
    assert_true(json_is_object(arguments));  // templates write them themselves
    assert_true(m[2].role == ROLE_TOOL);
    assert_string_equal(json_get_text(m[2].raw, "tool_call_id"), "c1");
    assert_string_equal(json_get_text(m[2].raw, "content"), "2");
    release(&r);
}

// Of two tools the one that is allowed stays.
static void allowed_tools(void)
{
#define TWO                                                                                        \
    M ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}},"                         \
      "{\"type\":\"function\",\"function\":{\"name\":\"g\"}}],\"tool_choice\":{\"type\":"          \
      "\"allowed_tools\",\"allowed_tools\":"
#define G "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]"
    static const struct {
        const char *json, *member;
        enum chat_tool_choice choice;
    } rows[] = {{"{" TWO "{\"mode\":\"required\"," G "}}}", NULL, TOOLS_REQUIRED},
                {"{" TWO "{\"mode\":\"auto\"," G "}}}", NULL, TOOLS_AUTO},
                {"{" TWO "{\"mode\":\"any\"," G "}}}", "tool_choice.allowed_tools.mode", 0},
                {"{" TWO "{\"mode\":\"auto\"}}}", "tool_choice.allowed_tools.tools", 0},
                {"{" TWO "{\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"h\"}}]}}}",
                 "tool_choice.allowed_tools.tools[0]", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct read r;
        if (rows[i].member) {
            refused(&dialect_openai_chat, rows[i].json, rows[i].member);
            continue;
        }
        read_with(&r, &dialect_openai_chat, rows[i].json);
        assert_true(r.ok && r.call.request.tool_choice == rows[i].choice);
        assert_true(r.call.request.known_tools && json_array_size(r.call.request.tools) == 1);
        const json_t *function =
            json_object_get(json_array_get(r.call.request.tools, 0), "function");
        assert_string_equal(json_get_text(function, "name"), "g");
        release(&r);
    }
#undef TWO
#undef G
}

static void tool_choices(void **state)
{
    struct read r;
    (void)state;
#define TOOLS M ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"
    read_with(&r, &dialect_openai_chat, "{" TOOLS ",\"tool_choice\":\"required\"}");
    assert_true(r.ok && r.call.request.tool_choice == TOOLS_REQUIRED && r.call.request.tools);
    release(&r);
    read_with(&r, &dialect_openai_chat,
              "{" TOOLS ",\"parallel_tool_calls\":false,"
              "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}}");
    assert_true(r.ok && r.call.request.tool_choice == TOOLS_NAMED);
    assert_string_equal(r.call.request.tool_name, "f");
    assert_true(r.call.request.one_tool_call);
    release(&r);
    refused(&dialect_openai_chat, "{" TOOLS ",\"tool_choice\":\"some\"}", "tool_choice");
    allowed_tools();
    refused(&dialect_openai_chat, "{" M ",\"tool_choice\":\"required\"}", "tool_choice");
    refused(&dialect_openai_chat,
            "{" TOOLS ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}}}",
            "tool_choice.function.name");
    refused(&dialect_openai_chat, "{" M ",\"tools\":[{\"type\":\"function\"}]}",
            "tools[0].function");
}

static void refusals_name_their_member(void **state)
{
    const struct dialect *d = &dialect_openai_chat;
    (void)state;
    refused(d, "{}", "messages");
    refused(d, "{\"messages\":{}}", "messages");
    refused(d, "{\"messages\":[7]}", "messages[0]");
    refused(d, "{\"messages\":[{\"content\":\"x\"}]}", "messages[0].role");
    refused(d, "{\"messages\":[{\"role\":\"user\"}]}", "messages[0].content");
    refused(d, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}",
            "messages[0].content[0].text");
    refused(d, "{" M ",\"model\":5}", "model");
    refused(d, "{" M ",\"temperature\":true}", "temperature");
    refused(d, "{" M ",\"temperature\":2.5}", "temperature");
    refused(d, "{" M ",\"n\":1.5}", "n");
    refused(d, "{" M ",\"n\":65}", "n");
    refused(d, "{" M ",\"seed\":1e300}", "seed");
    refused(d, "{" M ",\"max_tokens\":0}", "max_tokens");
    refused(d, "{" M ",\"stop\":\"\"}", "stop");
    refused(d, "{" M ",\"stop\":[\"a\",3]}", "stop[1]");
    refused(d, "{" M ",\"stream\":\"yes\"}", "stream");
    refused(d, "{" M ",\"stream_options\":{\"include_usage\":1}}", "stream_options.include_usage");
    refused(d, "{" M ",\"logit_bias\":[]}", "logit_bias");
    refused(d, "{" M ",\"logit_bias\":{\"-1\":1}}", "logit_bias");
    refused(d, "{" M ",\"logit_bias\":{\"1\":101}}", "logit_bias");
    refused(d, "{" M ",\"top_logprobs\":3}", "top_logprobs");
    refused(d, "{" M ",\"response_format\":{\"type\":\"xml\"}}", "response_format.type");
    refused(d, "{" M ",\"response_format\":{\"type\":\"json_schema\"}}",
            "response_format.json_schema.schema");
    refused(d, "{" M ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":[]}}",
            "response_format.json_schema");
    d = &dialect_openai_completions;
    refused(d, "{}", "prompt");
    refused(d, "{\"prompt\":[1,\"x\"]}", "prompt[1]");
    refused(d, "{\"prompt\":[\"a\",5]}", "prompt[1]");
    refused(d, "{\"prompt\":[[1],[2,-3]]}", "prompt[1][1]");
    refused(d, "{\"prompt\":[\"a\",\"b\",\"c\"],\"n\":43}", "prompt");
    refused(d, "{\"prompt\":\"x\",\"best_of\":2}", "best_of");
    refused(d, "{\"prompt\":\"x\",\"suffix\":\"y\"}", "suffix");
    refused(d, "{\"prompt\":\"a\",\"max_tokens\":0,\"n\":2}", "max_tokens");
    refused(d, "{\"prompt\":\"a\",\"max_tokens\":-1}", "max_tokens");
}

static void formats_of_answers_become_constraints(void **state)
{
    struct read r;
    (void)state;
    read_with(&r, &dialect_openai_chat, "{" M ",\"response_format\":{\"type\":\"json_object\"}}");
    assert_true(r.ok);
    assert_int_equal(r.call.request.constraint.kind, CONSTRAINT_JSON_OBJECT);
    release(&r);
    read_with(&r, &dialect_openai_chat,
              "{" M
              ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
              "\"strict\":true,\"schema\":{\"type\":\"integer\"}}}}");
    assert_true(r.ok);
    assert_int_equal(r.call.request.constraint.kind, CONSTRAINT_JSON_SCHEMA);
    assert_string_equal(
        json_string_value(json_object_get(r.call.request.constraint.schema, "type")), "integer");
    release(&r);
    read_with(&r, &dialect_openai_chat, "{" M ",\"response_format\":{\"type\":\"text\"}}");
    assert_true(r.ok);
    assert_int_equal(r.call.request.constraint.kind, CONSTRAINT_NONE);
    release(&r);
}

static void other_servers_words_become_constraints(void **state)
{
    static const struct {
        const char *members;
        enum chat_constraint_kind kind;
        const char *text;
    } good[] = {
        {"\"grammar\":\"root ::= \\\"a\\\"\"", CONSTRAINT_GBNF, "root ::= \"a\""},
        {"\"grammar\":\"\",\"guided_json\":null", CONSTRAINT_NONE, NULL},
        {"\"guided_grammar\":\"g\"", CONSTRAINT_GBNF, "g"},
        {"\"guided_regex\":\"a+\"", CONSTRAINT_REGEX, "a+"},
        {"\"guided_choice\":[\"a\\\"b\",\"\\n\"]", CONSTRAINT_GBNF,
         "root ::= \"a\\\"b\" | \"\\x0A\""},
        {"\"guided_json\":{\"type\":\"null\"}", CONSTRAINT_JSON_SCHEMA, NULL},
        {"\"guided_json\":\"{\\\"type\\\":\\\"null\\\"}\"", CONSTRAINT_JSON_SCHEMA, NULL},
        {"\"json_schema\":{\"type\":\"null\"}", CONSTRAINT_JSON_SCHEMA, NULL},
        {"\"response_format\":{\"type\":\"json_object\",\"schema\":{\"type\":\"null\"}}",
         CONSTRAINT_JSON_SCHEMA, NULL},
        {"\"response_format\":{\"type\":\"json_object\",\"schema\":{}}", CONSTRAINT_JSON_OBJECT,
         NULL},
        {"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{}}}",
         CONSTRAINT_JSON_SCHEMA, NULL},
        {"\"structured_outputs\":{\"json\":{}}", CONSTRAINT_JSON_SCHEMA, NULL},
        {"\"structured_outputs\":{\"regex\":\"b\"}", CONSTRAINT_REGEX, "b"},
        {"\"structured_outputs\":{\"choice\":[\"c\"]}", CONSTRAINT_GBNF, "root ::= \"c\""},
        {"\"structured_outputs\":{\"grammar\":\"d\"}", CONSTRAINT_GBNF, "d"},
        {"\"structured_outputs\":{\"json_object\":true}", CONSTRAINT_JSON_OBJECT, NULL},
    };
    static const char *const bad[][2] = {
        {"\"grammar\":5", "grammar"},
        {"\"guided_json\":5", "guided_json"},
        {"\"json_schema\":5", "json_schema"},
        {"\"response_format\":{\"type\":\"json_object\",\"schema\":5}", "response_format.schema"},
        {"\"response_format\":{\"type\":\"xml\"}", "response_format.type"},
        {"\"guided_json\":\"{\"", "guided_json"},
        {"\"guided_choice\":[]", "guided_choice"},
        {"\"guided_choice\":[\"a\",1]", "guided_choice[1]"},
        {"\"guided_regex\":\"a\",\"guided_choice\":[\"a\"]", "guided_choice"},
        {"\"grammar\":\"a\",\"guided_grammar\":\"b\"", "guided_grammar"},
        {"\"structured_outputs\":[]", "structured_outputs"},
        {"\"structured_outputs\":{\"structural_tag\":\"x\"}", "structured_outputs"},
        {"\"structured_outputs\":{\"regex\":\"a\",\"grammar\":\"b\"}",
         "structured_outputs.grammar"},
    };
    static const struct {
        const struct dialect *dialect;
        const char *prompt;
    } at[] = {{&dialect_openai_chat, M}, {&dialect_openai_completions, "\"prompt\":\"x\""}};
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        char body[300];
        for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
            struct read r;
            (void)snprintf(body, sizeof body, "{%s,%s}", at[k].prompt, good[i].members);
            read_with(&r, at[k].dialect, body);
            const struct chat_constraint *c = &r.call.request.constraint;
            if (!r.ok || c->kind != good[i].kind ||
                (good[i].text && !slice_is(c->text, good[i].text)))
                fail_msg("%s: %d %.*s", body, (int)c->kind, (int)c->text.len, c->text.ptr);
            release(&r);
        }
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            (void)snprintf(body, sizeof body, "{%s,%s}", at[k].prompt, bad[i][0]);
            refused(at[k].dialect, body, bad[i][1]);
        }
    }
    refused(&dialect_openai_chat,
            "{" M ",\"response_format\":{\"type\":\"json_object\"},\"guided_regex\":\"a\"}",
            "guided_regex");
}

static void prompts_of_every_form(void **state)
{
    struct read r;
    (void)state;
    read_with(&r, &dialect_openai_completions, "{\"prompt\":[\"text\"],\"logprobs\":0}");
    assert_true(r.ok && r.call.request.input == INPUT_TEXT);
    assert_true(slice_is(r.call.request.text, "text") && r.call.request.sampling.n_logprobs == 0);
    release(&r);
    read_with(&r, &dialect_openai_completions, "{\"prompt\":[[4,5]]}");
    assert_true(r.ok && r.call.request.input == INPUT_TOKENS && r.call.request.n_tokens == 2);
    assert_int_equal(r.call.request.tokens[1], 5);
    assert_int_equal(r.call.request.n_prompts, 0);
    release(&r);
    read_with(&r, &dialect_openai_completions, "{\"prompt\":[\"text\",[4,5],\"\"],\"n\":42}");
    const struct chat_prompt *p = r.call.request.prompts;
    assert_true(r.ok && r.call.request.n_prompts == 3);
    assert_true(p[0].input == INPUT_TEXT && slice_is(p[0].text, "text"));
    assert_true(p[1].input == INPUT_TOKENS && p[1].n_tokens == 2 && p[1].tokens[0] == 4);
    assert_true(p[2].input == INPUT_TEXT && p[2].text.len == 0);
    release(&r);
}

// An answer of two choices, whose texts hold what JSON must escape.
static void play(struct read *r, struct dialect_answer *a, struct buf *stream)
{
    const struct chat_token top = {.id = 1, .logprob = -0.5f, .bytes = slice_str("\"")};
    const struct chat_token token = {
        .id = 1, .logprob = -0.5f, .bytes = slice_str("\""), .top = &top, .n_top = 1};
    const struct chat_event events[] = {
        {.kind = CHAT_PROMPT},
        {.kind = CHAT_TEXT, .text = slice_str("a\"\n"), .tokens = &token, .n_tokens = 1},
        {.kind = CHAT_TEXT, .choice = 1, .text = slice_str("\xC3\xA9")},
        {.kind = CHAT_TOOL_CALL, .choice = 1, .tool_id = "c1", .tool_name = "f"},
        {.kind = CHAT_TOOL_ARGUMENTS, .choice = 1, .text = slice_str("{\"x\":")},
        {.kind = CHAT_TOOL_ARGUMENTS, .choice = 1, .text = slice_str("1}")},
        {.kind = CHAT_TEXT, .text = slice_str("b")},
        {.kind = CHAT_FINISH, .finish = CHAT_LENGTH},
        {.kind = CHAT_FINISH, .choice = 1, .finish = CHAT_TOOL_CALLS},
        {.kind = CHAT_USAGE,
         .usage = {.prompt_tokens = 5, .cached_tokens = 2, .completion_tokens = 3}},
        {.kind = CHAT_DONE},
    };
    dialect_answer_init(a, 2, true);
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        dialect_answer_add(a, &events[i]);
        r->dialect->write_event(&r->call, &events[i], stream);
    }
}

static json_t *parsed(const struct buf *text)
{
    json_t *value = json_parse(buf_view(text), NULL);
    if (!value)
        print_error("not JSON: %s\n", buf_text(text));
    assert_non_null(value);
    return value;
}

static const json_t *choice_of(const json_t *o, size_t i)
{
    return json_array_get(json_object_get(o, "choices"), i);
}

static void a_whole_answer(void **state)
{
    struct read r;
    struct dialect_answer a;
    struct buf stream = {0}, out = {0};
    (void)state;
    read_with(&r, &dialect_openai_chat, "{" M ",\"n\":2,\"logprobs\":true,\"top_logprobs\":1}");
    play(&r, &a, &stream);
    r.dialect->write_response(&r.call, &a, &out);
    json_t *o = parsed(&out);
    assert_string_equal(json_get_text(o, "object"), "chat.completion");
    const json_t *first = json_object_get(choice_of(o, 0), "message");
    const json_t *second = json_object_get(choice_of(o, 1), "message");
    assert_string_equal(json_get_text(first, "content"), "a\"\nb");
    assert_string_equal(json_get_text(second, "content"), "\xC3\xA9");
    const json_t *call = json_array_get(json_object_get(second, "tool_calls"), 0);
    assert_string_equal(json_get_text(json_object_get(call, "function"), "arguments"), "{\"x\":1}");
    assert_string_equal(json_get_text(choice_of(o, 0), "finish_reason"), "length");
    assert_string_equal(json_get_text(choice_of(o, 1), "finish_reason"), "tool_calls");
    const json_t *content =
        json_object_get(json_object_get(choice_of(o, 0), "logprobs"), "content");
    assert_int_equal(json_array_size(content), 1);
    int64_t total = 0;
    assert_true(json_get_i64(json_object_get(o, "usage"), "total_tokens", &total) && total == 8);
    json_decref(o);
    dialect_answer_release(&a);
    buf_release(&out);
    buf_release(&stream);
    release(&r);
}

// Calls `each` with every value of a stream; the last line must be [DONE].
static size_t each_chunk(struct buf *stream, void (*each)(const json_t *o, void *self), void *self)
{
    size_t n = 0;
    char *line = stream->ptr, *end;
    while ((end = strstr(line, "\n\n"))) {
        assert_memory_equal(line, "data: ", 6);
        if (strncmp(line, "data: [DONE]", 12) == 0) {
            assert_string_equal(end, "\n\n");
            return n;
        }
        json_t *o = json_parse(slice_of(line + 6, (size_t)(end - line) - 6), NULL);
        assert_non_null(o);
        each(o, self);
        json_decref(o);
        line = end + 2;
        n++;
    }
    fail_msg("no [DONE]");
    return n;
}

static void join_chunk(const json_t *o, void *self)
{
    struct buf *texts = self;
    int64_t index = 0;
    const json_t *choice = choice_of(o, 0);
    if (!choice)
        return;
    (void)json_get_i64(choice, "index", &index);
    const json_t *delta = json_object_get(choice, "delta");
    const char *text = json_get_text(delta ? delta : choice, delta ? "content" : "text");
    if (text)
        buf_text_add(&texts[index], text);
}

static void a_stream_joins_to_the_whole(void **state)
{
    static const struct dialect *const both[] = {&dialect_openai_chat, &dialect_openai_completions};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct read r;
        struct dialect_answer a;
        struct buf stream = {0}, texts[2] = {{0}};
        read_with(&r, both[i],
                  "{" M ",\"prompt\":\"p\",\"n\":2,\"stream_options\":{\"include_usage\":true}}");
        assert_true(r.ok);
        play(&r, &a, &stream);
        size_t n = each_chunk(&stream, join_chunk, texts);
        // texts, finishes, usage; in a chat also roles and a tool call with two parts
        assert_int_equal(n, i == 0 ? 3 + 2 + 1 + 2 + 3 : 3 + 2 + 1);
        assert_string_equal(buf_text(&texts[0]), "a\"\nb");
        assert_string_equal(buf_text(&texts[1]), "\xC3\xA9");
        dialect_answer_release(&a);
        buf_release(&stream);
        buf_release(&texts[0]);
        buf_release(&texts[1]);
        release(&r);
    }
}

static void an_echo_comes_first(void **state)
{
    struct read r;
    struct dialect_answer a;
    struct buf stream = {0}, out = {0}, texts[2] = {{0}};
    (void)state;
    read_with(&r, &dialect_openai_completions, "{\"prompt\":[\"p\",\"q\"],\"echo\":true}");
    play(&r, &a, &stream);
    (void)each_chunk(&stream, join_chunk, texts);
    assert_string_equal(buf_text(&texts[0]), "pa\"\nb");
    assert_string_equal(buf_text(&texts[1]), "q\xC3\xA9");
    r.dialect->write_response(&r.call, &a, &out);
    json_t *o = parsed(&out);
    assert_string_equal(json_get_text(choice_of(o, 0), "text"), "pa\"\nb");
    assert_string_equal(json_get_text(choice_of(o, 1), "text"), "q\xC3\xA9");
    json_decref(o);
    dialect_answer_release(&a);
    buf_release(&stream);
    buf_release(&out);
    buf_release(&texts[0]);
    buf_release(&texts[1]);
    release(&r);
}

static void every_problem_has_status_and_shape(void **state)
{
    (void)state;
    for (int p = 0; p < PROBLEM_COUNT; p++) {
        struct dialect_error err = {0};
        struct buf out = {0};
        (void)dialect_refuse(&err, (enum dialect_problem)p, "a", "\"quoted\" \xFF");
        int status = dialect_openai_chat.write_error(&err, &out);
        assert_true(status >= 400 && status < 600);
        json_t *o = parsed(&out);
        const json_t *e = json_object_get(o, "error");
        assert_non_null(json_get_text(e, "message"));
        assert_non_null(json_get_text(e, "type"));
        assert_string_equal(json_get_text(e, "param"), "a");
        json_decref(o);
        buf_release(&out);
    }
}

static void a_body_too_large_for_a_vendor_is_413(void **state)
{
    static const struct {
        struct error from;
        int status;
    } cases[] = {{{.code = ERR_USAGE, .status = 413, .text = "openai: too large (413)"}, 413},
                 {{.code = ERR_USAGE, .status = 422, .text = "openai: no (422)"}, 400},
                 {{.code = ERR_CONTEXT, .status = 413, .text = "openai: too long (413)"}, 400}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dialect_error err = {0};
        struct buf out = {0};
        (void)dialect_refuse_error(&err, &cases[i].from);
        assert_int_equal(dialect_openai_chat.write_error(&err, &out), cases[i].status);
        buf_release(&out);
    }
}

static void accounts_and_vendors_have_their_own_errors(void **state)
{
    static const struct {
        enum dialect_problem problem;
        int status;
        const char *type, *code;
    } rows[] = {{PROBLEM_KEY, 401, "invalid_request_error", "invalid_api_key"},
                {PROBLEM_FORBIDDEN, 403, "invalid_request_error", "insufficient_permissions"},
                {PROBLEM_RATE, 429, "requests", "rate_limit_exceeded"},
                {PROBLEM_BUDGET, 429, "insufficient_quota", "insufficient_quota"},
                {PROBLEM_UPSTREAM, 502, "server_error", "upstream_error"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dialect_error err = {0};
        struct buf out = {0};
        (void)dialect_refuse(&err, rows[i].problem, NULL, "so");
        assert_int_equal(dialect_openai_responses.write_error(&err, &out), rows[i].status);
        json_t *o = parsed(&out);
        const json_t *e = json_object_get(o, "error");
        assert_string_equal(json_get_text(e, "type"), rows[i].type);
        assert_string_equal(json_get_text(e, "code"), rows[i].code);
        json_decref(o);
        buf_release(&out);
    }
}

static void errors_from_below_name_the_clients_members(void **state)
{
    static const struct {
        const char *text, *member, *said;
    } rows[] = {
        {"logit_bias: 9 is no token", "logit_bias", "logit_bias: 9 is no token"},
        {"logit_biased", "", "logit_biased"},
        {"'messages[2].content[1].type': only texts", "input[0].content[3].type",
         "'input[0].content[3].type': only texts"},
        {"'messages[2]' is long", "", "'messages[2]' is long"},
    };
    struct arena arena = {0};
    struct dialect_call c;
    (void)state;
    dialect_call_init(&c, &arena);
    dialect_note_media(&c, "input[0].content[3]", "type");
    dialect_note_media(&c, "input[5]", "type");  // the first counts
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dialect_error err = {0};
        struct error from = {.code = ERR_UNSUPPORTED};
        (void)snprintf(from.text, sizeof from.text, "%s", rows[i].text);
        assert_false(dialect_refuse_call(&c, &err, &from));
        assert_string_equal(err.member, rows[i].member);
        assert_string_equal(err.text, rows[i].said);
        assert_int_equal(err.problem, PROBLEM_UNSUPPORTED);
    }
    arena_release(&arena);
}

// A form that does not compile is told with the member that it came in.
static void a_form_that_fails_has_its_member(void **state)
{
    static const char schema[] = "schema: \"not\" at #: no", regex[] = "regular expression: no",
                      grammar[] = "grammar: line 1: no";
    static const struct {
        const struct dialect *dialect;
        const char *body, *why, *member;
    } rows[] = {
        {&dialect_openai_chat, "{" M ",\"guided_regex\":\"(\"}", regex, "guided_regex"},
        {&dialect_openai_chat, "{" M ",\"grammar\":\"x\"}", grammar, "grammar"},
        {&dialect_openai_chat, "{" M ",\"guided_json\":{}}", schema, "guided_json"},
        {&dialect_openai_chat, "{" M ",\"structured_outputs\":{\"regex\":\"(\"}}", regex,
         "structured_outputs.regex"},
        {&dialect_openai_completions, "{\"prompt\":\"a\",\"guided_choice\":[\"a\"]}", grammar,
         "guided_choice"},
        {&dialect_openai_chat,
         "{" M ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{}}}}",
         schema, "response_format.json_schema.schema"},
        {&dialect_openai_responses,
         "{\"input\":\"a\",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\","
         "\"schema\":{}}}}",
         schema, "text.format.schema"},
        {&dialect_openai_chat, "{" M ",\"guided_json\":{}}", "tool 'f': schema: no", ""},
        {&dialect_openai_chat, "{" M "}", schema, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct read r;
        struct dialect_error err = {0};
        struct error from = {.code = ERR_UNSUPPORTED};
        (void)snprintf(from.text, sizeof from.text, "%s", rows[i].why);
        read_with(&r, rows[i].dialect, rows[i].body);
        assert_true(r.ok);
        assert_false(dialect_refuse_call(&r.call, &err, &from));
        assert_string_equal(err.member, rows[i].member);
        assert_non_null(strstr(err.text, rows[i].why));
        assert_int_equal(err.problem, PROBLEM_UNSUPPORTED);
        release(&r);
    }
}

static void numbers_that_are_too_large_are_told_so(void **state)
{
    static const char *const seeds[] = {"9223372036854775808", "18446744073709551615", "-1e19"};
    struct read r;
    (void)state;
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        char body[160];
        (void)snprintf(body, sizeof body, "{" M ",\"seed\":%s}", seeds[i]);
        read_with(&r, &dialect_openai_chat, body);
        assert_false(r.ok);
        assert_string_equal(r.error.member, "seed");
        assert_non_null(strstr(r.error.text, "which is not from -9223372036854775808 to "
                                             "9223372036854775807"));
        release(&r);
    }
    read_with(&r, &dialect_openai_chat, "{" M ",\"seed\":1e17}");
    assert_true(r.ok && r.call.request.sampling.seed == INT64_C(100000000000000000));
    release(&r);
}

static void routes_are_found(void **state)
{
    const struct dialect_route *route;
    struct slice matched;
    bool other;
    (void)state;
    assert_ptr_equal(dialect_find("POST", "/v1/chat/completions", &route, &matched, &other),
                     &dialect_openai_chat);
    assert_ptr_equal(dialect_find("GET", "/v1/models/a/b", &route, &matched, &other),
                     &dialect_openai_models);
    assert_true(slice_is(matched, "a/b") && route->action == DIALECT_MODEL);
    assert_null(dialect_find("GET", "/v1/models/", &route, &matched, &other));
    assert_false(other);
    assert_null(dialect_find("DELETE", "/v1/models", &route, &matched, &other));
    assert_true(other);
    assert_non_null(dialect_guess("/nothing"));
    assert_true(dialect_query_is(slice_str("a=b&alt=sse"), "alt", "sse"));
    assert_false(dialect_query_is(slice_str("xalt=sse&alt=ssex"), "alt", "sse"));
    assert_false(dialect_query_is(slice_str(""), "alt", "sse"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(errors_from_below_name_the_clients_members),
    cmocka_unit_test(a_form_that_fails_has_its_member),
    cmocka_unit_test(numbers_that_are_too_large_are_told_so),
    cmocka_unit_test(formats_of_answers_become_constraints),
    cmocka_unit_test(unset_members_stay_unset),
    cmocka_unit_test(every_member_is_read),
    cmocka_unit_test(messages_of_every_role),
    cmocka_unit_test(tool_choices),
    cmocka_unit_test(refusals_name_their_member),
    cmocka_unit_test(other_servers_words_become_constraints),
    cmocka_unit_test(prompts_of_every_form),
    cmocka_unit_test(a_whole_answer),
    cmocka_unit_test(a_stream_joins_to_the_whole),
    cmocka_unit_test(an_echo_comes_first),
    cmocka_unit_test(every_problem_has_status_and_shape),
    cmocka_unit_test(a_body_too_large_for_a_vendor_is_413),
    cmocka_unit_test(accounts_and_vendors_have_their_own_errors),
    cmocka_unit_test(routes_are_found),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
