// gemini_stream.c - the chunks of a streamed answer in Gemini's words.
//
// A stream is server-sent events with alt=sse, else one JSON array; its chunks have the shape of a
// whole answer. A call of a function comes whole. Thoughts come only if they are asked for, and
// are counted apart.
#include "base/buf.h"
#include "base/json.h"
#include "dialects/gemini_answer.h"

static void begin_chunk(struct gemini_state *s, struct buf *out)
{
    if (s->sse)
        buf_text_add(out, "data: ");
    else
        buf_text_add(out, s->begun ? ",\r\n" : "[");
    s->begun = true;
    buf_char(out, '{');
}

static void end_chunk(const struct dialect_call *c, struct buf *out)
{
    const struct gemini_state *s = c->state;
    gemini_write_tail(c, out);
    if (s->sse)
        buf_text_add(out, "\r\n\r\n");
}

static bool has_logprobs(const struct dialect_call *c, const struct chat_event *e)
{
    return e && e->n_tokens && c->request.sampling.n_logprobs >= 0;
}

// `e` (may be NULL): has the part's tokens.
static void write_part_chunk(struct dialect_call *c, int choice, struct slice part,
                             const struct chat_event *e, struct buf *out)
{
    struct gemini_state *s = c->state;
    begin_chunk(s, out);
    buf_text_add(out, "\"candidates\":[{\"content\":{\"parts\":[");
    buf_slice(out, part);
    buf_text_add(out, "],\"role\":\"model\"}");
    if (has_logprobs(c, e)) {
        gemini_write_logprobs(e->tokens, e->n_tokens, out);
        gemini_add_logprobs(&s->choices[choice].mean, e->tokens, e->n_tokens);
    }
    buf_printf(out, ",\"index\":%d}],", choice);
    end_chunk(c, out);
}

// A call is over when anything else of its choice comes.
static void end_call(struct dialect_call *c, int index, struct buf *out)
{
    struct gemini_choice *choice = &((struct gemini_state *)c->state)->choices[index];
    struct buf part = {0};
    if (!choice->calling)
        return;
    choice->calling = false;
    struct slice arguments = slice_of(choice->arguments, choice->n_arguments);
    if (gemini_write_call(choice->id, choice->name, arguments, choice->signature, &part))
        write_part_chunk(c, index, buf_view(&part), NULL, out);
    else
        choice->end.malformed = gemini_malformed(c->arena, choice->name, arguments);
    buf_release(&part);
}

static void begin_call(struct dialect_call *c, const struct chat_event *e)
{
    struct gemini_choice *choice = &((struct gemini_state *)c->state)->choices[e->choice];
    choice->calling = true;
    choice->id = arena_text(c->arena, slice_str(e->tool_id));
    choice->name = arena_text(c->arena, slice_str(e->tool_name));
    choice->n_arguments = 0;
    choice->signature = slice_str("");
}

static void add_arguments(struct dialect_call *c, struct gemini_choice *choice, struct slice text)
{
    size_t n = choice->n_arguments + text.len;
    if (n > choice->capacity) {
        char *larger = arena_new(c->arena, char, n * 2);
        if (choice->n_arguments)
            memcpy(larger, choice->arguments, choice->n_arguments);
        choice->arguments = larger;
        choice->capacity = n * 2;
    }
    if (text.len)
        memcpy(choice->arguments + choice->n_arguments, text.ptr, text.len);
    choice->n_arguments = n;
}

static void write_text_chunk(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    const struct gemini_state *s = c->state;
    bool thought = e->kind == CHAT_REASONING;
    struct buf part = {0};
    if ((e->text.len == 0 && !has_logprobs(c, e)) || (thought && !s->thoughts))
        return;
    gemini_write_text(e->text, thought, slice_str(""), &part);
    write_part_chunk(c, e->choice, buf_view(&part), e, out);
    buf_release(&part);
}

// Of a call that is being collected.
static void write_call_tokens(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    if (has_logprobs(c, e))
        write_part_chunk(c, e->choice, slice_str("{\"text\":\"\"}"), e, out);
}

// A call takes the signature behind it; else a part without text does.
static void write_blob(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    struct gemini_state *s = c->state;
    struct gemini_choice *choice = &s->choices[e->choice];
    struct buf part = {0};
    struct gemini_mark m = gemini_read_mark(e->blob_vendor, e->blob);
    if (m.feedback) {
        json_write(&part, m.feedback, JSON_STYLE_COMPACT);
        s->feedback = slice_of(arena_text(c->arena, buf_view(&part)), part.len);
    } else if (m.part) {
        end_call(c, e->choice, out);
        json_write(&part, m.part, JSON_STYLE_COMPACT);
        write_part_chunk(c, e->choice, buf_view(&part), NULL, out);
    } else if (m.value && choice->calling && !m.thought && !choice->signature.len) {
        choice->signature = slice_of(arena_text(c->arena, m.signature), m.signature.len);
    } else if (m.value) {
        end_call(c, e->choice, out);
        gemini_write_text(slice_str(""), m.thought, m.signature, &part);
        write_part_chunk(c, e->choice, buf_view(&part), NULL, out);
    }
    buf_release(&part);
    json_decref(m.value);
}

static void write_media(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    struct buf part = {0};
    end_call(c, e->choice, out);
    gemini_write_media(e->media_type, e->media, e->blob_vendor, e->blob, &part);
    write_part_chunk(c, e->choice, buf_view(&part), NULL, out);
    buf_release(&part);
}

static void take_end(struct dialect_call *c, const struct chat_event *e)
{
    struct gemini_end *end = &((struct gemini_state *)c->state)->choices[e->choice].end;
    const char *malformed = end->malformed;
    *end = gemini_end_of(e->finish, e->end_vendor, e->end_word, e->end_text);
    end->word = slice_of(arena_text(c->arena, end->word), end->word.len);
    end->text = slice_of(arena_text(c->arena, end->text), end->text.len);
    end->malformed = malformed;
}

static void write_ends(const struct gemini_state *s, struct buf *out)
{
    buf_text_add(out, "\"candidates\":[");
    for (int i = 0, n = 0; i < s->n_choices; i++) {
        if (s->choices[i].end.finish == CHAT_NOT_FINISHED)
            continue;  // a vendor gave fewer than were asked for
        buf_printf(out, "%s{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"}",
                   n++ ? "," : "");
        gemini_write_finish(&s->choices[i].end, out);
        gemini_write_mean(&s->choices[i].mean, out);
        buf_printf(out, ",\"index\":%d}", i);
    }
    buf_text_add(out, "],");
}

static void write_end(struct dialect_call *c, const struct chat_usage *u, struct buf *out)
{
    struct gemini_state *s = c->state;
    bool any = false;
    for (int i = 0; i < s->n_choices; i++)
        any |= s->choices[i].end.finish != CHAT_NOT_FINISHED &&
               s->choices[i].end.finish != CHAT_CANCELLED;
    if (s->told_end || !any)
        return;
    bool said = s->begun;
    s->told_end = true;
    begin_chunk(s, out);
    if (s->feedback.len) {
        buf_text_add(out, "\"promptFeedback\":");
        buf_slice(out, s->feedback);
        buf_char(out, ',');
    }
    if (!s->feedback.len || said)  // else instead of candidates
        write_ends(s, out);
    gemini_write_usage(u, out);
    end_chunk(c, out);
}

static void write_error_chunk(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    struct gemini_state *s = c->state;
    struct dialect_error err = {0};
    (void)dialect_refuse_error(&err, &e->error);
    buf_text_add(out, s->sse ? "data: " : s->begun ? ",\r\n" : "[");
    (void)gemini_write_error(&err, out);
    buf_text_add(out, s->sse ? "\r\n\r\n" : "]");
}

static void end_calls(struct dialect_call *c, struct buf *out)
{
    for (int i = 0; i < GEMINI_CHOICES; i++)
        end_call(c, i, out);
}

void gemini_write_event(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    struct gemini_state *s = c->state;
    if (e->choice < 0 || e->choice >= GEMINI_CHOICES)
        return;
    struct gemini_choice *choice = &s->choices[e->choice];
    switch (e->kind) {
    case CHAT_TEXT:
    case CHAT_REASONING:
        if (e->text.len)
            end_call(c, e->choice, out);
        write_text_chunk(c, e, out);
        break;
    case CHAT_TOOL_CALL:
        end_call(c, e->choice, out);
        begin_call(c, e);
        write_call_tokens(c, e, out);
        break;
    case CHAT_TOOL_ARGUMENTS:
        add_arguments(c, choice, e->text);
        write_call_tokens(c, e, out);
        break;
    case CHAT_BLOB: write_blob(c, e, out); break;
    case CHAT_MEDIA: write_media(c, e, out); break;
    case CHAT_FINISH:
        end_call(c, e->choice, out);
        take_end(c, e);
        break;
    case CHAT_USAGE: write_end(c, &e->usage, out); break;
    case CHAT_DONE:
        write_end(c, &(struct chat_usage){0}, out);
        if (!s->sse)
            buf_text_add(out, s->begun ? "]" : "[]");
        break;
    case CHAT_ERROR:
        end_calls(c, out);
        write_error_chunk(c, e, out);
        break;
    default: break;
    }
}
