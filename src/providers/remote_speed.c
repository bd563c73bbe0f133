// remote_speed.c - whether an endpoint is asked at all, and how fast it has been.
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "providers/remote_impl.h"

static void add_sample(struct remote_samples *s, int64_t ns)
{
    s->ns[s->next] = ns > 0 ? ns : 1;
    s->next = (s->next + 1) % REMOTE_SAMPLES;
    s->n += s->n < REMOTE_SAMPLES;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t median(const struct remote_samples *s)
{
    int64_t sorted[REMOTE_SAMPLES];
    if (s->n == 0)
        return 0;
    memcpy(sorted, s->ns, sizeof sorted);
    qsort(sorted, (size_t)s->n, sizeof *sorted, compare);
    return sorted[s->n / 2];
}

enum breaker_pass remote_ask(struct remote *r, int64_t *left_ns)
{
    int64_t now = clock_ns();
    pthread_mutex_lock(&r->lock);
    enum breaker_pass pass = r->sick ? BREAKER_NO : breaker_ask(&r->breaker, now);
    *left_ns = r->sick ? r->health.every_ns : breaker_left_ns(&r->breaker, now);
    pthread_mutex_unlock(&r->lock);
    return pass;
}

void remote_told(struct answer *a, enum breaker_outcome outcome)
{
    struct remote *r = a->remote;
    enum breaker_pass pass = a->pass;
    // What has worked so far may still fail, but no longer as a probe.
    a->pass = outcome == BREAKER_WORKS && pass != BREAKER_NO ? BREAKER_YES : BREAKER_NO;
    if (pass == BREAKER_NO)
        return;
    pthread_mutex_lock(&r->lock);
    breaker_ended(&r->breaker, pass, outcome, clock_ns());
    pthread_mutex_unlock(&r->lock);
}

void remote_first_event(struct answer *a)
{
    struct remote *r = a->remote;
    a->first_event_ns = clock_ns();
    remote_told(a, BREAKER_WORKS);
    if (a->mode != REMOTE_STREAM)
        return;
    pthread_mutex_lock(&r->lock);
    add_sample(&r->first, a->first_event_ns - a->asked_ns);
    pthread_mutex_unlock(&r->lock);
}

void remote_ended_well(struct answer *a)
{
    struct remote *r = a->remote;
    int64_t tokens = remote_usage(a, true).completion_tokens;
    remote_told(a, BREAKER_WORKS);
    if (a->mode != REMOTE_STREAM || tokens < 2)
        return;
    pthread_mutex_lock(&r->lock);
    add_sample(&r->per_token, (a->last_ns - a->first_event_ns) / (tokens - 1));
    pthread_mutex_unlock(&r->lock);
}

void provider_remote_load(const struct provider *p, struct remote_load *out)
{
    struct remote *r = (struct remote *)p;
    pthread_mutex_lock(&r->lock);
    *out = (struct remote_load){.running = atomic_load(&r->n_running),
                                .resting = r->sick || breaker_rests(&r->breaker, clock_ns()),
                                .first_ns = median(&r->first),
                                .per_token_ns = median(&r->per_token)};
    pthread_mutex_unlock(&r->lock);
}
