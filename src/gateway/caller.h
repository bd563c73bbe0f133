// caller.h - who asks: what a key may do, as far as a request is concerned.
//
// The server makes one for each request from the key it came with; a request without one
// (chat_request.caller NULL) is that of this machine's own user, who needs no key and has no
// budget, but is in the ledger's usage all the same. Lives as long as the request.
// Threads: read only, any; `told` is written by the gateway before the first event is pushed.
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "gateway/limits.h"

struct ledger_key;

struct caller_told {             // by the gateway, before the first event: for an answer's headers
    struct limits_state limits;  // as after this request; all -1 without a key
    char served[128];            // who serves it: "local/qwen", "openai/gpt-4o-mini"; or empty
};

struct caller {
    const struct ledger_key *key;  // NULL: nobody's
    bool local_only;               // no byte of this request may leave the machine
    // Whether vendors' models may be named without a route of the configuration.
    bool vendors;
    const char *request_id;  // unique for the ledger; NULL: one is made
    // Of a request that is answered by several of the gateway's: so many have begun, and the n-th
    // is "ID.n" in the ledger. NULL: it is one.
    atomic_int *n_parts;
    struct caller_told *told;  // NULL: nobody wants to know. Lives as long as the request
};
