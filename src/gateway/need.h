// need.h - what of a request decides who can serve it, read from the request alone.
//
// Threads: any; pure.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "chat/chat.h"

struct need {
    // Tokens of the prompt: no tokenizer that knows every byte makes more tokens than there are
    // bytes, and a chat format adds a few for each message; images by IMAGE_TOKENS_MAX. The guess
    // takes three bytes for a token, which prose in most languages needs more of.
    int64_t tokens_most, tokens_guess;
    bool tools, schema, vision;
    uint64_t prefix;  // a hash of what the conversation begins with: its first two messages' texts
};
enum { IMAGE_TOKENS_MAX = 8192, MESSAGE_TOKENS_MAX = 16, REQUEST_TOKENS_MAX = 64 };

void need_of(const struct chat_request *req, struct need *out);
