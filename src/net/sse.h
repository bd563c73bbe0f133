// sse.h - server-sent events, read as they come, however their bytes are cut.
//
// Lines end with LF, CR or CRLF; a byte order mark before the first and comments are passed over,
// as are id, retry and fields nobody knows; several data lines are joined by LF. A line and the
// data of one event are bounded. Where an event lies whole in what was handed in, nothing is
// copied. Threads: one at a time. Source: WHATWG HTML, 9.2.6 "Interpreting an event stream".
#pragma once
#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"

enum { SSE_MAX_BYTES = 8 << 20 };

enum sse_result {
    SSE_MORE,      // everything was read, and no event ended in it
    SSE_EVENT,     // one is there; what is left of the input is for the next call
    SSE_TOO_LONG,  // a line or an event beyond max_bytes: the stream is given up
};
struct sse {  // zeroed is a new one
    // Of the last event, until the next call, or until the input is gone.
    struct slice event, data;
    size_t max_bytes;  // 0: SSE_MAX_BYTES
    // inside
    struct buf line, joined, name;
    struct slice first;  // one data line, still in the input; joined otherwise
    int n_data;          // data lines of the event that is read
    bool skip_lf, begun, told;
};
// Takes from the front of *in what it has read.
enum sse_result sse_read(struct sse *s, struct slice *in);
// The input is at its end, as it should: an event whose lines have ended but for the empty one
// counts all the same. True if there is one.
bool sse_end(struct sse *s);
void sse_clear(struct sse *s);    // a new stream; its memory is kept
void sse_release(struct sse *s);  // a zeroed one again
