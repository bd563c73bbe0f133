#include "providers/local.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/memory.h"
#include "local/models/facts.h"
#include "local/models/model.h"
#include "local/sampling/grammar/grammar.h"
#include "providers/local_models.h"

struct local {
    struct provider provider;  // first
    char *pin, *isa, *kv_type, *quantize, *packed, *draft, *tool_format, *pooling;
    struct local_models models;
    struct carriers carriers;
};

enum { DEFAULT_MAX_TOKENS = 4096 };

// To be given back. NULL with err.
static struct local_model *take_model(struct provider *p, const char *reference, struct error *err)
{
    return local_models_take(&((struct local *)p)->models, reference, err);
}

static void give_model(struct provider *p, struct local_model *m)
{
    if (m)
        local_models_give(&((struct local *)p)->models, m);
}

static bool ready(struct provider *p, const char *model, bool has_waited)
{
    return local_models_ready(&((struct local *)p)->models, model, has_waited);
}

static bool describe(struct provider *p, const char *model, struct model_info *out,
                     struct error *err)
{
    struct local_model *m = take_model(p, model, err);
    if (!m)
        return false;
    *out = (struct model_info){
        .context = engine_ctx(m->engine), .local = true, .has_template = m->chat_template != NULL};
    (void)snprintf(out->name, sizeof out->name, "%s", m->name);
    (void)snprintf(out->description, sizeof out->description, "%s", m->description);
    give_model(p, m);
    return true;
}

static bool count(struct provider *p, const struct chat_request *req, int64_t *n, bool *exact,
                  struct error *err)
{
    struct tokens tokens = {0};
    struct local_model *m = take_model(p, req->model, err);
    bool ok = m && local_prompt(m, req, &tokens, NULL, err);
    *n = (int64_t)tokens.n;
    *exact = true;
    tokens_release(&tokens);
    give_model(p, m);
    return ok;
}

static bool plain_tokens(const struct local_model *m, const struct chat_request *req,
                         struct tokens *out, struct error *err)
{
    if (req->input != INPUT_TEXT)
        return error_set(err, ERR_USAGE, "only a raw text has no special tokens");
    return tokenizer_encode(m->tokenizer, req->text, TOKENIZE_PLAIN, out, err);
}

static bool tokenize(struct provider *p, const struct chat_request *req, bool plain, int32_t **ids,
                     size_t *n, struct error *err)
{
    struct tokens tokens = {0};
    struct local_model *m = take_model(p, req->model, err);
    bool ok = m && (plain ? plain_tokens(m, req, &tokens, err)
                          : local_prompt(m, req, &tokens, NULL, err));
    if (!ok)
        tokens_release(&tokens);
    *ids = tokens.ids;
    *n = tokens.n;
    give_model(p, m);
    return ok;
}

static bool detokenize(struct provider *p, const char *model, const int32_t *ids, size_t n,
                       struct buf *out, struct error *err)
{
    struct local_model *m = take_model(p, model, err);
    bool ok = m && tokenizer_decode(m->tokenizer, ids, n, false, out, err);
    give_model(p, m);
    return ok;
}

static bool load(struct provider *p, size_t i, struct provider_load *out)
{
    struct local_models *l = &((struct local *)p)->models;
    struct engine_stats s;
    pthread_mutex_lock(&l->lock);
    const struct local_model *m = l->models;
    while (m && i--)
        m = m->next;
    if (m) {
        engine_stats(m->engine, &s);
        *out = (struct provider_load){.running = s.running,
                                      .waiting = s.waiting,
                                      .pages_free = s.pages_free,
                                      .pages_total = s.pages_total,
                                      .preemptions = s.preemptions,
                                      .steps = s.steps,
                                      .rows = s.rows,
                                      .prompt_rows = s.prompt_rows,
                                      .new_tokens = s.completion_tokens,
                                      .max_running = s.max_seqs,
                                      .drafted_tokens = s.drafted_tokens,
                                      .accepted_tokens = s.accepted_tokens,
                                      .memory_bytes = (int64_t)m->bytes};
        (void)snprintf(out->name, sizeof out->name, "%s", m->name);
    }
    pthread_mutex_unlock(&l->lock);
    return m != NULL;
}

static int room_for(const struct local_model *m, const struct chat_request *req, size_t n_prompt)
{
    if (req->max_tokens >= 0)
        return req->max_tokens;
    int ctx = engine_ctx(m->engine), left = n_prompt < (size_t)ctx ? ctx - (int)n_prompt : 1;
    return left < DEFAULT_MAX_TOKENS ? left : DEFAULT_MAX_TOKENS;
}

// The engine would refuse it too, but could not say what is too long for what.
static bool check_context(const struct local_model *m, size_t n_prompt, int max_tokens,
                          struct error *err)
{
    int ctx = engine_ctx(m->engine);
    if (n_prompt + (size_t)max_tokens <= (size_t)ctx)
        return true;
    return error_set(err, ERR_CONTEXT,
                     "the prompt has %zu tokens and the answer may have %d more, but the context "
                     "of this model holds %d",
                     n_prompt, max_tokens, ctx);
}

static struct engine_answer *submit_checked(const struct local_model *m,
                                            const struct engine_request *r, struct error *err)
{
    return check_context(m, r->n_prompt, r->max_tokens, err) ? engine_submit(m->engine, r, err)
                                                             : NULL;
}

static struct flow flow_of(const struct provider_flow *flow)
{
    return (struct flow){.share_salt = flow->share_salt,
                         .id = flow->id,
                         .weight = flow->weight,
                         .priority = flow->priority,
                         .deadline_ns = flow->deadline_ns};
}

static struct engine_answer *submit(const struct local_model *m, const struct chat_request *req,
                                    const struct provider_flow *flow, const struct tokens *prompt,
                                    enum answer_begins begins, struct answer *reader,
                                    struct error *err)
{
    struct arena arena = {0};
    struct engine_request r = {
        .prompt = prompt->ids,
        .n_prompt = prompt->n,
        .max_tokens = room_for(m, req, prompt->n),
        .min_tokens = req->sampling.min_tokens,
        .n_choices = req->sampling.n_choices > 0 ? req->sampling.n_choices : 1,
        .stops = req->sampling.stops,
        .n_stops = req->sampling.n_stops,
        .n_top = req->sampling.n_logprobs,
        .score_prompt = req->score_prompt,
        .skip_special = true,
        .speculate = m->speculate,
        .flow = flow_of(flow),
        .ready = local_answer_ready,
        .ready_self = reader,
    };
    r.ends = tokenizer_ends(m->tokenizer, &r.n_ends);
    if (req->input == INPUT_MESSAGES && m->chat_template) {
        r.ends = m->ends;
        r.n_ends = m->n_ends;
        r.shown = m->marks;
        r.n_shown = m->n_marks;
    }
    struct engine_answer *a = NULL;
    if (model_facts(m->model)->headless)
        (void)error_set(err, ERR_UNSUPPORTED, "%s has no output matrix: it gives embeddings only",
                        m->name);
    else if (prompt->n == 0)
        (void)error_set(err, ERR_USAGE, "the prompt is empty");
    else if (local_sampling(m, req, &arena, &r.sampling, err) &&
             local_grammar(m, req, begins, &r.grammar, err))
        a = submit_checked(m, &r, err);
    grammar_release(r.grammar);
    arena_release(&arena);
    return a;
}

static struct answer *start(struct provider *p, const struct chat_request *req,
                            struct provider_flow flow, struct chat_sink sink, struct error *err)
{
    struct local *l = (struct local *)p;
    struct tokens prompt = {0};
    struct answer *answer = NULL;
    enum answer_begins begins = ANSWER_BEGINS;
    bool embeds = req->input == INPUT_EMBED;
    struct local_model *m = take_model(p, req->model, err);
    if (m && (embeds || local_prompt(m, req, &prompt, &begins, err))) {
        answer = local_answer_new(&l->carriers, &l->models, m, req,
                                  begins == ANSWER_BEGINS_THINKING, sink);
        struct engine_answer *engine = embeds
                                           ? local_embed_submit(m, req, flow_of(&flow), answer, err)
                                           : submit(m, req, &flow, &prompt, begins, answer, err);
        if (engine) {
            local_answer_begin(answer, engine, &prompt);
        } else {
            local_answer_discard(answer);
            answer = NULL;
        }
    } else {
        give_model(p, m);
    }
    tokens_release(&prompt);
    return answer;
}

static void free_local(struct provider *p)
{
    struct local *l = (struct local *)p;
    if (!l)
        return;
    carriers_release(&l->carriers);
    local_models_release(&l->models);
    free(l->pin);
    free(l->isa);
    free(l->kv_type);
    free(l->quantize);
    free(l->packed);
    free(l->draft);
    free(l->tool_format);
    free(l->pooling);
    free(l);
}

struct provider *provider_local_new(const struct local_options *o, struct error *err)
{
    static const struct provider_ops ops = {.describe = describe,
                                            .start = start,
                                            .wait = local_answer_wait,
                                            .cancel = local_answer_cancel,
                                            .resume = local_answer_resume,
                                            .answer_free = local_answer_free,
                                            .count = count,
                                            .tokenize = tokenize,
                                            .detokenize = detokenize,
                                            .ready = ready,
                                            .load = load,
                                            .free = free_local};
    if (o->threads < 0 || o->ctx < 0 || o->max_seqs < 0 || o->queue_max < 0) {
        (void)error_set(err, ERR_USAGE, "threads, context, sequences and queue cannot be negative");
        return NULL;
    }
    enum answer_format format;
    if (o->tool_format && !answer_format_named(o->tool_format, &format)) {
        (void)error_set(err, ERR_USAGE, "tool format: '%.40s' is not known", o->tool_format);
        return NULL;
    }
    enum pooling pooling;
    if (!pooling_from_name(o->pooling, &pooling, err))
        return NULL;
    struct local *l = memory_array(struct local, 1);
    if (!carriers_init(&l->carriers, err)) {
        free(l);
        return NULL;
    }
    l->provider.ops = &ops;
    struct local_options own = *o;
    own.pin = l->pin = memory_text(o->pin);
    own.isa = l->isa = memory_text(o->isa);
    own.kv_type = l->kv_type = memory_text(o->kv_type);
    own.quantize = l->quantize = memory_text(o->quantize);
    own.packed = l->packed = memory_text(o->packed);
    own.draft = l->draft = memory_text(o->draft);
    own.tool_format = l->tool_format = memory_text(o->tool_format);
    own.pooling = l->pooling = memory_text(o->pooling);
    if (!own.models_memory)
        own.models_memory = UINT64_MAX;
    local_models_init(&l->models, &own);
    return &l->provider;
}
