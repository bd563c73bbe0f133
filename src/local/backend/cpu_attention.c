// cpu_attention.c - the KV cache, rope with storing, and attention cut into items for the threads.
//
// A page holds all layers of its group one after another; of a layer first K of all heads
// ([kv_head][head_dim][PAGE_TOKENS], so that a query meets 64 positions in vectors), then V
// ([kv_head][PAGE_TOKENS][head_dim]).
#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "local/backend/cpu.h"

_Static_assert((int)PAGE_TOKENS == (int)KERNEL_PAGE, "the kernels know the size of a page");

static size_t head_bytes_of(const struct kv_shape *s)
{
    return (size_t)s->head_dim * PAGE_TOKENS * (s->dtype == DTYPE_F32 ? 4 : 2);
}

size_t kv_page_bytes(const struct kv_shape *s)
{
    return (size_t)s->n_layers * 2 * (size_t)s->n_kv_heads * head_bytes_of(s);
}

struct kv_cache *cpu_kv_new(struct backend *b, const struct kv_shape *s, struct error *err)
{
    (void)b;
    if (s->dtype != DTYPE_F32 && s->dtype != DTYPE_F16) {
        error_set(err, ERR_UNSUPPORTED, "keys and values as %s; the CPU has f32 and f16",
                  dtype_name(s->dtype));
        return NULL;
    }
    assert(s->n_layers > 0 && s->n_kv_heads > 0 && s->head_dim > 0 && s->n_pages > 0);
    size_t page_bytes = kv_page_bytes(s);
    struct kv_cache *kv = memory_new(1, sizeof *kv);
    *kv = (struct kv_cache){.shape = *s,
                            .page_bytes = page_bytes,
                            .layer_bytes = page_bytes / (size_t)s->n_layers,
                            .head_bytes = head_bytes_of(s)};
    if ((size_t)s->n_pages <= SIZE_MAX / 2 / page_bytes) {
        kv->bytes = page_bytes * (size_t)s->n_pages;
        kv->data = memory_big_new(kv->bytes);
    }
    if (!kv->data) {
        error_set(err, ERR_MEMORY, "no memory for %d pages of %zu bytes", s->n_pages, page_bytes);
        free(kv);
        return NULL;
    }
    return kv;
}

void cpu_kv_free(struct backend *b, struct kv_cache *kv)
{
    (void)b;
    if (!kv)
        return;
    memory_big_free(kv->data, kv->bytes);
    free(kv);
}

void cpu_copy_page(struct backend *b, struct kv_cache *kv, int from, int to)
{
    (void)b;
    assert(from >= 0 && from < kv->shape.n_pages && to >= 0 && to < kv->shape.n_pages);
    if (from != to)
        memcpy(kv->data + (size_t)to * kv->page_bytes, kv->data + (size_t)from * kv->page_bytes,
               kv->page_bytes);
}

struct store_run {
    struct cpu *c;
    const struct rope_store_args *a;
};

static void rotate(const struct kernels *k, float *x, const float *table, int n, bool interleaved)
{
    if (!interleaved) {
        k->rotate(x, table, n);
        return;
    }
    for (int i = 0; i < n; i++) {
        float c = table[2 * i], s = table[2 * i + 1], x0 = x[2 * i], x1 = x[2 * i + 1];
        x[2 * i] = x0 * c - x1 * s;
        x[2 * i + 1] = x1 * c + x0 * s;
    }
}

static void store_head(const struct kernels *k, const struct rope_store_args *a, uint8_t *page,
                       int head, int slot, const float *key, const float *value)
{
    const struct kv_cache *kv = a->kv;
    size_t n = (size_t)a->head_dim, at = (size_t)slot;
    uint8_t *to_k = page + (size_t)head * kv->head_bytes;
    uint8_t *to_v = to_k + (size_t)a->n_kv_heads * kv->head_bytes;
    if (kv->shape.dtype == DTYPE_F32) {
        float *column = (float *)(void *)to_k;
        for (size_t d = 0; d < n; d++)
            column[d * PAGE_TOKENS + at] = key[d];
        memcpy(to_v + at * n * sizeof(float), value, n * sizeof(float));
        return;
    }
    uint16_t *column = (uint16_t *)(void *)to_k, halves[64];
    for (size_t from = 0; from < n; from += 64) {
        size_t some = n - from < 64 ? n - from : 64;
        k->to_f16(halves, key + from, some);
        for (size_t d = 0; d < some; d++)
            column[(from + d) * PAGE_TOKENS + at] = halves[d];
    }
    k->to_f16((uint16_t *)(void *)to_v + at * n, value, n);
}

static void store_some(void *self, int first, int n_rows)
{
    const struct store_run *run = self;
    const struct rope_store_args *a = run->a;
    const struct batch *batch = run->c->batch;
    for (int r = first; r < first + n_rows; r++) {
        float *q = a->q + (size_t)r * (size_t)a->q_stride;
        float *k = a->k + (size_t)r * (size_t)a->k_stride;
        const float *v = a->v + (size_t)r * (size_t)a->v_stride;
        if (a->table) {
            const float *table = a->table + (size_t)r * (size_t)a->n_freqs * 2;
            for (int h = 0; h < a->n_heads; h++)
                rotate(&run->c->kernels, q + (size_t)h * (size_t)a->head_dim, table, a->n_freqs,
                       a->interleaved);
            for (int h = 0; h < a->n_kv_heads; h++)
                rotate(&run->c->kernels, k + (size_t)h * (size_t)a->head_dim, table, a->n_freqs,
                       a->interleaved);
        }
        int pos = batch_pos(batch)[r];
        int page = batch_pages(batch, a->group, batch_seq(batch)[r])[pos / PAGE_TOKENS];
        assert(page >= 0 && page < a->kv->shape.n_pages);
        uint8_t *at =
            a->kv->data + (size_t)page * a->kv->page_bytes + (size_t)a->layer * a->kv->layer_bytes;
        for (int h = 0; h < a->n_kv_heads; h++)
            store_head(&run->c->kernels, a, at, h, pos % PAGE_TOKENS,
                       k + (size_t)h * (size_t)a->head_dim, v + (size_t)h * (size_t)a->head_dim);
    }
}

void cpu_rope_store(struct backend *b, const struct rope_store_args *a)
{
    struct cpu *c = cpu_of(b);
    double start = clock_s();
    struct store_run run = {c, a};
    assert(a->layer >= 0 && a->layer < a->kv->shape.n_layers);
    assert(a->n_kv_heads == a->kv->shape.n_kv_heads && a->head_dim == a->kv->shape.head_dim);
    size_t work = (size_t)(a->n_heads + 3 * a->n_kv_heads) * (size_t)a->head_dim;
    cpu_run_rows(c, store_some, &run, c->batch->n_rows, work);
    c->stats.attention_s += clock_s() - start;
}

// Rows of one sequence that attend together, with one KV head each item.
struct row_run {
    int first, n;
};
struct attention_run {
    struct cpu *c;
    const struct attention_args *a;
    const struct row_run *runs;
    int heads_per_kv;
};

static void attend(const struct attention_run *run, struct row_run rows, int kv_head,
                   int first_query, int n_queries, float *scratch)
{
    const struct attention_args *a = run->a;
    const struct batch *batch = run->c->batch;
    const struct kv_cache *kv = a->kv;
    size_t n = (size_t)a->head_dim;
    struct attention_task t;
    t.n_queries = n_queries;
    t.has_sinks = a->sinks != NULL;
    for (int i = 0; i < n_queries; i++) {
        int r = rows.first + (first_query + i) / run->heads_per_kv;
        size_t h = (size_t)(kv_head * run->heads_per_kv + (first_query + i) % run->heads_per_kv);
        t.q[i] = a->q + (size_t)r * (size_t)a->q_stride + h * n;
        t.out[i] = a->out + ((size_t)r * (size_t)a->n_heads + h) * n;
        t.pos[i] = batch_pos(batch)[r];
        t.sink[i] = a->sinks ? a->sinks[h] : 0;
    }
    t.pages = batch_pages(batch, a->group, batch_seq(batch)[rows.first]);
    t.k = kv->data + (size_t)a->layer * kv->layer_bytes + (size_t)kv_head * kv->head_bytes;
    t.v = t.k + (size_t)a->n_kv_heads * kv->head_bytes;
    t.page_bytes = kv->page_bytes;
    t.dtype = kv->shape.dtype;
    t.head_dim = a->head_dim;
    t.scale = a->scale;
    t.softcap = a->softcap;
    t.window = a->window;
    run->c->kernels.attention(&t, scratch);
}

static void attention_item(void *self, int item, int worker)
{
    const struct attention_run *run = self;
    int n_kv = run->a->n_kv_heads;
    struct row_run rows = run->runs[item / n_kv];
    int n = rows.n * run->heads_per_kv;
    float *scratch = cpu_worker_scratch(run->c, worker);
    for (int first = 0; first < n; first += ATTENTION_QUERIES)
        attend(run, rows, item % n_kv, first,
               n - first < ATTENTION_QUERIES ? n - first : ATTENTION_QUERIES, scratch);
}

// Runs of at most `most` rows of one sequence.
static int cut_rows(const struct batch *batch, struct row_run *runs, int most)
{
    int n = 0;
    for (int r = 0; r < batch->n_rows; r++) {
        bool fits = n > 0 && runs[n - 1].n < most &&
                    batch_seq(batch)[runs[n - 1].first] == batch_seq(batch)[r];
        if (fits)
            runs[n - 1].n++;
        else
            runs[n++] = (struct row_run){r, 1};
    }
    return n;
}

void cpu_attention(struct backend *b, const struct attention_args *a)
{
    struct cpu *c = cpu_of(b);
    double start = clock_s();
    assert(a->n_heads % a->n_kv_heads == 0 && a->head_dim == a->kv->shape.head_dim);
    struct attention_run run = {c, a, NULL, a->n_heads / a->n_kv_heads};
    int most = ATTENTION_QUERIES / run.heads_per_kv;
    struct row_run *runs = scratch_get(&c->attention, sizeof *runs * (size_t)c->batch->n_rows);
    run.runs = runs;
    cpu_worker_reserve(c, attention_scratch(a->head_dim) * sizeof(float));
    int n = cut_rows(c->batch, runs, most > 0 ? most : 1);
    cpu_run(c, attention_item, &run, n * a->n_kv_heads);
    c->stats.attention_s += clock_s() - start;
}
