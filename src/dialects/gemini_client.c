// gemini_client.c - asking in Gemini's words: generateContent, streamGenerateContent and
// batchEmbedContents.
//
// Source: the types of the official Python package `google-genai` 3.6 and the public reference,
// version v1beta.
#include "dialects/gemini_client.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static void begin(void *state, const struct chat_request *req)
{
    struct gemini_client_state *s = state;
    client_answer_begin(&s->answer, req);
}

static void release(void *state)
{
    struct gemini_client_state *s = state;
    client_answer_release(&s->answer);
}

static bool ends_with(struct slice s, const char *end)
{
    size_t n = strlen(end);
    return s.len >= n && slice_is(slice_sub(s, s.len - n, n), end);
}

// Of {"@type": ".../google.rpc.RetryInfo", "retryDelay": "34.07s"}.
static double retry_delay(const json_t *detail)
{
    const char *delay = json_get_text(detail, "retryDelay");
    char *end = NULL;
    double s = delay ? strtod(delay, &end) : 0;
    return delay && end > delay && strcmp(end, "s") == 0 && s > 0 && s < 1e9 ? s : 0;
}

// A quota for a day does not come back while somebody waits.
static bool is_daily(const json_t *detail)
{
    const json_t *list = json_object_get(detail, "violations");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *id = json_get_text(json_array_get(list, i), "quotaId");
        if (id && strstr(id, "PerDay"))
            return true;
    }
    return false;
}

bool gemini_client_fail(const json_t *body, int status, struct error *out, bool *worth_retrying)
{
    if (json_is_array(body))
        body = json_array_get(body, 0);
    const json_t *e = json_object_get(body, "error"), *details = json_object_get(e, "details");
    const char *name = json_get_text(e, "status");
    struct client_failure f = {.status = status, .dialect = "gemini", .kind = name, .type = name};
    int64_t code = 500;
    f.message = client_text(e, "message");
    if (!f.status)
        f.status = json_get_i64(e, "code", &code) && code >= 400 && code < 600 ? (int)code : 500;
    f.context = f.status == 400 && client_says_context(f.message);
    for (size_t i = 0; i < json_array_size(details); i++) {
        const json_t *d = json_array_get(details, i);
        struct slice type = client_text(d, "@type");
        if (ends_with(type, "google.rpc.RetryInfo"))
            f.retry_after_s = retry_delay(d);
        else if (ends_with(type, "google.rpc.QuotaFailure"))
            f.for_good = f.for_good || is_daily(d);
        f.key = f.key || slice_is(client_text(d, "reason"), "API_KEY_INVALID");
    }
    return client_fail(&f, out, worth_retrying);
}

static void read_error(int status, struct slice body, struct error *out, bool *worth_retrying)
{
    json_t *value = json_parse(body, NULL);
    (void)gemini_client_fail(value, status, out, worth_retrying);
    json_decref(value);
}

static const struct client_header headers[] = {{0}};
const struct dialect_client client_gemini = {
    .name = "gemini",
    .base_url = "https://generativelanguage.googleapis.com",
    .key_header = "x-goog-api-key",
    .key_prefix = "",
    .headers = headers,
    .state_size = sizeof(struct gemini_client_state),
    .write_request = gemini_client_write,
    .begin = begin,
    .read_event = gemini_client_read_event,
    .end = gemini_client_end,
    .read_response = gemini_client_read_response,
    .read_error = read_error,
    .release = release,
};
