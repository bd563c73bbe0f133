// redact_events.c - an answer on its way in: what stands for a text becomes that text.
//
// A placeholder may be cut over events, so what may be the beginning of one waits: it has at most
// PLACEHOLDER_BYTES, of letters that placeholders are made of.
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "gateway/redact_impl.h"

static void put_back(struct redaction *r, const struct held *h, struct slice text)
{
    bool inside_json = h->kind == CHAT_TOOL_ARGUMENTS || (h->kind == CHAT_TEXT && r->text_is_json);
    if (!inside_json) {
        buf_slice(&r->undone, text);
        return;
    }
    struct buf quoted = {0};
    json_write_text(&quoted, text);
    buf_add(&r->undone, quoted.ptr + 1, quoted.len - 2);
    buf_release(&quoted);
}

static void release_held(struct redaction *r, struct held *h)
{
    buf_add(&r->undone, h->text, h->n);
    h->n = 0;
}

static bool may_follow(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void take_byte(struct redaction *r, struct held *h, char c)
{
    if (h->n && c == ']') {
        h->text[h->n] = c;
        const struct replaced *e = redact_lookup(r, slice_of(h->text, h->n + 1));
        if (e) {
            put_back(r, h, e->text);
            h->n = 0;
            return;
        }
    } else if (h->n && may_follow(c) && h->n < PLACEHOLDER_BYTES - 2) {
        h->text[h->n++] = c;
        return;
    }
    release_held(r, h);
    if (c == '[')
        h->text[h->n++] = c;
    else
        buf_char(&r->undone, c);
}

// What a choice holds back, of whichever kind, goes on as an event of that kind.
static void flush(struct held *h, const struct chat_sink *to)
{
    if (h->n == 0)
        return;
    struct chat_event e = {.kind = h->kind,
                           .choice = h->choice,
                           .tool_index = h->tool_index,
                           .refusal = h->refusal,
                           .text = slice_of(h->text, h->n)};
    to->push(to->self, &e);
    h->n = 0;
}

static struct held *held_of(struct redaction *r, int choice)
{
    for (size_t i = 0; i < r->n_held; i++)
        if (r->held[i].choice == choice)
            return &r->held[i];
    memory_grow(r->held, r->held_capacity, r->n_held + 1);
    r->held[r->n_held] = (struct held){.choice = choice};
    return &r->held[r->n_held++];
}

static void take_text(struct redaction *r, const struct chat_event *e, const struct chat_sink *to)
{
    struct held *h = held_of(r, e->choice);
    if (h->kind != e->kind || h->tool_index != e->tool_index || h->refusal != e->refusal)
        flush(h, to);
    h->kind = e->kind;
    h->refusal = e->refusal;
    h->tool_index = e->tool_index;
    if (h->n == 0 && !(e->text.len && memchr(e->text.ptr, '[', e->text.len))) {
        to->push(to->self, e);
        return;
    }
    struct chat_event out = *e;
    buf_clear(&r->undone);
    for (size_t i = 0; i < e->text.len; i++)
        take_byte(r, h, e->text.ptr[i]);
    out.text = buf_view(&r->undone);
    if (out.text.len || e->n_tokens)  // tokens stay what the vendor wrote
        to->push(to->self, &out);
}

void redaction_event(struct redaction *r, const struct chat_event *e, const struct chat_sink *to)
{
    if (!r || r->n_entries == 0) {
        to->push(to->self, e);
        return;
    }
    struct chat_event out = *e;
    switch (e->kind) {
    case CHAT_TEXT:
    case CHAT_REASONING:
    case CHAT_TOOL_ARGUMENTS: take_text(r, e, to); return;
    case CHAT_TOOL_CALL:
    case CHAT_BLOB:
    case CHAT_MEDIA:
    case CHAT_FINISH: flush(held_of(r, e->choice), to); break;
    case CHAT_DONE:
    case CHAT_ERROR:
        for (size_t i = 0; i < r->n_held; i++)
            flush(&r->held[i], to);
        break;
    default: break;
    }
    if (e->kind == CHAT_FINISH && (e->stop.len || e->end_text.len)) {
        buf_clear(&r->undone);
        redact_undo(r, e->stop, &r->undone);
        size_t n = r->undone.len;
        redact_undo(r, e->end_text, &r->undone);
        out.stop = slice_sub(buf_view(&r->undone), 0, n);
        out.end_text = slice_sub(buf_view(&r->undone), n, r->undone.len);
    }
    to->push(to->self, &out);
}
