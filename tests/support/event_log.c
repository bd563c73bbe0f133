#include "event_log.h"

#include <inttypes.h>

#include "base/json.h"

static void end_run(struct event_log *l, int c)
{
    if (!l->text[c].len)
        return;
    if (l->kind[c] == CHAT_TOOL_ARGUMENTS)
        buf_printf(&l->choices[c], "args %d.%d ", c, l->tool[c]);
    else
        buf_printf(&l->choices[c], "%s %d ", l->kind[c] == CHAT_TEXT ? "text" : "thought", c);
    json_write_text(&l->choices[c], buf_view(&l->text[c]));
    buf_char(&l->choices[c], '\n');
    buf_clear(&l->text[c]);
}

static void add_run(struct event_log *l, const struct chat_event *e)
{
    int c = e->choice;
    if (l->kind[c] != e->kind || l->tool[c] != e->tool_index)
        end_run(l, c);
    l->kind[c] = e->kind;
    l->tool[c] = e->tool_index;
    buf_slice(&l->text[c], e->text);
    if (e->n_tokens)
        buf_printf(&l->choices[c], "tokens %d %zu\n", c, e->n_tokens);
}

static void add_finish(struct event_log *l, const struct chat_event *e)
{
    static const char *const names[] = {"none", "stop", "length", "calls", "filtered", "cancelled"};
    buf_printf(&l->choices[e->choice], "finish %d %s", e->choice, names[e->finish]);
    if (e->stop.len) {
        buf_char(&l->choices[e->choice], ' ');
        json_write_text(&l->choices[e->choice], e->stop);
    }
    if (l->words && e->end_vendor)
        buf_printf(&l->choices[e->choice], " %s %.*s: %.*s", e->end_vendor, (int)e->end_word.len,
                   e->end_word.ptr, (int)e->end_text.len, e->end_text.len ? e->end_text.ptr : "");
    buf_char(&l->choices[e->choice], '\n');
    l->n_finish++;
}

static void add_usage(struct event_log *l, const struct chat_usage *u)
{
    l->n_usage++;
    buf_printf(&l->usage,
               "usage %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n",
               u->prompt_tokens, u->cached_tokens, u->cache_write_5m_tokens,
               u->cache_write_1h_tokens, u->completion_tokens, u->reasoning_tokens);
}

static void add_embedding(struct event_log *l, const struct chat_event *e)
{
    buf_printf(&l->choices[e->choice], "embedding %d", e->choice);
    for (size_t i = 0; i < e->n_embedding; i++)
        buf_printf(&l->choices[e->choice], " %g", (double)e->embedding[i]);
    buf_char(&l->choices[e->choice], '\n');
}

static void add_media(struct buf *out, int choice, const struct chat_event *e)
{
    buf_printf(out, "media %d ", choice);
    buf_slice(out, e->media_type);
    buf_char(out, ' ');
    buf_slice(out, e->media);
    if (e->blob.len > 2) {
        buf_printf(out, " %s ", e->blob_vendor);
        buf_slice(out, e->blob);
    }
    buf_char(out, '\n');
}

void event_log_push(void *log, const struct chat_event *e)
{
    struct event_log *l = log;
    int c = e->choice >= 0 && e->choice < EVENT_LOG_CHOICES ? e->choice : 0;
    l->n_events++;
    if (e->kind == CHAT_TEXT || e->kind == CHAT_REASONING || e->kind == CHAT_TOOL_ARGUMENTS) {
        add_run(l, e);
        return;
    }
    end_run(l, c);
    if (e->kind == CHAT_TOOL_CALL)
        buf_printf(&l->choices[c], "call %d.%d %s %s\n", c, e->tool_index, e->tool_id,
                   e->tool_name);
    else if (e->kind == CHAT_BLOB)
        buf_printf(&l->choices[c], "blob %d %s %.*s\n", c, e->blob_vendor, (int)e->blob.len,
                   e->blob.ptr);
    else if (e->kind == CHAT_MEDIA)
        add_media(&l->choices[c], c, e);
    else if (e->kind == CHAT_FINISH)
        add_finish(l, e);
    else if (e->kind == CHAT_EMBEDDING)
        add_embedding(l, e);
    else if (e->kind == CHAT_USAGE)
        add_usage(l, &e->usage);
}

struct chat_sink event_log_sink(struct event_log *l)
{
    return (struct chat_sink){.push = event_log_push, .self = l};
}

const char *event_log_text(struct event_log *l)
{
    buf_clear(&l->all);
    for (int c = 0; c < EVENT_LOG_CHOICES; c++) {
        end_run(l, c);
        buf_slice(&l->all, buf_view(&l->choices[c]));
    }
    buf_slice(&l->all, buf_view(&l->usage));
    return buf_text(&l->all);
}

void event_log_release(struct event_log *l)
{
    for (int c = 0; c < EVENT_LOG_CHOICES; c++) {
        buf_release(&l->choices[c]);
        buf_release(&l->text[c]);
    }
    buf_release(&l->usage);
    buf_release(&l->all);
    *l = (struct event_log){0};
}
