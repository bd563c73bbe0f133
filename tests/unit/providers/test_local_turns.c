// test_local_turns.c - conversations that clients may send, put as strict chat templates take them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mapping.h"
#include "local/template/template.h"
#include "providers/local_impl.h"

#define ALTERNATES "raise_exception('Conversation roles must alternate user/assistant')"
#define NO_SYSTEM "raise_exception('System role not supported')"
#define ONE_CALL "raise_exception('This model only supports single tool-calls at once!') tools"

#define SYSTEM(text) "{\"role\":\"system\",\"content\":\"" text "\"}"
#define USER(text) "{\"role\":\"user\",\"content\":\"" text "\"}"
#define MODEL(text) "{\"role\":\"assistant\",\"content\":\"" text "\"}"
#define CALL(id, n)                                                                                \
    "{\"id\":\"" id                                                                                \
    "\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{\"n\":" n "}}}"
#define CALLS(text, list)                                                                          \
    "{\"role\":\"assistant\",\"content\":\"" text "\",\"tool_calls\":[" list "]}"
#define RESULT(id, text) "{\"role\":\"tool\",\"content\":\"" text "\",\"tool_call_id\":\"" id "\"}"

static const struct {
    const char *template;
    enum answer_format format;
    const char *given, *expected;
} rows[] = {
    {"any", ANSWER_PLAIN, SYSTEM("a") "," SYSTEM("b") "," USER("c") "," USER("d"),
     SYSTEM("a") "," SYSTEM("b") "," USER("c") "," USER("d")},
    {ALTERNATES, ANSWER_PLAIN,
     SYSTEM("a") "," SYSTEM("b") "," USER("c") "," USER("") "," USER("d") "," MODEL("e") "," MODEL(
         "f"),
     SYSTEM("a\\n\\nb") "," USER("c\\n\\nd") "," MODEL("e\\n\\nf")},
    {ALTERNATES, ANSWER_PLAIN, USER("a") "," MODEL("b") "," SYSTEM("c") "," USER("d"),
     USER("a") "," MODEL("b") "," USER("c\\n\\nd")},
    {NO_SYSTEM ALTERNATES, ANSWER_PLAIN, SYSTEM("a") "," USER("b"), USER("a\\n\\nb")},
    {NO_SYSTEM ALTERNATES, ANSWER_PLAIN, SYSTEM("a"), USER("a")},
    {ALTERNATES, ANSWER_PLAIN, SYSTEM("a") "," MODEL("b") "," USER("c"),
     SYSTEM("a") "," USER("") "," MODEL("b") "," USER("c")},
    {NO_SYSTEM ALTERNATES, ANSWER_JSON,
     USER("a") "," CALLS("", CALL("x", "1") "," CALL("y", "2")) "," RESULT("y", "two") "," RESULT(
         "x", "one") "," USER("b"),
     USER("a") "," MODEL(
         "{\\\"name\\\": \\\"f\\\", \\\"parameters\\\": {\\\"n\\\": 1}}\\n"
         "{\\\"name\\\": \\\"f\\\", \\\"parameters\\\": {\\\"n\\\": 2}}") ","
                                                                          "{\"role\":\"user\","
                                                                          "\"content\":\"Result of "
                                                                          "f:\\n\\ntwo\\n\\nResult "
                                                                          "of "
                                                                          "f:\\n\\none\\n\\nb\","
                                                                          "\"tool_call_id\":"
                                                                          "\"y\"}"},
    {ALTERNATES "tools", ANSWER_MISTRAL,
     USER("a") "," CALLS("", CALL("x", "1")) "," RESULT("x", "one") "," USER("b") "," MODEL("c"),
     USER("a") "," CALLS("", CALL("x", "1")) "," RESULT("x", "one\\n\\nb") "," MODEL("c")},
    {ONE_CALL, ANSWER_LLAMA,
     USER("a") "," CALLS("t", CALL("x", "1") "," CALL("y", "2")) "," RESULT("y", "two") "," RESULT(
         "x", "one") "," RESULT("z", "?") "," MODEL("b"),
     USER("a") "," CALLS("t", CALL("x", "1")) "," RESULT("x", "one") "," CALLS(
         "", CALL("y", "2")) "," RESULT("y", "two") "," RESULT("z", "?") "," MODEL("b")},
};

static void turns_are_as_the_template_takes_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf given = {0}, expected = {0};
        struct local_model m = {.habits = local_habits(slice_str(rows[i].template)),
                                .shape = {.format = rows[i].format}};
        buf_printf(&given, "[%s]", rows[i].given);
        buf_printf(&expected, "[%s]", rows[i].expected);
        json_t *wanted = json_parse(buf_view(&expected), NULL);
        json_t *got = local_turns(&m, json_parse(buf_view(&given), NULL));
        char *text = json_dumps(got, JSON_COMPACT);
        assert_non_null(wanted);
        if (!json_equal(got, wanted))
            fail_msg("row %zu: %s, not %s", i, text, buf_text(&expected));
        free(text);
        json_decref(got);
        json_decref(wanted);
        buf_release(&given);
        buf_release(&expected);
    }
}

// Published templates that raise exceptions over these take them.
static void published_templates_take_them(void **state)
{
    static const char *const names[] = {
        "google-gemma-2-2b-it", "mistralai-Mistral-Nemo-Instruct-2407",
        "meta-llama-Llama-3.1-8B-Instruct", "Mistral-Small-3.2-24B-Instruct-2506"};
    static const char talk[] = "[" SYSTEM("one") "," SYSTEM("two") "," USER("three") "," USER(
        "fou"
        "r") "," CALLS("",
                       CALL("aB3456780", "5") "," CALL(
                           "aB3456781",
                           "6")) "," RESULT("aB3456780",
                                            "seven") "," RESULT("aB3456781",
                                                                "eight") "," USER("nine") "," MODEL("ten") "," SYSTEM("eleven") "," USER("twelve") "]";
    static const char *const said[] = {"one",   "two",  "three", "four",   "seven",
                                       "eight", "nine", "ten",   "eleven", "twelve"};
    (void)state;
    if (access("../shared/data/templates/google-gemma-2-2b-it.jinja", R_OK) != 0)
        skip();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[256];
        struct buf source = {0};
        struct error err = {0};
        struct rendered out = {0};
        (void)snprintf(path, sizeof path, "../shared/data/templates/%s.jinja", names[i]);
        assert_true(file_read(path, 1 << 20, &source, &err));
        struct local_model m = {.shape = answer_shape_of(buf_view(&source)),
                                .habits = local_habits(buf_view(&source))};
        struct template *t = template_open(buf_view(&source), &err);
        json_t *v = json_object();
        json_object_set_new(v, "messages", local_turns(&m, json_parse(slice_str(talk), NULL)));
        json_object_set_new(v, "bos_token", json_string("<s>"));
        json_object_set_new(v, "eos_token", json_string("</s>"));
        json_object_set_new(v, "add_generation_prompt", json_true());
        if (!template_render(t, v, NULL, &out, &err))
            fail_msg("%s: %s", names[i], err.text);
        for (size_t k = 0; k < sizeof said / sizeof *said; k++)
            if (!strstr(buf_text(&out.text), said[k]))
                fail_msg("%s: no '%s' in %s", names[i], said[k], buf_text(&out.text));
        rendered_release(&out);
        json_decref(v);
        template_close(t);
        buf_release(&source);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(turns_are_as_the_template_takes_them),
    cmocka_unit_test(published_templates_take_them),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
