// loader.c - from an open model file to packed weights and sized scratch.
//
// Two passes over the tensors: the first finds each, checks its shape against the facts and adds
// up bytes; only then is anything allocated, so that a lying config cannot ask for more memory
// than the file's tensors justify. The second packs them one after another; a tensor that must be
// turned, unpacked or rounded first exists twice only while it is packed. Large models are packed
// into a file by a pass between, and then loaded from there (loader_packed.c).
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "local/formats/model_file.h"
#include "local/models/convert.h"
#include "local/models/loader_impl.h"

// Blocks of vectors and scratch start on their own cache line.
static size_t padded(size_t n)
{
    return (n + 15) / 16 * 16;
}

bool loader_advance(struct loader *l, uint64_t bytes)
{
    l->done += bytes;
    if (!l->o->progress || l->o->progress(l->o->progress_self, l->done, l->total))
        return true;
    return error_set(l->err, ERR_CANCELLED, "loading was cancelled");
}

static bool not_finite(struct loader *l, const struct tensor_view *v)
{
    return error_set(l->err, ERR_NUMERIC, "%s: tensor '%s' holds NaN or infinity",
                     model_file_path(l->file), tensor_view_name(v));
}

static struct matrix matrix_of(const struct loader *l, const struct tensor_view *v,
                               enum tensor_role role, int layer)
{
    struct matrix m = {.view = *v};
    m.type = convert_type(l->o->mix, &l->m->facts, role, layer, v);
    m.direct = tensor_view_direct(v) && m.type == v->dtype;
    bool whole = dtype_bytes(m.type, (uint64_t)v->cols, &m.bytes);
    assert(whole);
    (void)whole;
    m.bytes *= (uint64_t)v->rows;
    return m;
}

bool loader_finite(struct loader *l, const struct matrix *x, const void *rows)
{
    return tensor_finite(x->type, rows, x->bytes) || not_finite(l, &x->view);
}

// Hands the rows to the backend: where they stand in the file, in a copy (kept by the caller), or
// as they were packed by an earlier start, which saw that they are finite.
static struct weight *pack(struct loader *l, const struct matrix *x, enum weight_use use,
                           const void *copy)
{
    const struct tensor_view *v = &x->view;
    struct backend *b = l->m->backend;
    struct weight_source s = {
        .use = use, .dtype = x->type, .rows = v->rows, .cols = v->cols, .data = copy};
    const void *kept = loader_kept(l, x, use);
    if (use == WEIGHT_MATMUL)
        s.packed = kept;
    else if (kept)
        s.data = kept;
    if (!kept && !copy)
        s.data = tensor_view_file_data(v);
    if (!l->m->packed && !loader_finite(l, x, s.data))
        return NULL;
    struct weight *w = b->ops->weight_new(b, &s, l->err);
    if (!w) {
        error_wrap(l->err, "tensor '%s'", tensor_view_name(v));
        return NULL;
    }
    l->m->weight_bytes += b->ops->weight_bytes(w);
    if (!l->m->packed)
        tensor_view_forget(l->file, v);
    return w;
}

struct thread_pool *loader_pool(struct loader *l)
{
    if (!l->pool)
        l->pool =
            thread_pool_new(l->o->threads > 0 ? l->o->threads : thread_pool_default_size(), NULL);
    return l->pool;
}

void *loader_read_rows(struct loader *l, const struct matrix *x)
{
    void *rows = memory_big_new(x->bytes);
    if (!rows) {
        error_set(l->err, ERR_MEMORY, "tensor '%s': no memory for %" PRIu64 " bytes",
                  tensor_view_name(&x->view), x->bytes);
    } else if (!convert_rows(&x->view, x->type, loader_pool(l), rows, l->err)) {
        error_wrap(l->err, "%s", model_file_path(l->file));
        memory_big_free(rows, x->bytes);
        return NULL;
    }
    return rows;
}

static bool visit_matrix(struct loader *l, const struct matrix *x, struct weight **w)
{
    if (l->pass == LOAD_COUNT) {
        l->total += x->bytes;
        l->narrow |= x->type != DTYPE_F32;
        loader_plan(l, x, WEIGHT_MATMUL);
        return true;
    }
    if (l->pass == LOAD_KEEP)
        return loader_keep(l, x, WEIGHT_MATMUL);
    void *copy = NULL;
    if (!x->direct && !l->m->packed && !(copy = loader_read_rows(l, x)))
        return false;
    *w = pack(l, x, WEIGHT_MATMUL, copy);
    memory_big_free(copy, x->bytes);
    return *w && loader_advance(l, x->bytes);
}

// Embeddings are read row by row from where they lie; index names the slot for a kept copy.
static bool visit_embedding(struct loader *l, const struct matrix *x, struct weight **w, int index)
{
    if (l->pass == LOAD_COUNT) {
        l->total += x->bytes;
        loader_plan(l, x, WEIGHT_EMBED);
        return true;
    }
    if (l->pass == LOAD_KEEP)
        return loader_keep(l, x, WEIGHT_EMBED);
    if (!x->direct)
        l->m->weight_bytes += x->bytes;
    if (!x->direct && !l->m->packed) {
        l->m->embd_rows[index] = loader_read_rows(l, x);
        l->m->embd_bytes[index] = x->bytes;
        if (!l->m->embd_rows[index])
            return false;
    }
    *w = pack(l, x, WEIGHT_EMBED, l->m->embd_rows[index]);
    return *w && loader_advance(l, x->bytes);
}

static bool visit_vector(struct loader *l, const struct tensor_view *v, float **out)
{
    size_t n = (size_t)(v->rows * v->cols);
    if (l->pass != LOAD_PACK) {
        l->n_floats += l->pass == LOAD_COUNT ? padded(n) : 0;
        return true;
    }
    float *to = l->m->vectors + l->m->n_vectors_used;
    l->m->n_vectors_used += padded(n);
    assert(l->m->n_vectors_used <= l->m->n_vectors);
    tensor_view_floats(v, to);
    if (!tensor_finite(DTYPE_F32, to, n * sizeof *to))
        return not_finite(l, v);
    *out = to;
    return true;
}

static bool visit_experts(struct loader *l, int i)
{
    static const enum tensor_role roles[EXPERT_PARTS] = {TENSOR_EXPERT_GATE, TENSOR_EXPERT_UP,
                                                         TENSOR_EXPERT_DOWN};
    const struct model_facts *f = &l->m->facts;
    for (int part = 0; part < EXPERT_PARTS; part++) {
        if (l->pass == LOAD_PACK)
            l->m->layers[i].expert[part] = memory_array(struct weight *, (size_t)f->n_experts);
        for (int e = 0; e < f->n_experts; e++) {
            struct tensor_view v;
            struct weight *ignored = NULL,
                          **w = l->pass == LOAD_PACK ? &l->m->layers[i].expert[part][e] : &ignored;
            if (!tensor_need(l->file, f, roles[part], i, e, &v, l->err))
                return false;
            struct matrix x = matrix_of(l, &v, roles[part], i);
            if (!visit_matrix(l, &x, w))
                return false;
        }
    }
    return true;
}

static bool visit_layer(struct loader *l, int i)
{
    const struct model_facts *f = &l->m->facts;
    struct layer nowhere = {0}, *layer = l->pass == LOAD_PACK ? &l->m->layers[i] : &nowhere;
    for (enum tensor_role role = TENSOR_ATTN_NORM; role < TENSOR_ROLES; role++) {
        enum tensor_presence presence = tensor_presence(f, i, role);
        struct tensor_view v;
        bool found = true, ok;
        if (presence == TENSOR_ABSENT)
            continue;
        if (presence == TENSOR_OPTIONAL)
            ok = tensor_find(l->file, f, role, i, 0, &v, &found, l->err);
        else
            ok = tensor_need(l->file, f, role, i, 0, &v, l->err);
        if (ok && found && tensor_is_vector(role)) {
            ok = visit_vector(l, &v, &layer->vector[role]);
        } else if (ok && found) {
            struct matrix x = matrix_of(l, &v, role, i);
            ok = visit_matrix(l, &x, &layer->weight[role]);
        }
        if (!ok)
            return false;
    }
    return f->n_experts == 0 || f->dense[i] || visit_experts(l, i);
}

static bool need_matrix(struct loader *l, enum tensor_role role, struct matrix *x)
{
    struct tensor_view v;
    if (!tensor_need(l->file, &l->m->facts, role, 0, 0, &v, l->err))
        return false;
    *x = matrix_of(l, &v, role, 0);
    return true;
}

static bool visit_embeddings(struct loader *l)
{
    struct matrix x;
    if (!need_matrix(l, TENSOR_TOKEN_EMBD, &x) || !visit_embedding(l, &x, &l->m->token_embd, 0))
        return false;
    return !l->m->facts.learned_positions || (need_matrix(l, TENSOR_POSITION_EMBD, &x) &&
                                              visit_embedding(l, &x, &l->m->position_embd, 1));
}

static bool visit_output(struct loader *l)
{
    const struct model_facts *f = &l->m->facts;
    struct tensor_view v;
    if (!tensor_need(l->file, f, TENSOR_OUTPUT_NORM, 0, 0, &v, l->err) ||
        !visit_vector(l, &v, &l->m->output_norm))
        return false;
    if (f->norm == NORM_LAYER &&
        (!tensor_need(l->file, f, TENSOR_OUTPUT_NORM_BIAS, 0, 0, &v, l->err) ||
         !visit_vector(l, &v, &l->m->output_norm_bias)))
        return false;
    struct matrix x;
    return need_matrix(l, f->tied ? TENSOR_TOKEN_EMBD : TENSOR_OUTPUT, &x) &&
           visit_matrix(l, &x, &l->m->output);
}

bool loader_visit_all(struct loader *l)
{
    if (!visit_embeddings(l))
        return false;
    for (int i = 0; i < l->m->facts.n_layers; i++)
        if (!visit_layer(l, i))
            return false;
    return visit_output(l);
}

// Layers of one kind share a cache: full attention first, sliding after.
int model_groups_of(const struct model_facts *f, struct kv_group *groups)
{
    int counts[2] = {0, 0}, n = 0;
    for (int i = 0; i < f->n_layers; i++)
        counts[f->sliding[i]]++;
    for (int kind = 0; kind < 2; kind++)
        if (counts[kind])
            groups[n++] = (struct kv_group){.n_layers = counts[kind],
                                            .n_kv_heads = f->n_kv_heads,
                                            .head_dim = f->head_dim,
                                            .window = kind ? f->window : 0};
    return n;
}

static void make_groups(struct model *m)
{
    const struct model_facts *f = &m->facts;
    m->n_groups = model_groups_of(f, m->groups);
    int next[2] = {0, 0};
    for (int i = 0; i < f->n_layers; i++) {
        struct layer *layer = &m->layers[i];
        layer->sliding = f->sliding[i];
        layer->group = layer->sliding ? m->n_groups - 1 : 0;
        layer->kv_layer = next[layer->sliding]++;
    }
}

// With block NULL only counts: the same code measures and hands out.
static float *carve(float *block, size_t *used, size_t rows, size_t cols)
{
    size_t n, sum;
    float *at = block ? block + *used : NULL;
    if (__builtin_mul_overflow(rows, cols, &n) || n > SIZE_MAX / 16 ||
        __builtin_add_overflow(*used, padded(n), &sum))
        sum = SIZE_MAX / 16;  // no machine has it: the allocation fails
    *used = sum;
    return at;
}

static size_t carve_scratch(struct model *m, float *block)
{
    const struct model_facts *f = &m->facts;
    size_t used = 0, rows = (size_t)m->max_rows, embd = (size_t)f->n_embd;
    size_t q = (size_t)f->n_heads * (size_t)f->head_dim;
    size_t kv = (size_t)f->n_kv_heads * (size_t)f->head_dim;
    m->s.x = carve(block, &used, rows, embd);
    m->s.h = carve(block, &used, rows, embd);
    m->s.branch = carve(block, &used, rows, embd);
    m->s.q = carve(block, &used, rows, q);
    m->s.att = carve(block, &used, rows, q);
    m->s.k = carve(block, &used, rows, kv);
    m->s.v = carve(block, &used, rows, kv);
    m->s.gate = carve(block, &used, rows, (size_t)f->n_ff);
    m->s.up = carve(block, &used, rows, (size_t)f->n_ff);
    m->s.router = carve(block, &used, rows, (size_t)f->n_experts);
    m->s.wanted = carve(block, &used, (size_t)m->max_wanted, embd);
    for (int i = 0; i < 2 && !f->learned_positions; i++) {
        size_t freqs = (size_t)f->rope[i].n_dims / 2, tables = (size_t)m->max_seqs + 1;
        m->rope[i].n_freqs = (int)freqs;
        m->rope[i].rows = carve(block, &used, rows, freqs * 2);
        m->rope[i].inv_freq = carve(block, &used, tables, freqs);
        m->rope[i].scale = carve(block, &used, tables, 1);
    }
    return used;
}

static bool make_scratch(struct model *m, struct error *err)
{
    struct backend *b = m->backend;
    const struct model_facts *f = &m->facts;
    m->n_scratch = carve_scratch(m, NULL);
    m->scratch_block = b->ops->alloc(b, m->n_scratch, err);
    if (!m->scratch_block)
        return error_wrap(err, "activations of %d rows", m->max_rows);
    (void)carve_scratch(m, m->scratch_block);
    m->wanted_rows = memory_array(int32_t, (size_t)m->max_wanted);
    m->kept_rows = memory_array(int32_t, (size_t)m->max_rows);
    m->place_of_row = memory_array(int32_t, (size_t)m->max_rows);
    for (int i = 0; i < 2 && !f->learned_positions; i++) {
        struct rope_state *r = &m->rope[i];
        r->table_of_seq = memory_array(int32_t, (size_t)m->max_seqs);
        r->len_of_table = memory_array(int32_t, (size_t)m->max_seqs + 1);
        rope_frequencies(&f->rope[i], f->ctx_train, 1, r->inv_freq, r->scale);
    }
    return true;
}

static void set_options(struct model *m, const struct model_options *o)
{
    m->ctx = o->ctx > 0 ? o->ctx : m->facts.ctx_train;
    if (m->facts.learned_positions && m->ctx > m->facts.ctx_train)
        m->ctx = m->facts.ctx_train;  // there is no embedding beyond
    m->max_rows = o->max_rows > 0 ? o->max_rows : 512;
    m->max_wanted = o->max_wanted > 0 ? o->max_wanted : 64;
    m->max_seqs = o->max_seqs > 0 ? o->max_seqs : 64;
}

uint64_t model_scratch_of(const struct model_facts *f, const struct model_options *o)
{
    struct model *m = memory_array(struct model, 1);
    m->facts = *f;
    set_options(m, o);
    uint64_t bytes = (uint64_t)carve_scratch(m, NULL) * sizeof(float);
    free(m);
    return bytes;
}

static bool load(struct loader *l)
{
    struct model *m = l->m;
    struct backend *b = m->backend;
    if (!facts_read(l->file, &m->facts, l->err))
        return false;
    set_options(m, l->o);
    if (m->ctx > m->facts.ctx_train)
        log_warn("a context of %d tokens: the model was trained for %d, and says little of worth "
                 "beyond",
                 m->ctx, m->facts.ctx_train);
    if (!loader_visit_all(l) || !loader_find_packed(l))
        return false;
    m->kv_default = l->narrow ? DTYPE_F16 : DTYPE_F32;
    m->layers = memory_array(struct layer, (size_t)m->facts.n_layers);
    make_groups(m);
    m->n_vectors = l->n_floats;
    m->vectors = b->ops->alloc(b, m->n_vectors, l->err);
    if (!m->vectors || !make_scratch(m, l->err))
        return false;
    l->pass = LOAD_PACK;
    return loader_visit_all(l);
}

struct model *model_load(const struct model_file *file, struct backend *backend,
                         const struct model_options *o, struct error *err)
{
    static const struct model_options defaults;
    struct model *m = memory_array(struct model, 1);
    struct loader l = {.file = file, .m = m, .o = o ? o : &defaults, .err = err};
    m->backend = backend;
    bool ok = load(&l);
    thread_pool_free(l.pool);
    packed_plan_release(&l.plan);
    if (ok)
        return m;
    model_free(m);
    return NULL;
}

static void free_layer(struct model *m, struct layer *layer)
{
    struct backend *b = m->backend;
    for (int role = 0; role < TENSOR_ROLES; role++)
        if (layer->weight[role])
            b->ops->weight_free(b, layer->weight[role]);
    for (int part = 0; part < EXPERT_PARTS; part++) {
        for (int e = 0; layer->expert[part] && e < m->facts.n_experts; e++)
            if (layer->expert[part][e])
                b->ops->weight_free(b, layer->expert[part][e]);
        free(layer->expert[part]);
    }
}

void model_free(struct model *m)
{
    if (!m)
        return;
    struct backend *b = m->backend;
    for (int i = 0; m->layers && i < m->facts.n_layers; i++)
        free_layer(m, &m->layers[i]);
    struct weight *const others[] = {m->token_embd, m->position_embd, m->output};
    for (int i = 0; i < 3; i++)
        if (others[i])
            b->ops->weight_free(b, others[i]);
    for (int i = 0; i < 2; i++) {
        memory_big_free(m->embd_rows[i], m->embd_bytes[i]);
        free(m->rope[i].table_of_seq);
        free(m->rope[i].len_of_table);
    }
    if (m->vectors)
        b->ops->release(b, m->vectors, m->n_vectors);
    if (m->scratch_block)
        b->ops->release(b, m->scratch_block, m->n_scratch);
    packed_close(m->packed);
    free(m->wanted_rows);
    free(m->kept_rows);
    free(m->place_of_row);
    free(m->layers);
    free(m);
}

const struct model_facts *model_facts(const struct model *m)
{
    return &m->facts;
}

struct backend *model_backend(const struct model *m)
{
    return m->backend;
}

int model_n_embd(const struct model *m)
{
    return m->facts.n_embd;
}

int model_n_vocab(const struct model *m)
{
    return m->facts.n_vocab;
}

int model_ctx(const struct model *m)
{
    return m->ctx;
}

void model_limits(const struct model *m, int *max_rows, int *max_wanted, int *max_seqs)
{
    *max_rows = m->max_rows;
    *max_wanted = m->max_wanted;
    *max_seqs = m->max_seqs;
}

int model_n_groups(const struct model *m)
{
    return m->n_groups;
}

const struct kv_group *model_group(const struct model *m, int i)
{
    assert(i >= 0 && i < m->n_groups);
    return &m->groups[i];
}

enum dtype model_kv_default(const struct model *m)
{
    return m->kv_default;
}

uint64_t model_weight_bytes(const struct model *m)
{
    return m->weight_bytes;
}
