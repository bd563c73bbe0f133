// served.h - the double's own ledger: one line of JSON for each request, when it has ended.
//
// It says what was asked for, what left (bytes and SHA-256 of the request, which is what came
// here), what was served and counted, how much of it was handed to the system before the
// connection ended, and who ended it. Threads: one.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "answer.h"
#include "http1.h"

struct served {           // of one request; filled in as it goes
    struct buf line;      // what is known when the answer begins
    uint64_t wire_bytes;  // of the answer's body with its framing, that was sent
    bool finished;        // the vendor's own end was sent
    int64_t pieces, chunks, text_bytes, told_in, told_out,
        told_thoughts;  // of pieces that were sent whole
};
struct served_log {
    struct buf lines;  // since the last reset
    uint64_t n_lines, n_requests;
    void *file;        // FILE; NULL: only in memory
    bool off, bodies;  // bodies: the text of each request is in its line
    // How often what says the same was asked for: for `times`.
    struct served_times {
        uint64_t key;
        int64_t n;
    } * times;
    size_t n_times, times_capacity;  // a power of two, or 0
};
// The how manieth request this is that says the same; from 1.
int64_t served_times(struct served_log *log, const struct asked *a);
void served_begin(struct served *s, struct served_log *log, const struct http1_request *r,
                  const struct asked *a, const struct answer *o, bool key_fits, int64_t attempt);
void served_piece(struct served *s, const struct piece *p);
// `how`: "done", "cut", "reset", "client" (who left), "hung" (nothing more came, until the client
// left).
void served_end(struct served *s, struct served_log *log, const char *how);
void served_reset(struct served_log *log);
void served_release(struct served_log *log);
