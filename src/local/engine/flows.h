// flows.h - how much each account was served, so that who had least for its weight is next.
//
// Pure numbers. A flow's service is counted in rows over its weight. Who comes back after a while
// has no claim to what others got meanwhile, but what it had beyond them is not forgotten: so many
// short requests in a row win nothing over one long one. Threads: the engine's.
// Source: start-time fair queuing, Goyal, Vin and Cheng, 1996.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { FLOWS_KEPT = 1024 };  // flows without sequences that are remembered

struct flow_entry {
    uint64_t id;
    uint64_t served;  // rows / weight, in units of 1/65536
    int n_sequences;  // waiting and running; 0: remembered only
    int n_running;
};
struct flows {
    struct flow_entry *entries;
    size_t n, capacity;
    uint64_t now;  // what the least served flow with sequences has had; never less than it was
};

void flows_release(struct flows *f);
// The entry of a flow that has a sequence more. Valid until flows_leave was called as often.
int flows_enter(struct flows *f, uint64_t id);
void flows_leave(struct flows *f, int entry);
void flows_charge(struct flows *f, int entry, int n_rows, int weight);
