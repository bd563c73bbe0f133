// flight.c - a request on its way: authorized, planned, reserved, asked for, settled.
//
// The candidates of the plan are asked one after the other until one has begun to answer; from then
// on its end is the end. Who is told last lets the flight finish: each attempt and each starter
// holds it. A next attempt begins on a thread of the gateway's own (the relay), since events come
// from threads that carry other answers too; where it may have to wait, for the ledger or for a
// model that is not loaded, on one of a few others.
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/config.h"
#include "gateway/impl.h"
#include "gateway/prices.h"
#include "gateway/vendors.h"
#include "providers/remote.h"

bool flight_can_go_on(const struct error *err)
{
    switch (err->code) {
    case ERR_USAGE:
    case ERR_LIMIT:
    case ERR_CANCELLED:
    case ERR_RATE:
    case ERR_BUDGET: return err->code == ERR_RATE;
    default: return err->code != ERR_NONE;
    }
}

static void name_flight(struct gateway_answer *f)
{
    const struct caller *who = f->request.caller;
    if (who && who->request_id && who->n_parts)
        (void)snprintf(f->id, sizeof f->id, "%s.%d", who->request_id,
                       atomic_fetch_add(who->n_parts, 1) + 1);
    else if (who && who->request_id)
        (void)snprintf(f->id, sizeof f->id, "%s", who->request_id);
    else
        (void)snprintf(f->id, sizeof f->id, "own-%016llx-%llx", (unsigned long long)f->g->salt,
                       (unsigned long long)f->number);
}

static struct gateway_answer *flight_new(struct gateway *g, const struct chat_request *req,
                                         struct chat_sink sink)
{
    struct gateway_answer *f = memory_array(struct gateway_answer, 1);
    const struct caller *who = req->caller;
    f->g = g;
    f->routing = routing_hold(g);
    price_day_today(f->day);
    f->request = *req;
    f->sink = sink;
    f->begun_ns = clock_ns();
    f->usage.cost_picousd = -1;
    f->number = atomic_fetch_add(&g->next_id, 1) + 1;
    f->local_only =
        g->o.offline || (who && (who->local_only || (who->key && who->key->local_only)));
    name_flight(f);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    return f;
}

static void flight_free(struct gateway_answer *f)
{
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    arena_release(&f->arena);
    routing_drop(f->routing);
    free(f);
}

// The last hold of a flight that is over lets it finish: then it may be gone.
static void drop(struct gateway_answer *f)
{
    pthread_mutex_lock(&f->lock);
    bool last = --f->n_holds == 0 && f->over && !f->finished;
    f->finished = f->finished || last;
    struct chat_sink sink = f->sink;
    if (last)
        pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    if (last && sink.closed)
        sink.closed(sink.self);
}

bool flight_is_cancelled(struct gateway_answer *f)
{
    pthread_mutex_lock(&f->lock);
    bool yes = f->cancelled;
    pthread_mutex_unlock(&f->lock);
    return yes;
}

// What a vendor's word about Hearth's own key means to who asked Hearth.
static void blame(const struct candidate *c, struct error *why)
{
    char text[sizeof why->text];
    if (c->local)
        return;
    if (why->code == ERR_KEY || why->code == ERR_FORBIDDEN) {
        (void)snprintf(text, sizeof text, "%.60s does not accept the key it is asked with",
                       c->provider_name);
        (void)error_set(why, ERR_UPSTREAM, "%s", text);
    }
}

// Plans

static void candidate_facts(const struct gateway_answer *f, const struct candidate *c,
                            struct router_facts *out)
{
    struct gateway *g = f->g;
    struct model_info info;
    struct error ignored;
    struct provider *local = g->o.local;
    *out = (struct router_facts){.able = true, .price = account_guess(f, c)};
    if (c->local) {
        out->tools = out->schema = out->known = true;
        out->waiting = gateway_waiting(g);
        if (local->ops->ready(local, c->model, true) &&
            local->ops->describe(local, c->model, &info, &ignored))
            out->context = info.context;
        return;
    }
    const struct price *p = account_price(f, c);
    if (p) {
        out->context = p->context;
        out->max_output = p->max_output;
        out->known = p->knows_abilities;
        out->tools = p->tools;
        out->schema = p->schema;
        out->vision = p->vision;
    }
    if (c->missing.code || !c->vendor) {
        out->able = false;
        out->why = c->missing.text;
    } else if (out->price < 0 && account_has_budget(f->request.caller)) {
        out->able = false;
        out->why = "its price is not known, and this key has a budget";
    }
}

// Tokens of the prompt: exact where a local candidate that is loaded can count them and it matters.
static int64_t prompt_tokens(const struct gateway_answer *f, const struct router_facts *facts)
{
    struct provider *local = f->g->o.local;
    for (size_t i = 0; i < f->target.n; i++) {
        struct chat_request q = f->request;
        struct error ignored;
        int64_t n;
        bool exact;
        if (!f->target.candidates[i].local || !facts[i].context ||
            f->need.tokens_most < facts[i].context)
            continue;
        q.model = f->target.candidates[i].model;
        q.caller = NULL;
        if (q.n_prompts < 2 && q.input != INPUT_EMBED &&
            local->ops->count(local, &q, &n, &exact, &ignored) && exact)
            return n;
    }
    return f->need.tokens_guess;
}

static bool lacks_price(const struct gateway_answer *f, const struct router_facts *facts)
{
    bool any = false;
    for (size_t i = 0; i < f->target.n; i++)
        any =
            any || (!facts[i].able && facts[i].price < 0 && !f->target.candidates[i].missing.code);
    return any && account_has_budget(f->request.caller);
}

static bool plan_route(struct gateway_answer *f, struct error *err)
{
    const struct chat_request *q = &f->request;
    struct router_facts *facts = arena_new(&f->arena, struct router_facts, f->target.n);
    for (size_t i = 0; i < f->target.n; i++)
        candidate_facts(f, &f->target.candidates[i], &facts[i]);
    f->local_only = f->local_only || f->target.route->local_only;
    f->router_need = (struct router_need){
        .prompt_tokens = prompt_tokens(f, facts),
        .answer_tokens = q->max_tokens,
        .tools = f->need.tools,
        .schema = f->need.schema,
        .vision = f->need.vision,
        .embeddings = q->input == INPUT_EMBED,
        .tokens = q->input == INPUT_TOKENS || q->input == INPUT_TEXT,
        .logprobs = q->sampling.n_logprobs >= 0,
        .local_only = f->local_only,
        .session = q->session,
        .prefix = f->need.prefix,
        .seed = hash_mix(f->number ^ f->g->salt),
    };
    f->n_steps = router_plan(f->routing->router, f->target.route->name, &f->router_need, facts,
                             f->steps, err);
    if (!f->n_steps && lacks_price(f, facts))
        err->code = ERR_BUDGET;  // somebody could serve it, but for nobody knows how much
    return f->n_steps > 0;
}

static int busy(const struct provider *p)
{
    struct remote_load load;
    provider_remote_load(p, &load);
    return load.running + (load.resting ? 1 << 20 : 0);
}

// One candidate: its replicas, the least busy first.
static bool plan_direct(struct gateway_answer *f, struct error *err)
{
    const struct candidate *c = &f->target.candidates[0];
    f->n_steps = c->local ? 1 : c->vendor->n_replicas;
    for (size_t i = 0; i < f->n_steps; i++) {
        size_t k = i;
        for (; k > 0 &&
               busy(c->vendor->replicas[f->steps[k - 1].replica]) > busy(c->vendor->replicas[i]);
             k--)
            f->steps[k] = f->steps[k - 1];
        f->steps[k] = (struct router_step){.replica = i};
    }
    if (c->local)
        return true;
    if (f->local_only)
        return error_set(err, ERR_FORBIDDEN,
                         "'%.100s' is a vendor's, and this request may not leave", c->shown);
    return !account_has_budget(f->request.caller) || account_guess(f, c) >= 0 ||
           error_set(err, ERR_BUDGET,
                     "the price of '%.100s' is not known, and this key has a budget", c->shown);
}

static bool plan(struct gateway_answer *f, struct error *err)
{
    if (!gateway_target(f->g, f->routing, f->request.model, &f->arena, &f->target, &f->asked, err))
        return false;
    need_of(&f->request, &f->need);
    return f->target.route ? plan_route(f, err) : plan_direct(f, err);
}

// Attempts

// From step `at` on, until one has begun. False with err: of the last.
static bool begin(struct gateway_answer *f, struct error *err)
{
    for (;; f->at++) {
        if (attempt_begin(f, err))
            return true;
        blame(&f->target.candidates[f->steps[f->at].candidate], err);
        if (!flight_can_go_on(err) || f->at + 1 >= f->n_steps || flight_is_cancelled(f))
            return false;
    }
}

static void push(struct gateway_answer *f, struct attempt *a, const struct chat_event *e)
{
    if (a && a->redaction)
        redaction_event(a->redaction, e, &f->sink);
    else
        f->sink.push(f->sink.self, e);
}

static void push_end(struct gateway_answer *f, struct attempt *a, const struct error *why)
{
    struct chat_event usage = {.kind = CHAT_USAGE, .usage = f->usage};
    struct chat_event end = {.kind = why && why->code ? CHAT_ERROR : CHAT_DONE};
    if (why)
        end.error = *why;
    end.usage = f->usage;
    if (end.kind == CHAT_ERROR)
        end.usage.bytes_sent += f->bytes_before;
    if (f->has_usage)
        push(f, a, &usage);
    push(f, a, &end);
    pthread_mutex_lock(&f->lock);
    f->over = true;
    pthread_mutex_unlock(&f->lock);
}

// A vendor may be owed something for an answer of which nothing came.
static bool is_paid_for(const struct gateway_answer *f, const struct attempt *a)
{
    const struct chat_usage *u = &f->usage;
    return f->committed || u->completion_tokens > 0 ||
           (!a->candidate->local && u->prompt_tokens > 0);
}

static void end(struct gateway_answer *f, struct attempt *a, const struct error *failure)
{
    struct error why = failure ? *failure : (struct error){0};
    bool failed = why.code != ERR_NONE;
    attempt_over(a, &f->usage, failure);
    blame(a->candidate, &why);
    if (failed && !is_paid_for(f, a))
        account_drop(f);
    else
        account_close(f, a,
                      flight_is_cancelled(f) ? "cancelled"
                      : !failed              ? "done"
                      : f->committed         ? "cut"
                                             : "failed");
    push_end(f, a, &why);
}

static bool can_fall_back(struct gateway_answer *f, const struct error *why)
{
    bool late = f->request.deadline_ns && clock_ns() >= f->request.deadline_ns;
    return !f->committed && !late && flight_can_go_on(why) && f->at + 1 < f->n_steps &&
           !flight_is_cancelled(f);
}

static void fall_back(struct gateway_answer *f, struct attempt *a, const struct error *why)
{
    a->failed_over = true;
    f->failure = *why;
    blame(a->candidate, &f->failure);
    attempt_over(a, &f->usage, why);
    if (is_paid_for(f, a))
        account_part(f, a);
    f->bytes_before += f->usage.bytes_sent;
    f->usage = (struct chat_usage){.cost_picousd = -1};
    f->has_usage = false;
}

void flight_event(struct gateway_answer *f, struct attempt *a, const struct chat_event *e)
{
    switch (e->kind) {
    case CHAT_USAGE:
        f->usage = e->usage;
        f->has_usage = true;
        return;
    case CHAT_DONE: end(f, a, NULL); return;
    case CHAT_ERROR:
        if (!f->has_usage)
            f->usage = e->usage;
        if (can_fall_back(f, &e->error))
            fall_back(f, a, &e->error);
        else
            end(f, a, &e->error);
        return;
    case CHAT_PROMPT:
    case CHAT_PROGRESS: break;
    default:
        if (!f->committed)
            f->first_ns = clock_ns();
        f->committed = true;
    }
    push(f, a, e);
}

// Where no attempt is left that could tell it.
static void fail(struct gateway_answer *f, const struct error *why)
{
    account_drop(f);
    push_end(f, NULL, why);
}

void flight_closed(struct gateway_answer *f, bool failed_over)
{
    struct error why = {0};
    if (failed_over && flight_is_cancelled(f))
        (void)error_set(&why, ERR_CANCELLED, "the answer was cancelled");
    else if (failed_over && !queue_try_put(&f->g->relays, f))
        why = f->failure;
    else if (failed_over)
        return;  // the relay has this hold now
    if (failed_over)
        fail(f, &why);
    drop(f);
}

static void go_on(struct gateway_answer *f)
{
    struct error err = {0};
    if (flight_is_cancelled(f))
        (void)error_set(&err, ERR_CANCELLED, "the answer was cancelled");
    else if (!account_reopen(f, &err))
        err = f->failure;
    if (!err.code && !begin(f, &err) && !flight_is_cancelled(f))
        err = f->failure;  // nobody else was asked: what a vendor said is the answer
    if (err.code)
        fail(f, &err);
    drop(f);
}

// Whether one of those that are left would have to be loaded first.
static bool may_load(const struct gateway_answer *f)
{
    struct provider *local = f->g->o.local;
    for (size_t i = f->at; i < f->n_steps; i++) {
        const struct candidate *c = &f->target.candidates[f->steps[i].candidate];
        if (c->local && !local->ops->ready(local, c->model, true))
            return true;
    }
    return false;
}

// What may take long is left to others, so that one's wait is nobody else's.
static void relay(struct gateway_answer *f)
{
    f->at++;
    bool now = flight_is_cancelled(f) || (!may_load(f) && account_reopen_now(f));
    if (now || !queue_try_put(&f->g->patient, f))
        go_on(f);
}

static void *take_all(struct queue *flights, void (*each)(struct gateway_answer *f))
{
    struct gateway_answer *f;
    while ((f = queue_take(flights)))
        each(f);
    return NULL;
}

void *flight_relay_main(void *self)
{
    return take_all(&((struct gateway *)self)->relays, relay);
}

void *flight_patient_main(void *self)
{
    return take_all(&((struct gateway *)self)->patient, go_on);
}

struct gateway_answer *gateway_start(struct gateway *g, const struct chat_request *req,
                                     struct chat_sink sink, struct error *err)
{
    struct error why = {0};
    struct gateway_answer *f = flight_new(g, req, sink);
    f->n_holds = 1;  // the starter's
    bool ok = plan(f, &why) && account_open(f, &why);
    if (ok && !begin(f, &why)) {
        account_drop(f);
        ok = false;
    }
    if (!ok) {
        flight_free(f);
        if (err)
            *err = why;
        return NULL;
    }
    drop(f);
    return f;
}

void gateway_wait(struct gateway_answer *f)
{
    pthread_mutex_lock(&f->lock);
    while (!f->finished)
        pthread_cond_wait(&f->changed, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

void gateway_cancel(struct gateway_answer *f)
{
    pthread_mutex_lock(&f->lock);
    f->cancelled = true;
    if (f->now)
        attempt_cancel(f->now);
    pthread_mutex_unlock(&f->lock);
}

void gateway_resume(struct gateway_answer *f)
{
    pthread_mutex_lock(&f->lock);
    if (f->now)
        attempt_resume(f->now);
    pthread_mutex_unlock(&f->lock);
}

void gateway_answer_free(struct gateway_answer *f)
{
    if (!f)
        return;
    pthread_mutex_lock(&f->lock);
    bool finished = f->finished;
    pthread_mutex_unlock(&f->lock);
    if (!finished) {
        gateway_cancel(f);
        gateway_wait(f);
    }
    flight_free(f);
}
