// limits.h - requests and tokens a minute, and requests at once, for each key; in memory.
//
// Buckets that refill steadily: a key may use a minute's worth at once, then as it refills. So in
// any minute it uses at most twice its bound, and over a long time its bound. Tokens are taken by
// their bound before, and given back as far as they were not used after, less what the bucket would
// have been too full to hold by then. What was used beyond is owed. A key that is idle takes no
// memory. Pure but for the clock that is handed in, which should not jump back. Threads: any.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct error;
struct ledger_key;
struct limits;

struct limits_state {  // for the headers of an answer; -1: no bound
    int64_t requests_limit, requests_left, requests_reset_ms;
    int64_t tokens_limit, tokens_left, tokens_reset_ms;
};
struct limits_hold {  // of one request
    bool open;
    int64_t tokens;
    uint64_t mark;
};
struct limits *limits_new(void);
void limits_free(struct limits *l);  // NULL is fine
// Takes a request with so many tokens at most; `hold` is given back once, if this was true. False
// with err: ERR_RATE, with retry_after_s. A request that needs more tokens than a minute has is
// ERR_LIMIT: it never fits. `state` (may be NULL) is filled either way, also for a key without
// bounds or none (NULL).
bool limits_take(struct limits *l, const struct ledger_key *key, int64_t tokens, int64_t now_ns,
                 struct limits_hold *hold, struct limits_state *state, struct error *err);
// The request has ended, with so many tokens instead of those taken.
void limits_give(struct limits *l, const struct ledger_key *key, struct limits_hold *hold,
                 int64_t used, int64_t now_ns);
// Keys that take memory now.
int64_t limits_keys(struct limits *l);
