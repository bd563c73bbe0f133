#include "net/timers.h"

#include <stdlib.h>

#include "base/memory.h"

static void put(struct timers *all, size_t place, struct timer *t)
{
    all->heap[place - 1] = t;
    t->place = place;
}

// Moves a timer to where it belongs, from a place that is its own.
static void settle(struct timers *all, struct timer *t)
{
    size_t at = t->place;
    while (at > 1 && all->heap[at / 2 - 1]->at_ns > t->at_ns) {
        put(all, at, all->heap[at / 2 - 1]);
        at /= 2;
    }
    for (size_t child; (child = at * 2) <= all->n; at = child) {
        if (child < all->n && all->heap[child]->at_ns < all->heap[child - 1]->at_ns)
            child++;
        if (all->heap[child - 1]->at_ns >= t->at_ns)
            break;
        put(all, at, all->heap[child - 1]);
    }
    put(all, at, t);
}

void timers_set(struct timers *all, struct timer *t, int64_t at_ns)
{
    t->at_ns = at_ns;
    if (!t->place) {
        memory_grow(all->heap, all->capacity, all->n + 1);
        put(all, ++all->n, t);
    }
    settle(all, t);
}

void timers_unset(struct timers *all, struct timer *t)
{
    if (!t->place)
        return;
    size_t place = t->place;
    struct timer *last = all->heap[--all->n];
    t->place = 0;
    if (last == t)
        return;
    put(all, place, last);
    settle(all, last);
}

struct timer *timers_first(const struct timers *all)
{
    return all->n ? all->heap[0] : NULL;
}

void timers_release(struct timers *all)
{
    free(all->heap);
    *all = (struct timers){0};
}
