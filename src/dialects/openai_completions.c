// openai_completions.c - POST /v1/completions: raw texts continued, streamed or whole.
//
// Several prompts are one answer, whose choices are numbered prompt * n + i.
#include <inttypes.h>

#include "base/buf.h"
#include "base/json.h"
#include "dialects/members.h"
#include "dialects/openai.h"

enum { TOP_LOGPROBS_MAX = 20, BEST_OF_MAX = 64, TOKENS_MAX = 1 << 24, PROMPT_TOKENS_MAX = 1 << 22 };
enum { CHOICES_MAX = 128 };  // of all prompts together

struct state {
    bool include_usage, logprobs, echo;
    struct chat_prompt *prompts;
    size_t n_prompts, n_choices;  // n_choices: of each prompt
    size_t n_tokens;              // of all prompts that are ids
    size_t *n_written;            // [n_prompts * n_choices] bytes of text of each choice so far
};

// Reading

static bool read_ids(struct dialect_call *c, const json_t *list, const char *at,
                     struct chat_prompt *out, struct dialect_error *err)
{
    struct state *s = c->state;
    size_t n = json_array_size(list);
    s->n_tokens += n;
    if (s->n_tokens > PROMPT_TOKENS_MAX)
        return dialect_refuse(err, PROBLEM_REQUEST, "prompt", "'prompt' has more than %d tokens",
                              PROMPT_TOKENS_MAX);
    int32_t *ids = arena_new(c->arena, int32_t, n + 1);
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        struct member_path p = member_path(at, "", (int)i);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX)
            return dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' is not a token's id, but %s",
                                  p.text, member_type(v));
        ids[i] = (int32_t)json_integer_value(v);
    }
    *out = (struct chat_prompt){.input = INPUT_TOKENS, .tokens = ids, .n_tokens = n};
    return true;
}

static bool read_one(struct dialect_call *c, const json_t *v, const char *at,
                     struct chat_prompt *out, struct dialect_error *err)
{
    if (json_is_array(v))
        return read_ids(c, v, at, out, err);
    if (!json_is_string(v))
        return dialect_refuse(err, PROBLEM_REQUEST, at,
                              "'%s' must be a string or an array of token ids, not %s", at,
                              member_type(v));
    *out = (struct chat_prompt){.input = INPUT_TEXT, .text = json_slice(v)};
    return true;
}

// A text, ids, or an array of these.
static bool read_prompts(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    struct state *s = c->state;
    const json_t *v = json_object_get(body, "prompt"), *first = json_array_get(v, 0);
    bool several = json_is_string(first) || json_is_array(first);
    s->n_prompts = several ? json_array_size(v) : 1;
    s->n_choices = c->request.sampling.n_choices > 0 ? (size_t)c->request.sampling.n_choices : 1;
    if (s->n_prompts > CHOICES_MAX / s->n_choices)
        return dialect_refuse(
            err, PROBLEM_REQUEST, "prompt",
            "'prompt': %zu prompts with %zu choices each are more than %d choices", s->n_prompts,
            s->n_choices, CHOICES_MAX);
    s->prompts = arena_new(c->arena, struct chat_prompt, s->n_prompts);
    s->n_written = arena_new(c->arena, size_t, s->n_prompts * s->n_choices);
    if (!several)
        return read_one(c, v, "prompt", &s->prompts[0], err);
    for (size_t i = 0; i < s->n_prompts; i++) {
        struct member_path p = member_path("prompt", "", (int)i);
        if (!read_one(c, json_array_get(v, i), p.text, &s->prompts[i], err))
            return false;
    }
    return true;
}

static void set_prompts(struct dialect_call *c)
{
    const struct state *s = c->state;
    struct chat_request *r = &c->request;
    r->input = s->prompts[0].input;
    r->text = s->prompts[0].text;
    r->tokens = s->prompts[0].tokens;
    r->n_tokens = s->prompts[0].n_tokens;
    if (s->n_prompts > 1) {
        r->prompts = s->prompts;
        r->n_prompts = s->n_prompts;
    }
}

static bool read_logprobs(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    struct state *s = c->state;
    int top = -1;
    if (!member_int(body, "", "logprobs", 0, TOP_LOGPROBS_MAX, &top, err))
        return false;
    s->logprobs = top >= 0;
    c->request.sampling.n_logprobs = top;
    return true;
}

static bool read_rest(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    const struct state *s = c->state;
    struct slice suffix = {0};
    int best_of = (int)s->n_choices;
    if (!member_text(body, "", "suffix", &suffix, err) ||
        !member_int(body, "", "best_of", 1, BEST_OF_MAX, &best_of, err))
        return false;
    if (suffix.len)
        return dialect_refuse(err, PROBLEM_UNSUPPORTED, "suffix", "'suffix' is not supported");
    if (best_of != (int)s->n_choices)
        return dialect_refuse(err, PROBLEM_UNSUPPORTED, "best_of",
                              "'best_of' other than 'n' is not supported");
    if (c->request.max_tokens == 0 && s->n_choices > 1)
        return dialect_refuse(err, PROBLEM_UNSUPPORTED, "max_tokens",
                              "'max_tokens' of 0 is supported for one choice, not for 'n' of them");
    bool texts = true;
    for (size_t i = 0; i < s->n_prompts; i++)
        texts = texts && s->prompts[i].input == INPUT_TEXT;
    if (s->echo && (s->logprobs || !texts))
        return dialect_refuse(err, PROBLEM_UNSUPPORTED, "echo",
                              "'echo' is supported for texts, without 'logprobs'");
    return true;
}

static bool read_request(const struct http_request *in, struct dialect_call *c,
                         struct dialect_error *err)
{
    const json_t *body = in->body;
    struct state *s = c->state;
    struct slice model = {0};
    if (!member_text(body, "", "model", &model, err) ||
        !openai_stream(c, body, &s->include_usage, err) || !openai_sampling(c, body, err) ||
        !member_bool(body, "", "echo", &s->echo, err) || !read_logprobs(c, body, err) ||
        !member_int(body, "", "max_tokens", 0, TOKENS_MAX, &c->request.max_tokens, err))
        return false;
    c->request.model = model.ptr;
    if (!openai_session(c, body, err) || !openai_constraint(c, body, err) ||
        !read_prompts(c, body, err) || !read_rest(c, body, err))
        return false;
    set_prompts(c);
    return true;
}

// Writing

static double shown_logprob(const struct chat_token *t)
{
    return t->logprob > -9999 ? (double)t->logprob : -9999.0;
}

static void write_tops(const struct chat_token *t, struct buf *out)
{
    buf_char(out, '{');
    for (size_t i = 0; i < t->n_top; i++) {
        if (i)
            buf_char(out, ',');
        json_write_text(out, t->top[i].bytes);
        buf_char(out, ':');
        json_write_number(out, shown_logprob(&t->top[i]));
    }
    buf_char(out, '}');
}

// `offset`: bytes of the text before the first token.
static void write_logprobs(const struct chat_token *tokens, size_t n, size_t offset,
                           struct buf *out)
{
    buf_text_add(out, "{\"tokens\":[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(out, ',');
        json_write_text(out, tokens[i].bytes);
    }
    buf_text_add(out, "],\"token_logprobs\":[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(out, ',');
        json_write_number(out, shown_logprob(&tokens[i]));
    }
    buf_text_add(out, "],\"top_logprobs\":[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(out, ',');
        write_tops(&tokens[i], out);
    }
    buf_text_add(out, "],\"text_offset\":[");
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, i ? ",%zu" : "%zu", offset);
        offset += tokens[i].bytes.len;
    }
    buf_text_add(out, "]}");
}

static void write_head(const struct dialect_call *c, struct buf *out)
{
    buf_printf(out,
               "{\"id\":\"cmpl-%s\",\"object\":\"text_completion\",\"created\":%" PRId64
               ",\"model\":",
               c->id, c->created);
    json_write_text(out, slice_str(c->model));
    buf_text_add(out, ",\"choices\":[");
}

static void write_choice(const struct state *s, int index, struct slice text,
                         const struct chat_token *tokens, size_t n, size_t offset,
                         const char *finish, struct buf *out)
{
    buf_printf(out, "{\"index\":%d,\"text\":", index);
    json_write_text(out, text);
    buf_text_add(out, ",\"logprobs\":");
    if (s->logprobs && n)
        write_logprobs(tokens, n, offset, out);
    else
        buf_text_add(out, "null");
    if (finish)
        buf_printf(out, ",\"finish_reason\":\"%s\"}", finish);
    else
        buf_text_add(out, ",\"finish_reason\":null}");
}

// The text that a choice continues.
static struct slice prompt_of(const struct state *s, size_t choice)
{
    return s->prompts[choice / s->n_choices].text;
}

static void write_chunk(struct dialect_call *c, const struct chat_event *e, struct slice text,
                        const char *finish, struct buf *out)
{
    struct state *s = c->state;
    size_t *n_written = &s->n_written[e->choice];
    buf_text_add(out, "data: ");
    write_head(c, out);
    write_choice(s, e->choice, text, e->tokens, e->n_tokens, *n_written, finish, out);
    buf_text_add(out, s->include_usage ? "],\"usage\":null}\n\n" : "]}\n\n");
    *n_written += text.len;
}

static void write_echo(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    struct state *s = c->state;
    struct chat_event none = {.choice = e->choice};
    if (s->echo && !s->n_written[e->choice])
        write_chunk(c, &none, prompt_of(s, (size_t)e->choice), NULL, out);
}

static void write_usage_chunk(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    const struct state *s = c->state;
    if (!s->include_usage)
        return;
    buf_text_add(out, "data: ");
    write_head(c, out);
    buf_text_add(out, "],\"usage\":");
    openai_write_usage(&e->usage, out);
    buf_text_add(out, "}\n\n");
}

static void write_event(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    const struct state *s = c->state;
    if (e->choice < 0 || (size_t)e->choice >= s->n_prompts * s->n_choices)
        return;
    switch (e->kind) {
    case CHAT_TEXT:
        write_echo(c, e, out);
        if (e->text.len || (s->logprobs && e->n_tokens))
            write_chunk(c, e, e->text, NULL, out);
        break;
    case CHAT_FINISH:
        if (e->finish == CHAT_NOT_FINISHED || e->finish == CHAT_CANCELLED)
            break;  // an error comes
        write_echo(c, e, out);
        write_chunk(c, e, slice_str(""), openai_finish(e->finish), out);
        break;
    case CHAT_USAGE: write_usage_chunk(c, e, out); break;
    case CHAT_DONE: buf_text_add(out, "data: [DONE]\n\n"); break;
    case CHAT_ERROR: openai_write_error_event(c, e, out); break;
    default: break;
    }
}

static void write_response(struct dialect_call *c, const struct dialect_answer *a, struct buf *out)
{
    const struct state *s = c->state;
    struct buf text = {0};
    write_head(c, out);
    for (size_t i = 0, n = 0; i < a->n_choices; i++) {
        const struct dialect_choice *choice = &a->choices[i];
        if (dialect_answer_lacks(a, i))
            continue;
        if (n++)
            buf_char(out, ',');
        buf_clear(&text);
        if (s->echo)
            buf_slice(&text, prompt_of(s, i));
        buf_slice(&text, buf_view(&choice->text));
        write_choice(s, (int)i, buf_view(&text), choice->tokens, choice->n_tokens, 0,
                     openai_finish(choice->finish), out);
    }
    buf_text_add(out, "],\"usage\":");
    openai_write_usage(&a->usage, out);
    buf_char(out, '}');
    buf_release(&text);
}

static const struct dialect_route routes[] = {
    {"POST", "/v1/completions", DIALECT_CHAT},
    {0},
};
const struct dialect dialect_openai_completions = {
    .name = "openai_completions",
    .routes = routes,
    .state_size = sizeof(struct state),
    .id_header = "x-request-id",
    .read_request = read_request,
    .write_event = write_event,
    .write_response = write_response,
    .write_error = openai_write_error,
};
