#include "providers/local_carriers.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"

static void enqueue(struct carriers *c, struct carried *w)
{
    w->state = CARRIED_QUEUED;
    w->next = NULL;
    w->queued_ns = clock_ns();
    if (c->first)
        c->last->next = w;
    else
        c->first = w;
    c->last = w;
    if (c->n_idle)
        pthread_cond_signal(&c->work);
}

static struct carried *take(struct carriers *c)
{
    struct carried *w = c->first;
    c->first = w->next;
    w->state = CARRIED_RUNS;
    return w;
}

// With the lock held, which is given up while the work runs.
static void carry(struct carriers *c, struct carried *w)
{
    pthread_mutex_unlock(&c->lock);
    bool goes_on = w->run(w);
    pthread_mutex_lock(&c->lock);
    if (goes_on) {
        if (w->state == CARRIED_RUNS_WOKEN)
            enqueue(c, w);
        else
            w->state = CARRIED_RESTS;
        return;
    }
    void (*over)(struct carried *) = w->over;
    w->state = CARRIED_OVER;
    pthread_cond_broadcast(&c->ended);  // who waits may free it as soon as the lock is free
    if (!over)
        return;
    pthread_mutex_unlock(&c->lock);
    over(w);
    pthread_mutex_lock(&c->lock);
}

static void *carrier_main(void *self)
{
    struct carriers *c = self;
    pthread_mutex_lock(&c->lock);
    while (!c->stop) {
        if (c->first) {
            carry(c, take(c));
            continue;
        }
        c->n_idle++;
        pthread_cond_wait(&c->work, &c->lock);
        c->n_idle--;
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static int start_one(struct carriers *c)
{
    int code = pthread_create(&c->threads[c->n_threads], NULL, carrier_main, c);
    c->n_threads += code == 0;
    return code;
}

bool carriers_init(struct carriers *c, struct error *err)
{
    int code = 0;
    *c = (struct carriers){0};
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->work, NULL);
    pthread_cond_init(&c->ended, NULL);
    pthread_mutex_lock(&c->lock);
    while (!code && c->n_threads < CARRIERS_AT_FIRST)
        code = start_one(c);
    pthread_mutex_unlock(&c->lock);
    if (!code)
        return true;
    carriers_release(c);
    return error_set(err, ERR_IO, "start the threads of answers: %s", strerror(code));
}

void carriers_release(struct carriers *c)
{
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_broadcast(&c->work);
    pthread_mutex_unlock(&c->lock);
    for (int i = 0; i < c->n_threads; i++)  // nobody is left to start more
        pthread_join(c->threads[i], NULL);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->work);
    pthread_cond_destroy(&c->ended);
}

void carried_init(struct carried *w, struct carriers *c)
{
    w->carriers = c;
    w->state = CARRIED_RUNS;
}

void carried_begin(struct carried *w)
{
    struct carriers *c = w->carriers;
    pthread_mutex_lock(&c->lock);
    enqueue(c, w);
    pthread_mutex_unlock(&c->lock);
}

// Some sink blocks, or there is more to do than these can: then another thread helps.
static void help_late(struct carriers *c)
{
    if (!c->first || c->n_idle || c->n_threads == CARRIERS_MAX || c->stop)
        return;
    if (clock_ns() - c->first->queued_ns > CARRY_LATE_MS * INT64_C(1000000))
        (void)start_one(c);  // or there is none to be had
}

void carried_wake(struct carried *w)
{
    struct carriers *c = w->carriers;
    pthread_mutex_lock(&c->lock);
    if (w->state == CARRIED_RESTS)
        enqueue(c, w);
    else if (w->state == CARRIED_RUNS)
        w->state = CARRIED_RUNS_WOKEN;
    help_late(c);
    pthread_mutex_unlock(&c->lock);
}

void carried_wait(struct carried *w)
{
    struct carriers *c = w->carriers;
    pthread_mutex_lock(&c->lock);
    while (w->state != CARRIED_OVER)
        pthread_cond_wait(&c->ended, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

bool carried_is_over(struct carried *w)
{
    struct carriers *c = w->carriers;
    pthread_mutex_lock(&c->lock);
    bool over = w->state == CARRIED_OVER;
    pthread_mutex_unlock(&c->lock);
    return over;
}
