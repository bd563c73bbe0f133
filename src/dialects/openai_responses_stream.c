// openai_responses_stream.c - the events of a streamed response.
//
// response.created, response.in_progress; for each item output_item.added, the events of its
// content with their deltas, output_item.done; at last response.completed, .incomplete or .failed,
// with the whole object. Every event has its number; there is no [DONE].
#include <inttypes.h>

#include "base/buf.h"
#include "base/json.h"
#include "dialects/dialect.h"
#include "dialects/openai.h"
#include "dialects/openai_responses.h"

static void begin_event(struct responses_state *s, const char *name, struct buf *out)
{
    buf_printf(out, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%" PRId64, name, name,
               s->sequence++);
}

static void end_event(struct buf *out)
{
    buf_text_add(out, "}\n\n");
}

static void write_whole(struct dialect_call *c, const char *name, const struct dialect_answer *a,
                        const char *status, const struct chat_usage *usage,
                        const struct dialect_error *error, struct buf *out)
{
    begin_event(c->state, name, out);
    buf_text_add(out, ",\"response\":");
    responses_write(c, a, status, usage, error, out);
    end_event(out);
}

static void write_start(struct dialect_call *c, struct buf *out)
{
    struct responses_state *s = c->state;
    struct dialect_choice none = {0};
    struct dialect_answer nothing = {.choices = &none, .n_choices = 1};
    if (s->begun)
        return;
    s->begun = true;
    write_whole(c, "response.created", &nothing, "in_progress", NULL, NULL, out);
    write_whole(c, "response.in_progress", &nothing, "in_progress", NULL, NULL, out);
}

// The event of an item's content, up to what is its own.
static void begin_content(struct dialect_call *c, const char *name,
                          const struct responses_item *item, struct buf *out)
{
    begin_event(c->state, name, out);
    buf_text_add(out, ",\"item_id\":");
    responses_write_item_id(c, item, out);
    const struct responses_state *s = c->state;
    buf_printf(out, ",\"output_index\":%zu", item->index);
    if (item->kind != CHAT_TOOL_CALL)
        buf_printf(out, ",\"content_index\":%d", s->refusing && item->n_plain > 0);
}

static void write_part(struct dialect_call *c, const char *name, const struct responses_item *item,
                       struct buf *out)
{
    begin_content(c, name, item, out);
    buf_text_add(out, ",\"part\":");
    responses_write_part(c, item, ((struct responses_state *)c->state)->refusing, out);
    end_event(out);
}

static void write_item(struct dialect_call *c, const char *name, const struct responses_item *item,
                       const char *status, struct buf *out)
{
    begin_event(c->state, name, out);
    buf_printf(out, ",\"output_index\":%zu,\"item\":", item->index);
    responses_write_item(c, item, status, out);
    end_event(out);
}

static void write_logprobs(const struct responses_state *s, const struct chat_token *tokens,
                           size_t n, struct buf *out)
{
    buf_text_add(out, ",\"logprobs\":");
    openai_write_tokens(tokens, s->logprobs ? n : 0, out);
}

// The item that is open: the last one that was begun.
static struct responses_item open_item_of(const struct responses_state *s)
{
    return responses_item_of(&s->answer.choices[0], s->n_items - 1);
}

static void open_item(struct dialect_call *c, struct buf *out)
{
    struct responses_state *s = c->state;
    s->n_items++;
    s->open = true;
    s->n_tokens = 0;
    struct responses_item item = open_item_of(s);
    s->refusing = responses_only_refuses(&item);
    item.text = slice_str("");
    item.n_tokens = item.n_plain = 0;
    write_item(c, "response.output_item.added", &item, "in_progress", out);
    if (item.kind != CHAT_TOOL_CALL)
        write_part(c, "response.content_part.added", &item, out);
}

static void write_done(struct dialect_call *c, const struct responses_item *item, struct buf *out)
{
    const struct responses_state *s = c->state;
    struct slice text = item->text;
    if (item->kind == CHAT_TOOL_CALL) {
        begin_content(c, "response.function_call_arguments.done", item, out);
        buf_text_add(out, ",\"name\":");
        json_write_text(out, slice_str(item->tool->name));
        buf_text_add(out, ",\"arguments\":");
    } else if (item->kind == CHAT_REASONING) {
        begin_content(c, "response.reasoning_text.done", item, out);
        buf_text_add(out, ",\"text\":");
    } else if (s->refusing) {
        begin_content(c, "response.refusal.done", item, out);
        buf_text_add(out, ",\"refusal\":");
        text = slice_sub(text, item->n_plain, text.len);
    } else {
        begin_content(c, "response.output_text.done", item, out);
        write_logprobs(s, item->tokens, item->n_tokens, out);
        buf_text_add(out, ",\"text\":");
        text = slice_sub(text, 0, item->n_plain);
    }
    json_write_text(out, text);
    end_event(out);
}

static void close_part(struct dialect_call *c, const struct responses_item *item, struct buf *out)
{
    write_done(c, item, out);
    if (item->kind != CHAT_TOOL_CALL)
        write_part(c, "response.content_part.done", item, out);
}

// What the message said so far is whole: what follows is its refusal.
static void begin_refusal(struct dialect_call *c, const struct responses_item *item,
                          struct buf *out)
{
    struct responses_state *s = c->state;
    struct responses_item begun = *item;
    begun.text.len = item->n_plain;
    close_part(c, item, out);
    s->refusing = true;
    write_part(c, "response.content_part.added", &begun, out);
}

static void close_item(struct dialect_call *c, const char *status, struct buf *out)
{
    struct responses_state *s = c->state;
    if (!s->open)
        return;
    s->open = false;
    struct responses_item item = open_item_of(s);
    close_part(c, &item, out);
    write_item(c, "response.output_item.done", &item, status, out);
}

static void write_delta(struct dialect_call *c, const struct responses_item *item,
                        struct slice text, struct buf *out)
{
    struct responses_state *s = c->state;
    bool message = item->kind == CHAT_TEXT && !s->refusing;
    size_t n_new = message && s->logprobs ? item->n_tokens - s->n_tokens : 0;
    if (!text.len && !n_new)
        return;
    begin_content(c,
                  message                        ? "response.output_text.delta"
                  : s->refusing                  ? "response.refusal.delta"
                  : item->kind == CHAT_REASONING ? "response.reasoning_text.delta"
                                                 : "response.function_call_arguments.delta",
                  item, out);
    if (message)
        write_logprobs(s, n_new ? item->tokens + item->n_tokens - n_new : NULL, n_new, out);
    s->n_tokens += n_new;
    buf_text_add(out, ",\"delta\":");
    json_write_text(out, text);
    end_event(out);
}

// Text, thoughts, a call or more of its arguments. The answer has taken it already.
static void write_said(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    struct responses_state *s = c->state;
    enum chat_event_kind kind = e->kind == CHAT_TOOL_ARGUMENTS ? CHAT_TOOL_CALL : e->kind;
    write_start(c, out);
    if (s->answer.choices[0].n_parts > s->n_items) {
        close_item(c, "completed", out);
        open_item(c, out);
    }
    if (!s->n_items)
        return;
    struct responses_item item = open_item_of(s);
    if (item.refuses && !s->refusing && s->open)
        begin_refusal(c, &item, out);
    if (item.kind == kind)
        write_delta(c, &item, e->kind == CHAT_TOOL_CALL ? slice_str("") : e->text, out);
}

static void write_finish(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    struct responses_state *s = c->state;
    if (e->finish == CHAT_NOT_FINISHED || e->finish == CHAT_CANCELLED)
        return;  // an error comes
    write_start(c, out);
    if (!s->n_items)
        open_item(c, out);
    close_item(c, responses_status(e->finish), out);
}

static void write_failure(struct dialect_call *c, const struct error *why, struct buf *out)
{
    struct responses_state *s = c->state;
    struct dialect_error err = {0};
    write_start(c, out);
    (void)dialect_refuse_error(&err, why);
    write_whole(c, "response.failed", &s->answer, "failed", NULL, &err, out);
}

static void write_end(struct dialect_call *c, struct buf *out)
{
    struct responses_state *s = c->state;
    if (s->answer.error.code) {
        write_failure(c, &s->answer.error, out);
        return;
    }
    const char *status = responses_status(s->answer.choices[0].finish);
    write_whole(c, strcmp(status, "completed") == 0 ? "response.completed" : "response.incomplete",
                &s->answer, status, &s->answer.usage, NULL, out);
}

void responses_write_event(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    struct responses_state *s = c->state;
    if (e->choice != 0)
        return;
    dialect_answer_add(&s->answer, e);
    switch (e->kind) {
    case CHAT_PROGRESS: write_start(c, out); break;
    case CHAT_TEXT:
    case CHAT_REASONING:
    case CHAT_TOOL_CALL:
    case CHAT_TOOL_ARGUMENTS: write_said(c, e, out); break;
    case CHAT_FINISH: write_finish(c, e, out); break;
    case CHAT_DONE: write_end(c, out); break;
    case CHAT_ERROR: write_failure(c, &e->error, out); break;
    default: break;
    }
}
