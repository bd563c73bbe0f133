// answer.h - the bounded queue of events between the engine's thread and the reader of an answer.
//
// The engine pushes and never waits: it watches the room and pauses the answer's sequences in time
// (engine.c). The slot that the reader looks at is given back by its next engine_next, so nothing
// is copied; slots keep their memory. There are few of them until a reader falls behind. Both sides
// hold a reference; the last one frees.
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "local/engine/engine.h"

struct answer_slot {
    struct engine_event event;
    struct buf text;
    struct token_logprob *top;
};

struct engine_answer {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct engine *engine;      // to wake it; not to be touched once `done`
    struct answer_slot *slots;  // [n_slots] a ring
    size_t n_slots, first, n;
    size_t capacity;  // the most that n_slots grows to
    int n_top;
    bool reading;    // slots[first] is in the reader's hands
    bool done;       // the engine has pushed ENGINE_DONE and is finished with this answer
    bool abandoned;  // nobody reads any more
    bool starved;    // the engine waits for room
    atomic_bool cancelled;
};

struct engine_answer *answer_new(struct engine *engine, int n_choices, int n_top);
void answer_discard(struct engine_answer *a);                // one that nobody else knows
size_t answer_room(struct engine_answer *a, size_t wanted);  // notes that the engine waits for it
// Appends: copies text and top. There must be room. ENGINE_DONE hands the answer over.
void answer_push(struct engine_answer *a, const struct engine_event *event);
void engine_wake(struct engine *e);  // engine.c: look at cancellations and rooms again
