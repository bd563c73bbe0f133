// router.h - from a model's name to those who can serve the request, in the order to try them.
//
// A route has candidates and a policy; a candidate is a model of a provider, with one or several
// replicas. The router knows health, load and speed, but starts nothing: the gateway does, and
// tells what became of it. A request only goes where it can be served whole: context, tools,
// schema, vision. Measurements belong to a provider's model: routes that share one share them.
// Threads: any; a route's configuration is fixed, measurements are under a lock that is held for
// moments. Besides that it is pure: time and lots are handed in.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

struct error;
struct provider;
struct router;

enum { ROUTER_STEPS_MAX = 32 };  // also candidates of a route, and replicas of one of them

struct router_replica {
    struct provider *provider;
};
struct router_candidate {       // copied; texts are borrowed and live as long as the router
    const char *provider_name;  // "local", "openai", "groq"
    const char *model;          // what the provider is asked for
    const char *shown;          // "openai/gpt-4o-mini", "local/qwen"
    bool local;
    int weight;  // of POLICY_WEIGHTED
    const struct router_replica *replicas;
    size_t n_replicas;
};
struct router_need {
    int64_t prompt_tokens;  // at most
    int64_t answer_tokens;  // that were asked for; -1: not said
    bool tools, schema, vision, embeddings, tokens, logprobs;
    bool local_only;
    const char *session;  // or NULL
    uint64_t prefix;      // a hash of what the conversation begins with; 0: none
    uint64_t seed;        // decides what is drawn by lot; a session's lot is always the same
    int64_t now_ns;       // clock_ns(); 0: it is asked
};
struct router_facts {         // of a candidate for this request, as the gateway knows them
    int context, max_output;  // 0: not known
    bool tools, schema, vision, known;           // not known: it may be tried
    bool no_embeddings, no_tokens, no_logprobs;  // it has none of these
    int64_t price;    // a guess of this request's cost; -1: unpriced; 0: local
    int64_t waiting;  // local: requests in its queue
    bool able;        // false: whoever serves it cannot (why says so)
    const char *why;
};
struct router_step {
    size_t candidate, replica;
};

struct router *router_new(void);
void router_free(struct router *r);
// False with err (ERR_USAGE): the name is taken.
bool router_add(struct router *r, const char *name, enum config_policy policy, bool local_only,
                int spill_queue, const struct router_candidate *candidates, size_t n,
                struct error *err);
size_t router_n_routes(const struct router *r);
const char *router_route_name(const struct router *r, size_t i);
// The route's candidates; NULL if there is no such route.
const struct router_candidate *router_candidates(const struct router *r, const char *name,
                                                 size_t *n);
// Orders the candidates of a route that can serve the request (facts[n], one each); a candidate's
// replicas follow each other, the best first: where the session or else the prefix was before,
// unless that one is much busier than others. Who failed three times in a row rests for 1 to 30 s,
// then one request tries: meanwhile it is left out, or last where all of a candidate rest. Returns
// the number of steps; 0 with err, which says of every candidate why not: ERR_FORBIDDEN
// (local-only, and only vendors could), ERR_CONTEXT (with both numbers), ERR_UNSUPPORTED, ERR_BUSY
// (all rest).
size_t router_plan(struct router *r, const char *name, const struct router_need *need,
                   const struct router_facts *facts, struct router_step steps[ROUTER_STEPS_MAX],
                   struct error *err);
// What becomes of a step, for load, speed and health; began once, ended once.
void router_began(struct router *r, const char *name, struct router_step s,
                  const struct router_need *need);
struct router_outcome {
    bool answered;                       // events came
    bool failed;                         // its own fault: not the client's
    int64_t first_ns, total_ns, tokens;  // -1: not known
    int64_t now_ns;                      // clock_ns(); 0: it is asked
};
void router_ended(struct router *r, const char *name, struct router_step s,
                  const struct router_outcome *o);
