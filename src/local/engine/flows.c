#include "local/engine/flows.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"

enum { WEIGHT_ONE = 65536 };

void flows_release(struct flows *f)
{
    free(f->entries);
    *f = (struct flows){0};
}

// What the least served flow with sequences has had.
static void follow(struct flows *f)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < f->n; i++)
        if (f->entries[i].n_sequences && f->entries[i].served < least)
            least = f->entries[i].served;
    if (least != UINT64_MAX && least > f->now)
        f->now = least;
}

// An entry for a new flow: that of the absent one which has least to remember, if nothing is lost
// with it or there are many; else a new one.
static int unused(struct flows *f)
{
    int best = -1;
    size_t n_absent = 0;
    for (size_t i = 0; i < f->n; i++) {
        if (f->entries[i].n_sequences)
            continue;
        n_absent++;
        if (best < 0 || f->entries[i].served < f->entries[best].served)
            best = (int)i;
    }
    if (best >= 0 && (f->entries[best].served <= f->now || n_absent >= FLOWS_KEPT))
        return best;
    memory_grow(f->entries, f->capacity, f->n + 1);
    return (int)f->n++;
}

int flows_enter(struct flows *f, uint64_t id)
{
    int found = -1;
    follow(f);
    for (size_t i = 0; i < f->n && found < 0; i++)
        if (f->entries[i].id == id)
            found = (int)i;
    if (found < 0) {
        found = unused(f);
        f->entries[found] = (struct flow_entry){.id = id};
    }
    struct flow_entry *e = &f->entries[found];
    if (!e->n_sequences++ && e->served < f->now)
        e->served = f->now;
    return found;
}

void flows_leave(struct flows *f, int entry)
{
    assert(f->entries[entry].n_sequences > 0);
    follow(f);
    f->entries[entry].n_sequences--;
}

void flows_charge(struct flows *f, int entry, int n_rows, int weight)
{
    f->entries[entry].served += (uint64_t)n_rows * WEIGHT_ONE / (uint64_t)weight;
}
