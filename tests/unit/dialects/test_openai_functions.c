// test_openai_functions.c - chat completions in the words from before tools: what they become, and
// answers in the same words.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../support/dialect_call.h"
#include "base/json.h"

#define PATH "/v1/chat/completions"
#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define FUNCTIONS                                                                                  \
    "\"functions\":[{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}},{\"name\":\"g\"}]"

static void functions_are_tools(void **state)
{
    (void)state;
    struct dialect_case d;
    dialect_case_begin(&d, "POST", PATH, "{" HI "," FUNCTIONS "}");
    assert_true(d.read);
    const struct chat_request *q = &d.call.request;
    struct buf out = {0};
    json_write(&out, q->tools, JSON_STYLE_COMPACT);
    assert_string_equal(buf_text(&out),
                        "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":"
                        "{\"type\":\"object\"}}},{\"type\":\"function\",\"function\":"
                        "{\"name\":\"g\"}}]");
    assert_true(q->one_tool_call && q->tool_choice == TOOLS_AUTO);
    // A vendor that gets the body's other members must not get both.
    assert_null(json_object_get(q->body, "functions"));
    buf_release(&out);
    dialect_case_end(&d);
    dialect_case_begin(&d, "POST", PATH, "{" HI "," FUNCTIONS ",\"function_call\":\"none\"}");
    assert_true(d.read && d.call.request.tool_choice == TOOLS_NONE);
    dialect_case_end(&d);
    dialect_case_begin(&d, "POST", PATH,
                       "{" HI "," FUNCTIONS ",\"function_call\":{\"name\":\"g\"}}");
    assert_true(d.read && d.call.request.tool_choice == TOOLS_NAMED);
    assert_string_equal(d.call.request.tool_name, "g");
    dialect_case_end(&d);
}

static void messages_of_functions_are_those_of_tools(void **state)
{
    (void)state;
    struct dialect_case d;
    dialect_case_begin(
        &d, "POST", PATH,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\",\"function_call\":null},"
        "{\"role\":\"assistant\",\"content\":null,\"function_call\":{\"name\":\"f\","
        "\"arguments\":\"{\\\"a\\\":1}\"}},{\"role\":\"function\",\"name\":\"f\","
        "\"content\":\"42\"}]}");
    assert_true(d.read);
    assert_string_equal(
        dialect_case_messages(&d),
        "[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":\"\","
        "\"tool_calls\":[{\"id\":\"call00000\",\"type\":\"function\",\"function\":{\"name\":\"f\","
        "\"arguments\":{\"a\":1}}}]},{\"role\":\"tool\",\"content\":\"42\",\"name\":\"f\","
        "\"tool_call_id\":\"call00000\"}]");
    dialect_case_end(&d);
}

static void say(struct dialect_case *d)
{
    struct chat_event events[] = {
        {.kind = CHAT_TOOL_CALL, .tool_id = "c1", .tool_name = "f"},
        {.kind = CHAT_TOOL_ARGUMENTS, .text = slice_str("{\"a\":")},
        {.kind = CHAT_TOOL_ARGUMENTS, .text = slice_str("1}")},
        // a vendor may not know that one was asked for
        {.kind = CHAT_TOOL_CALL, .tool_id = "c2", .tool_name = "g", .tool_index = 1},
        {.kind = CHAT_TOOL_ARGUMENTS, .text = slice_str("{}"), .tool_index = 1},
    };
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        dialect_case_event(d, &events[i]);
}

static void an_answer_has_one_function_call(void **state)
{
    (void)state;
    struct dialect_case d;
    dialect_case_begin(&d, "POST", PATH, "{" HI "," FUNCTIONS "}");
    say(&d);
    const char *text = dialect_case_finish(&d, CHAT_TOOL_CALLS, "");
    assert_non_null(strstr(text, "\"content\":null,\"refusal\":null,\"function_call\":{\"name\":"
                                 "\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}"));
    assert_non_null(strstr(text, "\"finish_reason\":\"function_call\""));
    assert_null(strstr(text, "tool_calls"));
    dialect_case_end(&d);
}

static void a_stream_has_it_in_pieces(void **state)
{
    static const char *const deltas[] = {
        "{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}",
        "{\"function_call\":{\"name\":\"f\",\"arguments\":\"\"}}",
        "{\"function_call\":{\"arguments\":\"{\\\"a\\\":\"}}",
        "{\"function_call\":{\"arguments\":\"1}\"}}",
        "{}",
    };
    (void)state;
    struct dialect_case d;
    dialect_case_begin(&d, "POST", PATH, "{" HI "," FUNCTIONS ",\"stream\":true}");
    say(&d);
    const char *at = dialect_case_finish(&d, CHAT_TOOL_CALLS, "");
    assert_non_null(strstr(at, "\"finish_reason\":\"function_call\""));
    for (size_t i = 0; i < sizeof deltas / sizeof *deltas; i++) {
        at = strstr(at, "\"delta\":");
        assert_non_null(at);
        at += strlen("\"delta\":");
        assert_memory_equal(at, deltas[i], strlen(deltas[i]));
    }
    assert_null(strstr(at, "\"delta\":"));
    dialect_case_end(&d);
}

static void what_is_wrong_is_named_as_it_was_sent(void **state)
{
    static const struct {
        const char *json, *member;
    } rows[] = {
        {"{" HI ",\"functions\":{}}", "functions"},
        {"{" HI ",\"functions\":[5]}", "functions[0]"},
        {"{" HI ",\"functions\":[{\"name\":\"f\"},{}]}", "functions[1].name"},
        {"{" HI "," FUNCTIONS ",\"function_call\":\"f\"}", "function_call"},
        {"{" HI "," FUNCTIONS ",\"function_call\":5}", "function_call"},
        {"{" HI "," FUNCTIONS ",\"function_call\":{\"name\":\"h\"}}", "function_call.name"},
        {"{" HI ",\"function_call\":{\"name\":\"f\"}}", "function_call.name"},
        {"{" HI "," FUNCTIONS ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}",
         "functions"},
        {"{\"messages\":[{\"role\":\"function\",\"content\":\"a\"}]}", "messages[0].name"},
        {"{\"messages\":[{\"role\":\"assistant\",\"function_call\":{}}]}",
         "messages[0].function_call.name"},
        {"{\"messages\":[{\"role\":\"assistant\",\"function_call\":{\"name\":\"f\","
         "\"arguments\":{}}}]}",
         "messages[0].function_call.arguments"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dialect_case d;
        dialect_case_begin(&d, "POST", PATH, rows[i].json);
        assert_false(d.read);
        assert_string_equal(d.err.member, rows[i].member);
        dialect_case_end(&d);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(functions_are_tools),
    cmocka_unit_test(messages_of_functions_are_those_of_tools),
    cmocka_unit_test(an_answer_has_one_function_call),
    cmocka_unit_test(a_stream_has_it_in_pieces),
    cmocka_unit_test(what_is_wrong_is_named_as_it_was_sent),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
