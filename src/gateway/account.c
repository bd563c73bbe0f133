// account.c - what a request may cost, and did: reservation, limits, settlement.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "gateway/impl.h"
#include "gateway/prices.h"

enum {
    ANSWER_TOKENS_GUESS = 256,  // where nobody said how many
    ANSWER_TOKENS_MAX = 4096,  // what is asked for where a budget needs a bound and nothing has one
};

bool account_has_budget(const struct caller *who)
{
    const struct ledger_key *k = who ? who->key : NULL;
    return k && (k->budget_day >= 0 || k->budget_month >= 0 || k->budget_total >= 0);
}

// Of the table and the day with which the request began: what was promised by them is kept.
const struct price *account_price(const struct gateway_answer *f, const struct candidate *c)
{
    const struct prices *all = f->routing->prices;
    const struct price *p =
        all && c->model ? prices_find(all, c->provider_name, c->model, f->day) : NULL;
    return all && !p && c->local ? prices_local(all, c->shown) : p;
}

static int64_t n_choices(const struct chat_request *req)
{
    int64_t n = req->sampling.n_choices > 1 ? req->sampling.n_choices : 1;
    return req->n_prompts > 1 ? n * (int64_t)req->n_prompts : n;
}

int64_t account_guess(const struct gateway_answer *f, const struct candidate *c)
{
    const struct price *p = account_price(f, c);
    const struct chat_request *req = &f->request;
    int64_t answer = req->max_tokens >= 0 ? req->max_tokens : ANSWER_TOKENS_GUESS;
    if (!p)
        return c->local ? 0 : -1;
    return price_guess(p, f->need.tokens_guess, answer * n_choices(req));
}

// The most that a step could cost; 0 without a price: those are not in the plan where it matters.
// What is asked for gets a bound, if nobody gave it one.
static int64_t bound_of(struct gateway_answer *f, struct router_step step)
{
    const struct price *p = account_price(f, &f->target.candidates[step.candidate]);
    if (!p)
        return 0;
    if (f->request.max_tokens < 0 && f->request.input != INPUT_EMBED)
        f->request.max_tokens = p->max_output > 0 && p->max_output < ANSWER_TOKENS_MAX
                                    ? p->max_output
                                    : ANSWER_TOKENS_MAX;
    int64_t answer = f->request.max_tokens > 0 ? f->request.max_tokens : 0;
    return price_bound(p, f->need.tokens_most, answer, n_choices(&f->request));
}

// The most that any candidate which is left could cost.
static int64_t bound(struct gateway_answer *f)
{
    int64_t most = 0;
    for (size_t i = f->at; i < f->n_steps; i++) {
        int64_t cost = bound_of(f, f->steps[i]);
        most = cost > most ? cost : most;
    }
    return most;
}

// Leaves out who could cost as much as this. False if then nobody would be left.
static bool leave_out(struct gateway_answer *f, int64_t cost)
{
    struct router_step kept[ROUTER_STEPS_MAX];
    size_t n = 0;
    for (size_t i = f->at; i < f->n_steps; i++)
        if (bound_of(f, f->steps[i]) < cost)
            kept[n++] = f->steps[i];
    if (n == 0)
        return false;
    memcpy(f->steps + f->at, kept, n * sizeof *kept);
    f->n_steps = f->at + n;
    return true;
}

static bool take_limits(struct gateway_answer *f, struct error *err)
{
    const struct caller *who = f->request.caller;
    int64_t answer =
        f->request.max_tokens >= 0 ? f->request.max_tokens : (int64_t)ANSWER_TOKENS_GUESS;
    if (!who)
        return true;
    return limits_take(f->g->limits, who->key,
                       f->need.tokens_guess + answer * n_choices(&f->request), clock_ns(),
                       &f->limits, who->told ? &who->told->limits : NULL, err);
}

static void give_limits(struct gateway_answer *f, int64_t used)
{
    if (f->limits.open)
        limits_give(f->g->limits, f->request.caller->key, &f->limits, used, clock_ns());
}

// What the dearest could cost; while the budget cannot afford that, without the dearest.
static bool reserve(struct gateway_answer *f, struct error *err)
{
    const struct caller *who = f->request.caller;
    struct ledger *l = f->g->o.ledger;
    int asked = f->request.max_tokens;
    if (!account_has_budget(who))
        return ledger_reserve(l, who ? who->key : NULL, 0, &f->hold, err);
    for (;;) {
        int64_t most = bound(f);
        if (ledger_reserve(l, who->key, most, &f->hold, err))
            return true;
        if (err->code != ERR_BUDGET || !leave_out(f, most))
            return false;
        f->request.max_tokens = asked;
    }
}

bool account_open(struct gateway_answer *f, struct error *err)
{
    if (!take_limits(f, err))
        return false;
    if (!f->g->o.ledger)
        return true;
    if (reserve(f, err))
        return true;
    give_limits(f, 0);
    return false;
}

bool account_reopen(struct gateway_answer *f, struct error *err)
{
    return !f->g->o.ledger || f->hold.open || reserve(f, err);
}

bool account_reopen_now(struct gateway_answer *f)
{
    const struct caller *who = f->request.caller;
    int asked = f->request.max_tokens;
    if (!f->g->o.ledger || f->hold.open)
        return true;
    int64_t most = account_has_budget(who) ? bound(f) : 0;
    if (ledger_reserve_now(f->g->o.ledger, who ? who->key : NULL, most, &f->hold))
        return true;
    f->request.max_tokens = asked;
    return false;
}

void account_drop(struct gateway_answer *f)
{
    give_limits(f, f->tokens_before);
    f->usage.cost_picousd = 0;
    if (f->g->o.ledger && f->hold.open)
        ledger_cancel(f->g->o.ledger, &f->hold);
}

static void fill(const struct gateway_answer *f, const struct attempt *a, const char *outcome,
                 struct ledger_usage *u)
{
    const struct chat_usage *c = &f->usage;
    int64_t now = clock_ns();
    *u = (struct ledger_usage){
        .at_s = (int64_t)time(NULL),
        .prompt_tokens = c->prompt_tokens,
        .cached_tokens = c->cached_tokens,
        .cache_write_tokens = c->cache_write_5m_tokens + c->cache_write_1h_tokens,
        .completion_tokens = c->completion_tokens,
        .reasoning_tokens = c->reasoning_tokens,
        .cost = c->cost_picousd,
        .bytes_sent = c->bytes_sent,
        .bytes_received = c->bytes_received,
        .first_ms = f->first_ns ? (f->first_ns - f->begun_ns) / 1000000 : -1,
        .total_ms = (now - f->begun_ns) / 1000000,
        .estimated = c->estimated,
    };
    (void)snprintf(u->request_id, sizeof u->request_id, "%s", f->id);
    (void)snprintf(u->model, sizeof u->model, "%s", f->asked);
    (void)snprintf(u->provider, sizeof u->provider, "%s", a->candidate->provider_name);
    (void)snprintf(u->served, sizeof u->served, "%s", a->candidate->shown);
    (void)snprintf(u->outcome, sizeof u->outcome, "%s", outcome);
}

static int64_t cost_of(struct gateway_answer *f, const struct attempt *a)
{
    const struct price *p = account_price(f, a->candidate);
    f->usage.estimated |= p && !price_tells(p, &f->usage);
    return p ? price_of(p, &f->usage) : a->candidate->local ? 0 : -1;
}

// Each row has an id of its own, and the last the request's.
void account_part(struct gateway_answer *f, const struct attempt *a)
{
    enum { MARK_BYTES = 8 };
    struct ledger_usage u;
    f->usage.cost_picousd = cost_of(f, a);
    f->tokens_before += f->usage.prompt_tokens + f->usage.completion_tokens;
    if (!f->g->o.ledger || !f->hold.open)
        return;
    fill(f, a, "failed", &u);
    (void)snprintf(u.request_id, sizeof u.request_id, "%.*s/%zu",
                   (int)sizeof u.request_id - MARK_BYTES, f->id, f->at + 1);
    ledger_settle(f->g->o.ledger, &f->hold, &u);
}

void account_close(struct gateway_answer *f, const struct attempt *a, const char *outcome)
{
    struct ledger_usage u;
    f->usage.cost_picousd = cost_of(f, a);
    give_limits(f, f->tokens_before + f->usage.prompt_tokens + f->usage.completion_tokens);
    if (!f->g->o.ledger || !f->hold.open)
        return;
    fill(f, a, outcome, &u);
    ledger_settle(f->g->o.ledger, &f->hold, &u);
}
