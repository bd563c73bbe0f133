// admin_read.h - what an administrator asks for: a new key, or a question about usage.
//
// Pure: JSON and a query's text to plain values, for routes_admin.c and the fuzzer.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "ledger/ledger.h"

struct dialect_error;

// The members of docs/server.md into a zeroed key, whose absent bounds are none. A member that is
// none is refused: a misspelled bound would be no bound. False with err.
bool admin_read_key(const json_t *o, int64_t now_s, struct ledger_key *k,
                    struct dialect_error *err);

// Of by=request: lines of an answer, and rows of the ledger that are read for one.
enum { ADMIN_LINES = 1000, ADMIN_LINES_MAX = 10000, ADMIN_ROWS_MAX = 100000 };

struct admin_question {
    enum ledger_by by;
    int64_t since_s, until_s;      // 0: not said
    char key_id[LEDGER_ID_BYTES];  // empty: everybody's
    int limit;                     // lines by request; 0: not said, then there is no other
};
// by=, since=, until=, key=, limit= of a query, as it came. False with err.
bool admin_read_question(struct slice query, int64_t now_s, struct admin_question *q,
                         struct dialect_error *err);
