// test_responses.c - requests to /v1/responses read, answers written whole and as events; every
// refusal names its member.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "dialects/answer.h"
#include "dialects/dialect.h"
#include "../../support/dialect_call.h"

static const struct dialect *const dialect = &dialect_openai_responses;

static void read_request(struct dialect_case *r, const char *text)
{
    dialect_case_begin(r, "POST", "/v1/responses", text);
}

static void read_well(struct dialect_case *r, const char *text)
{
    read_request(r, text);
    if (!r->read)
        print_error("%s: %s\n", text, r->err.text);
    assert_true(r->read);
}

static void refused(const char *text, const char *member, enum dialect_problem problem)
{
    struct dialect_case r;
    read_request(&r, text);
    if (r.read || strcmp(r.err.member, member) != 0 || r.err.problem != problem)
        print_error("%s: member '%s', not '%s': %s\n", text, r.err.member, member, r.err.text);
    assert_false(r.read);
    assert_string_equal(r.err.member, member);
    assert_true(r.err.text[0]);
    assert_int_equal(r.err.problem, problem);
    dialect_case_end(&r);
}

// Reading

static void every_member_is_read(void **state)
{
    struct dialect_case r;
    (void)state;
    read_well(&r, "{\"model\":\"x\",\"input\":\"hi\",\"instructions\":\"Be brief.\","
                  "\"max_output_tokens\":7,\"temperature\":0.5,\"top_p\":0.25,\"top_logprobs\":3,"
                  "\"reasoning\":{\"effort\":\"low\"},\"chat_template_kwargs\":{\"a\":1},\"n\":2,"
                  "\"stream\":true,\"store\":true,\"truncation\":\"disabled\","
                  "\"parallel_tool_calls\":false,\"background\":false,\"conversation\":null}");
    const struct chat_request *q = &r.call.request;
    assert_string_equal(q->model, "x");
    assert_int_equal(q->n_messages, 2);
    assert_true(q->messages[0].role == ROLE_SYSTEM && slice_is(q->messages[0].text, "Be brief."));
    assert_true(q->messages[1].role == ROLE_USER && slice_is(q->messages[1].text, "hi"));
    assert_true(q->max_tokens == 7 && q->stream && q->one_tool_call && !q->tools);
    assert_true(q->sampling.temperature == 0.5f && q->sampling.top_p == 0.25f);
    assert_true(q->sampling.n_logprobs == 3 && q->sampling.n_choices == -1);
    assert_string_equal(json_get_text(q->extras, "reasoning_effort"), "low");
    assert_non_null(json_object_get(q->extras, "a"));
    dialect_case_end(&r);
}

static void items_become_messages(void **state)
{
    struct dialect_case r;
    (void)state;
    read_well(
        &r,
        "{\"instructions\":\"first\",\"input\":[{\"role\":\"developer\",\"content\":\"d\"},"
        "{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":"
        "\"a\"},{\"type\":\"input_text\",\"text\":\"b\"}]},"
        "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[],\"content\":[{\"type\":"
        "\"reasoning_text\",\"text\":\"hm\"}]},"
        "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\","
        "\"text\":\"see\"}]},"
        "{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"f\",\"arguments\":"
        "\"{\\\"x\\\":1}\"},"
        "{\"type\":\"function_call\",\"call_id\":\"c2\",\"name\":\"g\",\"arguments\":\"broken\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"one\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"c2\",\"output\":[{\"type\":"
        "\"input_text\",\"text\":\"two\"}]},"
        "{\"role\":\"assistant\",\"content\":\"done\"}]}");
    const struct chat_message *m = r.call.request.messages;
    assert_int_equal(r.call.request.n_messages, 6);
    assert_true(m[0].role == ROLE_DEVELOPER && slice_is(m[0].text, "first\nd"));
    assert_true(m[1].role == ROLE_USER && slice_is(m[1].text, "ab"));
    assert_true(m[2].role == ROLE_ASSISTANT && slice_is(m[2].text, "see"));
    assert_string_equal(json_get_text(m[2].raw, "reasoning_content"), "hm");
    const json_t *calls = json_object_get(m[2].raw, "tool_calls");
    assert_int_equal(json_array_size(calls), 2);
    const json_t *f = json_object_get(json_array_get(calls, 0), "function");
    assert_true(json_is_object(json_object_get(f, "arguments")));
    f = json_object_get(json_array_get(calls, 1), "function");
    assert_string_equal(json_get_text(f, "arguments"), "broken");
    assert_true(m[3].role == ROLE_TOOL && slice_is(m[3].text, "one"));
    assert_string_equal(json_get_text(m[4].raw, "tool_call_id"), "c2");
    assert_string_equal(json_get_text(m[4].raw, "name"), "g");
    assert_true(m[5].role == ROLE_ASSISTANT && slice_is(m[5].text, "done") && !m[5].raw);
    dialect_case_end(&r);
}

// Calls that follow calls whose thoughts lie between are messages of their own.
static void thoughts_begin_another_message(void **state)
{
    struct dialect_case r;
    (void)state;
    read_well(&r,
              "{\"input\":[{\"role\":\"user\",\"content\":\"q\"},"
              "{\"type\":\"function_call\",\"call_id\":\"1\",\"name\":\"f\",\"arguments\":\"\"},"
              "{\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"s\"}]},"
              "{\"type\":\"function_call\",\"call_id\":\"2\",\"name\":\"f\",\"arguments\":\"\"},"
              "{\"role\":\"assistant\",\"content\":\"and\"}]}");
    const struct chat_message *m = r.call.request.messages;
    assert_int_equal(r.call.request.n_messages, 4);
    assert_null(json_object_get(m[1].raw, "reasoning_content"));
    assert_string_equal(json_get_text(m[2].raw, "reasoning_content"), "s");
    assert_int_equal(json_array_size(json_object_get(m[2].raw, "tool_calls")), 1);
    assert_true(slice_is(m[3].text, "and"));
    dialect_case_end(&r);
}

static void many_messages_of_one_role_are_joined(void **state)
{
    enum { MANY = 16000 };
    struct dialect_case r;
    struct buf text = {0};
    (void)state;
    buf_text_add(&text, "{\"input\":[");
    for (int i = 0; i < MANY; i++)
        buf_printf(&text, "%s{\"role\":\"user\",\"content\":\"%d\"}", i ? "," : "", i % 10);
    buf_text_add(&text, "]}");
    read_well(&r, buf_text(&text));
    assert_int_equal(r.call.request.n_messages, 1);
    struct slice joined = r.call.request.messages[0].text;
    assert_int_equal(joined.len, 2 * MANY - 1);
    assert_memory_equal(joined.ptr, "0\n1\n2\n3", 7);
    assert_true(r.arena.used_bytes < (size_t)4 << 20);  // copies of copies would be 256 MB
    dialect_case_end(&r);
    buf_release(&text);
}

#define IN "\"input\":\"x\""
#define TOOLS                                                                                      \
    IN ",\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"strict\":true,"                        \
       "\"description\":\"d\",\"parameters\":{\"type\":\"object\"}}]"

static void tools_are_those_of_chats(void **state)
{
    struct dialect_case r;
    (void)state;
    read_well(&r, "{" TOOLS ",\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}}");
    assert_true(r.call.request.tool_choice == TOOLS_NAMED && !r.call.request.one_tool_call);
    assert_string_equal(r.call.request.tool_name, "f");
    const json_t *f = json_object_get(json_array_get(r.call.request.tools, 0), "function");
    assert_string_equal(json_get_text(f, "name"), "f");
    assert_string_equal(json_get_text(f, "description"), "d");
    assert_true(json_is_true(json_object_get(f, "strict")));
    assert_string_equal(json_get_text(json_object_get(f, "parameters"), "type"), "object");
    dialect_case_end(&r);
    read_well(&r, "{" TOOLS ",\"tool_choice\":\"required\"}");
    assert_int_equal(r.call.request.tool_choice, TOOLS_REQUIRED);
    dialect_case_end(&r);
    refused("{" IN ",\"tool_choice\":\"required\"}", "tool_choice", PROBLEM_REQUEST);
    refused("{" TOOLS ",\"tool_choice\":{\"type\":\"function\",\"name\":\"g\"}}",
            "tool_choice.name", PROBLEM_REQUEST);
    refused("{" TOOLS ",\"tool_choice\":{\"type\":\"file_search\"}}", "tool_choice.type",
            PROBLEM_UNSUPPORTED);
    refused("{" IN ",\"tools\":[{\"type\":\"web_search\"}]}", "tools[0].type", PROBLEM_UNSUPPORTED);
    refused("{" IN ",\"tools\":[{\"type\":\"function\"}]}", "tools[0].name", PROBLEM_REQUEST);
}

// Of two tools the one that is allowed stays.
static void some_tools_may_be_allowed(void **state)
{
#define TWO                                                                                        \
    "{" IN ",\"tools\":[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"function\","            \
    "\"name\":\"g\"}],\"tool_choice\":{\"type\":\"allowed_tools\""
#define G ",\"tools\":[{\"type\":\"function\",\"name\":\"g\"}]"
    static const struct {
        const char *json, *member;
        int choice;
    } rows[] = {
        {TWO ",\"mode\":\"required\"" G "}}", NULL, TOOLS_REQUIRED},
        {TWO ",\"mode\":\"auto\"" G "}}", NULL, TOOLS_AUTO},
        {TWO ",\"mode\":\"any\"" G "}}", "tool_choice.mode", 0},
        {TWO G "}}", "tool_choice.mode", 0},
        {TWO ",\"mode\":\"auto\"}}", "tool_choice.tools", 0},
        {TWO ",\"mode\":\"auto\",\"tools\":[]}}", "tool_choice.tools", 0},
        {TWO ",\"mode\":\"auto\",\"tools\":[1]}}", "tool_choice.tools[0]", 0},
        {TWO ",\"mode\":\"auto\",\"tools\":[{\"type\":\"function\",\"name\":\"h\"}]}}",
         "tool_choice.tools[0].name", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dialect_case r;
        if (rows[i].member) {
            refused(rows[i].json, rows[i].member, PROBLEM_REQUEST);
            continue;
        }
        read_well(&r, rows[i].json);
        const json_t *f = json_object_get(json_array_get(r.call.request.tools, 0), "function");
        assert_int_equal(r.call.request.tool_choice, rows[i].choice);
        assert_int_equal(json_array_size(r.call.request.tools), 1);
        assert_string_equal(json_get_text(f, "name"), "g");
        assert_true(r.call.request.known_tools);
        dialect_case_end(&r);
    }
    refused(TWO ",\"mode\":\"auto\",\"tools\":[{\"type\":\"mcp\"}]}}", "tool_choice.tools[0].type",
            PROBLEM_UNSUPPORTED);
}

static void formats_become_constraints(void **state)
{
    struct dialect_case r;
    (void)state;
    read_well(&r, "{" IN ",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\","
                  "\"schema\":{\"type\":\"integer\"}},\"verbosity\":\"low\"}}");
    assert_int_equal(r.call.request.constraint.kind, CONSTRAINT_JSON_SCHEMA);
    assert_string_equal(json_get_text(r.call.request.constraint.schema, "type"), "integer");
    dialect_case_end(&r);
    read_well(&r, "{" IN ",\"text\":{\"format\":{\"type\":\"json_object\"}}}");
    assert_int_equal(r.call.request.constraint.kind, CONSTRAINT_JSON_OBJECT);
    dialect_case_end(&r);
    read_well(&r, "{" IN ",\"text\":{}}");
    assert_int_equal(r.call.request.constraint.kind, CONSTRAINT_NONE);
    dialect_case_end(&r);
    refused("{" IN ",\"text\":{\"format\":{\"type\":\"json_schema\"}}}", "text.format.schema",
            PROBLEM_REQUEST);
    refused("{" IN ",\"text\":{\"format\":{\"type\":\"xml\"}}}", "text.format.type",
            PROBLEM_REQUEST);
}

static void what_needs_a_memory_is_refused(void **state)
{
    const enum dialect_problem no = PROBLEM_UNSUPPORTED;
    (void)state;
    refused("{" IN ",\"previous_response_id\":\"resp_1\"}", "previous_response_id", no);
    refused("{" IN ",\"conversation\":{\"id\":\"c\"}}", "conversation", no);
    refused("{" IN ",\"prompt\":{\"id\":\"p\"}}", "prompt", no);
    refused("{" IN ",\"background\":true}", "background", no);
    refused("{" IN ",\"truncation\":\"auto\"}", "truncation", no);
    refused("{\"input\":[{\"type\":\"item_reference\",\"id\":\"1\"}]}", "input[0].type", no);
    refused("{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\","
            "\"file_id\":\"x\"}]}]}",
            "input[0].content[0].type", no);
}

static void refusals_name_their_member(void **state)
{
    const enum dialect_problem bad = PROBLEM_REQUEST;
    (void)state;
    refused("{}", "input", bad);
    refused("{\"input\":[]}", "input", bad);
    refused("{\"input\":[{\"type\":\"reasoning\"}]}", "input", bad);
    refused("{\"input\":{}}", "input", bad);
    refused("{\"input\":[7]}", "input[0]", bad);
    refused("{\"input\":[{\"content\":\"x\"}]}", "input[0].role", bad);
    refused("{\"input\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "input[0].role", bad);
    refused("{\"input\":[{\"role\":\"user\"}]}", "input[0].content", bad);
    refused("{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\"}]}]}",
            "input[0].content[0].text", bad);
    refused("{\"input\":[{\"type\":\"function_call\",\"call_id\":\"1\",\"name\":\"f\"}]}",
            "input[0].arguments", bad);
    refused("{\"input\":[{\"type\":\"function_call_output\",\"call_id\":\"1\"}]}",
            "input[0].output", bad);
    refused("{" IN ",\"instructions\":[]}", "instructions", bad);
    refused("{" IN ",\"model\":5}", "model", bad);
    refused("{" IN ",\"temperature\":2.5}", "temperature", bad);
    refused("{" IN ",\"max_output_tokens\":0}", "max_output_tokens", bad);
    refused("{" IN ",\"top_logprobs\":21}", "top_logprobs", bad);
    refused("{" IN ",\"include\":[1]}", "include[0]", bad);
    refused("{" IN ",\"stream\":\"yes\"}", "stream", bad);
    refused("{" IN ",\"store\":1}", "store", bad);
    refused("{" IN ",\"metadata\":{\"a\":1}}", "metadata", bad);
    refused("{" IN ",\"reasoning\":{\"effort\":1}}", "reasoning.effort", bad);
}

// Writing

// Thoughts, text, two calls, text again; the first token has no text of its own, and one stands
// between the thoughts and the text.
static size_t play(struct dialect_case *r, struct dialect_answer *a, enum chat_finish finish,
                   struct buf *stream)
{
    const struct chat_token token = {.id = 1, .logprob = -0.5f, .bytes = slice_str("\"")};
    const struct chat_event events[] = {
        {.kind = CHAT_PROMPT},
        {.kind = CHAT_PROGRESS},
        {.kind = CHAT_TEXT, .tokens = &token, .n_tokens = 1},
        {.kind = CHAT_REASONING, .text = slice_str("h\n"), .tokens = &token, .n_tokens = 1},
        {.kind = CHAT_REASONING, .text = slice_str("m"), .tokens = &token, .n_tokens = 1},
        {.kind = CHAT_TEXT, .tokens = &token, .n_tokens = 1},
        {.kind = CHAT_TEXT, .text = slice_str("a\""), .tokens = &token, .n_tokens = 1},
        {.kind = CHAT_TEXT, .tokens = &token, .n_tokens = 1},
        {.kind = CHAT_TEXT, .text = slice_str("\xC3\xA9"), .tokens = &token, .n_tokens = 1},
        {.kind = CHAT_TOOL_CALL, .tool_id = "c1", .tool_name = "f"},
        {.kind = CHAT_TOOL_ARGUMENTS, .text = slice_str("{\"x\":")},
        {.kind = CHAT_TOOL_ARGUMENTS, .text = slice_str("1}")},
        {.kind = CHAT_TOOL_CALL, .tool_id = "c2", .tool_name = "g", .tool_index = 1},
        {.kind = CHAT_TEXT, .text = slice_str("end")},
        {.kind = CHAT_FINISH, .finish = finish},
        {.kind = CHAT_USAGE,
         .usage = {.prompt_tokens = 5,
                   .cached_tokens = 2,
                   .completion_tokens = 9,
                   .reasoning_tokens = 2}},
        {.kind = CHAT_DONE},
    };
    size_t n = sizeof events / sizeof *events;
    dialect_answer_init(a, 1, true);
    for (size_t i = 0; i < n; i++) {
        dialect_answer_add(a, &events[i]);
        dialect->write_event(&r->call, &events[i], stream);
    }
    return n;
}

static json_t *parsed(struct slice text)
{
    json_t *value = json_parse(text, NULL);
    if (!value)
        print_error("not JSON: %.*s\n", (int)text.len, text.ptr);
    assert_non_null(value);
    return value;
}

// The events of a stream, each checked for its name and number. A new array.
static json_t *events_of(struct buf *stream)
{
    json_t *list = json_array();
    char *at = stream->ptr, *end;
    while (at && (end = strstr(at, "\n\n"))) {
        char *data = strstr(at, "\ndata: ");
        assert_true(data && data < end && strncmp(at, "event: ", 7) == 0);
        json_t *o = parsed(slice_of(data + 7, (size_t)(end - data) - 7));
        const char *type = json_get_text(o, "type");
        int64_t number = -1;
        assert_non_null(type);
        assert_int_equal(strlen(type), data - at - 7);
        assert_memory_equal(type, at + 7, strlen(type));
        assert_true(json_get_i64(o, "sequence_number", &number));
        assert_int_equal(number, json_array_size(list));
        json_array_append_new(list, o);
        at = end + 2;
    }
    assert_true(at && !*at);
    return list;
}

static void types_are(const json_t *events, const char *wanted)
{
    struct buf types = {0};
    for (size_t i = 0; i < json_array_size(events); i++)
        buf_printf(&types, "%s ", json_get_text(json_array_get(events, i), "type"));
    assert_string_equal(buf_text(&types), wanted);
    buf_release(&types);
}

static const json_t *last_of(const json_t *list)
{
    return json_array_get(list, json_array_size(list) - 1);
}

#define MESSAGE_BEGINS "response.output_item.added response.content_part.added "
#define MESSAGE_ENDS                                                                               \
    "response.output_text.done response.content_part.done response.output_item.done "

static void events_come_in_their_order(void **state)
{
    struct dialect_case r;
    struct dialect_answer a;
    struct buf stream = {0};
    (void)state;
    read_well(&r, "{" IN ",\"stream\":true,\"top_logprobs\":1}");
    play(&r, &a, CHAT_TOOL_CALLS, &stream);
    json_t *events = events_of(&stream);
    types_are(events,
              "response.created response.in_progress " MESSAGE_BEGINS
              "response.reasoning_text.delta response.reasoning_text.delta "
              "response.reasoning_text.done response.content_part.done "
              "response.output_item.done " MESSAGE_BEGINS
              "response.output_text.delta response.output_text.delta "
              "response.output_text.delta " MESSAGE_ENDS
              "response.output_item.added response.function_call_arguments.delta "
              "response.function_call_arguments.delta response.function_call_arguments.done "
              "response.output_item.done "
              "response.output_item.added response.function_call_arguments.done "
              "response.output_item.done " MESSAGE_BEGINS "response.output_text.delta " MESSAGE_ENDS
              "response.completed ");
    json_decref(events);
    dialect_answer_release(&a);
    buf_release(&stream);
    dialect_case_end(&r);
}

// The items and logprobs that events tell, put together as a client does.
static json_t *items_of(const json_t *events)
{
    json_t *items = json_array();
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *e = json_array_get(events, i);
        int64_t index = -1;
        (void)json_get_i64(e, "output_index", &index);
        if (strcmp(json_get_text(e, "type"), "response.output_item.added") == 0)
            assert_int_equal(index, json_array_size(items));
        if (strcmp(json_get_text(e, "type"), "response.output_item.done") == 0)
            json_array_append(items, json_object_get(e, "item"));
    }
    return items;
}

static json_t *joined_logprobs(const json_t *events)
{
    json_t *all = json_array();
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *e = json_array_get(events, i);
        if (strcmp(json_get_text(e, "type"), "response.output_text.delta") == 0)
            json_array_extend(all, json_object_get(e, "logprobs"));
    }
    return all;
}

static void a_stream_ends_with_the_whole_answer(void **state)
{
    static const enum chat_finish finishes[] = {CHAT_TOOL_CALLS, CHAT_LENGTH};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct dialect_case r;
        struct dialect_answer a;
        struct buf stream = {0}, out = {0};
        read_well(&r, "{" IN ",\"include\":[\"message.output_text.logprobs\"]}");
        play(&r, &a, finishes[i], &stream);
        dialect->write_response(&r.call, &a, &out);
        json_t *whole = parsed(buf_view(&out)), *events = events_of(&stream);
        json_t *items = items_of(events), *logprobs = joined_logprobs(events);
        const json_t *end = last_of(events), *output = json_object_get(whole, "output");
        assert_string_equal(json_get_text(end, "type"),
                            i ? "response.incomplete" : "response.completed");
        assert_true(json_equal(json_object_get(end, "response"), whole));
        assert_true(json_equal(items, output));
        assert_int_equal(json_array_size(items), 5);
        const json_t *part =
            json_array_get(json_object_get(json_array_get(items, 1), "content"), 0);
        assert_true(json_equal(json_object_get(part, "logprobs"), logprobs));
        assert_int_equal(json_array_size(logprobs), 4);  // with the one that had no text before it
        json_decref(items);
        json_decref(logprobs);
        json_decref(events);
        json_decref(whole);
        dialect_answer_release(&a);
        buf_release(&stream);
        buf_release(&out);
        dialect_case_end(&r);
    }
}

static const json_t *part_of(const json_t *output, size_t i)
{
    return json_array_get(json_object_get(json_array_get(output, i), "content"), 0);
}

static void a_whole_answer(void **state)
{
    struct dialect_case r;
    struct dialect_answer a;
    struct buf stream = {0}, out = {0};
    int64_t n = 0;
    (void)state;
    read_well(&r, "{" TOOLS ",\"metadata\":{\"k\":\"v\"},\"instructions\":\"i\",\"store\":true}");
    play(&r, &a, CHAT_LENGTH, &stream);
    dialect->write_response(&r.call, &a, &out);
    json_t *o = parsed(buf_view(&out));
    const json_t *output = json_object_get(o, "output"), *usage = json_object_get(o, "usage");
    assert_string_equal(json_get_text(o, "id"), "resp_ID");
    assert_string_equal(json_get_text(o, "object"), "response");
    assert_string_equal(json_get_text(o, "status"), "incomplete");
    assert_string_equal(json_get_text(json_object_get(o, "incomplete_details"), "reason"),
                        "max_output_tokens");
    assert_true(json_is_false(json_object_get(o, "store")));
    assert_string_equal(json_get_text(json_object_get(o, "metadata"), "k"), "v");
    assert_string_equal(json_get_text(o, "instructions"), "i");
    assert_true(json_equal(json_object_get(o, "tools"), json_object_get(r.body, "tools")));
    assert_string_equal(json_get_text(part_of(output, 0), "text"), "h\nm");
    assert_string_equal(json_get_text(part_of(output, 0), "type"), "reasoning_text");
    assert_string_equal(json_get_text(part_of(output, 1), "text"), "a\"\xC3\xA9");
    assert_int_equal(json_array_size(json_object_get(part_of(output, 1), "logprobs")), 0);
    const json_t *call = json_array_get(output, 2);
    assert_string_equal(json_get_text(call, "call_id"), "c1");
    assert_string_equal(json_get_text(call, "arguments"), "{\"x\":1}");
    assert_string_equal(json_get_text(call, "status"), "completed");
    assert_string_equal(json_get_text(part_of(output, 4), "text"), "end");
    assert_string_equal(json_get_text(last_of(output), "status"), "incomplete");
    const json_t *in = json_object_get(usage, "input_tokens_details");
    assert_true(json_get_i64(in, "cached_tokens", &n) && n == 2);
    const json_t *made = json_object_get(usage, "output_tokens_details");
    assert_true(json_get_i64(made, "reasoning_tokens", &n) && n == 2);
    assert_true(json_get_i64(usage, "total_tokens", &n) && n == 14);
    json_decref(o);
    dialect_answer_release(&a);
    buf_release(&stream);
    buf_release(&out);
    dialect_case_end(&r);
}

static void write_events(struct dialect_case *r, const struct chat_event *events, size_t n,
                         struct buf *stream)
{
    for (size_t i = 0; i < n; i++)
        dialect->write_event(&r->call, &events[i], stream);
}

static void say(struct dialect_case *d, struct dialect_answer *a, const char *text, bool refusal,
                struct buf *stream)
{
    const struct chat_event e = {.kind = CHAT_TEXT, .text = slice_str(text), .refusal = refusal};
    dialect_answer_add(a, &e);
    dialect->write_event(&d->call, &e, stream);
}

static void finish_saying(struct dialect_case *d, struct dialect_answer *a, struct buf *stream)
{
    const struct chat_event events[] = {
        {.kind = CHAT_FINISH, .finish = CHAT_STOP}, {.kind = CHAT_USAGE}, {.kind = CHAT_DONE}};
    for (size_t i = 0; i < 3; i++) {
        dialect_answer_add(a, &events[i]);
        dialect->write_event(&d->call, &events[i], stream);
    }
}

// The parts as a client puts them together from deltas.
static json_t *joined_parts(const json_t *events)
{
    struct buf texts[2] = {{0}};
    json_t *parts = json_array();
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *e = json_array_get(events, i);
        const char *type = json_get_text(e, "type");
        int64_t at = -1;
        (void)json_get_i64(e, "content_index", &at);
        if (strcmp(type, "response.content_part.added") == 0) {
            assert_int_equal(at, json_array_size(parts));
            json_array_append(parts, json_object_get(e, "part"));
        } else if (strstr(type, ".delta")) {
            buf_text_add(&texts[at], json_get_text(e, "delta"));
        } else if (strstr(type, "text.done") || strstr(type, "refusal.done")) {
            const char *name = strstr(type, "refusal") ? "refusal" : "text";
            json_t *part = json_array_get(parts, (size_t)at);
            assert_int_equal(at, json_array_size(parts) - 1);
            assert_string_equal(json_get_text(e, name), buf_text(&texts[at]));
            assert_string_equal(json_get_text(part, name), "");
            json_object_set_new(part, name, json_string(buf_text(&texts[at])));
        } else if (strcmp(type, "response.content_part.done") == 0) {
            assert_true(json_equal(json_object_get(e, "part"), json_array_get(parts, (size_t)at)));
        }
    }
    buf_release(&texts[0]);
    buf_release(&texts[1]);
    return parts;
}

#define REFUSAL_ENDS "response.refusal.done response.content_part.done response.output_item.done "

// A vendor's model may refuse at once, or in the middle of what it says.
static void a_refusal_is_a_part_of_its_own(void **state)
{
    static const char *const types[] = {
        "response.created response.in_progress " MESSAGE_BEGINS
        "response.refusal.delta response.refusal.delta " REFUSAL_ENDS "response.completed ",
        "response.created response.in_progress " MESSAGE_BEGINS
        "response.output_text.delta response.output_text.done response.content_part.done "
        "response.content_part.added response.refusal.delta response.refusal.delta " REFUSAL_ENDS
        "response.completed "};
    (void)state;
    for (int before = 0; before < 2; before++) {
        struct dialect_case r;
        struct dialect_answer a;
        struct buf stream = {0}, out = {0};
        read_well(&r, "{" IN ",\"stream\":true}");
        dialect_answer_init(&a, 1, false);
        if (before)
            say(&r, &a, "Well. ", false, &stream);
        say(&r, &a, "I can", true, &stream);
        say(&r, &a, "not.", true, &stream);
        finish_saying(&r, &a, &stream);
        dialect->write_response(&r.call, &a, &out);
        json_t *events = events_of(&stream), *whole = parsed(buf_view(&out));
        json_t *items = items_of(events);
        types_are(events, types[before]);
        assert_true(json_equal(items, json_object_get(whole, "output")));
        assert_string_equal(json_get_text(whole, "status"), "completed");
        json_t *parts = joined_parts(events);
        assert_int_equal(json_array_size(parts), 1 + before);
        assert_string_equal(json_get_text(last_of(parts), "type"), "refusal");
        assert_string_equal(json_get_text(last_of(parts), "refusal"), "I cannot.");
        if (before)
            assert_string_equal(json_get_text(json_array_get(parts, 0), "text"), "Well. ");
        assert_true(json_equal(json_object_get(last_of(items), "content"), parts));
        json_decref(events);
        json_decref(parts);
        json_decref(whole);
        json_decref(items);
        dialect_answer_release(&a);
        buf_release(&stream);
        buf_release(&out);
        dialect_case_end(&r);
    }
}

static void an_answer_of_nothing_is_an_empty_message(void **state)
{
    const struct chat_event events[] = {
        {.kind = CHAT_FINISH, .finish = CHAT_STOP}, {.kind = CHAT_USAGE}, {.kind = CHAT_DONE}};
    struct dialect_case r;
    struct buf stream = {0};
    (void)state;
    read_well(&r, "{" IN "}");
    write_events(&r, events, 3, &stream);
    json_t *list = events_of(&stream);
    types_are(list, "response.created response.in_progress " MESSAGE_BEGINS MESSAGE_ENDS
                    "response.completed ");
    const json_t *output = json_object_get(json_object_get(last_of(list), "response"), "output");
    assert_string_equal(json_get_text(part_of(output, 0), "text"), "");
    json_decref(list);
    buf_release(&stream);
    dialect_case_end(&r);
}

static void a_failure_keeps_what_was_said(void **state)
{
    struct chat_event events[] = {{.kind = CHAT_TEXT, .text = slice_str("so far")},
                                  {.kind = CHAT_FINISH, .finish = CHAT_CANCELLED},
                                  {.kind = CHAT_ERROR}};
    struct dialect_case r;
    struct buf stream = {0};
    (void)state;
    (void)error_set(&events[2].error, ERR_INTERNAL, "it \"broke\"");
    read_well(&r, "{" IN "}");
    write_events(&r, events, 3, &stream);
    json_t *list = events_of(&stream);
    types_are(list, "response.created response.in_progress " MESSAGE_BEGINS
                    "response.output_text.delta response.failed ");
    const json_t *o = json_object_get(last_of(list), "response");
    assert_string_equal(json_get_text(o, "status"), "failed");
    assert_string_equal(json_get_text(json_object_get(o, "error"), "code"), "server_error");
    assert_string_equal(json_get_text(json_object_get(o, "error"), "message"), "it \"broke\"");
    assert_string_equal(json_get_text(part_of(json_object_get(o, "output"), 0), "text"), "so far");
    json_decref(list);
    buf_release(&stream);
    dialect_case_end(&r);
}

static void an_answer_too_large_to_hold_is_an_error(void **state)
{
    enum { PIECE = 1 << 20 };
    struct dialect_answer a;
    char *text = test_malloc(PIECE);
    (void)state;
    memset(text, 'x', PIECE);
    const struct chat_event e = {.kind = CHAT_TEXT, .text = slice_of(text, PIECE)};
    dialect_answer_init(&a, 1, false);
    for (int i = 0; i < ANSWER_BYTES_MAX / PIECE; i++)
        dialect_answer_add(&a, &e);
    assert_int_equal(a.error.code, ERR_NONE);
    for (int i = 0; i < 3; i++)
        dialect_answer_add(&a, &e);
    assert_int_equal(a.error.code, ERR_LIMIT);
    assert_int_equal(a.choices[0].text.len, ANSWER_BYTES_MAX);
    dialect_answer_release(&a);
    test_free(text);
}

static void tokens_of_a_request_are_counted(void **state)
{
    const struct dialect_route *route;
    struct slice matched;
    struct buf out = {0};
    bool other;
    (void)state;
    const struct dialect *d =
        dialect_find("POST", "/v1/responses/input_tokens", &route, &matched, &other);
    assert_ptr_equal(d, &dialect_openai_responses_count);
    assert_int_equal(route->action, DIALECT_COUNT);
    d->write_count(NULL, 12, &out);
    assert_string_equal(buf_text(&out),
                        "{\"object\":\"response.input_tokens\",\"input_tokens\":12}");
    buf_release(&out);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_member_is_read),
    cmocka_unit_test(items_become_messages),
    cmocka_unit_test(thoughts_begin_another_message),
    cmocka_unit_test(many_messages_of_one_role_are_joined),
    cmocka_unit_test(tools_are_those_of_chats),
    cmocka_unit_test(some_tools_may_be_allowed),
    cmocka_unit_test(formats_become_constraints),
    cmocka_unit_test(what_needs_a_memory_is_refused),
    cmocka_unit_test(refusals_name_their_member),
    cmocka_unit_test(events_come_in_their_order),
    cmocka_unit_test(a_stream_ends_with_the_whole_answer),
    cmocka_unit_test(a_whole_answer),
    cmocka_unit_test(a_refusal_is_a_part_of_its_own),
    cmocka_unit_test(an_answer_of_nothing_is_an_empty_message),
    cmocka_unit_test(a_failure_keeps_what_was_said),
    cmocka_unit_test(an_answer_too_large_to_hold_is_an_error),
    cmocka_unit_test(tokens_of_a_request_are_counted),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
