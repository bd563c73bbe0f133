// router_impl.h - what router.c (routes, measurements) and router_plan.c (the order) share.
#pragma once
#include <pthread.h>

#include "gateway/router.h"

// A model at one provider, of whichever routes; all but the names under the router's lock.
struct router_place {
    const struct provider *provider;
    const char *model;
    int running;
    int failures;       // in a row
    bool probing;       // after a rest, one request finds out
    int64_t failed_ns;  // the last of them
    int64_t tried_ns;   // the last start; 0: never
    // Moving means; 0: not measured.
    double first_ns, per_token_ns;
};
struct router_route {
    char *name;
    uint64_t hash;  // of the name
    enum config_policy policy;
    bool local_only;
    int spill_queue;
    struct router_candidate *candidates;
    struct router_place ***places;  // [n_candidates][n_replicas]
    size_t n_candidates;
    double answer_tokens;  // of answers so far, a moving mean; under the lock
};
struct router {
    pthread_mutex_t lock;
    struct router_route **routes;
    size_t n_routes, routes_capacity;
    struct router_place **places;
    size_t n_places, places_capacity;
};

enum router_health { PLACE_WELL, PLACE_SHAKY, PLACE_RESTS };
enum router_health router_place_health(const struct router_place *p, int64_t now_ns);
int64_t router_place_rest_ns(const struct router_place *p, int64_t now_ns);  // what is left of it
struct router_route *router_find(const struct router *r, const char *name);
int64_t router_now(int64_t now_ns);
