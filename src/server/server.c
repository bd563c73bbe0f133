// server.c - builds the server's parts, drains them, and takes them down in reverse.
#include "server/server.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "ledger/ledger.h"
#include "server/impl.h"

enum { LAST_WORDS_S = 5, LOOK_MS = 50 };

static void set_defaults(struct server_options *o)
{
    if (!o->timeout_s)
        o->timeout_s = 60;
    if (!o->answer_s)
        o->answer_s = 3600;
    if (!o->body_bytes)
        o->body_bytes = 32 << 20;
    if (!o->queue_max)
        o->queue_max = 8192;
    if (!o->load_wait_s)
        o->load_wait_s = 120;
}

static void stop_threads(struct server *s, int n)
{
    queue_close(&s->jobs);
    queue_close(&s->long_jobs);
    loading_stop(s);
    for (int i = 0; i < n; i++)
        pthread_join(s->workers[i], NULL);
}

static bool start_threads(struct server *s, struct error *err)
{
    int n = 0;
    while (n < N_WORKERS + N_PATIENT &&
           pthread_create(&s->workers[n], NULL, n < N_WORKERS ? worker_main : patient_main, s) == 0)
        n++;
    if (n == N_WORKERS + N_PATIENT && loading_start(s))
        return true;
    stop_threads(s, n);
    return error_set(err, ERR_IO, "start the server's threads");
}

static void release(struct server *s)
{
    queue_release(&s->jobs);
    queue_release(&s->long_jobs);
    loading_release(&s->loading);
    metrics_release(&s->metrics);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    free(s->host);
    free(s);
}

struct server *server_open(struct gateway *g, const struct server_options *o, struct error *err)
{
    struct server *s = memory_array(struct server, 1);
    pthread_condattr_t monotonic;
    s->options = *o;
    set_defaults(&s->options);
    s->gateway = g;
    atomic_init(&s->allow_vendors, o->allow_vendors);
    s->host = memory_text(o->host);
    // Requests of several servers are in one ledger, so their ids must not be the same.
    if (getrandom(&s->id_salt, sizeof s->id_salt, 0) != sizeof s->id_salt)
        s->id_salt = hash_mix((uint64_t)clock_ns()) ^ (uint64_t)time(NULL) << 20;
    queue_init(&s->jobs, (size_t)s->options.queue_max);
    queue_init(&s->long_jobs, PATIENT_JOBS_MAX);
    loading_init(&s->loading);
    metrics_init(&s->metrics);
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (o->ledger)
        ledger_bound_waiters(o->ledger, N_WORKERS / 2);
    if (!watch_init(&s->watch, s, err)) {
        release(s);
        return NULL;
    }
    bool threads = start_threads(s, err);
    if (threads && http_listen(s, err))
        return s;
    if (threads)
        stop_threads(s, N_WORKERS + N_PATIENT);
    watch_release(&s->watch);
    release(s);
    return NULL;
}

int server_port(const struct server *s)
{
    const union MHD_DaemonInfo *i = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return i ? i->port : 0;
}

void server_allow_vendors(struct server *s, bool allow)
{
    atomic_store(&s->allow_vendors, allow);
}

void server_ready(struct server *s)
{
    int starting = SERVER_STARTING;
    (void)atomic_compare_exchange_strong(&s->state, &starting, SERVER_READY);
}

bool server_draining(const struct server *s)
{
    return atomic_load(&s->state) == SERVER_DRAINING;
}

// Until nothing is active or the time is over; how many there still are.
static int wait_idle(struct server *s, int seconds, bool (*hurry)(void))
{
    int64_t end = http_deadline(seconds);
    pthread_mutex_lock(&s->lock);
    while (s->n_active && clock_ns() < end && !(hurry && hurry())) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += LOOK_MS * 1000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        (void)pthread_cond_timedwait(&s->changed, &s->lock, &until);
    }
    int n = s->n_active;
    pthread_mutex_unlock(&s->lock);
    return n;
}

int server_drain(struct server *s, int seconds, bool (*hurry)(void))
{
    atomic_store(&s->state, SERVER_DRAINING);
    int n = wait_idle(s, seconds, hurry);
    if (n == 0)
        return 0;
    watch_each(&s->watch, exchange_cancel);  // their clients are told
    if (wait_idle(s, LAST_WORDS_S, NULL)) {
        watch_each(&s->watch, exchange_gone);
        watch_shut(&s->watch);
    }
    return n;
}

void server_close(struct server *s)
{
    if (!s)
        return;
    (void)server_drain(s, 0, NULL);
    while (wait_idle(s, LAST_WORDS_S, NULL)) {  // a suspended connection must not be stopped
        watch_each(&s->watch, exchange_gone);
        watch_shut(&s->watch);
    }
    http_close(s);
    stop_threads(s, N_WORKERS + N_PATIENT);
    watch_release(&s->watch);
    release(s);
}
