// gemini_write.c - whole answers and errors in Gemini's words, and the parts that streams have too.
//
// What the same vendor said in words of its own (an end, why a prompt was blocked, what stands
// beside an image) is as it was.
#include <inttypes.h>

#include "base/buf.h"
#include "base/json.h"
#include "dialects/answer.h"
#include "dialects/gemini_answer.h"
#include "dialects/gemini_code.h"
#include "dialects/turns.h"

static const char *finish_reason(enum chat_finish f, bool malformed)
{
    switch (f) {
    case CHAT_LENGTH: return "MAX_TOKENS";
    case CHAT_FILTERED: return "SAFETY";
    default: return malformed ? "MALFORMED_FUNCTION_CALL" : "STOP";
    }
}

// Ends a part with its signature, if it has one.
static void write_signature(struct slice signature, struct buf *out)
{
    if (signature.len) {
        buf_text_add(out, ",\"thoughtSignature\":");
        json_write_text(out, signature);
    }
    buf_char(out, '}');
}

void gemini_write_text(struct slice text, bool thought, struct slice signature, struct buf *out)
{
    buf_text_add(out, "{\"text\":");
    json_write_text(out, text);
    if (thought)
        buf_text_add(out, ",\"thought\":true");
    write_signature(signature, out);
}

struct gemini_mark gemini_read_mark(const char *vendor, struct slice blob)
{
    struct gemini_mark m = {0};
    m.value = strcmp(vendor, "gemini") == 0 ? json_parse(blob, NULL) : NULL;
    const json_t *signature = json_object_get(m.value, "thoughtSignature");
    m.thought = json_is_true(json_object_get(m.value, "thought"));
    m.signature = json_is_string(signature) ? json_slice(signature) : slice_str("");
    m.feedback = json_object_get(m.value, "promptFeedback");
    m.part = gemini_is_code(m.value) ? m.value : NULL;
    if (m.part)
        m.signature = slice_str("");  // it is in the part
    if (!m.signature.len && !m.feedback && !m.part) {
        json_decref(m.value);
        m.value = NULL;
    }
    return m;
}

bool gemini_write_call(const char *id, const char *name, struct slice arguments,
                       struct slice signature, struct buf *out)
{
    json_t *args = turns_arguments(arguments);
    if (!args)
        return false;
    buf_text_add(out, "{\"functionCall\":{\"id\":");
    json_write_text(out, slice_str(id));
    buf_text_add(out, ",\"name\":");
    json_write_text(out, slice_str(name));
    buf_text_add(out, ",\"args\":");
    json_write(out, args, JSON_STYLE_COMPACT);
    buf_char(out, '}');
    write_signature(signature, out);
    json_decref(args);
    return true;
}

void gemini_write_media(struct slice type, struct slice base64, const char *vendor,
                        struct slice more, struct buf *out)
{
    bool own = vendor && strcmp(vendor, "gemini") == 0 && more.len > 2;
    buf_text_add(out, "{\"inlineData\":{\"mimeType\":");
    json_write_text(out, type);
    buf_text_add(out, ",\"data\":");
    json_write_text(out, base64);
    buf_char(out, '}');
    if (own) {  // its members, without the brace before them
        buf_char(out, ',');
        buf_slice(out, slice_sub(more, 1, more.len - 1));
    } else {
        buf_char(out, '}');
    }
}

char *gemini_malformed(struct arena *a, const char *name, struct slice arguments)
{
    return arena_printf(a, "Malformed function call: %s(%s)", name, arena_text(a, arguments));
}

struct gemini_end gemini_end_of(enum chat_finish f, const char *vendor, struct slice word,
                                struct slice text)
{
    bool own = vendor && strcmp(vendor, "gemini") == 0;
    return (struct gemini_end){
        .finish = f, .word = own ? word : slice_str(""), .text = own ? text : slice_str("")};
}

void gemini_write_finish(const struct gemini_end *end, struct buf *out)
{
    struct slice word = end->word, text = end->text;
    if (end->malformed)
        text = slice_str(end->malformed);
    if (end->malformed || !word.len)
        word = slice_str(finish_reason(end->finish, end->malformed != NULL));
    buf_text_add(out, ",\"finishReason\":");
    json_write_text(out, word);
    if (text.len) {
        buf_text_add(out, ",\"finishMessage\":");
        json_write_text(out, text);
    }
}

void gemini_write_usage(const struct chat_usage *u, struct buf *out)
{
    buf_printf(out, "\"usageMetadata\":{\"promptTokenCount\":%" PRId64, u->prompt_tokens);
    if (u->cached_tokens)
        buf_printf(out, ",\"cachedContentTokenCount\":%" PRId64, u->cached_tokens);
    buf_printf(out, ",\"candidatesTokenCount\":%" PRId64,
               u->completion_tokens - u->reasoning_tokens);
    if (u->reasoning_tokens)
        buf_printf(out, ",\"thoughtsTokenCount\":%" PRId64, u->reasoning_tokens);
    buf_printf(out, ",\"totalTokenCount\":%" PRId64 "},", u->prompt_tokens + u->completion_tokens);
}

void gemini_write_tail(const struct dialect_call *c, struct buf *out)
{
    buf_text_add(out, "\"modelVersion\":");
    json_write_text(out, slice_str(c->model));
    buf_printf(out, ",\"responseId\":\"%s\"}", c->id);
}

// A vendor's own name where it has these words.
static const char *status_of(const struct dialect_error *err)
{
    const struct error_words *said = dialect_words(err, "gemini");
    if (said->type[0])
        return said->type;
    switch (err->problem) {
    case PROBLEM_KEY: return "UNAUTHENTICATED";
    case PROBLEM_FORBIDDEN: return "PERMISSION_DENIED";
    case PROBLEM_MODEL:
    case PROBLEM_ROUTE: return "NOT_FOUND";
    case PROBLEM_CODING:
    case PROBLEM_METHOD: return "UNIMPLEMENTED";
    case PROBLEM_TIMEOUT: return "DEADLINE_EXCEEDED";
    case PROBLEM_RATE:
    case PROBLEM_BUDGET: return "RESOURCE_EXHAUSTED";
    case PROBLEM_UPSTREAM:
    case PROBLEM_BUSY: return "UNAVAILABLE";
    case PROBLEM_INTERNAL: return "INTERNAL";
    default: return "INVALID_ARGUMENT";
    }
}

int gemini_write_error(const struct dialect_error *err, struct buf *out)
{
    int status = dialect_status(err->problem);
    buf_printf(out, "{\"error\":{\"code\":%d,\"message\":", status);
    json_write_text(out, slice_str(err->text));
    buf_printf(out, ",\"status\":\"%s\"", status_of(err));
    if (err->retry_after_s > 0)
        buf_printf(out,
                   ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
                   "\"retryDelay\":\"%ds\"}]",
                   err->retry_after_s);
    buf_text_add(out, "}}");
    return status;
}

struct candidate {  // while its parts are written
    struct dialect_call *c;
    const struct dialect_choice *choice;
    const char *malformed, *comma;
    size_t n_blobs;  // that were written
    bool any_part;   // of the vendor's own
};

// The next mark if it stands behind this many parts.
static struct gemini_mark next_mark(struct candidate *w, size_t n_parts)
{
    while (w->n_blobs < w->choice->n_blobs && w->choice->blobs[w->n_blobs].n_parts == n_parts) {
        const struct dialect_blob *b = &w->choice->blobs[w->n_blobs];
        struct gemini_mark m = gemini_read_mark(b->vendor, buf_view(&b->value));
        if (m.signature.len || m.part)
            return m;
        json_decref(m.value);
        w->n_blobs++;
    }
    return (struct gemini_mark){0};
}

static void write_marks(struct candidate *w, size_t n_parts, struct buf *out)
{
    for (struct gemini_mark m; (m = next_mark(w, n_parts)).value; w->n_blobs++) {
        buf_text_add(out, w->comma);
        w->comma = ",";
        w->any_part = w->any_part || m.part;
        if (m.part)
            json_write(out, m.part, JSON_STYLE_COMPACT);
        else
            gemini_write_text(slice_str(""), m.thought, m.signature, out);
        json_decref(m.value);
    }
}

// One run of what was said, as a part with the signature behind it.
static void write_part(struct candidate *w, size_t i, struct buf *out)
{
    const struct gemini_state *s = w->c->state;
    const struct dialect_part *p = &w->choice->parts[i];
    bool thoughts = p->kind == CHAT_REASONING;
    const struct buf *from = thoughts ? &w->choice->reasoning : &w->choice->text;
    struct buf part = {0};
    if (thoughts && !s->thoughts)
        return;
    struct gemini_mark m = next_mark(w, i + 1);
    bool taken = m.signature.len && m.thought == thoughts && p->kind != CHAT_MEDIA;
    struct slice signature = taken ? m.signature : slice_str("");
    if (p->kind == CHAT_MEDIA) {
        const struct dialect_media *d = &w->choice->media[p->start];
        gemini_write_media(buf_view(&d->type), buf_view(&d->data), d->vendor, buf_view(&d->more),
                           &part);
    } else if (p->kind == CHAT_TOOL_CALL) {
        const struct dialect_tool *t = &w->choice->tools[p->start];
        if (!gemini_write_call(t->id, t->name, buf_view(&t->arguments), signature, &part)) {
            w->malformed = gemini_malformed(w->c->arena, t->name, buf_view(&t->arguments));
            taken = false;
        }
    } else {
        gemini_write_text(slice_sub(buf_view(from), p->start, p->end - p->start), thoughts,
                          signature, &part);
    }
    if (part.len) {
        buf_text_add(out, w->comma);
        buf_slice(out, buf_view(&part));
        w->comma = ",";
    }
    w->n_blobs += taken;
    json_decref(m.value);
    buf_release(&part);
}

static void write_candidate(struct dialect_call *c, const struct dialect_choice *choice,
                            size_t index, struct buf *out)
{
    struct candidate w = {.c = c, .choice = choice, .comma = ""};
    buf_text_add(out, "{\"content\":{\"parts\":[");
    write_marks(&w, 0, out);
    for (size_t i = 0; i < choice->n_parts; i++) {
        write_part(&w, i, out);
        write_marks(&w, i + 1, out);
    }
    if (!choice->text.len && choice->n_tools + choice->n_media == 0 && !w.any_part) {
        buf_text_add(out, w.comma);
        gemini_write_text(slice_str(""), false, slice_str(""), out);
    }
    buf_text_add(out, "],\"role\":\"model\"}");
    struct gemini_end end = gemini_end_of(choice->finish, choice->end_vendor,
                                          buf_view(&choice->end_word), buf_view(&choice->end_text));
    end.malformed = w.malformed;
    gemini_write_finish(&end, out);
    if (c->request.sampling.n_logprobs >= 0)
        gemini_write_all_logprobs(choice, ((const struct gemini_state *)c->state)->thoughts, out);
    buf_printf(out, ",\"index\":%zu}", index);
}

// Why the prompt was blocked, where the vendor said it in these words.
static bool write_feedback(const struct dialect_choice *choice, struct buf *out)
{
    bool told = false;
    for (size_t i = 0; i < choice->n_blobs && !told; i++) {
        const struct dialect_blob *b = &choice->blobs[i];
        struct gemini_mark m = gemini_read_mark(b->vendor, buf_view(&b->value));
        told = m.feedback != NULL;
        if (told) {
            buf_text_add(out, "\"promptFeedback\":");
            json_write(out, m.feedback, JSON_STYLE_COMPACT);
            buf_char(out, ',');
        }
        json_decref(m.value);
    }
    return told;
}

static void write_candidates(struct dialect_call *c, const struct dialect_answer *a,
                             struct buf *out)
{
    buf_text_add(out, "\"candidates\":[");
    for (size_t i = 0, n = 0; i < a->n_choices; i++) {
        if (dialect_answer_lacks(a, i))
            continue;
        if (n++)
            buf_char(out, ',');
        write_candidate(c, &a->choices[i], i, out);
    }
    buf_text_add(out, "],");
}

void gemini_write_response(struct dialect_call *c, const struct dialect_answer *a, struct buf *out)
{
    bool said = false;
    for (size_t i = 0; i < a->n_choices; i++)
        said = said || a->choices[i].n_parts > 0;
    buf_char(out, '{');
    if (!write_feedback(&a->choices[0], out) || said)  // else instead of candidates
        write_candidates(c, a, out);
    gemini_write_usage(&a->usage, out);
    gemini_write_tail(c, out);
}
