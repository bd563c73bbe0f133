// fuzz_dialects.c - any bytes as the body of a request of each dialect: refused in one line of its
// own shape, or read, and then an answer to it is whole JSON, and so is what goes to each vendor.
// Bytes that are no JSON are a text.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "dialects/answer.h"
#include "dialects/client.h"
#include "dialects/dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static void check_json(struct buf *text)
{
    json_t *value = json_parse(buf_view(text), NULL);
    check(value != NULL);
    json_decref(value);
    buf_clear(text);
}

// Every line of data is JSON, but for the one that ends some streams.
static void check_stream(struct buf *stream)
{
    char *at = stream->ptr, *end;
    while (at && (end = strchr(at, '\n'))) {
        struct slice line = slice_of(at, (size_t)(end - at));
        at = end + 1;
        if (!slice_starts(line, slice_str("data: ")) || slice_is(line, "data: [DONE]"))
            continue;
        json_t *value = json_parse(slice_sub(line, 6, line.len), NULL);
        check(value != NULL);
        json_decref(value);
    }
    buf_clear(stream);
}

static void answer(const struct dialect *d, struct dialect_call *c, struct slice text)
{
    struct dialect_answer a;
    struct buf out = {0};
    const struct chat_token token = {.bytes = text, .logprob = -1};
    const struct chat_token unscored = {.bytes = text, .logprob = NAN};
    const float embedding[] = {0.6f, -0.8f};
    const struct chat_event events[] = {
        {.kind = CHAT_PROMPT_TOKENS, .tokens = &unscored, .n_tokens = 1},
        {.kind = CHAT_PROMPT_TOKENS, .tokens = &token, .n_tokens = 1},
        {.kind = CHAT_TEXT, .text = text, .tokens = &token, .n_tokens = 1},
        {.kind = CHAT_REASONING, .text = text},
        {.kind = CHAT_BLOB, .blob_vendor = "anthropic", .blob = text},
        {.kind = CHAT_BLOB, .blob_vendor = "anthropic", .blob = slice_str("{\"signature\":\"s\"}")},
        {.kind = CHAT_BLOB, .blob_vendor = "anthropic", .blob = slice_str("{\"data\":\"d\"}")},
        {.kind = CHAT_TOOL_CALL, .tool_id = "call", .tool_name = "name"},
        {.kind = CHAT_TOOL_ARGUMENTS, .text = text},
        {.kind = CHAT_BLOB,
         .blob_vendor = "gemini",
         .blob = slice_str("{\"thoughtSignature\":\"s\"}")},
        {.kind = CHAT_BLOB, .blob_vendor = "gemini", .blob = text},
        {.kind = CHAT_EMBEDDING, .embedding = embedding, .n_embedding = 2},
        {.kind = CHAT_TEXT, .text = text},
        {.kind = CHAT_FINISH, .finish = CHAT_STOP},
        {.kind = CHAT_USAGE},
        {.kind = CHAT_DONE},
    };
    dialect_answer_init(&a, 1, c->request.sampling.n_logprobs >= 0 || c->request.score_prompt);
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        dialect_answer_add(&a, &events[i]);
        if (d->write_event)
            d->write_event(c, &events[i], &out);
    }
    check_stream(&out);
    d->write_response(c, &a, &out);
    check_json(&out);
    buf_release(&out);
    dialect_answer_release(&a);
}

// Each vendor's client refuses a request, or writes one JSON value.
static void pass_on(const struct chat_request *req)
{
    static const struct dialect_client *const clients[] = {&client_openai, &client_anthropic,
                                                           &client_gemini};
    for (size_t i = 0; i < sizeof clients / sizeof *clients; i++) {
        struct client_request out = {0};
        struct error err = {0};
        if (clients[i]->write_request(req, "model-3", &out, &err)) {
            check(out.path.len > 0 && out.path.ptr[0] == '/');
            check_json(&out.body);
        } else {
            check(err.code != ERR_NONE && err.text[0] != 0);
        }
        buf_release(&out.path);
        buf_release(&out.body);
    }
}

static void read_as(const struct dialect *d, const json_t *body, struct slice text)
{
    struct arena arena = {0};
    struct dialect_call c;
    struct dialect_error err = {0};
    struct buf out = {0};
    struct http_request in = {.matched = slice_str("model"), .query = text, .body = body};
    dialect_call_init(&c, &arena);
    c.state = arena_alloc(&arena, 1, d->state_size);
    c.id = "1";
    c.model = "model";
    if (d->read_request(&in, &c, &err)) {
        const struct chat_request *r = &c.request;
        check(r->input != INPUT_MESSAGES || r->n_messages > 0);
        check(r->max_tokens >= -1 && r->sampling.n_choices <= 2048);
        check(r->sampling.n_choices <= 64 || (size_t)r->sampling.n_choices == r->n_inputs);
        check(r->n_prompts <= 128);
        pass_on(r);
        if (d->write_response)
            answer(d, &c, text);
    } else {
        check(err.text[0] != 0);
        int status = d->write_error(&err, &out);
        check(status >= 400 && status < 500);
        check_json(&out);
    }
    buf_release(&out);
    dialect_call_release(&c);
    arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of((const char *)data, size);
    json_t *body = json_parse(text, NULL);
    if (!json_is_object(body)) {
        json_decref(body);
        body = json_pack("{s:[{s:s, s:o}]}", "messages", "role", "user", "content",
                         json_stringn(text.ptr, text.len));
    }
    for (const struct dialect *const *d = dialects; body && *d; d++)
        if ((*d)->read_request)
            read_as(*d, body, text);
    json_decref(body);
    return 0;
}
