// scheduler_impl.h - what the two halves of the scheduler know of each other: scheduler.c has the
// sequences' life, plan.c decides a step.
#pragma once
#include "local/engine/scheduler.h"

void scheduler_wait(struct scheduler *s, struct sequence *seq);
void scheduler_stop_waiting(struct scheduler *s, struct sequence *seq);
bool scheduler_take_slot(struct scheduler *s, struct sequence *seq);  // false: none is free
void scheduler_leave_slot(struct scheduler *s, struct sequence *seq);
void scheduler_preempt(struct scheduler *s, struct sequence *seq);  // it waits to be recomputed

// The first position whose row the sequence must compute itself, for what is wanted of it.
static inline int scheduler_first_wanted(const struct sequence *seq)
{
    if (seq->pooling == POOLING_MEAN || seq->pooling == POOLING_CLS)
        return 0;
    return seq->scores ? seq->n_scored : seq->n_tokens - 1;
}

static inline int scheduler_remaining(const struct sequence *seq)
{
    return seq->n_tokens - seq->n_computed;
}
