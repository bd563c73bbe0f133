// http.c - what libmicrohttpd calls: a request comes in, is checked, waits for its answer.
//
// Everything here runs on the HTTP thread and never waits. An exchange is made when the request
// line is there. Once the body is too, the connection is suspended and the exchange goes to a
// worker; whoever has something to send resumes it.
// Source: the libmicrohttpd manual, 0.9.75.
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "ledger/ledger.h"
#include "server/impl.h"

enum {
    UNSENT_SYSTEM_BYTES = 16 << 10,
    WHOLE_SYSTEM_BYTES = 256 << 10,
    CHUNK_BYTES = 1 << 10,
    BACKLOG = 1024,
    FILES_SPARE = 64
};

int64_t http_deadline(int seconds)
{
    return clock_ns() + (int64_t)seconds * INT64_C(1000000000);
}

void exchange_wake(struct exchange *x)
{
    if (!x->suspended)
        return;
    x->suspended = false;
    MHD_resume_connection(x->connection);
    http_loop_wake(x->server);
}

// With the lock held, inside a call of libmicrohttpd.
static void suspend(struct exchange *x)
{
    x->suspended = true;
    MHD_suspend_connection(x->connection);
}

// Sockets

static struct watched *socket_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return i ? i->socket_context : NULL;
}

// What the system holds of an answer to come would only make it late and grow to megabytes. A whole
// one is here anyway, and waits for each of its pieces to be acknowledged where there is no room.
static void set_system_bytes(int fd, int bytes)
{
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

static void on_connection(void *self, struct MHD_Connection *c, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct server *s = self;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *i =
            MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
        set_system_bytes(i->connect_fd, UNSENT_SYSTEM_BYTES);
        *context = watch_add(&s->watch, i->connect_fd);
        (void)watch_set(&s->watch, *context, NULL, http_deadline(s->options.timeout_s));
    } else if (*context) {
        watch_remove(&s->watch, *context);
        *context = NULL;
    }
}

// A request begins: its line is there.
static void *on_line(void *self, const char *uri, struct MHD_Connection *c)
{
    struct server *s = self;
    struct exchange *x = exchange_new(s);
    const char *query = strchr(uri, '?');
    x->connection = c;
    x->socket = socket_of(c);
    framing_line(x, uri);
    if (query)
        x->query = slice_str(arena_text(&x->arena, slice_str(query + 1)));
    pthread_mutex_lock(&s->lock);
    s->n_active++;
    pthread_mutex_unlock(&s->lock);
    (void)watch_set(&s->watch, x->socket, x, http_deadline(s->options.timeout_s));
    return x;
}

static void on_completed(void *self, struct MHD_Connection *c, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct server *s = self;
    struct exchange *x = *context;
    (void)c;
    if (!x)
        return;
    *context = NULL;
    bool completed = code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    pthread_mutex_lock(&x->lock);
    x->connection = NULL;
    x->suspended = false;
    x->left |= !completed;
    pthread_mutex_unlock(&x->lock);
    (void)watch_set(&s->watch, x->socket, NULL, http_deadline(s->options.timeout_s));
    if (!completed)
        exchange_gone(x);
    exchange_drop(x);
}

// Headers

const char *http_header(const struct exchange *x, const char *name)
{
    if (x->target.host && strcasecmp(name, "host") == 0)
        return x->target.host;
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

struct lines {  // of one name
    const char *name;
    bool (*take)(void *self, const char *value);
    void *self;
    bool ok;
};

static enum MHD_Result take_line(void *self, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    struct lines *l = self;
    (void)kind;
    if (strcasecmp(name, l->name) == 0)
        l->ok = l->take(l->self, value ? value : "");
    return l->ok ? MHD_YES : MHD_NO;
}

bool http_header_lines(const struct exchange *x, const char *name,
                       bool (*take)(void *self, const char *value), void *self)
{
    struct lines l = {name, take, self, true};
    (void)MHD_get_connection_values(x->connection, MHD_HEADER_KIND, take_line, &l);
    return l.ok;
}

static bool is_id(const char *text)
{
    size_t n = strlen(text);
    if (n == 0 || n >= REQUEST_ID_BYTES)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("-_.:", text[i]))
            return false;
    return true;
}

static bool is_hex(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isdigit((unsigned char)text[i]) && (text[i] < 'a' || text[i] > 'f'))
            return false;
    return true;
}

// 00-<32 hex>-<16 hex>-<2 hex>. Source: w3.org/TR/trace-context.
static bool is_trace(const char *t)
{
    return strlen(t) == TRACE_BYTES - 1 && memcmp(t, "00-", 3) == 0 && is_hex(t + 3, 32) &&
           t[35] == '-' && is_hex(t + 36, 16) && t[52] == '-' && is_hex(t + 53, 2) &&
           strspn(t + 3, "0") < 32 && strspn(t + 36, "0") < 16;
}

static void name_request(struct exchange *x)
{
    struct server *s = x->server;
    const char *id = http_header(x, "x-request-id"), *trace = http_header(x, "traceparent");
    uint64_t n = atomic_fetch_add(&s->next_id, 1);
    char *own = arena_printf(&x->arena, "%016llx%08llx",
                             (unsigned long long)hash_mix(s->id_salt + n), (unsigned long long)n);
    x->call.id = own;
    if (id && is_id(id))
        (void)snprintf(x->id, sizeof x->id, "%s", id);
    else
        (void)snprintf(x->id, sizeof x->id, "req_%s", own);
    if (trace && is_trace(trace))
        (void)snprintf(x->trace, sizeof x->trace, "%s", trace);
}

// A HEAD is a GET whose body libmicrohttpd leaves out.
static bool has_route(struct exchange *x, const char *method)
{
    bool other_method;
    x->dialect = NULL;
    x->own = routes_find(method, x->path, &x->matched);
    if (!x->own)
        x->dialect = dialect_find(method, x->path, &x->route, &x->matched, &other_method);
    x->dialect = routes_list_of(x);
    return x->own || x->dialect;
}

// "GET, HEAD, POST": what the path is there for; NULL: nothing.
static const char *methods_of(struct exchange *x)
{
    static const char *const methods[][2] = {
        {"GET", "GET, HEAD"}, {"POST", "POST"}, {"DELETE", "DELETE"}};
    const char *all = NULL;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (has_route(x, methods[i][0]))
            all = all ? arena_printf(&x->arena, "%s, %s", all, methods[i][1]) : methods[i][1];
    x->own = NULL;
    x->route = NULL;
    return all;
}

// Finds who answers. False with err.
static bool find_route(struct exchange *x, struct dialect_error *err)
{
    if (has_route(x, strcmp(x->method, "HEAD") == 0 ? "GET" : x->method))
        return true;
    x->allow = methods_of(x);
    x->dialect = dialect_guess(x->path);
    if (x->allow)
        return dialect_refuse(err, PROBLEM_METHOD, NULL, "%s is for %s", x->path, x->allow);
    return dialect_refuse(err, PROBLEM_ROUTE, NULL, "there is no route %s %s", x->method, x->path);
}

static bool check_headers(struct exchange *x, struct dialect_error *err)
{
    const struct server *s = x->server;
    const char *length = http_header(x, "content-length");
    if (!auth_check(x, err))
        return false;
    if (length && strtoull(length, NULL, 10) > s->options.body_bytes)
        return dialect_refuse(err, PROBLEM_TOO_LARGE, NULL,
                              "the body has %.20s bytes, more than %llu", length,
                              (unsigned long long)s->options.body_bytes);
    if (atomic_load(&s->state) == SERVER_DRAINING && !(x->own && x->own->kind == ROUTE_AT_ONCE))
        return dialect_refuse(err, PROBLEM_BUSY, NULL, "the server is about to end");
    return true;
}

// Responses

static ssize_t read_out(void *self, uint64_t position, char *bytes, size_t max)
{
    struct exchange *x = self;
    ssize_t n;
    (void)position;
    pthread_mutex_lock(&x->lock);
    size_t left = x->out.len - x->n_sent;
    if (x->gone) {
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (left) {
        n = (ssize_t)(left < max ? left : max);
        memcpy(bytes, x->out.ptr + x->n_sent, (size_t)n);
        x->n_sent += (size_t)n;
    } else if (x->ended) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
        x->taken = true;
    } else {
        n = 0;
        suspend(x);
    }
    exchange_taken(x);
    pthread_mutex_unlock(&x->lock);
    return n;
}

static void drop_exchange(void *self)
{
    exchange_drop(self);
}

static void add_retry(const struct exchange *x, struct MHD_Response *r)
{
    if (x->status == 401)
        (void)MHD_add_response_header(r, "www-authenticate", "Bearer");
    if (x->allow)
        (void)MHD_add_response_header(r, "allow", x->allow);
    if (x->hopeless) {  // as the vendors' SDKs read it, which would try a 429 again
        (void)MHD_add_response_header(r, "x-should-retry", "false");
    } else if (x->status == 503 || x->status == 429 || x->status == 529) {
        char seconds[16];
        (void)snprintf(seconds, sizeof seconds, "%d", x->retry_after_s > 0 ? x->retry_after_s : 1);
        (void)MHD_add_response_header(r, "retry-after", seconds);
    }
}

static void add_headers(const struct exchange *x, struct MHD_Response *r)
{
    const struct dialect *d = x->dialect ? x->dialect : dialects[0];
    (void)MHD_add_response_header(r, "content-type", x->type);
    (void)MHD_add_response_header(r, "x-request-id", x->id);
    (void)MHD_add_response_header(r, "x-content-type-options", "nosniff");
    if (!x->headers)
        (void)MHD_add_response_header(r, "cache-control", "no-store");
    for (const struct reply_header *h = x->headers; h && h->name; h++)
        (void)MHD_add_response_header(r, h->name, h->value);
    if (strcmp(d->id_header, "x-request-id") != 0)
        (void)MHD_add_response_header(r, d->id_header, x->id);
    if (x->trace[0])
        (void)MHD_add_response_header(r, "traceparent", x->trace);
    account_headers(x, r);
    add_retry(x, r);
    if (atomic_load(&x->server->state) == SERVER_DRAINING || x->refused)
        (void)MHD_add_response_header(r, "connection", "close");
}

// The response begins. Without the lock: what it looks at does not change any more, and
// libmicrohttpd holds a lock of its own here and around read_out.
static enum MHD_Result respond(struct exchange *x)
{
    struct MHD_Response *r;
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    bool large = !x->streaming && x->out.len > UNSENT_SYSTEM_BYTES;
    if (i)  // it may have been another kind before, on the same connection
        set_system_bytes(i->connect_fd, large ? WHOLE_SYSTEM_BYTES : UNSENT_SYSTEM_BYTES);
    if (x->streaming) {
        exchange_hold(x);
        r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, CHUNK_BYTES, read_out, x,
                                              drop_exchange);
        if (!r)
            exchange_drop(x);
    } else {
        r = MHD_create_response_from_buffer(x->out.len, x->out.ptr, MHD_RESPMEM_MUST_COPY);
        pthread_mutex_lock(&x->lock);
        x->taken = true;
        pthread_mutex_unlock(&x->lock);
    }
    if (!r)
        return MHD_NO;
    add_headers(x, r);
    enum MHD_Result ok = MHD_queue_response(x->connection, (unsigned)x->status, r);
    MHD_destroy_response(r);
    metrics_status(&x->server->metrics, x->status);
    return ok;
}

static enum MHD_Result look_again(struct exchange *x)
{
    pthread_mutex_lock(&x->lock);
    bool gone = x->gone, ready = x->head_ready;
    if (!gone && !ready)
        suspend(x);
    pthread_mutex_unlock(&x->lock);
    if (gone)
        return MHD_NO;
    return ready ? respond(x) : MHD_YES;
}

static enum MHD_Result refuse(struct exchange *x, struct dialect_error *err)
{
    x->dispatched = x->refused = true;
    exchange_refuse(x, err);
    return look_again(x);
}

// The request is there in whole.
static enum MHD_Result dispatch(struct exchange *x)
{
    struct server *s = x->server;
    struct dialect_error err = {0};
    x->dispatched = true;
    if (x->own ? x->own->kind == ROUTE_AT_ONCE : routes_is_list(x->route)) {
        if (x->own)
            x->own->answer(x);
        else
            routes_models(x);
        return x->head_ready ? respond(x) : look_again(x);  // also to who sends no more
    }
    bool long_job = x->own && x->own->kind >= ROUTE_LONG;
    x->deadline_ns = http_deadline(s->options.answer_s);
    if (watch_set(&s->watch, x->socket, x, exchange_last(x)))
        return MHD_NO;  // the client has left already
    pthread_mutex_lock(&x->lock);
    suspend(x);
    pthread_mutex_unlock(&x->lock);
    if (work_at_once(x))
        return MHD_YES;
    exchange_hold(x);  // the worker's
    if (queue_try_put(long_job ? &s->long_jobs : &s->jobs, x))
        return MHD_YES;
    exchange_drop(x);
    (void)dialect_refuse(&err, PROBLEM_BUSY, NULL, "%d requests are waiting already",
                         long_job ? PATIENT_JOBS_MAX : s->options.queue_max);
    exchange_refuse(x, &err);  // which resumes it
    return MHD_YES;
}

static bool take_body(struct exchange *x, const char *bytes, size_t n, struct dialect_error *err)
{
    struct server *s = x->server;
    if (x->body.len + n > s->options.body_bytes)
        return dialect_refuse(err, PROBLEM_TOO_LARGE, NULL, "the body has more than %llu bytes",
                              (unsigned long long)s->options.body_bytes);
    if (x->body.len + n > x->body.capacity && !work_has_room(2 * (x->body.len + n), err))
        return false;
    if (atomic_fetch_add(&s->body_bytes, (long long)n) + (long long)n > BODIES_BYTES_MAX) {
        atomic_fetch_sub(&s->body_bytes, (long long)n);
        return dialect_refuse(err, PROBLEM_BUSY, NULL,
                              "too many large requests are being read already");
    }
    buf_add(&x->body, bytes, n);
    return true;
}

static enum MHD_Result on_headers(struct exchange *x, const char *url, const char *method,
                                  const char *version)
{
    struct dialect_error err = {0};
    x->headers_seen = true;
    x->path = arena_text(&x->arena, slice_str(framing_path(x, url)));
    (void)snprintf(x->method, sizeof x->method, "%s", method);
    name_request(x);
    x->dialect = dialect_guess(x->path);  // whose errors it gets
    if (framing_check(x, url, method, version, &err) && find_route(x, &err) &&
        check_headers(x, &err))
        return MHD_YES;
    return refuse(x, &err);
}

static enum MHD_Result on_request(void *self, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_bytes, void **context)
{
    struct exchange *x = *context;
    struct dialect_error err = {0};
    (void)self;
    (void)c;
    if (!x->headers_seen)
        return on_headers(x, url, method, version);
    if (x->dispatched && !x->refused)
        return look_again(x);
    if (*data_bytes) {
        size_t n = *data_bytes;
        *data_bytes = 0;
        if (x->refused || take_body(x, data, n, &err))
            return MHD_YES;
        x->dispatched = x->refused = true;  // a response may only be queued behind the whole body
        exchange_refuse(x, &err);
        return MHD_YES;
    }
    return x->refused ? look_again(x) : dispatch(x);
}

// Start

static void on_log(void *self, const char *format, va_list args)
{
    char text[256];
    (void)self;
    (void)vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\r\n")] = 0;
    log_debug("libmicrohttpd: %s", text);
}

// As many connections as there may be files, less what models and the rest need.
static unsigned connections_max(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return 1024 - FILES_SPARE;
    r.rlim_cur = r.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &r);
    (void)getrlimit(RLIMIT_NOFILE, &r);
    rlim_t most = r.rlim_cur < 65536 ? r.rlim_cur : 65536;
    return most > 2 * FILES_SPARE ? (unsigned)most - FILES_SPARE : FILES_SPARE;
}

static bool read_address(const struct server *s, struct sockaddr_storage *out, unsigned *flags,
                         struct error *err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    const char *host = strcmp(s->host, "localhost") == 0 ? "127.0.0.1" : s->host;
    bool loopback;
    *out = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)s->options.port);
        loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)s->options.port);
        loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
        *flags |= MHD_USE_IPv6;
    } else {
        return error_set(err, ERR_USAGE, "--host: '%s' is not an address", s->host);
    }
    if (loopback)
        return true;
    if (!s->options.ledger || !ledger_has_keys(s->options.ledger))
        return error_set(err, ERR_USAGE,
                         "--host: '%s' could be reached by others, and there are no keys: only "
                         "loopback addresses (127.0.0.1, ::1) are served before `hearth keys "
                         "create`",
                         s->host);
    if (!s->options.certificate)
        log_warn("%s is not loopback: without --tls-cert, keys and texts can be read on the way",
                 s->host);
    return true;
}

bool http_listen(struct server *s, struct error *err)
{
    struct sockaddr_storage address;
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)s->options.certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)s->options.key},
        {MHD_OPTION_END, 0, NULL},
    };
    if (!read_address(s, &address, &flags, err))
        return false;
    if (s->options.certificate)
        flags |= MHD_USE_TLS;
    else
        tls[0].option = MHD_OPTION_END;
    errno = 0;
    // Without LISTENING_ADDRESS_REUSE, which is SO_REUSEPORT: two servers would share the port.
    s->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, s, MHD_OPTION_SOCK_ADDR, &address,
        MHD_OPTION_EXTERNAL_LOGGER, on_log, s, MHD_OPTION_CONNECTION_LIMIT, connections_max(),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)s->options.timeout_s,
        MHD_OPTION_LISTEN_BACKLOG_SIZE, (unsigned)BACKLOG, MHD_OPTION_URI_LOG_CALLBACK, on_line, s,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        s, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    bool address_bad = errno == EADDRINUSE || errno == EADDRNOTAVAIL || errno == EACCES;
    if (!s->daemon && s->options.certificate && !address_bad)
        return error_set(err, ERR_FORMAT, "--tls-cert, --tls-key: not a certificate with its key");
    if (!s->daemon)
        return error_set(err, ERR_IO, "listen on %s, port %d: %s", s->host, s->options.port,
                         strerror(errno));
    return http_loop_start(s, err);
}

void http_close(struct server *s)
{
    http_loop_stop(s);
}
