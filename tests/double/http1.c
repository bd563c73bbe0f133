#include "http1.h"

#include <stdint.h>
#include <strings.h>

static struct slice trim(struct slice s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = slice_sub(s, 1, s.len);
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static bool same(struct slice a, const char *name)
{
    return a.len == strlen(name) && strncasecmp(a.ptr, name, a.len) == 0;
}

// A number of this base; false if it is none or more than a body may be.
static bool number(struct slice s, unsigned base, size_t *out)
{
    size_t v = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 99;
        if (digit >= base || v > HTTP1_BODY_MAX)
            return false;
        v = v * base + digit;
    }
    *out = v;
    return v <= HTTP1_BODY_MAX;
}

struct body {
    bool chunked;
    size_t bytes;
};

static void read_key(struct http1_request *out, struct slice name, struct slice value)
{
    static const char *const headers[] = {"authorization", "x-api-key", "x-goog-api-key"};
    for (int i = 0; i < 3; i++)
        if (same(name, headers[i])) {
            snprintf(out->key_header, sizeof out->key_header, "%s", headers[i]);
            bool bearer = i == 0 && value.len > 7 && strncasecmp(value.ptr, "bearer ", 7) == 0;
            out->key = bearer ? slice_sub(value, 7, value.len) : value;
        }
}

static bool read_header(struct slice line, struct http1_request *out, struct body *body)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    if (!colon)
        return false;
    size_t at = (size_t)(colon - line.ptr);
    struct slice name = slice_sub(line, 0, at), value = trim(slice_sub(line, at + 1, line.len));
    if (same(name, "content-length"))
        return number(value, 10, &body->bytes);
    if (same(name, "transfer-encoding"))
        body->chunked = same(value, "chunked");
    else if (same(name, "connection"))
        out->close = same(value, "close");
    else if (same(name, "expect"))
        out->expects = same(value, "100-continue");
    else if (same(name, "accept-encoding"))
        out->accept_encoding = value;
    else
        read_key(out, name, value);
    return true;
}

static bool read_head(struct slice head, struct http1_request *out, struct body *body)
{
    const char *end = memmem(head.ptr, head.len, "\r\n", 2);
    struct slice line = slice_of(head.ptr, (size_t)(end - head.ptr));
    const char *space = memchr(line.ptr, ' ', line.len);
    const char *last = memrchr(line.ptr, ' ', line.len);
    if (!space || last <= space || (size_t)(space - line.ptr) >= sizeof out->method)
        return false;
    memcpy(out->method, line.ptr, (size_t)(space - line.ptr));
    out->target = slice_of(space + 1, (size_t)(last - space) - 1);
    for (const char *p = end + 2; p < head.ptr + head.len; p = end + 2) {
        size_t left = (size_t)(head.ptr + head.len - p);
        end = memmem(p, left, "\r\n", 2);
        if (!end)
            break;
        if (end > p && !read_header(slice_of(p, (size_t)(end - p)), out, body))
            return false;
    }
    return true;
}

static enum http1_state read_chunks(struct slice in, size_t at, struct http1_request *out,
                                    struct buf *chunks)
{
    buf_clear(chunks);
    for (;;) {
        size_t n;
        const char *end = at < in.len ? memmem(in.ptr + at, in.len - at, "\r\n", 2) : NULL;
        if (!end)
            return HTTP1_MORE;
        if (!number(slice_of(in.ptr + at, (size_t)(end - in.ptr) - at), 16, &n) ||
            chunks->len + n > HTTP1_BODY_MAX)
            return HTTP1_WRONG;
        at = (size_t)(end - in.ptr) + 2;
        if (in.len - at < n + 2)
            return HTTP1_MORE;
        buf_add(chunks, in.ptr + at, n);
        at += n + 2;
        if (n == 0) {
            out->body = buf_view(chunks);
            out->total_bytes = at;
            return HTTP1_WHOLE;
        }
    }
}

enum http1_state http1_read(struct slice in, struct http1_request *out, struct buf *chunks)
{
    struct body body = {0};
    *out = (struct http1_request){0};
    const char *end = in.len ? memmem(in.ptr, in.len, "\r\n\r\n", 4) : NULL;
    if (!end)
        return in.len > HTTP1_HEAD_MAX ? HTTP1_WRONG : HTTP1_MORE;
    size_t head = (size_t)(end - in.ptr) + 4;
    if (!read_head(slice_of(in.ptr, head), out, &body))
        return HTTP1_WRONG;
    out->head_bytes = head;
    if (body.chunked)
        return read_chunks(in, head, out, chunks);
    if (in.len - head < body.bytes)
        return HTTP1_MORE;
    out->body = slice_of(in.ptr + head, body.bytes);
    out->total_bytes = head + body.bytes;
    return HTTP1_WHOLE;
}

const char *http1_reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 413: return "Payload Too Large";
    case 429: return "Too Many Requests";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    case 529: return "Site is overloaded";
    default: return "Unknown";
    }
}
