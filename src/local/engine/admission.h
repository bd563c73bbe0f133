// admission.h - the bound of an engine's queue, and when there will be room in it again.
//
// Pure numbers: the time comes in. A request waits from its submission to its first row. How long
// one has to wait for the next to start is measured while somebody waits; a queue that is full
// says to come back when half of it will have started. Threads: the engine's lock.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct error;

struct admission {
    int most;       // that may wait
    int n_waiting;  // submitted, no row computed yet
    int n_jobs;     // with those that have begun; at most 2 * most + a step's sequences
    int jobs_most;
    double start_s;   // between two starts while others wait; 0: not measured
    int64_t mark_ns;  // since when the next start is waited for
    int64_t refused;
};

void admission_init(struct admission *a, int most, int max_seqs);
// False with err, ERR_BUSY with retry_after_s, if there is no room.
bool admission_enter(struct admission *a, int64_t now_ns, struct error *err);
void admission_start(struct admission *a, int n, int64_t now_ns);  // so many begin with this step
void admission_leave(struct admission *a, bool waited);            // ended; true: it never began
// Seconds until half of those who wait have started: 1 to 600.
int admission_retry_after(const struct admission *a, int64_t now_ns);
