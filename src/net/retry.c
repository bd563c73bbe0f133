// retry.c - exponential back-off with jitter.
#include "net/retry.h"

#include "base/hash.h"

enum { FIRST_MS = 500, LONGEST_MS = 30000 };

bool retry_status(int status)
{
    if (status == 408 || status == 425 || status == 429)
        return true;
    return status >= 500 && status <= 599 && status != 501 && status != 505;
}

int64_t retry_wait_ms(int n_failures, int64_t retry_after_s, uint64_t seed)
{
    int64_t wait = FIRST_MS;
    for (int i = 1; i < n_failures && wait < LONGEST_MS; i++)
        wait *= 2;
    if (wait > LONGEST_MS)
        wait = LONGEST_MS;
    wait -= (int64_t)(hash_mix(seed + (uint64_t)n_failures) % (uint64_t)(wait / 2));
    int64_t asked = retry_after_s > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : retry_after_s;
    return asked * 1000 > wait ? asked * 1000 : wait;
}
