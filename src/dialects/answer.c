#include "dialects/answer.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"

// Every so many bytes more memory is looked for, as much as they take when they are written, too.
enum { LOOK_BYTES = 1 << 20, WRITTEN = 4 };

void dialect_answer_init(struct dialect_answer *a, size_t n_choices, bool with_tokens)
{
    *a = (struct dialect_answer){.choices = memory_array(struct dialect_choice, n_choices),
                                 .n_choices = n_choices,
                                 .with_tokens = with_tokens};
}

static void release_choice(struct dialect_choice *c)
{
    buf_release(&c->text);
    buf_release(&c->reasoning);
    buf_release(&c->stop);
    for (size_t i = 0; i < c->n_tools; i++) {
        free(c->tools[i].id);
        free(c->tools[i].name);
        buf_release(&c->tools[i].arguments);
    }
    for (size_t i = 0; i < c->n_blobs; i++) {
        free(c->blobs[i].vendor);
        buf_release(&c->blobs[i].value);
    }
    for (size_t i = 0; i < c->n_media; i++) {
        buf_release(&c->media[i].type);
        buf_release(&c->media[i].data);
        buf_release(&c->media[i].more);
        free(c->media[i].vendor);
    }
    buf_release(&c->end_word);
    buf_release(&c->end_text);
    free(c->end_vendor);
    free(c->media);
    free(c->blobs);
    free(c->tools);
    free(c->tokens);
    free(c->prompt_tokens);
    free(c->embedding);
    free(c->parts);
}

void dialect_answer_release(struct dialect_answer *a)
{
    for (size_t i = 0; i < a->n_choices; i++)
        release_choice(&a->choices[i]);
    free(a->choices);
    arena_release(&a->arena);
    *a = (struct dialect_answer){0};
}

static struct chat_token copy_token(struct arena *arena, const struct chat_token *t)
{
    struct chat_token copy = *t;
    copy.bytes.ptr = arena_text(arena, t->bytes);
    copy.top = NULL;
    return copy;
}

static void keep_tokens(struct dialect_answer *a, struct chat_token *to, const struct chat_event *e)
{
    for (size_t i = 0; i < e->n_tokens; i++) {
        const struct chat_token *from = &e->tokens[i];
        struct chat_token t = copy_token(&a->arena, from);
        struct chat_token *top = arena_new(&a->arena, struct chat_token, from->n_top + 1);
        for (size_t j = 0; j < from->n_top; j++)
            top[j] = copy_token(&a->arena, &from->top[j]);
        t.top = top;
        to[i] = t;
    }
}

static void keep_own_tokens(struct dialect_answer *a, struct dialect_choice *c,
                            const struct chat_event *e)
{
    memory_grow(c->tokens, c->capacity, c->n_tokens + e->n_tokens);
    keep_tokens(a, c->tokens + c->n_tokens, e);
    c->n_tokens += e->n_tokens;
}

static void keep_prompt_tokens(struct dialect_answer *a, struct dialect_choice *c,
                               const struct chat_event *e)
{
    memory_grow(c->prompt_tokens, c->prompt_capacity, c->n_prompt_tokens + e->n_tokens);
    keep_tokens(a, c->prompt_tokens + c->n_prompt_tokens, e);
    c->n_prompt_tokens += e->n_tokens;
}

static void begin_tool(struct dialect_choice *c, const struct chat_event *e)
{
    memory_grow(c->tools, c->tools_capacity, c->n_tools + 1);
    c->tools[c->n_tools++] = (struct dialect_tool){
        .id = memory_text(e->tool_id ? e->tool_id : ""),
        .name = memory_text(e->tool_name ? e->tool_name : ""),
    };
}

static void keep_embedding(struct dialect_choice *c, const struct chat_event *e)
{
    free(c->embedding);
    c->embedding = memory_array(float, e->n_embedding + 1);
    c->n_embedding = e->n_embedding;
    memcpy(c->embedding, e->embedding, e->n_embedding * sizeof *c->embedding);
}

static void keep_blob(struct dialect_choice *c, const struct chat_event *e)
{
    memory_grow(c->blobs, c->blobs_capacity, c->n_blobs + 1);
    struct dialect_blob *b = &c->blobs[c->n_blobs++];
    *b = (struct dialect_blob){.vendor = memory_text(e->blob_vendor), .n_parts = c->n_parts};
    buf_slice(&b->value, e->blob);
}

static void keep_media(struct dialect_choice *c, const struct chat_event *e)
{
    memory_grow(c->media, c->media_capacity, c->n_media + 1);
    struct dialect_media *m = &c->media[c->n_media++];
    *m = (struct dialect_media){.vendor = e->blob_vendor ? memory_text(e->blob_vendor) : NULL};
    buf_slice(&m->type, e->media_type);
    buf_slice(&m->data, e->media);
    buf_slice(&m->more, e->blob);
}

static void keep_finish(struct dialect_choice *c, const struct chat_event *e)
{
    c->finish = e->finish;
    buf_slice(&c->stop, e->stop);
    if (!e->end_vendor || c->end_vendor)
        return;
    c->end_vendor = memory_text(e->end_vendor);
    buf_slice(&c->end_word, e->end_word);
    buf_slice(&c->end_text, e->end_text);
}

static bool ends_in_blob(const struct dialect_choice *c)
{
    return c->n_blobs > 0 && c->blobs[c->n_blobs - 1].n_parts == c->n_parts;
}

// The run that an event belongs to, a new one where it is of another kind, or behind a blob. A
// token without text begins none: it may be a mark between two.
static void note_part(struct dialect_choice *c, const struct chat_event *e)
{
    bool arguments = e->kind == CHAT_TOOL_ARGUMENTS;
    enum chat_event_kind kind = arguments ? CHAT_TOOL_CALL : e->kind;
    struct dialect_part *last = c->n_parts ? &c->parts[c->n_parts - 1] : NULL;
    bool other = !last || last->kind != kind || ends_in_blob(c);
    bool alone = kind == CHAT_TOOL_CALL || kind == CHAT_MEDIA;  // its text stands elsewhere
    if ((alone && !arguments) || (other && e->text.len && !arguments)) {
        memory_grow(c->parts, c->parts_capacity, c->n_parts + 1);
        size_t first_token = c->n_parts ? c->parts[c->n_parts - 1].end_token : 0;
        last = &c->parts[c->n_parts++];
        *last = (struct dialect_part){.kind = kind, .first_token = first_token};
        if (alone)
            last->start = (kind == CHAT_MEDIA ? c->n_media : c->n_tools) - 1;
        else
            last->start = (kind == CHAT_TEXT ? c->text.len : c->reasoning.len) - e->text.len;
    }
    if (!last || last->kind != kind)
        return;
    last->end_token = c->n_tokens;
    if (!alone)
        last->end = kind == CHAT_TEXT ? c->text.len : c->reasoning.len;
}

static void add_to_choice(struct dialect_answer *a, struct dialect_choice *c,
                          const struct chat_event *e)
{
    switch (e->kind) {
    case CHAT_TEXT:
        if (e->refusal && !c->refused)
            c->refusal_at = c->text.len;
        c->refused = c->refused || e->refusal;
        buf_slice(&c->text, e->text);
        break;
    case CHAT_REASONING: buf_slice(&c->reasoning, e->text); break;
    case CHAT_TOOL_CALL: begin_tool(c, e); break;
    case CHAT_TOOL_ARGUMENTS:
        if (c->n_tools)
            buf_slice(&c->tools[c->n_tools - 1].arguments, e->text);
        break;
    case CHAT_EMBEDDING: keep_embedding(c, e); break;
    case CHAT_MEDIA: keep_media(c, e); break;
    case CHAT_BLOB: keep_blob(c, e); return;
    case CHAT_PROMPT_TOKENS: keep_prompt_tokens(a, c, e); return;
    case CHAT_FINISH: keep_finish(c, e); break;
    default: return;
    }
    if (a->with_tokens && e->n_tokens)
        keep_own_tokens(a, c, e);
    if (e->kind != CHAT_FINISH)
        note_part(c, e);
}

static bool has_room(struct dialect_answer *a, const struct chat_event *e)
{
    a->n_bytes += e->text.len + e->blob.len + e->media.len + e->n_embedding * sizeof *e->embedding +
                  (a->with_tokens ? e->n_tokens * sizeof *e->tokens : 0);
    size_t bytes = a->n_bytes + a->arena.used_bytes;
    if (bytes > a->looked + LOOK_BYTES) {
        a->looked = bytes;
        if (!memory_has_room(MEMORY_ROOM + WRITTEN * bytes) && !a->error.code)
            (void)error_set(&a->error, ERR_MEMORY, "there is no memory left for an answer");
    }
    if (bytes > ANSWER_BYTES_MAX && !a->error.code)
        (void)error_set(&a->error, ERR_LIMIT,
                        "the answer has more than %d bytes: ask for a stream, fewer choices or "
                        "fewer logprobs",
                        ANSWER_BYTES_MAX);
    return !a->error.code;
}

static bool has_come(const struct dialect_choice *c)
{
    return c->finish != CHAT_NOT_FINISHED || c->n_parts > 0 || c->n_tokens > 0;
}

bool dialect_answer_lacks(const struct dialect_answer *a, size_t choice)
{
    bool any = false;
    if (has_come(&a->choices[choice]))
        return false;
    for (size_t i = 0; i < a->n_choices && !any; i++)
        any = has_come(&a->choices[i]);
    return any;
}

void dialect_answer_add(struct dialect_answer *a, const struct chat_event *e)
{
    if (e->kind == CHAT_USAGE)
        a->usage = e->usage;
    else if (e->kind == CHAT_ERROR)
        a->error = a->error.code ? a->error : e->error;
    else if (e->choice >= 0 && (size_t)e->choice < a->n_choices && has_room(a, e))
        add_to_choice(a, &a->choices[e->choice], e);
}
