// serve.h - the double's connections: one thread, epoll, HTTP/1.1, loopback only.
//
// One answer at a time on a connection; its pieces become bytes when they are due, so that a piece
// carries the moment it was sent at. Threads: one; serve_stop from a signal handler.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "served.h"
#include "timers.h"

struct conn;
struct serve {
    const char *key;  // the only one that is let in
    struct served_log log;
    int listener, poll;
    struct timers timers;
    struct conn **conns;  // by descriptor
    size_t conns_capacity;
    uint64_t number;       // of requests
    uint64_t generations;  // of connections and answers: timers know theirs by it
    int64_t open;          // connections
    volatile bool stop;
};
// False: no socket. *port 0: any, and says which.
bool serve_open(struct serve *s, int *port);
void serve_run(struct serve *s);  // until stop
void serve_close(struct serve *s);
