// http1.h - as much of HTTP/1.1 as a loopback double needs. Threads: one.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"

enum { HTTP1_BODY_MAX = 64 << 20, HTTP1_HEAD_MAX = 64 << 10 };

struct http1_request {  // points into the bytes it was read from, but for a chunked body
    char method[8];
    struct slice target, body;
    struct slice key;     // of authorization (behind "Bearer "), x-api-key or x-goog-api-key
    char key_header[20];  // which of them
    struct slice accept_encoding;
    bool close, expects;  // Connection: close; Expect: 100-continue
    size_t head_bytes, total_bytes;
};
enum http1_state { HTTP1_MORE, HTTP1_WHOLE, HTTP1_WRONG };
// One request at the beginning of the bytes. With HTTP1_MORE, head_bytes is not 0 once the head is
// whole. `chunks` holds a body that came chunked.
enum http1_state http1_read(struct slice in, struct http1_request *out, struct buf *chunks);
const char *http1_reason(int status);
