#include "gateway/several.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"

struct one {  // the answer to one prompt
    struct several *group;
    int first_choice;
    struct answer *answer;  // from its start until it is closed
    bool closed;
    bool told_usage;
};
struct several {
    struct provider *provider;
    struct chat_request request;
    struct provider_flow flow;
    struct chat_sink sink;
    struct one *all;
    size_t n, most_running;
    pthread_mutex_t order;  // held while the sink is pushed to, or asked
    struct chat_usage usage;
    atomic_bool stopped;  // cancelled or failed: nothing more begins, and no more events are passed
    // Never held while a sink is called or an answer is started.
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t n_begun, n_ended, n_closed;
    bool advancing;     // a thread is beginning what there is room for
    bool wait_for_end;  // the provider was busy: not before another one has ended
    bool paused;        // the sink was full, and nobody asks it again before
    size_t n_resumed;
    bool over, told, finished;  // the last has ended; DONE or ERROR was pushed; all are closed
    struct error error;         // of the first that failed
};

static void one_request(const struct chat_request *all, size_t i, struct chat_request *out)
{
    const struct chat_prompt *p = &all->prompts[i];
    *out = *all;
    out->prompts = NULL;
    out->n_prompts = 0;
    out->input = p->input;
    out->text = p->text;
    out->tokens = p->tokens;
    out->n_tokens = p->n_tokens;
}

static void cancel_all(struct several *s)
{
    atomic_store(&s->stopped, true);
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->n_begun; i++)
        if (s->all[i].answer)
            s->provider->ops->cancel(s->all[i].answer);
    pthread_mutex_unlock(&s->lock);
}

static void fail(struct several *s, const struct error *why)
{
    pthread_mutex_lock(&s->lock);
    if (!s->error.code && !atomic_load(&s->stopped))
        s->error = *why;
    pthread_mutex_unlock(&s->lock);
    cancel_all(s);
}

// With the lock held, which is given up. When all was told and is closed, the sink is told so, and
// the group may be gone.
static void unlock_and_finish(struct several *s)
{
    bool mine = s->told && s->n_closed == s->n_begun && !s->finished;
    s->finished = s->finished || mine;
    if (mine)
        pthread_cond_broadcast(&s->changed);
    struct chat_sink sink = s->sink;
    pthread_mutex_unlock(&s->lock);
    if (mine && sink.closed)
        sink.closed(sink.self);
}

static void push_end(struct several *s)
{
    struct chat_event usage = {.kind = CHAT_USAGE, .usage = s->usage};
    struct chat_event end = {.kind = CHAT_DONE, .error = s->error, .usage = s->usage};
    if (!s->error.code && atomic_load(&s->stopped))
        (void)error_set(&end.error, ERR_CANCELLED, "the answer was cancelled");
    if (end.error.code)
        end.kind = CHAT_ERROR;
    pthread_mutex_lock(&s->order);
    s->sink.push(s->sink.self, &usage);
    s->sink.push(s->sink.self, &end);
    pthread_mutex_unlock(&s->order);
    pthread_mutex_lock(&s->lock);
    s->told = true;
    unlock_and_finish(s);
}

static void push(void *self, const struct chat_event *event);
static bool full(void *self);
static void closed(void *self);

// With the lock held. An answer that has begun, or failed to: what was asked of it meanwhile is
// made up for. Returns one that was closed already, for the caller to free without the lock.
static struct answer *take_answer(struct several *s, struct one *o, struct answer *a)
{
    if (!a || o->closed)
        return a;
    o->answer = a;
    if (atomic_load(&s->stopped))
        s->provider->ops->cancel(a);
    else
        s->provider->ops->resume(a);
    return NULL;
}

// With the lock held, which is given up meanwhile. False with err if it could not begin and never
// will; a busy provider is asked again when another answer has ended.
static bool begin_next(struct several *s, struct error *err)
{
    size_t i = s->n_begun++, n_ended = s->n_ended;
    struct chat_request one;
    struct chat_sink sink = {push, &s->all[i], full, closed};
    pthread_mutex_unlock(&s->lock);
    one_request(&s->request, i, &one);
    struct answer *a = s->provider->ops->start(s->provider, &one, s->flow, sink, err);
    pthread_mutex_lock(&s->lock);
    struct answer *over = take_answer(s, &s->all[i], a);
    if (over) {
        pthread_mutex_unlock(&s->lock);
        s->provider->ops->answer_free(over);
        pthread_mutex_lock(&s->lock);
    }
    if (a)
        return true;
    s->n_begun--;
    bool others = s->n_begun > s->n_ended;
    s->wait_for_end = n_ended == s->n_ended;
    return err->code == ERR_BUSY && (others || n_ended != s->n_ended);
}

// With the lock held: whether there is one to begin, and room for it.
static bool can_begin(const struct several *s)
{
    return s->n_begun < s->n && !atomic_load(&s->stopped) && !s->wait_for_end &&
           s->n_begun - s->n_ended < s->most_running;
}

// Begins what there is room for, and ends it all with the last one. One thread at a time; others
// leave it to that one.
static void advance(struct several *s)
{
    struct error err = {0};
    pthread_mutex_lock(&s->lock);
    bool mine = !s->advancing;
    s->advancing = true;
    while (mine && can_begin(s)) {
        size_t i = s->n_begun;
        if (begin_next(s, &err))
            continue;
        pthread_mutex_unlock(&s->lock);
        error_wrap(&err, "prompt %zu", i);
        fail(s, &err);
        pthread_mutex_lock(&s->lock);
    }
    if (mine)
        s->advancing = false;
    bool last = mine && !s->over && s->n_begun == s->n_ended &&
                (s->n_begun == s->n || atomic_load(&s->stopped));
    s->over = s->over || last;
    pthread_mutex_unlock(&s->lock);
    if (last)
        push_end(s);
}

// Once of each: an error has a usage of its own where none was told before.
static void take_usage(struct one *o, const struct chat_usage *u)
{
    pthread_mutex_lock(&o->group->order);
    if (!o->told_usage)
        chat_usage_add(&o->group->usage, u);
    o->told_usage = true;
    pthread_mutex_unlock(&o->group->order);
}

static void end_one(struct one *o, const struct chat_event *event)
{
    struct several *s = o->group;
    struct error why = event->error;
    if (event->kind == CHAT_ERROR) {
        take_usage(o, &event->usage);
        error_wrap(&why, "prompt %zu", (size_t)(o - s->all));
        fail(s, &why);
    }
    pthread_mutex_lock(&s->lock);
    s->n_ended++;
    s->wait_for_end = false;
    pthread_mutex_unlock(&s->lock);
    advance(s);
}

// One that found the sink full speaks for all, until the sink has room again: they are asked one
// after the other, since a sink remembers only its last answer to this.
static bool full(void *self)
{
    struct several *s = ((struct one *)self)->group;
    bool yes = false;
    pthread_mutex_lock(&s->order);
    pthread_mutex_lock(&s->lock);
    size_t n_resumed = s->n_resumed;
    bool paused = s->paused;
    pthread_mutex_unlock(&s->lock);
    if (s->sink.full && !atomic_load(&s->stopped))
        yes = paused || s->sink.full(s->sink.self);
    pthread_mutex_lock(&s->lock);
    if (yes && n_resumed == s->n_resumed)  // else all were resumed meanwhile, this one too
        s->paused = true;
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_unlock(&s->order);
    return yes;
}

static void closed(void *self)
{
    struct one *o = self;
    struct several *s = o->group;
    pthread_mutex_lock(&s->lock);
    struct answer *a = o->answer;
    o->answer = NULL;
    o->closed = true;
    pthread_mutex_unlock(&s->lock);
    if (a)
        s->provider->ops->answer_free(a);
    pthread_mutex_lock(&s->lock);
    s->n_closed++;
    unlock_and_finish(s);
}

static void push(void *self, const struct chat_event *event)
{
    struct one *o = self;
    struct several *s = o->group;
    if (event->kind == CHAT_DONE || event->kind == CHAT_ERROR) {
        end_one(o, event);
        return;
    }
    if (event->kind == CHAT_USAGE) {
        take_usage(o, &event->usage);
        return;
    }
    struct chat_event e = *event;
    e.choice += o->first_choice;
    pthread_mutex_lock(&s->order);
    if (!atomic_load(&s->stopped))
        s->sink.push(s->sink.self, &e);
    pthread_mutex_unlock(&s->order);
}

// Whether every prompt with its answer fits: better told before the first word than after a
// thousand.
static bool check_all(struct provider *p, const struct chat_request *req, struct error *err)
{
    struct model_info info;
    struct chat_request one;
    int64_t n, room = req->max_tokens > 0 ? req->max_tokens : 1;
    bool exact;
    if (!p->ops->describe(p, req->model, &info, err))
        return false;
    for (size_t i = 0; i < req->n_prompts; i++) {
        one_request(req, i, &one);
        if (!p->ops->count(p, &one, &n, &exact, err))
            return error_wrap(err, "prompt %zu", i);
        if (exact && n == 0)
            return error_set(err, ERR_USAGE, "prompt %zu is empty", i);
        if (exact && n + room > info.context)
            return error_set(err, ERR_CONTEXT,
                             "prompt %zu has %" PRId64 " tokens and its answer may have %" PRId64
                             " more, but the context of this model holds %d",
                             i, n, room, info.context);
    }
    return true;
}

static void release(struct several *s)
{
    pthread_mutex_destroy(&s->order);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    free(s->all);
    free(s);
}

struct several *several_start(struct provider *p, const struct chat_request *req,
                              struct provider_flow flow, struct chat_sink sink, struct error *err)
{
    int n_choices = req->sampling.n_choices > 0 ? req->sampling.n_choices : 1;
    if (!check_all(p, req, err))
        return NULL;
    struct several *s = memory_array(struct several, 1);
    s->provider = p;
    s->request = *req;
    s->flow = flow;
    s->sink = sink;
    s->n = req->n_prompts;
    s->most_running = n_choices < SEVERAL_SEQUENCES ? (size_t)(SEVERAL_SEQUENCES / n_choices) : 1;
    s->all = memory_array(struct one, s->n);
    for (size_t i = 0; i < s->n; i++)
        s->all[i] = (struct one){.group = s, .first_choice = (int)i * n_choices};
    pthread_mutex_init(&s->order, NULL);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    pthread_mutex_lock(&s->lock);
    s->advancing = true;
    (void)begin_next(s, err);
    bool ok = s->n_begun > 0;
    s->advancing = false;
    pthread_mutex_unlock(&s->lock);
    if (!ok) {
        release(s);
        return NULL;
    }
    advance(s);
    return s;
}

void several_wait(struct several *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->finished)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

void several_cancel(struct several *s)
{
    cancel_all(s);
}

void several_resume(struct several *s)
{
    pthread_mutex_lock(&s->lock);
    s->n_resumed++;
    s->paused = false;
    for (size_t i = 0; i < s->n_begun; i++)
        if (s->all[i].answer)
            s->provider->ops->resume(s->all[i].answer);
    pthread_mutex_unlock(&s->lock);
}

void several_free(struct several *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    bool finished = s->finished;
    pthread_mutex_unlock(&s->lock);
    if (!finished) {
        several_cancel(s);
        several_wait(s);
    }
    release(s);
}
