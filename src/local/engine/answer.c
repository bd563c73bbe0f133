#include "local/engine/answer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { SLOTS = 64, SLOTS_AT_FIRST = 4, TOP_BYTES_MAX = 4 << 10 };

struct engine_answer *answer_new(struct engine *engine, const struct engine_request *r)
{
    struct engine_answer *a = memory_new(1, sizeof *a);
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    a->engine = engine;
    a->ready = r->ready;
    a->ready_self = r->ready_self;
    a->n_top = r->n_top > 0 && !r->pooling ? r->n_top : 0;
    size_t choices = r->pooling ? r->n_inputs : r->n_choices ? (size_t)r->n_choices : 1;
    size_t least = choices * 4 + 8, capacity = SLOTS;
    if (a->n_top) {
        size_t fits = TOP_BYTES_MAX / ((size_t)a->n_top * sizeof(struct token_logprob));
        capacity = fits < capacity ? fits : capacity;
    }
    a->capacity = capacity > least ? capacity : least;
    a->n_slots = SLOTS_AT_FIRST;
    a->slots = memory_array(struct answer_slot, a->n_slots);
    return a;
}

static void release_slot(struct answer_slot *slot)
{
    buf_release(&slot->text);
    free(slot->top);
    free(slot->rest);
    slot->top = NULL;
    slot->rest = NULL;
}

void answer_discard(struct engine_answer *a)
{
    for (size_t i = 0; i < a->n_slots; i++)
        release_slot(&a->slots[i]);
    free(a->slots);
    pthread_mutex_destroy(&a->lock);
    pthread_cond_destroy(&a->changed);
    free(a);
}

size_t answer_room(struct engine_answer *a, size_t wanted)
{
    pthread_mutex_lock(&a->lock);
    size_t room = a->abandoned ? a->capacity : a->capacity - a->n;
    a->starved = room < wanted;
    pthread_mutex_unlock(&a->lock);
    return room;
}

static void fill(struct engine_answer *a, struct answer_slot *slot, const struct engine_event *from)
{
    slot->kind = from->kind;
    slot->choice = from->choice;
    slot->token = from->token;
    slot->logprob = from->logprob;
    slot->n_top = from->n_top;
    buf_clear(&slot->text);
    buf_slice(&slot->text, from->text);
    if (from->n_embedding)
        buf_add(&slot->text, from->embedding, (size_t)from->n_embedding * sizeof *from->embedding);
    if (from->n_scored)
        buf_add(&slot->text, from->scored,
                (size_t)from->n_scored * (size_t)from->scored_width * sizeof *from->scored);
    if (from->n_top > 0) {
        if (!slot->top)
            slot->top = memory_array(struct token_logprob, (size_t)a->n_top);
        memcpy(slot->top, from->top, (size_t)from->n_top * sizeof *slot->top);
    }
    if (from->kind != ENGINE_TOKEN) {
        slot->rest = memory_array(struct engine_event, 1);
        *slot->rest = *from;
    }
}

static void show(const struct answer_slot *slot, struct engine_event *event)
{
    *event = (struct engine_event){.kind = slot->kind};
    if (slot->rest)
        *event = *slot->rest;
    event->choice = slot->choice;
    event->token = slot->token;
    event->logprob = slot->logprob;
    event->n_top = slot->n_top;
    event->top = slot->n_top > 0 ? slot->top : NULL;
    event->text = buf_view(&slot->text);
    if (event->n_embedding) {
        event->embedding = (const float *)(const void *)slot->text.ptr;
        event->text = slice_of("", 0);
    }
    if (event->n_scored) {
        event->scored = (const struct token_logprob *)(const void *)slot->text.ptr;
        event->text = slice_of("", 0);
    }
}

// Moves the ring into one of n slots, which are enough. The slot in the reader's hands stays valid:
// it has copied the event, and texts do not move.
static void resize(struct engine_answer *a, size_t n)
{
    struct answer_slot *slots = memory_array(struct answer_slot, n);
    assert(n > 0 && a->n <= n && n <= a->capacity);
    for (size_t i = 0; i < a->n_slots; i++) {
        struct answer_slot *slot = &a->slots[(a->first + i) % a->n_slots];
        if (i < a->n)
            slots[i] = *slot;
        else
            release_slot(slot);
    }
    free(a->slots);
    a->slots = slots;
    a->n_slots = n;
    a->first = 0;
}

void answer_push(struct engine_answer *a, const struct engine_event *event)
{
    pthread_mutex_lock(&a->lock);
    a->done = event->kind == ENGINE_DONE;
    if (!a->abandoned) {
        assert(a->n < a->capacity && event->n_top <= a->n_top);
        if (a->n == a->n_slots)
            resize(a, a->n_slots * 2 < a->capacity ? a->n_slots * 2 : a->capacity);
        fill(a, &a->slots[(a->first + a->n) % a->n_slots], event);
        a->n++;
        pthread_cond_signal(&a->changed);
        if (a->ready)
            a->ready(a->ready_self);
    }
    bool last = a->done && a->abandoned;
    pthread_mutex_unlock(&a->lock);
    if (last)
        answer_discard(a);
}

static void give_back_slot(struct engine_answer *a)
{
    if (!a->reading)
        return;
    struct answer_slot *slot = &a->slots[a->first];
    free(slot->rest);
    slot->rest = NULL;
    a->reading = false;
    a->first = (a->first + 1) % a->n_slots;
    a->n--;
    if (!a->n && a->n_slots > 2 * SLOTS_AT_FIRST)
        resize(a, SLOTS_AT_FIRST);
    if (a->starved && !a->done && a->n <= a->capacity / 2) {
        a->starved = false;
        engine_wake(a->engine);
    }
}

static bool next(struct engine_answer *a, struct engine_event *event, bool wait)
{
    pthread_mutex_lock(&a->lock);
    give_back_slot(a);
    while (wait && !a->n && !a->done)
        pthread_cond_wait(&a->changed, &a->lock);
    bool any = a->n > 0;
    if (any) {
        show(&a->slots[a->first], event);
        a->reading = true;
    }
    pthread_mutex_unlock(&a->lock);
    return any;
}

bool engine_next(struct engine_answer *a, struct engine_event *event)
{
    return next(a, event, true);
}

bool engine_try_next(struct engine_answer *a, struct engine_event *event)
{
    return next(a, event, false);
}

// The lock is held while the engine is woken: it cannot be freed before it has pushed ENGINE_DONE,
// and for that it needs the lock.
void engine_cancel(struct engine_answer *a)
{
    pthread_mutex_lock(&a->lock);
    atomic_store(&a->cancelled, true);
    if (!a->done)
        engine_wake(a->engine);
    pthread_mutex_unlock(&a->lock);
}

void engine_answer_free(struct engine_answer *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->lock);
    a->abandoned = true;
    atomic_store(&a->cancelled, true);
    bool done = a->done;
    if (!done)
        engine_wake(a->engine);
    pthread_mutex_unlock(&a->lock);
    if (done)
        answer_discard(a);
}
