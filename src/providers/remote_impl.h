// remote_impl.h - what the files of the remote provider share.
//
// An answer is owned by the thread of transfers (net/loop.h), which asks, reads and pushes; others
// only set its flags and wake it. Its memory goes when its owner has freed it and the thread has
// done with it, whichever is later: a wake that is still queued holds it too.
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "dialects/client.h"
#include "net/breaker.h"
#include "net/loop.h"
#include "net/post.h"
#include "net/sse.h"
#include "providers/remote.h"

enum {
    REMOTE_SAMPLES = 31,            // of which speeds are the median
    REMOTE_WHOLE_MAX = 128 << 20,   // bytes of an answer in one piece
    REMOTE_STREAM_MAX = 256 << 20,  // of all of a stream
    REMOTE_ERROR_MAX = 64 << 10,    // that is read of an error
    REMOTE_HELD_MAX =
        4 << 20,             // HTTP/2: kept for a sink that is full, before the stream is held up
    REMOTE_PATIENCE_S = 30,  // a vendor that wants to be left alone for longer is not waited for
    REMOTE_WHOLE_FIRST = 5,  // not streamed: so many times the limit of the first byte
};

struct remotes {
    struct loop *loop;
    pthread_mutex_t lock;  // of every answer's `over`
    pthread_cond_t ended;
};

struct remote_samples {
    int64_t ns[REMOTE_SAMPLES];
    int n, next;
};

struct remote_health {
    struct post_endpoint *endpoint;  // NULL: it is not checked
    char *origin, *path;
    int64_t every_ns;
    // The thread's.
    struct post post;
    struct timer timer;
    bool asking;
    int status;
    int n_failures;  // in a row
};

struct remote {
    struct provider provider;  // first
    struct remotes *all;
    char *name;
    const struct dialect_client *client;
    struct secret *key_line;
    struct post_endpoint *endpoint;
    int64_t first_ns, between_ns, total_ns;
    int retries;
    atomic_int n_running;
    struct remote_health health;
    pthread_mutex_t lock;  // of what follows; held for moments
    struct breaker breaker;
    bool sick;  // as health says
    struct remote_samples first, per_token;
};

enum remote_phase {
    REMOTE_NEW,    // nothing was done yet
    REMOTE_ASKS,   // a transfer runs
    REMOTE_WAITS,  // for the next try
    REMOTE_HOLDS,  // the transfer has ended, but not all of it was pushed
    REMOTE_OVER,
};
enum remote_mode { REMOTE_NO_HEAD, REMOTE_STREAM, REMOTE_WHOLE, REMOTE_REFUSAL };

struct answer {
    struct loop_task task;  // first
    struct remote *remote;
    struct remotes *all;
    atomic_int refs;
    atomic_bool cancelled;
    bool over;  // under the remotes' lock
    // The rest is the thread's.
    struct chat_request req;
    struct chat_sink sink;
    struct client_request wire;
    struct post post;
    struct timer timer;
    enum remote_phase phase;
    enum breaker_pass pass;
    int n_tries;
    int64_t begun_ns, asked_ns, last_ns, first_event_ns;
    int64_t until_ns;  // by then it has ended
    bool until_is_deadline;
    // of the present try
    enum remote_mode mode;
    int status;
    int64_t retry_after_s;
    int64_t n_read;
    int64_t bytes_received;  // of all tries
    int64_t sent_before;     // of bodies, by the tries before it
    bool stated;             // the vendor told of a failure at the end of a stream
    bool cut;                // it was lost or given up while the vendor may have been at work
    struct sse sse;
    struct buf whole;
    bool paused;
    struct buf held;     // what came while the sink was full
    struct error error;  // why we stopped reading; the last try's
    enum post_outcome outcome;
    struct error lost;
    // of what was pushed
    bool pushed, quiet, told_usage;
    struct chat_usage usage;    // the vendor's
    struct chat_usage earlier;  // what it told of tries that were followed by another
    int64_t text_bytes;
    bool *finished;  // [n_choices]
    int n_choices;
    void *state;  // the client's
};

// remote_answer.c
struct answer *remote_start(struct remote *r, const struct chat_request *req,
                            struct provider_flow flow, struct chat_sink sink, struct error *err);
void remote_wait(struct answer *a);
void remote_cancel(struct answer *a);
void remote_resume(struct answer *a);
void remote_answer_free(struct answer *a);
// The try is over, and all of it was read: an end, or another try.
void remote_conclude(struct answer *a);
void remote_arm(struct answer *a);  // sets the timer to the next limit

// remote_read.c: what comes of one try
void remote_read_begin(struct answer *a);
bool remote_on_head(void *self, const struct post_head *head);
enum post_take remote_on_body(void *self, struct slice bytes);
void remote_unpause(struct answer *a);   // the sink has room; may end the try
bool remote_read_all(struct answer *a);  // what a stream's end still holds; false: it is malformed

// remote_push.c
struct chat_sink remote_sink(struct answer *a);  // the client's events on their way to the sink
// What the vendor has to be paid for, as far as is known; `whole`: the answer came to its end.
struct chat_usage remote_usage(const struct answer *a, bool whole);
void remote_keep_usage(struct answer *a);  // of a try that another follows
void remote_push_usage(struct answer *a, bool whole);
void remote_push_cancelled(struct answer *a);  // CHAT_FINISH of what had not ended
bool remote_full(struct answer *a);

// remote.c: of an origin, scheme://host, maybe with a port
bool remote_is_loopback(const char *origin);

// remote_health.c
bool remote_health_start(struct remote *r, const struct remote_options *o, const char *origin,
                         struct error *err);
void remote_health_stop(struct remote *r);

// remote_speed.c: the breaker and speeds, with the lock that they need
enum breaker_pass remote_ask(struct remote *r, int64_t *left_ns);
void remote_told(struct answer *a, enum breaker_outcome outcome);  // of the present try, once
void remote_first_event(struct answer *a);
void remote_ended_well(struct answer *a);
