// cpu.c - the CPU backend: its table of operations, scratch, and how work is shared.
#include "local/backend/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/thread_pool.h"

void *scratch_get(struct scratch *s, size_t bytes)
{
    if (bytes <= s->bytes)
        return s->ptr;
    memory_big_free(s->ptr, s->bytes);
    s->bytes = bytes + bytes / 4;
    s->ptr = memory_big_new(s->bytes);
    if (!s->ptr) {
        (void)fprintf(stderr, "hearth: out of memory (%zu bytes of scratch)\n", s->bytes);
        abort();
    }
    return s->ptr;
}

void scratch_release(struct scratch *s)
{
    memory_big_free(s->ptr, s->bytes);
    *s = (struct scratch){0};
}

void cpu_worker_reserve(struct cpu *c, size_t bytes)
{
    if (bytes <= c->worker_bytes)
        return;
    c->worker_bytes = (bytes + 4095) & ~(size_t)4095;
    (void)scratch_get(&c->worker, c->worker_bytes * (size_t)c->n_threads);
}

void *cpu_worker_scratch(struct cpu *c, int worker)
{
    return (uint8_t *)c->worker.ptr + c->worker_bytes * (size_t)worker;
}

void cpu_run(struct cpu *c, void (*fn)(void *self, int item, int worker), void *self, int n_items)
{
    unsigned mode = denormals_off();
    thread_pool_run(c->pool, fn, self, n_items);
    denormals_restore(mode);
}

struct row_run {
    void (*fn)(void *self, int first, int n);
    void *self;
    int n_rows, n_items;
};

static void run_some_rows(void *self, int item, int worker)
{
    const struct row_run *r = self;
    (void)worker;
    int first = act_tile_first(r->n_rows, r->n_items, item);
    r->fn(r->self, first, act_tile_first(r->n_rows, r->n_items, item + 1) - first);
}

void cpu_run_rows(struct cpu *c, void (*fn)(void *self, int first, int n), void *self, int n_rows,
                  size_t row_work)
{
    enum { WORTH_SHARING = 16384 };  // elements: some microseconds, as a wake-up costs
    struct row_run r = {fn, self, n_rows, 1};
    size_t items = (size_t)n_rows * row_work / WORTH_SHARING;
    if (n_rows <= 0)
        return;
    if (items > 4 * (size_t)c->n_threads)
        items = 4 * (size_t)c->n_threads;
    if (items > (size_t)n_rows)
        items = (size_t)n_rows;
    r.n_items = items > 1 ? (int)items : 1;
    cpu_run(c, run_some_rows, &r, r.n_items);
}

static void cpu_free(struct backend *b)
{
    struct cpu *c = cpu_of(b);
    thread_pool_free(c->pool);
    scratch_release(&c->act);
    scratch_release(&c->worker);
    scratch_release(&c->attention);
    scratch_release(&c->parts);
    scratch_release(&c->moe);
    free(c);
}

static const char *cpu_describe(const struct backend *b)
{
    return ((const struct cpu *)b)->description;
}

static float *cpu_alloc(struct backend *b, size_t n_floats, struct error *err)
{
    (void)b;
    float *p = n_floats < SIZE_MAX / 8 ? memory_big_new(n_floats * sizeof(float)) : NULL;
    if (!p)
        error_set(err, ERR_MEMORY, "no memory for %zu floats", n_floats);
    return p;
}

static void cpu_release(struct backend *b, float *p, size_t n_floats)
{
    (void)b;
    memory_big_free(p, n_floats * sizeof(float));
}

static void cpu_begin(struct backend *b, const struct batch *batch)
{
    struct cpu *c = cpu_of(b);
    thread_pool_caller_begin(c->pool);
    c->batch = batch;
    c->stats.steps++;
    c->stats.rows += batch->n_rows;
}

static void cpu_end(struct backend *b)
{
    cpu_of(b)->batch = NULL;
    thread_pool_caller_end(cpu_of(b)->pool);
}

static void cpu_stats(struct backend *b, struct backend_stats *out, bool reset)
{
    struct cpu *c = cpu_of(b);
    *out = c->stats;
    if (reset)
        c->stats = (struct backend_stats){0};
}

static const struct backend_ops cpu_ops = {
    .free = cpu_free,
    .describe = cpu_describe,
    .alloc = cpu_alloc,
    .release = cpu_release,
    .weight_new = cpu_weight_new,
    .weight_free = cpu_weight_free,
    .weight_bytes = cpu_weight_bytes,
    .layout = cpu_layout,
    .packed_bytes = cpu_packed_bytes,
    .pack = cpu_pack,
    .kv_new = cpu_kv_new,
    .kv_free = cpu_kv_free,
    .begin = cpu_begin,
    .end = cpu_end,
    .embed = cpu_embed,
    .norm = cpu_norm,
    .matmul = cpu_matmul,
    .glu = cpu_glu,
    .add = cpu_add,
    .rope_table = cpu_rope_table,
    .rope_store = cpu_rope_store,
    .attention = cpu_attention,
    .moe = cpu_moe,
    .gather = cpu_gather,
    .softcap = cpu_softcap,
    .copy_page = cpu_copy_page,
    .stats = cpu_stats,
};

static void on_thread_start(void)
{
    (void)denormals_off();
}

static void start_threads(struct cpu *c, const struct cpu_options *o)
{
    struct cores *cores = memory_array(struct cores, 1);
    cores_find(cores);
    int n = o->threads > 0 ? o->threads : cores->n_threads;
    c->pool = thread_pool_new_on(cores, o->pin, n, on_thread_start);
    c->n_threads = thread_pool_size(c->pool);
    free(cores);
}

static void unknown_isa(const char *isa, struct error *err)
{
    struct buf names = {0};
    for (size_t i = 0; isa_name(i); i++)
        buf_printf(&names, " %s", isa_name(i));
    error_set(err, ERR_USAGE, "instruction set '%.40s' is none of%s", isa, buf_text(&names));
    buf_release(&names);
}

struct backend *backend_cpu_new(const struct cpu_options *o, struct error *err)
{
    unsigned isa = isa_detect();
    if (o->isa) {
        unsigned wanted;
        if (!isa_from_name(o->isa, &wanted)) {
            unknown_isa(o->isa, err);
            return NULL;
        }
        if (wanted & ~isa) {
            error_set(err, ERR_UNSUPPORTED, "this CPU cannot run %s", o->isa);
            return NULL;
        }
        isa = wanted;
    }
    struct cpu *c = memory_new(1, sizeof *c);
    c->base.ops = &cpu_ops;
    kernels_init(&c->kernels, isa);
    start_threads(c, o);
    (void)snprintf(c->description, sizeof c->description, "CPU, %s, %d thread%s", c->kernels.name,
                   c->n_threads, c->n_threads == 1 ? "" : "s");
    return &c->base;
}
