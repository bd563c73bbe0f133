// test_responses_answers.c - answers of /v1/responses, written whole and as events.
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

#define IN "\"input\":\"x\""
#define TOOLS                                                                                      \
    IN ",\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"strict\":true,"                        \
       "\"description\":\"d\",\"parameters\":{\"type\":\"object\"}}]"

static void read_well(struct dialect_case *r, const char *text)
{
    dialect_case_read(r, "/v1/responses", text);
}

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

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(events_come_in_their_order),
    cmocka_unit_test(a_stream_ends_with_the_whole_answer),
    cmocka_unit_test(a_whole_answer),
    cmocka_unit_test(a_refusal_is_a_part_of_its_own),
    cmocka_unit_test(an_answer_of_nothing_is_an_empty_message),
    cmocka_unit_test(a_failure_keeps_what_was_said),
    cmocka_unit_test(an_answer_too_large_to_hold_is_an_error),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
