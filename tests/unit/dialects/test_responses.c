// test_responses.c - requests to /v1/responses are read; every refusal names its member.
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

static void read_request(struct dialect_case *r, const char *text)
{
    dialect_case_begin(r, "POST", "/v1/responses", text);
}

static void read_well(struct dialect_case *r, const char *text)
{
    dialect_case_read(r, "/v1/responses", text);
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
    cmocka_unit_test(tokens_of_a_request_are_counted),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
