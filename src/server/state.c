// state.c - GET /v1/hearth/state: what the engine is doing, for the page's live view.
//
// Counters and the time of a monotonic clock, so that whoever asks twice can tell rates; nothing of
// what is being said. The same numbers as /metrics has, in a form that a browser reads, and no name
// of a model that the key may not use.
#include <inttypes.h>

#include "base/clock.h"
#include "base/json.h"
#include "gateway/gateway.h"
#include "ledger/ledger.h"
#include "server/impl.h"

enum { LOADS_MAX = 64 };

static void write_number(struct buf *out, const char *name, int64_t value)
{
    buf_printf(out, ",\"%s\":%" PRId64, name, value);
}

// A key learns no names of models that it may not use.
static bool may_name(struct exchange *x, const char *model)
{
    return !x->key || x->key->admin || gateway_may(x->server->gateway, &x->caller, model, NULL);
}

static void write_load(const struct provider_load *l, bool named, struct buf *out)
{
    buf_text_add(out, "{\"id\":");
    if (named)
        json_write_text(out, slice_str(l->name));
    else
        buf_text_add(out, "null");
    write_number(out, "running", l->running);
    write_number(out, "max_running", l->max_running);
    write_number(out, "waiting", l->waiting);
    write_number(out, "pages_used", l->pages_total - l->pages_free);
    write_number(out, "pages_total", l->pages_total);
    write_number(out, "steps", l->steps);
    write_number(out, "rows", l->rows);
    write_number(out, "prompt_rows", l->prompt_rows);
    write_number(out, "new_tokens", l->new_tokens);
    write_number(out, "preemptions", l->preemptions);
    write_number(out, "drafted_tokens", l->drafted_tokens);
    write_number(out, "accepted_tokens", l->accepted_tokens);
    buf_char(out, '}');
}

void routes_state(struct exchange *x)
{
    static const char *const names[] = {
        [SERVER_STARTING] = "starting", [SERVER_READY] = "ready", [SERVER_DRAINING] = "draining"};
    struct server *s = x->server;
    struct provider_load load;
    struct buf body = {0};
    pthread_mutex_lock(&s->lock);
    int n_others = s->n_active - 1;
    pthread_mutex_unlock(&s->lock);
    buf_printf(&body, "{\"status\":\"%s\"", names[atomic_load(&s->state)]);
    write_number(&body, "time_ms", clock_ns() / 1000000);
    write_number(&body, "requests", n_others);
    buf_text_add(&body, ",\"models\":[");
    for (size_t i = 0; i < LOADS_MAX && gateway_load(s->gateway, i, &load); i++) {
        if (i)
            buf_char(&body, ',');
        write_load(&load, may_name(x, load.name), &body);
    }
    buf_text_add(&body, "]}");
    exchange_reply(x, 200, "application/json", buf_view(&body));
    buf_release(&body);
}
