// fake_provider.h - a provider for tests that counts words as tokens and answers as it is told.
//
// Each answer comes from a thread of its own, as the local provider's do, unless `inside_start`.
// Threads: as a provider; the fields are set before the first call.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "providers/provider.h"

struct fake_provider {
    struct provider provider;  // first
    int context;
    int per_stop;  // tokens that the template adds for each full stop of a message
    bool inside_start;
    // What a prompt is answered with; NULL: the first sentences of its text, as many words as the
    // room allows, at most `words`. False with err fails the answer. `n` counts answers from 0.
    bool (*reply)(void *self, int n, struct slice prompt, int max_tokens, struct buf *out,
                  enum chat_finish *finish, struct error *err);
    void *reply_self;
    int words;
    int refuse_first;  // start fails this often
    int most_allowed;  // start is busy while so many run; 0: never
    // what happened, under lock
    pthread_mutex_t lock;
    pthread_cond_t changed;  // an answer was resumed or cancelled
    int n_started, n_running, most_running, n_too_long;
    struct buf prompts;  // all of them, each followed by a line "%%"
};
void fake_provider_init(struct fake_provider *f, int context);
void fake_provider_release(struct fake_provider *f);
// Tokens as the fake counts them: runs of letters and every other visible character; a run of more
// than 8 bytes is several.
int64_t fake_tokens(struct slice text);
