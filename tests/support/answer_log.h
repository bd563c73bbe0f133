// answer_log.h - the events of an answer as text, so that answers can be compared.
//
// One line for each run of events of a kind: "text …", "thought …", "call 0 NAME", "args 0 …".
// Line ends inside are written as \n.
#pragma once
#include "base/buf.h"
#include "chat/chat.h"

struct answer_log {
    struct buf out;
    enum chat_event_kind kind;
    int index;
    bool begun;
    char id[16];
    int n_events;
};
void answer_log_release(struct answer_log *l);
struct chat_sink answer_log_sink(struct answer_log *l);
