// remote_answer.c - the life of one answer: tries, waits between them, limits of time, and its end.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/secret.h"
#include "net/retry.h"
#include "providers/remote_impl.h"

#define SECOND_NS INT64_C(1000000000)

static void hold(struct answer *a)
{
    (void)atomic_fetch_add(&a->refs, 1);
}

static void let_go(struct answer *a)
{
    if (atomic_fetch_sub(&a->refs, 1) > 1)
        return;
    buf_release(&a->wire.path);
    buf_release(&a->wire.line);
    buf_release(&a->wire.body);
    buf_release(&a->whole);
    buf_release(&a->held);
    sse_release(&a->sse);
    free(a->finished);
    free(a->state);
    free(a);
}

static void wake(struct answer *a)
{
    hold(a);
    if (!loop_wake(a->all->loop, &a->task))
        let_go(a);
}

static void release_state(struct answer *a)
{
    if (a->remote->client->release)
        a->remote->client->release(a->state);
    memset(a->state, 0, a->remote->client->state_size);
}

// Whoever waits may free the answer from here on, and its owner inside `closed`.
static void be_over(struct answer *a)
{
    struct remotes *all = a->all;
    void (*closed)(void *) = a->sink.closed;
    a->phase = REMOTE_OVER;
    loop_timer_unset(all->loop, &a->timer);
    (void)atomic_fetch_sub(&a->remote->n_running, 1);
    pthread_mutex_lock(&all->lock);
    a->over = true;
    pthread_cond_broadcast(&all->ended);
    pthread_mutex_unlock(&all->lock);
    if (closed)
        closed(a->sink.self);
    let_go(a);
}

static void end_well(struct answer *a)
{
    struct chat_event done = {.kind = CHAT_DONE};
    remote_ended_well(a);
    release_state(a);
    remote_push_usage(a, true);
    a->sink.push(a->sink.self, &done);
    be_over(a);
}

// What the vendor has told of its usage so far.
static void ask_usage(struct answer *a)
{
    struct chat_sink sink = remote_sink(a);
    struct error ignored;
    bool asked = a->quiet;
    a->quiet = true;
    if (!asked && (a->mode == REMOTE_STREAM || a->mode == REMOTE_WHOLE))
        (void)a->remote->client->end(a->state, &sink, &ignored);
}

// Nobody shall learn the key from a vendor that echoes it, in its text or in its names.
static void hide_key(const struct secret *key, struct error *err)
{
    char *const names[] = {err->said.type, err->said.code, err->said.member};
    secret_hide(key, err->text);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        secret_hide(key, names[i]);
        if (strchr(names[i], '*'))
            names[i][0] = 0;
    }
}

static void end_badly(struct answer *a, const struct error *err)
{
    struct chat_event e = {.kind = CHAT_ERROR, .error = *err};
    struct remote *r = a->remote;
    bool whole = a->stated || (a->mode == REMOTE_WHOLE && a->outcome == POST_DONE);
    ask_usage(a);
    release_state(a);
    whole = whole && a->told_usage;
    if (a->pushed)
        remote_push_usage(a, whole);
    (void)error_wrap(&e.error, "%s", r->name);
    if (r->key_line)
        hide_key(r->key_line, &e.error);
    e.usage = remote_usage(a, whole);
    a->sink.push(a->sink.self, &e);
    be_over(a);
}

static void end_cancelled(struct answer *a)
{
    struct chat_event done = {.kind = CHAT_DONE};
    a->cut = a->cut || (a->phase != REMOTE_WAITS && a->mode != REMOTE_REFUSAL);
    post_stop(&a->post);
    remote_told(a, BREAKER_UNKNOWN);
    ask_usage(a);
    release_state(a);
    remote_push_cancelled(a);
    remote_push_usage(a, false);
    a->sink.push(a->sink.self, &done);
    be_over(a);
}

static void ask(struct answer *a)
{
    struct error err = {0};
    a->phase = REMOTE_ASKS;
    a->asked_ns = a->last_ns = clock_ns();
    if (a->n_tries++ > 0)
        release_state(a);
    remote_read_begin(a);
    a->remote->client->begin(a->state, &a->req);
    remote_arm(a);
    if (post_start(&a->post, &err))
        return;
    remote_told(a, BREAKER_UNKNOWN);
    end_badly(a, &err);
}

// True if there will be another try.
static bool try_later(struct answer *a, const struct error *err, int64_t retry_after_s)
{
    int64_t now = clock_ns();
    if (a->pushed || a->n_tries > a->remote->retries || retry_after_s > REMOTE_PATIENCE_S)
        return false;
    int64_t at = now + retry_wait_ms(a->n_tries, retry_after_s, hash_mix((uint64_t)now)) * 1000000;
    if (at >= a->until_ns)
        return false;
    ask_usage(a);
    remote_keep_usage(a);
    a->error = *err;
    a->phase = REMOTE_WAITS;
    loop_timer_set(a->all->loop, &a->timer, at);
    return true;
}

static void try_again(struct answer *a)
{
    struct error err = a->error;
    int64_t left_ns;
    a->pass = remote_ask(a->remote, &left_ns);
    if (a->pass != BREAKER_NO)
        ask(a);
    else
        end_badly(a, &err);
}

static void fail(struct answer *a, struct error *err, bool may_retry)
{
    int64_t later = a->retry_after_s > err->retry_after_s ? a->retry_after_s : err->retry_after_s;
    bool asked_to_wait = later > 0 && (err->code == ERR_RATE || err->code == ERR_BUSY);
    if (asked_to_wait)
        err->retry_after_s = later < INT32_MAX ? (int)later : INT32_MAX;
    if (!may_retry || !try_later(a, err, later > 0 ? later : -1))
        end_badly(a, err);
}

// A status that is no success. What the vendor asks for goes out even if it is not waited for.
static void conclude_refusal(struct answer *a)
{
    struct error err = {0};
    bool worth = true;
    a->remote->client->read_error(a->status, buf_view(&a->whole), &err, &worth);
    if (!err.code)
        (void)error_set(&err, ERR_UPSTREAM, "answers with status %d", a->status);
    err.status = a->status;
    // 429 is said by an endpoint that works.
    remote_told(a, a->status >= 500 || a->status == 408 ? BREAKER_FAILED : BREAKER_WORKS);
    fail(a, &err, retry_status(a->status) && worth);
}

static bool read_whole(struct answer *a, struct error *err)
{
    struct chat_sink sink = remote_sink(a);
    if (a->outcome != POST_DONE) {
        *err = a->lost;
        return false;
    }
    return a->remote->client->read_response(a->state, buf_view(&a->whole), &sink, err);
}

// A stream is whole when the vendor has come to its end, even if its connection then broke or
// stayed open.
static bool read_end(struct answer *a, struct error *err)
{
    struct chat_sink sink = remote_sink(a);
    if (a->outcome == POST_DONE && !remote_read_all(a)) {
        *err = a->error;
        return false;
    }
    if (a->remote->client->end(a->state, &sink, err))
        return true;
    if (a->lost.code)
        *err = a->lost;
    a->quiet = true;  // it was asked
    return false;
}

void remote_conclude(struct answer *a)
{
    struct error err = a->error;
    if (!err.code && a->mode == REMOTE_REFUSAL) {
        conclude_refusal(a);
        return;
    }
    bool lost = !err.code && (a->outcome == POST_LOST || (a->mode == REMOTE_STREAM));
    if (!err.code && a->mode == REMOTE_NO_HEAD) {
        err = a->lost;
        if (!err.code)
            (void)error_set(&err, ERR_UPSTREAM, "ends without an answer");
    } else if (!err.code && (a->mode == REMOTE_STREAM ? read_end(a, &err) : read_whole(a, &err))) {
        end_well(a);
        return;
    }
    bool busy = err.code == ERR_BUSY;
    // The vendor came to its end, and said that the model had failed: there is nothing to add.
    a->stated = a->mode == REMOTE_STREAM && !a->error.code && err.status == 200;
    a->cut = lost = lost && !a->error.code;
    // Not where its own words say that it worked, and that it was the request.
    bool theirs = busy || ((err.code == ERR_UPSTREAM || err.code == ERR_FORMAT) &&
                           (!err.status || err.status >= 500));
    remote_told(a, theirs ? BREAKER_FAILED : BREAKER_WORKS);
    fail(a, &err, busy || (lost && !a->stated));
}

static void on_end(void *self, enum post_outcome outcome, const struct error *err)
{
    struct answer *a = self;
    a->outcome = outcome;
    a->lost = *err;
    if (a->paused && a->mode == REMOTE_STREAM && !a->error.code)
        a->phase = REMOTE_HOLDS;
    else
        remote_conclude(a);
}

// When the answer, as it is, has taken too long; what is said then.
static int64_t limit_ns(const struct answer *a, const char **what, int64_t *limit)
{
    const struct remote *r = a->remote;
    int64_t at;
    bool first = a->mode == REMOTE_NO_HEAD;
    *what = first ? "no answer began" : "nothing more came";
    *limit = first ? r->first_ns * (a->req.stream ? 1 : REMOTE_WHOLE_FIRST) : r->between_ns;
    at = (first ? a->asked_ns : a->last_ns) + *limit;
    if (a->phase != REMOTE_ASKS || a->paused || at > a->until_ns) {
        at = a->until_ns;
        *what = "the answer did not end";
        *limit = r->total_ns;
    }
    return at;
}

void remote_arm(struct answer *a)
{
    const char *what;
    int64_t limit;
    loop_timer_set(a->all->loop, &a->timer, limit_ns(a, &what, &limit));
}

static void take_too_long(struct answer *a, const char *what, int64_t limit)
{
    bool deadline = a->until_is_deadline && clock_ns() >= a->until_ns;
    post_stop(&a->post);
    a->outcome = POST_LOST;
    if (deadline)
        (void)error_set(&a->lost, ERR_TIMEOUT, "the answer did not end in time");
    else
        (void)error_set(&a->lost, ERR_UPSTREAM, "%s within %g seconds", what,
                        (double)limit / (double)SECOND_NS);
    if (a->mode == REMOTE_STREAM && !a->paused && !a->error.code) {
        remote_conclude(a);  // it may be whole
        return;
    }
    remote_told(a, deadline ? BREAKER_UNKNOWN : BREAKER_FAILED);
    a->cut = a->cut || a->phase != REMOTE_WAITS;
    end_badly(a, &a->lost);
}

static void on_timer(struct timer *t)
{
    struct answer *a = t->self;
    const char *what;
    int64_t limit, at;
    if (a->phase == REMOTE_WAITS) {
        try_again(a);
        return;
    }
    at = limit_ns(a, &what, &limit);
    if (clock_ns() < at)
        loop_timer_set(a->all->loop, t, at);
    else
        take_too_long(a, what, limit);
}

static void run(struct loop_task *t)
{
    struct answer *a = (struct answer *)t;
    bool over = a->phase == REMOTE_OVER;
    if (!over && atomic_load(&a->cancelled)) {
        end_cancelled(a);
    } else if (a->phase == REMOTE_NEW) {
        ask(a);
    } else if (!over && a->paused) {
        remote_unpause(a);
        if (a->phase == REMOTE_ASKS)
            remote_arm(a);
    }
    let_go(a);
}

static void copy_flow(struct answer *a, struct provider_flow flow)
{
    a->begun_ns = clock_ns();
    a->until_ns = a->begun_ns + a->remote->total_ns;
    a->until_is_deadline = flow.deadline_ns && flow.deadline_ns < a->until_ns;
    if (a->until_is_deadline)
        a->until_ns = flow.deadline_ns;
}

static struct answer *new_answer(struct remote *r, const struct chat_request *req,
                                 struct chat_sink sink)
{
    struct answer *a = memory_array(struct answer, 1);
    bool embeds = req->input == INPUT_EMBED;
    a->task.run = run;
    a->remote = r;
    a->all = r->all;
    atomic_init(&a->refs, 2);  // its owner's and the thread's
    a->req = *req;
    a->sink = sink;
    a->timer = (struct timer){.fire = on_timer, .self = a};
    a->n_choices = embeds                        ? (int)req->n_inputs
                   : req->sampling.n_choices > 0 ? req->sampling.n_choices
                                                 : 1;
    a->finished = memory_array(bool, (size_t)a->n_choices);
    a->state = memory_new(1, r->client->state_size);
    a->post = (struct post){.endpoint = r->endpoint,
                            .self = a,
                            .on_head = remote_on_head,
                            .on_body = remote_on_body,
                            .on_end = on_end};
    return a;
}

// What goes into the request line must not end it.
static bool check_path(struct slice path, struct error *err)
{
    for (size_t i = 0; i < path.len; i++)
        if (path.ptr[i] <= 0x20 || path.ptr[i] >= 0x7F)
            return error_set(err, ERR_USAGE, "the model's name holds what no address can");
    return true;
}

static bool write_request(struct answer *a, struct error *err)
{
    const struct remote *r = a->remote;
    if (!a->req.model || !a->req.model[0])
        return error_set(err, ERR_USAGE, "%s: no model is named", r->name);
    if (!r->client->write_request(&a->req, a->req.model, &a->wire, err) ||
        !check_path(buf_view(&a->wire.path), err))
        return error_wrap(err, "%s", r->name);
    a->post.path = buf_text(&a->wire.path);
    a->post.line = a->wire.line.len ? buf_text(&a->wire.line) : NULL;
    a->post.body = buf_view(&a->wire.body);
    return true;
}

static bool ask_breaker(struct answer *a, struct error *err)
{
    int64_t left_ns;
    a->pass = remote_ask(a->remote, &left_ns);
    if (a->pass != BREAKER_NO)
        return true;
    (void)error_set(err, ERR_BUSY, "%s: it has failed too often, and is not asked for a while",
                    a->remote->name);
    if (err)
        err->retry_after_s = (int)(left_ns / SECOND_NS) + 1;
    return false;
}

struct answer *remote_start(struct remote *r, const struct chat_request *req,
                            struct provider_flow flow, struct chat_sink sink, struct error *err)
{
    struct answer *a = new_answer(r, req, sink);
    copy_flow(a, flow);
    if (!write_request(a, err) || !ask_breaker(a, err)) {
        let_go(a);
        let_go(a);
        return NULL;
    }
    (void)atomic_fetch_add(&r->n_running, 1);
    wake(a);
    return a;
}

void remote_wait(struct answer *a)
{
    assert(!loop_here(a->all->loop));  // it would wait for itself
    pthread_mutex_lock(&a->all->lock);
    while (!a->over)
        pthread_cond_wait(&a->all->ended, &a->all->lock);
    pthread_mutex_unlock(&a->all->lock);
}

void remote_cancel(struct answer *a)
{
    atomic_store(&a->cancelled, true);
    wake(a);
}

void remote_resume(struct answer *a)
{
    wake(a);
}

void remote_answer_free(struct answer *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->all->lock);
    bool over = a->over;
    pthread_mutex_unlock(&a->all->lock);
    if (!over) {
        remote_cancel(a);
        remote_wait(a);
    }
    let_go(a);
}
