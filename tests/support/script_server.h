// script_server.h - an HTTP server on the loopback whose answers a test writes byte by byte.
//
// Each connection has a thread, on which `serve` is called for each request; it says what goes out
// and when, and may leave in the middle. Threads: `serve` on several at once.
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/buf.h"

enum { SCRIPT_CONNECTIONS_MAX = 1024 };

struct script_server;
struct script_talk {  // one request, and its answer
    struct script_server *server;
    int socket;
    int n;            // which request of the server, from 0
    struct buf head;  // of the request, with its empty line
    struct buf body;
};
struct script_server {
    // True: the connection is kept for more.
    bool (*serve)(void *self, struct script_talk *t);
    void *self;
    char url[64];  // http://127.0.0.1:PORT
    // inside
    int listener;
    pthread_t thread;
    atomic_bool stop;
    atomic_int n_requests;
    atomic_int n_connections;
    int sockets[SCRIPT_CONNECTIONS_MAX];  // -1: closed; under lock
    pthread_t threads[SCRIPT_CONNECTIONS_MAX];
    pthread_mutex_t lock;
};
void script_server_init(struct script_server *s, bool (*serve)(void *self, struct script_talk *t),
                        void *self);
void script_server_release(struct script_server *s);  // closes every connection

// False: the other side has gone.
bool script_send(struct script_talk *t, const char *bytes, size_t n);
bool script_text(struct script_talk *t, const char *text);
bool script_bytewise(struct script_talk *t, const char *text);  // a packet for each byte
// A whole answer with its length; `fields` are further header lines, each with its CRLF.
bool script_answer(struct script_talk *t, int status, const char *type, const char *fields,
                   const char *body);
// The head of an answer that comes in chunks; then chunks; then its end.
bool script_begin(struct script_talk *t, const char *type);
bool script_chunk(struct script_talk *t, const char *text);
bool script_end(struct script_talk *t);
// Waits until the other side has closed the connection; false if it has not after 30 seconds.
bool script_wait_closed(struct script_talk *t);
void script_pause(int ms);
