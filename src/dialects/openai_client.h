// openai_client.h - what the files of OpenAI's client share; only openai_client*.c include it.
#pragma once
#include "dialects/client_impl.h"

struct openai_client_state {
    struct client_answer answer;  // first
    int64_t *call_index;          // [n_choices] the vendor's index of the call that is written
    char **call_id;               // [n_choices] and its id
    bool done;                    // [DONE] came
};
bool openai_client_write(const struct chat_request *req, const char *model,
                         struct client_request *out, struct error *err);
bool openai_client_read_event(void *state, struct slice event, struct slice data,
                              struct chat_sink *sink, struct error *err);
bool openai_client_read_response(void *state, struct slice body, struct chat_sink *sink,
                                 struct error *err);
// The failure that {"error":...} tells of, with this status or 0. `error` may be a text.
bool openai_client_fail(const json_t *body, int status, struct error *out, bool *worth_retrying);
