// impl.h - what the server's files share; nobody else includes it.
//
// http.c speaks to libmicrohttpd, framing.c refuses what that lets pass, auth.c knows who asks,
// exchange.c is one request with its answer, watch.c knows every socket, work.c reads requests and
// starts answers, routes.c answers what needs no model, web_page.c is the web page, state.c what
// that shows of the engine, metrics.c counts, loading.c has requests wait for their models,
// account_headers.c tells what a key may still do, routes_admin.c is the administrators' API,
// access_log.c writes a line for each request, server.c builds it all.
#pragma once
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/queue.h"
#include "dialects/answer.h"
#include "dialects/dialect.h"
#include "net/loop.h"
#include "gateway/caller.h"
#include "server/metrics.h"
#include "server/server.h"
#include "server/watch.h"

enum server_state { SERVER_STARTING, SERVER_READY, SERVER_DRAINING };
enum {
    UNSENT_BYTES_MAX = 4 << 10,          // of one answer; then its sequence waits
    BODIES_BYTES_MAX = 512 << 20,        // of all requests that are being read
    CONNECTION_MEMORY_BYTES = 16 << 10,  // request line and headers, and what is sent at once
    N_WORKERS = 8,
    N_PATIENT = 4,  // workers for what takes long
    PATIENT_JOBS_MAX = 64,
    LOADING_MAX = 256,  // requests that wait for models to be loaded
    REQUEST_ID_BYTES = 128 + 1,
    TRACE_BYTES = 55 + 1,
};

// The daemon on its thread (http_loop.c).
struct http_loop {
    struct loop *loop;
    bool own;           // made here
    struct loop_fd fd;  // the three that wake it
    struct loop_task resumed;
    struct timer timer;
};

struct exchange;
struct loading {  // requests that wait for their models (loading.c)
    pthread_mutex_t lock;
    pthread_cond_t changed, let;  // let: a thread that waits goes on
    pthread_t thread;
    struct exchange *first, *last;
    int n;
    bool started, stop;
};
struct server {
    struct server_options options;
    char *host;
    struct gateway *gateway;
    struct MHD_Daemon *daemon;
    struct http_loop http;
    struct watch watch;
    struct metrics metrics;
    struct queue jobs, long_jobs;  // exchanges for the workers
    pthread_t workers[N_WORKERS + N_PATIENT];
    atomic_int state;
    atomic_llong body_bytes;  // of all requests that are being read
    atomic_ullong next_id;
    atomic_bool allow_vendors;   // see server_options
    atomic_bool told_query_key;  // the warning was given
    uint64_t id_salt;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int n_active;  // exchanges; under lock
    struct loading loading;
};

// exchange.c

struct reply_header {
    const char *name, *value;
};
struct target {  // of the request's line, as it came (framing.c)
    size_t n_bytes;
    size_t n_origin;   // those before the path, of "http://HOST/path"; else 0
    const char *host;  // HOST; then it counts, and the header does not; or NULL
    bool bad;
};
struct exchange {
    struct server *server;
    struct watched *socket;
    int64_t begun_ns, first_ns, ended_ns;
    char id[REQUEST_ID_BYTES], trace[TRACE_BYTES];
    char method[16];
    struct arena arena;
    struct target target;
    const char *path;    // percent-decoded, in the arena
    const char *allow;   // of a path that is there for other methods: these; else NULL
    struct slice query;  // in the arena; never logged
    // What to do: a dialect's route, or one of our own.
    const struct dialect *dialect;  // also for errors of what has none
    const struct dialect_route *route;
    const struct own_route *own;
    struct slice matched;
    bool headers_seen, refused, dispatched;
    // Who asks (auth.c): the key, in the arena, or NULL; and what the gateway tells before the head
    // is ready.
    const struct ledger_key *key;
    struct caller caller;
    struct caller_told told;
    struct buf body;
    // The worker's, then the sink's.
    json_t *json;
    struct dialect_call call;
    bool listed;                   // the call's model is in the list of models
    struct dialect_answer answer;  // of whole answers
    bool streaming;
    enum chat_finish finish;  // of choice 0, for the log
    struct chat_usage usage;
    atomic_int n_refs;  // the connection's, a worker's, the answer's, the watcher's for moments
    int64_t deadline_ns;
    // Shared, under the lock.
    pthread_mutex_t lock;
    struct MHD_Connection *connection;  // NULL once it is completed
    bool suspended;
    bool gone;                  // the client is not there any more, or must not be waited for
    bool taken;                 // all of the answer is in the HTTP library's hands
    bool left;                  // the client went before that, or was not there for all of it
    bool cancelled;             // the answer shall end
    bool head_ready;            // status and type are settled: the response may begin
    bool ended;                 // nothing more comes into out
    int status, retry_after_s;  // seconds: of a refusal that may be tried again; 0: unknown
    bool hopeless;              // a refusal that another try does not change
    const char *type;
    const struct reply_header *headers;  // further ones, in the arena, up to a NULL name; or NULL
    struct buf out;
    size_t n_sent;                  // bytes of out that were taken
    bool starved;                   // the answer waits until the client has taken enough
    bool closed;                    // the answer is over, and nobody holds it
    struct gateway_answer *handle;  // from its start until it is closed
    // While it waits for its model, under the lock of loading.c.
    const char *loading_model;    // the gateway's
    struct loading_guest *guest;  // a thread of its own waits too; or NULL
    struct exchange *next_loading;
    int64_t loading_until_ns;
};

struct exchange *exchange_new(struct server *s);
void exchange_hold(struct exchange *x);
void exchange_drop(struct exchange *x);  // frees with the last reference
void exchange_gone(struct exchange *x);  // the client left: the answer is cancelled
void exchange_cancel(struct exchange *x);
bool exchange_is_gone(struct exchange *x);  // nobody waits for what is being made
// More of a stream of call.stream_type, by a route of our own that has not replied; `last` ends it.
void exchange_send(struct exchange *x, struct slice bytes, bool last);
// The whole answer, an error or not: for anybody who has not begun one. `type` is a constant.
void exchange_reply(struct exchange *x, int status, const char *type, struct slice body);
void exchange_refuse(struct exchange *x, struct dialect_error *err);
struct chat_sink exchange_sink(struct exchange *x);
// When the client is not waited for any more: its answer has ended by its own deadline, and the
// client was told so.
int64_t exchange_last(const struct exchange *x);
// With the lock held, when bytes of `out` were taken: gives back what it does not need, and lets
// the answer go on.
void exchange_taken(struct exchange *x);
void exchange_started(struct exchange *x, struct gateway_answer *handle);  // NULL: it failed

// http.c
bool http_listen(struct server *s, struct error *err);
void http_close(struct server *s);       // no exchange is active any more
int64_t http_deadline(int seconds);      // so far from now
void exchange_wake(struct exchange *x);  // with its lock held: the HTTP thread looks again

// The first line of this name; NULL: it has none.
const char *http_header(const struct exchange *x, const char *name);
// Every line of this name, until one is not taken; false then.
bool http_header_lines(const struct exchange *x, const char *name,
                       bool (*take)(void *self, const char *value), void *self);

// framing.c
void framing_line(struct exchange *x, const char *uri);  // the line is there: sets target
const char *framing_path(const struct exchange *x, const char *url);
// With the headers. False with err: they leave open what the request is or where it ends.
bool framing_check(struct exchange *x, const char *url, const char *method, const char *version,
                   struct dialect_error *err);

// auth.c: sets caller. False with err: who asks must not.
bool auth_check(struct exchange *x, struct dialect_error *err);

// account_headers.c: of an answer whose head is ready.
void account_headers(const struct exchange *x, struct MHD_Response *r);

// http_loop.c
// Runs the daemon, which has no thread, on the loop. False with err.
bool http_loop_start(struct server *s, struct error *err);
void http_loop_wake(struct server *s);  // a connection was resumed, by any thread
void http_loop_stop(struct server *s);  // and the daemon with it

// work.c
// For the HTTP thread: reads and starts a request that is small and only passes through to a
// vendor, where nothing waits. False: a worker shall go on with what was read.
bool work_at_once(struct exchange *x);
// Whether there is memory for a request and so many bytes more. Where it runs out the process ends
// (memory.h), and everybody's answers with it: so it is looked for where a request takes much.
bool work_has_room(size_t bytes, struct dialect_error *err);
void *worker_main(void *server);   // takes from jobs
void *patient_main(void *server);  // takes from long_jobs
// The id of the model that a name means. NULL with err: there is none, or who asks may not use it.
const char *work_model(struct exchange *x, const char *name, struct error *err);

// loading.c
void loading_init(struct loading *l);
void loading_release(struct loading *l);
bool loading_start(struct server *s);
void loading_stop(struct server *s);
// Whether the request goes on now. Else it comes back to a worker, from the beginning but for its
// JSON, when its model is there, or was refused.
bool loading_ready(struct exchange *x, const char *model);
// Waits on the caller's thread, for who has begun already and goes on. False with err.
bool loading_wait(struct exchange *x, const char *model, struct error *err);
void loading_expire(struct server *s);  // refuses those that have waited too long; now and then

// routes.c: our own routes beside those of the dialects; NULL if the path is none.
enum route_kind {
    ROUTE_WORK,     // by a worker, with the body parsed
    ROUTE_AT_ONCE,  // by the HTTP thread: takes no time
    // Like ROUTE_WORK, by one of the N_PATIENT workers that nobody else waits for: it may take
    // minutes, and should end when exchange_is_gone says so.
    ROUTE_LONG,
    ROUTE_LONG_BARE,  // the same, and no body is wanted
};
enum route_access {
    ACCESS_KEY,      // any key; everybody while there are none
    ACCESS_OPEN,     // always everybody
    ACCESS_METRICS,  // a key that may use every model; or server_options.metrics_open: everybody
    ACCESS_ADMIN,    // an administrator's key; nobody while there are none
};
struct own_route {
    const char *method, *path;  // a '*' at the end stands for one or more characters
    enum route_kind kind;
    enum route_access access;
    void (*answer)(struct exchange *x);
};
// `matched` is what '*' stands for.
const struct own_route *routes_find(const char *method, const char *path, struct slice *matched);
// A dialect's list of models, or one of them: takes no time either.
bool routes_is_list(const struct dialect_route *r);
// Of a request whose route was found. Three vendors have their lists at /v1/models: there the one
// whose headers came is meant.
const struct dialect *routes_list_of(const struct exchange *x);
void routes_models(struct exchange *x);

// web_page.c: the files of the web page; NULL if the path is none.
const struct own_route *web_page_route(const char *path);

// state.c
void routes_state(struct exchange *x);

// routes_admin.c
void routes_admin_create(struct exchange *x);
void routes_admin_keys(struct exchange *x);
void routes_admin_revoke(struct exchange *x);
void routes_admin_usage(struct exchange *x);
void routes_admin_health(struct exchange *x);

// routes_tokens.c
void routes_tokenize(struct exchange *x);
void routes_detokenize(struct exchange *x);

// routes_summaries.c
void routes_summaries(struct exchange *x);

// access_log.c
void access_log(const struct exchange *x);  // at its very end
