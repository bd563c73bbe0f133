// calls.h - prompts to a model: counted exactly, and asked many at a time.
//
// All calls of a round are in flight together (bounded), so that a local engine computes them in
// one batch. A call that fails or comes back empty is tried once more; one that was cut by its
// length is asked again with more room. What remains wrong is told, never hidden.
// Threads: one caller; answers arrive on the provider's threads.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "chat/chat.h"
#include "summarize/prompts.h"

struct gateway;

struct asker {
    struct gateway *gateway;
    const char *model;
    const struct caller *who;  // or NULL
    // done of total calls; false cancels
    bool (*progress)(void *self, int done, int total, const char *what);
    void *progress_self;
    // What a call writes while `drafting`, as in summary_options; one call at a time.
    void (*draft)(void *self, struct slice more, bool restart);
    void *draft_self;
    bool (*turn)(void *self, bool wait, struct error *err);  // as in summary_options
    void *turn_self;
    bool drafting, drafted;  // something was told
    int done, total;
    const char *what;
    int64_t frame_tokens;  // of a message without text: count_frame()
    int64_t prompt_tokens, completion_tokens, bytes_sent, cost_picousd;  // of all attempts
    int64_t drafted_tokens, accepted_tokens;
    int64_t first_ns;  // when the text began of the attempt that ended last; 0: it had none
};

struct call {
    struct prompt prompt;  // what it points to outlives the call
    int max_tokens;        // room of the first attempt
    int max_room;          // and of the second, if the first was cut
    // results
    struct buf text;     // empty if it failed
    bool cut;            // both attempts ended by their length, or where they began to repeat
    bool looped;         // it is the latter
    struct error error;  // code 0: it has an answer
    int attempts;
};

// Tokens of the whole prompt as the model's template renders it; or what a text adds to a prompt,
// with all that the template puts into it (for a text of more than 64 KiB, by its start).
// count_frame() comes first.
bool count_frame(struct asker *c, struct error *err);
bool count_prompt(const struct asker *c, const struct prompt *p, int64_t *n, struct error *err);
bool count_text(const struct asker *c, struct slice text, int64_t *n, struct error *err);

// Runs all calls. False with err only when cancelled, or when their turn does not come; what else
// goes wrong is in the calls.
bool calls_run(struct asker *c, struct call *calls, size_t n, struct error *err);
