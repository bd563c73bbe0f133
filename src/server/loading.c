// loading.c - requests whose models must be loaded first: they wait here, not in a worker.
//
// A thread of its own loads one model after another, for whom has waited longest, and hands all
// that waited for it back to the workers; a load that fails is told to those who asked for that
// model, and to nobody else. Where there is no room for a model, those that come behind it and fit
// go first; who asks for a model that has to make room waits here too, behind those who wait for
// the other one (providers/local_models.c). A summary, which asks again and again, keeps its thread
// while it waits for a later turn. How many wait and how long is bounded: then it is a
// 503.
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "gateway/gateway.h"
#include "server/impl.h"

enum { BUSY_LOOK_MS = 100, RETRY_S = 5, AT_ONCE_MAX = 32, START_MS = 500 };

static void refuse(struct exchange *x, const struct error *why)
{
    struct dialect_error err = {0};
    (void)dialect_refuse_error(&err, why);
    // What is wrong with a model's file is no fault of the request, and is so the next time too.
    if (why->code != ERR_NOT_FOUND && why->code != ERR_BUSY) {
        err.problem = PROBLEM_INTERNAL;
        err.retry_after_s = 0;
    }
    exchange_refuse(x, &err);
}

// A thread that waits: until it is let go on, or why it is not.
struct loading_guest {
    bool over;
    struct error why;
};

// Who waited goes on (NULL), or is told why not.
static void let_guest(struct loading *l, struct exchange *x, const struct error *why)
{
    pthread_mutex_lock(&l->lock);
    if (why)
        x->guest->why = *why;
    x->guest->over = true;
    pthread_cond_broadcast(&l->let);
    pthread_mutex_unlock(&l->lock);
}

// One that was taken out of the list.
static void fail(struct loading *l, struct exchange *x, const struct error *why)
{
    if (x->guest)
        let_guest(l, x, why);
    else
        refuse(x, why);
    exchange_drop(x);
}

static bool enter(struct loading *l, struct exchange *x)
{
    pthread_mutex_lock(&l->lock);
    bool room = l->n < LOADING_MAX && !l->stop;
    if (room) {
        // Who has waited before (its model was closed again since) has kept its place.
        struct exchange **at = l->first && l->last->loading_until_ns <= x->loading_until_ns
                                   ? &l->last->next_loading
                                   : &l->first;
        while (*at && (*at)->loading_until_ns <= x->loading_until_ns)
            at = &(*at)->next_loading;
        x->next_loading = *at;
        *at = x;
        if (!x->next_loading)
            l->last = x;
        l->n++;
        pthread_cond_signal(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    return room;
}

// Takes a place in the list, behind all who came before. False with err: there is none.
static bool wait_in_list(struct exchange *x, const char *model, struct error *err)
{
    x->loading_model = model;
    exchange_hold(x);
    if (enter(&x->server->loading, x))
        return true;
    (void)error_set(err, ERR_BUSY, "%d requests wait for models to be loaded already", LOADING_MAX);
    err->retry_after_s = RETRY_S;
    exchange_drop(x);
    return false;
}

bool loading_wait(struct exchange *x, const char *model, struct error *err)
{
    struct loading *l = &x->server->loading;
    struct loading_guest guest = {0};
    x->loading_until_ns = http_deadline(x->server->options.load_wait_s);
    x->guest = &guest;
    bool ok = wait_in_list(x, model, err);
    pthread_mutex_lock(&l->lock);
    while (ok && !guest.over)
        pthread_cond_wait(&l->let, &l->lock);
    pthread_mutex_unlock(&l->lock);
    x->guest = NULL;
    if (guest.why.code)
        *err = guest.why;
    return ok && !guest.why.code;
}

bool loading_ready(struct exchange *x, const char *model)
{
    struct server *s = x->server;
    struct error why = {0};
    bool has_waited = x->loading_model != NULL;
    if (gateway_ready(s->gateway, model, has_waited))
        return true;
    if (!has_waited)
        x->loading_until_ns = http_deadline(s->options.load_wait_s);
    if (!wait_in_list(x, model, &why))
        refuse(x, &why);
    return false;
}

// Takes those out of the list that `which` is true of; returns them as a list.
static struct exchange *take(struct loading *l, bool (*which)(struct exchange *x, const void *arg),
                             const void *arg)
{
    struct exchange *out = NULL, **out_end = &out;
    pthread_mutex_lock(&l->lock);
    l->last = NULL;
    for (struct exchange **at = &l->first, *x; (x = *at) != NULL;) {
        if (!which(x, arg)) {
            l->last = x;
            at = &x->next_loading;
            continue;
        }
        *at = x->next_loading;
        x->next_loading = NULL;
        *out_end = x;
        out_end = &x->next_loading;
        l->n--;
    }
    pthread_mutex_unlock(&l->lock);
    return out;
}

static bool wants_model(struct exchange *x, const void *model)
{
    return strcmp(x->loading_model, model) == 0;
}

static bool waits_too_long(struct exchange *x, const void *now)
{
    return x->loading_until_ns <= *(const int64_t *)now || exchange_is_gone(x);
}

void loading_expire(struct server *s)
{
    int64_t now = clock_ns();
    struct error why = {0};
    for (struct exchange *x = take(&s->loading, waits_too_long, &now), *next; x; x = next) {
        next = x->next_loading;
        (void)error_set(&why, ERR_BUSY, "'%.100s' was not loaded within %d s", x->loading_model,
                        s->options.load_wait_s);
        why.retry_after_s = RETRY_S;
        fail(&s->loading, x, &why);
    }
}

static void sleep_ms(int ms)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

// Those who were let go on start before their model may have to make room again.
static void let_start(struct server *s)
{
    for (int ms = 0; ms < START_MS; ms += 10) {
        pthread_mutex_lock(&s->jobs.lock);
        bool idle = s->jobs.n == 0;
        pthread_mutex_unlock(&s->jobs.lock);
        sleep_ms(10);
        if (idle)
            return;
    }
}

// Loads the model and lets those go on who wait for it. False: not now, since others are in use or
// wait for its room; those who wait have their time.
static bool load(struct server *s, const char *model)
{
    struct error why = {0};
    struct model_info info;
    bool ok = gateway_describe(s->gateway, model, &info, &why);
    if (ok ? !gateway_ready(s->gateway, model, false) : why.code == ERR_BUSY)
        return false;
    for (struct exchange *x = take(&s->loading, wants_model, model), *next; x; x = next) {
        next = x->next_loading;
        x->next_loading = NULL;
        if (ok && x->guest) {
            let_guest(&s->loading, x, NULL);
            exchange_drop(x);
            continue;
        }
        bool patient = x->own && x->own->kind >= ROUTE_LONG;
        if (ok && queue_try_put(patient ? &s->long_jobs : &s->jobs, x))
            continue;
        if (ok)
            (void)error_set(&why, ERR_BUSY, "too many requests are waiting already");
        fail(&s->loading, x, &why);
    }
    if (ok)
        let_start(s);
    return true;
}

// The models that are waited for, who has waited longest first. With the lock held.
static size_t wanted_models(const struct loading *l, const char *models[AT_ONCE_MAX])
{
    size_t n = 0;
    for (const struct exchange *x = l->first; x && n < AT_ONCE_MAX; x = x->next_loading) {
        size_t i = 0;
        while (i < n && strcmp(models[i], x->loading_model) != 0)
            i++;
        if (i == n)
            models[n++] = x->loading_model;
    }
    return n;
}

static void *loading_main(void *self)
{
    struct server *s = self;
    struct loading *l = &s->loading;
    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        if (!l->first) {
            pthread_cond_wait(&l->changed, &l->lock);
            continue;
        }
        const char *models[AT_ONCE_MAX];
        size_t n = wanted_models(l, models), i = 0;
        pthread_mutex_unlock(&l->lock);
        while (i < n && !load(s, models[i]))
            i++;
        if (i == n)
            sleep_ms(BUSY_LOOK_MS);
        pthread_mutex_lock(&l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

void loading_init(struct loading *l)
{
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    pthread_cond_init(&l->let, NULL);
}

void loading_release(struct loading *l)
{
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->changed);
    pthread_cond_destroy(&l->let);
}

bool loading_start(struct server *s)
{
    struct loading *l = &s->loading;
    l->started = pthread_create(&l->thread, NULL, loading_main, s) == 0;
    return l->started;
}

void loading_stop(struct server *s)
{
    struct loading *l = &s->loading;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
    if (l->started)
        pthread_join(l->thread, NULL);
}
