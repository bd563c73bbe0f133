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
    bool ended;             // its DONE or ERROR came
    struct answer *answer;  // NULL before it has begun
};
struct several {
    struct provider *provider;
    struct chat_request request;
    struct provider_flow flow;
    struct chat_sink sink;
    struct one *all;
    size_t n, most_running;
    // Held while an event is pushed. A sink may cancel, and a provider may push from inside its
    // cancel, on the same thread; what comes after a cancel goes nowhere.
    pthread_mutex_t order;
    struct chat_usage usage;
    atomic_bool stopped;  // cancelled or failed: nothing more begins, and no more events are passed
    // Never held while anybody else's code runs.
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t n_begun, n_ended;
    bool advancing;      // a thread is beginning what there is room for
    bool wait_for_end;   // the provider was busy: not before another one has ended
    bool over, told;     // the last has ended; and DONE or ERROR was pushed
    struct error error;  // of the first that failed
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
    for (size_t i = 0; i < s->n; i++) {
        pthread_mutex_lock(&s->lock);
        struct answer *a = s->all[i].ended ? NULL : s->all[i].answer;
        pthread_mutex_unlock(&s->lock);
        if (a)
            s->provider->ops->cancel(a);
    }
}

static void fail(struct several *s, const struct error *why)
{
    pthread_mutex_lock(&s->lock);
    if (!s->error.code)
        s->error = *why;
    pthread_mutex_unlock(&s->lock);
    atomic_store(&s->stopped, true);
    cancel_all(s);
}

static void add_usage(struct chat_usage *sum, const struct chat_usage *u)
{
    bool known = sum->cost_picousd >= 0 && u->cost_picousd >= 0;
    sum->prompt_tokens += u->prompt_tokens;
    sum->cached_tokens += u->cached_tokens;
    sum->completion_tokens += u->completion_tokens;
    sum->reasoning_tokens += u->reasoning_tokens;
    sum->drafted_tokens += u->drafted_tokens;
    sum->accepted_tokens += u->accepted_tokens;
    sum->bytes_sent += u->bytes_sent;
    sum->cost_picousd = known ? sum->cost_picousd + u->cost_picousd : -1;
    sum->queued_s += u->queued_s;
    sum->prefill_s += u->prefill_s;
    sum->decode_s += u->decode_s;
}

static void push_end(struct several *s)
{
    struct chat_event usage = {.kind = CHAT_USAGE, .usage = s->usage};
    struct chat_event end = {.kind = CHAT_DONE, .error = s->error};
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
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void push(void *self, const struct chat_event *event);

// NULL with err.
static struct answer *start_one(struct several *s, size_t i, struct error *err)
{
    struct chat_request one;
    struct chat_sink sink = {.push = push, .self = &s->all[i]};
    one_request(&s->request, i, &one);
    return s->provider->ops->start(s->provider, &one, s->flow, sink, err);
}

// With the lock held, which is given up meanwhile. False with err if it could not begin and never
// will; a busy provider is asked again when another answer has ended.
static bool begin_next(struct several *s, struct error *err)
{
    size_t i = s->n_begun++, n_ended = s->n_ended;
    pthread_mutex_unlock(&s->lock);
    struct answer *a = start_one(s, i, err);
    pthread_mutex_lock(&s->lock);
    s->all[i].answer = a;
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
        bool ok = begin_next(s, &err);
        struct answer *a = s->all[i].answer;
        pthread_mutex_unlock(&s->lock);
        if (!ok) {
            error_wrap(&err, "prompt %zu", i);
            fail(s, &err);
        } else if (a && atomic_load(&s->stopped)) {
            s->provider->ops->cancel(a);  // it began beside the cancel
        }
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

static void end_one(struct one *o, const struct chat_event *event)
{
    struct several *s = o->group;
    struct error why = event->error;
    if (event->kind == CHAT_ERROR) {
        error_wrap(&why, "prompt %zu", (size_t)(o - s->all));
        fail(s, &why);
    }
    pthread_mutex_lock(&s->lock);
    o->ended = true;
    s->n_ended++;
    s->wait_for_end = false;
    pthread_mutex_unlock(&s->lock);
    advance(s);
}

static void push(void *self, const struct chat_event *event)
{
    struct one *o = self;
    struct several *s = o->group;
    if (event->kind == CHAT_DONE || event->kind == CHAT_ERROR) {
        end_one(o, event);
        return;
    }
    struct chat_event e = *event;
    e.choice += o->first_choice;
    pthread_mutex_lock(&s->order);
    if (e.kind == CHAT_USAGE)
        add_usage(&s->usage, &e.usage);
    else if (!atomic_load(&s->stopped))
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

static void init_locks(struct several *s)
{
    pthread_mutexattr_t again;
    pthread_mutexattr_init(&again);
    (void)pthread_mutexattr_settype(&again, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&s->order, &again);
    pthread_mutexattr_destroy(&again);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    atomic_init(&s->stopped, false);
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
    init_locks(s);
    pthread_mutex_lock(&s->lock);
    s->advancing = true;
    (void)begin_next(s, err);
    bool ok = s->all[0].answer;
    s->advancing = false;
    pthread_mutex_unlock(&s->lock);
    if (!ok) {
        several_free(s);
        return NULL;
    }
    advance(s);
    return s;
}

void several_wait(struct several *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->told)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < s->n; i++)
        if (s->all[i].answer)
            s->provider->ops->wait(s->all[i].answer);
}

void several_cancel(struct several *s)
{
    atomic_store(&s->stopped, true);
    cancel_all(s);
}

void several_free(struct several *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        if (s->all[i].answer)
            s->provider->ops->answer_free(s->all[i].answer);
    pthread_mutex_destroy(&s->order);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    free(s->all);
    free(s);
}
