// test_remote_vendors.c - the vendors' own formats over a real connection: streams byte by byte,
// refusals, cuts, and embeddings.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../support/remote_help.h"

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
#define CHUNK(delta, finish)                                                                       \
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","      \
    "\"choices\":[{\"index\":0,\"delta\":" delta ",\"finish_reason\":" finish "}]}\n\n"
#define OPENAI                                                                                     \
    CHUNK("{\"role\":\"assistant\",\"content\":\"\"}", "null")                                     \
    CHUNK("{\"content\":\"hel\"}", "null")                                                         \
    CHUNK("{\"content\":\"lo\"}", "null") CHUNK("{}", "\"stop\"")
#define OPENAI_USAGE                                                                               \
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","      \
    "\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11,"   \
    "\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n"
#define DONE "data: [DONE]\n\n"

#define ANTHROPIC_BEGIN                                                                            \
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":"  \
    "\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,"      \
    "\"stop_sequence\":null,\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"              \
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"             \
    "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: ping\ndata: {\"type\":"        \
    "\"ping\"}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"  \
    "0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hello there\"}}\n\n"
#define ANTHROPIC_END                                                                              \
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"           \
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"          \
    "\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":2}}\n\n"                    \
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"

#define GEMINI                                                                                     \
    "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"hello\"}]},"   \
    "\"index\":0}]}\r\n\r\ndata: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[]}," \
    "\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":9,"           \
    "\"candidatesTokenCount\":2,\"totalTokenCount\":11}}\r\n\r\n"

static struct remote_scene scene;

struct bytes {
    const char *text;
    struct buf head, body;  // of the request
};

static bool says_bytes(void *self, struct script_talk *t)
{
    struct bytes *b = self;
    buf_slice(&b->head, buf_view(&t->head));
    buf_slice(&b->body, buf_view(&t->body));
    (void)script_bytewise(t, b->text);
    return false;
}

static void open_vendor(const struct dialect_client *client, struct bytes *b)
{
    struct remote_options o = remote_scene_options();
    o.client = client;
    remote_scene_open(&scene, says_bytes, b, &o);
    scene.ask.req.max_tokens = 100;  // Anthropic wants to be told
}

static void close_vendor(struct bytes *b)
{
    remote_log_release(&scene.log);
    remote_scene_close(&scene);
    buf_release(&b->head);
    buf_release(&b->body);
}

static void check(const struct dialect_client *client, const char *text, const char *log,
                  enum error_code code, const char *sent)
{
    struct bytes b = {.text = text};
    open_vendor(client, &b);
    assert_string_equal(remote_scene_answer(&scene, true), log);
    assert_int_equal(scene.log.error.code, code);
    assert_non_null(strstr(buf_text(&b.head), sent));
    assert_non_null(strstr(buf_text(&b.body), "how are you"));
    assert_int_equal(scene.log.usage.bytes_sent, b.body.len);
    close_vendor(&b);
}

static void each_vendor_is_asked_and_read(void **state)
{
    const char *key = "\r\nauthorization: Bearer sk-acme-0123456789\r\n";
    const char *goog = "\r\nx-goog-api-key: sk-acme-0123456789\r\n";
    (void)state;
    check(&client_openai, HEAD OPENAI OPENAI_USAGE DONE,
          "text hel\ntext lo\nfinish\nusage 9 2\ndone\nclosed\n", ERR_NONE, key);
    check(&client_openai, HEAD OPENAI DONE,
          "text hel\ntext lo\nfinish\nusage 7 2 about\ndone\nclosed\n", ERR_NONE,
          "POST /chat/completions HTTP/1.1\r\n");
    check(&client_anthropic, HEAD ANTHROPIC_BEGIN ANTHROPIC_END,
          "text hello there\nfinish\nusage 9 2\ndone\nclosed\n", ERR_NONE,
          "\r\nanthropic-version: 2023-06-01\r\n");
    check(&client_gemini, HEAD GEMINI, "text hello\nfinish\nusage 9 2\ndone\nclosed\n", ERR_NONE,
          goog);
}

static void a_cut_stream_is_no_answer(void **state)
{
    (void)state;
    check(&client_openai, HEAD CHUNK("{\"content\":\"hello\"}", "null"),
          "text hello\nusage 7 2 about\nerror\nclosed\n", ERR_UPSTREAM, "");
    check(&client_anthropic, HEAD ANTHROPIC_BEGIN,
          "text hello there\nusage 9 3 about\nerror\nclosed\n", ERR_UPSTREAM, "");
}

static void failures_have_the_vendors_words(void **state)
{
    (void)state;
    check(&client_openai,
          HEAD "data: {\"error\":{\"message\":\"boom\",\"type\":\"server_error\"}}\n\n",
          REMOTE_ERROR_LOG, ERR_UPSTREAM, "");
    check(&client_anthropic,
          HEAD "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
               "\"message\":\"Overloaded\"}}\n\n",
          REMOTE_ERROR_LOG, ERR_BUSY, "");
    check(&client_openai,
          "HTTP/1.1 429 No\r\nContent-Type: application/json\r\n\r\n{\"error\":{\"message\":"
          "\"You exceeded your current quota\",\"type\":\"insufficient_quota\",\"param\":null,"
          "\"code\":\"insufficient_quota\"}}",
          REMOTE_ERROR_LOG, ERR_RATE, "");
}

static void note_embedding(void *self, const struct chat_event *e)
{
    struct buf *log = self;
    if (e->kind == CHAT_EMBEDDING)
        buf_printf(log, "%d: %zu numbers\n", e->choice, e->n_embedding);
    if (e->kind == CHAT_USAGE)
        buf_printf(log, "usage %lld%s\n", (long long)e->usage.prompt_tokens,
                   e->usage.estimated ? " about" : "");
    if (e->kind == CHAT_DONE || e->kind == CHAT_ERROR)
        buf_printf(log, "%s%s\n", e->kind == CHAT_DONE ? "done" : "error ", e->error.text);
}

static void embeddings_go_the_same_way(void **state)
{
    struct bytes b = {.text = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
                              "{\"object\":\"list\",\"model\":\"m\",\"data\":["
                              "{\"object\":\"embedding\",\"index\":0,\"embedding\":[1,0]},"
                              "{\"object\":\"embedding\",\"index\":1,\"embedding\":[0.6,0.8]}],"
                              "\"usage\":{\"prompt_tokens\":5,\"total_tokens\":5}}"};
    struct chat_embed_input inputs[] = {{.text = slice_str("how are you")},
                                        {.text = slice_str("fine")}};
    struct chat_request req = {
        .input = INPUT_EMBED, .model = "m", .inputs = inputs, .n_inputs = 2, .max_tokens = -1};
    struct buf log = {0};
    struct error err;
    (void)state;
    open_vendor(&client_openai, &b);
    chat_sampling_unset(&req.sampling);
    struct answer *a =
        scene.remote->ops->start(scene.remote, &req, (struct provider_flow){0},
                                 (struct chat_sink){.push = note_embedding, .self = &log}, &err);
    assert_non_null(a);
    scene.remote->ops->wait(a);
    scene.remote->ops->answer_free(a);
    assert_string_equal(buf_text(&log), "0: 2 numbers\n1: 2 numbers\nusage 5\ndone\n");
    assert_non_null(strstr(buf_text(&b.head), "POST /embeddings "));
    buf_release(&log);
    close_vendor(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_vendor_is_asked_and_read),
        cmocka_unit_test(a_cut_stream_is_no_answer),
        cmocka_unit_test(failures_have_the_vendors_words),
        cmocka_unit_test(embeddings_go_the_same_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
