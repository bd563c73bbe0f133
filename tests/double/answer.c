#include "answer.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/utf8.h"

enum { CHUNKS_MAX = 200000, SIZE_MAX_BYTES = 1 << 20, CALL_TOKENS = 10, BODY_MAX = 256 << 20 };

struct piece *answer_piece(struct answer *o)
{
    if (o->n_pieces == o->capacity) {
        o->capacity = o->capacity ? o->capacity * 2 : 16;
        o->pieces = memory_resize(o->pieces, o->capacity, sizeof *o->pieces);
    }
    struct piece *p = &o->pieces[o->n_pieces++];
    *p = (struct piece){.end = o->body.len, .told_in = -1, .told_out = -1};
    return p;
}

void answer_tells(struct answer *o, const struct asked *a, int64_t out, int64_t thoughts)
{
    struct piece *p = &o->pieces[o->n_pieces - 1];
    if (a->s.usage == 0)
        return;
    p->told_in = o->counts.in;
    p->told_out = out;
    p->told_thoughts = thoughts;
}

void answer_chunk(struct answer *o, const struct asked *a, size_t at, size_t bytes)
{
    struct piece *p = answer_piece(o);
    p->chunk = true;
    p->text_bytes = (int64_t)bytes;
    if (a->s.stamp)
        p->stamp = at + 2;  // behind the quote and the "t"
}

struct slice answer_text(const struct answer *o, int64_t i)
{
    size_t from = i ? o->text_ends[i - 1] : 0;
    return slice_of(buf_text(&o->text) + from, o->text_ends[i] - from);
}

struct slice answer_arguments(const struct answer *o, int64_t i)
{
    size_t from = i ? o->call_ends[i - 1] : 0;
    return slice_of(buf_text(&o->arguments) + from, o->call_ends[i] - from);
}

// Cuts a text that is there into n chunks of about the same size, between characters.
static void split_text(struct answer *o)
{
    size_t from = 0, len = o->text.len, n = (size_t)o->n_text;
    for (size_t i = 0; i < n; i++) {
        size_t end = i + 1 == n ? len : len * (i + 1) / n;
        from += utf8_whole(o->text.ptr + from, end > from ? end - from : 0);
        o->text_ends[i] = i + 1 == n ? len : from;
    }
}

static void make_words(struct answer *o, const struct asked *a)
{
    int64_t size = a->s.size < SIZE_MAX_BYTES ? a->s.size : SIZE_MAX_BYTES;
    for (int64_t i = 0; i < o->n_text; i++) {
        size_t from = o->text.len;
        if (a->s.stamp)
            buf_text_add(&o->text, "t0000000000000000000 ");
        else
            buf_printf(&o->text, "w%lld ", (long long)i);
        while (o->text.len < from + (size_t)size && o->text.len < BODY_MAX / 4)
            buf_char(&o->text, "abcdefghijklmnop"[(o->text.len - from) % 16]);
        o->text_ends[i] = o->text.len;
    }
}

static void make_text(struct answer *o, const struct asked *a)
{
    if ((size_t)o->n_text > o->text_capacity) {
        o->text_capacity = (size_t)o->n_text;
        o->text_ends = memory_resize(o->text_ends, o->text_capacity, sizeof *o->text_ends);
    }
    buf_clear(&o->text);
    if (o->n_text == 0)
        return;
    for (size_t i = 0; i < a->s.say.len; i++)
        buf_char(&o->text, a->s.say.ptr[i] == '+' ? ' ' : a->s.say.ptr[i]);
    const char *scenario = a->s.echo ? strstr(buf_text(&a->text), "[[double") : NULL;
    if (scenario)
        buf_add(&o->text, a->text.ptr, (size_t)(scenario - a->text.ptr));
    else if (a->s.say.len == 0 && a->json)
        sample_write(&o->text, a->schema);
    if (o->text.len > 0)
        split_text(o);
    else
        make_words(o, a);
}

static void make_calls(struct answer *o, const struct asked *a)
{
    int64_t wanted = a->s.calls >= 0 ? a->s.calls : a->must_call;
    buf_clear(&o->arguments);
    o->n_calls = 0;
    for (size_t i = 0; i < a->n_tools && o->n_calls < wanted; i++) {
        const json_t *schema;
        const char *name = asked_tool(a, i, &schema);
        if (a->must_name && strcmp(a->must_name, name) != 0)
            continue;
        sample_write(&o->arguments, schema);
        o->call_tools[o->n_calls] = i;
        o->call_ends[o->n_calls++] = o->arguments.len;
    }
}

static void count(struct answer *o, const struct asked *a)
{
    struct counts *c = &o->counts;
    const struct scenario *s = &a->s;
    c->out = s->out >= 0 ? s->out : s->think + o->n_text + o->n_calls * CALL_TOKENS;
    c->reasoning = s->think < c->out ? s->think : c->out;
    c->in = s->in >= 0 ? s->in : (int64_t)(a->body_bytes / 4 + 1);
    c->cached = s->cached < c->in ? s->cached : c->in;
    c->write_5m = s->write_5m < c->in - c->cached ? s->write_5m : c->in - c->cached;
    int64_t left = c->in - c->cached - c->write_5m;
    c->write_1h = s->write_1h < left ? s->write_1h : left;
    if (a->what == ASK_EMBED)
        c->out = c->reasoning = 0;
}

// What the answer says and counts, in nobody's words yet.
static void make_content(struct answer *o, const struct asked *a)
{
    const struct scenario *s = &a->s;
    make_calls(o, a);
    o->finish = s->filter ? "filter" : o->n_calls ? "tools" : "stop";
    o->n_text = a->must_call && s->calls < 0 ? 0 : s->n < CHUNKS_MAX ? s->n : CHUNKS_MAX;
    int64_t left = a->max_tokens - s->think;
    if (a->max_tokens >= 0 && o->n_calls == 0 && o->n_text > left) {
        o->n_text = left > 0 ? left : 0;
        o->finish = "length";
    }
    make_text(o, a);
    o->n_thoughts = s->shown && s->think > 0 ? s->think < CHUNKS_MAX ? s->think : CHUNKS_MAX : 0;
    o->thought = slice_str("hm ");
    count(o, a);
}

static void clear(struct answer *o)
{
    buf_clear(&o->body);
    o->body.max_bytes = BODY_MAX;
    o->n_pieces = 0;
    o->status = 200;
    o->type = "application/json";
    o->headers[0] = 0;
    o->declared = 0;
    o->ending = END_KEEP;
    o->unfinished = false;
    o->finish = "";
    o->n_text = o->n_thoughts = o->n_calls = 0;
    o->counts = (struct counts){0};
}

static void add_header(struct answer *o, const char *name, const char *value)
{
    size_t n = strlen(o->headers);
    snprintf(o->headers + n, sizeof o->headers - n, "%s: %s\r\n", name, value);
}

// What vendors tell beside an answer.
static void add_headers(struct answer *o, enum vendor vendor, const struct scenario *s)
{
    char text[64];
    snprintf(text, sizeof text, "req_double%llu", (unsigned long long)o->number);
    if (vendor == VENDOR_OPENAI)
        add_header(o, "x-request-id", text);
    else if (vendor == VENDOR_ANTHROPIC)
        add_header(o, "request-id", text);
    if (!s || o->status == 200)
        return;
    if (s->after_s > 0 && vendor != VENDOR_GEMINI) {
        snprintf(text, sizeof text, "%lld", (long long)s->after_s);
        add_header(o, "retry-after", text);
    }
    if (s->after_ms > 0 && vendor != VENDOR_GEMINI) {
        snprintf(text, sizeof text, "%lld", (long long)s->after_ms);
        add_header(o, "retry-after-ms", text);
    }
}

void answer_refuse(struct answer *o, enum vendor vendor, int status, const char *text)
{
    clear(o);
    o->status = status;
    error_body(&o->body, vendor, status, text, NULL);
    answer_piece(o);
    add_headers(o, vendor, NULL);
}

size_t answer_name_bytes(const struct asked *a, size_t tool)
{
    const json_t *schema;
    return strlen(asked_tool(a, tool, &schema));
}

static void write_chat(struct answer *o, const struct asked *a)
{
    static void (*const whole[VENDOR_N])(struct answer *, const struct asked *) = {
        openai_whole, anthropic_whole, gemini_whole};
    static void (*const stream[VENDOR_N])(struct answer *, const struct asked *) = {
        openai_stream, anthropic_stream, gemini_stream};
    make_content(o, a);
    if (a->stream) {
        o->type = a->sse ? "text/event-stream; charset=utf-8" : "application/json";
        stream[a->vendor](o, a);
        return;
    }
    whole[a->vendor](o, a);
    struct piece *p = answer_piece(o);
    p->chunk = p->finish = true;
    p->text_bytes = (int64_t)(o->text.len + o->arguments.len);
    p->text_bytes += o->n_thoughts * (int64_t)o->thought.len;
    for (int64_t i = 0; i < o->n_calls; i++)
        p->text_bytes += (int64_t)answer_name_bytes(a, o->call_tools[i]);
    answer_tells(o, a, o->counts.out, o->counts.reasoning);
}

static void write_other(struct answer *o, const struct asked *a)
{
    count(o, a);
    if (a->what == ASK_EMBED)
        (a->vendor == VENDOR_GEMINI ? gemini_embed : openai_embed)(o, a);
    else if (a->vendor == VENDOR_GEMINI)
        buf_printf(&o->body, "{\"totalTokens\":%lld}", (long long)o->counts.in);
    else
        buf_printf(&o->body, "{\"input_tokens\":%lld}", (long long)o->counts.in);
    answer_piece(o)->chunk = true;
    answer_tells(o, a, 0, 0);
    if (a->what == ASK_COUNT)  // which costs nothing
        o->counts = (struct counts){0};
}

// `again`: it was failed often enough ("times").
void answer_make(struct answer *o, const struct asked *a, bool again)
{
    clear(o);
    if (a->s.status != 200 && !again) {
        o->status = (int)a->s.status;
        error_body(&o->body, a->vendor, o->status, NULL, &a->s);
        answer_piece(o);
        add_headers(o, a->vendor, &a->s);
        return;
    }
    if (a->what == ASK_CHAT)
        write_chat(o, a);
    else
        write_other(o, a);
    add_headers(o, a->vendor, &a->s);
    if (!again)
        faults_apply(o, a);
}

void answer_release(struct answer *o)
{
    buf_release(&o->body);
    buf_release(&o->text);
    buf_release(&o->arguments);
    free(o->pieces);
    free(o->text_ends);
}
