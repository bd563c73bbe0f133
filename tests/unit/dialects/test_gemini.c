// test_gemini.c - what Gemini's requests become, and answers in its words, byte by byte.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "../../support/dialect_call.h"

#define MODEL "/v1beta/models/m:0.5b"
#define GENERATE MODEL ":generateContent"
#define STREAM MODEL ":streamGenerateContent"
#define HI "\"contents\":[{\"parts\":[{\"text\":\"hi\"}]}]"

static void conversations_become_messages_of_templates(void **state)
{
    (void)state;
    struct dialect_case d;
    dialect_case_begin(
        &d, "POST", GENERATE,
        "{\"systemInstruction\":{\"parts\":[{\"text\":\"be \"},{\"text\":\"kind\"}]},\"contents\":["
        "{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]},"
        "{\"role\":\"model\",\"parts\":[{\"text\":\"hm\",\"thought\":true},{\"text\":\"I look\"},"
        "{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":1}}},"
        "{\"functionCall\":{\"id\":\"x\",\"name\":\"f\"},\"thoughtSignature\":\"AA==\"}]},"
        "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"name\":\"f\",\"response\":{"
        "\"result\":\"42\"}}},{\"functionResponse\":{\"id\":\"x\",\"name\":\"f\",\"response\":{"
        "\"n\":[1]}}},{\"text\":\"so?\"}]}]}");
    if (!d.read)
        fail_msg("%s", d.err.text);
    assert_string_equal(d.call.request.model, "m:0.5b");
    assert_string_equal(
        dialect_case_messages(&d),
        "[{\"role\":\"system\",\"content\":\"be kind\"},{\"role\":\"user\",\"content\":\"hi\"},"
        "{\"role\":\"assistant\",\"content\":\"I "
        "look\",\"reasoning_content\":\"hm\",\"tool_calls\":["
        "{\"id\":\"call00000\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{"
        "\"a\":1}}},{\"id\":\"x\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
        "{}}"
        "}]},{\"role\":\"tool\",\"content\":\"{\\\"result\\\": \\\"42\\\"}\",\"tool_call_id\":"
        "\"call00000\",\"name\":\"f\"},{\"role\":\"tool\",\"content\":\"{\\\"n\\\": [1]}\","
        "\"tool_call_id\":\"x\",\"name\":\"f\"},{\"role\":\"user\",\"content\":\"so?\"}]");
    dialect_case_end(&d);
}

// As the vendor's own examples write it: one part without brackets, results of the role tool.
static void what_the_vendor_takes_too(void **state)
{
    (void)state;
    struct dialect_case d;
    dialect_case_read(
        &d, GENERATE,
        "{\"system_instruction\":{\"parts\":{\"text\":\"be kind\"}},\"contents\":[{\"parts\":"
        "{\"text\":\"hi\"}},{\"role\":\"model\",\"parts\":{\"functionCall\":{\"name\":\"f\"}}},"
        "{\"role\":\"tool\",\"parts\":{\"functionResponse\":{\"name\":\"f\",\"response\":{"
        "\"n\":1}}}}]}");
    assert_string_equal(
        dialect_case_messages(&d),
        "[{\"role\":\"system\",\"content\":\"be kind\"},{\"role\":\"user\",\"content\":\"hi\"},"
        "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"call00000\",\"type\":"
        "\"function\",\"function\":{\"name\":\"f\",\"arguments\":{}}}]},{\"role\":\"tool\","
        "\"content\":\"{\\\"n\\\": 1}\",\"tool_call_id\":\"call00000\",\"name\":\"f\"}]");
    dialect_case_end(&d);
    dialect_case_begin(&d, "POST", GENERATE, "{\"contents\":{\"parts\":{\"text\":5}}}");
    assert_false(d.read);
    assert_string_equal(d.err.text, "'contents.parts.text' must be a string, not a whole number");
    dialect_case_end(&d);
}

static void settings_are_read_in_both_spellings(void **state)
{
    static const char *const bodies[] = {
        "{" HI ",\"generationConfig\":{\"temperature\":0.5,\"topP\":0.25,\"topK\":7.0,"
        "\"maxOutputTokens\":9,\"stopSequences\":[\"a\"],\"candidateCount\":2,\"seed\":-1,"
        "\"presencePenalty\":1,\"thinkingConfig\":{\"thinkingBudget\":0},"
        "\"responseMimeType\":\"text/plain\"},\"safetySettings\":[]}",
        "{" HI ",\"generation_config\":{\"temperature\":0.5,\"top_p\":0.25,\"top_k\":7,"
        "\"max_output_tokens\":9,\"stop_sequences\":[\"a\"],\"candidate_count\":2,\"seed\":-1,"
        "\"presence_penalty\":1,\"thinking_config\":{\"thinking_budget\":0}}}"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct dialect_case d;
        dialect_case_begin(&d, "POST", GENERATE, bodies[i]);
        const struct chat_request *r = &d.call.request;
        assert_true(d.read);
        assert_true(r->sampling.temperature == 0.5f && r->sampling.top_p == 0.25f);
        assert_true(r->sampling.presence_penalty == 1);
        assert_int_equal(r->sampling.top_k, 7);
        assert_int_equal(r->max_tokens, 9);
        assert_int_equal(r->sampling.n_stops, 1);
        assert_int_equal(r->sampling.n_choices, 2);
        assert_true(r->sampling.seed >= 0 && !r->stream);
        assert_true(json_is_false(json_object_get(r->extras, "enable_thinking")));
        dialect_case_end(&d);
    }
}

#define TOOLS                                                                                      \
    "\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\",\"description\":\"does\","              \
    "\"parameters\":{\"type\":\"OBJECT\",\"properties\":{\"a\":{\"type\":\"STRING\"},\"type\":{"   \
    "\"type\":\"ARRAY\",\"items\":{\"type\":\"NUMBER\"}}}}},{\"name\":\"g\"}]}]"

static void tools_and_their_choice_are_read(void **state)
{
    static const struct {
        const char *config;
        enum chat_tool_choice choice;
        size_t n_tools;
        bool strict;
    } rows[] = {
        {"{\"mode\":\"AUTO\"}", TOOLS_AUTO, 2, false},
        {"{\"mode\":\"VALIDATED\"}", TOOLS_AUTO, 2, true},
        {"{\"mode\":\"NONE\"}", TOOLS_NONE, 2, false},
        {"{\"mode\":\"ANY\"}", TOOLS_REQUIRED, 2, false},
        {"{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"g\"]}", TOOLS_NAMED, 1, false},
        {"{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"g\",\"f\"]}", TOOLS_REQUIRED, 2, false}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char json[1024];
        struct dialect_case d;
        (void)snprintf(json, sizeof json,
                       "{" HI "," TOOLS ",\"toolConfig\":{\"functionCallingConfig\":%s}}",
                       rows[i].config);
        dialect_case_begin(&d, "POST", GENERATE, json);
        assert_true(d.read);
        assert_int_equal(d.call.request.tool_choice, rows[i].choice);
        assert_int_equal(d.call.request.strict_tools, rows[i].strict);
        assert_int_equal(json_array_size(d.call.request.tools), rows[i].n_tools);
        if (rows[i].choice == TOOLS_NAMED)
            assert_string_equal(d.call.request.tool_name, "g");
        if (i == 0) {
            char *tools = json_dumps(d.call.request.tools, JSON_COMPACT);
            assert_string_equal(
                tools,
                "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"does\","
                "\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":"
                "\"string\"},\"type\":{\"type\":\"array\",\"items\":{\"type\":\"number\"}}}}}}"
                ",{\"type\":\"function\",\"function\":{\"name\":\"g\",\"description\":\"\"}}]");
            free(tools);
        }
        dialect_case_end(&d);
    }
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *json, *error;
    } rows[] = {
        {"{}", "'contents' is missing or empty"},
        {"{\"contents\":\"hi\"}", "'contents' must be an array, not a string"},
        {"{\"contents\":[{\"role\":\"system\",\"parts\":[]}]}",
         "'contents[0].role' is not user or model"},
        {"{\"contents\":[{\"parts\":[{\"inlineData\":{}}]}]}",
         "'contents[0].parts[0]': only text, calls of functions by the model and responses to them "
         "are supported"},
        {"{\"contents\":[{\"parts\":[{\"text\":5}]}]}",
         "'contents[0].parts[0].text' must be a string, not a whole number"},
        {"{\"contents\":[{\"role\":\"model\",\"parts\":[{\"functionCall\":{}}]}]}",
         "'contents[0].parts[0].functionCall.name' is missing"},
        {"{" HI ",\"generationConfig\":{\"temperature\":3}}",
         "'generationConfig.temperature' is 3, which is not from 0 to 2"},
        {"{" HI ",\"generationConfig\":{\"responseMimeType\":\"text/xml\"}}",
         "'generationConfig.responseMimeType': only text/plain, application/json and text/x.enum "
         "are supported"},
        {"{" HI ",\"generationConfig\":{\"responseMimeType\":\"text/x.enum\"}}",
         "'generationConfig.responseMimeType' of text/x.enum needs a 'responseSchema' whose enum "
         "is a list of texts"},
        {"{" HI ",\"generationConfig\":{\"responseMimeType\":\"text/x.enum\",\"responseSchema\":{"
         "\"type\":\"INTEGER\"}}}",
         "'generationConfig.responseMimeType' of text/x.enum needs a 'responseSchema' whose enum "
         "is a list of texts"},
        {"{" HI ",\"generationConfig\":{\"responseSchema\":[]}}",
         "'generationConfig.responseSchema' must be an object"},
        {"{" HI ",\"generationConfig\":{\"responseJsonSchema\":5}}",
         "'generationConfig.responseJsonSchema' must be an object"},
        {"{" HI ",\"tools\":[{\"googleSearch\":{}}]}",
         "'tools[0]': only 'functionDeclarations' are supported"},
        {"{" HI ",\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\"}}}",
         "'toolConfig.functionCallingConfig' wants a function, but 'tools' has none that is "
         "allowed"},
        {"{" HI ",\"cachedContent\":\"x\"}", "'cachedContent' is not supported"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dialect_case d;
        dialect_case_begin(&d, "POST", GENERATE, rows[i].json);
        assert_false(d.read);
        assert_string_equal(d.err.text, rows[i].error);
        dialect_case_end(&d);
    }
}

static void say(struct dialect_case *d, const char *arguments)
{
    struct chat_event tool = {.tool_id = "abc", .tool_name = "f"};
    dialect_case_event(d, &(struct chat_event){.kind = CHAT_REASONING, .text = slice_str("hm")});
    dialect_case_event(d, &(struct chat_event){.kind = CHAT_TEXT, .text = slice_str("a")});
    dialect_case_event(d, &(struct chat_event){.kind = CHAT_TEXT, .text = slice_str("b")});
    tool.kind = CHAT_TOOL_CALL;
    dialect_case_event(d, &tool);
    tool.kind = CHAT_TOOL_ARGUMENTS;
    for (; *arguments; arguments++) {
        tool.text = slice_of(arguments, 1);
        dialect_case_event(d, &tool);
    }
}

#define TAIL "\"modelVersion\":\"m\",\"responseId\":\"ID\"}"
#define USAGE                                                                                      \
    "\"usageMetadata\":{\"promptTokenCount\":10,\"cachedContentTokenCount\":4,"                    \
    "\"candidatesTokenCount\":5,\"thoughtsTokenCount\":2,\"totalTokenCount\":17},"
#define CALL "{\"functionCall\":{\"id\":\"abc\",\"name\":\"f\",\"args\":{\"a\":1}}}"
#define CHUNK(part)                                                                                \
    "{\"candidates\":[{\"content\":{\"parts\":[" part "],\"role\":\"model\"},\"index\":0}]," TAIL
#define LAST                                                                                       \
    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"},"              \
    "\"finishReason\":\"STOP\",\"index\":0}]," USAGE TAIL

static void a_stream_is_events_or_an_array(void **state)
{
    (void)state;
    struct dialect_case d;
    dialect_case_begin(&d, "POST", STREAM "?alt=sse",
                       "{" HI
                       ",\"generationConfig\":{\"thinkingConfig\":{\"includeThoughts\":true}}}");
    assert_string_equal(d.call.stream_type, "text/event-stream");
    say(&d, "{\"a\":1}");
    assert_string_equal(
        dialect_case_finish(&d, CHAT_TOOL_CALLS, ""),
        "data: " CHUNK("{\"text\":\"hm\",\"thought\":true}") "\r\n\r\ndata: " CHUNK(
            "{\"text\":\"a\"}") "\r\n\r\ndata: " CHUNK("{\"text\":\"b\"}") "\r\n\r\ndata: " CHUNK(CALL) "\r\n\r\ndata: " LAST
                                                                                                        "\r\n\r\n");
    dialect_case_end(&d);
    dialect_case_begin(&d, "POST", STREAM, "{" HI "}");
    assert_string_equal(d.call.stream_type, "application/json");
    say(&d, "{\"a\":1}");
    assert_string_equal(dialect_case_finish(&d, CHAT_TOOL_CALLS, ""),
                        "[" CHUNK("{\"text\":\"a\"}") ",\r\n" CHUNK(
                            "{\"text\":\"b\"}") ",\r\n" CHUNK(CALL) ",\r\n" LAST "]");
    dialect_case_end(&d);
}

static void a_whole_answer_has_the_same_parts(void **state)
{
    (void)state;
    struct dialect_case d;
    dialect_case_begin(&d, "POST", GENERATE,
                       "{" HI
                       ",\"generationConfig\":{\"thinkingConfig\":{\"includeThoughts\":true}}}");
    say(&d, "{\"a\":1}");
    assert_string_equal(
        dialect_case_finish(&d, CHAT_TOOL_CALLS, ""),
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hm\",\"thought\":true},"
        "{\"text\":\"ab\"}," CALL "],\"role\":\"model\"},\"finishReason\":\"STOP\","
        "\"index\":0}]," USAGE TAIL);
    dialect_case_end(&d);
}

static void a_call_that_is_no_json_is_told_as_malformed(void **state)
{
    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        struct dialect_case d;
        dialect_case_begin(&d, "POST", stream ? STREAM : GENERATE, "{" HI "}");
        say(&d, "{\"a\":");
        const char *text = dialect_case_finish(&d, CHAT_TOOL_CALLS, "");
        assert_non_null(strstr(text,
                               "\"finishReason\":\"MALFORMED_FUNCTION_CALL\",\"finishMessage\":"
                               "\"Malformed function call: f({\\\"a\\\":)\""));
        assert_null(strstr(text, "functionCall"));
        dialect_case_end(&d);
    }
}

static void tokens_are_counted_of_contents_or_of_a_request(void **state)
{
    static const char *const bodies[] = {
        "{" HI "}", "{\"generateContentRequest\":{\"model\":\"models/m\"," HI "}}"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct dialect_case d;
        dialect_case_begin(&d, "POST", MODEL ":countTokens", bodies[i]);
        assert_true(d.read);
        assert_int_equal(d.call.request.n_messages, 1);
        d.dialect->write_count(&d.call, 12, &d.out);
        assert_string_equal(buf_text(&d.out),
                            "{\"totalTokens\":12,\"promptTokensDetails\":[{\"modality\":\"TEXT\","
                            "\"tokenCount\":12}]}");
        dialect_case_end(&d);
    }
}

#define LOGPROBS ",\"generationConfig\":{\"responseLogprobs\":true,\"logprobs\":2}"
#define CHOSEN(text, id, p) "{\"token\":\"" text "\",\"tokenId\":" id ",\"logProbability\":" p "}"
#define RESULT(chosen, top)                                                                        \
    ",\"logprobsResult\":{\"chosenCandidates\":[" chosen "],\"topCandidates\":[" top "]}"
#define TOP(text, id, p) "{\"candidates\":[" CHOSEN("x", "5", "-0.5") "," CHOSEN(text, id, p) "]}"

// Thoughts, a text and a call, a token each; the thoughts are not asked for.
static void say_with_tokens(struct dialect_case *d)
{
    static const struct chat_token x = {.id = 5, .logprob = -0.5f, .bytes = {"x", 1}};
    static const struct {
        enum chat_event_kind kind;
        const char *text;
        float logprob;
    } rows[] = {{CHAT_REASONING, "hm", -8},
                {CHAT_TEXT, "a", -1},
                {CHAT_TEXT, "", -3},
                {CHAT_TOOL_CALL, "", -0.0f},
                {CHAT_TOOL_ARGUMENTS, "{}", -2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct chat_token t = {
            .id = (int32_t)i, .logprob = rows[i].logprob, .bytes = slice_str(rows[i].text)};
        struct chat_token top[] = {x, t};
        t.top = top;
        t.n_top = 2;
        dialect_case_event(d, &(struct chat_event){.kind = rows[i].kind,
                                                   .text = slice_str(rows[i].text),
                                                   .tool_id = "abc",
                                                   .tool_name = "f",
                                                   .tokens = &t,
                                                   .n_tokens = rows[i].logprob != 0});
    }
}

static void logprobs_are_those_of_what_is_shown(void **state)
{
    (void)state;
    struct dialect_case d;
    dialect_case_begin(&d, "POST", GENERATE, "{" HI LOGPROBS "}");
    assert_int_equal(d.call.request.sampling.n_logprobs, 2);
    d.answer.with_tokens = true;
    say_with_tokens(&d);
    const char *text = dialect_case_finish(&d, CHAT_TOOL_CALLS, "");
    assert_non_null(strstr(
        text,
        "\"finishReason\":\"STOP\",\"avgLogprobs\":-2.0" RESULT(
            CHOSEN("a", "1", "-1.0") "," CHOSEN("", "2", "-3.0") "," CHOSEN("{}", "4", "-2.0"),
            TOP("a", "1", "-1.0") "," TOP("", "2", "-3.0") "," TOP("{}", "4", "-2.0"))));
    dialect_case_end(&d);
    dialect_case_begin(&d, "POST", STREAM "?alt=sse", "{" HI LOGPROBS "}");
    say_with_tokens(&d);
    text = dialect_case_finish(&d, CHAT_TOOL_CALLS, "");
    assert_non_null(strstr(text, "[{\"text\":\"a\"}],\"role\":\"model\"}" RESULT(
                                     CHOSEN("a", "1", "-1.0"), TOP("a", "1", "-1.0")) ","));
    assert_non_null(strstr(text, RESULT(CHOSEN("", "2", "-3.0"), TOP("", "2", "-3.0"))));
    assert_non_null(strstr(text, RESULT(CHOSEN("{}", "4", "-2.0"), TOP("{}", "4", "-2.0"))));
    assert_non_null(strstr(text, "\"finishReason\":\"STOP\",\"avgLogprobs\":-2.0,\"index\":0}"));
    assert_null(strstr(text, "hm"));
    dialect_case_end(&d);
}

static void logprobs_are_asked_for_twice(void **state)
{
    static const struct {
        const char *config, *member;
        int n;
    } rows[] = {{"\"response_logprobs\":true", NULL, 0},
                {"\"responseLogprobs\":false", NULL, -1},
                {"\"logprobs\":2", "generationConfig.logprobs", 0},
                {"\"responseLogprobs\":true,\"logprobs\":21", "generationConfig.logprobs", 0},
                {"\"responseLogprobs\":1", "generationConfig.responseLogprobs", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dialect_case d;
        char body[256];
        (void)snprintf(body, sizeof body, "{" HI ",\"generationConfig\":{%s}}", rows[i].config);
        dialect_case_begin(&d, "POST", GENERATE, body);
        assert_true(d.read == !rows[i].member);
        if (d.read)
            assert_int_equal(d.call.request.sampling.n_logprobs, rows[i].n);
        else
            assert_string_equal(d.err.member, rows[i].member);
        dialect_case_end(&d);
    }
}

static void models_are_listed(void **state)
{
    (void)state;
    struct dialect_model models[] = {{.id = "a", .context = 512}, {.id = "b"}};
    struct buf out = {0};
    dialect_gemini_models.write_models(models, 2, &out);
    assert_string_equal(
        buf_text(&out),
        "{\"models\":[{\"name\":\"models/a\",\"displayName\":\"a\",\"inputTokenLimit\":512,"
        "\"outputTokenLimit\":512,\"supportedGenerationMethods\":[\"generateContent\","
        "\"countTokens\",\"embedContent\"]},{\"name\":\"models/b\",\"displayName\":\"b\","
        "\"supportedGenerationMethods\":[\"generateContent\",\"countTokens\",\"embedContent\"]}]}");
    buf_release(&out);
}

static void errors_have_the_vendors_shape(void **state)
{
    static const struct {
        enum dialect_problem problem;
        int status;
        const char *name;
    } rows[] = {{PROBLEM_REQUEST, 400, "INVALID_ARGUMENT"},
                {PROBLEM_KEY, 401, "UNAUTHENTICATED"},
                {PROBLEM_FORBIDDEN, 403, "PERMISSION_DENIED"},
                {PROBLEM_MODEL, 404, "NOT_FOUND"},
                {PROBLEM_RATE, 429, "RESOURCE_EXHAUSTED"},
                {PROBLEM_BUDGET, 429, "RESOURCE_EXHAUSTED"},
                {PROBLEM_UPSTREAM, 502, "UNAVAILABLE"},
                {PROBLEM_BUSY, 503, "UNAVAILABLE"},
                {PROBLEM_INTERNAL, 500, "INTERNAL"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char expected[256];
        struct buf out = {0};
        struct dialect_error err = {0};
        (void)dialect_refuse(&err, rows[i].problem, NULL, "so");
        assert_int_equal(dialect_gemini.write_error(&err, &out), rows[i].status);
        (void)snprintf(expected, sizeof expected,
                       "{\"error\":{\"code\":%d,\"message\":\"so\",\"status\":\"%s\"}}",
                       rows[i].status, rows[i].name);
        assert_string_equal(buf_text(&out), expected);
        buf_release(&out);
    }
}

static void when_to_try_again_is_among_the_details(void **state)
{
    (void)state;
    struct buf out = {0};
    struct dialect_error err = {0};
    (void)dialect_refuse(&err, PROBLEM_RATE, NULL, "so");
    err.retry_after_s = 20;
    assert_int_equal(dialect_gemini.write_error(&err, &out), 429);
    assert_string_equal(
        buf_text(&out),
        "{\"error\":{\"code\":429,\"message\":\"so\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":"
        "["
        "{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"20s\"}]}}");
    buf_release(&out);
}

static void an_error_may_come_in_the_middle(void **state)
{
    (void)state;
    for (int sse = 0; sse < 2; sse++) {
        struct dialect_case d;
        struct chat_event e = {.kind = CHAT_ERROR};
        dialect_case_begin(&d, "POST", sse ? STREAM "?alt=sse" : STREAM, "{" HI "}");
        dialect_case_event(&d, &(struct chat_event){.kind = CHAT_TEXT, .text = slice_str("a")});
        (void)error_set(&e.error, ERR_NUMERIC, "NaN");
        dialect_case_event(&d, &e);
        assert_string_equal(
            buf_text(&d.out),
            sse ? "data: " CHUNK(
                      "{\"text\":\"a\"}") "\r\n\r\ndata: {\"error\":{\"code\":500,"
                                          "\"message\":\"NaN\",\"status\":\"INTERNAL\"}}\r\n\r\n"
                : "[" CHUNK("{\"text\":\"a\"}") ",\r\n{\"error\":{\"code\":500,\"message\":\"NaN\","
                                                "\"status\":\"INTERNAL\"}}]");
        dialect_case_end(&d);
    }
}

static void formats_of_answers_become_constraints(void **state)
{
    static const char config[] =
        "{" HI
        ",\"generationConfig\":{\"responseMimeType\":\"application/json\",\"responseSchema\":"
        "{\"type\":\"OBJECT\",\"title\":\"T\",\"propertyOrdering\":[\"b\",\"a\"],\"required\":["
        "\"a\"],"
        "\"properties\":{\"a\":{\"type\":\"INTEGER\",\"format\":\"int32\",\"minimum\":1},"
        "\"b\":{\"type\":\"ARRAY\",\"minItems\":\"2\",\"max_items\":3,\"items\":{\"type\":"
        "\"STRING\",\"nullable\":"
        "true,"
        "\"format\":\"date\"}},\"c\":{\"anyOf\":[{\"type\":\"BOOLEAN\"}]}}}}}";
    static const char wanted[] =
        "{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"b\":{\"type\":\"array\","
        "\"minItems\":2,\"maxItems\":3,\"items\":{\"anyOf\":[{\"type\":\"string\",\"format\":"
        "\"date\"},"
        "{\"type\":\"null\"}]}},\"a\":{\"type\":\"integer\",\"minimum\":1},"
        "\"c\":{\"anyOf\":[{\"type\":\"boolean\"}]}}}";
    struct dialect_case d;
    (void)state;
    dialect_case_begin(&d, "POST", GENERATE, config);
    assert_true(d.read);
    assert_int_equal(d.call.request.constraint.kind, CONSTRAINT_JSON_SCHEMA);
    char *schema = json_dumps(d.call.request.constraint.schema, JSON_COMPACT);
    assert_string_equal(schema, wanted);
    free(schema);
    dialect_case_end(&d);
    dialect_case_begin(&d, "POST", GENERATE,
                       "{" HI
                       ",\"generationConfig\":{\"response_mime_type\":\"application/json\"}}");
    assert_true(d.read);
    assert_int_equal(d.call.request.constraint.kind, CONSTRAINT_JSON_OBJECT);
    dialect_case_end(&d);
    dialect_case_read(&d, GENERATE,
                      "{" HI ",\"generationConfig\":{\"responseMimeType\":\"text/x.enum\","
                      "\"responseSchema\":{\"type\":\"STRING\",\"enum\":[\"a\\\"b\",\"c\"]}}}");
    assert_int_equal(d.call.request.constraint.kind, CONSTRAINT_GBNF);
    assert_true(slice_is(d.call.request.constraint.text, "root ::= \"a\\\"b\" | \"c\""));
    dialect_case_end(&d);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(conversations_become_messages_of_templates),
    cmocka_unit_test(what_the_vendor_takes_too),
    cmocka_unit_test(settings_are_read_in_both_spellings),
    cmocka_unit_test(tools_and_their_choice_are_read),
    cmocka_unit_test(what_is_wrong_is_named),
    cmocka_unit_test(formats_of_answers_become_constraints),
    cmocka_unit_test(a_stream_is_events_or_an_array),
    cmocka_unit_test(a_whole_answer_has_the_same_parts),
    cmocka_unit_test(a_call_that_is_no_json_is_told_as_malformed),
    cmocka_unit_test(tokens_are_counted_of_contents_or_of_a_request),
    cmocka_unit_test(logprobs_are_those_of_what_is_shown),
    cmocka_unit_test(logprobs_are_asked_for_twice),
    cmocka_unit_test(models_are_listed),
    cmocka_unit_test(errors_have_the_vendors_shape),
    cmocka_unit_test(when_to_try_again_is_among_the_details),
    cmocka_unit_test(an_error_may_come_in_the_middle),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
