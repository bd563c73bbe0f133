// server.h - the HTTP server: one process that answers like a cloud, over the gateway.
//
// One thread speaks HTTP (libmicrohttpd), workers read requests and start answers, the provider's
// few threads push events into exchanges, one thread watches sockets and deadlines. No answer has a
// thread, and none of these waits for a client: a connection is suspended until there is something
// to send, an answer until its client has taken enough.
// Threads: open, start, drain and close belong to one thread; server_draining to any.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct error;
struct gateway;
struct ledger;
struct loop;
struct server;

struct server_options {  // zeroed numbers are the defaults
    // A loopback address; others too once the ledger has keys.
    const char *host;
    int port;  // 0: any that is free
    // Seconds that a client may take to send a request, and to take the end of its answer; what it
    // may be silent for between requests. 0: 60.
    int timeout_s;
    int answer_s;         // seconds that an answer may take in all, waiting included; 0: 3600
    int queue_max;        // requests that may wait to be read; 0: 8192
    int load_wait_s;      // seconds that one may wait for its model to be loaded; 0: 120
    uint64_t body_bytes;  // largest request; 0: 32 MiB
    // PEM texts of a certificate (chain) and its key, for TLS; NULL: plain HTTP. Copied by open.
    const char *certificate, *key;
    bool quiet;  // no line for each request
    // The thread to speak HTTP on, borrowed (net/loop.h): that of the vendors' transfers, so that a
    // request which only passes through changes no thread. NULL: one of its own.
    struct loop *loop;
    // Whose keys count; borrowed. NULL: there are none, and everybody on this machine may ask.
    struct ledger *ledger;
    // While there are no keys: vendors' models may be named without a route. As it is at first.
    bool allow_vendors;
    bool metrics_open;  // /metrics needs no key
};

// Listens at once, so that /health can tell that models are still loading. NULL with err.
struct server *server_open(struct gateway *g, const struct server_options *o, struct error *err);
int server_port(const struct server *s);
void server_allow_vendors(struct server *s, bool allow);  // for the requests from here on
void server_ready(struct server *s);                      // the models are there: /health says so
bool server_draining(const struct server *s);             // whether server_drain was called
// Refuses new requests, waits for running ones up to so many seconds, then cancels what is left.
// Returns how many were cancelled. `hurry` may be NULL; when it says true, waiting ends.
int server_drain(struct server *s, int seconds, bool (*hurry)(void));
void server_close(struct server *s);  // drains without waiting, if that was not done; NULL is fine
