// test_anthropic.c - what Anthropic's requests become, and answers in its words, byte by byte.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../support/dialect_call.h"

#define PATH "/v1/messages"
#define HEAD "\"model\":\"m\",\"max_tokens\":9,"
#define HI HEAD "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define TOOLS                                                                                      \
    "\"tools\":[{\"name\":\"f\",\"description\":\"does\",\"input_schema\":{\"type\":\"object\"}}]"

static void conversations_become_messages_of_templates(void **state)
{
    (void)state;
    struct dialect_case d;
    dialect_case_begin(
        &d, "POST", PATH "?beta=true",
        "{" HEAD "\"system\":[{\"type\":\"text\",\"text\":\"be kind\",\"cache_control\":{\"type\":"
        "\"ephemeral\"}},{\"type\":\"text\",\"text\":\"and short\"}],"
        "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"user\",\"content\":"
        "[{\"type\":\"text\",\"text\":\"there\"}]},"
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\","
        "\"signature\":\"\"},{\"type\":\"redacted_thinking\",\"data\":\"x\"},"
        "{\"type\":\"text\",\"text\":\"I look\"},{\"type\":\"tool_use\",\"id\":\"toolu_1\","
        "\"name\":\"f\",\"input\":{\"a\":[1]}}]},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"toolu_1\","
        "\"content\":[{\"type\":\"text\",\"text\":\"42\"}],\"is_error\":false},"
        "{\"type\":\"text\",\"text\":\"so?\"}]},{\"role\":\"assistant\",\"content\":\"yes\"},"
        "{\"role\":\"system\",\"content\":\"now short\"}]}");
    if (!d.read)
        fail_msg("%s", d.err.text);
    assert_string_equal(
        dialect_case_messages(&d),
        "[{\"role\":\"system\",\"content\":\"be kind\\nand short\"},"
        "{\"role\":\"user\",\"content\":\"hi\\nthere\"},"
        "{\"role\":\"assistant\",\"content\":\"I look\",\"reasoning_content\":\"hm\","
        "\"tool_calls\":[{\"id\":\"toolu_1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
        "\"arguments\":{\"a\":[1]}}}]},"
        "{\"role\":\"tool\",\"content\":\"42\",\"tool_call_id\":\"toolu_1\",\"name\":\"f\"},"
        "{\"role\":\"user\",\"content\":\"so?\"},{\"role\":\"assistant\",\"content\":\"yes\"},"
        "{\"role\":\"system\",\"content\":\"now short\"}]");
    dialect_case_end(&d);
}

static void settings_and_tools_are_read(void **state)
{
    (void)state;
    struct dialect_case d;
    dialect_case_begin(&d, "POST", PATH,
                       "{" HI "," TOOLS ",\"temperature\":0.5,\"top_p\":0.25,\"top_k\":7,"
                       "\"stop_sequences\":[\"a\",\"b\"],\"metadata\":{\"user_id\":\"u\"},"
                       "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024},"
                       "\"output_config\":{\"effort\":\"max\"},"
                       "\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\","
                       "\"disable_parallel_tool_use\":true}}");
    const struct chat_request *r = &d.call.request;
    assert_true(d.read);
    assert_string_equal(r->model, "m");
    assert_int_equal(r->max_tokens, 9);
    assert_true(r->sampling.temperature == 0.5f && r->sampling.top_p == 0.25f);
    assert_int_equal(r->sampling.top_k, 7);
    assert_int_equal(r->sampling.n_stops, 2);
    assert_true(json_is_true(json_object_get(r->extras, "enable_thinking")));
    assert_string_equal(json_string_value(json_object_get(r->extras, "reasoning_effort")), "high");
    assert_int_equal(r->tool_choice, TOOLS_NAMED);
    assert_string_equal(r->tool_name, "f");
    assert_true(r->one_tool_call && !r->stream);
    char *tools = json_dumps(r->tools, JSON_COMPACT);
    assert_string_equal(tools,
                        "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":"
                        "\"does\",\"parameters\":{\"type\":\"object\"}}}]");
    free(tools);
    dialect_case_end(&d);
}

static void tool_choices_have_their_names(void **state)
{
    static const struct {
        const char *json;
        enum chat_tool_choice choice;
    } rows[] = {{"{\"type\":\"auto\"}", TOOLS_AUTO},
                {"{\"type\":\"any\"}", TOOLS_REQUIRED},
                {"{\"type\":\"none\"}", TOOLS_NONE},
                {"null", TOOLS_AUTO}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char json[512];
        struct dialect_case d;
        (void)snprintf(json, sizeof json, "{" HI "," TOOLS ",\"tool_choice\":%s}", rows[i].json);
        dialect_case_begin(&d, "POST", PATH, json);
        assert_true(d.read);
        assert_int_equal(d.call.request.tool_choice, rows[i].choice);
        assert_null(json_object_get(d.call.request.extras, "enable_thinking"));
        dialect_case_end(&d);
    }
}

static void tools_may_be_strict(void **state)
{
    struct dialect_case d;
    (void)state;
    dialect_case_begin(&d, "POST", PATH,
                       "{" HI ",\"tools\":[{\"name\":\"f\",\"input_schema\":{},\"strict\":true},"
                       "{\"name\":\"g\",\"input_schema\":{},\"strict\":false}]}");
    assert_true(d.read);
    for (size_t i = 0; i < 2; i++) {
        const json_t *tool = json_array_get(d.call.request.tools, i);
        const json_t *strict = json_object_get(json_object_get(tool, "function"), "strict");
        assert_true(i == 0 ? json_is_true(strict) : !strict);
    }
    dialect_case_end(&d);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *json, *error;
    } rows[] = {
        {"{}", "'max_tokens' is missing"},
        {"{\"max_tokens\":9}", "'model' is missing"},
        {"{" HEAD "\"messages\":[]}", "'messages' is missing or empty"},
        {"{" HEAD "\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}",
         "'messages[0].role' is not user, assistant or system"},
        {"{" HEAD "\"messages\":[{\"role\":\"user\"}]}",
         "'messages[0].content' must be a string or an array of blocks, not nothing"},
        {"{" HEAD "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"}]}]}",
         "'messages[0].content[0]': blocks of type image are not supported"},
        {"{" HEAD "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_use\"}]}]}",
         "'messages[0].content[0]': blocks of type tool_use are not supported"},
        {"{" HEAD "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\"}]}]}",
         "'messages[0].content[0].tool_use_id' is missing"},
        {"{" HI ",\"temperature\":1.5}", "'temperature' is 1.5, which is not from 0 to 1"},
        {"{" HI ",\"stream\":1}", "'stream' must be a boolean, not a whole number"},
        {"{" HI ",\"tools\":[{\"name\":\"f\"}]}", "'tools[0].input_schema' is missing"},
        {"{" HI ",\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}]}",
         "'tools[0]': tools of type web_search_20250305, which a server runs, are not supported"},
        {"{" HI ",\"tool_choice\":{\"type\":\"any\"}}",
         "'tool_choice' wants a tool, but there are no 'tools'"},
        {"{" HI "," TOOLS ",\"tool_choice\":{\"type\":\"tool\",\"name\":\"g\"}}",
         "'tool_choice.name' is none of 'tools'"},
        {"{" HI ",\"thinking\":{\"type\":\"much\"}}",
         "'thinking.type' is not enabled, adaptive or disabled"},
        {"{" HI ",\"output_config\":{\"format\":{\"type\":\"json_schema\"}}}",
         "'output_config.format.schema' must be an object"},
        {"{" HI ",\"output_format\":{\"type\":\"xml\"}}",
         "'output_config.format.type' is not json_schema"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dialect_case d;
        dialect_case_begin(&d, "POST", PATH, rows[i].json);
        assert_false(d.read);
        assert_string_equal(d.err.text, rows[i].error);
        dialect_case_end(&d);
    }
}

static void a_schema_of_the_answer_is_taken(void **state)
{
    struct dialect_case d;
    (void)state;
    dialect_case_begin(&d, "POST", PATH,
                       "{" HI ",\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":"
                       "{\"type\":\"object\"}}}}");
    assert_true(d.read);
    assert_int_equal(d.call.request.constraint.kind, CONSTRAINT_JSON_SCHEMA);
    assert_string_equal(
        json_string_value(json_object_get(d.call.request.constraint.schema, "type")), "object");
    dialect_case_end(&d);
}

static void say(struct dialect_case *d)
{
    struct chat_event tool = {.tool_id = "abc", .tool_name = "f"};
    dialect_case_event(d, &(struct chat_event){.kind = CHAT_PROMPT, .n_prompt = 10});
    dialect_case_event(d, &(struct chat_event){.kind = CHAT_REASONING, .text = slice_str("h\"m")});
    dialect_case_event(d, &(struct chat_event){.kind = CHAT_TEXT, .text = slice_str("a")});
    dialect_case_event(d, &(struct chat_event){.kind = CHAT_TEXT, .text = slice_str("b")});
    dialect_case_event(d, &(struct chat_event){.kind = CHAT_TEXT, .text = slice_str("")});
    tool.kind = CHAT_TOOL_CALL;
    dialect_case_event(d, &tool);
    tool.kind = CHAT_TOOL_ARGUMENTS;
    tool.text = slice_str("{\"a\":");
    dialect_case_event(d, &tool);
    tool.text = slice_str("1}");
    dialect_case_event(d, &tool);
}

#define EVENT(name, rest) "event: " name "\ndata: {\"type\":\"" name "\"" rest "}\n\n"
#define START                                                                                      \
    EVENT("message_start",                                                                         \
          ",\"message\":{\"id\":\"msg_ID\",\"type\":\"message\",\"role\":\"assistant\",\"model\":" \
          "\"m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{"           \
          "\"input_tokens\":10,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,"   \
          "\"output_tokens\":0}}")                                                                 \
    EVENT("ping", "")
#define USAGE                                                                                      \
    "\"usage\":{\"input_tokens\":6,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":" \
    "4,\"output_tokens\":7,\"output_tokens_details\":{\"thinking_tokens\":2}}"

static void a_stream_has_its_events_in_order(void **state)
{
    (void)state;
    struct dialect_case d;
    dialect_case_begin(&d, "POST", PATH, "{" HI ",\"stream\":true}");
    say(&d);
    assert_string_equal(
        dialect_case_finish(&d, CHAT_TOOL_CALLS, ""),
        START EVENT("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"thinking\","
                                           "\"thinking\":\"\",\"signature\":\"\"}")
            EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"thinking_delta\","
                                         "\"thinking\":\"h\\\"m\"}")
                EVENT("content_block_delta",
                      ",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"\"}")
                    EVENT("content_block_stop", ",\"index\":0") EVENT(
                        "content_block_start",
                        ",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}")
                        EVENT("content_block_delta",
                              ",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}")
                            EVENT("content_block_delta",
                                  ",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"b\"}")
                                EVENT("content_block_stop", ",\"index\":1") EVENT(
                                    "content_block_start",
                                    ",\"index\":2,\"content_block\":{\"type\":\"tool_use\",\"id\":"
                                    "\"toolu_abc\",\"name\":\"f\",\"input\":{}}")
                                    EVENT("content_block_delta",
                                          ",\"index\":2,\"delta\":{\"type\":\"input_json_delta\","
                                          "\"partial_json\":\"{\\\"a\\\":\"}")
                                        EVENT(
                                            "content_block_delta",
                                            ",\"index\":2,\"delta\":{\"type\":\"input_json_delta\","
                                            "\"partial_json\":\"1}\"}")
                                            EVENT("content_block_stop", ",\"index\":2")
                                                EVENT("message_delta",
                                                      ",\"delta\":{\"stop_reason\":\"tool_use\","
                                                      "\"stop_sequence\":null}," USAGE)
                                                    EVENT("message_stop", ""));
    dialect_case_end(&d);
}

static void a_whole_answer_has_the_same_blocks(void **state)
{
    (void)state;
    struct dialect_case d;
    dialect_case_begin(&d, "POST", PATH, "{" HI "}");
    say(&d);
    assert_string_equal(
        dialect_case_finish(&d, CHAT_TOOL_CALLS, ""),
        "{\"id\":\"msg_ID\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\","
        "\"content\":["
        "{\"type\":\"thinking\",\"thinking\":\"h\\\"m\",\"signature\":\"\"},"
        "{\"type\":\"text\",\"text\":\"ab\"},"
        "{\"type\":\"tool_use\",\"id\":\"toolu_abc\",\"name\":\"f\",\"input\":{\"a\":1}}],"
        "\"stop_reason\":\"tool_use\",\"stop_sequence\":null," USAGE "}");
    dialect_case_end(&d);
}

static void arguments_that_are_no_json_are_kept(void **state)
{
    (void)state;
    struct dialect_case d;
    struct chat_event tool = {.kind = CHAT_TOOL_CALL, .tool_id = "x", .tool_name = "f"};
    dialect_case_begin(&d, "POST", PATH, "{" HI "}");
    dialect_case_event(&d, &tool);
    tool.kind = CHAT_TOOL_ARGUMENTS;
    tool.text = slice_str("{\"a");
    dialect_case_event(&d, &tool);
    assert_non_null(
        strstr(dialect_case_finish(&d, CHAT_LENGTH, ""),
               "\"input\":{\"INVALID_JSON\":\"{\\\"a\"}}],\"stop_reason\":\"max_tokens\""));
    dialect_case_end(&d);
}

static void stops_are_told_apart(void **state)
{
    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        struct dialect_case d;
        dialect_case_begin(&d, "POST", PATH, stream ? "{" HI ",\"stream\":true}" : "{" HI "}");
        const char *text = dialect_case_finish(&d, CHAT_STOP, "END\n");
        assert_non_null(
            strstr(text, "\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"END\\n\""));
        dialect_case_end(&d);
        dialect_case_begin(&d, "POST", PATH, stream ? "{" HI ",\"stream\":true}" : "{" HI "}");
        text = dialect_case_finish(&d, CHAT_STOP, "");
        assert_non_null(strstr(text, "\"stop_reason\":\"end_turn\",\"stop_sequence\":null"));
        dialect_case_end(&d);
    }
}

static void tokens_are_counted_without_max_tokens(void **state)
{
    (void)state;
    struct dialect_case d;
    dialect_case_begin(
        &d, "POST", PATH "/count_tokens?beta=true",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]," TOOLS "}");
    assert_true(d.read);
    assert_non_null(d.call.request.tools);
    d.dialect->write_count(&d.call, 12, &d.out);
    assert_string_equal(buf_text(&d.out), "{\"input_tokens\":12}");
    dialect_case_end(&d);
}

static void errors_have_the_vendors_shape(void **state)
{
    static const struct {
        enum dialect_problem problem;
        int status;
        const char *type;
    } rows[] = {{PROBLEM_REQUEST, 400, "invalid_request_error"},
                {PROBLEM_CONTEXT, 400, "invalid_request_error"},
                {PROBLEM_KEY, 401, "authentication_error"},
                {PROBLEM_FORBIDDEN, 403, "permission_error"},
                {PROBLEM_MODEL, 404, "not_found_error"},
                {PROBLEM_TOO_LARGE, 413, "request_too_large"},
                {PROBLEM_RATE, 429, "rate_limit_error"},
                {PROBLEM_BUDGET, 402, "billing_error"},
                {PROBLEM_UPSTREAM, 502, "api_error"},
                {PROBLEM_INTERNAL, 500, "api_error"},
                {PROBLEM_BUSY, 529, "overloaded_error"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char expected[256];
        struct buf out = {0};
        struct dialect_error err = {.request_id = "req_1"};
        (void)dialect_refuse(&err, rows[i].problem, "a", "it is \"so\"");
        assert_int_equal(dialect_anthropic.write_error(&err, &out), rows[i].status);
        (void)snprintf(expected, sizeof expected,
                       "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"it is "
                       "\\\"so\\\"\"},\"request_id\":\"req_1\"}",
                       rows[i].type);
        assert_string_equal(buf_text(&out), expected);
        buf_release(&out);
    }
}

static void an_error_may_come_in_the_middle(void **state)
{
    (void)state;
    struct dialect_case d;
    struct chat_event e = {.kind = CHAT_ERROR};
    dialect_case_begin(&d, "POST", PATH, "{" HI ",\"stream\":true}");
    dialect_case_event(&d, &(struct chat_event){.kind = CHAT_PROMPT, .n_prompt = 10});
    dialect_case_event(&d, &(struct chat_event){.kind = CHAT_PROGRESS});
    dialect_case_event(&d, &(struct chat_event){.kind = CHAT_PROGRESS});
    (void)error_set(&e.error, ERR_NUMERIC, "NaN");
    dialect_case_event(&d, &e);
    assert_string_equal(buf_text(&d.out),
                        START EVENT("ping", "") EVENT(
                            "error", ",\"error\":{\"type\":\"api_error\",\"message\":\"NaN\"}"));
    dialect_case_end(&d);
}

static void models_are_listed(void **state)
{
    (void)state;
    struct dialect_model models[] = {{.id = "a", .context = 512, .created = 1795000000},
                                     {.id = "b"}};
    struct buf out = {0};
    dialect_anthropic_models.write_models(models, 2, &out);
    assert_string_equal(
        buf_text(&out),
        "{\"data\":[{\"type\":\"model\",\"id\":\"a\",\"display_name\":\"a\","
        "\"created_at\":\"2026-11-18T11:06:40Z\",\"lifecycle\":\"active\","
        "\"max_input_tokens\":512,\"max_tokens\":512},{\"type\":\"model\",\"id\":\"b\","
        "\"display_name\":\"b\",\"created_at\":\"1970-01-01T00:00:00Z\","
        "\"lifecycle\":\"active\"}],\"has_more\":false,\"first_id\":\"a\",\"last_id\":\"b\"}");
    buf_clear(&out);
    dialect_anthropic_models.write_models(models, 0, &out);
    assert_string_equal(buf_text(&out),
                        "{\"data\":[],\"has_more\":false,\"first_id\":null,\"last_id\":null}");
    buf_release(&out);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(models_are_listed),
    cmocka_unit_test(conversations_become_messages_of_templates),
    cmocka_unit_test(settings_and_tools_are_read),
    cmocka_unit_test(tool_choices_have_their_names),
    cmocka_unit_test(tools_may_be_strict),
    cmocka_unit_test(what_is_wrong_is_named),
    cmocka_unit_test(a_schema_of_the_answer_is_taken),
    cmocka_unit_test(a_stream_has_its_events_in_order),
    cmocka_unit_test(a_whole_answer_has_the_same_blocks),
    cmocka_unit_test(arguments_that_are_no_json_are_kept),
    cmocka_unit_test(stops_are_told_apart),
    cmocka_unit_test(tokens_are_counted_without_max_tokens),
    cmocka_unit_test(errors_have_the_vendors_shape),
    cmocka_unit_test(an_error_may_come_in_the_middle),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
