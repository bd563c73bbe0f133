// limits.c - a bucket of requests and one of tokens for each key that is not idle.
//
// A bucket counts in 60,000ths, so that a millisecond adds exactly its rate. `held` is what open
// requests may still give back: with what is there it is never more than a minute's worth, so
// giving back cannot make a bucket fuller than it would be had they taken only what they used.
// While the bucket is full in that sense, what refills it is taken off the holds (`lost`).
#include "gateway/limits.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "ledger/ledger.h"

#define RATE_MAX INT64_C(1000000000000)  // a minute; what is above counts as this
#define OWED_MAX (INT64_MAX / 4)
enum { UNITS = 60000, KEYS_FIRST = 64 };

struct bucket {
    int64_t rate;   // a minute; 0: no bound
    int64_t level;  // negative: owed
    int64_t held;
    uint64_t lost;  // of holds, in all; only differences count
    int64_t at_ms;
};
struct account {
    uint64_t number;
    struct bucket requests, tokens;
    int64_t n_open;
    struct account *next;
};
struct limits {
    pthread_mutex_t lock;
    struct account **heads;  // by a hash of their number
    size_t n_heads, n, sweep_at;
};

struct limits *limits_new(void)
{
    struct limits *l = memory_array(struct limits, 1);
    pthread_mutex_init(&l->lock, NULL);
    l->n_heads = l->sweep_at = KEYS_FIRST;
    l->heads = memory_array(struct account *, l->n_heads);
    return l;
}

void limits_free(struct limits *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n_heads; i++)
        for (struct account *a = l->heads[i], *next; a; a = next) {
            next = a->next;
            free(a);
        }
    free(l->heads);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

// Buckets

static int64_t bounded(int64_t n)
{
    return n < 0 ? 0 : n > RATE_MAX ? RATE_MAX : n;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void bucket_fill(struct bucket *b, int64_t rate, int64_t now_ms)
{
    int64_t most = rate * UNITS, elapsed = now_ms - b->at_ms;
    if (b->rate != rate) {  // new, or its bound was changed
        b->level = b->rate ? least(b->level, most) : most;
        b->rate = rate;
    }
    if (elapsed <= 0 || !rate)
        return;
    b->at_ms = now_ms;
    int64_t room = most - b->level;
    b->level += elapsed > room / rate ? room : elapsed * rate;
    int64_t over = least(b->level + b->held - most, b->held);
    if (over > 0) {
        b->held -= over;
        b->lost += (uint64_t)over;
    }
}

// Milliseconds until there is so much.
static int64_t bucket_wait(const struct bucket *b, int64_t level)
{
    return level > b->level ? (level - b->level + b->rate - 1) / b->rate : 0;
}

static bool bucket_is_full(const struct bucket *b)
{
    return !b->rate || b->level >= b->rate * UNITS;
}

static void bucket_tell(const struct bucket *b, int64_t *limit, int64_t *left, int64_t *reset_ms)
{
    *limit = *left = *reset_ms = -1;
    if (!b->rate)
        return;
    *limit = b->rate;
    *left = b->level > 0 ? b->level / UNITS : 0;
    *reset_ms = bucket_wait(b, b->rate * UNITS);
}

// Accounts

static struct account **place_of(const struct limits *l, uint64_t number)
{
    struct account **at = &l->heads[hash_mix(number) & (l->n_heads - 1)];
    while (*at && (*at)->number != number)
        at = &(*at)->next;
    return at;
}

static void account_fill(struct account *a, int64_t requests, int64_t tokens, int64_t now_ms)
{
    bucket_fill(&a->requests, bounded(requests), now_ms);
    bucket_fill(&a->tokens, bounded(tokens), now_ms);
}

// Forgets who has no open request and full buckets: they begin anew as they would go on.
static void sweep(struct limits *l, int64_t now_ms)
{
    for (size_t i = 0; i < l->n_heads; i++) {
        for (struct account **at = &l->heads[i], *a; (a = *at) != NULL;) {
            account_fill(a, a->requests.rate, a->tokens.rate, now_ms);
            if (a->n_open || !bucket_is_full(&a->requests) || !bucket_is_full(&a->tokens)) {
                at = &a->next;
                continue;
            }
            *at = a->next;
            free(a);
            l->n--;
        }
    }
    l->sweep_at = l->n < KEYS_FIRST / 2 ? KEYS_FIRST : 2 * l->n;
}

static void grow(struct limits *l)
{
    struct account **old = l->heads;
    size_t n_old = l->n_heads;
    l->n_heads *= 2;
    l->heads = memory_array(struct account *, l->n_heads);
    for (size_t i = 0; i < n_old; i++)
        for (struct account *a = old[i], *next; a; a = next) {
            next = a->next;
            struct account **at = place_of(l, a->number);
            a->next = NULL;
            *at = a;
        }
    free(old);
}

static struct account *account_of(struct limits *l, uint64_t number, int64_t now_ms)
{
    struct account *known = *place_of(l, number);
    if (known)
        return known;
    if (l->n >= l->sweep_at)
        sweep(l, now_ms);
    if (l->n >= l->n_heads)
        grow(l);
    struct account *a = memory_array(struct account, 1);
    a->number = number;
    a->requests.at_ms = a->tokens.at_ms = now_ms;
    *place_of(l, number) = a;
    l->n++;
    return a;
}

static bool refuse(struct error *err, int64_t wait_ms, const char *what, int64_t limit)
{
    (void)error_set(err, ERR_RATE, "this key may use %" PRId64 " %s a minute, which are used up",
                    limit, what);
    if (err)
        err->retry_after_s = (int)least((wait_ms + 999) / 1000, INT32_MAX);
    return false;
}

static bool may_take(const struct account *a, const struct ledger_key *key, int64_t tokens,
                     struct error *err)
{
    const struct bucket *r = &a->requests, *t = &a->tokens;
    if (t->rate && tokens > t->rate)
        return error_set(err, ERR_LIMIT,
                         "the request may take %" PRId64 " tokens (prompt and answer), more than "
                         "the %" PRId64 " that this key may use a minute",
                         tokens, t->rate);
    if (key->concurrency > 0 && a->n_open >= key->concurrency) {
        (void)error_set(err, ERR_RATE, "this key has %" PRId64 " open requests, as many as it may",
                        a->n_open);
        if (err)
            err->retry_after_s = 1;
        return false;
    }
    if (r->rate && r->level < UNITS)
        return refuse(err, bucket_wait(r, UNITS), "requests", r->rate);
    if (t->rate && t->level < tokens * UNITS)
        return refuse(err, bucket_wait(t, tokens * UNITS), "tokens", t->rate);
    return true;
}

static void take(struct account *a, int64_t tokens, struct limits_hold *hold)
{
    *hold = (struct limits_hold){.open = true, .tokens = tokens, .mark = a->tokens.lost};
    a->n_open++;
    if (a->requests.rate)
        a->requests.level -= UNITS;
    if (a->tokens.rate) {
        a->tokens.level -= tokens * UNITS;
        a->tokens.held += tokens * UNITS;
    }
}

static bool has_bounds(const struct ledger_key *key)
{
    return key &&
           (key->requests_per_minute > 0 || key->tokens_per_minute > 0 || key->concurrency > 0);
}

bool limits_take(struct limits *l, const struct ledger_key *key, int64_t tokens, int64_t now_ns,
                 struct limits_hold *hold, struct limits_state *state, struct error *err)
{
    struct limits_state ignored = {0};
    *hold = (struct limits_hold){0};
    state = state ? state : &ignored;
    *state = (struct limits_state){-1, -1, -1, -1, -1, -1};
    if (!has_bounds(key))
        return true;
    tokens = tokens < 0 ? 0 : least(tokens, 2 * RATE_MAX);
    pthread_mutex_lock(&l->lock);
    int64_t now_ms = now_ns / 1000000;
    struct account *a = account_of(l, key->number, now_ms);
    account_fill(a, key->requests_per_minute, key->tokens_per_minute, now_ms);
    bool ok = may_take(a, key, tokens, err);
    if (ok)
        take(a, tokens, hold);
    bucket_tell(&a->requests, &state->requests_limit, &state->requests_left,
                &state->requests_reset_ms);
    bucket_tell(&a->tokens, &state->tokens_limit, &state->tokens_left, &state->tokens_reset_ms);
    pthread_mutex_unlock(&l->lock);
    return ok;
}

static void give_tokens(struct bucket *b, const struct limits_hold *hold, int64_t used)
{
    uint64_t lost = b->lost - hold->mark;
    int64_t taken = hold->tokens * UNITS, spent = bounded(used) * UNITS;
    int64_t may = lost < (uint64_t)taken ? taken - (int64_t)lost : 0;
    b->level += least(taken - spent, may);  // or less, when more was used
    if (b->level < -OWED_MAX)
        b->level = -OWED_MAX;
    b->held -= least(b->held, may);
}

void limits_give(struct limits *l, const struct ledger_key *key, struct limits_hold *hold,
                 int64_t used, int64_t now_ns)
{
    if (!hold->open)
        return;
    pthread_mutex_lock(&l->lock);
    struct account *a = *place_of(l, key->number);
    assert(a && a->n_open > 0);
    account_fill(a, a->requests.rate, a->tokens.rate, now_ns / 1000000);
    if (a->tokens.rate)
        give_tokens(&a->tokens, hold, used);
    a->n_open--;
    if (!a->n_open)
        a->tokens.held = 0;
    pthread_mutex_unlock(&l->lock);
    hold->open = false;
}

int64_t limits_keys(struct limits *l)
{
    pthread_mutex_lock(&l->lock);
    int64_t n = (int64_t)l->n;
    pthread_mutex_unlock(&l->lock);
    return n;
}
