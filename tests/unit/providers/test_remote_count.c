// test_remote_count.c - what is said of a prompt's tokens without a tokenizer is never too little.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json.h"
#include "../../support/remote_help.h"

static json_t *parsed(const char *text)
{
    struct error err;
    json_t *v = json_parse(slice_str(text), &err);
    assert_non_null(v);
    return v;
}

static void every_byte_counts(void **state)
{
    struct remote_ask ask;
    (void)state;
    remote_ask_init(&ask, "");
    int64_t empty = remote_tokens_at_most(&ask.req);
    remote_ask_init(&ask, "caf\xC3\xA9 au lait");
    assert_int_equal(remote_tokens_at_most(&ask.req), empty + 13);
    assert_int_equal(remote_tokens_about(&ask.req), 4 + 4);
    ask.req.input = INPUT_TEXT;
    ask.req.text = slice_str("12345");
    assert_int_equal(remote_tokens_at_most(&ask.req), 5 + 32);
    ask.req.input = INPUT_TOKENS;
    ask.req.n_tokens = 1000;
    assert_true(remote_tokens_at_most(&ask.req) >= 1000);
    assert_int_equal(remote_tokens_about(&ask.req), 1000);
}

static void what_is_no_text_counts_too(void **state)
{
    struct remote_ask ask;
    json_t *raw = parsed(
        "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"a\",\"function\":"
        "{\"name\":\"look\",\"arguments\":{\"where\":\"everywhere and beyond\"}}}]}");
    json_t *tools = parsed("[{\"type\":\"function\",\"function\":{\"name\":\"look\"}}]");
    json_t *schema = parsed("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}");
    struct buf text = {0};
    (void)state;
    remote_ask_init(&ask, "");
    int64_t before = remote_tokens_at_most(&ask.req), now;
    ask.message.raw = raw;
    json_write(&text, json_object_get(raw, "tool_calls"), JSON_STYLE_COMPACT);
    now = remote_tokens_at_most(&ask.req);
    assert_true(now >= before + (int64_t)text.len);
    before = now;
    ask.req.tools = tools;
    buf_clear(&text);
    json_write(&text, tools, JSON_STYLE_COMPACT);
    now = remote_tokens_at_most(&ask.req);
    assert_true(now >= before + 1024 + 64 + (int64_t)text.len);
    ask.req.tool_choice = TOOLS_NONE;
    assert_int_equal(remote_tokens_at_most(&ask.req), before);
    ask.req.constraint.kind = CONSTRAINT_JSON_SCHEMA;
    ask.req.constraint.schema = schema;
    buf_clear(&text);
    json_write(&text, schema, JSON_STYLE_COMPACT);
    assert_true(remote_tokens_at_most(&ask.req) >= before + (int64_t)text.len);
    buf_release(&text);
    json_decref(raw);
    json_decref(tools);
    json_decref(schema);
}

static void images_are_not_their_bytes(void **state)
{
    struct remote_ask ask;
    json_t *parts =
        parsed("[{\"type\":\"text\",\"text\":\"what is this?\"},{\"type\":\"image_url\","
               "\"image_url\":{\"url\":\"data:image/png;base64,AAAA\"}}]");
    (void)state;
    remote_ask_init(&ask, "what is this?");
    int64_t before = remote_tokens_at_most(&ask.req), about = remote_tokens_about(&ask.req);
    ask.message.parts = parts;
    int64_t now = remote_tokens_at_most(&ask.req);
    assert_true(now >= before + 50000 && now < before + 50100);
    now = remote_tokens_about(&ask.req);
    assert_true(now >= about + 1600 && now < about + 1650);
    json_decref(parts);
}

static void inputs_of_embeddings_are_added_up(void **state)
{
    static const int32_t ids[] = {1, 2, 3};
    struct chat_embed_input inputs[] = {
        {.text = slice_str("four")}, {.tokens = ids, .n_tokens = 3}, {.text = slice_str("five5")}};
    struct chat_request req = {.input = INPUT_EMBED, .inputs = inputs, .n_inputs = 3};
    (void)state;
    assert_int_equal(remote_tokens_at_most(&req), 4 + 3 + 5 + 3 * 2 + 32);
    assert_int_equal(remote_tokens_about(&req), 3 + 3);
    assert_int_equal(remote_tokens_of_bytes(0), 0);
    assert_int_equal(remote_tokens_of_bytes(1), 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(what_is_no_text_counts_too),
        cmocka_unit_test(images_are_not_their_bytes),
        cmocka_unit_test(inputs_of_embeddings_are_added_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
