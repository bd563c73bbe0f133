#include "timers.h"

#include <stdlib.h>

#include "base/memory.h"

static void swap(struct timer *a, struct timer *b)
{
    struct timer c = *a;
    *a = *b;
    *b = c;
}

void timers_add(struct timers *t, struct timer one)
{
    memory_grow(t->heap, t->capacity, t->n + 1);
    size_t i = t->n++;
    t->heap[i] = one;
    for (; i > 0 && t->heap[(i - 1) / 2].due_ns > t->heap[i].due_ns; i = (i - 1) / 2)
        swap(&t->heap[i], &t->heap[(i - 1) / 2]);
}

bool timers_next(struct timers *t, int64_t now_ns, struct timer *out)
{
    if (t->n == 0 || t->heap[0].due_ns > now_ns)
        return false;
    *out = t->heap[0];
    t->heap[0] = t->heap[--t->n];
    for (size_t i = 0, least;; i = least) {
        size_t left = 2 * i + 1, right = left + 1;
        least = i;
        if (left < t->n && t->heap[left].due_ns < t->heap[least].due_ns)
            least = left;
        if (right < t->n && t->heap[right].due_ns < t->heap[least].due_ns)
            least = right;
        if (least == i)
            return true;
        swap(&t->heap[i], &t->heap[least]);
    }
}

int timers_wait_ms(const struct timers *t, int64_t now_ns, int most)
{
    if (t->n == 0)
        return most;
    int64_t left = t->heap[0].due_ns - now_ns;
    if (left <= 0)
        return 0;
    left = (left + 999999) / 1000000;
    return left < most ? (int)left : most;
}

void timers_release(struct timers *t)
{
    free(t->heap);
    *t = (struct timers){0};
}
