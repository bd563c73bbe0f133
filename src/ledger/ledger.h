// ledger.h - accounts and money: keys, budgets, usage; in SQLite or PostgreSQL.
//
// The ledger knows no models and no prices: it is given a reservation (an upper bound) before a
// request runs and a settlement (what it was) after it, exactly once for each request id. Money is
// int64 pico-dollars (1e-12 USD). Rows of usage are append-only.
// A process leases slices of a key's budget from the database, in a transaction, and reserves
// from its slice in memory, so that most reservations wait for no database, and several processes
// never spend over a budget together: spent + leased <= budget, always. Settlements are queued and
// committed in groups by one writer thread; each books the usage and gives its part of the slice
// back in the same transaction. A process that dies loses at most the requests that were in flight;
// what it had leased comes back when its lease expires (LEASE_S).
// While the database cannot be written (gone, locked, disk full), settlements wait in memory, up to
// a bound; then reservations are refused with ERR_BUSY: nothing is spent that is not recorded.
// Threads: any; one writer thread is its own.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct ledger;

enum {
    LEDGER_ID_BYTES = 24,
    LEDGER_NAME_BYTES = 128,
    LEDGER_SECRET_BYTES = 64,
    LEDGER_MODELS_BYTES = 2048,
    LEDGER_REQUEST_BYTES = 160,
    LEDGER_LEASE_S = 120,  // renewed while its process lives
    LEDGER_PRIORITY_MAX = 100,
    LEDGER_WEIGHT_MAX = 1000,
};

struct ledger_key {            // -1 or 0: no bound, as stated
    char id[LEDGER_ID_BYTES];  // "key_" and letters; public
    char name[LEDGER_NAME_BYTES];
    char owner[LEDGER_NAME_BYTES];
    char hint[5];                      // the secret's last four characters
    char models[LEDGER_MODELS_BYTES];  // ids or patterns with '*', commas between; empty: all
    int64_t created_s, expires_s, revoked_s;         // since 1970; 0: never
    int64_t budget_day, budget_month, budget_total;  // pico-dollars; -1: none. Days are UTC
    int64_t requests_per_minute, tokens_per_minute;  // 0: no bound
    int concurrency;                                 // requests at once; 0: no bound
    bool admin, local_only;
    // Of its requests to local models: who has the higher priority goes first; between equals each
    // key is served by its weight (made with 0: 1).
    int priority, weight;
    bool share_prefixes;  // its prompts' pages are shared with those of all keys that say so
    uint64_t number;      // the same for all requests of a key while it exists; not 0
};

// NULL or "sqlite": ledger.db in Hearth's data folder; "sqlite:PATH"; "postgresql://...", whose
// driver is a shared object beside the binary. Makes and migrates what is not there. Connects with
// a bound on waiting. NULL with err: ERR_IO, ERR_FORMAT (not a ledger, or of a later version).
struct ledger *ledger_open(const char *where, struct error *err);
// The same of one that must be there.
struct ledger *ledger_open_made(const char *where, struct error *err);
// What was not there before it was opened: the file's path, or "the PostgreSQL database"; else
// NULL.
const char *ledger_made(const struct ledger *l);
void ledger_close(struct ledger *l);  // waits until all settlements are committed (30 s at most)

// Makes a key: in's name, owner, models, expiry, bounds and flags count. `secret` is shown this
// once: only its hash is kept. out may be NULL.
bool ledger_key_create(struct ledger *l, const struct ledger_key *in,
                       char secret[LEDGER_SECRET_BYTES], struct ledger_key *out, struct error *err);
// All keys, revoked ones too, in a new block that the caller frees.
bool ledger_keys(struct ledger *l, struct ledger_key **keys, size_t *n, struct error *err);
// Everybody who asks knows it within a second, other processes too. ERR_NOT_FOUND.
bool ledger_key_revoke(struct ledger *l, const char *id, struct error *err);
// Whether a key was ever created: from then on, requests need one. Takes no time.
bool ledger_has_keys(struct ledger *l);
// The key of this secret. No database is asked in the usual case; for a key that is not known it
// is, and waited for 100 ms at most, four times a second at most. False with err: ERR_KEY (unknown,
// revoked or expired: one text for the three), ERR_BUSY while the keys cannot be read.
bool ledger_key_find(struct ledger *l, const char *secret, size_t secret_len,
                     struct ledger_key *out, struct error *err);

// A reservation of `amount` from the budgets of a key (NULL, or one without budgets: only the place
// in the settlements' queue is taken). Its token must be settled or cancelled, once, from any
// thread. False with err: ERR_BUDGET (with which budget, what is left and when it is renewed),
// ERR_BUSY.
struct ledger_hold {
    uint64_t key_number;
    int64_t amount;
    bool open, leased;  // leased: it is a part of what was leased of the key's budgets
    char key_id[LEDGER_ID_BYTES];
    int64_t at_s;  // the day and month that it belongs to, whatever the clock says later
};
bool ledger_reserve(struct ledger *l, const struct ledger_key *key, int64_t amount,
                    struct ledger_hold *out, struct error *err);
// The same where it takes no time, for threads that may not wait; else false, and nothing is held:
// it may be possible yet.
bool ledger_reserve_now(struct ledger *l, const struct ledger_key *key, int64_t amount,
                        struct ledger_hold *out);
void ledger_cancel(struct ledger *l, struct ledger_hold *hold);  // nothing was spent
// At most so many reservations wait long for a database that does not answer (0, as it is at first:
// any number); others are refused with ERR_BUSY after 100 ms, and at once when it is slow already.
// For a server whose few threads have others to serve.
void ledger_bound_waiters(struct ledger *l, int n);

struct ledger_usage {                       // one request, ended
    char request_id[LEDGER_REQUEST_BYTES];  // unique: what comes a second time is dropped
    char model[LEDGER_NAME_BYTES];          // as it was asked for: the route's name
    char provider[64];                      // who served it: "local", "openai"
    char served[LEDGER_NAME_BYTES];         // the model that served it
    int64_t at_s;                           // its end, since 1970
    int64_t prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens;
    int64_t cost;                        // pico-dollars; -1: unpriced, never taken for 0
    int64_t bytes_sent, bytes_received;  // that left this machine, and came back
    int64_t first_ms, total_ms;          // to the first event, to the end; -1: unknown
    bool estimated;                      // counted here: the vendor did not say
    char outcome[16];                    // "done", "cut", "cancelled", "failed"
};
// Queues it; closes the hold. What is spent is booked even where it is more than was held.
void ledger_settle(struct ledger *l, struct ledger_hold *hold, const struct ledger_usage *usage);
// Waits until everything settled so far is committed. False with err after so many seconds.
bool ledger_flush(struct ledger *l, int seconds, struct error *err);

enum ledger_by {
    LEDGER_BY_KEY,
    LEDGER_BY_MODEL,
    LEDGER_BY_DAY,
    LEDGER_BY_PROVIDER,
    LEDGER_BY_REQUEST,  // with its parts: "ID.2" and "ID/1" count as ID
};
struct ledger_sum {
    char by[LEDGER_NAME_BYTES];  // a key's name and id, a model, "2026-11-26", a provider, an id
    int64_t requests, prompt_tokens, cached_tokens, completion_tokens, bytes_sent;
    int64_t cost;       // of the priced ones
    int64_t unpriced;   // requests
    int64_t estimated;  // requests
};
// Usage since a moment (0: ever) until one (0: now), most expensive first (days in order); key_id
// NULL: everybody's. A new block that the caller frees.
bool ledger_usage_sum(struct ledger *l, enum ledger_by by, int64_t since_s, int64_t until_s,
                      const char *key_id, struct ledger_sum **sums, size_t *n, struct error *err);
// The same by request, where the time has no more than so many rows (of parts, too); else false
// with err (ERR_LIMIT), since all of them are read to find the most expensive.
bool ledger_usage_requests(struct ledger *l, int64_t since_s, int64_t until_s, const char *key_id,
                           int64_t rows_max, struct ledger_sum **sums, size_t *n,
                           struct error *err);
// What a key has spent in its day, month and ever, and what is held or leased now.
struct ledger_spent {
    int64_t day, month, total, held;
};
bool ledger_spent(struct ledger *l, const char *key_id, struct ledger_spent *out,
                  struct error *err);
struct ledger_health {
    bool writable;                              // the last commit went well
    int64_t waiting;                            // settlements not yet committed
    int64_t committed, commits, refused, late;  // since it was opened; late: second settlements
};
void ledger_health(struct ledger *l, struct ledger_health *out);
