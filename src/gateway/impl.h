// impl.h - what the gateway's files share; nobody else includes it.
//
// gateway.c answers questions about models, routing.c is what a configuration became, target.c
// knows what a name means, vendors.c makes the remote providers, flight.c takes a request through
// it all, attempt.c asks one candidate, account.c knows what it may cost and did.
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/queue.h"
#include "chat/chat.h"
#include "config/config.h"
#include "gateway/caller.h"
#include "gateway/gateway.h"
#include "gateway/limits.h"
#include "gateway/need.h"
#include "gateway/price_table.h"
#include "gateway/redact.h"
#include "gateway/router.h"
#include "gateway/target.h"
#include "ledger/ledger.h"

struct several;

enum { GATEWAY_PATIENT = 2 };  // threads

// All that is made of one configuration. Requests hold the one that they began with.
struct routing {
    atomic_int n_holds;
    const struct config *config;  // NULL: none
    struct config own;            // what `config` points to, where it was handed over
    struct vendors *vendors;
    struct targets *targets;
    struct router *router;
    struct redaction_rules *rules;  // NULL: none
    struct prices *prices;          // NULL: everything is unpriced
    struct egress *egress;          // NULL: no log
};
struct gateway {
    struct gateway_options o;
    pthread_mutex_t lock;
    struct routing *routing;  // the one in force, under the lock
    struct limits *limits;
    struct model_names *names;
    atomic_ullong next_id;  // of a request
    uint64_t salt;          // of the ids of this process
    struct queue relays;    // flights whose next attempt shall begin
    struct queue patient;   // those of them that may have to wait first
    pthread_t relay_threads[1 + GATEWAY_PATIENT];
    int n_relay_threads;
};

// One candidate that was asked. Its starter and its events hold it.
struct attempt {
    struct gateway_answer *flight;
    const struct candidate *candidate;
    struct router_step step;
    struct provider *provider;
    struct chat_request request;  // as this candidate gets it
    struct arena arena;
    struct redaction *redaction;
    struct answer *answer;    // from its start until it is closed: one of these two
    struct several *several;  // those to several prompts
    atomic_int n_holds;
    bool closed;  // under the flight's lock
    bool failed_over;
    bool refused;  // its start: nobody was asked
    int64_t begun_ns, first_ns;
};

// A request on its way, from gateway_start to gateway_answer_free.
struct gateway_answer {
    struct gateway *g;
    struct routing *routing;
    struct chat_request request;  // as it was given; what it points to lives until the end
    struct chat_sink sink;
    struct arena arena;
    struct target target;
    struct need need;
    struct router_need router_need;
    uint64_t number;
    const char *asked;          // the model's name in the books
    char day[PRICE_DAY_BYTES];  // whose prices count, from the reservation to the settlement
    struct router_step steps[ROUTER_STEPS_MAX];
    size_t n_steps, at;
    char id[LEDGER_REQUEST_BYTES];
    struct ledger_hold hold;
    struct limits_hold limits;
    bool local_only;
    // The events', one thread at a time.
    bool committed;  // the sink has seen output: no other candidate is asked
    bool has_usage;
    struct chat_usage usage;
    int64_t bytes_before, tokens_before;  // of candidates that failed
    struct error failure;                 // of the last candidate that failed
    int64_t begun_ns, first_ns;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct attempt *now;
    bool cancelled, over, finished;  // DONE or ERROR was pushed; nothing is left to do
    int n_holds;
};

// routing.c
// NULL with err. `own`: the configuration is handed over if this succeeds; prices and the log of
// the options are held.
struct routing *routing_new(const struct gateway_options *o, struct config *own, struct error *err);
struct routing *routing_hold(struct gateway *g);  // the one in force
void routing_drop(struct routing *r);             // NULL is fine

// gateway.c
// What a model's name means to this gateway; *asked is the name for the books. False with err.
bool gateway_target(struct gateway *g, const struct routing *r, const char *name, struct arena *a,
                    struct target *out, const char **asked, struct error *err);
// The routes of a configuration, its default first, become names. False with err: one is taken, or
// the default is a model that is not there.
bool gateway_name_routes(struct gateway *g, const struct routing *r, struct error *err);
int64_t gateway_waiting(struct gateway *g);  // requests in the queues of local models

// attempt.c
// Begins with the flight's step `at`. False with err: nothing was sent, and no event comes.
bool attempt_begin(struct gateway_answer *f, struct error *err);
// Once, when its events have ended: health, speed and the log of what left learn it.
void attempt_over(struct attempt *a, const struct chat_usage *usage, const struct error *failure);
void attempt_cancel(struct attempt *a);  // with the flight's lock held
void attempt_resume(struct attempt *a);  // with the flight's lock held

// flight.c, for attempts
void flight_event(struct gateway_answer *f, struct attempt *a, const struct chat_event *e);
void flight_closed(struct gateway_answer *f, bool failed_over);  // gives one hold back
void *flight_relay_main(void *gateway);
void *flight_patient_main(void *gateway);
bool flight_is_cancelled(struct gateway_answer *f);
// Whether another candidate may do better where this happened.
bool flight_can_go_on(const struct error *err);

// account.c
// What the request may cost is reserved, and counted against the key's limits; who costs more than
// the key's budget has left is taken out of the plan. False with err: nobody is left.
bool account_open(struct gateway_answer *f, struct error *err);
// What became of it. Sets the cost in f->usage.
void account_close(struct gateway_answer *f, const struct attempt *a, const char *outcome);
void account_drop(struct gateway_answer *f);  // nothing was served
// A candidate has to be paid though it failed, and the next is asked: what was held is settled.
void account_part(struct gateway_answer *f, const struct attempt *a);
// Before the next one: where nothing is held any more, what the rest of the plan may cost is
// reserved. May wait for the ledger. False with err.
bool account_reopen(struct gateway_answer *f, struct error *err);
bool account_reopen_now(struct gateway_answer *f);  // false: it would have to wait, or cannot
// A guess of what a candidate takes for it: 0 for local ones; -1: unpriced.
int64_t account_guess(const struct gateway_answer *f, const struct candidate *c);
// The entry that counts for this request. NULL: unpriced.
const struct price *account_price(const struct gateway_answer *f, const struct candidate *c);
bool account_has_budget(const struct caller *who);
