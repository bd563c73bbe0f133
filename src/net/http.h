// http.h - an HTTP client: GET over libcurl, several transfers at once, connections used again.
//
// Redirects are followed here and not by libcurl, ten at most, since a token may go to one origin
// only: it is sent while a request stays there, and no more once a redirect has left it. Bodies
// come as they are on the wire: no compression is asked for, and none is accepted. Proxies are
// libcurl's, from the environment. What is told of an address is its origin, never path or query.
// Threads: a client and its transfers belong to one thread, on which all callbacks run, inside
// http_step. Only on_end may start and cancel others: libcurl allows neither in the middle of one.
// Source: RFC 9110 (ranges, Retry-After, redirects).
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "net/url.h"

struct http;
struct http_transfer;

struct http_options {
    int connect_s;        // until there is a connection; 0: 15
    int stall_s;          // without a byte, after which a connection counts as lost; 0: 30
    const char *ca_file;  // authorities to trust, PEM; NULL: the system's. Must outlive the client
};

struct http_head {
    int status;
    int64_t length;                  // -1: not stated
    bool has_range;                  // Content-Range: bytes first-last/total
    int64_t first, last, total;      // total -1: "*"
    int64_t retry_after_s;           // -1: not stated
    char etag[128], error_code[64];  // "" if there is none, or one too long to be meant
};

enum http_outcome {
    HTTP_DONE,     // the whole answer came, with a status of 2xx
    HTTP_STATUS,   // another status: head.status
    HTTP_LOST,     // no connection, or it broke or went silent: worth trying again
    HTTP_REFUSED,  // what came must not be accepted: redirects, compression, a wrong certificate
    HTTP_STOPPED,  // a callback said so; err is what it set
};

struct http_end {
    enum http_outcome outcome;
    struct http_head head;
    const struct url *url;  // who answered last; valid during the call
    struct error err;       // says what happened unless DONE or STATUS
};

struct http_request {
    const char *url;
    const char *token;               // NULL: none
    const struct url *token_origin;  // whom the token is for; must outlive the transfer
    uint64_t first, n_bytes;         // the range that is asked for; n_bytes 0: everything
    // For a status of 2xx only; false with err stops the transfer. Either may be NULL.
    bool (*on_head)(void *self, const struct http_head *head, struct error *err);
    bool (*on_body)(void *self, struct slice bytes, struct error *err);
    void (*on_end)(void *self, const struct http_end *end);  // last, once; the transfer is gone
    void *self;
};

// NULL with err (ERR_INTERNAL) if libcurl cannot be used.
struct http *http_new(const struct http_options *o, struct error *err);
void http_free(struct http *h);  // NULL is fine; cancels what is left

// NULL with err for an address or a token that cannot be sent; then on_end is not called.
struct http_transfer *http_start(struct http *h, const struct http_request *r, struct error *err);
void http_cancel(struct http_transfer *t);  // NULL is fine; on_end is not called
// Moves all transfers on; waits up to wait_ms for something to happen.
void http_step(struct http *h, int wait_ms);
