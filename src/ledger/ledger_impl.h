// ledger_impl.h - the inside of the ledger, shared by its files and its tests.
//
// One lock guards what is in memory. The writer thread alone uses `store` and changes what is
// leased; a second connection (`second`, with a lock of its own) serves what people ask for: making
// keys, lists, sums. Of a lease in memory always holds, between two of the writer's commits:
//   leased (as the database has it) = free + held + queued + returning
// where held is reserved, queued is spent but not yet committed. Only the free part is reserved
// from; it may be negative where more was spent than held.
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "base/error.h"
#include "ledger/ledger.h"
#include "ledger/store.h"

enum {
    LEDGER_PLACES = 65536,  // open holds and settlements that wait, together
    LEDGER_BATCH = 1024,    // settlements of one transaction
    LEDGER_POLL_MS = 250,   // between two looks for what others changed
    LEDGER_GROUP_MS = 5,    // that a settlement waits for others
    LEDGER_IDLE_S = 30,     // after which what is leased and not used is given back
    LEDGER_WAIT_MS = 5000,  // for the database, before a reservation is refused
    LEDGER_HURRY_MS =
        100,  // by those of whom only so many may wait; no answer for longer: not at all
    LEDGER_ASK_MS = 1200,  // for other processes to give back what they do not use
    LEDGER_PERIODS = 3,    // day, month, total
};

struct ledger_options {
    const char *where;
    bool must_be_there;
    int lease_s;                     // 0: LEDGER_LEASE_S
    int wait_ms;                     // for a lock of the database; 0: 5,000 to open, then 1,000
    int64_t (*clock_s)(void *self);  // NULL: the machine's
    void *clock_self;
};
struct ledger *ledger_open_with(const struct ledger_options *o, struct error *err);

enum waiter_state { WAITING, GRANTED, REFUSED, FAILED };
struct waiter {  // a reservation that the database must be asked for; on its caller's stack
    struct waiter *next;
    int64_t amount, begun_ns;
    enum waiter_state state;
    bool seen;           // by the writer's present cycle
    int kind;            // REFUSED: which budget
    int64_t left;        // of it
    struct error error;  // FAILED
};
struct lease {  // what this process has of a key's budgets on one day
    struct lease *next;
    uint64_t key;
    int64_t day, month;
    int64_t budgets[LEDGER_PERIODS];
    int64_t leased, held, queued, returning;
    int64_t n_open;              // holds
    struct waiter *waiters;      // in their order
    int64_t used_ns;             // when something was last reserved
    int64_t contended_until_ns;  // others want what this process does not use; 0: they do not
    int64_t impatient_until_ns;  // asking others has just been in vain
    bool give_back;              // all that is free, in the next transaction
    bool restore;                // the database lost it: lease what is held again
};

struct settled {
    struct ledger_usage usage;
    uint64_t key;
    int64_t day;
    bool leased;  // it was held from a lease
};
struct settled_list {
    struct settled *items;
    size_t n, capacity;
};

struct known_key {
    struct known_key *next;  // of its bucket
    unsigned char hash[32];
    char id[LEDGER_ID_BYTES], hint[5];
    char *name, *owner, *models;
    uint64_t number;
    int64_t created_s, expires_s, revoked_s;
    int64_t budgets[LEDGER_PERIODS], requests_per_minute, tokens_per_minute;
    int concurrency, priority, weight;
    bool admin, local_only, share_prefixes;
};

enum { LEASE_BUCKETS = 4096 };
struct ledger {
    const struct store_ops *ops;
    void *driver;  // dlopen's
    char *where;   // as the store takes it
    struct ledger_options options;
    int64_t process;
    bool made;  // it was not there

    pthread_mutex_t lock;
    pthread_cond_t work;      // for the writer
    pthread_cond_t progress;  // for those who wait for it
    struct lease *leases[LEASE_BUCKETS];
    int n_waiters, waiters_max;  // of all leases; 0: no bound
    int64_t answered_ns;         // when one was last answered, or the first of them came
    bool leases_due;             // some lease is asked for, to be given back or to be restored
    struct settled_list waiting;
    int64_t first_ns;            // when the first of them came
    int64_t places;              // taken
    int64_t last_now_s;          // days never go back
    int64_t valid_ns;            // until then what is leased is ours for sure; kernel's time
    uint64_t n_settled, n_done;  // ever: given to the writer, committed
    uint64_t flush_to;           // somebody waits for this many
    uint64_t poll_asked, poll_done;
    int64_t forced_ns;   // when an unknown key last asked for a look
    int64_t closing_ns;  // 0: not closing; else when the writer gives up
    bool failing;
    struct error failure;  // the last one, while failing
    struct ledger_health health;

    struct known_key **buckets;  // by the hash's first bytes
    size_t n_buckets, n_keys;
    int64_t keys_read_ns;  // when they were last known to be all; 0: never
    atomic_bool has_keys;

    // the writer's own
    pthread_t thread;
    struct store *store;
    struct settled_list batch;
    size_t batch_done;  // of the batch, committed
    int64_t keys_version, next_poll_ns, next_renew_ns, next_try_ns, reap_ns, reaped_ns;
    int backoff_ms;
    bool registered, look_due;
    bool unsure;  // a transaction may have been made though it failed

    pthread_mutex_t second_lock;
    struct store *second;
};

int64_t ledger_kernel_ns(void);          // since boot, suspended or not
int64_t ledger_now_s(struct ledger *l);  // with the lock held: never goes back
struct lease *lease_find(struct ledger *l, uint64_t key, int64_t day);  // NULL if none
static inline int64_t lease_free(const struct lease *s)
{
    return s->leased - s->held - s->queued - s->returning;
}

// lease.c: with the lock held.
struct lease *lease_get(struct ledger *l, const struct ledger_key *key, int64_t day);
void leases_look(struct ledger *l);  // gives back what is idle, drops what is empty
bool lease_refusal(const struct lease *s, const struct waiter *w, struct error *err);

// writer.c
void *ledger_writer(void *self);
void writer_went_well(struct ledger *l);  // with the lock held
bool writer_open(struct ledger *l, bool make, struct error *err);
// commit.c: one transaction of up to LEDGER_BATCH settlements, and of leases that are asked for or
// given back. *asked: somebody was refused while others hold leases.
bool writer_commit(struct ledger *l, bool *asked, struct error *err);
// process.c: this process among those that lease.
bool process_renew(struct ledger *l, struct error *err);  // registers it where it is not
bool process_reap(struct ledger *l, bool *freed, struct error *err);  // leases of the dead
bool process_look(struct ledger *l, struct error *err);  // what it has leased, as the database says
void process_leave(struct ledger *l);
bool process_now(struct ledger *l, int64_t *now_s, struct error *err);

// keys.c
bool keys_refresh(struct ledger *l, int64_t since, struct error *err);  // by the writer
void keys_forget(struct ledger *l);
// The second connection, opened where it is not; locked until ledger_second_end.
struct store *ledger_second(struct ledger *l, struct error *err);
void ledger_second_end(struct ledger *l);

// place.c: where a ledger is, and which store it needs. l->ops, where and driver are set.
bool ledger_place(struct ledger *l, const char *where, struct error *err);
void ledger_place_release(struct ledger *l);
