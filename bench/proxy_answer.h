// proxy_answer.h - reads HTTP/1.1 answers as they come, for proxy_load: where they end, and the
// moments that the double put into their chunks. Threads: one.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

struct proxy_answer {
    struct buf head;  // while it comes
    int status;
    bool in_body, chunked, until_close, whole, wrong, close;
    uint64_t left;  // bytes of the body, or of the chunk
    int state;      // of a chunked body
    char tail[24];  // what may be the beginning of a moment
    size_t n_tail;
    uint64_t body_bytes;
};
// Of every moment that is found ("t", 19 digits, a space), in the order they come.
typedef void proxy_moment(void *self, int64_t moment_ns);
void proxy_answer_begin(struct proxy_answer *a);
// Takes bytes; sets `whole` at the answer's end, `wrong` if it is no HTTP.
void proxy_answer_read(struct proxy_answer *a, struct slice bytes, proxy_moment *moment,
                       void *self);
void proxy_answer_release(struct proxy_answer *a);
