// decoder.c - the forward pass that all families share, as straight-line calls of backend
// operations.
//
// Branches ask facts, never names. Shapes: R rows of the batch, E = n_embd, Q = n_heads *
// head_dim, KV = n_kv_heads * head_dim, F = n_ff. Nothing here depends on how rows are grouped
// into batches, so a row's result is the same alone, in company, and in any chunking.
//
// Rope scalings that depend on length are fixed for a sequence by batch_final_len (prompt +
// max_tokens) from its first row on. transformers changes them while the text grows and keeps
// keys that were rotated otherwise; a sequence here equals what transformers computes for the
// whole text at once.
#include <assert.h>
#include <string.h>

#include "local/models/model_impl.h"

static void norm(struct model *m, float *out, float *x, const float *add, const float *weight,
                 const float *bias, int n_rows, int n)
{
    struct norm_args a = {.kind = m->facts.norm,
                          .out = out,
                          .x = x,
                          .add = add,
                          .weight = weight,
                          .bias = bias,
                          .n_rows = n_rows,
                          .n = n,
                          .eps = m->facts.norm_eps};
    m->backend->ops->norm(m->backend, &a);
}

static struct matmul_out output(const struct layer *l, enum tensor_role w, enum tensor_role bias,
                                float *y)
{
    return (struct matmul_out){.w = l->weight[w], .bias = l->vector[bias], .y = y};
}

static void show(const struct model *m, enum model_input input, int layer, const float *x,
                 int n_rows, int n)
{
    if (m->observer)
        m->observer(m->observer_self, input, layer, x, n_rows, n);
}

static int number_of(const struct model *m, const struct layer *l)
{
    return (int)(l - m->layers);
}

static void embed(struct model *m, const struct batch *batch)
{
    const struct backend_ops *ops = m->backend->ops;
    int n = batch->n_rows;
    ops->embed(m->backend, m->s.x, m->token_embd, NULL, n, m->facts.embed_scale);
    if (!m->position_embd)
        return;
    ops->embed(m->backend, m->s.h, m->position_embd, batch_pos(batch), n, 1.0f);
    ops->add(m->backend, m->s.x, m->s.h, (size_t)n * (size_t)m->facts.n_embd);
}

// Angles of every row, once a step. A table that depends on length is made again only when
// another sequence takes its place.
static void rope_tables(struct model *m, const struct batch *batch, int set)
{
    const struct model_facts *f = &m->facts;
    struct rope_state *r = &m->rope[set];
    bool by_length = rope_depends_on_length(&f->rope[set]);
    for (int s = 0; s < batch->n_seqs; s++) {
        int table = by_length ? 1 + s : 0, len = batch_final_len(batch)[s];
        r->table_of_seq[s] = table;
        if (!by_length || r->len_of_table[table] == len)
            continue;
        r->len_of_table[table] = len;
        rope_frequencies(&f->rope[set], f->ctx_train, len,
                         r->inv_freq + (size_t)table * (size_t)r->n_freqs, &r->scale[table]);
    }
    struct rope_table_args a = {.out = r->rows,
                                .inv_freq = r->inv_freq,
                                .table_of_seq = r->table_of_seq,
                                .scale = r->scale,
                                .n_freqs = r->n_freqs};
    m->backend->ops->rope_table(m->backend, &a);
}

static void rope_and_store(struct model *m, const struct layer *l, struct kv_cache *kv, int n_heads)
{
    const struct model_facts *f = &m->facts;
    const struct rope_state *r = &m->rope[l->sliding && f->local_rope];
    int q = f->n_heads * f->head_dim, width = f->n_kv_heads * f->head_dim;
    struct rope_store_args a = {.q = m->s.q,
                                .k = m->s.k,
                                .v = m->s.v,
                                .q_stride = q,
                                .k_stride = width,
                                .v_stride = width,
                                .table = r->rows,
                                .n_freqs = r->n_freqs,
                                .interleaved = f->rope_interleaved,
                                .n_heads = n_heads,
                                .n_kv_heads = f->n_kv_heads,
                                .head_dim = f->head_dim,
                                .kv = kv,
                                .layer = l->kv_layer,
                                .group = l->group};
    m->backend->ops->rope_store(m->backend, &a);
}

// wanted_only: the rows of which nothing is wanted are left out.
static void attend(struct model *m, const struct layer *l, const struct kv_cache *kv,
                   bool wanted_only)
{
    const struct model_facts *f = &m->facts;
    struct attention_args a = {.q = m->s.q,
                               .q_stride = f->n_heads * f->head_dim,
                               .out = m->s.att,
                               .kv = kv,
                               .layer = l->kv_layer,
                               .group = l->group,
                               .n_heads = f->n_heads,
                               .n_kv_heads = f->n_kv_heads,
                               .head_dim = f->head_dim,
                               .scale = f->attn_scale,
                               .softcap = f->attn_softcap,
                               .window = l->sliding ? f->window : 0,
                               .wanted_only = wanted_only};
    m->backend->ops->attention(m->backend, &a);
}

// Adds a branch's output to the residual stream: by the matmul itself, or through a norm first.
static void add_branch(struct model *m, const struct layer *l, enum tensor_role w,
                       enum tensor_role bias, const float *in, const float *post_norm, int n_rows)
{
    struct matmul_args mm = {.x = in, .n_rows = n_rows, .n_out = 1};
    mm.out[0] = output(l, w, bias, post_norm ? m->s.branch : m->s.x);
    mm.out[0].add = !post_norm;
    m->backend->ops->matmul(m->backend, &mm);
    if (!post_norm)
        return;
    norm(m, m->s.branch, m->s.branch, NULL, post_norm, NULL, n_rows, m->facts.n_embd);
    m->backend->ops->add(m->backend, m->s.x, m->s.branch, (size_t)n_rows * (size_t)m->facts.n_embd);
}

// Keys and values of a whole batch; queries too where some row is to attend.
static void make_keys(struct model *m, const struct layer *l, struct kv_cache *kv, int n,
                      bool queries)
{
    const struct model_facts *f = &m->facts;
    norm(m, m->s.h, m->s.x, NULL, l->vector[TENSOR_ATTN_NORM], l->vector[TENSOR_ATTN_NORM_BIAS], n,
         f->n_embd);
    show(m, INPUT_ATTN, number_of(m, l), m->s.h, n, f->n_embd);
    struct matmul_args mm = {.x = m->s.h, .n_rows = n};
    if (queries)
        mm.out[mm.n_out++] = output(l, TENSOR_Q, TENSOR_Q_BIAS, m->s.q);
    mm.out[mm.n_out++] = output(l, TENSOR_K, TENSOR_K_BIAS, m->s.k);
    mm.out[mm.n_out++] = output(l, TENSOR_V, TENSOR_V_BIAS, m->s.v);
    m->backend->ops->matmul(m->backend, &mm);
    if (f->qk_norm) {  // every head is a row
        if (queries)
            norm(m, m->s.q, m->s.q, NULL, l->vector[TENSOR_Q_NORM], NULL, n * f->n_heads,
                 f->head_dim);
        norm(m, m->s.k, m->s.k, NULL, l->vector[TENSOR_K_NORM], NULL, n * f->n_kv_heads,
             f->head_dim);
    }
    rope_and_store(m, l, kv, queries ? f->n_heads : 0);
}

static void attention_output(struct model *m, const struct layer *l, int n)
{
    const struct model_facts *f = &m->facts;
    show(m, INPUT_ATTN_OUT, number_of(m, l), m->s.att, n, f->n_heads * f->head_dim);
    add_branch(m, l, TENSOR_O, TENSOR_O_BIAS, m->s.att, l->vector[TENSOR_POST_ATTN_NORM], n);
}

static void experts(struct model *m, const struct layer *l, int n)
{
    const struct model_facts *f = &m->facts;
    struct matmul_args mm = {.x = m->s.h, .n_rows = n, .n_out = 1};
    mm.out[0] = (struct matmul_out){.w = l->weight[TENSOR_ROUTER], .y = m->s.router};
    m->backend->ops->matmul(m->backend, &mm);
    struct moe_args a = {.x = m->s.h,
                         .out = m->s.branch,
                         .router = m->s.router,
                         .n_rows = n,
                         .n = f->n_embd,
                         .n_ff = f->n_expert_ff,
                         .n_experts = f->n_experts,
                         .n_used = f->n_experts_used,
                         .softmax_first = f->moe_softmax_first,
                         .renormalize = f->moe_renormalize,
                         .scale = f->moe_scale,
                         .act = f->act,
                         .gate = l->expert[EXPERT_GATE],
                         .up = l->expert[EXPERT_UP],
                         .down = l->expert[EXPERT_DOWN]};
    m->backend->ops->moe(m->backend, &a);
    m->backend->ops->add(m->backend, m->s.x, m->s.branch, (size_t)n * (size_t)f->n_embd);
}

static void feed_forward_branch(struct model *m, const struct layer *l, int n)
{
    const struct model_facts *f = &m->facts;
    norm(m, m->s.h, m->s.x, NULL, l->vector[TENSOR_FFN_NORM], l->vector[TENSOR_FFN_NORM_BIAS], n,
         f->n_embd);
    show(m, INPUT_FFN, number_of(m, l), m->s.h, n, f->n_embd);
    if (l->weight[TENSOR_ROUTER]) {
        experts(m, l, n);
        return;
    }
    struct matmul_args mm = {.x = m->s.h, .n_rows = n};
    if (f->gated)
        mm.out[mm.n_out++] = output(l, TENSOR_GATE, TENSOR_GATE_BIAS, m->s.gate);
    mm.out[mm.n_out++] = output(l, TENSOR_UP, TENSOR_UP_BIAS, m->s.up);
    m->backend->ops->matmul(m->backend, &mm);
    struct glu_args a = {.act = f->act,
                         .out = m->s.up,
                         .gate = f->gated ? m->s.gate : m->s.up,
                         .up = f->gated ? m->s.up : NULL,
                         .n_rows = n,
                         .n = f->n_ff};
    if (f->gated)
        a.out = m->s.gate;
    m->backend->ops->glu(m->backend, &a);
    show(m, INPUT_FFN_DOWN, number_of(m, l), a.out, n, f->n_ff);
    add_branch(m, l, TENSOR_DOWN, TENSOR_DOWN_BIAS, a.out, l->vector[TENSOR_POST_FFN_NORM], n);
}

// Where each row of the batch stands in the residual stream; returns how many rows that is. The
// last layer of a row of which nothing is wanted makes its keys and values and no more, unless all
// that goes into the weights is watched.
static int keep_wanted(struct model *m, const struct batch *batch)
{
    int n = 0;
    for (int r = 0; r < batch->n_rows; r++) {
        bool keep = m->observer || batch_want(batch)[r] != WANT_NOTHING;
        m->place_of_row[r] = keep ? n : -1;
        if (keep)
            m->kept_rows[n++] = r;
    }
    return n;
}

// Only the rows that are kept stay in the residual stream and in what attention gave. The scratch
// that they leave is as wide as what they take, and changes its name with it.
static void drop_rows(struct model *m, int n_kept)
{
    const struct model_facts *f = &m->facts;
    const struct backend_ops *ops = m->backend->ops;
    ops->gather(m->backend, m->s.h, m->s.x, m->kept_rows, n_kept, f->n_embd);
    ops->gather(m->backend, m->s.q, m->s.att, m->kept_rows, n_kept, f->n_heads * f->head_dim);
    float *x = m->s.x, *att = m->s.att;
    m->s.x = m->s.h;
    m->s.h = x;
    m->s.att = m->s.q;
    m->s.q = att;
}

static void run_layers(struct model *m, struct kv_cache *const *kv, const struct batch *batch)
{
    int n = batch->n_rows, n_kept = keep_wanted(m, batch);
    for (int i = 0; i < m->facts.n_layers; i++) {
        const struct layer *l = &m->layers[i];
        bool last = i == m->facts.n_layers - 1;
        make_keys(m, l, kv[l->group], n, !last || n_kept > 0);
        if (last && n_kept == 0)
            return;
        attend(m, l, kv[l->group], last && !m->observer);
        if (last && n_kept < n) {
            drop_rows(m, n_kept);
            n = n_kept;
        }
        attention_output(m, l, n);
        feed_forward_branch(m, l, n);
    }
}

// Last norm and head for the rows that are wanted, in the batch's order.
static void logits(struct model *m, const struct batch *batch, float *out)
{
    const struct model_facts *f = &m->facts;
    const struct backend_ops *ops = m->backend->ops;
    int n = 0;
    bool any_logits = false;
    for (int r = 0; r < batch->n_rows; r++) {
        int32_t want = batch_want(batch)[r];
        if (want == WANT_NOTHING || want == WANT_EMBEDDING)
            continue;
        assert(n < m->max_wanted);
        any_logits |= want == WANT_LOGITS;
        m->wanted_rows[n++] = m->place_of_row[r];
    }
    if (n == 0)
        return;
    ops->gather(m->backend, m->s.wanted, m->s.x, m->wanted_rows, n, f->n_embd);
    norm(m, m->s.wanted, m->s.wanted, NULL, m->output_norm, m->output_norm_bias, n, f->n_embd);
    show(m, INPUT_OUTPUT, f->n_layers, m->s.wanted, n, f->n_embd);
    if (any_logits) {
        struct matmul_args mm = {.x = m->s.wanted, .n_rows = n, .n_out = 1};
        mm.out[0] = (struct matmul_out){.w = m->output, .y = out};
        ops->matmul(m->backend, &mm);
        if (f->logit_softcap > 0)
            ops->softcap(m->backend, out, (size_t)n * (size_t)f->n_vocab, 1.0f, f->logit_softcap);
    }
    size_t width = (size_t)(f->n_embd < f->n_vocab ? f->n_embd : f->n_vocab);
    for (int r = 0, i = 0; r < batch->n_rows; r++) {
        int32_t want = batch_want(batch)[r];
        if (want == WANT_HIDDEN)
            memcpy(out + (size_t)i * (size_t)f->n_vocab,
                   m->s.wanted + (size_t)i * (size_t)f->n_embd, width * sizeof *out);
        i += want == WANT_HIDDEN || want == WANT_LOGITS;
    }
}

void model_forward(struct model *m, struct kv_cache *const *kv, const struct batch *batch,
                   float *out)
{
    const struct model_facts *f = &m->facts;
    assert(batch->n_rows <= m->max_rows && batch->n_seqs <= m->max_seqs);
    assert(batch->n_groups == m->n_groups);
    m->backend->ops->begin(m->backend, batch);
    embed(m, batch);
    for (int set = 0; set < 1 + f->local_rope && !f->learned_positions; set++)
        rope_tables(m, batch, set);
    run_layers(m, kv, batch);
    logits(m, batch, out);
    m->backend->ops->end(m->backend);
    packed_used(m->packed);
}

void model_warm_up(struct model *m)
{
    packed_warm_up(m->packed);
}

// The last layer's output of the rows that were kept is still in the scratch. By as many rows at a
// time as it has room for.
void model_hidden(struct model *m, const struct batch *batch, float *out)
{
    const struct model_facts *f = &m->facts;
    size_t width = (size_t)f->n_embd;
    for (int r = 0; r < batch->n_rows;) {
        int n = 0;
        for (; r < batch->n_rows && n < m->max_wanted; r++)
            if (batch_want(batch)[r] == WANT_EMBEDDING)
                m->wanted_rows[n++] = m->place_of_row[r];
        if (n == 0)
            return;
        m->backend->ops->gather(m->backend, m->s.wanted, m->s.x, m->wanted_rows, n, f->n_embd);
        norm(m, m->s.wanted, m->s.wanted, NULL, m->output_norm, m->output_norm_bias, n, f->n_embd);
        memcpy(out, m->s.wanted, (size_t)n * width * sizeof *out);
        out += (size_t)n * width;
    }
}

void model_observe(struct model *m, model_observer observer, void *self)
{
    m->observer = observer;
    m->observer_self = self;
}
