// anthropic_client.c - asking in Anthropic's words: POST /v1/messages.
//
// Source: the types of the official Python package `anthropic` 2.14 and the public reference of
// errors, version 2023-06-01. There are no embeddings.
#include "dialects/anthropic_client.h"

#include <string.h>

#include "base/json.h"

static void begin(void *state, const struct chat_request *req)
{
    struct anthropic_client_state *s = state;
    client_answer_begin(&s->answer, req);
}

static void release(void *state)
{
    struct anthropic_client_state *s = state;
    buf_release(&s->signature);
    buf_release(&s->arguments);
    json_decref(s->block);
    client_answer_release(&s->answer);
}

static bool end(void *state, struct chat_sink *sink, struct error *err)
{
    struct anthropic_client_state *s = state;
    if (!s->ended)
        return client_cut(&s->answer, sink, err);
    client_push_end(&s->answer, sink);
    return true;
}

static int status_of(const char *type)
{
    static const struct {
        const char *type;
        int status;
    } types[] = {
        {"invalid_request_error", 400}, {"authentication_error", 401}, {"billing_error", 402},
        {"permission_error", 403},      {"not_found_error", 404},      {"request_too_large", 413},
        {"rate_limit_error", 429},      {"timeout_error", 504},        {"overloaded_error", 529}};
    for (size_t i = 0; type && i < sizeof types / sizeof *types; i++) {
        if (strcmp(type, types[i].type) == 0)
            return types[i].status;
    }
    return 500;
}

bool anthropic_client_fail(const json_t *body, int status, struct error *out, bool *worth_retrying)
{
    const json_t *e = json_object_get(body, "error");
    const char *type = json_get_text(e, "type");
    struct client_failure f = {
        .status = status, .dialect = "anthropic", .kind = type, .type = type};
    f.message = json_is_string(e) ? json_slice(e) : client_text(e, "message");
    if (!f.status)
        f.status = status_of(f.kind);
    f.context = (f.status == 400 || f.status == 413) && client_says_context(f.message);
    f.for_good = f.kind && strcmp(f.kind, "billing_error") == 0;
    return client_fail(&f, out, worth_retrying);
}

static void read_error(int status, struct slice body, struct error *out, bool *worth_retrying)
{
    json_t *value = json_parse(body, NULL);
    (void)anthropic_client_fail(value, status, out, worth_retrying);
    json_decref(value);
}

static const struct client_header headers[] = {{"anthropic-version", "2023-06-01"}, {0}};
const struct dialect_client client_anthropic = {
    .name = "anthropic",
    .base_url = "https://api.anthropic.com",
    .key_header = "x-api-key",
    .key_prefix = "",
    .headers = headers,
    .state_size = sizeof(struct anthropic_client_state),
    .write_request = anthropic_client_write,
    .begin = begin,
    .read_event = anthropic_client_read_event,
    .end = end,
    .read_response = anthropic_client_read_response,
    .read_error = read_error,
    .release = release,
};
