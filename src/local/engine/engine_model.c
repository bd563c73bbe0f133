#include "local/engine/engine_model.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/system.h"
#include "local/engine/engine.h"
#include "local/engine/kv_plan.h"
#include "local/models/facts.h"
#include "local/models/model.h"

struct served_model {
    struct model *model;
    const struct tokenizer *tokenizer;  // NULL: answers have tokens and no text
    struct kv_cache *kv[BATCH_GROUPS_MAX];
};

static void forward(void *self, const struct batch *batch, float *logits)
{
    struct served_model *s = self;
    model_forward(s->model, s->kv, batch, logits);
}

static void copy_page(void *self, int group, int from, int to)
{
    struct served_model *s = self;
    struct backend *b = model_backend(s->model);
    b->ops->copy_page(b, s->kv[group], from, to);
}

// Equal frequencies rotate equally: short sequences of a model that scales only long ones are of
// one class.
static uint64_t length_class(void *self, int final_len)
{
    const struct model_facts *f = model_facts(((struct served_model *)self)->model);
    uint64_t class = 0;
    for (int i = 0; i < 2; i++) {
        float inv_freq[ROPE_FREQS_MAX], scale;
        if (f->learned_positions || !rope_depends_on_length(&f->rope[i]))
            continue;
        rope_frequencies(&f->rope[i], f->ctx_train, final_len, inv_freq, &scale);
        size_t n = (size_t)f->rope[i].n_dims / 2;
        class = hash_bytes(inv_freq, n * sizeof *inv_freq, class);
        class = hash_bytes(&scale, sizeof scale, class);
    }
    return class;
}

static void text_begin(void *self, struct detokenizer *d, bool skip_special)
{
    struct served_model *s = self;
    if (s->tokenizer)
        detokenizer_init(d, s->tokenizer, skip_special);
}

static void text_push(void *self, struct detokenizer *d, int32_t token, struct buf *out)
{
    struct served_model *s = self;
    // A vocabulary may be padded beyond its tokens to a round number of rows.
    if (s->tokenizer && token < tokenizer_n_tokens(s->tokenizer))
        detokenizer_push(d, token, out);
}

static void text_finish(void *self, struct detokenizer *d, struct buf *out)
{
    struct served_model *s = self;
    if (s->tokenizer)
        detokenizer_finish(d, out);
}

static void free_served(void *self)
{
    struct served_model *s = self;
    struct backend *b = model_backend(s->model);
    for (int g = 0; g < model_n_groups(s->model); g++)
        if (s->kv[g])
            b->ops->kv_free(b, s->kv[g]);
    free(s);
}

static const struct engine_model_ops plain_ops = {
    .forward = forward,
    .copy_page = copy_page,
    .text_begin = text_begin,
    .text_push = text_push,
    .text_finish = text_finish,
    .free = free_served,
};
static const struct engine_model_ops ops_by_length = {
    .forward = forward,
    .copy_page = copy_page,
    .length_class = length_class,
    .text_begin = text_begin,
    .text_push = text_push,
    .text_finish = text_finish,
    .free = free_served,
};

static bool depends_on_length(const struct model_facts *f)
{
    return !f->learned_positions && (rope_depends_on_length(&f->rope[0]) ||
                                     (f->local_rope && rope_depends_on_length(&f->rope[1])));
}

static bool choose_limits(const struct model *model, const struct engine_options *o,
                          struct engine_model *m, struct error *err)
{
    model_limits(model, &m->max_rows, &m->max_wanted, &m->max_seqs);
    if (m->max_wanted < m->max_seqs)
        m->max_seqs = m->max_wanted;
    if (o->max_rows < 0 || o->max_seqs < 0 || o->ctx < 0)
        return error_set(err, ERR_USAGE, "rows, sequences and context cannot be negative");
    if (o->max_rows && o->max_rows < m->max_rows)
        m->max_rows = o->max_rows;
    if (o->max_seqs && o->max_seqs < m->max_seqs)
        m->max_seqs = o->max_seqs;
    if (m->max_seqs > m->max_rows)
        m->max_seqs = m->max_rows;
    m->no_prefix_cache = o->no_prefix_cache;
    m->n_vocab = model_n_vocab(model);
    m->n_groups = model_n_groups(model);
    for (int g = 0; g < m->n_groups; g++)
        m->window[g] = model_group(model, g)->window;
    return true;
}

// Tries with as many pages as planned, then with fewer, down to one sequence's.
static bool make_caches(struct served_model *s, const struct kv_facts *f, struct kv_plan *plan,
                        struct error *err)
{
    struct backend *b = model_backend(s->model);
    for (;;) {
        bool ok = true, least = true;
        for (int g = 0; ok && g < f->n_groups; g++) {
            struct kv_shape shape = {.n_layers = f->groups[g].n_layers,
                                     .n_kv_heads = f->groups[g].n_kv_heads,
                                     .head_dim = f->groups[g].head_dim,
                                     .n_pages = plan->n_pages[g],
                                     .dtype = f->dtype};
            s->kv[g] = b->ops->kv_new(b, &shape, err);
            ok = s->kv[g] != NULL;
            least &= plan->n_pages[g] == plan->least_pages[g];
        }
        if (ok)
            return true;
        for (int g = 0; g < f->n_groups; g++) {
            if (s->kv[g])
                b->ops->kv_free(b, s->kv[g]);
            s->kv[g] = NULL;
            int half = plan->n_pages[g] / 2, needed = plan->least_pages[g];
            plan->n_pages[g] = half > needed ? half : needed;
        }
        if (least)
            return error_wrap(err, "keys and values of %d tokens", plan->ctx);
    }
}

struct engine *engine_new(struct model *model, const struct tokenizer *tokenizer,
                          const struct engine_options *o, struct error *err)
{
    static const struct engine_options defaults = {.kv_dtype = DTYPE_COUNT};
    o = o ? o : &defaults;
    struct engine_model m = {0};
    if (!choose_limits(model, o, &m, err))
        return NULL;
    struct kv_facts f = {
        .n_groups = m.n_groups,
        .dtype = o->kv_dtype == DTYPE_COUNT ? model_kv_default(model) : o->kv_dtype,
        .ctx = o->ctx && o->ctx < model_ctx(model) ? o->ctx : model_ctx(model),
        .ctx_asked = o->ctx > 0,
        .max_rows = m.max_rows,
        .max_seqs = m.max_seqs,
        .kv_bytes = o->kv_bytes,
        .available = system_memory_available(),
    };
    for (int g = 0; g < m.n_groups; g++)
        f.groups[g] = *model_group(model, g);
    struct kv_plan plan;
    if (!kv_plan_make(&f, &plan, err))
        return NULL;
    struct served_model *s = memory_new(1, sizeof *s);
    *s = (struct served_model){.model = model, .tokenizer = tokenizer};
    m.ops = depends_on_length(model_facts(model)) ? &ops_by_length : &plain_ops;
    m.self = s;
    m.ctx = plan.ctx;
    struct engine *e = NULL;
    if (make_caches(s, &f, &plan, err)) {
        memcpy(m.n_pages, plan.n_pages, sizeof m.n_pages);
        e = engine_start(&m, err);
    }
    if (!e)
        free_served(s);
    return e;
}
