// post.c - easy handles that are used again, one request each at a time.
#include "net/post.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <curl/curl.h>

#include "base/buf.h"
#include "base/memory.h"
#include "base/secret.h"
#include "net/http_head.h"

enum { EASIES_KEPT = 256, RECEIVE_BYTES = 16 << 10 };

struct post_endpoint {
    struct loop *loop;
    struct post_options options;  // its texts are not used after new
    char *base_url, *ca_file;
    struct curl_slist *lines;
    struct curl_slist key_line;  // by hand: libcurl's own would be a copy of the key
    struct curl_slist *fields;   // all of them
    struct buf url;
    CURL *easies[EASIES_KEPT];
    size_t n_easies;
    int n_running;
    bool http2;                 // so it said the last time
    struct post *first, *last;  // that wait for a connection
};

struct post_endpoint *post_endpoint_new(struct loop *l, const struct post_options *o,
                                        struct error *err)
{
    struct post_endpoint *e = memory_array(struct post_endpoint, 1);
    bool ok = true;
    e->loop = l;
    e->options = *o;
    e->base_url = memory_text(o->base_url);
    e->ca_file = memory_text(o->ca_file);
    for (size_t i = 0; o->lines[i] && ok; i++) {
        struct curl_slist *longer = curl_slist_append(e->lines, o->lines[i]);
        ok = longer != NULL;
        e->lines = ok ? longer : e->lines;
    }
    e->fields = e->lines;
    if (o->key_line) {
        e->key_line = (struct curl_slist){.data = secret_text(o->key_line), .next = e->lines};
        e->fields = &e->key_line;
    }
    if (ok)
        return e;
    post_endpoint_free(e);
    error_set(err, ERR_INTERNAL, "libcurl cannot keep header lines");
    return NULL;
}

static void free_easies(void *self)
{
    struct post_endpoint *e = self;
    assert(e->n_running == 0 && !e->first);
    while (e->n_easies)
        curl_easy_cleanup(e->easies[--e->n_easies]);
}

void post_endpoint_free(struct post_endpoint *e)
{
    if (!e)
        return;
    loop_call(e->loop, free_easies, e);
    curl_slist_free_all(e->lines);
    free(e->base_url);
    free(e->ca_file);
    buf_release(&e->url);
    free(e);
}

// The value of a header line that has this name (in lower case, with its colon); else empty.
static struct slice value_of(struct slice line, const char *name)
{
    size_t n = strlen(name);
    if (line.len < n || strncasecmp(line.ptr, name, n) != 0)
        return (struct slice){0};
    struct slice v = slice_sub(line, n, line.len);
    while (v.len && (v.ptr[0] == ' ' || v.ptr[0] == '\t'))
        v = slice_sub(v, 1, v.len);
    while (v.len && (unsigned char)v.ptr[v.len - 1] <= ' ')
        v.len--;
    return v;
}

static bool type_is(struct slice value, const char *name)
{
    size_t n = strlen(name);
    return value.len >= n && strncasecmp(value.ptr, name, n) == 0 &&
           (value.len == n || value.ptr[n] == ';' || value.ptr[n] == ' ');
}

static void read_type(struct post_head *head, struct slice value)
{
    size_t n = 0;
    head->type = type_is(value, "text/event-stream")  ? POST_TYPE_SSE
                 : type_is(value, "application/json") ? POST_TYPE_JSON
                                                      : POST_TYPE_OTHER;
    for (; n < value.len && n + 1 < sizeof head->type_text; n++)
        head->type_text[n] = value.ptr[n] >= ' ' && value.ptr[n] <= '~' ? value.ptr[n] : '?';
    head->type_text[n] = 0;
}

static void read_retry_after(struct post_head *head, struct slice value)
{
    char text[64];
    if (value.len >= sizeof text)
        return;
    memcpy(text, value.ptr, value.len);
    text[value.len] = 0;
    head->retry_after_s = http_head_retry_after(text, (long long)time(NULL));
}

static void read_field(struct post *p, struct slice line)
{
    struct slice v;
    if (slice_starts(line,
                     slice_str("HTTP/"))) {  // an answer begins, maybe after a provisional one
        p->head = (struct post_head){.retry_after_s = -1};
        p->compressed = false;
    } else if ((v = value_of(line, "content-type:")).len) {
        read_type(&p->head, v);
    } else if ((v = value_of(line, "retry-after:")).len) {
        read_retry_after(&p->head, v);
    } else if ((v = value_of(line, "content-encoding:")).len) {
        p->compressed = !slice_is(v, "identity");
    }
}

static size_t on_field(char *bytes, size_t size, size_t n, void *self)
{
    struct post *p = self;
    p->header_bytes += size * n;
    if (p->header_bytes > POST_HEADERS_MAX_BYTES)
        return 0;
    if (!p->head_told)  // else they are trailers
        read_field(p, slice_of(bytes, size * n));
    return size * n;
}

// The answer's head, to whom it concerns. False if they stop it.
static bool tell_head(struct post *p)
{
    long status = 0, version = 0;
    if (p->head_told)
        return !p->stopped;
    p->head_told = true;
    if (p->compressed)
        return false;
    (void)curl_easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(p->easy, CURLINFO_HTTP_VERSION, &version);
    p->head.status = (int)status;
    p->head.http2 = p->endpoint->http2 = version == CURL_HTTP_VERSION_2_0;
    p->stopped = !p->on_head(p->self, &p->head);
    return !p->stopped;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *self)
{
    struct post *p = self;
    if (p->compressed || !tell_head(p))
        return CURL_WRITEFUNC_ERROR;
    switch (p->on_body(p->self, slice_of(bytes, size * n))) {
    case POST_TAKEN: return size * n;
    case POST_FULL: p->full = true; return CURL_WRITEFUNC_PAUSE;
    case POST_STOP: break;
    }
    p->stopped = true;
    return CURL_WRITEFUNC_ERROR;
}

static void on_done(struct loop_transfer *t, int code);

// What all requests to an endpoint have in common.
static CURL *new_easy(const struct post_endpoint *e)
{
    CURL *c = curl_easy_init();
    if (!c)
        return NULL;
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_field);
    (void)curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_USERAGENT, "hearth");
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    // Whether a connection carries several is known after TLS, without it only with the first
    // answer: for that nobody shall wait.
    if (strncasecmp(e->base_url, "https:", 6) == 0)
        (void)curl_easy_setopt(c, CURLOPT_PIPEWAIT, 1L);
    (void)curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
    (void)curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)e->options.connect_ms);
    if (e->ca_file)
        (void)curl_easy_setopt(c, CURLOPT_CAINFO, e->ca_file);
    if (e->options.no_proxy)
        (void)curl_easy_setopt(c, CURLOPT_PROXY, "");
    return c;
}

static void set_fields(struct post *p)
{
    struct curl_slist *fields = p->endpoint->fields;
    if (p->line) {
        p->fields = memory_array(struct curl_slist, 1);
        *p->fields = (struct curl_slist){.data = (char *)p->line, .next = fields};
        fields = p->fields;
    }
    (void)curl_easy_setopt(p->easy, CURLOPT_HTTPHEADER, fields);
}

static void drop_fields(struct post *p)
{
    free(p->fields);
    p->fields = NULL;
}

static bool begin(struct post *p)
{
    struct post_endpoint *e = p->endpoint;
    CURL *c = e->n_easies ? e->easies[--e->n_easies] : new_easy(e);
    if (!c)
        return false;
    p->easy = c;
    p->transfer.done = on_done;
    p->waits = p->head_told = p->stopped = p->full = p->compressed = false;
    p->header_bytes = 0;
    p->head = (struct post_head){.retry_after_s = -1};
    buf_clear(&e->url);
    buf_text_add(&e->url, e->base_url);
    buf_text_add(&e->url, p->path);
    set_fields(p);
    (void)curl_easy_setopt(c, CURLOPT_PRIVATE, &p->transfer);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, p);
    (void)curl_easy_setopt(c, CURLOPT_HEADERDATA, p);
    (void)curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, (long)p->get);
    (void)curl_easy_setopt(c, CURLOPT_FORBID_REUSE, (long)p->get);
    if (p->get) {
        (void)curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
    } else {
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)p->body.len);
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, p->body.ptr);  // and no GET any more
    }
    if (curl_easy_setopt(c, CURLOPT_URL, buf_text(&e->url)) == CURLE_OK &&
        curl_multi_add_handle(loop_multi(e->loop), c) == CURLM_OK) {
        e->n_running++;
        return true;
    }
    p->easy = NULL;
    curl_easy_cleanup(c);
    drop_fields(p);
    return false;
}

static bool has_room(const struct post_endpoint *e)
{
    int64_t most = (int64_t)e->options.max_connections * (e->http2 ? POST_STREAMS : 1);
    return e->n_running < most;
}

static const char no_begin[] = "libcurl cannot begin a transfer";

bool post_start(struct post *p, struct error *err)
{
    struct post_endpoint *e = p->endpoint;
    if (!has_room(e)) {
        p->waits = true;
        p->next = NULL;
        if (e->first)
            e->last->next = p;
        else
            e->first = p;
        e->last = p;
        return true;
    }
    return begin(p) || error_set(err, ERR_INTERNAL, "%s", no_begin);
}

static void begin_waiting(struct post_endpoint *e)
{
    while (e->first && has_room(e)) {
        struct post *p = e->first;
        struct error err = {0};
        e->first = p->next;
        p->waits = false;
        if (begin(p))
            continue;
        (void)error_set(&err, ERR_INTERNAL, "%s", no_begin);
        bool last = !e->first;
        p->on_end(p->self, POST_REFUSED, &err);
        if (last)
            return;
    }
}

static void leave_queue(struct post *p)
{
    struct post_endpoint *e = p->endpoint;
    struct post **at = &e->first, *before = NULL;
    while (*at != p) {
        before = *at;
        at = &before->next;
    }
    *at = p->next;
    if (e->last == p)
        e->last = before;
    p->waits = false;
}

// The handle goes back; a connection in the middle of an answer is closed by that.
static void finish(struct post *p)
{
    struct post_endpoint *e = p->endpoint;
    curl_off_t sent = 0;
    (void)curl_easy_getinfo(p->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    p->bytes_sent += sent;
    (void)curl_multi_remove_handle(loop_multi(e->loop), p->easy);
    if (e->n_easies < EASIES_KEPT)
        e->easies[e->n_easies++] = p->easy;
    else
        curl_easy_cleanup(p->easy);
    p->easy = NULL;
    drop_fields(p);
    e->n_running--;
}

// Failures that come again however often one asks.
static bool is_final(CURLcode code)
{
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
           code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
}

static const char *words_of(CURLcode code)
{
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY: return "what it says is no HTTP";
    case CURLE_PEER_FAILED_VERIFICATION: return "its certificate is not trusted, or is another's";
    default: return curl_easy_strerror(code);
    }
}

static enum post_outcome outcome_of(struct post *p, CURLcode code, struct error *err)
{
    if (code == CURLE_OK)
        (void)tell_head(p);  // there was no body
    if (p->stopped)
        return POST_STOPPED;
    if (p->compressed) {
        (void)error_set(err, ERR_UPSTREAM, "sends compressed what was asked for plain");
        return POST_REFUSED;
    }
    if (p->header_bytes > POST_HEADERS_MAX_BYTES) {
        (void)error_set(err, ERR_UPSTREAM, "sends more than %d bytes of headers",
                        POST_HEADERS_MAX_BYTES);
        return POST_REFUSED;
    }
    if (code == CURLE_OK)
        return POST_DONE;
    (void)error_set(err, ERR_UPSTREAM, "%s", words_of(code));
    return is_final(code) ? POST_REFUSED : POST_LOST;
}

static void on_done(struct loop_transfer *t, int code)
{
    struct post *p = (struct post *)(void *)((char *)t - offsetof(struct post, transfer));
    struct error err = {0};
    enum post_outcome outcome = outcome_of(p, (CURLcode)code, &err);
    finish(p);
    begin_waiting(p->endpoint);
    p->on_end(p->self, outcome, &err);  // the last of the endpoint's posts may give that up
}

void post_stop(struct post *p)
{
    if (p->waits)
        leave_queue(p);
    if (!p->easy)
        return;
    finish(p);
    begin_waiting(p->endpoint);
}

void post_resume(struct post *p)
{
    if (!p->full || !p->easy)
        return;
    p->full = false;
    (void)curl_easy_pause(p->easy, CURLPAUSE_CONT);
}
