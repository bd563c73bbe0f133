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

// Of an answer that did not come to its end, what the vendor has told so far is the least.
void remote_push_usage(struct answer *a, bool whole)
{
    struct chat_event e = {.kind = CHAT_USAGE};
    struct chat_usage *u = &e.usage;
    int64_t written = remote_tokens_of_bytes(a->text_bytes);
    bool sent = a->post.bytes_sent > 0;
    if (a->told_usage)
        *u = a->usage;
    u->estimated = !whole || !a->told_usage;
    if (!a->told_usage && sent)
        u->prompt_tokens = remote_tokens_about(&a->req);
    if (u->estimated && u->completion_tokens < written)
        u->completion_tokens = written;
    u->bytes_sent = a->post.bytes_sent;
    u->bytes_received = a->bytes_received;
    u->cost_picousd = -1;
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
