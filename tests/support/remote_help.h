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
#include "script_server.h"

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

#define REMOTE_WHOLE "data: t:hello\n\ndata: f\n\ndata: u:7,3\n\ndata: end\n\n"
#define REMOTE_WHOLE_LOG "text hello\nfinish\nusage 7 3\ndone\nclosed\n"
#define REMOTE_ERROR_LOG "error\nclosed\n"

// What a server does with its first n requests; then all is well: REMOTE_WHOLE.
struct remote_plan {
    int n;
    int status;          // 0: it closes the connection; 200: it cuts a stream
    const char *body;    // of the status; NULL: none
    const char *fields;  // of the head; NULL: none
    const char *stream;  // 200: what comes before the cut
};
bool remote_follow_plan(void *plan, struct script_talk *t);

// A server, a remote that asks it, and the log of the last answer.
struct remote_scene {
    struct script_server server;
    struct remotes *all;
    struct provider *remote;
    struct remote_ask ask;  // "how are you"; lives as long as its answers
    struct remote_log log;
};
struct remote_options remote_scene_options(void);  // "acme", without retries
void remote_scene_open(struct remote_scene *s, bool (*serve)(void *self, struct script_talk *t),
                       void *self, const struct remote_options *with);
void remote_scene_close(struct remote_scene *s);
// The whole of one answer, in s->log, which is released by its caller.
const char *remote_scene_answer(struct remote_scene *s, bool stream);
struct answer *remote_scene_start(struct remote_scene *s, struct remote_log *log,
                                  struct error *err);
