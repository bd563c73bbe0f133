// several.h - one request with several prompts: an answer for each, one stream of events for all.
//
// As many run at once as make SEVERAL_SEQUENCES sequences, at least one; the others begin as these
// end, on the thread that an ending answer's events come from. All are one flow, so that a request
// with many prompts gets one request's share of the engine. Before the first begins, all are
// counted: one that does not fit refuses the request. The first that fails ends the others.
// Memory: what runs, and a few words for each prompt. Threads: any; events are pushed by one thread
// at a time, each prompt's in order; USAGE, the sum, and DONE or ERROR come last, once. No answer
// holds a thread: a sink that is full pauses them all.
#pragma once
#include <stdbool.h>

#include "chat/chat.h"
#include "providers/provider.h"

struct error;
struct several;

enum { SEVERAL_SEQUENCES = 16 };

// What the request points to lives until DONE or ERROR. NULL with err, and no event was pushed.
struct several *several_start(struct provider *p, const struct chat_request *req,
                              struct provider_flow flow, struct chat_sink sink, struct error *err);
// As the provider's own (providers/provider.h).
void several_wait(struct several *s);
void several_cancel(struct several *s);
void several_resume(struct several *s);
// Of one that has not ended: cancels it and waits. NULL is fine.
void several_free(struct several *s);
