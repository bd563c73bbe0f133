#include "server/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "server/impl.h"

enum { EVENTS = 64, LOOK_MS = 250 };
static const uint64_t stop_mark = UINT64_MAX;

static uint64_t mark_of(const struct watched *s)
{
    return (uint64_t)s->generation << 32 | (uint32_t)s->slot;
}

// Takes a reference on the exchange of a socket that is still the one that was meant.
static struct exchange *note_left(struct watch *w, uint64_t mark)
{
    struct exchange *x = NULL;
    size_t slot = (uint32_t)mark;
    pthread_mutex_lock(&w->lock);
    struct watched *s = slot < w->n_slots ? w->slots[slot] : NULL;
    if (s && mark_of(s) == mark) {
        s->left = true;
        x = s->exchange;
        if (x)
            exchange_hold(x);
    }
    pthread_mutex_unlock(&w->lock);
    return x;
}

static struct exchange *next_late(struct watch *w, size_t *slot, int64_t now)
{
    struct exchange *x = NULL;
    pthread_mutex_lock(&w->lock);
    while (!x && *slot < w->n_slots) {
        struct watched *s = w->slots[(*slot)++];
        if (!s || !s->deadline_ns || now < s->deadline_ns)
            continue;
        s->left = true;
        s->deadline_ns = 0;
        (void)shutdown(s->fd, SHUT_RDWR);
        x = s->exchange;
        if (x)
            exchange_hold(x);
    }
    pthread_mutex_unlock(&w->lock);
    return x;
}

static void leave(struct exchange *x)
{
    if (!x)
        return;
    exchange_gone(x);
    exchange_drop(x);
}

static void look_at_deadlines(struct watch *w)
{
    struct exchange *x;
    size_t slot = 0;
    while ((x = next_late(w, &slot, clock_ns())))
        leave(x);
}

static void *watch_main(void *self)
{
    struct watch *w = self;
    struct epoll_event events[EVENTS];
    int64_t looked = clock_ns();
    for (;;) {
        int n = epoll_wait(w->epoll, events, EVENTS, LOOK_MS);
        for (int i = 0; i < n; i++) {
            if (events[i].data.u64 == stop_mark)
                return NULL;
            leave(note_left(w, events[i].data.u64));
        }
        if (clock_ns() - looked >= LOOK_MS * INT64_C(1000000)) {
            look_at_deadlines(w);
            loading_expire(w->server);
            looked = clock_ns();
        }
    }
}

bool watch_init(struct watch *w, struct server *server, struct error *err)
{
    *w = (struct watch){.epoll = epoll_create1(EPOLL_CLOEXEC),
                        .stop_event = eventfd(0, EFD_CLOEXEC),
                        .server = server};
    struct epoll_event e = {.events = EPOLLIN, .data = {.u64 = stop_mark}};
    pthread_mutex_init(&w->lock, NULL);
    if (w->epoll >= 0 && w->stop_event >= 0 &&
        epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->stop_event, &e) == 0 &&
        pthread_create(&w->thread, NULL, watch_main, w) == 0)
        return true;
    (void)error_set(err, ERR_IO, "watch sockets: %s", strerror(errno));
    close(w->epoll);
    close(w->stop_event);
    pthread_mutex_destroy(&w->lock);
    return false;
}

void watch_release(struct watch *w)
{
    uint64_t one = 1;
    (void)!write(w->stop_event, &one, sizeof one);
    pthread_join(w->thread, NULL);
    close(w->epoll);
    close(w->stop_event);
    pthread_mutex_destroy(&w->lock);
    free(w->slots);
}

struct watched *watch_add(struct watch *w, int fd)
{
    struct watched *s = memory_array(struct watched, 1);
    pthread_mutex_lock(&w->lock);
    size_t slot = 0;
    while (w->n_open < w->n_slots && w->slots[slot])
        slot++;
    if (w->n_open == w->n_slots) {
        memory_grow(w->slots, w->capacity, w->n_slots + 1);
        slot = w->n_slots++;
    }
    *s = (struct watched){.slot = slot, .generation = ++w->generation, .fd = fd};
    w->slots[slot] = s;
    w->n_open++;
    struct epoll_event e = {.events = EPOLLRDHUP | EPOLLET, .data = {.u64 = mark_of(s)}};
    (void)epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e);
    pthread_mutex_unlock(&w->lock);
    return s;
}

void watch_remove(struct watch *w, struct watched *s)
{
    pthread_mutex_lock(&w->lock);
    (void)epoll_ctl(w->epoll, EPOLL_CTL_DEL, s->fd, NULL);
    w->slots[s->slot] = NULL;
    w->n_open--;
    pthread_mutex_unlock(&w->lock);
    free(s);
}

bool watch_set(struct watch *w, struct watched *s, struct exchange *x, int64_t deadline_ns)
{
    pthread_mutex_lock(&w->lock);
    s->exchange = x;
    s->deadline_ns = deadline_ns;
    bool left = s->left;
    pthread_mutex_unlock(&w->lock);
    return left;
}

void watch_shut(struct watch *w)
{
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->n_slots; i++)
        if (w->slots[i])
            (void)shutdown(w->slots[i]->fd, SHUT_RDWR);
    pthread_mutex_unlock(&w->lock);
}

void watch_each(struct watch *w, void (*each)(struct exchange *x))
{
    for (size_t slot = 0;; slot++) {
        struct exchange *x = NULL;
        pthread_mutex_lock(&w->lock);
        bool end = slot >= w->n_slots;
        if (!end && w->slots[slot])
            x = w->slots[slot]->exchange;
        if (x)
            exchange_hold(x);
        pthread_mutex_unlock(&w->lock);
        if (end)
            return;
        if (x) {
            each(x);
            exchange_drop(x);
        }
    }
}
