// cpu_kv.c - the KV cache, and rope with storing.
//
// A page holds all layers of its group one after another; of a layer first K of all heads, then V
// (kernels/kv_page.h says how one head lies there).
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "local/backend/cpu.h"

_Static_assert((int)PAGE_TOKENS == (int)KV_PAGE, "the kernels know the size of a page");

size_t kv_page_bytes(const struct kv_shape *s)
{
    return (size_t)s->n_layers * 2 * (size_t)s->n_kv_heads * kv_head_bytes(s->dtype, s->head_dim);
}

bool kv_type_check(enum dtype type, int head_dim, struct error *err)
{
    if (kv_type_fits(type, head_dim))
        return true;
    if (kv_in_blocks(type))
        return error_set(err, ERR_UNSUPPORTED,
                         "keys and values as %s come in blocks of %d, and the heads of this model "
                         "have %d numbers: use f16",
                         dtype_name(type), KV_BLOCK, head_dim);
    return error_set(err, ERR_UNSUPPORTED,
                     "keys and values as %s; there are f32, f16, q8_0 and q4_0", dtype_name(type));
}

bool kv_type_from_name(const char *name, enum dtype *type, struct error *err)
{
    *type = DTYPE_COUNT;
    if (!name || !name[0])
        return true;
    return (dtype_from_name(name, type) && kv_type_fits(*type, KV_BLOCK)) ||
           error_set(err, ERR_USAGE, "keys and values: '%s' is not f32, f16, q8_0 or q4_0", name);
}

struct kv_cache *cpu_kv_new(struct backend *b, const struct kv_shape *s, struct error *err)
{
    (void)b;
    if (!kv_type_check(s->dtype, s->head_dim, err))
        return NULL;
    assert(s->n_layers > 0 && s->n_kv_heads > 0 && s->head_dim > 0 && s->n_pages > 0);
    size_t page_bytes = kv_page_bytes(s);
    struct kv_cache *kv = memory_new(1, sizeof *kv);
    *kv = (struct kv_cache){.shape = *s,
                            .page_bytes = page_bytes,
                            .layer_bytes = page_bytes / (size_t)s->n_layers,
                            .head_bytes = kv_head_bytes(s->dtype, s->head_dim)};
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
    if (kv_in_blocks(kv->shape.dtype)) {
        kv_write_key(kv->shape.dtype, to_k, a->head_dim, slot, key);
        kv_write_value(kv->shape.dtype, to_v, a->head_dim, slot, value);
        return;
    }
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
