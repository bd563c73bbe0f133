#include "local/eval/calibrate.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "local/eval/products.h"
#include "local/models/facts.h"
#include "local/models/model.h"
#include "local/quantize/feedback.h"
#include "local/quantize/importance.h"
#include "local/quantize/triangle.h"
#include "local/tokenizer/tokenizer.h"

enum { INPUTS_OF_LAYER = INPUT_OUTPUT, DEFAULT_CTX = 512, DEFAULT_WINDOWS = 128 };
// Every eighth window is kept out of the means; a short text is cut into shorter windows for that.
enum { HELD_OUT = 8, CTX_LEAST = 16, HELD_ROWS = 512 };

// One input, which several matrices may share.
struct seen {
    size_t n, n_rows;
    double *squares;    // [n] sums
    float *importance;  // [n] their means, made after the pass
    float *products;    // their triangle: sums, then means; NULL: not in this pass, or too large
    float *held;        // [n_held, n] of windows that are kept out; NULL: not in this pass
    size_t n_held, n_passed;  // rows of those windows that were taken, and that came by
};

struct calibration {
    struct model *m;
    const struct calibration_options *o;
    struct thread_pool *pool;
    int ctx;
    size_t n_windows, n_seen;
    size_t stride, held_rows;  // of rows kept out every stride-th is taken: held_rows in all
    bool now_held;             // the window that is being read
    int32_t *tokens;           // [n_windows, ctx]
    struct seen *seen;
    bool first_pass;
    size_t used;  // bytes of products and held rows of this pass
    bool full;    // no more inputs in this pass
};

// Rows of x as panels, and these against each other, added to the products.
struct products_job {
    add_products_fn add;
    float *products, *panels;
    const float *x;
    size_t n, n_rows;
};

static void make_panel(void *self, int item, int worker)
{
    (void)worker;
    const struct products_job *job = self;
    products_panel(job->panels, job->x, job->n, job->n_rows, (size_t)item);
}

static void add_stripe(void *self, int item, int worker)
{
    (void)worker;
    const struct products_job *job = self;
    job->add(job->products, job->panels, job->n, job->n_rows, (size_t)item);
}

// Rows that are kept out, some of each window: an odd stride meets all places in a window alike.
static void hold(struct calibration *c, struct seen *s, const float *x, size_t n_rows)
{
    for (size_t r = 0; s->held && r < n_rows; r++)
        if (s->n_passed++ % c->stride == 0 && s->n_held < c->held_rows)
            memcpy(s->held + s->n_held++ * s->n, x + r * s->n, s->n * sizeof *x);
}

static void add_rows(struct calibration *c, struct seen *s, const float *x, size_t n_rows)
{
    for (size_t r = 0; c->first_pass && r < n_rows; r++)
        for (size_t i = 0; i < s->n; i++)
            s->squares[i] += (double)x[r * s->n + i] * (double)x[r * s->n + i];
    if (!s->products)
        return;
    size_t n_panels = panels_of(s->n);
    float *panels = memory_array(float, n_panels *n_rows *PANEL_COLS);
    struct products_job job = {add_products_best(), s->products, panels, x, s->n, n_rows};
    thread_pool_run(c->pool, make_panel, &job, (int)n_panels);
    thread_pool_run(c->pool, add_stripe, &job, (int)n_panels);
    free(panels);
}

static bool may_multiply(const struct seen *s)
{
    return s->n > 0 && s->n <= FEEDBACK_COLS_MAX;
}

// Makes room for the products of an input in this pass, and for its rows that are kept out: for the
// first of a pass, and others as long as the budget lasts.
static void take(struct calibration *c, struct seen *s)
{
    size_t budget = c->o->products_bytes ? c->o->products_bytes : (size_t)1 << 30;
    size_t n_products = may_multiply(s) ? triangle_row(s->n) : 0;
    size_t bytes = (s->n * c->held_rows + n_products) * sizeof(float);
    c->full = c->full || (c->used > 0 && c->used + bytes > budget);
    if (c->full || s->n == 0)
        return;
    c->used += bytes;
    s->held = memory_array(float, c->held_rows * s->n);
    if (n_products)
        s->products = memory_array(float, n_products);
}

static void see(void *self, enum model_input input, int layer, const float *x, int n_rows, int n)
{
    struct calibration *c = self;
    size_t at = (size_t)layer * INPUTS_OF_LAYER + (input == INPUT_OUTPUT ? 0 : (size_t)input);
    struct seen *s = &c->seen[at];
    assert(at < c->n_seen);
    if (!s->squares) {
        s->n = (size_t)n;
        s->squares = memory_array(double, s->n);
        take(c, s);
    }
    assert(s->n == (size_t)n);
    if (c->now_held) {
        hold(c, s, x, (size_t)n_rows);
        return;
    }
    if (c->first_pass)
        s->n_rows += (size_t)n_rows;
    add_rows(c, s, x, (size_t)n_rows);
}

static bool is_held(const struct calibration *c, size_t window)
{
    return c->n_windows < HELD_OUT ? window + 1 == c->n_windows : window % HELD_OUT == HELD_OUT - 1;
}

static bool read_window(struct calibration *c, struct kv_cache *const *kv, struct batch *batch,
                        size_t window, float *out)
{
    int pages = (c->ctx + PAGE_TOKENS - 1) / PAGE_TOKENS;
    batch_clear(batch);
    int seq = batch_add_seq(batch, c->ctx);
    for (int g = 0; g < batch->n_groups; g++)
        for (int i = 0; i < pages; i++)
            batch_pages(batch, g, seq)[i] = i;
    for (int i = 0; i < c->ctx; i++)
        batch_add_row(batch, seq, c->tokens[window * (size_t)c->ctx + (size_t)i], i, WANT_HIDDEN);
    c->now_held = is_held(c, window);
    model_forward(c->m, kv, batch, out);
    return !c->o->progress || c->o->progress(c->o->progress_self, window + 1, c->n_windows);
}

static bool read_text(struct calibration *c, struct error *err)
{
    struct backend *b = model_backend(c->m);
    struct kv_cache *kv[BATCH_GROUPS_MAX] = {0};
    int pages = (c->ctx + PAGE_TOKENS - 1) / PAGE_TOKENS, n_groups = model_n_groups(c->m);
    bool ok = true;
    for (int g = 0; ok && g < n_groups; g++) {
        const struct kv_group *group = model_group(c->m, g);
        struct kv_shape shape = {.n_layers = group->n_layers,
                                 .n_kv_heads = group->n_kv_heads,
                                 .head_dim = group->head_dim,
                                 .n_pages = pages,
                                 .dtype = model_kv_default(c->m)};
        ok = (kv[g] = b->ops->kv_new(b, &shape, err)) != NULL;
    }
    size_t out_bytes = sizeof(float) * (size_t)c->ctx * (size_t)model_n_vocab(c->m);
    float *out = ok ? memory_big_new(out_bytes) : NULL;
    if (ok && !out)
        ok = error_set(err, ERR_MEMORY, "no memory for %zu bytes of hidden states", out_bytes);
    struct batch *batch = batch_new(c->ctx, 1, n_groups, pages);
    model_observe(c->m, see, c);
    for (size_t w = 0; ok && w < c->n_windows; w++)
        if (!read_window(c, kv, batch, w, out))
            ok = error_set(err, ERR_CANCELLED, "calibration was interrupted");
    model_observe(c->m, NULL, NULL);
    batch_free(batch);
    memory_big_free(out, out_bytes);
    for (int g = 0; g < n_groups; g++)
        if (kv[g])
            b->ops->kv_free(b, kv[g]);
    return ok;
}

// How many rows are kept out, and which of them are taken.
static void plan_held(struct calibration *c)
{
    size_t n = 0;
    for (size_t w = 0; w < c->n_windows; w++)
        n += is_held(c, w) ? (size_t)c->ctx : 0;
    c->stride = (n / HELD_ROWS) | 1;
    c->held_rows = (n + c->stride - 1) / c->stride;
}

// Windows spread evenly over the text, each begun as the tokenizer begins a text.
static bool take_tokens(struct calibration *c, const struct tokenizer *t, struct slice text,
                        struct error *err)
{
    struct tokens start = {0}, all = {0};
    size_t most = (size_t)(c->o->max_windows ? c->o->max_windows : DEFAULT_WINDOWS);
    assert(most > 1);
    bool ok = tokenizer_encode(t, slice_of("", 0), TOKENIZE_ADD_SPECIAL, &start, err) &&
              tokenizer_encode(t, text, TOKENIZE_PLAIN, &all, err);
    if (ok && all.n < HELD_OUT * CTX_LEAST)
        ok = error_set(err, ERR_USAGE, "the text has %zu tokens, at least %d are needed", all.n,
                       HELD_OUT * CTX_LEAST);
    if (ok) {
        size_t longest = all.n / HELD_OUT;
        c->ctx = (size_t)c->ctx < longest ? c->ctx : (int)longest;
        size_t ctx = (size_t)c->ctx, n = all.n / ctx, taken = n < most ? n : most;
        c->n_windows = taken;
        c->tokens = memory_array(int32_t, taken * ctx);
        for (size_t w = 0; w < taken; w++) {
            int32_t *to = c->tokens + w * ctx;
            memcpy(to, all.ids + w * n / taken * ctx, ctx * sizeof *to);
            if (start.n && start.ids[0] == tokenizer_bos(t))
                to[0] = start.ids[0];
        }
        plan_held(c);
    }
    tokens_release(&start);
    tokens_release(&all);
    return ok;
}

static void drop_products(struct calibration *c)
{
    for (size_t i = 0; i < c->n_seen; i++) {
        free(c->seen[i].products);
        free(c->seen[i].held);
        c->seen[i].products = c->seen[i].held = NULL;
        c->seen[i].n_held = c->seen[i].n_passed = 0;
    }
    c->used = 0;
    c->full = false;
}

static void sums_to_means(struct seen *s)
{
    for (size_t i = 0; s->products && i < triangle_row(s->n); i++)
        s->products[i] /= (float)s->n_rows;
}

// Reads the text once more for the products from input `from` on, as many as the budget takes.
static bool gather_products(struct calibration *c, size_t from, struct error *err)
{
    drop_products(c);
    for (size_t i = from; i < c->n_seen; i++)
        take(c, &c->seen[i]);
    if (!read_text(c, err)) {
        drop_products(c);
        return false;
    }
    for (size_t i = from; i < c->n_seen; i++)
        sums_to_means(&c->seen[i]);
    return true;
}

struct calibration *calibration_new(struct model *m, const struct tokenizer *t, struct slice text,
                                    const struct calibration_options *o, struct error *err)
{
    struct calibration *c = memory_array(struct calibration, 1);
    *c = (struct calibration){.m = m, .o = o, .ctx = o->ctx ? o->ctx : DEFAULT_CTX};
    c->ctx = c->ctx < model_ctx(m) ? c->ctx : model_ctx(m);
    c->n_seen = (size_t)model_facts(m)->n_layers * INPUTS_OF_LAYER + 1;
    c->seen = memory_array(struct seen, c->n_seen);
    c->pool = thread_pool_new(o->threads > 0 ? o->threads : thread_pool_default_size(), NULL);
    c->first_pass = true;
    bool ok = take_tokens(c, t, text, err) && read_text(c, err);
    c->first_pass = false;
    for (size_t i = 0; ok && i < c->n_seen; i++) {
        struct seen *s = &c->seen[i];
        s->importance = memory_array(float, s->n);
        for (size_t k = 0; k < s->n; k++) {
            s->importance[k] = (float)(s->squares[k] / (double)s->n_rows);
            ok = ok && (isfinite(s->importance[k]) ||
                        error_set(err, ERR_NUMERIC, "the model's activations are no numbers"));
        }
        sums_to_means(s);
    }
    if (ok)
        return c;
    calibration_free(c);
    return NULL;
}

size_t calibration_tokens(const struct calibration *c)
{
    return c->n_windows * (size_t)c->ctx;
}

int calibration_ctx(const struct calibration *c)
{
    return c->ctx;
}

int32_t *calibration_kept_out(const struct calibration *c, size_t most, size_t *n)
{
    size_t ctx = (size_t)c->ctx, n_held = 0, passed = 0;
    for (size_t w = 0; w < c->n_windows; w++)
        n_held += is_held(c, w);
    if (most > n_held)
        most = n_held;
    int32_t *tokens = memory_array(int32_t, most * ctx);
    *n = 0;
    for (size_t w = 0; w < c->n_windows; w++)
        if (is_held(c, w) && passed++ * most / n_held == *n && *n < most)
            memcpy(tokens + (*n)++ * ctx, c->tokens + w * ctx, ctx * sizeof *tokens);
    return tokens;
}

void calibration_free(struct calibration *c)
{
    if (!c)
        return;
    drop_products(c);
    for (size_t i = 0; i < c->n_seen; i++) {
        free(c->seen[i].squares);
        free(c->seen[i].importance);
    }
    thread_pool_free(c->pool);
    free(c->seen);
    free(c->tokens);
    free(c);
}

// Which input the matrix of that name has; n_seen if none that is known.
static size_t input_of(const struct calibration *c, const char *name)
{
    static const struct {
        const char *part;
        enum model_input input;
    } parts[] = {{"attn_q.weight", INPUT_ATTN},          {"attn_k.weight", INPUT_ATTN},
                 {"attn_v.weight", INPUT_ATTN},          {"attn_qkv.weight", INPUT_ATTN},
                 {"attn_output.weight", INPUT_ATTN_OUT}, {"ffn_gate.weight", INPUT_FFN},
                 {"ffn_up.weight", INPUT_FFN},           {"ffn_gate_exps.weight", INPUT_FFN},
                 {"ffn_up_exps.weight", INPUT_FFN},      {"ffn_down.weight", INPUT_FFN_DOWN}};
    const struct model_facts *f = model_facts(c->m);
    if (strcmp(name, "output.weight") == 0 || (f->tied && strcmp(name, "token_embd.weight") == 0))
        return c->n_seen - 1;
    if (strncmp(name, "blk.", 4) != 0)
        return c->n_seen;
    char *rest;
    long layer = strtol(name + 4, &rest, 10);
    bool is_layer = rest > name + 4 && *rest == '.' && layer >= 0 && layer < f->n_layers;
    for (size_t i = 0; is_layer && i < sizeof parts / sizeof *parts; i++)
        if (strcmp(rest + 1, parts[i].part) == 0)
            return (size_t)layer * INPUTS_OF_LAYER + (size_t)parts[i].input;
    return c->n_seen;
}

bool calibration_find(void *self, const char *name, struct importance *out, bool *found,
                      struct error *err)
{
    struct calibration *c = self;
    size_t i = input_of(c, name);
    *found = i < c->n_seen && c->seen[i].n_rows > 0;
    if (!*found)
        return true;
    struct seen *s = &c->seen[i];
    if (!s->held && !gather_products(c, i, err))
        return false;
    *out = (struct importance){.id = i,
                               .n = s->n,
                               .squares = s->importance,
                               .products = s->products,
                               .held_out = s->held,
                               .n_held_out = s->n_held};
    return true;
}
