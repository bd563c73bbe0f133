// remote_push.c - events on their way from a client to the sink, and what is added to them.
#include <assert.h>

#include "base/clock.h"
#include "providers/remote_impl.h"

static void note_text(struct answer *a, const struct chat_event *e)
{
    a->text_bytes += (int64_t)e->text.len;
    if (e->kind == CHAT_TOOL_CALL && e->tool_name)
        a->text_bytes += (int64_t)strlen(e->tool_name);
}

// The vendor's usage is kept for the end: some tell it twice, or before they are done.
static void from_client(void *self, const struct chat_event *e)
{
    struct answer *a = self;
    assert(e->kind != CHAT_DONE && e->kind != CHAT_ERROR);
    if (e->kind == CHAT_USAGE) {
        a->usage = e->usage;
        a->told_usage = true;
        return;
    }
    if (a->quiet)
        return;
    if (!a->pushed)
        remote_first_event(a);
    a->pushed = true;
    note_text(a, e);
    if (e->kind == CHAT_FINISH && e->choice >= 0 && e->choice < a->n_choices)
        a->finished[e->choice] = true;
    a->sink.push(a->sink.self, e);
}

struct chat_sink remote_sink(struct answer *a)
{
    return (struct chat_sink){.push = from_client, .self = a};
}

// Whether the vendor had all of it, and did not refuse.
static bool was_at_work(const struct answer *a)
{
    return a->pushed || (a->cut && a->mode != REMOTE_REFUSAL &&
                         a->post.bytes_sent - a->sent_before >= (int64_t)a->wire.body.len);
}

// What no request shows: thoughts, searches, a vendor's own instructions.
#define TOKENS_UNSEEN INT64_C(1000000)

// A prompt has tokens, and not many more than it could have if every vendor read it for each
// choice.
static bool is_prompt(const struct answer *a, int64_t n)
{
    return n > 0 && n <= remote_tokens_at_most(&a->req) * a->n_choices + TOKENS_UNSEEN;
}

// A text has tokens, but no more than bytes; what is not seen of it was asked for, or is thought.
static bool is_completion(const struct answer *a, int64_t n)
{
    int64_t asked = a->req.max_tokens > 0 ? a->req.max_tokens : 0;
    return n >= (a->text_bytes > 0) && n <= asked * a->n_choices + a->text_bytes + TOKENS_UNSEEN;
}

static void at_most(int64_t *part, int64_t *left)
{
    *part = *part < 0 ? 0 : *part > *left ? *left : *part;
    *left -= *part;
}

// A part is never more than the whole.
static void clip(struct chat_usage *u)
{
    int64_t prompt = u->prompt_tokens, completion = u->completion_tokens;
    at_most(&u->cached_tokens, &prompt);
    at_most(&u->cache_write_5m_tokens, &prompt);
    at_most(&u->cache_write_1h_tokens, &prompt);
    at_most(&u->reasoning_tokens, &completion);
}

// Of an answer that did not come to its end, what the vendor has told so far is the least. What it
// tells and cannot be is as if it were not told.
static struct chat_usage usage_of_try(const struct answer *a, bool whole)
{
    struct chat_usage u = {0};
    int64_t written = remote_tokens_of_bytes(a->text_bytes);
    if (a->told_usage)
        u = a->usage;
    u.estimated =
        !whole || !is_prompt(a, u.prompt_tokens) || !is_completion(a, u.completion_tokens);
    if (!is_prompt(a, u.prompt_tokens))
        u.prompt_tokens =
            whole || a->told_usage || was_at_work(a) ? remote_tokens_about(&a->req) : 0;
    if (!is_completion(a, u.completion_tokens))
        u.completion_tokens = 0;
    if (u.estimated && u.completion_tokens < written)
        u.completion_tokens = written;
    clip(&u);
    return u;
}

struct chat_usage remote_usage(const struct answer *a, bool whole)
{
    struct chat_usage u = usage_of_try(a, whole);
    chat_usage_add(&u, &a->earlier);
    u.bytes_sent = a->post.bytes_sent;
    u.bytes_received = a->bytes_received;
    u.cost_picousd = -1;
    return u;
}

// Only where the vendor told it: a connection that broke may have carried nothing to anybody.
void remote_keep_usage(struct answer *a)
{
    struct chat_usage u = usage_of_try(a, false);
    if (a->told_usage)
        chat_usage_add(&a->earlier, &u);
    a->told_usage = false;
}

void remote_push_usage(struct answer *a, bool whole)
{
    struct chat_event e = {.kind = CHAT_USAGE, .usage = remote_usage(a, whole)};
    a->sink.push(a->sink.self, &e);
}

void remote_push_cancelled(struct answer *a)
{
    for (int i = 0; i < a->n_choices; i++) {
        struct chat_event e = {.kind = CHAT_FINISH, .choice = i, .finish = CHAT_CANCELLED};
        if (!a->finished[i])
            a->sink.push(a->sink.self, &e);
    }
}

bool remote_full(struct answer *a)
{
    return a->sink.full && !atomic_load(&a->cancelled) && a->sink.full(a->sink.self);
}
