// dialect_call.h - one request and its answer in a dialect, without a server.
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "dialects/answer.h"
#include "dialects/dialect.h"

struct dialect_case {
    const struct dialect *dialect;
    struct arena arena;
    struct dialect_call call;
    struct dialect_error err;
    struct dialect_answer answer;
    json_t *body;
    struct buf out;
    bool read;  // the request was taken
};
// Reads a request of JSON to a path ("/v1/messages?beta=true"); fails the test if no route has it.
void dialect_case_begin(struct dialect_case *d, const char *method, const char *path,
                        const char *json);
// The same by POST; fails the test, with why, if the request is refused.
void dialect_case_read(struct dialect_case *d, const char *path, const char *json);
void dialect_case_end(struct dialect_case *d);
// The messages as JSON, as a template would see them.
const char *dialect_case_messages(struct dialect_case *d);
// Events of a stream are written to out; for a whole answer they are collected.
void dialect_case_event(struct dialect_case *d, const struct chat_event *e);
// Ends the answer: FINISH, USAGE (of 10 prompt tokens, 4 of them cached, 7 new, 2 of thoughts),
// DONE. The text that was written.
const char *dialect_case_finish(struct dialect_case *d, enum chat_finish finish, const char *stop);
