// retry.h - what is worth trying again, and after how long.
//
// Pure: no clock and no state, so that a test can ask it everything. Threads: any.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { RETRY_AFTER_MAX_S = 120 };

// Statuses that say "later": 408, 425, 429 and the 5xx but 501 and 505; so 529, a vendor's word for
// having too much to do, too.
bool retry_status(int status);
// How long to wait after the n-th failure in a row (from 1): 0.5 s, doubled each time up to 30 s,
// of which a part that `seed` decides is taken off, so that many clients do not return at once.
// What the server asked for (retry_after_s, -1: nothing) is the least, up to RETRY_AFTER_MAX_S.
int64_t retry_wait_ms(int n_failures, int64_t retry_after_s, uint64_t seed);
