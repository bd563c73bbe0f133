// attempt.c - one candidate is asked: redacted, logged, begun; its events go to the flight.
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/config.h"
#include "gateway/egress.h"
#include "gateway/impl.h"
#include "gateway/several.h"
#include "gateway/vendors.h"

static const char *key_id(const struct gateway_answer *f)
{
    const struct caller *who = f->request.caller;
    return who && who->key ? who->key->id : NULL;
}

static struct egress_line egress_line(const struct attempt *a, const char *outcome)
{
    const struct gateway_answer *f = a->flight;
    return (struct egress_line){.request_id = f->id,
                                .key_id = key_id(f),
                                .model = f->asked,
                                .provider = a->candidate->provider_name,
                                .host = a->candidate->vendor->hosts[a->step.replica],
                                .outcome = outcome,
                                .redacted = (int)redaction_n(a->redaction)};
}

static void log_end(const struct attempt *a, const struct chat_usage *usage, const char *outcome)
{
    struct egress *log = a->flight->routing->egress;
    if (!log || a->candidate->local)
        return;
    struct egress_line line = egress_line(a, outcome);
    line.bytes_sent = usage->bytes_sent;
    line.bytes_received = usage->bytes_received;
    egress_end(log, &line);
}

static struct attempt *attempt_new(struct gateway_answer *f)
{
    struct attempt *a = memory_array(struct attempt, 1);
    a->flight = f;
    a->step = f->steps[f->at];
    a->candidate = &f->target.candidates[a->step.candidate];
    a->provider = a->candidate->local    ? f->g->o.local
                  : a->candidate->vendor ? a->candidate->vendor->replicas[a->step.replica]
                                         : NULL;
    a->request = f->request;
    a->request.caller = NULL;
    if (account_has_budget(f->request.caller))
        a->request.body = NULL;  // what nobody here knows may cost what nobody reserved
    a->request.model = a->candidate->model;
    atomic_init(&a->n_holds, 2);  // the starter's, its events'
    return a;
}

static void attempt_free(struct attempt *a)
{
    redaction_free(a->redaction);
    arena_release(&a->arena);
    free(a);
}

// Takes one hold away; the last frees it, and what it asked.
static void let_go(struct attempt *a)
{
    if (atomic_fetch_sub(&a->n_holds, 1) == 1)
        attempt_free(a);
}

// Nothing leaves before this is done.
static bool prepare(struct attempt *a, struct error *err)
{
    struct gateway_answer *f = a->flight;
    struct gateway *g = f->g;
    if (a->candidate->local)
        return true;
    if (!a->provider) {
        *err = a->candidate->missing;
        return false;
    }
    if (f->local_only || g->o.offline)
        return error_set(err, ERR_FORBIDDEN, "%s is a vendor's, and nothing of this may leave",
                         a->candidate->shown);
    if (f->routing->rules && (!f->target.route || f->target.route->redact) &&
        !redaction_begin(f->routing->rules, &a->request, &a->arena, &a->request, &a->redaction,
                         err))
        return false;
    struct egress_line line = egress_line(a, "begun");
    return !f->routing->egress || egress_begin(f->routing->egress, &line, err);
}

static void push(void *self, const struct chat_event *e)
{
    struct attempt *a = self;
    if (!a->first_ns && e->kind != CHAT_PROMPT && e->kind != CHAT_PROMPT_TOKENS &&
        e->kind != CHAT_PROGRESS && e->kind != CHAT_ERROR && e->kind != CHAT_DONE &&
        e->kind != CHAT_USAGE)
        a->first_ns = clock_ns();
    flight_event(a->flight, a, e);
}

static bool full(void *self)
{
    const struct chat_sink *to = &((struct attempt *)self)->flight->sink;
    return to->full && to->full(to->self);
}

static void free_answer(struct attempt *a, struct answer *answer, struct several *several)
{
    if (answer)
        a->provider->ops->answer_free(answer);
    several_free(several);
}

static void closed(void *self)
{
    struct attempt *a = self;
    struct gateway_answer *f = a->flight;
    pthread_mutex_lock(&f->lock);
    a->closed = true;
    struct answer *answer = a->answer;
    struct several *several = a->several;
    a->answer = NULL;
    a->several = NULL;
    if (f->now == a)
        f->now = NULL;
    pthread_mutex_unlock(&f->lock);
    free_answer(a, answer, several);
    bool failed_over = a->failed_over;
    let_go(a);
    flight_closed(f, failed_over);
}

void attempt_cancel(struct attempt *a)
{
    if (a->answer)
        a->provider->ops->cancel(a->answer);
    if (a->several)
        several_cancel(a->several);
}

void attempt_resume(struct attempt *a)
{
    if (a->answer)
        a->provider->ops->resume(a->answer);
    if (a->several)
        several_resume(a->several);
}

// Keys that agreed to it share their prompts' pages, all others have their own; requests without a
// key are of one user.
static struct provider_flow flow_of(const struct gateway_answer *f)
{
    const struct caller *who = f->request.caller;
    const struct ledger_key *key = who ? who->key : NULL;
    uint64_t account = key ? key->number : 0;
    return (struct provider_flow){.share_salt =
                                      key && key->share_prefixes ? UINT64_MAX : account + 1,
                                  .id = account ? account : (UINT64_C(1) << 63) + f->number,
                                  .weight = key ? key->weight : 1,
                                  .priority = key ? key->priority : 0,
                                  .deadline_ns = f->request.deadline_ns};
}

// What began, or not: what was asked of it meanwhile is made up for.
static void take(struct attempt *a, struct answer *answer, struct several *several)
{
    struct gateway_answer *f = a->flight;
    pthread_mutex_lock(&f->lock);
    bool late = a->closed;
    if (!late) {
        a->answer = answer;
        a->several = several;
        if (f->cancelled)
            attempt_cancel(a);
        else
            attempt_resume(a);
    }
    pthread_mutex_unlock(&f->lock);
    if (late)
        free_answer(a, answer, several);
}

bool attempt_begin(struct gateway_answer *f, struct error *err)
{
    struct attempt *a = attempt_new(f);
    struct chat_sink sink = {push, a, full, closed};
    struct answer *answer = NULL;
    struct several *several = NULL;
    if (!prepare(a, err)) {
        attempt_free(a);
        return false;
    }
    pthread_mutex_lock(&f->lock);
    f->now = a;
    f->n_holds++;  // until the attempt is closed
    pthread_mutex_unlock(&f->lock);
    a->begun_ns = clock_ns();
    if (f->target.route)
        router_began(f->routing->router, f->target.route->name, a->step, &f->router_need);
    if (f->request.caller && f->request.caller->told)
        (void)snprintf(f->request.caller->told->served, sizeof f->request.caller->told->served,
                       "%s", a->candidate->shown);
    if (a->request.n_prompts > 1)
        several = several_start(a->provider, &a->request, flow_of(f), sink, err);
    else
        answer = a->provider->ops->start(a->provider, &a->request, flow_of(f), sink, err);
    if (answer || several) {
        take(a, answer, several);
        let_go(a);
        return true;
    }
    a->refused = true;
    attempt_over(a, &(struct chat_usage){0}, err);
    pthread_mutex_lock(&f->lock);
    f->now = NULL;
    f->n_holds--;
    pthread_mutex_unlock(&f->lock);
    attempt_free(a);
    return false;
}

// Whether it says something about whoever serves: no connection, limits of time, what is no answer,
// 5xx, a key that is refused. Not what one request caused (400, 404, 409, 413, 422), or one account
// (429): others are served all the same.
static bool is_its_fault(const struct error *err)
{
    switch (err->code) {
    case ERR_NONE:
    case ERR_USAGE:
    case ERR_UNSUPPORTED:
    case ERR_CONTEXT:
    case ERR_NOT_FOUND:
    case ERR_LIMIT:
    case ERR_RATE:
    case ERR_BUDGET:
    case ERR_CANCELLED:
    case ERR_TIMEOUT: return false;  // the request's own deadline
    case ERR_KEY:
    case ERR_FORBIDDEN: return true;
    default:
        return !err->status || err->status >= 500 || err->status == 401 || err->status == 402 ||
               err->status == 403 || err->status == 408;
    }
}

// Never a vendor's own words: they may repeat what it was asked.
static const char *words_of(enum error_code code)
{
    switch (code) {
    case ERR_KEY:
    case ERR_FORBIDDEN: return "it refused the key";
    case ERR_RATE: return "it was asked too often";
    case ERR_BUSY: return "it has too much to do";
    case ERR_CONTEXT: return "its context is too small";
    case ERR_NOT_FOUND: return "it does not know the model";
    case ERR_UNSUPPORTED: return "it cannot do what was asked";
    case ERR_USAGE:
    case ERR_LIMIT: return "it refused the request";
    case ERR_CANCELLED: return "it was cancelled";
    case ERR_TIMEOUT: return "the request's time was over";
    case ERR_UPSTREAM:
    case ERR_FORMAT: return "it failed, or gave no answer";
    default: return "it failed";
    }
}

static void log_failure(const struct attempt *a, const struct error *why)
{
    if (why->status)
        log_info("%s: %s (status %d)", a->candidate->shown, words_of(why->code), why->status);
    else
        log_info("%s: %s", a->candidate->shown, words_of(why->code));
}

void attempt_over(struct attempt *a, const struct chat_usage *usage, const struct error *failure)
{
    struct gateway_answer *f = a->flight;
    bool failed = failure && failure->code;
    log_end(a, usage, flight_is_cancelled(f) ? "cancelled" : failed ? "failed" : "done");
    if (failed && f->n_steps > 1)
        log_failure(a, failure);
    if (!f->target.route)
        return;
    int64_t now = clock_ns();
    // Who was not asked did not fail: a vendor that rests already, or a full queue.
    struct router_outcome o = {.answered = a->first_ns != 0,
                               .failed = failed && !a->refused && is_its_fault(failure),
                               .first_ns = a->first_ns ? a->first_ns - a->begun_ns : -1,
                               .total_ns = now - a->begun_ns,
                               .tokens = usage->completion_tokens};
    router_ended(f->routing->router, f->target.route->name, a->step, &o);
}
