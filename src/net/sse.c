#include "net/sse.h"

static size_t max_bytes(const struct sse *s)
{
    return s->max_bytes ? s->max_bytes : SSE_MAX_BYTES;
}

// The length of what comes before the next line end; in.len if there is none.
static size_t line_length(struct slice in)
{
    size_t n = 0;
    while (n < in.len && in.ptr[n] != '\n' && in.ptr[n] != '\r')
        n++;
    return n;
}

// What is borrowed of the input moves into memory of our own.
static void keep_first(struct sse *s)
{
    if (!s->first.ptr)
        return;
    buf_slice(&s->joined, s->first);
    s->first = (struct slice){0};
}

static bool add_data(struct sse *s, struct slice value, bool borrowed)
{
    if (s->joined.len + s->first.len + value.len + (s->n_data > 0) >= max_bytes(s))
        return false;
    if (s->n_data++ == 0 && borrowed) {
        s->first = value;
        return true;
    }
    keep_first(s);
    if (s->n_data > 1)
        buf_char(&s->joined, '\n');
    buf_slice(&s->joined, value);
    return true;
}

// One line that is not empty. False: too long.
static bool take_line(struct sse *s, struct slice line, bool borrowed)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    struct slice name = slice_sub(line, 0, colon ? (size_t)(colon - line.ptr) : line.len);
    struct slice value = slice_sub(line, name.len + 1, line.len);
    if (value.len && value.ptr[0] == ' ')
        value = slice_sub(value, 1, value.len);
    if (slice_is(name, "data"))
        return add_data(s, value, borrowed);
    if (slice_is(name, "event")) {
        buf_clear(&s->name);
        buf_slice(&s->name, value);
    }
    return true;
}

// The lines of an event are all there. False if it has no data, and so is none.
static bool take_event(struct sse *s)
{
    s->told = s->n_data > 0;
    s->n_data = 0;
    if (!s->told) {
        buf_clear(&s->name);
        return false;
    }
    s->event = buf_view(&s->name);
    s->data = s->first.ptr ? s->first : buf_view(&s->joined);
    s->first = (struct slice){0};
    return true;
}

// Forgets the event that was told last.
static void forget(struct sse *s)
{
    if (!s->told)
        return;
    s->told = false;
    s->event = s->data = (struct slice){0};
    buf_clear(&s->name);
    buf_clear(&s->joined);
}

static struct slice without_mark(struct sse *s, struct slice line)
{
    bool begun = s->begun;
    s->begun = true;
    return !begun && slice_starts(line, slice_str("\xEF\xBB\xBF")) ? slice_sub(line, 3, line.len)
                                                                   : line;
}

enum sse_result sse_read(struct sse *s, struct slice *in)
{
    forget(s);
    while (in->len > 0) {
        if (s->skip_lf && in->ptr[0] == '\n')
            *in = slice_sub(*in, 1, in->len);
        s->skip_lf = false;
        size_t n = line_length(*in);
        if (n + s->line.len >= max_bytes(s))
            return SSE_TOO_LONG;
        struct slice line = slice_sub(*in, 0, n);
        bool ended = n < in->len, borrowed = s->line.len == 0;
        s->skip_lf = ended && in->ptr[n] == '\r';
        *in = slice_sub(*in, n + 1, in->len);
        if (!ended || !borrowed)
            buf_slice(&s->line, line);
        if (!ended)
            break;
        line = without_mark(s, borrowed ? line : buf_view(&s->line));
        bool event = line.len == 0 && take_event(s), fits = true;
        if (line.len > 0)
            fits = take_line(s, line, borrowed);
        buf_clear(&s->line);
        if (event || !fits)
            return event ? SSE_EVENT : SSE_TOO_LONG;
    }
    keep_first(s);
    return SSE_MORE;
}

bool sse_end(struct sse *s)
{
    forget(s);
    return s->line.len == 0 && take_event(s);
}

void sse_clear(struct sse *s)
{
    buf_clear(&s->line);
    buf_clear(&s->joined);
    buf_clear(&s->name);
    s->first = s->event = s->data = (struct slice){0};
    s->n_data = 0;
    s->skip_lf = s->begun = s->told = false;
}

void sse_release(struct sse *s)
{
    buf_release(&s->line);
    buf_release(&s->joined);
    buf_release(&s->name);
    *s = (struct sse){.max_bytes = s->max_bytes};
}
