// router_plan.c - who can serve a request, in which order they are tried, and why nobody can.
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "gateway/router.h"
#include "gateway/router_impl.h"

#define SECOND_NS INT64_C(1000000000)
// One request of so many goes, with POLICY_FASTEST, to whom nobody asked for so long.
enum { TRY_ONE_OF = 16, TRY_AFTER_S = 60 };
// A replica is much busier than the least loaded one from twice its answers and these on.
enum { BUSIER_BY = 4 };

enum refusal { SERVES, VENDOR, CONTEXT, LACKS };
struct reasons {  // why each candidate cannot
    size_t n[LACKS + 1];
    size_t len;
    char text[200];
};
struct option {
    size_t candidate;
    bool rests;
    double rank;  // the least first; of equals, in the order written
};
struct plan {
    const struct router_route *route;
    const struct router_need *need;
    const struct router_facts *facts;
    int64_t now_ns;
    uint64_t lot;
};

static enum refusal refuse(struct reasons *why, const struct router_candidate *c, enum refusal kind,
                           const char *text)
{
    why->n[kind]++;
    if (why->len < sizeof why->text)
        why->len += (size_t)snprintf(why->text + why->len, sizeof why->text - why->len,
                                     "%s%.60s: %.90s", why->len ? "; " : "", c->shown, text);
    return kind;
}

// What the request needs and this one lacks; NULL: nothing.
static const char *lacking(const struct router_need *need, const struct router_facts *f)
{
    if (!f->able)
        return f->why ? f->why : "it cannot";
    if (f->known && need->tools && !f->tools)
        return "it calls no tools";
    if (f->known && need->schema && !f->schema)
        return "it keeps to no schema";
    if (f->known && need->vision && !f->vision)
        return "it sees no images";
    if (need->embeddings && f->no_embeddings)
        return "it makes no embeddings";
    if (need->tokens && f->no_tokens)
        return "it takes no token ids";
    if (need->logprobs && f->no_logprobs)
        return "it tells no logprobs";
    return NULL;
}

static bool too_long(const struct router_need *need, const struct router_facts *f, char *text,
                     size_t text_bytes)
{
    int64_t answer = need->answer_tokens > 0 ? need->answer_tokens : 0;
    if (f->context > 0 && answer > f->context - need->prompt_tokens) {
        (void)snprintf(text, text_bytes,
                       "its context is of %d tokens, this takes up to %" PRId64 " and %" PRId64,
                       f->context, need->prompt_tokens, answer);
        return true;
    }
    if (f->max_output > 0 && answer > f->max_output) {
        (void)snprintf(text, text_bytes,
                       "its answers have at most %d tokens, %" PRId64 " were asked for",
                       f->max_output, answer);
        return true;
    }
    return false;
}

static enum refusal consider(const struct plan *p, size_t i, struct reasons *why)
{
    const struct router_candidate *c = &p->route->candidates[i];
    char text[100];
    const char *lack = lacking(p->need, &p->facts[i]);
    if (lack)
        return refuse(why, c, LACKS, lack);
    if (too_long(p->need, &p->facts[i], text, sizeof text))
        return refuse(why, c, CONTEXT, text);
    if (!c->local && (p->need->local_only || p->route->local_only))
        return refuse(why, c, VENDOR, "nothing may leave this machine");
    return SERVES;
}

static bool all_rest(const struct plan *p, size_t i)
{
    for (size_t k = 0; k < p->route->candidates[i].n_replicas; k++)
        if (router_place_health(p->route->places[i][k], p->now_ns) != PLACE_RESTS)
            return false;
    return true;
}

// The time an answer takes, of the fastest replica. -1: nobody knows; then whether one might find
// out: nobody is just doing that, and it did not fail.
static double seconds_of(const struct plan *p, size_t i, bool *try_it)
{
    double best = -1, tokens = p->route->answer_tokens;
    if (p->need->answer_tokens >= 0 && (double)p->need->answer_tokens < tokens)
        tokens = (double)p->need->answer_tokens;
    *try_it = true;
    for (size_t k = 0; k < p->route->candidates[i].n_replicas; k++) {
        const struct router_place *place = p->route->places[i][k];
        double s = (place->first_ns + place->per_token_ns * tokens) / 1e9;
        *try_it &= place->running == 0 && place->failures == 0;
        if (place->first_ns > 0 && (best < 0 || s < best))
            best = s;
    }
    return best;
}

static int64_t last_tried(const struct plan *p, size_t i)
{
    int64_t last = 0;
    for (size_t k = 0; k < p->route->candidates[i].n_replicas; k++)
        if (p->route->places[i][k]->tried_ns > last)
            last = p->route->places[i][k]->tried_ns;
    return last;
}

// Who was not tried for longest goes first once in a while, since others may have become faster.
static void rank_fastest(const struct plan *p, struct option *o, size_t n)
{
    struct option *oldest = NULL;
    for (size_t i = 0; i < n; i++) {
        bool try_it;
        double s = seconds_of(p, o[i].candidate, &try_it);
        o[i].rank = s >= 0 ? s : try_it ? -1 : INFINITY;
        if (!o[i].rests && p->now_ns - last_tried(p, o[i].candidate) > TRY_AFTER_S * SECOND_NS &&
            (!oldest || last_tried(p, o[i].candidate) < last_tried(p, oldest->candidate)))
            oldest = &o[i];
    }
    if (oldest && hash_mix(p->need->seed ^ 0x747279) % TRY_ONE_OF == 0)
        oldest->rank = -2;
}

// Exponential clocks: the first of them to ring is each candidate with its weight's probability,
// whoever else takes part, so that one that is gone moves no lot between the others.
static double ring(const struct plan *p, const struct option *o)
{
    int weight = p->route->candidates[o->candidate].weight;
    uint64_t bits = hash_mix(p->lot + hash_mix(o->candidate + 1)) >> 11;
    return weight > 0 ? -log(((double)bits + 0.5) * 0x1p-53) / weight : INFINITY;
}

static double rank(const struct plan *p, const struct option *o)
{
    const struct router_facts *f = &p->facts[o->candidate];
    bool local = p->route->candidates[o->candidate].local;
    switch (p->route->policy) {
    case POLICY_LOCAL_FIRST: return !local ? 1 : f->waiting > p->route->spill_queue ? 2 : 0;
    case POLICY_CHEAPEST: return f->price >= 0 ? (double)f->price : INFINITY;
    case POLICY_WEIGHTED: return ring(p, o);
    default: return 0;
    }
}

static bool before(const struct option *a, const struct option *b)
{
    return a->rests != b->rests ? b->rests : a->rank < b->rank;
}

static void order_options(const struct plan *p, struct option *o, size_t n)
{
    for (size_t i = 0; i < n; i++)
        o[i].rank = rank(p, &o[i]);
    if (p->route->policy == POLICY_FASTEST)
        rank_fastest(p, o, n);
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && before(&o[k], &o[k - 1]); k--) {
            struct option moved = o[k];
            o[k] = o[k - 1];
            o[k - 1] = moved;
        }
}

struct ranked_replica {
    size_t replica;
    enum router_health health;
    int running;
    uint64_t score;
};

static bool replica_before(const struct ranked_replica *a, const struct ranked_replica *b)
{
    if (a->health != b->health)
        return a->health < b->health;
    return a->running != b->running ? a->running < b->running : a->score > b->score;
}

// Rendezvous hashing: of the healthiest, the one with the greatest score that is not much busier
// than the least loaded goes first. Another that dies changes nobody's greatest score.
static void prefer_home(struct ranked_replica *r, size_t n)
{
    size_t home = 0;
    for (size_t i = 1; i < n && r[i].health == r[0].health; i++)
        if (r[i].score > r[home].score && r[i].running <= 2 * r[0].running + BUSIER_BY)
            home = i;
    struct ranked_replica first = r[home];
    memmove(r + 1, r, home * sizeof *r);
    r[0] = first;
}

// Those who rest are left out, unless all do.
static size_t order_replicas(const struct plan *p, const struct option *o,
                             struct ranked_replica r[ROUTER_STEPS_MAX])
{
    const struct router_need *need = p->need;
    bool home = need->session || need->prefix;
    uint64_t key = need->session  ? hash_bytes(need->session, strlen(need->session), 1)
                   : need->prefix ? need->prefix
                                  : need->seed;
    size_t n = 0;
    for (size_t k = 0; k < p->route->candidates[o->candidate].n_replicas; k++) {
        const struct router_place *place = p->route->places[o->candidate][k];
        struct ranked_replica one = {k, router_place_health(place, p->now_ns), place->running,
                                     hash_mix(key ^ hash_mix(k + 1))};
        size_t at = n;
        if (one.health == PLACE_RESTS && !o->rests)
            continue;
        for (; at > 0 && replica_before(&one, &r[at - 1]); at--)
            r[at] = r[at - 1];
        r[at] = one;
        n++;
    }
    if (home && n)
        prefer_home(r, n);
    return n;
}

static size_t lay_out(const struct plan *p, const struct option *o, size_t n,
                      struct router_step steps[ROUTER_STEPS_MAX])
{
    struct ranked_replica r[ROUTER_STEPS_MAX];
    size_t n_steps = 0;
    for (size_t i = 0; i < n; i++) {
        size_t room = ROUTER_STEPS_MAX - n_steps - (n - 1 - i);  // one at least for those behind
        size_t n_replicas = order_replicas(p, &o[i], r);
        for (size_t k = 0; k < n_replicas && k < room; k++)
            steps[n_steps++] = (struct router_step){o[i].candidate, r[k].replica};
    }
    return n_steps;
}

static void nobody_serves(const struct plan *p, const struct reasons *why, struct error *err)
{
    enum error_code code = why->n[VENDOR]    ? ERR_FORBIDDEN
                           : why->n[CONTEXT] ? ERR_CONTEXT
                                             : ERR_UNSUPPORTED;
    if (p->route->n_candidates == 1)
        (void)error_set(err, code, "%s", why->text);
    else
        (void)error_set(err, code, "nobody of '%.40s' can serve this: %s", p->route->name,
                        why->text);
}

static void everybody_rests(const struct plan *p, const struct option *o, size_t n,
                            struct error *err)
{
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < p->route->candidates[o[i].candidate].n_replicas; k++) {
            int64_t left = router_place_rest_ns(p->route->places[o[i].candidate][k], p->now_ns);
            least = left < least ? left : least;
        }
    (void)error_set(err, ERR_BUSY, "all who could serve '%.100s' failed lately and are left alone",
                    p->route->name);
    if (err)
        err->retry_after_s = (int)((least + SECOND_NS - 1) / SECOND_NS);
}

static size_t plan_locked(const struct plan *p, struct router_step steps[ROUTER_STEPS_MAX],
                          struct error *err)
{
    struct option options[ROUTER_STEPS_MAX];
    struct reasons why = {0};
    size_t n = 0, n_rest = 0;
    for (size_t i = 0; i < p->route->n_candidates; i++) {
        if (consider(p, i, &why) != SERVES)
            continue;
        options[n] = (struct option){.candidate = i, .rests = all_rest(p, i)};
        n_rest += options[n++].rests;
    }
    if (n == 0) {
        nobody_serves(p, &why, err);
        return 0;
    }
    if (n_rest == n) {
        everybody_rests(p, options, n, err);
        return 0;
    }
    order_options(p, options, n);
    return lay_out(p, options, n, steps);
}

size_t router_plan(struct router *r, const char *name, const struct router_need *need,
                   const struct router_facts *facts, struct router_step steps[ROUTER_STEPS_MAX],
                   struct error *err)
{
    struct plan p = {.need = need, .facts = facts, .now_ns = router_now(need->now_ns)};
    size_t n = 0;
    p.lot = need->session ? hash_bytes(need->session, strlen(need->session), 2) : need->seed;
    pthread_mutex_lock(&r->lock);
    p.route = router_find(r, name);
    if (p.route)
        n = plan_locked(&p, steps, err);
    else
        (void)error_set(err, ERR_NOT_FOUND, "there is no route '%.100s'", name);
    pthread_mutex_unlock(&r->lock);
    return n;
}
