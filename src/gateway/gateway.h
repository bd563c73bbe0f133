// gateway.h - what happens to a request: authorize, route, reserve, run, settle.
//
// Thin so far: one account, local candidates, no ledger; but server, summarize and chat enter here
// and nowhere else. Threads: any.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "chat/chat.h"
#include "providers/provider.h"

struct error;
struct gateway;
struct gateway_answer;

struct gateway *gateway_new(struct provider *local);  // the provider is borrowed
void gateway_free(struct gateway *g);

bool gateway_describe(struct gateway *g, const char *model, struct model_info *out,
                      struct error *err);
bool gateway_count(struct gateway *g, const struct chat_request *req, int64_t *n, bool *exact,
                   struct error *err);
// NULL with err if no candidate accepts; else every event goes to the sink, DONE or ERROR last.
struct gateway_answer *gateway_start(struct gateway *g, const struct chat_request *req,
                                     struct chat_sink sink, struct error *err);
void gateway_wait(struct gateway_answer *a);
void gateway_cancel(struct gateway_answer *a);
void gateway_answer_free(struct gateway_answer *a);

// The whole answer of choice 0 at once, for callers that do not stream. False with err. `text` is
// appended to; finish and usage may be NULL.
struct buf;
bool gateway_ask(struct gateway *g, const struct chat_request *req, struct buf *text,
                 enum chat_finish *finish, struct chat_usage *usage, struct error *err);
