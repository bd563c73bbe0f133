#include <math.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "providers/local_models.h"

// Reads one choice of an answer for calls and thoughts.
struct choice_reader {
    struct answer *answer;
    struct answer_parser *parser;
    const struct chat_token *token;  // goes with the next event of text
};

struct answer {
    struct carried work;  // first
    struct local_models *models;
    struct local_model *model;
    struct choice_reader *readers;  // [n_readers], one a choice; none: all is text
    size_t n_readers;
    json_t *tools;
    struct arena arena;
    struct slice *stops;  // the request's
    size_t n_stops;
    int64_t reasoning_tokens;
    int dimensions;  // of embeddings; 0: all
    struct engine_answer *engine;
    struct tokens prompt;
    struct chat_sink sink;
    struct error error;  // of the first choice that failed
    bool prompt_told, scores;
    atomic_bool cancelled;
};

enum { EVENTS_AT_ONCE = 32 };  // then others are carried

static enum chat_finish finish_of(enum finish_reason f)
{
    switch (f) {
    case FINISH_STOP: return CHAT_STOP;
    case FINISH_LENGTH: return CHAT_LENGTH;
    case FINISH_CANCELLED: return CHAT_CANCELLED;
    case FINISH_TOOL_CALLS: return CHAT_TOOL_CALLS;
    default: return CHAT_NOT_FINISHED;
    }
}

static struct chat_token token_of(const struct answer *a, int32_t id, float logprob,
                                  struct arena *scratch)
{
    struct buf bytes = {0};
    tokenizer_bytes(a->model->tokenizer, id, &bytes);
    struct chat_token t = {.id = id,
                           .logprob = logprob,
                           .bytes = slice_of(arena_text(scratch, buf_view(&bytes)), bytes.len)};
    buf_release(&bytes);
    return t;
}

static struct chat_token *tokens_of(const struct answer *a, const struct token_logprob *from,
                                    size_t n, struct arena *scratch)
{
    struct chat_token *tokens = arena_new(scratch, struct chat_token, n + 1);
    for (size_t i = 0; i < n; i++)
        tokens[i] = token_of(a, from[i].token, from[i].logprob, scratch);
    return tokens;
}

static struct chat_token *tops_of(const struct answer *a, const struct engine_event *e,
                                  struct arena *scratch)
{
    return tokens_of(a, e->top, e->n_top > 0 ? (size_t)e->n_top : 0, scratch);
}

static void push(struct answer *a, const struct chat_event *event)
{
    if (event->kind == CHAT_REASONING)
        a->reasoning_tokens += (int64_t)event->n_tokens;

    a->sink.push(a->sink.self, event);
}

static struct answer_parser *parser_of(const struct answer *a, int choice)
{
    return choice >= 0 && (size_t)choice < a->n_readers ? a->readers[choice].parser : NULL;
}

static void push_text(struct answer *a, int choice, struct slice text)
{
    struct chat_event e = {.kind = CHAT_TEXT, .choice = choice, .text = text};
    struct answer_parser *parser = parser_of(a, choice);
    if (parser)
        answer_parser_push(parser, text);
    else if (text.len > 0)
        push(a, &e);
}

// What a parser makes of a choice's text: a token belongs to the first piece that came with it.
static void push_read(void *self, const struct chat_event *event)
{
    struct choice_reader *r = self;
    struct chat_event e = *event;
    if (r->token && e.kind != CHAT_TOOL_CALL) {
        e.tokens = r->token;
        e.n_tokens = 1;
        r->token = NULL;
    }
    push(r->answer, &e);
}

static void push_token(struct answer *a, const struct engine_event *e)
{
    struct arena scratch = {0};
    struct chat_token token = token_of(a, e->token, e->logprob, &scratch);
    struct chat_event event = {
        .kind = CHAT_TEXT, .choice = e->choice, .text = e->text, .tokens = &token, .n_tokens = 1};
    struct answer_parser *parser = parser_of(a, e->choice);
    token.top = tops_of(a, e, &scratch);
    token.n_top = e->n_top > 0 ? (size_t)e->n_top : 0;
    if (parser) {
        struct choice_reader *r = &a->readers[e->choice];
        r->token = &token;
        answer_parser_push(parser, e->text);
        event.text = slice_str("");
        event.kind = answer_parser_kind(parser);
        if (r->token)
            push(a, &event);
        r->token = NULL;
    } else {
        push(a, &event);
    }
    arena_release(&scratch);
}

static void push_next(struct answer *a, const struct engine_event *e)
{
    struct arena scratch = {0};
    struct chat_event event = {.kind = CHAT_NEXT,
                               .choice = e->choice,
                               .tokens = tops_of(a, e, &scratch),
                               .n_tokens = e->n_top > 0 ? (size_t)e->n_top : 0};
    push(a, &event);
    arena_release(&scratch);
}

// Tokens of the prompt, each with its alternatives.
static void push_scored(struct answer *a, const struct engine_event *e)
{
    struct arena scratch = {0};
    size_t n = (size_t)e->n_scored, width = (size_t)e->scored_width;
    struct chat_token *tokens = arena_new(&scratch, struct chat_token, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct chat_token *row = tokens_of(a, e->scored + i * width, width, &scratch);
        tokens[i] = row[0];
        tokens[i].top = row + 1;
        tokens[i].n_top = width - 1;
    }
    struct chat_event event = {
        .kind = CHAT_PROMPT_TOKENS, .choice = e->choice, .tokens = tokens, .n_tokens = n};
    push(a, &event);
    arena_release(&scratch);
}

static void push_end(struct answer *a, const struct engine_event *e)
{
    struct chat_event usage = {
        .kind = CHAT_USAGE,
        .usage = {.prompt_tokens = (int64_t)e->usage.prompt_tokens,
                  .cached_tokens = (int64_t)e->usage.cached_tokens,
                  .completion_tokens = (int64_t)e->usage.completion_tokens,
                  .reasoning_tokens = a->reasoning_tokens,
                  .drafted_tokens = (int64_t)e->usage.drafted_tokens,
                  .accepted_tokens = (int64_t)e->usage.accepted_tokens,
                  .queued_s = e->usage.queued_s,
                  .prefill_s = e->usage.prefill_s,
                  .decode_s = e->usage.decode_s},
    };
    struct chat_event end = {.kind = a->error.code ? CHAT_ERROR : CHAT_DONE, .error = a->error};
    push(a, &usage);
    push(a, &end);
}

static void push_finish(struct answer *a, const struct engine_event *e)
{
    struct answer_parser *parser = parser_of(a, e->choice);
    struct chat_event event = {
        .kind = CHAT_FINISH, .choice = e->choice, .finish = finish_of(e->finish)};
    if (e->stop >= 0 && (size_t)e->stop < a->n_stops)
        event.stop = a->stops[e->stop];
    push_text(a, e->choice, e->text);
    if (parser)
        answer_parser_finish(parser, e->finish != FINISH_STOP && e->finish != FINISH_TOOL_CALLS);
    if (parser && answer_parser_n_calls(parser) > 0 && event.finish == CHAT_STOP)
        event.finish = CHAT_TOOL_CALLS;
    if (e->finish == FINISH_ERROR && !a->error.code)
        a->error = e->error;
    push(a, &event);
}

static void carry(struct answer *a, const struct engine_event *e)
{
    struct chat_event event = {.choice = e->choice};
    switch (e->kind) {
    case ENGINE_PREFILL:
        event.kind = CHAT_PROGRESS;
        event.n_done = e->n_done;
        event.n_total = e->n_total;
        push(a, &event);
        break;
    case ENGINE_TOKEN: push_token(a, e); break;
    case ENGINE_SCORED: push_scored(a, e); break;
    case ENGINE_NEXT: push_next(a, e); break;
    case ENGINE_EMBEDDING: local_embed_push(e, a->dimensions, a->sink); break;
    case ENGINE_FINISH: push_finish(a, e); break;
    case ENGINE_DONE: push_end(a, e); break;
    }
}

static void tell_prompt(struct answer *a)
{
    struct chat_event prompt = {
        .kind = CHAT_PROMPT, .prompt = a->prompt.ids, .n_prompt = a->prompt.n};
    push(a, &prompt);
    if (a->scores) {  // nothing came before the first one, so nothing scores it
        struct arena scratch = {0};
        struct chat_token first = token_of(a, a->prompt.ids[0], NAN, &scratch);
        struct chat_event event = {.kind = CHAT_PROMPT_TOKENS, .tokens = &first, .n_tokens = 1};
        push(a, &event);
        arena_release(&scratch);
    }
    tokens_release(&a->prompt);
    a->prompt_told = true;
}

static bool is_full(struct answer *a)
{
    return a->sink.full && !atomic_load(&a->cancelled) && a->sink.full(a->sink.self);
}

static bool run(struct carried *work)
{
    struct answer *a = (struct answer *)work;
    struct engine_event e;
    if (!a->prompt_told)
        tell_prompt(a);
    for (int n = 0; n < EVENTS_AT_ONCE; n++) {
        if (is_full(a) || !engine_try_next(a->engine, &e))
            return true;  // who makes room wakes it, or the engine does
        carry(a, &e);
        if (e.kind == ENGINE_DONE)
            return false;
    }
    carried_wake(work);
    return true;
}

static void over(struct carried *work)
{
    struct answer *a = (struct answer *)work;
    a->sink.closed(a->sink.self);
}

static void make_readers(struct answer *a, const struct chat_request *req, bool thinking)
{
    const struct local_model *m = a->model;
    bool plain = m->shape.format == ANSWER_PLAIN && m->shape.thinking == THINKING_NONE;
    if (req->input != INPUT_MESSAGES || !m->chat_template || plain)
        return;
    a->tools = json_incref((json_t *)local_tools(req));
    a->n_readers = req->sampling.n_choices > 0 ? (size_t)req->sampling.n_choices : 1;
    a->readers = memory_array(struct choice_reader, a->n_readers);
    struct answer_options o = {.shape = m->shape,
                               .control = m->control,
                               .thinking = thinking,
                               .tools = a->tools,
                               .one_call = req->one_tool_call,
                               // Ids must differ from those of the conversation's other answers.
                               .id_seed = hash_mix((uint64_t)clock_ns()) ^ (uintptr_t)a};
    for (size_t i = 0; i < a->n_readers; i++) {
        a->readers[i].answer = a;
        o.choice = (int)i;
        o.sink = (struct chat_sink){.push = push_read, .self = &a->readers[i]};
        a->readers[i].parser = answer_parser_new(&o);
    }
}

struct answer *local_answer_new(struct carriers *carriers, struct local_models *models,
                                struct local_model *m, const struct chat_request *req,
                                bool thinking, struct chat_sink sink)
{
    struct answer *a = memory_array(struct answer, 1);
    a->models = models;
    a->model = m;
    a->sink = sink;
    a->dimensions = req->dimensions;
    a->scores = req->score_prompt;
    carried_init(&a->work, carriers);
    a->work.run = run;
    a->work.over = sink.closed ? over : NULL;
    make_readers(a, req, thinking);
    a->n_stops = req->sampling.n_stops;
    if (a->n_stops)
        a->stops = arena_new(&a->arena, struct slice, a->n_stops);
    for (size_t i = 0; i < a->n_stops; i++)
        a->stops[i] =
            slice_of(arena_text(&a->arena, req->sampling.stops[i]), req->sampling.stops[i].len);
    return a;
}

void local_answer_ready(void *answer)
{
    carried_wake(&((struct answer *)answer)->work);
}

void local_answer_begin(struct answer *a, struct engine_answer *engine, struct tokens *prompt)
{
    a->engine = engine;
    a->prompt = *prompt;
    *prompt = (struct tokens){0};
    carried_begin(&a->work);
}

void local_answer_wait(struct answer *a)
{
    carried_wait(&a->work);
}

void local_answer_cancel(struct answer *a)
{
    atomic_store(&a->cancelled, true);
    engine_cancel(a->engine);
    carried_wake(&a->work);  // the sink is not asked any more
}

void local_answer_resume(struct answer *a)
{
    carried_wake(&a->work);
}

void local_answer_discard(struct answer *a)
{
    engine_answer_free(a->engine);
    for (size_t i = 0; i < a->n_readers; i++)
        answer_parser_free(a->readers[i].parser);
    free(a->readers);
    arena_release(&a->arena);
    json_decref(a->tools);
    tokens_release(&a->prompt);
    local_models_give(a->models, a->model);
    free(a);
}

void local_answer_free(struct answer *a)
{
    if (!a)
        return;
    if (!carried_is_over(&a->work)) {
        local_answer_cancel(a);
        local_answer_wait(a);
    }
    local_answer_discard(a);
}
