// router.c - routes as they were configured, and what is measured of those who serve.
#include "gateway/router.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "gateway/router_impl.h"

#define SECOND_NS INT64_C(1000000000)
// So many failures in a row, and it rests for a second, twice as long after each more.
enum { REST_FAILURES = 3, REST_MAX_S = 30, SHAKY_S = 10, TYPICAL_ANSWER = 256 };

struct router *router_new(void)
{
    struct router *r = memory_array(struct router, 1);
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

static void free_route(struct router_route *route)
{
    for (size_t i = 0; i < route->n_candidates; i++) {
        free((void *)route->candidates[i].replicas);
        free(route->places[i]);
    }
    free(route->candidates);
    free(route->places);
    free(route->name);
    free(route);
}

void router_free(struct router *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_routes; i++)
        free_route(r->routes[i]);
    for (size_t i = 0; i < r->n_places; i++)
        free(r->places[i]);
    free(r->routes);
    free(r->places);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

int64_t router_now(int64_t now_ns)
{
    return now_ns ? now_ns : clock_ns();
}

struct router_route *router_find(const struct router *r, const char *name)
{
    uint64_t hash = hash_bytes(name, strlen(name), 0);
    for (size_t i = 0; i < r->n_routes; i++)
        if (r->routes[i]->hash == hash && strcmp(r->routes[i]->name, name) == 0)
            return r->routes[i];
    return NULL;
}

static struct router_place *place_of(struct router *r, const struct provider *provider,
                                     const char *model)
{
    for (size_t i = 0; i < r->n_places; i++)
        if (r->places[i]->provider == provider && strcmp(r->places[i]->model, model) == 0)
            return r->places[i];
    struct router_place *p = memory_array(struct router_place, 1);
    p->provider = provider;
    p->model = model;
    memory_grow(r->places, r->places_capacity, r->n_places + 1);
    return r->places[r->n_places++] = p;
}

static struct router_route *new_route(struct router *r, const struct router_candidate *candidates,
                                      size_t n)
{
    struct router_route *route = memory_array(struct router_route, 1);
    route->candidates = memory_array(struct router_candidate, n);
    route->places = memory_array(struct router_place **, n);
    route->n_candidates = n;
    route->answer_tokens = TYPICAL_ANSWER;
    for (size_t i = 0; i < n; i++) {
        size_t n_replicas = candidates[i].n_replicas;
        struct router_replica *replicas = memory_array(struct router_replica, n_replicas);
        route->candidates[i] = candidates[i];
        route->candidates[i].replicas = replicas;
        route->places[i] = memory_array(struct router_place *, n_replicas);
        for (size_t k = 0; k < n_replicas; k++) {
            replicas[k] = candidates[i].replicas[k];
            route->places[i][k] = place_of(r, replicas[k].provider, candidates[i].model);
        }
    }
    return route;
}

bool router_add(struct router *r, const char *name, enum config_policy policy, bool local_only,
                int spill_queue, const struct router_candidate *candidates, size_t n,
                struct error *err)
{
    if (n == 0 || n > ROUTER_STEPS_MAX)
        return error_set(err, ERR_USAGE, "route '%.100s': from 1 to %d candidates", name,
                         ROUTER_STEPS_MAX);
    for (size_t i = 0; i < n; i++)
        if (candidates[i].n_replicas == 0 || candidates[i].n_replicas > ROUTER_STEPS_MAX)
            return error_set(err, ERR_USAGE, "route '%.80s': %.80s has from 1 to %d replicas", name,
                             candidates[i].shown, ROUTER_STEPS_MAX);
    pthread_mutex_lock(&r->lock);
    bool ok =
        !router_find(r, name) || error_set(err, ERR_USAGE, "two routes are called '%.100s'", name);
    if (ok) {
        struct router_route *route = new_route(r, candidates, n);
        route->name = memory_text(name);
        route->hash = hash_bytes(name, strlen(name), 0);
        route->policy = policy;
        route->local_only = local_only || policy == POLICY_LOCAL_ONLY;
        route->spill_queue = spill_queue;
        memory_grow(r->routes, r->routes_capacity, r->n_routes + 1);
        r->routes[r->n_routes++] = route;
    }
    pthread_mutex_unlock(&r->lock);
    return ok;
}

// Routes may be added while others are asked for, so finding one takes the lock; a route that was
// found stays.
static struct router_route *find_locked(const struct router *r, const char *name)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&r->lock;
    pthread_mutex_lock(lock);
    struct router_route *route = router_find(r, name);
    pthread_mutex_unlock(lock);
    return route;
}

size_t router_n_routes(const struct router *r)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&r->lock;
    pthread_mutex_lock(lock);
    size_t n = r->n_routes;
    pthread_mutex_unlock(lock);
    return n;
}

const char *router_route_name(const struct router *r, size_t i)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&r->lock;
    pthread_mutex_lock(lock);
    const char *name = r->routes[i]->name;
    pthread_mutex_unlock(lock);
    return name;
}

const struct router_candidate *router_candidates(const struct router *r, const char *name,
                                                 size_t *n)
{
    const struct router_route *route = find_locked(r, name);
    *n = route ? route->n_candidates : 0;
    return route ? route->candidates : NULL;
}

int64_t router_place_rest_ns(const struct router_place *p, int64_t now_ns)
{
    if (p->failures < REST_FAILURES)
        return 0;
    int doubled = p->failures - REST_FAILURES;
    int64_t rest = doubled < 5 ? SECOND_NS << doubled : REST_MAX_S * SECOND_NS;
    int64_t left = p->failed_ns + rest - now_ns;
    return left > 0 ? left : p->probing ? SECOND_NS : 0;
}

enum router_health router_place_health(const struct router_place *p, int64_t now_ns)
{
    if (router_place_rest_ns(p, now_ns) > 0)
        return PLACE_RESTS;
    bool lately = p->failures && now_ns - p->failed_ns < SHAKY_S * SECOND_NS;
    return lately || p->failures >= REST_FAILURES ? PLACE_SHAKY : PLACE_WELL;
}

static struct router_place *place_at(struct router_route *route, struct router_step s)
{
    assert(route && s.candidate < route->n_candidates &&
           s.replica < route->candidates[s.candidate].n_replicas);
    return route->places[s.candidate][s.replica];
}

void router_began(struct router *r, const char *name, struct router_step s,
                  const struct router_need *need)
{
    int64_t now_ns = router_now(need->now_ns);
    pthread_mutex_lock(&r->lock);
    struct router_place *p = place_at(router_find(r, name), s);
    p->running++;
    p->tried_ns = now_ns;
    p->probing = p->failures >= REST_FAILURES;
    pthread_mutex_unlock(&r->lock);
}

static void move_mean(double *mean, double x)
{
    *mean = *mean > 0 ? *mean + (x - *mean) / 8 : x;
}

static void measure(struct router_route *route, struct router_place *p,
                    const struct router_outcome *o)
{
    if (o->first_ns > 0)
        move_mean(&p->first_ns, (double)o->first_ns);
    if (o->first_ns > 0 && o->total_ns > o->first_ns && o->tokens > 1)
        move_mean(&p->per_token_ns, (double)(o->total_ns - o->first_ns) / (double)(o->tokens - 1));
    if (o->tokens > 0)
        move_mean(&route->answer_tokens, (double)o->tokens);
}

void router_ended(struct router *r, const char *name, struct router_step s,
                  const struct router_outcome *o)
{
    int64_t now_ns = router_now(o->now_ns);
    pthread_mutex_lock(&r->lock);
    struct router_route *route = router_find(r, name);
    struct router_place *p = place_at(route, s);
    assert(p->running > 0);
    p->running--;
    p->probing = false;
    if (o->failed) {
        p->failures += p->failures < 1000;
        p->failed_ns = now_ns;
    } else if (o->answered) {
        p->failures = 0;
        measure(route, p, o);
    }
    pthread_mutex_unlock(&r->lock);
}
