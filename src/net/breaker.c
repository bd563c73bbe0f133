#include "net/breaker.h"

#include "base/hash.h"

enum { LONGER_MAX = 3, JITTER_PARTS = 4 };  // 2^3 times; up to a quarter more

static void rest(struct breaker *b, int64_t now_ns)
{
    int64_t ns = b->rest_ns << (b->n_rests < LONGER_MAX ? b->n_rests : LONGER_MAX);
    b->n_rests++;
    ns += (int64_t)(hash_mix(b->seed + (uint64_t)b->n_rests) % (uint64_t)(ns / JITTER_PARTS + 1));
    b->open = true;
    b->until_ns = now_ns + ns;
}

enum breaker_pass breaker_ask(struct breaker *b, int64_t now_ns)
{
    if (!b->open)
        return BREAKER_YES;
    if (breaker_rests(b, now_ns))
        return BREAKER_NO;
    b->probing = true;
    return BREAKER_PROBE;
}

// Of what was asked before it opened, nothing is learnt any more.
void breaker_ended(struct breaker *b, enum breaker_pass pass, enum breaker_outcome outcome,
                   int64_t now_ns)
{
    if (pass == BREAKER_PROBE)
        b->probing = false;
    else if (b->open || pass == BREAKER_NO)
        return;
    if (outcome == BREAKER_WORKS) {
        b->failures = b->n_rests = 0;
        b->open = false;
    } else if (outcome == BREAKER_FAILED &&
               (pass == BREAKER_PROBE || ++b->failures >= b->failures_max)) {
        rest(b, now_ns);
    }
}

bool breaker_rests(const struct breaker *b, int64_t now_ns)
{
    return b->open && (b->probing || now_ns < b->until_ns);
}

int64_t breaker_left_ns(const struct breaker *b, int64_t now_ns)
{
    return b->open && b->until_ns > now_ns ? b->until_ns - now_ns : 0;
}
