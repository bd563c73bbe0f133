#include "serve.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

struct conn {
    int fd;
    bool answering, closing, hanging, wants_out, chunked;
    uint64_t generation;
    struct buf in, out, chunks;
    size_t out_sent, body_from;  // in out
    size_t used;                 // bytes of `in` that the request takes
    int64_t split, wait_ns;
    struct answer answer;
    struct asked asked;
    struct served served;
    size_t piece;        // the next to become bytes
    size_t *piece_ends;  // of those that did, in out
    size_t ends_capacity, told;
};

bool serve_open(struct serve *s, int *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)*port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int one = 1;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->listener < 0)
        return false;
    setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s->listener, (struct sockaddr *)&at, sizeof at) != 0 ||
        listen(s->listener, 4096) != 0 ||
        getsockname(s->listener, (struct sockaddr *)&at, &len) != 0)
        return false;
    *port = ntohs(at.sin_port);
    s->poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = s->listener};
    return s->poll >= 0 && epoll_ctl(s->poll, EPOLL_CTL_ADD, s->listener, &e) == 0;
}

static void drop(struct serve *s, struct conn *c, bool reset)
{
    if (reset) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    s->conns[c->fd] = NULL;
    s->open--;
    close(c->fd);
    buf_release(&c->in);
    buf_release(&c->out);
    buf_release(&c->chunks);
    buf_release(&c->served.line);
    answer_release(&c->answer);
    asked_release(&c->asked);
    free(c->piece_ends);
    free(c);
}

static void watch(struct serve *s, struct conn *c, bool out)
{
    if (c->wants_out == out)
        return;
    c->wants_out = out;
    struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | (out ? EPOLLOUT : 0),
                            .data.fd = c->fd};
    epoll_ctl(s->poll, EPOLL_CTL_MOD, c->fd, &e);
}

// Counts the pieces that were handed to the system as a whole.
static void count_sent(struct conn *c)
{
    while (c->told < c->piece && c->piece_ends[c->told] <= c->out_sent)
        served_piece(&c->served, &c->answer.pieces[c->told++]);
    c->served.wire_bytes = c->out_sent > c->body_from ? c->out_sent - c->body_from : 0;
}

static void write_stamp(char *at)
{
    char digits[20];
    snprintf(digits, sizeof digits, "%019lld", (long long)clock_ns());
    memcpy(at, digits, 19);
}

// The next piece becomes bytes, in the frame of HTTP.
static void add_piece(struct conn *c)
{
    struct answer *o = &c->answer;
    const struct piece *p = &o->pieces[c->piece];
    size_t from = c->piece ? o->pieces[c->piece - 1].end : 0;
    if (p->stamp)
        write_stamp(o->body.ptr + p->stamp);
    if (c->chunked && p->end > from)
        buf_printf(&c->out, "%zx\r\n", p->end - from);
    buf_add(&c->out, buf_text(&o->body) + from, p->end - from);
    // Whoever reads it need not wait for the frame's end.
    memory_grow(c->piece_ends, c->ends_capacity, c->piece + 1);
    c->piece_ends[c->piece++] = c->out.len;
    if (c->chunked && p->end > from)
        buf_text_add(&c->out, "\r\n");
    if (c->chunked && c->piece == o->n_pieces && !o->unfinished)
        buf_text_add(&c->out, "0\r\n\r\n");
}

// After an answer: the connection is ready for the next request, or closes.
static void end_answer(struct serve *s, struct conn *c)
{
    enum ending how = c->answer.ending;
    bool whole = how == END_KEEP;
    if (how == END_HANG) {
        c->hanging = true;
        watch(s, c, false);
        return;
    }
    served_end(&c->served, &s->log, whole ? "done" : how == END_RESET ? "reset" : "cut");
    if (!whole || c->closing) {
        drop(s, c, how == END_RESET);
        return;
    }
    c->answering = false;
    c->generation = ++s->generations;
    size_t rest = c->in.len - c->used;
    memmove(c->in.ptr, c->in.ptr + c->used, rest);
    c->in.len = rest;
    buf_clear(&c->out);
    asked_release(&c->asked);
    watch(s, c, false);
}

// Sends what is there. False: the connection is gone.
static bool flush(struct serve *s, struct conn *c)
{
    while (c->out_sent < c->out.len) {
        size_t n = c->out.len - c->out_sent;
        if (c->split && n > (size_t)c->split)
            n = (size_t)c->split;
        ssize_t sent = send(c->fd, c->out.ptr + c->out_sent, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN) {
            served_end(&c->served, &s->log, "client");
            drop(s, c, false);
            return false;
        }
        c->out_sent += sent > 0 ? (size_t)sent : 0;
        count_sent(c);
        if (sent < 0 || (c->split && c->out_sent < c->out.len)) {
            watch(s, c, true);  // splits come back here, each with a turn of the loop between
            return true;
        }
    }
    return true;
}

static void wake_later(struct serve *s, struct conn *c, int64_t ns)
{
    timers_add(&s->timers, (struct timer){clock_ns() + ns, c->fd, c->generation});
    watch(s, c, false);
}

// Goes on with the answer as far as it is due and can be sent.
static void go_on(struct serve *s, struct conn *c)
{
    for (;;) {
        if (!flush(s, c))
            return;
        if (c->out_sent < c->out.len)
            return;
        if (c->piece >= c->answer.n_pieces) {
            end_answer(s, c);
            return;
        }
        do
            add_piece(c);
        while (c->piece < c->answer.n_pieces && c->wait_ns == 0);
        // A wait follows each chunk, also the last, so that the end comes alone.
        if (c->wait_ns && c->answer.pieces[c->piece - 1].chunk) {
            if (!flush(s, c))
                return;
            wake_later(s, c, c->wait_ns);
            return;
        }
    }
}

static void write_head(struct conn *c, int64_t frame, int64_t early)
{
    struct answer *o = &c->answer;
    if (frame == FRAME_AUTO)
        frame = c->asked.stream && o->status == 200 ? FRAME_CHUNKED : FRAME_LENGTH;
    c->chunked = frame == FRAME_CHUNKED;
    if (early == 100)
        buf_text_add(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
    else if (early)
        buf_text_add(&c->out, "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n");
    buf_printf(&c->out, "HTTP/1.1 %d %s\r\ncontent-type: %s\r\n%s", o->status,
               http1_reason(o->status), o->type, o->headers);
    if (c->chunked)
        buf_text_add(&c->out, "transfer-encoding: chunked\r\n");
    else if (frame == FRAME_LENGTH)
        buf_printf(&c->out, "content-length: %zu\r\n", o->declared ? o->declared : o->body.len);
    if (frame == FRAME_CLOSE)
        c->closing = true;
    if (c->closing)
        buf_text_add(&c->out, "connection: close\r\n");
    buf_text_add(&c->out, "\r\n");
    c->body_from = c->out.len;
}

// What a connection does instead of an answer. True: it did.
static bool misbehave(struct serve *s, struct conn *c, int64_t bad)
{
    if (bad == BAD_SILENT) {
        c->hanging = true;
        return true;
    }
    if (bad == BAD_CLOSE || bad == BAD_RESET) {
        served_end(&c->served, &s->log, bad == BAD_RESET ? "reset" : "cut");
        drop(s, c, bad == BAD_RESET);
        return true;
    }
    if (bad == BAD_HTTP) {
        static const char junk[] = "HTP/9.9 fine thanks\r\n\x01\x02\r\n\r\n";
        ssize_t sent = send(c->fd, junk, sizeof junk - 1, MSG_NOSIGNAL);
        (void)sent;
        served_end(&c->served, &s->log, "cut");
        drop(s, c, false);
        return true;
    }
    return false;
}

static void start_answer(struct serve *s, struct conn *c)
{
    const struct scenario *sc = &c->asked.s;
    c->out_sent = c->piece = c->told = 0;
    c->split = sc->split;
    c->wait_ns = sc->wait_ms * 1000000;
    write_head(c, sc->frame, sc->early);
    if (sc->first_ms > 0)
        wake_later(s, c, sc->first_ms * 1000000);
    else
        go_on(s, c);
}

// What the double says of itself.
static bool own_route(struct serve *s, struct conn *c, const struct http1_request *r)
{
    struct answer *o = &c->answer;
    if (!slice_starts(r->target, slice_str("/double/")))
        return false;
    answer_refuse(o, VENDOR_OPENAI, 404, "the double has log, reset and stats");
    if (slice_is(r->target, "/double/log") || slice_is(r->target, "/double/stats") ||
        slice_is(r->target, "/double/reset")) {
        buf_clear(&o->body);
        o->status = 200;
        if (slice_is(r->target, "/double/log"))
            buf_slice(&o->body, buf_view(&s->log.lines));
        else
            buf_printf(&o->body, "{\"requests\":%llu,\"lines\":%llu,\"open\":%lld}\n",
                       (unsigned long long)s->log.n_requests, (unsigned long long)s->log.n_lines,
                       (long long)s->open - 1);
        o->n_pieces = 0;
        answer_piece(o);
    }
    if (slice_is(r->target, "/double/reset"))
        served_reset(&s->log);
    c->asked = (struct asked){0};
    start_answer(s, c);
    return true;
}

static bool key_fits(const struct serve *s, const struct asked *a, const struct http1_request *r)
{
    static const char *const headers[VENDOR_N] = {"authorization", "x-api-key", "x-goog-api-key"};
    bool right = strcmp(r->key_header, headers[a->vendor]) == 0 ||
                 (a->vendor == VENDOR_ANTHROPIC && strcmp(r->key_header, "authorization") == 0);
    return right && slice_is(r->key, s->key);
}

static void answer_request(struct serve *s, struct conn *c, const struct http1_request *r)
{
    struct asked *a = &c->asked;
    struct answer *o = &c->answer;
    char error[256];
    bool fits = false, again = false;
    int64_t attempt = 0;
    if (own_route(s, c, r))
        return;
    o->number = ++s->number;
    if (!asked_route(a, r->method, r->target)) {
        a->what = ASK_NOTHING;
        answer_refuse(o, a->vendor, 404, "no such route");
    } else if (!(fits = key_fits(s, a, r))) {
        answer_refuse(o, a->vendor, r->key.len || a->vendor != VENDOR_GEMINI ? 401 : 403, NULL);
        o->status = o->status == 401 && a->vendor == VENDOR_GEMINI ? 400 : o->status;
    } else if (a->what == ASK_MODELS) {
        answer_refuse(o, a->vendor, 404, "the double lists no models");
    } else if (!asked_read(a, r->body, error)) {
        answer_refuse(o, a->vendor, 400, error);
    } else {
        attempt = a->s.times ? served_times(&s->log, a) : 1;
        again = a->s.times && attempt > a->s.times;
        answer_make(o, a, again);
    }
    served_begin(&c->served, &s->log, r, a, o, fits, attempt);
    if (fits && !again && misbehave(s, c, a->s.bad))
        return;
    start_answer(s, c);
}

static void next_request(struct serve *s, struct conn *c)
{
    struct http1_request r;
    enum http1_state state = http1_read(buf_view(&c->in), &r, &c->chunks);
    if (state == HTTP1_MORE) {
        if (r.expects && c->in.len == r.head_bytes)
            (void)!send(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
        return;
    }
    if (state == HTTP1_WRONG) {
        drop(s, c, false);
        return;
    }
    c->answering = true;
    c->closing = r.close;
    c->used = r.total_bytes;
    answer_request(s, c, &r);
}

static void read_some(struct serve *s, struct conn *c)
{
    buf_reserve(&c->in, 16384);
    ssize_t n = recv(c->fd, c->in.ptr + c->in.len, 16384, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || c->in.len + (size_t)n > HTTP1_BODY_MAX + HTTP1_HEAD_MAX) {
        if (c->answering)
            served_end(&c->served, &s->log, c->hanging ? "hung" : "client");
        drop(s, c, false);
        return;
    }
    c->in.len += (size_t)n;
}

// What has come meanwhile: a next request may follow the last byte of an answer, before it is over
// here.
static void answer_what_came(struct serve *s, int fd)
{
    struct conn *c;
    while ((c = s->conns[fd]) != NULL && !c->answering && c->in.len > 0) {
        size_t left = c->in.len;
        next_request(s, c);
        if ((c = s->conns[fd]) == NULL || (!c->answering && c->in.len == left))
            return;
    }
}

static void accept_all(struct serve *s)
{
    int fd, one = 1;
    while ((fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = memory_new(1, sizeof *c);
        struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = fd};
        c->fd = fd;
        c->generation = ++s->generations;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        size_t was = s->conns_capacity;
        memory_grow(s->conns, s->conns_capacity, (size_t)fd + 1);
        for (size_t i = was; i < s->conns_capacity; i++)
            s->conns[i] = NULL;
        s->conns[fd] = c;
        s->open++;
        epoll_ctl(s->poll, EPOLL_CTL_ADD, fd, &e);
    }
}

static void handle(struct serve *s, struct epoll_event e)
{
    struct conn *c;
    if (e.data.fd == s->listener) {
        accept_all(s);
        return;
    }
    if ((c = s->conns[e.data.fd]) && (e.events & EPOLLOUT))
        go_on(s, c);
    if ((c = s->conns[e.data.fd]) && (e.events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        read_some(s, c);
    answer_what_came(s, e.data.fd);
}

void serve_run(struct serve *s)
{
    struct epoll_event events[256];
    struct timer t;
    while (!s->stop) {
        int n = epoll_wait(s->poll, events, 256, timers_wait_ms(&s->timers, clock_ns(), 1000));
        for (int i = 0; i < n; i++)
            handle(s, events[i]);
        while (s->timers.n > 0 && timers_next(&s->timers, clock_ns(), &t)) {
            struct conn *c = (size_t)t.who < s->conns_capacity ? s->conns[t.who] : NULL;
            if (c && c->answering && c->generation == t.generation)
                go_on(s, c);
            if (c)
                answer_what_came(s, t.who);
        }
    }
}

void serve_close(struct serve *s)
{
    for (size_t i = 0; i < s->conns_capacity; i++)
        if (s->conns[i]) {
            if (s->conns[i]->answering)
                served_end(&s->conns[i]->served, &s->log, "hung");
            drop(s, s->conns[i], false);
        }
    close(s->listener);
    close(s->poll);
    timers_release(&s->timers);
    free(s->conns);
    served_release(&s->log);
}
