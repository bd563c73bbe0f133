// post.h - POST requests to one endpoint over a loop's libcurl, whose answers are read as they
// come; GET too, where that is asked for.
//
// HTTP/2 where TLS agrees on it, connections kept and shared, proxies from the environment (but
// never to this machine itself). Redirects are not followed, since a key goes along; nothing
// compressed is asked for, and none is accepted, so that an answer never grows while it is read.
// What is told of a failure names neither path nor header.
// Threads: all of it on the loop's own, but endpoints are made and freed on any.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "net/loop.h"

struct curl_slist;
struct post;
struct post_endpoint;
struct secret;

enum {
    POST_HEADERS_MAX_BYTES = 64 << 10,  // the fields of one answer
    POST_CONNECTIONS_MAX = 65536,
    POST_STREAMS = 100,  // HTTP/2: so many answers on a connection
};

struct post_options {  // copied, but key_line is borrowed
    const char *base_url;
    const char *const *lines;  // header lines, ended by NULL
    struct secret *key_line;   // "authorization: Bearer ..."; NULL: none
    const char *ca_file;       // NULL: the system's authorities
    bool no_proxy;
    int64_t connect_ms;
    int max_connections;
};
// NULL with err (ERR_INTERNAL).
struct post_endpoint *post_endpoint_new(struct loop *l, const struct post_options *o,
                                        struct error *err);
void post_endpoint_free(struct post_endpoint *e);  // NULL is fine; no post may be left

enum post_type { POST_TYPE_OTHER, POST_TYPE_JSON, POST_TYPE_SSE };
struct post_head {
    int status;
    enum post_type type;
    char type_text[48];     // as it came, what is printable of it
    int64_t retry_after_s;  // -1: not stated
    bool http2;
};
enum post_take {
    POST_TAKEN,
    POST_FULL,  // nothing of it: it comes again after post_resume, and nothing else until then
    POST_STOP,  // the owner has seen enough: it ends with POST_STOPPED
};
enum post_outcome {
    POST_DONE,     // the whole answer came, whatever its status
    POST_LOST,     // no connection, or it broke: worth trying again
    POST_REFUSED,  // what came must not be accepted: compression, endless headers, a certificate
    POST_STOPPED,
};
struct post {  // its owner's; zeroed but for the first part
    struct post_endpoint *endpoint;
    const char *path;  // behind the base URL; as the line and the body: until the end
    const char *line;  // a header line of this post alone, or NULL
    struct slice body;
    bool get;  // GET, without the body, over a connection of its own
    void *self;
    bool (*on_head)(void *self, const struct post_head *head);  // before any body; false stops
    enum post_take (*on_body)(void *self, struct slice bytes);
    // Last, once; from here it may be started again. err says what happened if LOST or REFUSED.
    void (*on_end)(void *self, enum post_outcome outcome, const struct error *err);
    int64_t bytes_sent;  // of bodies, of all starts
    // inside
    struct loop_transfer transfer;
    struct post *next;
    void *easy;
    struct curl_slist *fields;  // where it has a line of its own
    size_t header_bytes;
    struct post_head head;
    bool waits, head_told, stopped, full, compressed;
};
// False with err (ERR_INTERNAL) if libcurl does not take it; then on_end is not called. Waits for
// others where the endpoint has all the connections it may.
bool post_start(struct post *p, struct error *err);
// Closes the connection, or the stream of HTTP/2. on_end is not called. Nothing if it does not run.
// Not from on_head and on_body: those return a refusal instead.
void post_stop(struct post *p);
void post_resume(struct post *p);  // nothing if it was not full; may call on_body
