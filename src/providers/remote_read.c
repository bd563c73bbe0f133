// remote_read.c - what comes of one try: events of a stream, a whole answer, or a refusal.
#include "base/clock.h"
#include "providers/remote_impl.h"

void remote_read_begin(struct answer *a)
{
    a->mode = REMOTE_NO_HEAD;
    a->status = 0;
    a->retry_after_s = -1;
    a->n_read = 0;
    a->paused = a->quiet = a->told_usage = a->stated = a->cut = false;
    a->sent_before = a->post.bytes_sent;
    a->usage = (struct chat_usage){0};
    sse_clear(&a->sse);
    buf_clear(&a->whole);
    buf_clear(&a->held);
    error_clear(&a->error);
    error_clear(&a->lost);
}

static bool is_redirect(int status)
{
    return status >= 300 && status <= 399;
}

bool remote_on_head(void *self, const struct post_head *head)
{
    struct answer *a = self;
    a->last_ns = clock_ns();
    a->status = head->status;
    a->retry_after_s = head->retry_after_s;
    if (is_redirect(head->status))
        return error_set(&a->error, ERR_UPSTREAM,
                         "redirects (%d), which is not followed with a key", head->status);
    if (head->status < 200 || head->status > 299) {
        a->mode = REMOTE_REFUSAL;
        a->whole.max_bytes = REMOTE_ERROR_MAX;
        return true;
    }
    if (head->type == POST_TYPE_OTHER)
        return error_set(&a->error, ERR_UPSTREAM,
                         "answers with '%s' where JSON or a stream of events is expected",
                         head->type_text);
    a->mode = head->type == POST_TYPE_SSE ? REMOTE_STREAM : REMOTE_WHOLE;
    a->whole.max_bytes = REMOTE_WHOLE_MAX;
    remote_arm(a);  // the next limit may be sooner
    return true;
}

static bool too_much(struct answer *a, int most)
{
    return error_set(&a->error, ERR_UPSTREAM, "answers with more than %d bytes", most);
}

// Pushes what there is, until the sink is full. False: it is no stream, or tells of a failure.
static bool read_events(struct answer *a, struct slice *in)
{
    struct chat_sink sink = remote_sink(a);
    while (in->len > 0) {
        if (remote_full(a)) {
            a->paused = true;
            return true;
        }
        enum sse_result got = sse_read(&a->sse, in);
        if (got == SSE_TOO_LONG)
            return error_set(&a->error, ERR_UPSTREAM, "sends an event of more than %d bytes",
                             SSE_MAX_BYTES);
        if (got == SSE_EVENT &&
            !a->remote->client->read_event(a->state, a->sse.event, a->sse.data, &sink, &a->error))
            return false;
    }
    return true;
}

static enum post_take take_stream(struct answer *a, struct slice in)
{
    if (a->paused) {
        // On HTTP/2, a stream that is held up may hold up its connection, and so others.
        if (!a->post.head.http2 || a->held.len + in.len > REMOTE_HELD_MAX)
            return POST_FULL;
        buf_slice(&a->held, in);
        return POST_TAKEN;
    }
    if (!read_events(a, &in))
        return POST_STOP;
    buf_slice(&a->held, in);
    return POST_TAKEN;
}

enum post_take remote_on_body(void *self, struct slice bytes)
{
    struct answer *a = self;
    a->last_ns = clock_ns();
    if (a->mode == REMOTE_STREAM) {
        enum post_take take = take_stream(a, bytes);
        if (take == POST_FULL)
            return take;  // the same comes again
        a->bytes_received += (int64_t)bytes.len;
        a->n_read += (int64_t)bytes.len;
        if (a->n_read <= REMOTE_STREAM_MAX)
            return take;
        (void)too_much(a, REMOTE_STREAM_MAX);
        return POST_STOP;
    }
    a->bytes_received += (int64_t)bytes.len;
    buf_slice(&a->whole, bytes);
    if (!a->whole.overflow)
        return POST_TAKEN;
    if (a->mode == REMOTE_WHOLE)
        (void)too_much(a, REMOTE_WHOLE_MAX);
    return POST_STOP;
}

void remote_unpause(struct answer *a)
{
    struct slice in = buf_view(&a->held);
    if (!a->paused)
        return;
    a->paused = false;
    a->last_ns = clock_ns();  // it was not the vendor who was slow
    bool good = read_events(a, &in);
    if (good && a->paused) {
        memmove(a->held.ptr, in.ptr, in.len);
        a->held.len = in.len;
        return;
    }
    buf_clear(&a->held);
    if (!good)
        post_stop(&a->post);
    if (!good || a->phase == REMOTE_HOLDS)
        remote_conclude(a);
    else
        post_resume(&a->post);
}

bool remote_read_all(struct answer *a)
{
    struct chat_sink sink = remote_sink(a);
    return !sse_end(&a->sse) ||
           a->remote->client->read_event(a->state, a->sse.event, a->sse.data, &sink, &a->error);
}
