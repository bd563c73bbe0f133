// framing.c - what libmicrohttpd lets pass of a request's line and headers, and must not.
//
// Where two servers behind each other disagree about where a request ends, a client can slip one
// past the first of them. So whatever is not plain about length, coding, host or target is refused
// before anything is done, and the connection is closed with the answer: a response that is queued
// before its body was read ends it. libmicrohttpd hands out its own buffer, in which NULs and
// continued lines show by where the pieces lie.
// Threads: the HTTP thread.
// Source: RFC 9110, RFC 9112; connection.c of libmicrohttpd 0.9.75.
#include <ctype.h>
#include <string.h>

#include "server/impl.h"

// The target

// http://HOST/path: the bytes before the path; 0 if the target has no such form.
static size_t origin_bytes(const char *uri, const char **authority)
{
    size_t scheme = strncasecmp(uri, "http://", 7) == 0    ? 7
                    : strncasecmp(uri, "https://", 8) == 0 ? 8
                                                           : 0;
    *authority = uri + scheme;
    return scheme ? scheme + strcspn(*authority, "/?") : 0;
}

void framing_line(struct exchange *x, const char *uri)
{
    const char *authority;
    struct target *t = &x->target;
    t->n_bytes = strlen(uri);
    t->n_origin = origin_bytes(uri, &authority);
    if (t->n_origin) {
        struct slice host = slice_of(authority, (size_t)(uri + t->n_origin - authority));
        t->host = arena_text(&x->arena, host);
        t->bad = !host.len || strpbrk(t->host, "@%");
    }
    t->bad |= strpbrk(uri, " \t") || strstr(uri, "%00");
}

const char *framing_path(const struct exchange *x, const char *url)
{
    if (x->target.bad || !x->target.n_origin)
        return url;
    return url[x->target.n_origin] ? url + x->target.n_origin : "/";
}

// The headers

struct headers {
    const char *length;  // the first of its name
    const char *coding;
    const char *end;  // of the last one's value
    int n_hosts, n_codings;
    bool bad_name, bad_place, lengths_differ;
};

static bool is_token(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)text[i]) && !byte_of(text[i], "!#$%&'*+-.^_`|~"))
            return false;
    return n > 0;
}

static bool is_name(const char *key, size_t n, const char *name)
{
    return n == strlen(name) && strncasecmp(key, name, n) == 0;
}

// A line ends with CR LF or LF, which became NULs; whatever else lies there began with one.
static bool follows(const char *end, const char *next, int n_lines)
{
    return next - end >= n_lines && next - end <= 2 * n_lines;
}

// Between a name and its value there are the colon, now NUL, and blanks; a line that was continued
// lies elsewhere, with its end appended to its name.
static bool is_whole(const char *key, size_t n, const char *value)
{
    if (value <= key + n || value - key > CONNECTION_MEMORY_BYTES)
        return false;
    return strspn(key + n + 1, " \t") >= (size_t)(value - (key + n + 1));
}

static enum MHD_Result add_header(void *self, enum MHD_ValueKind kind, const char *key,
                                  size_t n_key, const char *value, size_t n_value)
{
    struct headers *h = self;
    (void)kind;
    if (!value)
        value = "";
    h->bad_name |= !is_token(key, n_key);
#if MHD_VERSION < 0x01000000  // later ones look themselves
    h->bad_place |= !is_whole(key, n_key, value) || (h->end && !follows(h->end, key, 1));
#endif
    h->end = value + n_value;
    h->n_hosts += is_name(key, n_key, "host");
    if (is_name(key, n_key, "content-length")) {
        h->lengths_differ |= h->length && strcmp(h->length, value) != 0;
        h->length = h->length ? h->length : value;
    } else if (is_name(key, n_key, "transfer-encoding")) {
        h->coding = value;
        h->n_codings++;
    }
    return MHD_YES;
}

static bool check_body(const struct headers *h, bool old, struct dialect_error *err)
{
    if (h->lengths_differ)
        return dialect_refuse(err, PROBLEM_REQUEST, "content-length",
                              "the request has two different lengths");
    if (h->length && h->coding)
        return dialect_refuse(err, PROBLEM_REQUEST, "transfer-encoding",
                              "the request has both a Content-Length and a Transfer-Encoding");
    if (h->n_codings > 1 || (h->coding && old))
        return dialect_refuse(err, PROBLEM_REQUEST, "transfer-encoding",
                              "'Transfer-Encoding' is there twice, or for HTTP/1.0");
    if (h->coding && strcasecmp(h->coding, "chunked") != 0)
        return dialect_refuse(err, PROBLEM_CODING, "transfer-encoding",
                              "of transfer encodings only chunked is known");
    return true;
}

#if MHD_VERSION < 0x01000000
// From the target to the first header, and from the last one to the end of all.
static bool ends_meet(const struct exchange *x, const struct headers *h, const char *url,
                      const char *method, const char *version)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (*version && version != url + x->target.n_bytes + 1)
        return false;
    return !h->end || !i || follows(h->end, method + i->header_size, 2);
}
#endif

bool framing_check(struct exchange *x, const char *url, const char *method, const char *version,
                   struct dialect_error *err)
{
    struct headers h = {0};
    bool old = strcmp(version, "HTTP/1.1") != 0;
    (void)MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND, add_header, &h);
#if MHD_VERSION < 0x01000000
    h.bad_place |= !ends_meet(x, &h, url, method, version);
#endif
    if (x->target.bad)
        return dialect_refuse(err, PROBLEM_REQUEST, NULL, "the request's target is malformed");
    if (h.bad_name)
        return dialect_refuse(err, PROBLEM_REQUEST, NULL,
                              "a header's name has a character that names do not have");
    if (h.bad_place)
        return dialect_refuse(err, PROBLEM_REQUEST, NULL,
                              "the request's head has a NUL or a continued line");
    if (h.n_hosts > 1 || (!h.n_hosts && !old))
        return dialect_refuse(err, PROBLEM_REQUEST, "host", "the request must have one 'Host'");
    return check_body(&h, old, err);
}
