// queue.h - a bounded queue of pointers between threads; order is kept.
//
// Any number of producers and consumers. Closing wakes everyone: nothing more goes in, and what
// is inside can still be taken.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    void **items;
    size_t capacity, first, n;
    bool closed;
};

void queue_init(struct queue *q, size_t capacity);
void queue_release(struct queue *q);              // nobody may be waiting any more
bool queue_put(struct queue *q, void *item);      // waits for room; false once closed
bool queue_try_put(struct queue *q, void *item);  // false if full or closed
void *queue_take(struct queue *q);                // waits; NULL once closed and empty
void *queue_try_take(struct queue *q);            // NULL if empty
void queue_close(struct queue *q);
