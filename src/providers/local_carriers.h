// local_carriers.h - the few threads that carry what engines say to the sinks of all answers.
//
// An answer is work that is woken: by its engine for each event, by who makes room or cancels.
// Woken work waits in one queue; a carrier takes it, runs it for a while without a lock, and puts
// it back if it was woken meanwhile. So each is run by one thread at a time, in order, and nobody's
// wait holds a thread. A sink should not block; for those that do, one carrier more is started
// whenever work has waited for CARRY_LATE_MS, up to CARRIERS_MAX. Threads: any; the lock is held
// for moments and none is taken under it.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct error;

enum { CARRIERS_MAX = 16, CARRIERS_AT_FIRST = 2, CARRY_LATE_MS = 100 };

enum carried_state {
    CARRIED_RESTS,
    CARRIED_QUEUED,
    CARRIED_RUNS,
    CARRIED_RUNS_WOKEN,  // something happened meanwhile: it runs once more
    CARRIED_OVER,
};
struct carriers;
struct carried {
    struct carriers *carriers;
    enum carried_state state;
    struct carried *next;
    int64_t queued_ns;
    // Goes on with what there is. False when all is over: then the last thing that the carrier does
    // is to call `over`, from which the work may be freed.
    bool (*run)(struct carried *c);
    void (*over)(struct carried *c);
};
struct carriers {
    pthread_mutex_t lock;
    pthread_cond_t work, ended;
    struct carried *first, *last;
    pthread_t threads[CARRIERS_MAX];
    int n_threads, n_idle;
    bool stop;
};

bool carriers_init(struct carriers *c, struct error *err);  // starts them
void carriers_release(struct carriers *c);                  // all work is over

// The work is in its maker's hands until carried_begin: waking it before only notes it.
void carried_init(struct carried *w, struct carriers *c);
void carried_begin(struct carried *w);
void carried_wake(struct carried *w);
void carried_wait(struct carried *w);  // until it is over, but for a call of `over`
bool carried_is_over(struct carried *w);
