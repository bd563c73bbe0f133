#include <math.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/memory.h"
#include "providers/local_impl.h"

struct answer {
    const struct local_model *model;
    struct engine_answer *engine;
    struct tokens prompt;
    struct chat_sink sink;
    struct error error;  // of the first choice that failed
    pthread_t thread;
    bool joined;  // by the caller that waits
};

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

static struct chat_token *tops_of(const struct answer *a, const struct engine_event *e,
                                  struct arena *scratch)
{
    size_t n = e->n_top > 0 ? (size_t)e->n_top : 0;
    struct chat_token *top = arena_new(scratch, struct chat_token, n + 1);
    for (size_t i = 0; i < n; i++)
        top[i] = token_of(a, e->top[i].token, e->top[i].logprob, scratch);
    return top;
}

static void push(const struct answer *a, const struct chat_event *event)
{
    a->sink.push(a->sink.self, event);
}

static void push_text(const struct answer *a, int choice, struct slice text)
{
    struct chat_event e = {.kind = CHAT_TEXT, .choice = choice, .text = text};
    if (text.len > 0)
        push(a, &e);
}

static void push_token(const struct answer *a, const struct engine_event *e)
{
    struct arena scratch = {0};
    struct chat_token token = token_of(a, e->token, e->logprob, &scratch);
    struct chat_event event = {
        .kind = CHAT_TEXT, .choice = e->choice, .text = e->text, .tokens = &token, .n_tokens = 1};
    token.top = tops_of(a, e, &scratch);
    token.n_top = e->n_top > 0 ? (size_t)e->n_top : 0;
    push(a, &event);
    arena_release(&scratch);
}

static void push_next(const struct answer *a, const struct engine_event *e)
{
    struct arena scratch = {0};
    struct chat_event event = {.kind = CHAT_NEXT,
                               .choice = e->choice,
                               .tokens = tops_of(a, e, &scratch),
                               .n_tokens = e->n_top > 0 ? (size_t)e->n_top : 0};
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
    case ENGINE_NEXT: push_next(a, e); break;
    case ENGINE_FINISH:
        push_text(a, e->choice, e->text);
        if (e->finish == FINISH_ERROR && !a->error.code)
            a->error = e->error;
        event.kind = CHAT_FINISH;
        event.finish = finish_of(e->finish);
        push(a, &event);
        break;
    case ENGINE_DONE: push_end(a, e); break;
    }
}

static void *answer_main(void *self)
{
    struct answer *a = self;
    struct engine_event e;
    struct chat_event prompt = {
        .kind = CHAT_PROMPT, .prompt = a->prompt.ids, .n_prompt = a->prompt.n};
    push(a, &prompt);
    while (engine_next(a->engine, &e))
        carry(a, &e);
    return NULL;
}

struct answer *local_answer_new(const struct local_model *m, struct engine_answer *engine,
                                struct tokens *prompt, struct chat_sink sink, struct error *err)
{
    struct answer *a = memory_array(struct answer, 1);
    *a = (struct answer){.model = m, .engine = engine, .prompt = *prompt, .sink = sink};
    *prompt = (struct tokens){0};
    if (pthread_create(&a->thread, NULL, answer_main, a) == 0)
        return a;
    a->joined = true;
    local_answer_free(a);
    (void)error_set(err, ERR_LIMIT, "no thread for another answer");
    return NULL;
}

void local_answer_wait(struct answer *a)
{
    if (!a->joined)
        (void)pthread_join(a->thread, NULL);
    a->joined = true;
}

void local_answer_cancel(struct answer *a)
{
    engine_cancel(a->engine);
}

void local_answer_free(struct answer *a)
{
    if (!a)
        return;
    if (!a->joined)
        engine_cancel(a->engine);
    local_answer_wait(a);
    engine_answer_free(a->engine);
    tokens_release(&a->prompt);
    free(a);
}
