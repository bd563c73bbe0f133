// remote_health.c - an endpoint is asked now and then whether it is well, before requests find out.
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/secret.h"
#include "providers/remote_impl.h"

enum { FAILURES_MAX = 2, LIMIT_S = 5, EVERY_S = 10 };

static void set_sick(struct remote *r, bool sick, const char *why)
{
    pthread_mutex_lock(&r->lock);
    bool changed = r->sick != sick;
    r->sick = sick;
    pthread_mutex_unlock(&r->lock);
    if (changed && sick)
        log_warn("%s at %s: not well, and left alone until it is: %s", r->name, r->health.origin,
                 why);
    else if (changed)
        log_warn("%s at %s: well again", r->name, r->health.origin);
}

// One check is over; why NULL: it is well.
static void conclude(struct remote *r, const char *why)
{
    struct remote_health *h = &r->health;
    h->asking = false;
    h->n_failures = why ? h->n_failures + 1 : 0;
    if (!why || h->n_failures >= FAILURES_MAX)
        set_sick(r, why != NULL, why);
    loop_timer_set(r->all->loop, &h->timer, clock_ns() + h->every_ns);
}

static bool on_head(void *self, const struct post_head *head)
{
    ((struct remote *)self)->health.status = head->status;
    return false;  // that is all there is to know
}

static enum post_take on_body(void *self, struct slice bytes)
{
    (void)self;
    (void)bytes;
    return POST_STOP;
}

static void on_end(void *self, enum post_outcome outcome, const struct error *err)
{
    struct remote *r = self;
    char why[64];
    int status = r->health.status;
    (void)snprintf(why, sizeof why, "its health check gave status %d", status);
    if (outcome == POST_LOST || outcome == POST_REFUSED)
        conclude(r, err->text);
    else
        conclude(r, status / 100 == 2 ? NULL : why);
}

// It is time for the next check, or the one that runs has taken too long.
static void on_timer(struct timer *t)
{
    struct remote *r = t->self;
    struct remote_health *h = &r->health;
    struct error err = {0};
    if (h->asking) {
        post_stop(&h->post);
        conclude(r, "its health check was not answered in time");
        return;
    }
    h->status = 0;
    h->asking = true;
    if (!post_start(&h->post, &err)) {
        conclude(r, err.text);
        return;
    }
    loop_timer_set(r->all->loop, t, clock_ns() + LIMIT_S * INT64_C(1000000000));
}

static void start_here(void *self)
{
    struct remote *r = self;
    loop_timer_set(r->all->loop, &r->health.timer, clock_ns());
}

bool remote_health_start(struct remote *r, const struct remote_options *o, const char *origin,
                         struct error *err)
{
    static const char *const lines[] = {"Accept-Encoding: identity", NULL};
    struct remote_health *h = &r->health;
    if (!o->health)
        return true;
    struct post_options p = {.base_url = origin,
                             .lines = lines,
                             .key_line = r->key_line,
                             .ca_file = o->ca_file,
                             .no_proxy = remote_is_loopback(origin),
                             .connect_ms = LIMIT_S * INT64_C(1000),
                             .max_connections = 1};
    h->endpoint = post_endpoint_new(r->all->loop, &p, err);
    if (!h->endpoint)
        return false;
    h->origin = memory_text(origin);
    h->path = memory_text(o->health);
    h->every_ns = (int64_t)((o->health_every_s > 0 ? o->health_every_s : EVERY_S) * 1e9);
    h->timer = (struct timer){.fire = on_timer, .self = r};
    h->post = (struct post){.endpoint = h->endpoint,
                            .path = h->path,
                            .get = true,
                            .self = r,
                            .on_head = on_head,
                            .on_body = on_body,
                            .on_end = on_end};
    loop_call(r->all->loop, start_here, r);
    return true;
}

static void stop_here(void *self)
{
    struct remote *r = self;
    loop_timer_unset(r->all->loop, &r->health.timer);
    post_stop(&r->health.post);
}

void remote_health_stop(struct remote *r)
{
    if (!r->health.endpoint)
        return;
    loop_call(r->all->loop, stop_here, r);
    post_endpoint_free(r->health.endpoint);
    free(r->health.origin);
    free(r->health.path);
}
