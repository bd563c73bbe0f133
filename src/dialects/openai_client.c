// openai_client.c - asking in OpenAI's words: chat completions and embeddings.
//
// Many other servers and vendors speak them too, so that what they add or leave out is taken as it
// comes. Source: the types of the official Python package `openai` 2.54 and the public reference of
// errors.
#include "dialects/openai_client.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"

static void begin(void *state, const struct chat_request *req)
{
    struct openai_client_state *s = state;
    client_answer_begin(&s->answer, req);
    s->call_index = memory_array(int64_t, s->answer.n_choices);
    s->call_id = memory_array(char *, s->answer.n_choices);
}

static void release(void *state)
{
    struct openai_client_state *s = state;
    for (size_t i = 0; s->call_id && i < s->answer.n_choices; i++)
        free(s->call_id[i]);
    free(s->call_id);
    free(s->call_index);
    client_answer_release(&s->answer);
    *s = (struct openai_client_state){0};
}

// A stream has come to its end with [DONE], or, from servers that send none, when each choice has
// told how it ended; fewer choices than were asked for are all where the usage was told, too.
static bool end(void *state, struct chat_sink *sink, struct error *err)
{
    struct openai_client_state *s = state;
    bool finished = client_all_finished(&s->answer), all = true;
    for (size_t i = 0; i < s->answer.n_choices; i++)
        all = all && s->answer.choices[i].seen;
    if (!s->done && !(finished && (all || s->answer.has_usage)))
        return client_cut(&s->answer, sink, err);
    client_push_end(&s->answer, sink);
    return true;
}

// Where a failure comes inside a stream, its words stand for the status.
static int status_of(const char *code, const char *type)
{
    static const struct {
        const char *word;
        int status;
    } words[] = {{"insufficient_quota", 429},    {"rate_limit_exceeded", 429},
                 {"rate_limit_error", 429},      {"credit_balance_exhausted", 429},
                 {"server_is_overloaded", 503},  {"slow_down", 503},
                 {"overloaded_error", 503},      {"invalid_api_key", 401},
                 {"authentication_error", 401},  {"permission_error", 403},
                 {"model_not_found", 404},       {"not_found_error", 404},
                 {"invalid_request_error", 400}, {"context_length_exceeded", 400},
                 {"unsupported_value", 400}};
    for (int k = 0; k < 2; k++) {
        const char *word = k ? type : code;
        for (size_t i = 0; word && i < sizeof words / sizeof *words; i++) {
            if (strcmp(word, words[i].word) == 0)
                return words[i].status;
        }
    }
    return 500;
}

static bool is(const char *word, const char *text)
{
    return word && strcmp(word, text) == 0;
}

bool openai_client_fail(const json_t *body, int status, struct error *out, bool *worth_retrying)
{
    const json_t *e = json_object_get(body, "error");
    const char *code = json_get_text(e, "code"), *type = json_get_text(e, "type");
    struct client_failure f = {.status = status,
                               .dialect = "openai",
                               .kind = code ? code : type,
                               .type = type,
                               .code = code,
                               .member = json_get_text(e, "param")};
    int64_t number = 0;
    f.message = json_is_string(e) ? json_slice(e) : client_text(e, "message");
    if (!f.message.len)
        f.message = client_text(body, "message");
    if (!f.message.len)
        f.message = client_text(body, "detail");
    if (!f.status)
        f.status = json_get_i64(e, "code", &number) && number >= 400 && number < 600
                       ? (int)number
                       : status_of(code, type);
    f.context = is(code, "context_length_exceeded") ||
                ((f.status == 400 || f.status == 413) && client_says_context(f.message));
    f.key = is(code, "invalid_api_key");
    f.for_good = is(code, "insufficient_quota") || is(type, "insufficient_quota") ||
                 is(code, "credit_balance_exhausted");
    return client_fail(&f, out, worth_retrying);
}

static void read_error(int status, struct slice body, struct error *out, bool *worth_retrying)
{
    json_t *value = json_parse(body, NULL);
    (void)openai_client_fail(value, status, out, worth_retrying);
    json_decref(value);
}

static const struct client_header headers[] = {{0}};
const struct dialect_client client_openai = {
    .name = "openai",
    .base_url = "https://api.openai.com/v1",
    .key_header = "authorization",
    .key_prefix = "Bearer ",
    .headers = headers,
    .state_size = sizeof(struct openai_client_state),
    .write_request = openai_client_write,
    .begin = begin,
    .read_event = openai_client_read_event,
    .end = end,
    .read_response = openai_client_read_response,
    .read_error = read_error,
    .release = release,
};
