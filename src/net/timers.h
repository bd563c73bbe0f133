// timers.h - which of many times comes next: a heap of timers that others own.
//
// Pure: nothing waits here. Threads: one at a time.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct timer {
    int64_t at_ns;
    size_t place;  // in the heap, from 1; 0: it is not set
    void (*fire)(struct timer *t);
    void *self;
};
struct timers {  // zeroed is empty
    struct timer **heap;
    size_t n, capacity;
};
void timers_set(struct timers *all, struct timer *t, int64_t at_ns);  // anew if it was set
void timers_unset(struct timers *all, struct timer *t);               // may be unset already
struct timer *timers_first(const struct timers *all);                 // NULL if there is none
void timers_release(struct timers *all);
