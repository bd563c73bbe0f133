// exchange.c - one request with its answer, between the HTTP thread, a worker and the answer's
// events.
//
// The connection holds one reference until libmicrohttpd has completed it, the answer another one
// until it is closed. Bytes go through `out`: the sink appends, the HTTP thread takes. Nobody
// waits: at the bound the sink says that it is full, and the thread that takes lets the answer go
// on. The gateway's cancel and resume are called with the exchange's lock held, which keeps the
// handle.
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "dialects/media.h"
#include "gateway/gateway.h"
#include "server/impl.h"

enum { IDLE_OUT_BYTES = 1024 };  // a buffer that grew beyond is given back when it is empty

struct exchange *exchange_new(struct server *s)
{
    struct exchange *x = memory_array(struct exchange, 1);
    x->server = s;
    x->begun_ns = clock_ns();
    x->path = "";
    x->type = "application/json";
    atomic_init(&x->n_refs, 1);
    pthread_mutex_init(&x->lock, NULL);
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
    free(x);
    pthread_mutex_lock(&s->lock);
    s->n_active--;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

// With the lock held.
static void cancel(struct exchange *x)
{
    x->cancelled = true;
    if (x->handle)
        gateway_cancel(x->handle);
}

void exchange_cancel(struct exchange *x)
{
    pthread_mutex_lock(&x->lock);
    cancel(x);
    pthread_mutex_unlock(&x->lock);
}

void exchange_gone(struct exchange *x)
{
    pthread_mutex_lock(&x->lock);
    x->gone = true;
    x->left |= !x->taken;
    exchange_wake(x);
    cancel(x);
    pthread_mutex_unlock(&x->lock);
}

bool exchange_is_gone(struct exchange *x)
{
    pthread_mutex_lock(&x->lock);
    bool gone = x->gone || x->cancelled;
    pthread_mutex_unlock(&x->lock);
    return gone;
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
    x->hopeless = err->problem == PROBLEM_BUDGET;
    int status = d->write_error(err, &body);
    exchange_reply(x, status, "application/json", buf_view(&body));
    buf_release(&body);
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
    pthread_mutex_unlock(&x->lock);
}

void exchange_send(struct exchange *x, struct slice bytes, bool last)
{
    pthread_mutex_lock(&x->lock);
    x->streaming = true;
    pthread_mutex_unlock(&x->lock);
    send_bytes(x, bytes, last);
}

int64_t exchange_last(const struct exchange *x)
{
    return x->deadline_ns + (int64_t)x->server->options.timeout_s * INT64_C(1000000000);
}

// From here the client has its time to take what there is; a client that takes too long is dropped.
static bool full(void *self)
{
    struct exchange *x = self;
    pthread_mutex_lock(&x->lock);
    bool yes = !x->gone && x->out.len - x->n_sent > UNSENT_BYTES_MAX;
    if (yes && !x->starved && x->connection)
        (void)watch_set(&x->server->watch, x->socket, x,
                        http_deadline(x->server->options.timeout_s));
    x->starved = yes;
    pthread_mutex_unlock(&x->lock);
    return yes;
}

void exchange_taken(struct exchange *x)
{
    size_t left = x->out.len - x->n_sent;
    if (x->starved && left <= UNSENT_BYTES_MAX / 2) {
        x->starved = false;
        if (x->connection && !x->ended)
            (void)watch_set(&x->server->watch, x->socket, x, exchange_last(x));
        if (x->handle)
            gateway_resume(x->handle);
    }
    if (left || x->ended)
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
    (void)dialect_refuse_call(&x->call, &err, error);
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

static bool is_output(const struct chat_event *e)
{
    return e->kind == CHAT_TEXT || e->kind == CHAT_REASONING || e->kind == CHAT_TOOL_CALL ||
           e->kind == CHAT_TOOL_ARGUMENTS || e->kind == CHAT_MEDIA;
}

static void count_event(struct exchange *x, const struct chat_event *e)
{
    int64_t now = clock_ns();
    if (is_output(e) && !x->first_ns) {
        x->first_ns = now;
        metrics_first(&x->server->metrics, x->call.model, x->listed, now - x->begun_ns);
    }
    if (e->kind == CHAT_FINISH && e->choice == 0)
        x->finish = e->finish;
    if (e->kind == CHAT_USAGE)
        x->usage = e->usage;
    if (e->kind == CHAT_DONE)
        metrics_end(&x->server->metrics, x->call.model, x->listed, x->finish, &x->usage,
                    now - x->begun_ns, x->first_ns ? now - x->first_ns : 0);
    if (e->kind == CHAT_ERROR && (x->finish == CHAT_CANCELLED || exchange_is_gone(x)))
        metrics_abort(&x->server->metrics, x->call.model, &x->usage);
}

// What the client's format has no place for is named in a text.
static void take_media(struct exchange *x, const struct chat_event *media,
                       void (*take)(struct exchange *x, const struct chat_event *e))
{
    struct buf note = {0};
    media_note(media, &note);
    take(x,
         &(struct chat_event){.kind = CHAT_TEXT, .choice = media->choice, .text = buf_view(&note)});
    buf_release(&note);
}

// An answer that was cancelled has not come to its end, whatever the layers below call it.
static void push(void *self, const struct chat_event *event)
{
    struct exchange *x = self;
    struct chat_event failed = {.kind = CHAT_ERROR};
    void (*take)(struct exchange *, const struct chat_event *) =
        x->streaming ? stream_event : collect_event;
    if (event->kind == CHAT_DONE && x->finish == CHAT_CANCELLED) {
        (void)error_set(&failed.error, ERR_CANCELLED, "the answer was cancelled");
        event = &failed;
    }
    count_event(x, event);
    if (event->kind == CHAT_MEDIA && !media_is_shown(x->dialect, event))
        take_media(x, event, take);
    else
        take(x, event);
}

static void closed(void *self)
{
    struct exchange *x = self;
    pthread_mutex_lock(&x->lock);
    struct gateway_answer *handle = x->handle;
    x->closed = true;
    x->handle = NULL;
    pthread_mutex_unlock(&x->lock);
    gateway_answer_free(handle);  // NULL where exchange_started has not been there yet
    exchange_drop(x);
}

struct chat_sink exchange_sink(struct exchange *x)
{
    return (struct chat_sink){.push = push, .self = x, .full = full, .closed = closed};
}

void exchange_started(struct exchange *x, struct gateway_answer *handle)
{
    if (!handle) {
        exchange_drop(x);
        return;
    }
    pthread_mutex_lock(&x->lock);
    bool is_closed = x->closed;
    if (!is_closed) {
        x->handle = handle;
        if (x->gone || x->cancelled)
            gateway_cancel(handle);
        else
            gateway_resume(handle);  // what it waited for may have happened before
    }
    pthread_mutex_unlock(&x->lock);
    if (is_closed)
        gateway_answer_free(handle);
}
