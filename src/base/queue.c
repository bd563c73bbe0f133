#include "base/queue.h"

#include <stdlib.h>

#include "base/memory.h"

void queue_init(struct queue *q, size_t capacity)
{
    *q = (struct queue){.items = memory_array(void *, capacity), .capacity = capacity};
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->not_empty, NULL);
    pthread_cond_init(&q->not_full, NULL);
}

void queue_release(struct queue *q)
{
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->not_empty);
    pthread_cond_destroy(&q->not_full);
    free(q->items);
}

static bool put(struct queue *q, void *item, bool wait)
{
    pthread_mutex_lock(&q->lock);
    while (wait && q->n == q->capacity && !q->closed)
        pthread_cond_wait(&q->not_full, &q->lock);
    bool ok = !q->closed && q->n < q->capacity;
    if (ok) {
        q->items[(q->first + q->n++) % q->capacity] = item;
        pthread_cond_signal(&q->not_empty);
    }
    pthread_mutex_unlock(&q->lock);
    return ok;
}

static void *take(struct queue *q, bool wait)
{
    void *item = NULL;
    pthread_mutex_lock(&q->lock);
    while (wait && q->n == 0 && !q->closed)
        pthread_cond_wait(&q->not_empty, &q->lock);
    if (q->n) {
        item = q->items[q->first];
        q->first = (q->first + 1) % q->capacity;
        q->n--;
        pthread_cond_signal(&q->not_full);
    }
    pthread_mutex_unlock(&q->lock);
    return item;
}

bool queue_put(struct queue *q, void *item)
{
    return put(q, item, true);
}

bool queue_try_put(struct queue *q, void *item)
{
    return put(q, item, false);
}

void *queue_take(struct queue *q)
{
    return take(q, true);
}

void *queue_try_take(struct queue *q)
{
    return take(q, false);
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->not_empty);
    pthread_cond_broadcast(&q->not_full);
    pthread_mutex_unlock(&q->lock);
}
