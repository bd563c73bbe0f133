// access_log.c - one JSON object a line on standard error for each request: never its text or keys.
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "ledger/ledger.h"
#include "server/impl.h"

enum { PATH_BYTES_MAX = 200 };

static void add_text(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, ",\"%s\":", name);
    json_write_text(out, slice_sub(slice_str(text), 0, PATH_BYTES_MAX));
}

static double ms(int64_t from_ns, int64_t to_ns)
{
    return to_ns > from_ns ? (double)((to_ns - from_ns) / 1000) / 1e3 : 0;
}

static void add_answer(const struct exchange *x, struct buf *out)
{
    add_text(out, "model", x->call.model);
    buf_printf(out,
               ",\"stream\":%s,\"prompt_tokens\":%" PRId64 ",\"cached_tokens\":%" PRId64
               ",\"completion_tokens\":%" PRId64 ",\"first_ms\":",
               x->call.request.stream ? "true" : "false", x->usage.prompt_tokens,
               x->usage.cached_tokens, x->usage.completion_tokens);
    json_write_number(out, ms(x->begun_ns, x->first_ns));
    add_text(out, "request", x->caller.request_id ? x->caller.request_id : "");
    if (x->told.served[0])
        add_text(out, "served", x->told.served);
}

// A path that nobody has may be anything, even what was meant to be a key.
static const char *known_path(const struct exchange *x)
{
    return x->own ? x->own->path : x->route ? x->route->path : "";
}

void access_log(const struct exchange *x)
{
    struct buf line = {0};
    char when[32];
    struct tm utc;
    time_t now = time(NULL);
    if (x->server->options.quiet || !x->headers_seen ||
        (x->own && x->own->kind == ROUTE_AT_ONCE && x->status < 400))
        return;
    (void)gmtime_r(&now, &utc);
    (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    buf_printf(&line, "{\"time\":\"%s\"", when);
    add_text(&line, "id", x->id);
    add_text(&line, "method", x->method);
    add_text(&line, "path", known_path(x));
    buf_printf(&line, ",\"status\":%d", x->status);
    if (x->key)
        add_text(&line, "key", x->key->id);
    if (x->call.model)
        add_answer(x, &line);
    buf_text_add(&line, ",\"total_ms\":");
    json_write_number(&line, ms(x->begun_ns, x->ended_ns ? x->ended_ns : clock_ns()));
    if (x->left)
        buf_text_add(&line, ",\"client_left\":true");
    if (x->trace[0])
        add_text(&line, "traceparent", x->trace);
    buf_text_add(&line, "}\n");
    (void)fwrite(line.ptr, 1, line.len, stderr);
    buf_release(&line);
}
