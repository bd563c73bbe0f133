#include "providers/local.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/memory.h"
#include "local/sampling/grammar/grammar.h"
#include "providers/local_impl.h"

struct local {
    struct provider provider;  // first
    struct local_options options;
    char *pin, *isa, *kv_type, *quantize, *packed, *draft;
    pthread_mutex_t lock;  // of the list; held while a model loads, so that it loads once
    struct local_model *models;
};

enum { DEFAULT_MAX_TOKENS = 4096 };

// NULL with err. The model stays as long as the provider.
static struct local_model *find_model(struct local *l, const char *reference, struct error *err)
{
    char path[MODEL_REF_BYTES];
    if (!model_ref_path(reference, path, err))
        return NULL;
    // Known by its real path, opened by the one that was given: the names of a model's parts, and
    // its own, may be those of links.
    char *real = realpath(path, NULL);
    const char *key = real ? real : path;
    pthread_mutex_lock(&l->lock);
    struct local_model *m = l->models;
    while (m && strcmp(m->real, key) != 0)
        m = m->next;
    if (!m && strlen(key) >= MODEL_REF_BYTES) {
        (void)error_set(err, ERR_LIMIT, "model path is longer than %d bytes", MODEL_REF_BYTES);
    } else if (!m && (m = local_model_open(path, key, &l->options, err)) != NULL) {
        m->next = l->models;
        l->models = m;
    }
    pthread_mutex_unlock(&l->lock);
    free(real);
    return m;
}

static bool describe(struct provider *p, const char *model, struct model_info *out,
                     struct error *err)
{
    const struct local_model *m = find_model((struct local *)p, model, err);
    if (!m)
        return false;
    *out = (struct model_info){
        .context = engine_ctx(m->engine), .local = true, .has_template = m->chat_template != NULL};
    (void)snprintf(out->name, sizeof out->name, "%s", m->name);
    (void)snprintf(out->description, sizeof out->description, "%s", m->description);
    return true;
}

static bool count(struct provider *p, const struct chat_request *req, int64_t *n, bool *exact,
                  struct error *err)
{
    struct tokens tokens = {0};
    struct local_model *m = find_model((struct local *)p, req->model, err);
    bool ok = m && local_prompt(m, req, &tokens, err);
    *n = (int64_t)tokens.n;
    *exact = true;
    tokens_release(&tokens);
    return ok;
}

static int room_for(const struct local_model *m, const struct chat_request *req, size_t n_prompt)
{
    if (req->max_tokens >= 0)
        return req->max_tokens;
    int ctx = engine_ctx(m->engine), left = n_prompt < (size_t)ctx ? ctx - (int)n_prompt : 1;
    return left < DEFAULT_MAX_TOKENS ? left : DEFAULT_MAX_TOKENS;
}

static struct engine_answer *submit(const struct local_model *m, const struct chat_request *req,
                                    const struct provider_flow *flow, const struct tokens *prompt,
                                    struct error *err)
{
    struct arena arena = {0};
    struct engine_request r = {
        .prompt = prompt->ids,
        .n_prompt = prompt->n,
        .max_tokens = room_for(m, req, prompt->n),
        .n_choices = req->sampling.n_choices > 0 ? req->sampling.n_choices : 1,
        .stops = req->sampling.stops,
        .n_stops = req->sampling.n_stops,
        .n_top = req->sampling.n_logprobs,
        .skip_special = true,
        .speculate = m->speculate,
        .flow = {.share_salt = flow->share_salt,
                 .id = flow->id,
                 .weight = flow->weight,
                 .priority = flow->priority},
    };
    r.ends = tokenizer_ends(m->tokenizer, &r.n_ends);
    struct engine_answer *a = NULL;
    if (prompt->n == 0)
        (void)error_set(err, ERR_USAGE, "the prompt is empty");
    else if (local_sampling(m, req, &arena, &r.sampling, err) &&
             local_grammar(m, &req->constraint, &r.grammar, err))
        a = engine_submit(m->engine, &r, err);
    grammar_release(r.grammar);
    arena_release(&arena);
    return a;
}

static struct answer *start(struct provider *p, const struct chat_request *req,
                            struct provider_flow flow, struct chat_sink sink, struct error *err)
{
    struct tokens prompt = {0};
    struct answer *answer = NULL;
    struct local_model *m = find_model((struct local *)p, req->model, err);
    if (m && local_prompt(m, req, &prompt, err)) {
        struct engine_answer *engine = submit(m, req, &flow, &prompt, err);
        if (engine)
            answer = local_answer_new(m, engine, &prompt, sink, err);
    }
    tokens_release(&prompt);
    return answer;
}

static void free_local(struct provider *p)
{
    struct local *l = (struct local *)p;
    if (!l)
        return;
    for (struct local_model *m = l->models, *next; m; m = next) {
        next = m->next;
        local_model_close(m);
    }
    pthread_mutex_destroy(&l->lock);
    free(l->pin);
    free(l->isa);
    free(l->kv_type);
    free(l->quantize);
    free(l->packed);
    free(l->draft);
    free(l);
}

struct provider *provider_local_new(const struct local_options *o, struct error *err)
{
    static const struct provider_ops ops = {.describe = describe,
                                            .start = start,
                                            .wait = local_answer_wait,
                                            .cancel = local_answer_cancel,
                                            .answer_free = local_answer_free,
                                            .count = count,
                                            .free = free_local};
    if (o->threads < 0 || o->ctx < 0 || o->max_seqs < 0) {
        (void)error_set(err, ERR_USAGE, "threads, context and sequences cannot be negative");
        return NULL;
    }
    struct local *l = memory_array(struct local, 1);
    l->provider.ops = &ops;
    l->options = *o;
    l->options.pin = l->pin = memory_text(o->pin);
    l->options.isa = l->isa = memory_text(o->isa);
    l->options.kv_type = l->kv_type = memory_text(o->kv_type);
    l->options.quantize = l->quantize = memory_text(o->quantize);
    l->options.packed = l->packed = memory_text(o->packed);
    l->options.draft = l->draft = memory_text(o->draft);
    pthread_mutex_init(&l->lock, NULL);
    return &l->provider;
}
