#include "proxy_answer.h"

#include <strings.h>

enum { HEAD_MAX = 64 << 10, MOMENT_BYTES = 21 };
enum chunk_state { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILER };

void proxy_answer_begin(struct proxy_answer *a)
{
    struct buf head = a->head;
    *a = (struct proxy_answer){.head = head};
    buf_clear(&a->head);
}

void proxy_answer_release(struct proxy_answer *a)
{
    buf_release(&a->head);
}

// The value of a header in a head, or NULL.
static const char *header(const char *head, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, n) == 0 && line[n] == ':')
            return line + n + 1 + strspn(line + n + 1, " ");
    }
    return NULL;
}

static void read_head(struct proxy_answer *a)
{
    const char *head = buf_text(&a->head), *value;
    if (strncmp(head, "HTTP/1.", 7) != 0) {
        a->wrong = true;
        return;
    }
    a->status = (int)strtol(head + 8, NULL, 10);
    if (a->status < 200) {  // comes before another
        buf_clear(&a->head);
        return;
    }
    a->in_body = true;
    value = header(head, "connection");
    a->close = value && strncasecmp(value, "close", 5) == 0;
    if ((value = header(head, "transfer-encoding")))
        a->chunked = true;
    else if ((value = header(head, "content-length")))
        a->left = strtoull(value, NULL, 10);
    else
        a->until_close = true;
    a->whole = !a->chunked && !a->until_close && a->left == 0;
}

static bool all_digits(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < '0' || p[i] > '9')
            return false;
    return true;
}

// Finds moments in what is joined of the tail before and these bytes.
static void find_moments(struct proxy_answer *a, struct slice bytes, proxy_moment *moment,
                         void *self)
{
    char joined[sizeof a->tail * 2];
    a->body_bytes += bytes.len;
    if (a->n_tail > 0) {  // across the border: what the tail begins and these bytes end
        size_t more = bytes.len < MOMENT_BYTES - 1 ? bytes.len : MOMENT_BYTES - 1;
        size_t n = a->n_tail;
        memcpy(joined, a->tail, n);
        memcpy(joined + n, bytes.ptr, more);
        for (size_t i = 0; i < n && i + MOMENT_BYTES <= n + more; i++)
            if (joined[i] == 't' && joined[i + 20] == ' ' && all_digits(joined + i + 1, 19))
                moment(self, strtoll(joined + i + 1, NULL, 10));
    }
    const char *p = bytes.ptr, *end = bytes.ptr + bytes.len;
    while (p < end && (p = memchr(p, 't', (size_t)(end - p))) && end - p >= MOMENT_BYTES) {
        if (p[20] == ' ' && all_digits(p + 1, 19))
            moment(self, strtoll(p + 1, NULL, 10));
        p++;
    }
    size_t keep = MOMENT_BYTES - 1;
    if (bytes.len >= keep) {
        memcpy(a->tail, end - keep, keep);
        a->n_tail = keep;
    } else {
        size_t old = a->n_tail + bytes.len > keep ? keep - bytes.len : a->n_tail;
        memmove(a->tail, a->tail + a->n_tail - old, old);
        memcpy(a->tail + old, bytes.ptr, bytes.len);
        a->n_tail = old + bytes.len;
    }
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

// One byte between the data of chunks.
static void read_frame(struct proxy_answer *a, char c)
{
    switch (a->state) {
    case CHUNK_SIZE:
    case CHUNK_EXTENSION:
        if (c == '\n') {
            a->state = a->left ? CHUNK_DATA : CHUNK_TRAILER;
            a->n_tail = a->left ? a->n_tail : 0;
        } else if (a->state == CHUNK_SIZE && hex_digit(c) >= 0)
            a->left = a->left * 16 + (uint64_t)hex_digit(c);
        else
            a->state = CHUNK_EXTENSION;
        break;
    case CHUNK_DATA_END:
        if (c == '\n') {
            a->state = CHUNK_SIZE;
            a->left = 0;
        }
        break;
    default:  // CHUNK_TRAILER: an empty line ends it
        if (c == '\n') {
            a->whole = a->left == 0;
            a->left = 0;
        } else if (c != '\r')
            a->left = 1;
    }
}

static void read_body(struct proxy_answer *a, struct slice bytes, proxy_moment *moment, void *self)
{
    while (bytes.len > 0 && !a->whole) {
        if (a->chunked && a->state != CHUNK_DATA) {
            read_frame(a, bytes.ptr[0]);
            bytes = slice_sub(bytes, 1, bytes.len);
            continue;
        }
        size_t n = a->until_close || bytes.len < a->left ? bytes.len : (size_t)a->left;
        find_moments(a, slice_sub(bytes, 0, n), moment, self);
        bytes = slice_sub(bytes, n, bytes.len);
        if (a->until_close)
            continue;
        a->left -= n;
        if (a->left == 0 && a->chunked)
            a->state = CHUNK_DATA_END;
        else if (a->left == 0)
            a->whole = true;
    }
    if (bytes.len > 0)
        a->wrong = true;  // more than an answer
}

void proxy_answer_read(struct proxy_answer *a, struct slice bytes, proxy_moment *moment, void *self)
{
    while (!a->in_body && bytes.len > 0 && !a->wrong) {
        buf_char(&a->head, bytes.ptr[0]);
        bytes = slice_sub(bytes, 1, bytes.len);
        size_t n = a->head.len;
        if (n >= 4 && memcmp(a->head.ptr + n - 4, "\r\n\r\n", 4) == 0)
            read_head(a);
        else if (n > HEAD_MAX)
            a->wrong = true;
    }
    if (a->in_body)
        read_body(a, bytes, moment, self);
}
