// test_openai_choices.c - several choices in one stream of chat completions.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../support/dialect_call.h"
#include "base/json.h"

// The index of each chunk's choice, with 'r' before it if the chunk has the role.
static void indices_of(const char *stream, struct buf *out)
{
    for (const char *at = stream; (at = strstr(at, "data: {")); at++) {
        const char *end = strstr(at, "\n\n");
        assert_non_null(end);
        json_t *o = json_parse(slice_of(at + 6, (size_t)(end - at) - 6), NULL);
        const json_t *choice = json_array_get(json_object_get(o, "choices"), 0);
        int64_t index = -1;
        assert_true(json_get_i64(choice, "index", &index));
        if (json_object_get(json_object_get(choice, "delta"), "role"))
            buf_char(out, 'r');
        buf_printf(out, "%d ", (int)index);
        json_decref(o);
    }
}

// OpenAI's package puts a choice at the end of its list when it sees it first, at its index.
static void choices_begin_in_order(void **state)
{
    struct dialect_case d;
    struct buf seen = {0};
    (void)state;
    dialect_case_read(&d, "/v1/chat/completions",
                      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"n\":4,"
                      "\"stream\":true}");
    const struct chat_event events[] = {
        {.kind = CHAT_TEXT, .choice = 2, .text = slice_str("c")},
        {.kind = CHAT_TEXT, .choice = 0, .text = slice_str("a")},
        {.kind = CHAT_TOOL_CALL, .choice = 1, .tool_id = "c1", .tool_name = "f"},
        {.kind = CHAT_FINISH, .choice = 3, .finish = CHAT_STOP},
        {.kind = CHAT_FINISH, .choice = 2, .finish = CHAT_LENGTH},
    };
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        dialect_case_event(&d, &events[i]);
    indices_of(buf_text(&d.out), &seen);
    assert_string_equal(buf_text(&seen), "r0 r1 r2 2 0 1 r3 3 2 ");
    buf_release(&seen);
    dialect_case_end(&d);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(choices_begin_in_order),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
