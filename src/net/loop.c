// loop.c - epoll and curl_multi_socket_action.
#include "net/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/system.h"

enum { EVENTS_AT_ONCE = 64, CURL_AT_ONCE = 16, CONNECTIONS_KEPT = 1024, LONGEST_WAIT_MS = 60000 };

struct loop {
    _Atomic(struct loop_task *) tasks;  // a stack: the last that was woken first
    atomic_bool sleeps, stop;
    int epoll, event;
    CURLM *multi;
    int64_t curl_at_ns;  // when libcurl wants to be called; -1: it does not
    struct timers timers;
    struct loop_fd *watched;  // few
    pthread_t thread;
    pthread_mutex_t lock;  // of calls
    pthread_cond_t called;
};

// libcurl tells which sockets it waits for.
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *self, void *known)
{
    struct loop *l = self;
    struct epoll_event e = {.data.fd = fd};
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, &e);
        return 0;
    }
    if (what & CURL_POLL_IN)
        e.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        e.events |= EPOLLOUT;
    int code = epoll_ctl(l->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e);
    if (code && (errno == EEXIST || errno == ENOENT))
        code = epoll_ctl(l->epoll, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &e);
    if (!known)
        (void)curl_multi_assign(l->multi, fd, l);
    return code ? -1 : 0;
}

static int on_timeout(CURLM *multi, long ms, void *self)
{
    struct loop *l = self;
    (void)multi;
    l->curl_at_ns = ms < 0 ? -1 : clock_ns() + ms * INT64_C(1000000);
    return 0;
}

static bool run_tasks(struct loop *l)
{
    struct loop_task *t = atomic_exchange(&l->tasks, NULL), *in_order = NULL;
    if (!t)
        return false;
    while (t) {
        struct loop_task *next = t->next;
        t->next = in_order;
        in_order = t;
        t = next;
    }
    while (in_order) {
        t = in_order;
        in_order = t->next;
        atomic_store(&t->queued, false);
        t->run(t);
    }
    return true;
}

static void fire_timers(struct loop *l)
{
    struct timer *t = timers_first(&l->timers);
    int64_t now = t ? clock_ns() : 0;
    while (t && t->at_ns <= now) {
        timers_unset(&l->timers, t);
        t->fire(t);
        t = timers_first(&l->timers);
    }
}

static void end_transfers(struct loop *l)
{
    int n_left;
    for (CURLMsg *m; (m = curl_multi_info_read(l->multi, &n_left)) != NULL;) {
        char *private = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode code = m->data.result;
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &private);
        struct loop_transfer *t = (struct loop_transfer *)(void *)private;
        t->done(t, (int)code);
    }
}

static void call_curl(struct loop *l)
{
    int n_running;
    for (int i = 0; i < CURL_AT_ONCE && l->curl_at_ns >= 0 && clock_ns() >= l->curl_at_ns; i++) {
        l->curl_at_ns = -1;  // libcurl sets it again where it wants to
        (void)curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
        end_transfers(l);
    }
}

static int wait_ms(const struct loop *l)
{
    const struct timer *t = timers_first(&l->timers);
    int64_t now = clock_ns(), ns = LONGEST_WAIT_MS * INT64_C(1000000);
    if (t && t->at_ns - now < ns)
        ns = t->at_ns - now;
    if (l->curl_at_ns >= 0 && l->curl_at_ns - now < ns)
        ns = l->curl_at_ns - now;
    return ns <= 0 ? 0 : (int)((ns + 999999) / 1000000);
}

// Sleeps until there is something to do, or says at once that there is.
static int wait_events(struct loop *l, struct epoll_event *events)
{
    int ms = wait_ms(l);
    atomic_store(&l->sleeps, true);
    if (atomic_load(&l->tasks) || atomic_load(&l->stop))
        ms = 0;
    int n = epoll_wait(l->epoll, events, EVENTS_AT_ONCE, ms);
    atomic_store(&l->sleeps, false);
    return n;
}

static struct loop_fd *find_watched(const struct loop *l, int fd)
{
    struct loop_fd *f = l->watched;
    while (f && f->fd != fd)
        f = f->next;
    return f;
}

static void take_event(struct loop *l, const struct epoll_event *e)
{
    int n_running, what = 0;
    uint64_t n;
    if (e->data.fd == l->event) {
        (void)!read(l->event, &n, sizeof n);
        return;
    }
    struct loop_fd *watched = find_watched(l, e->data.fd);
    if (watched) {
        watched->ready(watched);
        return;
    }
    if (e->events & (EPOLLIN | EPOLLHUP))
        what |= CURL_CSELECT_IN;
    if (e->events & EPOLLOUT)
        what |= CURL_CSELECT_OUT;
    if (e->events & EPOLLERR)
        what |= CURL_CSELECT_ERR;
    (void)curl_multi_socket_action(l->multi, e->data.fd, what, &n_running);
}

static void *loop_main(void *self)
{
    struct loop *l = self;
    struct epoll_event events[EVENTS_AT_ONCE];
    while (!atomic_load(&l->stop)) {
        int n = wait_events(l, events);
        for (int i = 0; i < n; i++)
            take_event(l, &events[i]);
        end_transfers(l);
        do {
            fire_timers(l);
            call_curl(l);
        } while (run_tasks(l));
    }
    return NULL;
}

static bool open_all(struct loop *l)
{
    struct epoll_event e = {.events = EPOLLIN};
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    e.data.fd = l->event;
    // Safe to call again, and from several threads, with every libcurl since 7.84.
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return false;
    l->multi = curl_multi_init();
    if (l->epoll < 0 || l->event < 0 || !l->multi ||
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->event, &e) != 0)
        return false;
    (void)curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
    (void)curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    (void)curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
    (void)curl_multi_setopt(l->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
    return true;
}

static void close_all(struct loop *l)
{
    if (l->multi)
        (void)curl_multi_cleanup(l->multi);
    if (l->epoll >= 0)
        (void)close(l->epoll);
    if (l->event >= 0)
        (void)close(l->event);
    timers_release(&l->timers);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->called);
    free(l);
}

struct loop *loop_new(struct error *err)
{
    struct loop *l = memory_array(struct loop, 1);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->called, NULL);
    l->epoll = l->event = -1;
    l->curl_at_ns = -1;
    if (!open_all(l)) {
        close_all(l);
        error_set(err, ERR_INTERNAL, "libcurl and epoll cannot be set up");
        return NULL;
    }
    // Without signals: a connection that broke must not raise SIGPIPE either.
    int code = system_thread_start(&l->thread, loop_main, l);
    if (code) {
        close_all(l);
        error_set(err, ERR_IO, "start the thread of transfers: %s", strerror(code));
        return NULL;
    }
    (void)pthread_setname_np(l->thread, "hearth-net");
    return l;
}

static void wake_thread(struct loop *l)
{
    uint64_t one = 1;
    if (atomic_exchange(&l->sleeps, false))
        (void)!write(l->event, &one, sizeof one);
}

static void stop(void *self)
{
    struct loop *l = self;
    atomic_store(&l->stop, true);
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    loop_call(l, stop, l);  // behind all that was woken before
    pthread_join(l->thread, NULL);
    close_all(l);
}

bool loop_wake(struct loop *l, struct loop_task *t)
{
    if (atomic_exchange(&t->queued, true))
        return false;
    t->next = atomic_load(&l->tasks);
    while (!atomic_compare_exchange_weak(&l->tasks, &t->next, t))
        continue;
    wake_thread(l);
    return true;
}

struct call {
    struct loop_task task;  // first
    struct loop *loop;
    void (*fn)(void *self);
    void *self;
    bool over;
};

static void run_call(struct loop_task *t)
{
    struct call *c = (struct call *)t;
    struct loop *l = c->loop;
    c->fn(c->self);
    pthread_mutex_lock(&l->lock);
    c->over = true;  // from here on it may be gone
    pthread_cond_broadcast(&l->called);
    pthread_mutex_unlock(&l->lock);
}

void loop_call(struct loop *l, void (*fn)(void *self), void *self)
{
    struct call c = {.task.run = run_call, .loop = l, .fn = fn, .self = self};
    if (loop_here(l)) {
        fn(self);
        return;
    }
    (void)loop_wake(l, &c.task);
    pthread_mutex_lock(&l->lock);
    while (!c.over)
        pthread_cond_wait(&l->called, &l->lock);
    pthread_mutex_unlock(&l->lock);
}

void *loop_multi(struct loop *l)
{
    return l->multi;
}

void loop_timer_set(struct loop *l, struct timer *t, int64_t at_ns)
{
    timers_set(&l->timers, t, at_ns);
}

void loop_timer_unset(struct loop *l, struct timer *t)
{
    timers_unset(&l->timers, t);
}

bool loop_here(const struct loop *l)
{
    return pthread_equal(pthread_self(), l->thread);
}

bool loop_watch(struct loop *l, struct loop_fd *f, struct error *err)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = f->fd};
    assert(loop_here(l));
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, f->fd, &e) != 0)
        return error_set(err, ERR_IO, "watch a socket: %s", strerror(errno));
    f->next = l->watched;
    l->watched = f;
    return true;
}

void loop_unwatch(struct loop *l, struct loop_fd *f)
{
    struct epoll_event e = {0};
    assert(loop_here(l));
    (void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, f->fd, &e);
    for (struct loop_fd **at = &l->watched; *at; at = &(*at)->next)
        if (*at == f) {
            *at = f->next;
            return;
        }
}
