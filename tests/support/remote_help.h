// remote_help.h - a small client of a vendor that does not exist, and a sink that writes down what
// comes.
//
// The vendor's events are words: "t:TEXT" a text, "f" its end, "u:P,C" usage, "e:busy" and "e:bad"
// failures, "end" the end of all. A whole answer is such words, a line each.
#pragma once
#include <pthread.h>
#include <stdbool.h>

#include "base/buf.h"
#include "chat/chat.h"
#include "dialects/client.h"
#include "providers/remote.h"

extern const struct dialect_client client_of_words;

struct remote_log {  // zeroed but for what a test sets
    int fill;        // full after so many events, until remote_log_empty; 0: never
    // what came, under lock: a line for each event, and the last "closed"
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct buf text;
    struct error error;
    struct chat_usage usage;
    int n_events, n_since;
    bool closed;
};
void remote_log_init(struct remote_log *l);
void remote_log_release(struct remote_log *l);
struct chat_sink remote_log_sink(struct remote_log *l);
void remote_log_empty(struct remote_log *l);  // there is room again
void remote_log_wait(struct remote_log *l);   // until it was closed
void remote_log_wait_events(struct remote_log *l, int n);

// A request with one message of this text.
struct remote_ask {
    struct chat_request req;
    struct chat_message message;
};
void remote_ask_init(struct remote_ask *a, const char *text);
