// need.h - what of a request decides who can serve it, read from the request alone.
//
// Threads: any; pure.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "chat/chat.h"

struct need {
    // Tokens of the prompt, by whatever tokenizer: at most (providers/remote.h), and a guess that
    // is rather too high, since what is planned with it must fit.
    int64_t tokens_most, tokens_guess;
    bool tools, schema, vision;
    uint64_t prefix;  // a hash of what the conversation begins with: its first two messages' texts
};

void need_of(const struct chat_request *req, struct need *out);
