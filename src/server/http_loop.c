// http_loop.c - libmicrohttpd's daemon without a thread of its own, on a loop (net/loop.h).
//
// The daemon's epoll set is one file descriptor of the loop's. Without a thread it does not notice
// that a connection was resumed: who does that wakes the loop.
#include "base/clock.h"
#include "base/error.h"
#include "server/impl.h"

enum { TURNS_MAX = 16, NS_A_MS = 1000000 };

static struct server *server_of(void *part, size_t offset)
{
    return (struct server *)(void *)((char *)part - offset);
}

// Until it has nothing to do at once; then it says when it wants to be called.
static void run_daemon(struct server *s)
{
    MHD_UNSIGNED_LONG_LONG ms = 0;
    for (int i = 0; i < TURNS_MAX; i++) {
        (void)MHD_run(s->daemon);
        if (MHD_get_timeout(s->daemon, &ms) != MHD_YES) {
            loop_timer_unset(s->http.loop, &s->http.timer);
            return;
        }
        if (ms > 0)
            break;
    }
    loop_timer_set(s->http.loop, &s->http.timer, clock_ns() + (int64_t)ms * NS_A_MS);
}

static void on_ready(struct loop_fd *f)
{
    run_daemon(server_of(f, offsetof(struct server, http.fd)));
}

static void on_resumed(struct loop_task *t)
{
    run_daemon(server_of(t, offsetof(struct server, http.resumed)));
}

static void on_timer(struct timer *t)
{
    run_daemon(server_of(t, offsetof(struct server, http.timer)));
}

struct started {
    struct server *s;
    struct error *err;
    bool ok;
};

static void start_here(void *self)
{
    struct started *st = self;
    struct server *s = st->s;
    st->ok = loop_watch(s->http.loop, &s->http.fd, st->err);
    if (st->ok)
        run_daemon(s);
}

bool http_loop_start(struct server *s, struct error *err)
{
    struct http_loop *h = &s->http;
    const union MHD_DaemonInfo *i = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct started st = {.s = s, .err = err};
    h->loop = s->options.loop;
    h->own = !h->loop;
    if (h->own)
        h->loop = loop_new(err);
    h->fd = (struct loop_fd){.fd = i ? i->epoll_fd : -1, .ready = on_ready};
    h->timer.fire = on_timer;
    h->resumed.run = on_resumed;
    if (h->loop)
        loop_call(h->loop, start_here, &st);
    if (st.ok)
        return true;
    MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
    if (h->own)
        loop_free(h->loop);
    return false;
}

void http_loop_wake(struct server *s)
{
    (void)loop_wake(s->http.loop, &s->http.resumed);
}

static void stop_here(void *self)
{
    struct server *s = self;
    loop_unwatch(s->http.loop, &s->http.fd);
    loop_timer_unset(s->http.loop, &s->http.timer);
    MHD_stop_daemon(s->daemon);
}

void http_loop_stop(struct server *s)
{
    loop_call(s->http.loop, stop_here, s);
    if (s->http.own)
        loop_free(s->http.loop);
}
