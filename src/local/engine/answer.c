#include "local/engine/answer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { SLOTS = 256, SLOTS_AT_FIRST = 4, TOP_BYTES_MAX = 4 << 20 };

struct engine_answer *answer_new(struct engine *engine, int n_choices, int n_top)
{
    struct engine_answer *a = memory_new(1, sizeof *a);
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    a->engine = engine;
    a->n_top = n_top > 0 ? n_top : 0;
    size_t least = (size_t)n_choices * 4 + 8, capacity = SLOTS;
    if (a->n_top) {
        size_t fits = TOP_BYTES_MAX / ((size_t)a->n_top * sizeof(struct token_logprob));
        capacity = fits < capacity ? fits : capacity;
    }
    a->capacity = capacity > least ? capacity : least;
    a->n_slots = SLOTS_AT_FIRST;
    a->slots = memory_array(struct answer_slot, a->n_slots);
    return a;
}

void answer_discard(struct engine_answer *a)
{
    for (size_t i = 0; i < a->n_slots; i++) {
        buf_release(&a->slots[i].text);
        free(a->slots[i].top);
    }
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
    slot->event = *from;
    buf_clear(&slot->text);
    buf_slice(&slot->text, from->text);
    slot->event.text = buf_view(&slot->text);
    if (from->n_embedding) {
        buf_clear(&slot->text);
        buf_add(&slot->text, from->embedding, (size_t)from->n_embedding * sizeof *from->embedding);
        slot->event.embedding = (const float *)(const void *)slot->text.ptr;
        slot->event.text = slice_of("", 0);
    }
    slot->event.top = NULL;
    if (from->n_top > 0) {
        if (!slot->top)
            slot->top = memory_array(struct token_logprob, (size_t)a->n_top);
        memcpy(slot->top, from->top, (size_t)from->n_top * sizeof *slot->top);
        slot->event.top = slot->top;
    }
}

// The slot in the reader's hands stays valid: it has copied the event, and texts do not move.
static void grow(struct engine_answer *a)
{
    assert(a->n_slots > 0 && a->n_slots < a->capacity);
    size_t n = a->n_slots * 2 < a->capacity ? a->n_slots * 2 : a->capacity;
    struct answer_slot *slots = memory_array(struct answer_slot, n);
    for (size_t i = 0; i < a->n; i++)
        slots[i] = a->slots[(a->first + i) % a->n_slots];
    free(a->slots);
    a->slots = slots;
    a->n_slots = n;
    a->first = 0;
}

void answer_push(struct engine_answer *a, const struct engine_event *event)
{
    pthread_mutex_lock(&a->lock);
    if (!a->abandoned) {
        assert(a->n < a->capacity && event->n_top <= a->n_top);
        if (a->n == a->n_slots)
            grow(a);
        fill(a, &a->slots[(a->first + a->n) % a->n_slots], event);
        a->n++;
        pthread_cond_signal(&a->changed);
    }
    a->done = event->kind == ENGINE_DONE;
    bool last = a->done && a->abandoned;
    pthread_mutex_unlock(&a->lock);
    if (last)
        answer_discard(a);
}

static void give_back_slot(struct engine_answer *a)
{
    if (!a->reading)
        return;
    a->reading = false;
    a->first = (a->first + 1) % a->n_slots;
    a->n--;
    if (a->starved && !a->done && a->n <= a->capacity / 2) {
        a->starved = false;
        engine_wake(a->engine);
    }
}

bool engine_next(struct engine_answer *a, struct engine_event *event)
{
    pthread_mutex_lock(&a->lock);
    give_back_slot(a);
    while (!a->n && !a->done)
        pthread_cond_wait(&a->changed, &a->lock);
    bool any = a->n > 0;
    if (any) {
        *event = a->slots[a->first].event;
        a->reading = true;
    }
    pthread_mutex_unlock(&a->lock);
    return any;
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
