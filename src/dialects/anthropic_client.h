// anthropic_client.h - what the files of Anthropic's client share; only anthropic_client*.c include
// it.
#pragma once
#include "dialects/client_impl.h"

// What a block of an answer is.
enum anthropic_block {
    ANTHROPIC_OTHER,
    ANTHROPIC_TEXT,
    ANTHROPIC_THINKING,
    ANTHROPIC_TOOL,
    ANTHROPIC_SERVER  // of a tool that the vendor runs
};

struct anthropic_client_state {
    struct client_answer answer;  // first
    enum anthropic_block open;
    bool got_arguments;    // of the call that is open
    struct buf signature;  // of the thoughts that are open
    json_t *block;         // of the vendor's own that is open, or NULL
    struct buf arguments;  // of it, as they come
    int64_t input, cache_read, cache_write, cache_1h;
    bool ended;  // message_stop came
};
bool anthropic_client_write(const struct chat_request *req, const char *model,
                            struct client_request *out, struct error *err);
// system and messages of the body. False with err.
bool anthropic_client_messages(json_t *body, const struct chat_request *req, struct error *err);
bool anthropic_client_read_event(void *state, struct slice event, struct slice data,
                                 struct chat_sink *sink, struct error *err);
bool anthropic_client_read_response(void *state, struct slice body, struct chat_sink *sink,
                                    struct error *err);
// The failure that {"type":"error","error":{...}} tells of, with this status or 0.
bool anthropic_client_fail(const json_t *body, int status, struct error *out, bool *worth_retrying);
