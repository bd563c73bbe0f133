// test_local_messages.c - conversations with calls of tools, as chat templates want them; and that
// what a published template writes for a call is what the parser reads there.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../support/answer_log.h"
#include "base/error.h"
#include "base/mapping.h"
#include "local/template/template.h"
#include "providers/local_impl.h"

static json_t *call_message, *result_message, *tools;

static char *messages_for(const char *template)
{
    struct local_model m = {.habits = local_habits(slice_str(template))};
    struct chat_message list[] = {{.role = ROLE_DEVELOPER, .text = slice_str("be kind")},
                                  {.role = ROLE_ASSISTANT, .raw = call_message},
                                  {.role = ROLE_TOOL, .raw = result_message}};
    struct chat_request r = {.messages = list, .n_messages = 3};
    json_t *got = local_messages(&m, &r);
    char *text = json_dumps(got, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(got);
    return text;
}

#define FUNCTION                                                                                   \
    "{\"function\":{\"arguments\":{\"city\":\"Paris\",\"days\":2},\"name\":\"weather\"},"

static void messages_are_as_the_template_wants_them(void **state)
{
    static const struct {
        const char *template, *expected;
    } rows[] = {
        {"{% if message.reasoning_content is not none %}",
         "[{\"content\":\"be kind\",\"role\":\"system\"},{\"content\":\"\",\"reasoning_content\":"
         "\"hm\",\"role\":\"assistant\",\"tool_calls\":[" FUNCTION "\"id\":\"toolu_12\",\"type\":"
         "\"function\"}]},{\"content\":\"sunny\",\"role\":\"tool\",\"tool_call_id\":\"toolu_12\"}"
         "]"},
        {"developer {% if message['content'] is not none %}",
         "[{\"content\":\"be "
         "kind\",\"role\":\"developer\"},{\"content\":null,\"reasoning_content\":"
         "\"hm\",\"role\":\"assistant\",\"tool_calls\":[" FUNCTION "\"id\":\"toolu_12\",\"type\":"
         "\"function\"}]},{\"content\":\"sunny\",\"role\":\"tool\",\"tool_call_id\":\"toolu_12\"}"
         "]"},
        {"message.thinking",
         "[{\"content\":\"be kind\",\"role\":\"system\"},{\"content\":\"\",\"role\":\"assistant\","
         "\"thinking\":\"hm\",\"tool_calls\":[" FUNCTION
         "\"id\":\"toolu_12\",\"type\":\"function\"}"
         "]},{\"content\":\"sunny\",\"role\":\"tool\",\"tool_call_id\":\"toolu_12\"}]"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *got = messages_for(rows[i].template);
        assert_string_equal(got, rows[i].expected);
        free(got);
    }
}

// The first message's role and content for a model of that template and format.
static void expect_first(const char *template, enum answer_format format, bool system,
                         const char *role, const char *content)
{
    struct local_model m = {.habits = local_habits(slice_str(template)),
                            .shape = {.format = format}};
    struct chat_message list[] = {{.role = ROLE_SYSTEM, .text = slice_str("be kind")},
                                  {.role = ROLE_USER, .text = slice_str("Weather?")}};
    json_t *one = json_pack("[{s:s, s:{s:s}}]", "type", "function", "function", "name", "now");
    struct chat_request r = {.messages = list + !system, .n_messages = 1 + system, .tools = one};
    json_t *got = local_messages(&m, &r);
    assert_string_equal(json_get_text(json_array_get(got, 0), "role"), role);
    assert_string_equal(json_get_text(json_array_get(got, 0), "content"), content);
    json_decref(got);
    r.tool_choice = TOOLS_NONE;
    got = local_messages(&m, &r);
    assert_string_equal(json_get_text(json_array_get(got, 0), "content"),
                        system ? "be kind" : "Weather?");
    json_decref(got);
    json_decref(one);
}

#define TOLD                                                                                       \
    "You may call these tools, each described by a JSON object:\n"                                 \
    "{\"type\": \"function\", \"function\": {\"name\": \"now\"}}\n"
#define HERMES                                                                                     \
    "To call one, answer with\n<tool_call>\n{\"name\": \"NAME\", \"arguments\": "                  \
    "{ARGUMENTS}}\n</tool_call>"

static void tools_are_told_where_the_template_does_not(void **state)
{
    static const char refuses[] = "raise_exception('System role not supported')";
    (void)state;
    expect_first("plain", ANSWER_HERMES, true, "system", TOLD HERMES "\n\nbe kind");
    expect_first("plain", ANSWER_HERMES, false, "system", TOLD HERMES);
    expect_first("plain", ANSWER_MISTRAL, false, "system", TOLD);
    expect_first(refuses, ANSWER_HERMES, false, "user", TOLD HERMES "\n\nWeather?");
    expect_first("{% for t in tools %}", ANSWER_HERMES, true, "system", "be kind");
    expect_first("plain", ANSWER_PLAIN, true, "system", "be kind");
}

static void ids_are_shortened_the_same_way_everywhere(void **state)
{
    (void)state;
    char *got = messages_for("tool_call.id|length != 9");
    const char *first = strstr(got, "\"id\":\""), *second = strstr(got, "\"tool_call_id\":\"");
    assert_non_null(first);
    assert_non_null(second);
    assert_memory_equal(first + 6, second + 16, 9);
    assert_int_equal(first[15], '"');
    assert_null(strstr(got, "toolu_12"));
    free(got);
    json_object_set_new(result_message, "tool_call_id", json_string("aB3456789"));
    got = messages_for("tool_call.id|length != 9");
    assert_non_null(strstr(got, "\"tool_call_id\":\"aB3456789\""));
    free(got);
    json_object_set_new(result_message, "tool_call_id", json_string("toolu_12"));
}

static char *render(const struct template *t, const struct local_model *m, bool called)
{
    struct chat_message list[] = {{.role = ROLE_USER, .text = slice_str("Weather?")},
                                  {.role = ROLE_ASSISTANT, .raw = call_message}};
    struct chat_request r = {.messages = list, .n_messages = called ? 2 : 1};
    struct rendered out = {0};
    struct error err = {0};
    json_t *v = json_object();
    json_object_set_new(v, "messages", local_messages(m, &r));
    json_object_set(v, "tools", tools);
    json_object_set_new(v, "bos_token", json_string("<s>"));
    json_object_set_new(v, "eos_token", json_string("</s>"));
    json_object_set_new(v, "add_generation_prompt", json_boolean(!called));
    if (!template_render(t, v, NULL, &out, &err))
        fail_msg("%s", err.text);
    char *text = strdup(buf_text(&out.text));
    rendered_release(&out);
    json_decref(v);
    return text;
}

// The template writes a call where the model would; the parser must find it there.
static void read_back(const char *name, enum answer_format format)
{
    char path[256];
    struct buf source = {0};
    struct error err = {0};
    struct answer_log log = {0};
    (void)snprintf(path, sizeof path, "../shared/data/templates/%s.jinja", name);
    assert_true(file_read(path, 1 << 20, &source, &err));
    struct local_model m = {.shape = answer_shape_of(buf_view(&source)),
                            .habits = local_habits(buf_view(&source))};
    struct template *t = template_open(buf_view(&source), &err);
    assert_non_null(t);
    assert_int_equal(m.shape.format, format);
    // Granite's and Gemma's templates write no calls; Kimi's does what transformers forbids.
    if (format != ANSWER_PLAIN && format != ANSWER_JSON && format != ANSWER_LIST &&
        format != ANSWER_KIMI) {
        char *prompt = render(t, &m, false), *whole = render(t, &m, true);
        size_t same = 0;
        while (prompt[same] && prompt[same] == whole[same])
            same++;
        struct answer_options o = {.shape = m.shape,
                                   .tools = tools,
                                   .thinking =
                                       answer_prompt_thinks(&m.shape, slice_of(prompt, same)),
                                   .sink = answer_log_sink(&log)};
        struct answer_parser *p = answer_parser_new(&o);
        answer_parser_push(p, slice_str(whole + same));
        answer_parser_finish(p, false);
        const char *call = strstr(buf_text(&log.out), "call 0 weather\nargs 0 ");
        if (!call || answer_parser_n_calls(p) != 1)
            fail_msg("%s: '%s' is read as\n%s", name, whole + same, buf_text(&log.out));
        json_t *arguments = json_loads(call + 22, JSON_DISABLE_EOF_CHECK, NULL);
        if (!json_equal(
                arguments,
                json_object_get(
                    json_object_get(json_array_get(json_object_get(call_message, "tool_calls"), 0),
                                    "function"),
                    "arguments")))
            fail_msg("%s: %s", name, call);
        json_decref(arguments);
        answer_parser_free(p);
        answer_log_release(&log);
        free(prompt);
        free(whole);
    }
    template_close(t);
    buf_release(&source);
}

static void calls_are_read_as_published_templates_write_them(void **state)
{
    static const struct {
        const char *name;
        enum answer_format format;
    } rows[] = {{"CohereForAI-c4ai-command-r7b-12-2024-tool_use", ANSWER_COHERE},
                {"GLM-4.6", ANSWER_GLM},
                {"HuggingFaceTB-SmolLM3-3B", ANSWER_PLAIN},
                {"Kimi-K2-Instruct", ANSWER_KIMI},
                {"Mistral-Small-3.2-24B-Instruct-2506", ANSWER_MISTRAL},
                {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", ANSWER_HERMES},
                {"Qwen-Qwen2.5-7B-Instruct", ANSWER_HERMES},
                {"Qwen-Qwen3-0.6B", ANSWER_HERMES},
                {"Qwen3-Coder", ANSWER_QWEN_XML},
                {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", ANSWER_DEEPSEEK},
                {"deepseek-ai-DeepSeek-V3.1", ANSWER_DEEPSEEK},
                {"google-gemma-2-2b-it", ANSWER_JSON},
                {"ibm-granite-granite-3.3-2B-Instruct", ANSWER_LIST},
                {"meta-llama-Llama-3.1-8B-Instruct", ANSWER_LLAMA},
                {"meta-llama-Llama-3.2-3B-Instruct", ANSWER_LLAMA},
                {"microsoft-Phi-3.5-mini-instruct", ANSWER_PLAIN},
                {"mistralai-Mistral-Nemo-Instruct-2407", ANSWER_MISTRAL},
                {"openai-gpt-oss-120b", ANSWER_HARMONY}};
    (void)state;
    if (!file_exists("../shared/data/templates/Qwen3-Coder.jinja"))
        skip();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        read_back(rows[i].name, rows[i].format);
}

static int make(void **state)
{
    (void)state;
    call_message =
        json_pack("{s:s,s:s,s:s,s:[{s:s,s:s,s:{s:s,s:{s:s,s:i}}}]}", "role", "assistant", "content",
                  "", "reasoning_content", "hm", "tool_calls", "id", "toolu_12", "type", "function",
                  "function", "name", "weather", "arguments", "city", "Paris", "days", 2);
    result_message =
        json_pack("{s:s,s:s,s:s}", "role", "tool", "content", "sunny", "tool_call_id", "toolu_12");
    tools = json_pack("[{s:s,s:{s:s,s:s,s:{s:s,s:{s:{s:s,s:s},s:{s:s,s:s}}}}}]", "type", "function",
                      "function", "name", "weather", "description", "The weather.", "parameters",
                      "type", "object", "properties", "city", "type", "string", "description", "a",
                      "days", "type", "integer", "description", "b");
    return call_message && result_message && tools ? 0 : -1;
}

static int drop(void **state)
{
    (void)state;
    json_decref(call_message);
    json_decref(result_message);
    json_decref(tools);
    return 0;
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(messages_are_as_the_template_wants_them),
    cmocka_unit_test(tools_are_told_where_the_template_does_not),
    cmocka_unit_test(ids_are_shortened_the_same_way_everywhere),
    cmocka_unit_test(calls_are_read_as_published_templates_write_them),
};

int main(void)
{
    return cmocka_run_group_tests(tests, make, drop);
}
