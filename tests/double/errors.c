// errors.c - how each vendor says that something failed.
// Source: the vendors' pages on errors, and what their packages expect (shapes and words as sent).
#include "answer.h"

#include "base/json.h"

struct shape {
    int status;
    const char *type, *code, *text;
};

static const struct shape openai_shapes[] = {
    {400, "invalid_request_error", NULL, "Invalid value."},
    {401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."},
    {403, "invalid_request_error", "unsupported_country_region_territory",
     "Country, region, or territory not supported"},
    {404, "invalid_request_error", "model_not_found", "The model does not exist."},
    {429, "requests", "rate_limit_exceeded", "Rate limit reached for requests."},
    {500, "server_error", NULL, "The server had an error while processing your request."},
    {503, "server_error", "server_is_overloaded", "The engine is currently overloaded."},
    {0, "server_error", NULL, "Something else."},
};
static const struct shape anthropic_shapes[] = {
    {400, "invalid_request_error", NULL, "messages: at least one message is required"},
    {401, "authentication_error", NULL, "invalid x-api-key"},
    {403, "permission_error", NULL, "Your API key does not have permission."},
    {404, "not_found_error", NULL, "model: not found"},
    {413, "request_too_large", NULL, "Request exceeds the maximum size"},
    {429, "rate_limit_error", NULL, "Number of request tokens has exceeded your rate limit."},
    {500, "api_error", NULL, "Internal server error"},
    {529, "overloaded_error", NULL, "Overloaded"},
    {0, "api_error", NULL, "Something else."},
};
static const struct shape gemini_shapes[] = {
    {400, "INVALID_ARGUMENT", NULL, "Request contains an invalid argument."},
    {401, "UNAUTHENTICATED", NULL, "API key not valid. Please pass a valid API key."},
    {403, "PERMISSION_DENIED", NULL, "The caller does not have permission"},
    {404, "NOT_FOUND", NULL, "models/it is not found for API version v1beta"},
    {429, "RESOURCE_EXHAUSTED", NULL, "You exceeded your current quota."},
    {500, "INTERNAL", NULL, "An internal error has occurred."},
    {503, "UNAVAILABLE", NULL, "The model is overloaded. Please try again later."},
    {504, "DEADLINE_EXCEEDED", NULL, "The request timed out."},
    {0, "UNKNOWN", NULL, "Something else."},
};

static const struct shape *shape_of(enum vendor vendor, int status)
{
    static const struct shape *const all[VENDOR_N] = {openai_shapes, anthropic_shapes,
                                                      gemini_shapes};
    const struct shape *s = all[vendor];
    while (s->status && s->status != status)
        s++;
    return s;
}

// What each says where a prompt is too long, with 400.
static const char *context_text(enum vendor vendor)
{
    static const char *const texts[VENDOR_N] = {
        "This model's maximum context length is 4096 tokens. However, your messages resulted in "
        "5000 "
        "tokens.",
        "prompt is too long: 200001 tokens > 200000 maximum",
        "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576)."};
    return texts[vendor];
}

static void openai_error(struct buf *out, const struct shape *shape, const char *text, bool quota)
{
    buf_text_add(out, "{\"error\":{\"message\":");
    json_write_text(out, slice_str(quota ? "You exceeded your current quota." : text));
    buf_printf(out, ",\"type\":\"%s\",\"param\":null,\"code\":",
               quota ? "insufficient_quota" : shape->type);
    const char *code = quota                            ? "insufficient_quota"
                       : strstr(text, "context length") ? "context_length_exceeded"
                                                        : shape->code;
    if (code)
        buf_printf(out, "\"%s\"}}", code);
    else
        buf_text_add(out, "null}}");
}

static void gemini_error(struct buf *out, const struct shape *shape, int status, const char *text,
                         const struct scenario *s)
{
    bool wrong_key = status == 401;  // which Google tells with 400
    buf_printf(out, "{\"error\":{\"code\":%d,\"message\":", wrong_key ? 400 : status);
    json_write_text(out, slice_str(text));
    buf_printf(out, ",\"status\":\"%s\"", wrong_key ? "INVALID_ARGUMENT" : shape->type);
    if (wrong_key)
        buf_text_add(out, ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\","
                          "\"reason\":\"API_KEY_INVALID\",\"domain\":\"googleapis.com\"}]");
    else if (s && (s->after_s > 0 || s->after_ms > 0))
        buf_printf(out,
                   ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
                   "\"retryDelay\":\"%lld.%03llds\"}]",
                   (long long)(s->after_s + s->after_ms / 1000), (long long)(s->after_ms % 1000));
    buf_text_add(out, "}}");
}

void error_body(struct buf *out, enum vendor vendor, int status, const char *text,
                const struct scenario *s)
{
    const struct shape *shape = shape_of(vendor, status);
    if (!text)
        text = s && s->context ? context_text(vendor) : shape->text;
    if (vendor == VENDOR_OPENAI) {
        openai_error(out, shape, text, s && s->quota);
    } else if (vendor == VENDOR_ANTHROPIC) {
        buf_printf(out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", shape->type);
        json_write_text(out, slice_str(text));
        buf_text_add(out, "},\"request_id\":\"req_double\"}");
    } else {
        gemini_error(out, shape, status, text, s);
    }
}
