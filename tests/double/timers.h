// timers.h - who is to be woken when: a heap of moments. Threads: one.
//
// A timer is not taken back: whoever is woken looks whether the generation is still its own.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
    int64_t due_ns;
    int who;
    uint64_t generation;
};
struct timers {
    struct timer *heap;
    size_t n, capacity;
};
void timers_add(struct timers *t, struct timer one);
// The next that is due by now; false: none is.
bool timers_next(struct timers *t, int64_t now_ns, struct timer *out);
// Milliseconds until one may be due, rounded up, at most `most`.
int timers_wait_ms(const struct timers *t, int64_t now_ns, int most);
void timers_release(struct timers *t);
