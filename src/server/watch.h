// watch.h - every open socket: which exchange it has, whether its client has left, by when
// something must have happened.
//
// libmicrohttpd does not look at a suspended connection, so a thread of ours does: a client that
// closes its side while an answer is being made (EPOLLRDHUP) cancels it. Deadlines are looked at
// a few times a second; a socket that misses its own is shut down, which its owner notices.
// Threads: any; the lock is held only for moments, never while an exchange's is taken.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exchange;

struct watched {  // one TCP connection
    size_t slot;
    uint32_t generation;
    int fd;
    bool left;  // the client has closed its side
    struct exchange *exchange;
    int64_t deadline_ns;  // 0: none
};
struct watch {
    pthread_mutex_t lock;
    pthread_t thread;
    int epoll, stop_event;
    struct server *server;  // its requests that wait are looked at now and then, too
    struct watched **slots;
    size_t n_slots, capacity;
    uint32_t generation;
    size_t n_open;
};

struct error;
struct server;
bool watch_init(struct watch *w, struct server *server, struct error *err);
void watch_release(struct watch *w);  // stops the thread; no sockets may be left

struct watched *watch_add(struct watch *w, int fd);
void watch_remove(struct watch *w, struct watched *s);  // before the socket is closed
// Whether the client has already left. The exchange must stay until it is set to NULL again.
bool watch_set(struct watch *w, struct watched *s, struct exchange *x, int64_t deadline_ns);
void watch_shut(struct watch *w);  // all sockets: their clients are not waited for any more
// Calls `each` with every exchange, without the lock but with a reference.
void watch_each(struct watch *w, void (*each)(struct exchange *x));
