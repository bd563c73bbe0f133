// gemini_client.h - what the files of Gemini's client share; only gemini_client*.c include it.
#pragma once
#include "dialects/client_impl.h"

struct gemini_client_state {
    struct client_answer answer;  // first
    bool blocked;                 // the prompt was refused
    char failed[48];              // how the vendor's attempt went wrong, or empty
};
bool gemini_client_write(const struct chat_request *req, const char *model,
                         struct client_request *out, struct error *err);
// contents and systemInstruction of the body. False with err.
bool gemini_client_contents(json_t *body, const struct chat_request *req, const char *model,
                            struct error *err);
bool gemini_client_read_event(void *state, struct slice event, struct slice data,
                              struct chat_sink *sink, struct error *err);
bool gemini_client_end(void *state, struct chat_sink *sink, struct error *err);
bool gemini_client_read_response(void *state, struct slice body, struct chat_sink *sink,
                                 struct error *err);
// The failure that {"error":{...}} tells of, with this status or 0.
bool gemini_client_fail(const json_t *body, int status, struct error *out, bool *worth_retrying);
