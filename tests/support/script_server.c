#include "script_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"

enum { PATIENCE_MS = 30000 };

struct connection {
    struct script_server *server;
    int place, socket;
};

// True once the request is whole: its head, and as many bytes of body as it says.
static bool is_whole(struct script_talk *t, const struct buf *in)
{
    const char *end = in->len ? strstr(in->ptr, "\r\n\r\n") : NULL;
    if (!end)
        return false;
    size_t head = (size_t)(end - in->ptr) + 4, length = 0;
    for (const char *p = in->ptr; p < end; p = strstr(p, "\r\n") + 2)
        if (strncasecmp(p, "content-length:", 15) == 0)
            length = strtoul(p + 15, NULL, 10);
    if (in->len < head + length)
        return false;
    buf_add(&t->head, in->ptr, head);
    buf_add(&t->body, in->ptr + head, length);
    return true;
}

static bool read_request(struct script_talk *t)
{
    struct buf in = {0};
    char bytes[16384];
    bool whole = false;
    ssize_t n;
    buf_clear(&t->head);
    buf_clear(&t->body);
    while (!whole && (n = recv(t->socket, bytes, sizeof bytes, 0)) > 0) {
        buf_add(&in, bytes, (size_t)n);
        whole = is_whole(t, &in);
    }
    buf_release(&in);
    return whole;
}

static void *connection_main(void *self)
{
    struct connection *c = self;
    struct script_server *s = c->server;
    struct script_talk t = {.server = s, .socket = c->socket};
    bool more = true;
    while (more && read_request(&t)) {
        t.n = atomic_fetch_add(&s->n_requests, 1);
        more = s->serve(s->self, &t);
    }
    pthread_mutex_lock(&s->lock);
    s->sockets[c->place] = -1;
    pthread_mutex_unlock(&s->lock);
    (void)close(c->socket);
    buf_release(&t.head);
    buf_release(&t.body);
    free(c);
    return NULL;
}

static void *server_main(void *self)
{
    struct script_server *s = self;
    int fd, one = 1;
    while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
        int n = atomic_load(&s->n_connections);
        if (atomic_load(&s->stop) || n == SCRIPT_CONNECTIONS_MAX) {
            (void)close(fd);
            continue;
        }
        struct connection *c = memory_array(struct connection, 1);
        *c = (struct connection){s, n, fd};
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        pthread_mutex_lock(&s->lock);
        s->sockets[n] = fd;
        pthread_mutex_unlock(&s->lock);
        int code = pthread_create(&s->threads[n], NULL, connection_main, c);
        assert(code == 0);
        (void)code;
        atomic_store(&s->n_connections, n + 1);
    }
    return NULL;
}

void script_server_init(struct script_server *s, bool (*serve)(void *self, struct script_talk *t),
                        void *self)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    memset(s, 0, sizeof *s);
    s->serve = serve;
    s->self = self;
    pthread_mutex_init(&s->lock, NULL);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int code = bind(s->listener, (struct sockaddr *)&at, sizeof at);
    code |= listen(s->listener, SOMAXCONN);
    code |= getsockname(s->listener, (struct sockaddr *)&at, &n);
    code |= pthread_create(&s->thread, NULL, server_main, s);
    assert(code == 0);
    (void)code;
    (void)snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", ntohs(at.sin_port));
}

void script_server_release(struct script_server *s)
{
    atomic_store(&s->stop, true);
    (void)shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    pthread_mutex_lock(&s->lock);
    for (int i = 0; i < atomic_load(&s->n_connections); i++)
        if (s->sockets[i] >= 0)
            (void)shutdown(s->sockets[i], SHUT_RDWR);
    pthread_mutex_unlock(&s->lock);
    for (int i = 0; i < atomic_load(&s->n_connections); i++)
        pthread_join(s->threads[i], NULL);
    (void)close(s->listener);
    pthread_mutex_destroy(&s->lock);
}

bool script_send(struct script_talk *t, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(t->socket, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        n -= (size_t)sent;
    }
    return true;
}

bool script_text(struct script_talk *t, const char *text)
{
    return script_send(t, text, strlen(text));
}

bool script_bytewise(struct script_talk *t, const char *text)
{
    for (; *text; text++)
        if (!script_send(t, text, 1))
            return false;
    return true;
}

bool script_answer(struct script_talk *t, int status, const char *type, const char *fields,
                   const char *body)
{
    struct buf out = {0};
    buf_printf(&out, "HTTP/1.1 %d Said\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n%s",
               status, type, strlen(body), fields, body);
    bool ok = script_send(t, out.ptr, out.len);
    buf_release(&out);
    return ok;
}

bool script_begin(struct script_talk *t, const char *type)
{
    struct buf out = {0};
    buf_printf(&out, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n",
               type);
    bool ok = script_send(t, out.ptr, out.len);
    buf_release(&out);
    return ok;
}

bool script_chunk(struct script_talk *t, const char *text)
{
    struct buf out = {0};
    buf_printf(&out, "%zx\r\n%s\r\n", strlen(text), text);
    bool ok = script_send(t, out.ptr, out.len);
    buf_release(&out);
    return ok;
}

bool script_end(struct script_talk *t)
{
    return script_text(t, "0\r\n\r\n");
}

bool script_wait_closed(struct script_talk *t)
{
    struct pollfd p = {.fd = t->socket, .events = POLLIN};
    char c;
    return poll(&p, 1, PATIENCE_MS) == 1 && recv(t->socket, &c, 1, 0) <= 0;
}

void script_pause(int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&t, NULL);
}
