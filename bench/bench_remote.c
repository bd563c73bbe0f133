// bench_remote.c - what it costs to ask a vendor: time of one request from start to end, CPU time
// of a request among many, and of a chunk among many streams.
//
//   bench_remote [STREAMS [REQUESTS]]
//
// The vendor is a process of its own on the loopback, which answers at once, without TLS; the CPU
// time is of this process only: all of remote provider, libcurl and the kernel's part in it.
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <netinet/tcp.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "dialects/client.h"
#include "providers/remote.h"

enum { SOCKETS_MAX = 4096, CHUNKS = 100, TICK_MS = 20 };

static const char whole[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                            "Content-Length: 13\r\n\r\n{\"text\":\"hi\"}";
static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n";
static const char chunk[] = "c2\r\ndata: {\"id\":\"chatcmpl-0123456789abcdef01234567\",\"object\":"
                            "\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\","
                            "\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},"
                            "\"finish_reason\":null}]}     \n\n\r\n";
static const char tail[] = "d\r\ndata: [DONE]\n\r\n1\r\n\n\r\n0\r\n\r\n";

// The vendor: every tick each open stream gets a chunk.
static int chunks_left[SOCKETS_MAX];

static void answer(int fd)
{
    char in[4096];
    ssize_t n = recv(fd, in, sizeof in - 1, 0);
    if (n <= 0) {
        (void)close(fd);
        chunks_left[fd] = 0;
        return;
    }
    in[n] = 0;
    if (!strstr(in, "\"stream\"")) {
        (void)!write(fd, whole, sizeof whole - 1);
        return;
    }
    (void)!write(fd, head, sizeof head - 1);
    chunks_left[fd] = CHUNKS;
}

static void tick(void)
{
    for (int fd = 0; fd < SOCKETS_MAX; fd++) {
        if (chunks_left[fd] <= 0)
            continue;
        (void)!send(fd, chunk, sizeof chunk - 1, MSG_NOSIGNAL);
        if (--chunks_left[fd] == 0)
            (void)!send(fd, tail, sizeof tail - 1, MSG_NOSIGNAL);
    }
}

static void serve(int listener)
{
    struct epoll_event events[64], e = {.events = EPOLLIN, .data.fd = listener};
    int epoll = epoll_create1(0), one = 1;
    int64_t next = clock_ns();
    (void)epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int64_t now = clock_ns();
        if (now >= next) {
            tick();
            next = now + TICK_MS * INT64_C(1000000);
        }
        int n = epoll_wait(epoll, events, 64, (int)((next - now) / 1000000) + 1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd != listener) {
                answer(events[i].data.fd);
                continue;
            }
            e.data.fd = accept(listener, NULL, NULL);
            (void)setsockopt(e.data.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            if (e.data.fd >= 0)
                (void)epoll_ctl(epoll, EPOLL_CTL_ADD, e.data.fd, &e);
        }
    }
}

static pid_t start_vendor(int *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&at, n) || listen(fd, SOMAXCONN) ||
        getsockname(fd, (struct sockaddr *)&at, &n))
        exit(1);
    *port = ntohs(at.sin_port);
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(fd);
    }
    (void)close(fd);
    return pid;
}

// A client that reads nothing: what is measured is the way, not the words.
static bool write_request(const struct chat_request *req, const char *model,
                          struct client_request *out, struct error *err)
{
    (void)model;
    (void)err;
    buf_text_add(&out->path, "/v1/chat/completions");
    buf_printf(&out->body,
               "{\"model\":\"m\",%s\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
               req->stream ? "\"stream\":true," : "");
    return true;
}

static void begin(void *state, const struct chat_request *req)
{
    (void)req;
    *(bool *)state = false;
}

static bool read_event(void *state, struct slice event, struct slice data, struct chat_sink *sink,
                       struct error *err)
{
    struct chat_event e = {.kind = CHAT_TEXT, .text = data};
    (void)event;
    (void)err;
    if (slice_is(data, "[DONE]"))
        *(bool *)state = true;
    else
        sink->push(sink->self, &e);
    return true;
}

static bool end(void *state, struct chat_sink *sink, struct error *err)
{
    (void)sink;
    return *(bool *)state || error_set(err, ERR_UPSTREAM, "cut");
}

static bool read_response(void *state, struct slice body, struct chat_sink *sink, struct error *err)
{
    return read_event(state, slice_str(""), body, sink, err);
}

static void read_error(int status, struct slice body, struct error *out, bool *worth_retrying)
{
    (void)body;
    *worth_retrying = false;
    (void)error_set(out, ERR_UPSTREAM, "%d", status);
}

static const struct dialect_client client = {.name = "bench",
                                             .key_header = "authorization",
                                             .key_prefix = "Bearer ",
                                             .state_size = sizeof(bool),
                                             .write_request = write_request,
                                             .begin = begin,
                                             .read_event = read_event,
                                             .end = end,
                                             .read_response = read_response,
                                             .read_error = read_error};

struct asker {  // asks again and again
    struct provider *p;
    struct chat_request req;
    _Atomic(struct answer *) answer;
    atomic_int *left;  // requests that are still to begin
    atomic_int *open, *bad;
    atomic_llong *events;
    int64_t begun_ns, first_ns;
};

static void push(void *self, const struct chat_event *e)
{
    struct asker *a = self;
    if (!a->first_ns)
        a->first_ns = clock_ns();
    if (e->kind == CHAT_TEXT)
        (void)atomic_fetch_add(a->events, 1);
    if (e->kind == CHAT_ERROR && atomic_fetch_add(a->bad, 1) == 0)
        (void)fprintf(stderr, "%s\n", e->error.text);
}

static void closed(void *self);

static void ask(struct asker *a)
{
    struct error err;
    struct chat_sink sink = {.push = push, .self = a, .closed = closed};
    a->begun_ns = clock_ns();
    a->first_ns = 0;
    atomic_store(&a->answer, NULL);
    atomic_store(&a->answer,
                 a->p->ops->start(a->p, &a->req, (struct provider_flow){0}, sink, &err));
}

static void closed(void *self)
{
    struct asker *a = self;
    struct answer *answer;
    while (!(answer = atomic_load(&a->answer)))
        continue;  // its start is about to return
    a->p->ops->answer_free(answer);
    if (a->left && atomic_fetch_sub(a->left, 1) > 0)
        ask(a);
    else
        (void)atomic_fetch_sub(a->open, 1);
}

static double cpu_s(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void nap(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

static void one_at_a_time(struct provider *p, int n)
{
    atomic_int open = 0, bad = 0;
    atomic_llong events = 0;
    struct asker a = {.p = p, .open = &open, .bad = &bad, .events = &events};
    double *us = calloc((size_t)n, sizeof *us);
    a.req = (struct chat_request){.model = "m"};
    for (int i = 0; i < n; i++) {
        atomic_store(&open, 1);
        ask(&a);
        while (atomic_load(&open))
            (void)nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        us[i] = (double)(a.first_ns - a.begun_ns) * 1e-3;
    }
    qsort(us, (size_t)n, sizeof *us, compare);
    (void)printf("one at a time: %.0f us to the first event (median), %.0f (p99)\n", us[n / 2],
                 us[n * 99 / 100]);
    free(us);
}

static void many(struct provider *p, int n_open, int n_requests, bool stream)
{
    atomic_int left = n_requests - n_open, open = n_open, bad = 0;
    atomic_llong events = 0;
    struct asker *all = calloc((size_t)n_open, sizeof *all);
    double cpu = cpu_s();
    int64_t begin_ns = clock_ns();
    for (int i = 0; i < n_open; i++) {
        all[i] =
            (struct asker){.p = p, .left = &left, .open = &open, .bad = &bad, .events = &events};
        all[i].req = (struct chat_request){.model = "m", .stream = stream};
        ask(&all[i]);
    }
    while (atomic_load(&open))
        nap();
    double s = (double)(clock_ns() - begin_ns) * 1e-9, us = (cpu_s() - cpu) * 1e6;
    if (stream)
        (void)printf("%d streams at once: %.2f us of CPU a chunk, %.0f chunks/s, %d failed\n",
                     n_open, us / (double)atomic_load(&events), (double)atomic_load(&events) / s,
                     atomic_load(&bad));
    else
        (void)printf("%d at once: %.1f us of CPU a request, %.0f requests/s, %d failed\n", n_open,
                     us / n_requests, n_requests / s, atomic_load(&bad));
    free(all);
}

int main(int argc, char **argv)
{
    int n_streams = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 400, port;
    int n_requests = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 20000;
    struct error err = {0};
    char url[64];
    pid_t vendor = start_vendor(&port);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
    struct remotes *remotes = remotes_new(&err);
    struct remote_options o = {.name = "bench",
                               .client = &client,
                               .base_url = url,
                               .key = "sk-0123456789abcdef",
                               .max_connections = n_streams};
    struct provider *p = remotes ? provider_remote_new(remotes, &o, &err) : NULL;
    if (!p) {
        (void)fprintf(stderr, "error: %s\n", err.text);
        return 1;
    }
    for (int i = 0; i < 3; i++) {
        one_at_a_time(p, 1000);
        many(p, 64, n_requests, false);
        many(p, n_streams, n_streams, true);
    }
    p->ops->free(p);
    remotes_free(remotes);
    (void)kill(vendor, SIGKILL);
    (void)waitpid(vendor, NULL, 0);
    return 0;
}
