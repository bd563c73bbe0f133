// account_headers.c - what an answer's headers tell of a key's limits, in its vendor's way, and who
// served it.
//
// Source: developers.openai.com, "Rate limits in headers" (durations: "1s", "6m0s", "12ms");
// docs.claude.com, "Rate limits", "Response headers" (RFC 3339). Google has none.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/impl.h"

enum { VALUE_BYTES = 48 };

static void add(struct MHD_Response *r, const char *format, const char *what, const char *value)
{
    char name[64];
    (void)snprintf(name, sizeof name, format, what);
    (void)MHD_add_response_header(r, name, value);
}

static void add_number(struct MHD_Response *r, const char *format, const char *what, int64_t value)
{
    char text[VALUE_BYTES];
    (void)snprintf(text, sizeof text, "%" PRId64, value);
    add(r, format, what, text);
}

static void duration(int64_t ms, char out[VALUE_BYTES])
{
    int64_t s = ms / 1000;
    if (ms < 1000)
        (void)snprintf(out, VALUE_BYTES, "%" PRId64 "ms", ms);
    else if (ms % 1000 && s < 60)
        (void)snprintf(out, VALUE_BYTES, "%" PRId64 ".%03" PRId64 "s", s, ms % 1000);
    else if (s < 60)
        (void)snprintf(out, VALUE_BYTES, "%" PRId64 "s", s);
    else
        (void)snprintf(out, VALUE_BYTES, "%" PRId64 "m%" PRId64 "s", s / 60, s % 60);
}

static void moment(int64_t ms_from_now, char out[VALUE_BYTES])
{
    struct tm utc;
    time_t at = time(NULL) + (time_t)((ms_from_now + 999) / 1000);
    (void)gmtime_r(&at, &utc);
    (void)strftime(out, VALUE_BYTES, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

static void add_limit(struct MHD_Response *r, enum dialect_limits way, const char *what,
                      int64_t limit, int64_t left, int64_t reset_ms)
{
    char reset[VALUE_BYTES];
    if (limit < 0)
        return;
    if (way == LIMITS_ANTHROPIC) {
        add_number(r, "anthropic-ratelimit-%s-limit", what, limit);
        add_number(r, "anthropic-ratelimit-%s-remaining", what, left);
        moment(reset_ms, reset);
        add(r, "anthropic-ratelimit-%s-reset", what, reset);
    } else if (way == LIMITS_OPENAI) {
        add_number(r, "x-ratelimit-limit-%s", what, limit);
        add_number(r, "x-ratelimit-remaining-%s", what, left);
        duration(reset_ms, reset);
        add(r, "x-ratelimit-reset-%s", what, reset);
    }
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

void account_headers(const struct exchange *x, struct MHD_Response *r)
{
    const struct limits_state *l = &x->told.limits;
    enum dialect_limits way = x->dialect ? x->dialect->limits : LIMITS_OPENAI;
    if (!x->caller.told)  // it was refused before anybody asked
        return;
    add_limit(r, way, "requests", l->requests_limit, l->requests_left, l->requests_reset_ms);
    add_limit(r, way, "tokens", l->tokens_limit, l->tokens_left, l->tokens_reset_ms);
    if (x->told.served[0] && is_printable(x->told.served))
        (void)MHD_add_response_header(r, "x-hearth-served-by", x->told.served);
}
