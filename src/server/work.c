// work.c - the workers: a body becomes a request, a request an answer that has begun.
#include <stdlib.h>
#include <time.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "gateway/gateway.h"
#include "server/impl.h"

enum {
    DEPTH_MAX = 128,
    AT_ONCE_BYTES_MAX = 16 << 10,  // read in well under a millisecond
    ROOM_BYTES = 16 << 20,         // what a small request takes from body to answer
};

// Brackets outside of strings; what is not JSON is the parser's to tell.
static bool check_depth(struct slice text, struct dialect_error *err)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            depth++;
        else if (!in_string && (c == '}' || c == ']'))
            depth--;
        if (depth > DEPTH_MAX)
            return dialect_refuse(err, PROBLEM_REQUEST, NULL,
                                  "the body is nested more than %d levels deep", DEPTH_MAX);
    }
    return true;
}

bool work_has_room(size_t bytes, struct dialect_error *err)
{
    if (memory_has_room(MEMORY_ROOM + bytes))
        return true;
    (void)dialect_refuse(err, PROBLEM_BUSY, NULL, "there is no memory left for a request");
    err->retry_after_s = 1;
    return false;
}

static bool parse_body(struct exchange *x, struct dialect_error *err)
{
    struct error why = {0};
    if (x->body.len == 0)
        return dialect_refuse(err, PROBLEM_REQUEST, NULL,
                              "the body is empty: a JSON object is "
                              "wanted");
    if (!check_depth(buf_view(&x->body), err) || !work_has_room(x->body.len, err))
        return false;
    x->json = json_parse(buf_view(&x->body), &why);
    if (!x->json && why.code == ERR_MEMORY)
        return dialect_refuse_error(err, &why);
    if (!x->json)
        return dialect_refuse(err, PROBLEM_REQUEST, NULL, "the body is not JSON: %s", why.text);
    atomic_fetch_sub(&x->server->body_bytes, (long long)x->body.len);
    buf_release(&x->body);
    if (!json_is_object(x->json))
        return dialect_refuse(err, PROBLEM_REQUEST, NULL, "the body is not a JSON object");
    return true;
}

const char *work_model(struct exchange *x, const char *name, struct error *err)
{
    struct gateway *g = x->server->gateway;
    const char *model = gateway_model(g, name, err);
    x->listed = model != name;  // a vendor's that is in no list is the name itself
    return model && gateway_may(g, &x->caller, model, err) ? model : NULL;
}

static bool read_request(struct exchange *x, struct dialect_error *err)
{
    struct http_request in = {.matched = x->matched, .query = x->query, .body = x->json};
    struct error why = {0};
    struct dialect_call *c = &x->call;
    c->created = (int64_t)time(NULL);
    c->state = arena_alloc(&x->arena, 1, x->dialect->state_size);
    if (!x->dialect->read_request(&in, c, err))
        return false;
    c->model = work_model(x, c->request.model, &why);
    return c->model || dialect_refuse_call(&x->call, err, &why);
}

static bool start(struct exchange *x, struct dialect_error *err)
{
    const struct chat_sampling *s = &x->call.request.sampling;
    size_t n_prompts = x->call.request.n_prompts > 1 ? x->call.request.n_prompts : 1;
    struct error why = {0};
    x->streaming = x->call.request.stream;
    x->call.request.deadline_ns = x->deadline_ns;
    if (!x->streaming)
        dialect_answer_init(&x->answer, n_prompts * (s->n_choices > 0 ? (size_t)s->n_choices : 1),
                            s->n_logprobs >= 0 || x->call.request.score_prompt);
    exchange_hold(x);  // the answer's
    struct gateway_answer *a =
        gateway_start(x->server->gateway, &x->call.request, exchange_sink(x), &why);
    exchange_started(x, a);
    if (a)
        return true;
    x->streaming = false;
    return dialect_refuse_call(&x->call, err, &why);
}

static bool count(struct exchange *x, struct dialect_error *err)
{
    struct error why = {0};
    struct buf body = {0};
    int64_t n;
    bool exact;
    if (!gateway_count(x->server->gateway, &x->call.request, &n, &exact, &why))
        return dialect_refuse_call(&x->call, err, &why);
    x->dialect->write_count(&x->call, n, &body);
    exchange_reply(x, 200, "application/json", buf_view(&body));
    buf_release(&body);
    return true;
}

// Whose client left while it waited for a worker: nothing is rendered, compiled or loaded for it.
static bool is_too_late(struct exchange *x, struct dialect_error *err)
{
    if (!exchange_is_gone(x))
        return false;
    if (x->route->action == DIALECT_CHAT)
        metrics_abort(&x->server->metrics, x->call.model, &x->usage);
    (void)dialect_refuse(err, PROBLEM_BUSY, NULL, "the answer was cancelled");
    return true;
}

static bool go_on(struct exchange *x, struct dialect_error *err)
{
    if (is_too_late(x, err))
        return false;
    if (!loading_ready(x, x->call.model))
        return true;
    return x->route->action == DIALECT_COUNT ? count(x, err) : start(x, err);
}

bool work_at_once(struct exchange *x)
{
    struct dialect_error err = {0};
    if (x->own || x->route->action != DIALECT_CHAT || x->body.len > AT_ONCE_BYTES_MAX)
        return false;
    bool ok = parse_body(x, &err) && read_request(x, &err);
    if (ok && !gateway_passes_on(x->server->gateway, &x->caller, x->call.model))
        return false;
    if (!ok || !start(x, &err))
        exchange_refuse(x, &err);
    return true;
}

static void work(struct exchange *x)
{
    struct dialect_error err = {0};
    bool bare = x->own && x->own->kind == ROUTE_LONG_BARE;
    bool ok = x->json || bare || parse_body(x, &err);  // it may come a second time (loading.c)
    if (ok && x->own)
        x->own->answer(x);
    else if (ok)
        ok = (x->call.model || read_request(x, &err)) && go_on(x, &err);
    if (!ok)
        exchange_refuse(x, &err);
}

static void work_all(struct queue *jobs)
{
    struct exchange *x;
    while ((x = queue_take(jobs))) {
        work(x);
        exchange_drop(x);
    }
}

void *worker_main(void *self)
{
    work_all(&((struct server *)self)->jobs);
    return NULL;
}

void *patient_main(void *self)
{
    work_all(&((struct server *)self)->long_jobs);
    return NULL;
}
