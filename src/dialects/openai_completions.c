// openai_completions.c - POST /v1/completions: raw texts continued, streamed or whole.
//
// Several prompts are one answer, whose choices are numbered prompt * n + i.
#include <inttypes.h>
#include <math.h>

#include "base/buf.h"
#include "base/json.h"
#include "dialects/members.h"
#include "dialects/openai.h"
#include "dialects/openai_echo.h"

enum { TOP_LOGPROBS_MAX = 20, BEST_OF_MAX = 64, TOKENS_MAX = 1 << 24, PROMPT_TOKENS_MAX = 1 << 22 };
enum { CHOICES_MAX = 128 };  // of all prompts together

struct state {
    bool include_usage, logprobs, echo;
    struct chat_prompt *prompts;
    struct openai_echo *echoes;   // [n_prompts]
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
    s->echoes = arena_new(c->arena, struct openai_echo, s->n_prompts);
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
    for (size_t i = 0; i < s->n_prompts; i++) {
        bool given = s->prompts[i].input == INPUT_TEXT;
        s->echoes[i] = (struct openai_echo){.given = given, .text = s->prompts[i].text};
        r->score_prompt = r->score_prompt || (s->echo && (s->logprobs || !given));
    }
    r->echo = s->echo;
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
    return true;
}

static bool read_request(const struct http_request *in, struct dialect_call *c,
                         struct dialect_error *err)
{
    const json_t *body = in->body;
    struct state *s = c->state;
    const json_t *format = NULL;
    struct slice model = {0};
    if (!member_text(body, "", "model", &model, err) ||
        !openai_stream(c, body, &s->include_usage, err) || !openai_sampling(c, body, err) ||
        !member_bool(body, "", "echo", &s->echo, err) || !read_logprobs(c, body, err) ||
        !member_int(body, "", "max_tokens", 0, TOKENS_MAX, &c->request.max_tokens, err))
        return false;
    c->request.model = model.ptr;
    c->request.body = body;  // whose members errors may name; no vendor gets more of it
    // Of OpenAI's only chat completions have response_format; other servers take it here, too.
    if (!openai_session(c, body, err) ||
        !member_object(body, "", "response_format", &format, err) ||
        !openai_format(c, format, "response_format", "json_schema", err) ||
        !openai_constraint(c, body, err) || !read_prompts(c, body, err) || !read_rest(c, body, err))
        return false;
    set_prompts(c);
    return true;
}

// Writing

// Tokens as a choice shows them: those of the prompt, then those of the text.
struct shown {
    const struct chat_token *prompt, *tokens;
    size_t n_prompt, n;
    struct openai_echo echo;  // before the first one of the prompt
    size_t offset;            // bytes of the text before the first one of `tokens`
};

static const struct chat_token *token_at(const struct shown *s, size_t i)
{
    return i < s->n_prompt ? &s->prompt[i] : &s->tokens[i - s->n_prompt];
}

static void write_logprob(const struct chat_token *t, struct buf *out)
{
    if (isnan(t->logprob))
        buf_text_add(out, "null");
    else
        json_write_number(out, t->logprob > -9999 ? (double)t->logprob : -9999.0);
}

static void write_tops(const struct chat_token *t, struct buf *out)
{
    if (isnan(t->logprob)) {
        buf_text_add(out, "null");
        return;
    }
    buf_char(out, '{');
    for (size_t i = 0; i < t->n_top; i++) {
        if (i)
            buf_char(out, ',');
        json_write_text(out, t->top[i].bytes);
        buf_char(out, ':');
        write_logprob(&t->top[i], out);
    }
    buf_char(out, '}');
}

static void write_offsets(const struct shown *s, struct buf *out)
{
    struct openai_echo echo = s->echo;
    size_t offset = s->offset;
    for (size_t i = 0; i < s->n_prompt + s->n; i++) {
        struct slice bytes = token_at(s, i)->bytes;
        size_t place = i < s->n_prompt ? openai_echo_place(&echo, bytes) : offset;
        buf_printf(out, i ? ",%zu" : "%zu", place);
        offset += i < s->n_prompt ? 0 : bytes.len;
    }
}

static void write_logprobs(const struct shown *s, struct buf *out)
{
    size_t n = s->n_prompt + s->n;
    buf_text_add(out, "{\"tokens\":[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(out, ',');
        json_write_text(out, token_at(s, i)->bytes);
    }
    buf_text_add(out, "],\"token_logprobs\":[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(out, ',');
        write_logprob(token_at(s, i), out);
    }
    buf_text_add(out, "],\"top_logprobs\":[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(out, ',');
        write_tops(token_at(s, i), out);
    }
    buf_text_add(out, "],\"text_offset\":[");
    write_offsets(s, out);
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
                         const struct shown *shown, const char *finish, struct buf *out)
{
    buf_printf(out, "{\"index\":%d,\"text\":", index);
    json_write_text(out, text);
    buf_text_add(out, ",\"logprobs\":");
    if (s->logprobs && shown->n_prompt + shown->n > 0)
        write_logprobs(shown, out);
    else
        buf_text_add(out, "null");
    if (finish)
        buf_printf(out, ",\"finish_reason\":\"%s\"}", finish);
    else
        buf_text_add(out, ",\"finish_reason\":null}");
}

static void write_chunk(struct dialect_call *c, size_t choice, struct slice text,
                        const struct shown *shown, const char *finish, struct buf *out)
{
    struct state *s = c->state;
    buf_text_add(out, "data: ");
    write_head(c, out);
    write_choice(s, (int)choice, text, shown, finish, out);
    buf_text_add(out, s->include_usage ? "],\"usage\":null}\n\n" : "]}\n\n");
    s->n_written[choice] += text.len;
}

// Tokens of a prompt, once for each of its choices.
static void write_prompt_tokens(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    struct state *s = c->state;
    size_t first = (size_t)e->choice;
    struct openai_echo *echo = &s->echoes[first / s->n_choices];
    struct shown shown = {.prompt = e->tokens, .n_prompt = e->n_tokens, .echo = *echo};
    struct buf text = {0};
    openai_echo_add(echo, e->tokens, e->n_tokens, &text);
    for (size_t i = 0; i < s->n_choices; i++)
        write_chunk(c, first + i, buf_view(&text), &shown, NULL, out);
    buf_release(&text);
}

// What is not told yet of the prompt, before the choice's own text.
static void write_echo(struct dialect_call *c, size_t choice, struct buf *out)
{
    struct state *s = c->state;
    const struct shown none = {0};
    struct buf text = {0};
    if (!s->echo)
        return;
    openai_echo_rest(&s->echoes[choice / s->n_choices], s->n_written[choice], &text);
    if (text.len)
        write_chunk(c, choice, buf_view(&text), &none, NULL, out);
    buf_release(&text);
}

static void write_own(struct dialect_call *c, const struct chat_event *e, const char *finish,
                      struct buf *out)
{
    const struct state *s = c->state;
    size_t choice = (size_t)e->choice;
    write_echo(c, choice, out);
    struct shown shown = {.tokens = e->tokens, .n = e->n_tokens, .offset = s->n_written[choice]};
    if (finish || e->text.len || (s->logprobs && e->n_tokens))
        write_chunk(c, choice, finish ? slice_str("") : e->text, &shown, finish, out);
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
    case CHAT_PROMPT_TOKENS: write_prompt_tokens(c, e, out); break;
    case CHAT_TEXT: write_own(c, e, NULL, out); break;
    case CHAT_FINISH:
        if (e->finish != CHAT_NOT_FINISHED && e->finish != CHAT_CANCELLED)  // else an error comes
            write_own(c, e, openai_finish(e->finish), out);
        break;
    case CHAT_USAGE: write_usage_chunk(c, e, out); break;
    case CHAT_DONE: buf_text_add(out, "data: [DONE]\n\n"); break;
    case CHAT_ERROR: openai_write_error_event(c, e, out); break;
    default: break;
    }
}

// What stands before the choice's own text, and the tokens of both.
static void begin_text(const struct state *s, const struct dialect_answer *a, size_t i,
                       struct shown *shown, struct buf *text)
{
    const struct dialect_choice *own = &a->choices[i], *first = &a->choices[i - i % s->n_choices];
    struct openai_echo echo = s->echoes[i / s->n_choices];
    *shown = (struct shown){.prompt = first->prompt_tokens,
                            .n_prompt = first->n_prompt_tokens,
                            .echo = echo,
                            .tokens = own->tokens,
                            .n = own->n_tokens};
    if (s->echo) {
        openai_echo_add(&echo, shown->prompt, shown->n_prompt, text);
        openai_echo_rest(&echo, echo.n_shown, text);
    }
    shown->offset = text->len;
}

static void write_response(struct dialect_call *c, const struct dialect_answer *a, struct buf *out)
{
    const struct state *s = c->state;
    struct shown shown;
    struct buf text = {0};
    write_head(c, out);
    for (size_t i = 0, n = 0; i < a->n_choices; i++) {
        const struct dialect_choice *choice = &a->choices[i];
        if (dialect_answer_lacks(a, i))
            continue;
        if (n++)
            buf_char(out, ',');
        buf_clear(&text);
        begin_text(s, a, i, &shown, &text);
        buf_slice(&text, buf_view(&choice->text));
        write_choice(s, (int)i, buf_view(&text), &shown, openai_finish(choice->finish), out);
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
