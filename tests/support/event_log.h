// event_log.h - the events of an answer as lines of text, each choice's together, so that answers
// can be compared however their texts were cut.
//
// "text 0 \"hi\"", "thought 0 \"hm\"", "call 0.1 ID NAME", "args 0.1 \"{}\"", "blob 0 VENDOR JSON",
// "media 0 image/png BASE64 JSON", "tokens 0 N", "embedding 0 0.6 -0.8", "finish 0 stop \"END\""
// (with `words` also "VENDOR WORD: TEXT"), and last "usage PROMPT CACHED 5M 1H COMPLETION
// REASONING".
#pragma once
#include "base/buf.h"
#include "chat/chat.h"

enum { EVENT_LOG_CHOICES = 8 };
struct event_log {
    struct buf choices[EVENT_LOG_CHOICES], text[EVENT_LOG_CHOICES], usage, all;
    enum chat_event_kind kind[EVENT_LOG_CHOICES];  // of the run in text
    int tool[EVENT_LOG_CHOICES];
    int n_events, n_usage, n_finish;
    bool words;  // the vendor's own of ends are shown
};
void event_log_push(void *log, const struct chat_event *e);
struct chat_sink event_log_sink(struct event_log *l);
const char *event_log_text(struct event_log *l);
void event_log_release(struct event_log *l);
