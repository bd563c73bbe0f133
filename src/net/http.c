// http.c - transfers on one libcurl multi handle.
#include "net/http.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "base/buf.h"
#include "base/memory.h"
#include "net/http_head.h"

enum {
    REDIRECTS_MAX = 10,
    TOKEN_MAX_BYTES = 4096,
    CONNECTIONS_KEPT = 16,
    RECEIVE_BYTES = 256 << 10,
    ERROR_BODY_MAX =
        64 << 10,  // what is read of an answer that nobody wants, to keep the connection
};

struct http {
    CURLM *multi;
    struct http_options options;
    struct http_transfer *transfers;  // a list of all there are
};

struct http_transfer {
    struct http *client;
    struct http_transfer *previous, *next;
    CURL *easy;
    struct curl_slist *fields;
    struct http_request request;  // .url is not kept: see url
    char *token;
    struct url url;  // who is asked now
    int n_redirects;
    bool left_origin, head_read, stopped, compressed;
    size_t unwanted_bytes;
    struct http_head head;
    struct error err;
};

struct http *http_new(const struct http_options *o, struct error *err)
{
    // Safe to call again, and from several threads, with every libcurl since 7.84.
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        error_set(err, ERR_INTERNAL, "libcurl cannot be set up");
        return NULL;
    }
    struct http *h = memory_array(struct http, 1);
    h->options = o ? *o : (struct http_options){0};
    h->options.connect_s = h->options.connect_s ? h->options.connect_s : 15;
    h->options.stall_s = h->options.stall_s ? h->options.stall_s : 30;
    h->multi = curl_multi_init();
    if (!h->multi) {
        free(h);
        error_set(err, ERR_INTERNAL, "libcurl cannot be set up");
        return NULL;
    }
    (void)curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
    return h;
}

void http_free(struct http *h)
{
    if (!h)
        return;
    while (h->transfers)
        http_cancel(h->transfers);
    (void)curl_multi_cleanup(h->multi);
    free(h);
}

static const char *field(const struct http_transfer *t, const char *name)
{
    struct curl_header *f;
    return curl_easy_header(t->easy, name, 0, CURLH_HEADER, -1, &f) == CURLHE_OK ? f->value : NULL;
}

// Printable ASCII that fits, else nothing.
static void copy_field(const struct http_transfer *t, const char *name, char *out, size_t bytes)
{
    const char *value = field(t, name);
    out[0] = 0;
    if (!value || strlen(value) >= bytes)
        return;
    for (const char *p = value; *p; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7E)
            return;
    (void)snprintf(out, bytes, "%s", value);
}

static void read_head(struct http_transfer *t)
{
    long status = 0;
    curl_off_t length = -1;
    struct http_head *head = &t->head;
    if (t->head_read)
        return;
    t->head_read = true;
    *head = (struct http_head){.total = -1, .retry_after_s = -1};
    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    head->status = (int)status;
    head->length = length;
    const char *range = field(t, "Content-Range"), *later = field(t, "Retry-After");
    const char *encoding = field(t, "Content-Encoding");
    if (range)
        (void)http_head_range(head, range);
    if (later)
        head->retry_after_s = http_head_retry_after(later, (long long)time(NULL));
    t->compressed = encoding && strcmp(encoding, "identity") != 0;
    copy_field(t, "ETag", head->etag, sizeof head->etag);
    copy_field(t, "X-Error-Code", head->error_code, sizeof head->error_code);
}

static bool wanted(const struct http_transfer *t)
{
    return t->head.status >= 200 && t->head.status <= 299;
}

// The answer's head, to whom it concerns. False if they stop it.
static bool tell_head(struct http_transfer *t)
{
    if (t->head_read)
        return !t->stopped;
    read_head(t);
    if (!wanted(t))
        return true;
    if (t->compressed)
        t->stopped = !error_set(&t->err, ERR_FORMAT, "%s sends compressed what was asked plain",
                                t->url.origin);
    else if (t->request.on_head)
        t->stopped = !t->request.on_head(t->request.self, &t->head, &t->err);
    return !t->stopped;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *self)
{
    struct http_transfer *t = self;
    size_t len = size * n;
    if (!tell_head(t))
        return CURL_WRITEFUNC_ERROR;
    if (!wanted(t)) {
        t->unwanted_bytes += len;
        return t->unwanted_bytes > ERROR_BODY_MAX ? CURL_WRITEFUNC_ERROR : len;
    }
    if (t->request.on_body && !t->request.on_body(t->request.self, slice_of(bytes, len), &t->err)) {
        t->stopped = true;
        return CURL_WRITEFUNC_ERROR;
    }
    return len;
}

static void set_options(struct http_transfer *t)
{
    CURL *e = t->easy;
    const struct http_options *o = &t->client->options;
    (void)curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    (void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    (void)curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(e, CURLOPT_USERAGENT, "hearth");
    (void)curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    // HTTP/2 would put all ranges on one connection, which is what several are meant to avoid.
    (void)curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
    (void)curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, (long)o->connect_s);
    (void)curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)o->stall_s);
    if (o->ca_file)
        (void)curl_easy_setopt(e, CURLOPT_CAINFO, o->ca_file);
    if (t->request.n_bytes) {
        char range[64];
        (void)snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)t->request.first,
                       (unsigned long long)(t->request.first + t->request.n_bytes - 1));
        (void)curl_easy_setopt(e, CURLOPT_RANGE, range);
    }
}

// Everything of a request that depends on who is asked; then it is on its way.
static bool ask(struct http_transfer *t)
{
    curl_slist_free_all(t->fields);
    t->fields = curl_slist_append(NULL, "Accept-Encoding: identity");
    if (!url_same_origin(&t->url, t->request.token_origin ? t->request.token_origin : &t->url))
        t->left_origin = true;
    if (t->token && !t->left_origin) {
        struct buf line = {0};
        buf_printf(&line, "Authorization: Bearer %s", t->token);
        struct curl_slist *longer = curl_slist_append(t->fields, buf_text(&line));
        buf_release(&line);
        t->fields = longer ? longer : t->fields;
    }
    t->head_read = t->compressed = false;
    t->unwanted_bytes = 0;
    return curl_easy_setopt(t->easy, CURLOPT_URL, t->url.text) == CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->fields) == CURLE_OK &&
           curl_multi_add_handle(t->client->multi, t->easy) == CURLM_OK;
}

// A token goes into a header line: nothing in it may end that line.
static bool check_token(const char *token, struct error *err)
{
    size_t n = token ? strlen(token) : 0;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)token[i] <= 0x20 || (unsigned char)token[i] >= 0x7F)
            return error_set(err, ERR_USAGE, "the token holds a character that no token has");
    return n <= TOKEN_MAX_BYTES || error_set(err, ERR_USAGE, "the token is too long to be one");
}

struct http_transfer *http_start(struct http *h, const struct http_request *r, struct error *err)
{
    struct url url;
    assert(!r->token || r->token_origin);
    if (!check_token(r->token, err) || !url_parse(r->url, &url, err))
        return NULL;
    struct http_transfer *t = memory_array(struct http_transfer, 1);
    *t = (struct http_transfer){.client = h,
                                .next = h->transfers,
                                .request = *r,
                                .url = url,
                                .token = memory_text(r->token),
                                .easy = curl_easy_init()};
    if (h->transfers)
        h->transfers->previous = t;
    h->transfers = t;
    if (t->easy) {
        set_options(t);
        if (ask(t))
            return t;
    }
    http_cancel(t);
    error_set(err, ERR_INTERNAL, "libcurl cannot begin a transfer");
    return NULL;
}

void http_cancel(struct http_transfer *t)
{
    if (!t)
        return;
    if (t->previous)
        t->previous->next = t->next;
    else
        t->client->transfers = t->next;
    if (t->next)
        t->next->previous = t->previous;
    if (t->easy) {
        (void)curl_multi_remove_handle(t->client->multi, t->easy);
        curl_easy_cleanup(t->easy);
    }
    curl_slist_free_all(t->fields);
    url_release(&t->url);
    if (t->token)
        explicit_bzero(t->token, strlen(t->token));
    free(t->token);
    free(t);
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// True if the transfer is on its way to the next address; else err says why not.
static bool follow(struct http_transfer *t)
{
    const char *location = field(t, "Location");
    struct url next;
    if (!location)
        return error_set(&t->err, ERR_FORMAT, "%s redirects to nowhere", t->url.origin);
    if (++t->n_redirects > REDIRECTS_MAX)
        return error_set(&t->err, ERR_FORMAT, "%s redirects more than %d times", t->url.origin,
                         REDIRECTS_MAX);
    if (!url_redirect(&t->url, location, &next, &t->err))
        return false;
    url_release(&t->url);
    t->url = next;
    return ask(t) || error_set(&t->err, ERR_INTERNAL, "libcurl cannot follow a redirect");
}

// Failures that come again however often one asks.
static bool is_final(CURLcode code)
{
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
           code == CURLE_URL_MALFORMAT;
}

static enum http_outcome outcome_of(struct http_transfer *t, CURLcode code)
{
    if (code == CURLE_OK)
        (void)tell_head(t);
    if (t->stopped)
        return t->compressed ? HTTP_REFUSED : HTTP_STOPPED;
    if (t->head_read && !wanted(t) && (code == CURLE_OK || code == CURLE_WRITE_ERROR))
        return HTTP_STATUS;
    if (code == CURLE_OK)
        return HTTP_DONE;
    bool babble = code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY;
    error_set(&t->err, ERR_IO, "%s: %s", t->url.origin,
              babble ? "what it says is no HTTP" : curl_easy_strerror(code));
    return is_final(code) ? HTTP_REFUSED : HTTP_LOST;
}

static void finish(struct http_transfer *t, CURLcode code)
{
    enum http_outcome outcome = outcome_of(t, code);
    if (outcome == HTTP_STATUS && is_redirect(t->head.status)) {
        (void)curl_multi_remove_handle(t->client->multi, t->easy);
        if (follow(t))
            return;
        outcome = HTTP_REFUSED;
    }
    struct http_end end = {.outcome = outcome, .head = t->head, .url = &t->url, .err = t->err};
    t->request.on_end(t->request.self, &end);
    http_cancel(t);
}

void http_step(struct http *h, int wait_ms)
{
    int n_running, n_left;
    (void)curl_multi_perform(h->multi, &n_running);
    bool something = false;
    for (CURLMsg *m; (m = curl_multi_info_read(h->multi, &n_left)) != NULL;) {
        struct http_transfer *t = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode code = m->data.result;
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
        something = true;
        finish(t, code);
    }
    if (!something && wait_ms > 0)
        (void)curl_multi_poll(h->multi, NULL, 0, wait_ms, NULL);
}
