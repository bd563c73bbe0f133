// answer.h - the bounded queue of events between the engine's thread and the reader of an answer.
//
// The engine pushes and never waits: it watches the room and pauses the answer's sequences in time
// (engine.c). The slot that the reader looks at is given back by its next read, so nothing is
// copied but the small event. There are few slots until a reader falls behind, and few again when
// it has caught up, since thousands of answers may wait at once. Both sides hold a reference; the
// last one frees.
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "local/engine/engine.h"

struct answer_slot {
    enum engine_event_kind kind;
    int choice;
    int32_t token;
    float logprob;
    int n_top;
    struct buf text;
    struct token_logprob *top;
    struct engine_event *rest;  // of events that are no tokens: all else that they say; else NULL
};

struct engine_answer {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct engine *engine;  // to wake it; not to be touched once `done`
    void (*ready)(void *self);
    void *ready_self;
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

struct engine_answer *answer_new(struct engine *engine, const struct engine_request *r);
void answer_discard(struct engine_answer *a);                // one that nobody else knows
size_t answer_room(struct engine_answer *a, size_t wanted);  // notes that the engine waits for it
// Appends: copies text and top. There must be room. ENGINE_DONE hands the answer over.
void answer_push(struct engine_answer *a, const struct engine_event *event);
void engine_wake(struct engine *e);  // engine.c: look at cancellations and rooms again
