// scenario.h - how an answer of the double is to be, as the request itself says.
//
// A request says it in its last user message, between words for nobody: "[[double n=5 wait=20
// bad=event]]". A block with for=X counts only where X is the vendor's name, the model's, or the
// first folder of the path ("/east/v1/chat/completions"). Blocks are read in order and later ones
// override earlier ones; the same request always means the same answer, but for "times", which
// fails the first so many of those that say the same. Threads: one.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum bad {  // what is wrong with the answer; AT is the scenario's `at`
    BAD_NOTHING,
    BAD_JSON,         // no JSON: the whole, or what the stream has after AT chunks
    BAD_SSE,          // lines after AT chunks that are none of an event stream's
    BAD_TYPES,        // members of other types than the vendor's, after AT chunks
    BAD_DEEP,         // JSON that is nested 100,000 deep, after AT chunks
    BAD_HUGE,         // a line of `huge` bytes after AT chunks
    BAD_HTML,         // 200, text/html, a page
    BAD_INSIDE,       // 200 with an error inside
    BAD_EVENT,        // the stream ends with an error's event after AT chunks
    BAD_NO_END,       // the stream ends, as HTTP does, without the vendor's end, after AT chunks
    BAD_AFTER,        // more text after the vendor's end
    BAD_GZIP,         // Content-Encoding: gzip, unasked, of 1 GiB
    BAD_HTTP,         // no HTTP
    BAD_CLOSE,        // the connection is closed before anything was said
    BAD_RESET,        // reset before headers
    BAD_RESET_LATE,   // reset after headers
    BAD_SILENT,       // nothing is ever said
    BAD_SILENT_LATE,  // nothing after headers
};
enum frame { FRAME_AUTO, FRAME_CHUNKED, FRAME_LENGTH, FRAME_CLOSE };

struct scenario {
    int64_t n;      // chunks of text, a token each; 3
    int64_t size;   // bytes of a chunk; 0: "w0 ", "w1 "
    int64_t stamp;  // chunks are "t" and when they are sent: CLOCK_MONOTONIC, ns, 19 digits
    int64_t echo;   // 1: the text is what the request says before its scenario
    int64_t calls;  // of the tools that were declared; -1: one where a call was demanded
    int64_t think;  // tokens of thought
    int64_t shown;  // 1: thoughts are told, in as many chunks
    int64_t in, out, cached, write_5m, write_1h;  // usage; -1: counted
    int64_t usage;                                // times that usage is told in a stream; 1
    int64_t filter;                               // 1: the vendor's filter ends the answer
    int64_t first_ms, wait_ms;                    // before anything is said; between chunks
    int64_t split;                                // bytes a write; 0: as many as go
    int64_t cut;                // body bytes until the connection is closed; -1: not
    int64_t stop;               // chunks until it is closed, without an end; -1: not
    int64_t hang;               // chunks until nothing more comes; -1: not
    int64_t rst;                // 1: cut and stop reset the connection
    int64_t early;              // 100 or 103: comes first
    int64_t status, times;      // another status than 200, so many times (0: always)
    int64_t after_s, after_ms;  // Retry-After; Gemini's retryDelay, retry-after-ms
    int64_t context;            // 1: a 400 that says the prompt is too long
    int64_t quota;              // 1: a 429 that no waiting helps
    int64_t at, huge;           // of `bad`
    int64_t bad, frame;
    struct slice say;  // the text, "+" for spaces; empty: words are made
    struct slice id;   // for logs and `times`
};

// From the text of a request. Points into it. False: a word that nobody knows, in *unknown.
bool scenario_read(struct scenario *s, struct slice text, const char *vendor, const char *model,
                   struct slice folder, struct slice *unknown);
const char *scenario_bad_name(int64_t bad);
