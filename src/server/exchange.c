// exchange.c - one request with its answer, between the HTTP thread, a worker and the answer's own.
//
// The connection holds one reference until libmicrohttpd has completed it, the answer another one
// until the reaper has joined its thread. Bytes go through `out`: the sink appends and waits at
// the bound, the HTTP thread takes. A client that left wakes both.
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "gateway/gateway.h"
#include "server/impl.h"

enum { IDLE_OUT_BYTES = 4096 };  // a buffer that grew beyond is given back when it is empty

struct exchange *exchange_new(struct server *s)
{
    struct exchange *x = memory_array(struct exchange, 1);
    pthread_condattr_t monotonic;
    x->server = s;
    x->begun_ns = clock_ns();
    x->path = "";
    x->type = "application/json";
    atomic_init(&x->n_refs, 1);
    pthread_mutex_init(&x->lock, NULL);
    pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&x->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    dialect_call_init(&x->call, &x->arena);
    return x;
}

void exchange_hold(struct exchange *x)
{
    atomic_fetch_add(&x->n_refs, 1);
}

void exchange_drop(struct exchange *x)
{
    struct server *s = x->server;
    if (atomic_fetch_sub(&x->n_refs, 1) != 1)
        return;
    access_log(x);
    atomic_fetch_sub(&s->body_bytes, (long long)x->body.len);
    dialect_call_release(&x->call);
    dialect_answer_release(&x->answer);
    json_decref(x->json);
    buf_release(&x->body);
    buf_release(&x->out);
    arena_release(&x->arena);
    pthread_mutex_destroy(&x->lock);
    pthread_cond_destroy(&x->changed);
    free(x);
    pthread_mutex_lock(&s->lock);
    s->n_active--;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

// The gateway may push events from inside its cancel, so the lock is not held there; the reaper
// waits for it.
void exchange_cancel(struct exchange *x)
{
    pthread_mutex_lock(&x->lock);
    x->cancelled = true;
    bool mine = x->handle && !x->reaping && !x->cancelling;
    x->cancelling = x->cancelling || mine;
    pthread_mutex_unlock(&x->lock);
    if (!mine)
        return;
    gateway_cancel(x->handle);
    pthread_mutex_lock(&x->lock);
    x->cancelling = false;
    pthread_cond_broadcast(&x->changed);
    pthread_mutex_unlock(&x->lock);
}

void exchange_gone(struct exchange *x)
{
    pthread_mutex_lock(&x->lock);
    x->gone = true;
    pthread_cond_broadcast(&x->changed);
    exchange_wake(x);
    pthread_mutex_unlock(&x->lock);
    exchange_cancel(x);
}

// With the lock held: all that is left is that the client takes what is there.
static void note_end(struct exchange *x)
{
    struct server *s = x->server;
    x->head_ready = x->ended = true;
    x->ended_ns = clock_ns();
    if (x->connection)
        (void)watch_set(&s->watch, x->socket, x, http_deadline(s->options.timeout_s));
}

void exchange_reply(struct exchange *x, int status, const char *type, struct slice body)
{
    pthread_mutex_lock(&x->lock);
    buf_clear(&x->out);
    x->n_sent = 0;
    buf_slice(&x->out, body);
    x->status = status;
    x->type = type;
    x->streaming = false;
    note_end(x);
    exchange_wake(x);
    pthread_mutex_unlock(&x->lock);
}

void exchange_refuse(struct exchange *x, struct dialect_error *err)
{
    struct buf body = {0};
    const struct dialect *d = x->dialect ? x->dialect : dialects[0];
    err->request_id = x->id;
    x->retry_after_s = err->retry_after_s;
    int status = d->write_error(err, &body);
    exchange_reply(x, status, "application/json", buf_view(&body));
    buf_release(&body);
}

// With the lock held: waits until the client has taken enough. A client that takes too long has
// gone.
static void wait_for_room(struct exchange *x)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += x->server->options.timeout_s;
    while (x->out.len - x->n_sent > UNSENT_BYTES_MAX && !x->gone)
        if (pthread_cond_timedwait(&x->changed, &x->lock, &until) == ETIMEDOUT)
            x->gone = true;
}

static void send_bytes(struct exchange *x, struct slice bytes, bool last)
{
    pthread_mutex_lock(&x->lock);
    if (!x->head_ready) {
        x->status = 200;
        x->type = x->call.stream_type;
        x->head_ready = true;
    }
    if (!x->gone)
        buf_slice(&x->out, bytes);
    if (last)
        note_end(x);
    exchange_wake(x);
    wait_for_room(x);
    bool gone = x->gone;
    pthread_mutex_unlock(&x->lock);
    if (gone && !last)
        exchange_cancel(x);
}

void exchange_trim(struct exchange *x)
{
    if (x->n_sent < x->out.len || x->ended)
        return;
    x->n_sent = 0;
    if (x->out.capacity > IDLE_OUT_BYTES)
        buf_release(&x->out);
    else
        buf_clear(&x->out);
}

static void refuse_event(struct exchange *x, const struct error *error)
{
    struct dialect_error err = {0};
    (void)dialect_refuse_error(&err, error);
    exchange_refuse(x, &err);
}

static void stream_event(struct exchange *x, const struct chat_event *e)
{
    struct buf text = {0};
    bool last = e->kind == CHAT_DONE || e->kind == CHAT_ERROR;
    if (e->kind == CHAT_ERROR && !x->head_ready) {  // only this thread sets it while it pushes
        refuse_event(x, &e->error);
        return;
    }
    x->dialect->write_event(&x->call, e, &text);
    if (text.len || last)
        send_bytes(x, buf_view(&text), last);
    buf_release(&text);
}

static void collect_event(struct exchange *x, const struct chat_event *e)
{
    struct buf text = {0};
    bool last = e->kind == CHAT_DONE || e->kind == CHAT_ERROR;
    dialect_answer_add(&x->answer, e);
    if (x->answer.error.code && last)
        refuse_event(x, &x->answer.error);
    else if (x->answer.error.code)
        exchange_cancel(x);
    if (e->kind != CHAT_DONE || x->answer.error.code)
        return;
    x->dialect->write_response(&x->call, &x->answer, &text);
    exchange_reply(x, 200, "application/json", buf_view(&text));
    buf_release(&text);
}

static void give_to_reaper(struct exchange *x)
{
    struct server *s = x->server;
    pthread_mutex_lock(&s->lock);
    x->next_ended = s->ended;
    s->ended = x;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void end_answer(struct exchange *x)
{
    pthread_mutex_lock(&x->lock);
    x->answer_done = true;
    bool started = x->handle != NULL;  // else exchange_started gives it away
    pthread_mutex_unlock(&x->lock);
    if (started)
        give_to_reaper(x);
}

static bool is_output(const struct chat_event *e)
{
    return e->kind == CHAT_TEXT || e->kind == CHAT_REASONING || e->kind == CHAT_TOOL_CALL ||
           e->kind == CHAT_TOOL_ARGUMENTS;
}

static void count_event(struct exchange *x, const struct chat_event *e)
{
    int64_t now = clock_ns();
    if (is_output(e) && !x->first_ns) {
        x->first_ns = now;
        metrics_first(&x->server->metrics, now - x->begun_ns);
    }
    if (e->kind == CHAT_FINISH && e->choice == 0)
        x->finish = e->finish;
    if (e->kind == CHAT_USAGE)
        x->usage = e->usage;
    if (e->kind == CHAT_DONE)
        metrics_end(&x->server->metrics, x->finish, &x->usage, now - x->begun_ns,
                    x->first_ns ? now - x->first_ns : 0);
}

// An answer that was cancelled has not come to its end, whatever the layers below call it.
static void push(void *self, const struct chat_event *event)
{
    struct exchange *x = self;
    struct chat_event failed = {.kind = CHAT_ERROR};
    if (event->kind == CHAT_DONE && x->finish == CHAT_CANCELLED) {
        (void)error_set(&failed.error, ERR_CANCELLED, "the answer was cancelled");
        event = &failed;
    }
    count_event(x, event);
    if (x->streaming)
        stream_event(x, event);
    else
        collect_event(x, event);
    if (event->kind == CHAT_DONE || event->kind == CHAT_ERROR)
        end_answer(x);
}

struct chat_sink exchange_sink(struct exchange *x)
{
    return (struct chat_sink){.push = push, .self = x};
}

void exchange_started(struct exchange *x, struct gateway_answer *handle)
{
    if (!handle) {
        exchange_drop(x);
        return;
    }
    pthread_mutex_lock(&x->lock);
    x->handle = handle;
    bool done = x->answer_done, cancel = x->gone || x->cancelled;
    pthread_mutex_unlock(&x->lock);
    if (done)
        give_to_reaper(x);
    else if (cancel)
        exchange_cancel(x);
}

static void reap(struct exchange *x)
{
    pthread_mutex_lock(&x->lock);
    while (x->cancelling)
        pthread_cond_wait(&x->changed, &x->lock);
    x->reaping = true;
    pthread_mutex_unlock(&x->lock);
    gateway_wait(x->handle);
    gateway_answer_free(x->handle);
    exchange_drop(x);
}

void *reaper_main(void *self)
{
    struct server *s = self;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        struct exchange *x = s->ended;
        s->ended = NULL;
        if (!x && s->reaper_stop)
            break;
        if (!x) {
            pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        pthread_mutex_unlock(&s->lock);
        for (struct exchange *next; x; x = next) {
            next = x->next_ended;
            reap(x);
        }
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}
