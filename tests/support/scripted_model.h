// scripted_model.h - a model for the engine's loop that needs no weights.
//
// Its pages hold the tokens themselves, and logits are a function of all tokens that a row's page
// table leads to; so a page that is shared, copied or refilled wrongly changes the text. Tokens
// below 256 are bytes of text. A sequence whose first token is SCRIPT + k continues with script k
// (SCRIPT_NAN in it: the logits are NaN there); any other with tokens drawn from a hash of its
// past.
#pragma once
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "local/engine/engine_model.h"

enum { SCRIPT_END = 256, SCRIPT_NAN = 257, SCRIPT = 300, SCRIPTED_VOCAB = 340, SCRIPTED_EMBD = 3 };

// A row's hidden state: its token, its position, 1; NaN for SCRIPT_NAN.
static inline void scripted_hidden(int32_t token, int pos, float row[SCRIPTED_EMBD])
{
    row[0] = token == SCRIPT_NAN ? NAN : (float)token;
    row[1] = (float)pos;
    row[2] = 1;
}

struct scripted_options {
    int ctx, max_rows, max_seqs, n_pages;
    int window;  // 0: none
    bool no_prefix_cache;
    // A draft model of so many rows a batch beside it (0: none). It says the same two times of
    // three. Where what it finds in pages is not what the model has there, the program ends.
    int draft_rows;
    bool by_length;         // equal tokens of different final lengths give different logits
    pthread_mutex_t *gate;  // taken for each forward pass; NULL: none
    atomic_int *n_steps;    // counts them; NULL: nobody asks
    int queue_max;          // of the engine; 0: its default
};
// An engine over such a model; fails the test if it does not start. scripts [n]: tokens, ended by
// -1.
struct engine *scripted_engine(const struct scripted_options *o, const int32_t *const *scripts,
                               int n);
