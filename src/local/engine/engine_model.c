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
    struct model *draft;  // NULL: none
    int draft_group;      // of the model, whose pages the draft model's groups share
    struct kv_cache *draft_kv[BATCH_GROUPS_MAX];
};

static void forward(void *self, const struct batch *batch, float *logits)
{
    struct served_model *s = self;
    model_forward(s->model, s->kv, batch, logits);
}

static void hidden(void *self, const struct batch *batch, float *out)
{
    struct served_model *s = self;
    model_hidden(s->model, batch, out);
}

static void copy_page(void *self, int group, int from, int to)
{
    struct served_model *s = self;
    struct backend *b = model_backend(s->model);
    b->ops->copy_page(b, s->kv[group], from, to);
    for (int g = 0; s->draft && group == s->draft_group && g < model_n_groups(s->draft); g++)
        b->ops->copy_page(b, s->draft_kv[g], from, to);
}

static void draft_forward(void *self, const struct batch *batch, float *logits)
{
    struct served_model *s = self;
    model_forward(s->draft, s->draft_kv, batch, logits);
}

// Equal frequencies rotate equally: short sequences of a model that scales only long ones are of
// one class.
static uint64_t add_length_class(uint64_t class, const struct model_facts *f, int final_len)
{
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

static uint64_t length_class(void *self, int final_len)
{
    struct served_model *s = self;
    uint64_t class = add_length_class(0, model_facts(s->model), final_len);
    return s->draft ? add_length_class(class, model_facts(s->draft), final_len) : class;
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

static void free_caches(struct served_model *s)
{
    struct backend *b = model_backend(s->model);
    for (int g = 0; g < BATCH_GROUPS_MAX; g++) {
        if (s->kv[g])
            b->ops->kv_free(b, s->kv[g]);
        if (s->draft_kv[g])
            b->ops->kv_free(b, s->draft_kv[g]);
        s->kv[g] = s->draft_kv[g] = NULL;
    }
}

static void free_served(void *self)
{
    struct served_model *s = self;
    free_caches(s);
    free(s);
}

static const struct engine_model_ops plain_ops = {
    .forward = forward,
    .draft_forward = draft_forward,
    .hidden = hidden,
    .copy_page = copy_page,
    .text_begin = text_begin,
    .text_push = text_push,
    .text_finish = text_finish,
    .free = free_served,
};
static const struct engine_model_ops ops_by_length = {
    .forward = forward,
    .draft_forward = draft_forward,
    .hidden = hidden,
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
    if (o->max_rows < 0 || o->max_seqs < 0 || o->ctx < 0 || o->queue_max < 0)
        return error_set(err, ERR_USAGE, "rows, sequences, context and queue cannot be negative");
    m->queue_max = o->queue_max;
    if (o->max_rows && o->max_rows < m->max_rows)
        m->max_rows = o->max_rows;
    if (o->max_seqs && o->max_seqs < m->max_seqs)
        m->max_seqs = o->max_seqs;
    if (m->max_seqs > m->max_rows)
        m->max_seqs = m->max_rows;
    m->no_prefix_cache = o->no_prefix_cache;
    m->n_vocab = model_n_vocab(model);
    m->n_embd = model_n_embd(model);
    m->n_groups = model_n_groups(model);
    for (int g = 0; g < m->n_groups; g++)
        m->window[g] = model_group(model, g)->window;
    return true;
}

// The draft model's groups live in the pages of a group of the model that keeps everything.
static bool choose_draft(const struct model *draft, struct engine_model *m, struct error *err)
{
    int max_wanted, max_seqs;
    m->draft.group = -1;
    for (int g = 0; g < m->n_groups && m->draft.group < 0; g++)
        if (!m->window[g])
            m->draft.group = g;
    if (m->draft.group < 0)
        return error_set(err, ERR_UNSUPPORTED,
                         "a draft model needs a model that keeps its whole text; all layers of "
                         "this one look at a window of %d tokens",
                         m->window[0]);
    m->draft.n_vocab = model_n_vocab(draft);
    m->draft.ctx = model_ctx(draft);
    m->draft.n_groups = model_n_groups(draft);
    model_limits(draft, &m->draft.max_rows, &max_wanted, &max_seqs);
    if (m->draft.max_rows < m->max_seqs || max_wanted < m->max_seqs || max_seqs < m->max_seqs)
        return error_set(err, ERR_USAGE, "the draft model was loaded for %d sequences, not for %d",
                         max_wanted < max_seqs ? max_wanted : max_seqs, m->max_seqs);
    return true;
}

static struct kv_shape shape_of(const struct kv_group *group, int n_pages, enum dtype dtype)
{
    return (struct kv_shape){.n_layers = group->n_layers,
                             .n_kv_heads = group->n_kv_heads,
                             .head_dim = group->head_dim,
                             .n_pages = n_pages,
                             .dtype = dtype};
}

static bool try_caches(struct served_model *s, const struct kv_facts *f, const struct kv_plan *plan,
                       struct error *err)
{
    struct backend *b = model_backend(s->model);
    for (int g = 0; g < f->n_groups; g++) {
        struct kv_shape shape = shape_of(&f->groups[g], plan->n_pages[g], f->dtype);
        if (!(s->kv[g] = b->ops->kv_new(b, &shape, err)))
            return false;
    }
    for (int g = 0; s->draft && g < model_n_groups(s->draft); g++) {
        struct kv_shape shape = shape_of(model_group(s->draft, g), plan->n_pages[s->draft_group],
                                         model_kv_default(s->draft));
        if (!(s->draft_kv[g] = b->ops->kv_new(b, &shape, err)))
            return false;
    }
    return true;
}

// Tries with as many pages as planned, then with fewer, down to one sequence's.
static bool make_caches(struct served_model *s, const struct kv_facts *f, struct kv_plan *plan,
                        struct error *err)
{
    while (!try_caches(s, f, plan, err)) {
        bool least = true;
        free_caches(s);
        for (int g = 0; g < f->n_groups; g++) {
            int half = plan->n_pages[g] / 2, needed = plan->least_pages[g];
            least &= plan->n_pages[g] == needed;
            plan->n_pages[g] = half > needed ? half : needed;
        }
        if (least)
            return error_wrap(err, "keys and values of %d tokens", plan->ctx);
    }
    return true;
}

static uint64_t available(const struct engine_options *o)
{
    uint64_t machine = system_memory_available();
    return o->room_bytes && o->room_bytes < machine ? o->room_bytes : machine;
}

struct engine *engine_new(struct model *model, const struct tokenizer *tokenizer,
                          const struct engine_options *o, struct error *err)
{
    static const struct engine_options defaults = {.kv_dtype = DTYPE_COUNT};
    o = o ? o : &defaults;
    struct engine_model m = {0};
    if (!choose_limits(model, o, &m, err) || (o->draft && !choose_draft(o->draft, &m, err)))
        return NULL;
    enum dtype type = o->kv_dtype == DTYPE_COUNT ? model_kv_default(model) : o->kv_dtype;
    struct kv_facts f = {
        .n_groups = m.n_groups,
        .dtype = type,
        .ctx = o->ctx && o->ctx < model_ctx(model) ? o->ctx : model_ctx(model),
        .ctx_asked = o->ctx > 0,
        .max_rows = m.max_rows,
        .max_seqs = m.max_seqs,
        .kv_bytes = o->kv_bytes,
        .available = available(o),
    };
    for (int g = 0; g < m.n_groups; g++) {
        f.groups[g] = *model_group(model, g);
        if (!kv_type_check(type, model_group(model, g)->head_dim, err))
            return NULL;
    }
    for (int g = 0; o->draft && g < m.draft.n_groups; g++) {
        struct kv_shape shape = shape_of(model_group(o->draft, g), 1, model_kv_default(o->draft));
        f.page_bytes_more[m.draft.group] += kv_page_bytes(&shape);
    }
    struct kv_plan plan;
    if (!kv_plan_make(&f, &plan, err))
        return NULL;
    struct served_model *s = memory_new(1, sizeof *s);
    *s = (struct served_model){
        .model = model, .tokenizer = tokenizer, .draft = o->draft, .draft_group = m.draft.group};
    bool by_length = depends_on_length(model_facts(model)) ||
                     (o->draft && depends_on_length(model_facts(o->draft)));
    m.ops = by_length ? &ops_by_length : &plain_ops;
    m.self = s;
    m.ctx = plan.ctx;
    struct engine *e = NULL;
    if (make_caches(s, &f, &plan, err)) {
        memcpy(m.n_pages, plan.n_pages, sizeof m.n_pages);
        m.kv_bytes = kv_plan_bytes(&f, plan.n_pages);
        e = engine_start(&m, err);
    }
    if (!e)
        free_served(s);
    return e;
}
