// ledger_calls.h - short forms of what tests do with a ledger.
#pragma once
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "ledger/ledger_impl.h"

// A key with these budgets (-1: none).
static inline struct ledger_key make_key(struct ledger *l, int64_t day, int64_t month,
                                         int64_t total)
{
    struct ledger_key key,
        in = {.name = "test", .budget_day = day, .budget_month = month, .budget_total = total};
    char secret[LEDGER_SECRET_BYTES];
    struct error err = {0};
    if (!ledger_key_create(l, &in, secret, &key, &err)) {
        (void)fprintf(stderr, "%s\n", err.text);
        abort();
    }
    return key;
}

static inline struct ledger_usage usage_of(const char *id, int64_t at_s, int64_t cost)
{
    struct ledger_usage u = {.model = "assistant",
                             .provider = "openai",
                             .served = "gpt",
                             .at_s = at_s,
                             .prompt_tokens = 10,
                             .cached_tokens = 4,
                             .completion_tokens = 5,
                             .cost = cost,
                             .bytes_sent = 100,
                             .first_ms = 1,
                             .total_ms = 2,
                             .outcome = "done"};
    (void)snprintf(u.request_id, sizeof u.request_id, "%s", id);
    return u;
}

static inline void settle(struct ledger *l, struct ledger_hold *hold, const char *id, int64_t cost)
{
    struct ledger_usage u = usage_of(id, hold->at_s, cost);
    ledger_settle(l, hold, &u);
}

// Reserves and settles at once; false with err where it is refused.
static inline bool spend(struct ledger *l, const struct ledger_key *key, const char *id,
                         int64_t held, int64_t cost, struct error *err)
{
    struct ledger_hold hold;
    if (!ledger_reserve(l, key, held, &hold, err))
        return false;
    settle(l, &hold, id, cost);
    return true;
}

static inline struct ledger_spent spent_of(struct ledger *l, const struct ledger_key *key)
{
    struct ledger_spent s;
    struct error err = {0};
    if (!ledger_flush(l, 60, &err) || !ledger_spent(l, key->id, &s, &err)) {
        (void)fprintf(stderr, "%s\n", err.text);
        abort();
    }
    return s;
}
