#include "cli/run_result.h"

#include <stdio.h>

#include "base/json.h"
#include "base/memory.h"
#include "cli/thoughts.h"

void run_result_init(struct run_result *r, int n_choices)
{
    *r = (struct run_result){.n_choices = n_choices,
                             .choices = memory_array(struct run_choice, (size_t)n_choices)};
}

void run_result_release(struct run_result *r)
{
    for (int i = 0; i < r->n_choices; i++) {
        buf_release(&r->choices[i].text);
        buf_release(&r->choices[i].thoughts);
        free(r->choices[i].tokens);
    }
    free(r->choices);
    arena_release(&r->arena);
}

static struct chat_token *copy_tokens(struct arena *a, const struct chat_token *from, size_t n)
{
    struct chat_token *to = arena_new(a, struct chat_token, n);
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i];
        to[i].bytes = slice_of(arena_text(a, from[i].bytes), from[i].bytes.len);
        to[i].top = copy_tokens(a, from[i].top, from[i].n_top);
    }
    return to;
}

static void add_tokens(struct run_result *r, struct run_choice *c, const struct chat_event *e)
{
    memory_grow(c->tokens, c->capacity, c->n_tokens + e->n_tokens);
    const struct chat_token *copies = copy_tokens(&r->arena, e->tokens, e->n_tokens);
    for (size_t i = 0; i < e->n_tokens; i++)
        c->tokens[c->n_tokens++] = copies[i];
}

void run_result_add(struct run_result *r, const struct chat_event *e)
{
    struct run_choice *c =
        e->choice >= 0 && e->choice < r->n_choices ? &r->choices[e->choice] : NULL;
    switch (e->kind) {
    case CHAT_PROMPT:
        r->prompt = arena_new(&r->arena, int32_t, e->n_prompt);
        if (e->n_prompt)
            memcpy(r->prompt, e->prompt, e->n_prompt * sizeof *e->prompt);
        r->n_prompt = e->n_prompt;
        r->has_ids = true;
        break;
    case CHAT_NEXT:
        r->next = copy_tokens(&r->arena, e->tokens, e->n_tokens);
        r->n_next = e->n_tokens;
        break;
    case CHAT_TEXT:
    case CHAT_REASONING:
    case CHAT_TOOL_ARGUMENTS:
        if (c && e->kind != CHAT_TOOL_ARGUMENTS)
            buf_slice(e->kind == CHAT_TEXT ? &c->text : &c->thoughts, e->text);
        if (c)
            add_tokens(r, c, e);
        break;
    case CHAT_FINISH:
        if (c)
            c->finish = e->finish;
        break;
    case CHAT_USAGE: r->usage = e->usage; break;
    case CHAT_ERROR: r->error = e->error; break;
    case CHAT_PROMPT_TOKENS:
    case CHAT_PROGRESS:
    case CHAT_BLOB:
    case CHAT_MEDIA:
    case CHAT_EMBEDDING:
    case CHAT_TOOL_CALL:
    case CHAT_DONE: break;
    }
}

static const char *finish_name(enum chat_finish f)
{
    switch (f) {
    case CHAT_STOP: return "stop";
    case CHAT_LENGTH: return "length";
    case CHAT_TOOL_CALLS: return "tool_calls";
    case CHAT_FILTERED: return "content_filter";
    case CHAT_CANCELLED: return "cancelled";
    case CHAT_NOT_FINISHED: break;
    }
    return "error";
}

static void set_token(json_t *o, const struct chat_token *t)
{
    json_t *bytes = json_array();
    for (size_t i = 0; i < t->bytes.len; i++)
        json_array_append_new(bytes, json_integer((unsigned char)t->bytes.ptr[i]));
    json_object_set_new(o, "id", json_integer(t->id));
    json_object_set_new(o, "bytes", bytes);
    json_object_set_new(o, "logprob", json_real(t->logprob));
}

static json_t *logprobs_json(const struct run_choice *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->n_tokens; i++) {
        json_t *o = json_object(), *top = json_array();
        set_token(o, &c->tokens[i]);
        for (size_t k = 0; k < c->tokens[i].n_top; k++) {
            json_t *t = json_object();
            set_token(t, &c->tokens[i].top[k]);
            json_array_append_new(top, t);
        }
        json_object_set_new(o, "top", top);
        json_array_append_new(list, o);
    }
    return list;
}

// Text may end in the middle of a character that the model never finished.
static json_t *text_json(struct slice text)
{
    json_t *t = json_stringn(text.ptr, text.len);
    if (t)
        return t;
    struct buf quoted = {0};
    json_write_text(&quoted, text);
    t = json_parse(buf_view(&quoted), NULL);
    buf_release(&quoted);
    return t;
}

// null where nobody tells the ids: a vendor's model.
static json_t *choice_json(const struct run_choice *c, bool has_ids, bool with_logprobs)
{
    json_t *o = json_object(), *ids = has_ids ? json_array() : json_null();
    for (size_t i = 0; has_ids && i < c->n_tokens; i++)
        json_array_append_new(ids, json_integer(c->tokens[i].id));
    json_object_set_new(o, "text", text_json(buf_view(&c->text)));
    if (c->thoughts.len)
        json_object_set_new(o, "reasoning", text_json(buf_view(&c->thoughts)));
    json_object_set_new(o, "tokens", ids);
    json_object_set_new(o, "finish_reason", json_string(finish_name(c->finish)));
    if (with_logprobs)
        json_object_set_new(o, "logprobs", logprobs_json(c));
    return o;
}

static double rate(double n, double seconds)
{
    return seconds > 0 ? n / seconds : 0;
}

static json_t *timings_json(const struct run_result *r)
{
    const struct chat_usage *u = &r->usage;
    json_t *o = json_object();
    json_object_set_new(o, "load_s", json_real(r->load_s));
    json_object_set_new(o, "prefill_s", json_real(u->prefill_s));
    json_object_set_new(
        o, "prefill_tokens_per_s",
        json_real(rate((double)(u->prompt_tokens - u->cached_tokens), u->prefill_s)));
    json_object_set_new(o, "decode_s", json_real(u->decode_s));
    json_object_set_new(o, "decode_tokens_per_s",
                        json_real(rate((double)u->completion_tokens, u->decode_s)));
    return o;
}

static json_t *speculation_json(const struct chat_usage *u)
{
    json_t *o = json_object();
    json_object_set_new(o, "drafted_tokens", json_integer(u->drafted_tokens));
    json_object_set_new(o, "accepted_tokens", json_integer(u->accepted_tokens));
    return o;
}

// Of an answer that failed a choice may have begun only.
static bool has_come(const struct run_choice *c)
{
    return c->finish != CHAT_NOT_FINISHED || c->text.len || c->thoughts.len || c->n_tokens;
}

int run_result_delivered(const struct run_result *r)
{
    int n = 0;
    for (int i = 0; i < r->n_choices; i++)
        n += has_come(&r->choices[i]);
    return n;
}

void run_result_print_json(const struct run_result *r, const char *model, bool with_logprobs)
{
    json_t *o = json_object(), *prompt = r->has_ids ? json_array() : json_null(),
           *sequences = json_array(), *usage = json_object();
    for (size_t i = 0; i < r->n_prompt; i++)
        json_array_append_new(prompt, json_integer(r->prompt[i]));
    for (int i = 0; i < r->n_choices; i++)
        if (has_come(&r->choices[i]) || r->error.code)
            json_array_append_new(sequences,
                                  choice_json(&r->choices[i], r->has_ids, with_logprobs));
    json_object_set_new(usage, "prompt_tokens", json_integer(r->usage.prompt_tokens));
    json_object_set_new(usage, "completion_tokens", json_integer(r->usage.completion_tokens));
    json_object_set_new(usage, "total_tokens",
                        json_integer(r->usage.prompt_tokens + r->usage.completion_tokens));
    json_object_set_new(o, "model", json_string(model));
    json_object_set_new(o, "prompt_tokens", prompt);
    json_object_set_new(o, "sequences", sequences);
    if (r->n_next) {
        json_t *next = json_array();
        for (size_t i = 0; i < r->n_next; i++) {
            json_t *t = json_object();
            json_object_set_new(t, "id", json_integer(r->next[i].id));
            json_object_set_new(t, "logprob", json_real(r->next[i].logprob));
            json_array_append_new(next, t);
        }
        json_object_set_new(o, "next", next);
    }
    json_object_set_new(o, "usage", usage);
    json_object_set_new(o, "timings", timings_json(r));
    json_object_set_new(o, "speculation", speculation_json(&r->usage));
    if (r->error.code)
        json_object_set_new(o, "error", json_string(r->error.text));
    struct buf out = {0};
    json_write(&out, o, JSON_STYLE_SPACED);
    (void)puts(buf_text(&out));
    buf_release(&out);
    json_decref(o);
}

void run_result_print_texts(const struct run_result *r)
{
    for (int i = 0, n = 0; i < r->n_choices; i++) {
        if (!has_come(&r->choices[i]))
            continue;
        if (n++)
            (void)puts("---");
        struct thoughts t = {0};
        thoughts_print(&t, &(struct chat_event){.kind = CHAT_REASONING,
                                                .text = buf_view(&r->choices[i].thoughts)});
        thoughts_end(&t);
        (void)fwrite(buf_text(&r->choices[i].text), 1, r->choices[i].text.len, stdout);
        (void)putchar('\n');
    }
}
