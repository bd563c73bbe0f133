// cpu_attention.c - attention cut into items for the threads.
//
// An item is a run of rows of one sequence with one KV head: the queries of its group of heads read
// each page once. Where a step has too few of them for the threads (a long text that is decoded,
// few KV heads), the segments of a text (kernels/attention.h) become items of their own, and their
// parts are merged in order: the bits are the same, whatever is split.
#include <assert.h>

#include "base/clock.h"
#include "local/backend/cpu.h"

// Rows of one sequence that attend together, with one KV head each item.
struct row_run {
    int first, n;
    struct segment_range segments;
    size_t parts_at;  // of its first KV head
    int items_before;
};
struct attention_run {
    struct cpu *c;
    const struct attention_args *a;
    struct row_run *runs;
    int n_runs, heads_per_kv;
    float *parts;
};

static int n_queries_of(const struct attention_run *run, const struct row_run *rows)
{
    return rows->n * run->heads_per_kv;
}

static int n_segments_of(const struct row_run *rows)
{
    return rows->segments.last - rows->segments.first + 1;
}

// Queries first.. of the run, with one KV head; returns how many.
static int task_of(const struct attention_run *run, const struct row_run *rows, int kv_head,
                   int first, struct attention_task *t)
{
    const struct attention_args *a = run->a;
    const struct batch *batch = run->c->batch;
    const struct kv_cache *kv = a->kv;
    size_t n = (size_t)a->head_dim;
    int left = n_queries_of(run, rows) - first;
    t->n_queries = left < ATTENTION_QUERIES ? left : ATTENTION_QUERIES;
    t->has_sinks = a->sinks != NULL;
    for (int i = 0; i < t->n_queries; i++) {
        int r = rows->first + (first + i) / run->heads_per_kv;
        size_t h = (size_t)(kv_head * run->heads_per_kv + (first + i) % run->heads_per_kv);
        t->q[i] = a->q + (size_t)r * (size_t)a->q_stride + h * n;
        t->out[i] = a->out + ((size_t)r * (size_t)a->n_heads + h) * n;
        t->pos[i] = batch_pos(batch)[r];
        t->sink[i] = a->sinks ? a->sinks[h] : 0;
    }
    t->pages = batch_pages(batch, a->group, batch_seq(batch)[rows->first]);
    t->k = kv->data + (size_t)a->layer * kv->layer_bytes + (size_t)kv_head * kv->head_bytes;
    t->v = t->k + (size_t)a->n_kv_heads * kv->head_bytes;
    t->page_bytes = kv->page_bytes;
    t->dtype = kv->shape.dtype;
    t->head_dim = a->head_dim;
    t->scale = a->scale;
    t->softcap = a->softcap;
    t->window = a->window;
    return t->n_queries;
}

static void whole_item(void *self, int item, int worker)
{
    const struct attention_run *run = self;
    struct attention_task t;
    int n_kv = run->a->n_kv_heads;
    const struct row_run *rows = &run->runs[item / n_kv];
    for (int first = 0; first < n_queries_of(run, rows); first += t.n_queries) {
        (void)task_of(run, rows, item % n_kv, first, &t);
        run->c->kernels.attention.all(&t, cpu_worker_scratch(run->c, worker));
    }
}

// Parts of a run with one KV head: [n_segments][n_queries], for the queries that one task holds.
static float *parts_of(const struct attention_run *run, const struct row_run *rows, int kv_head)
{
    size_t one = (size_t)n_segments_of(rows) * (size_t)n_queries_of(run, rows);
    return run->parts +
           (rows->parts_at + one * (size_t)kv_head) * attention_part_floats(run->a->head_dim);
}

static void segment_item(void *self, int item, int worker)
{
    const struct attention_run *run = self;
    struct attention_task t;
    int i = run->n_runs - 1;
    while (run->runs[i].items_before > item)
        i--;
    const struct row_run *rows = &run->runs[i];
    int kv_head = (item - rows->items_before) / n_segments_of(rows);
    int segment = (item - rows->items_before) % n_segments_of(rows);
    size_t at = (size_t)segment * (size_t)task_of(run, rows, kv_head, 0, &t);
    run->c->kernels.attention.part(&t, rows->segments.first + segment,
                                   parts_of(run, rows, kv_head) +
                                       at * attention_part_floats(run->a->head_dim),
                                   cpu_worker_scratch(run->c, worker));
}

static void merge_item(void *self, int item, int worker)
{
    const struct attention_run *run = self;
    struct attention_task t;
    int n_kv = run->a->n_kv_heads;
    const struct row_run *rows = &run->runs[item / n_kv];
    (void)task_of(run, rows, item % n_kv, 0, &t);
    run->c->kernels.attention.merge(&t, parts_of(run, rows, item % n_kv), rows->segments,
                                    cpu_worker_scratch(run->c, worker));
}

// Runs of at most `most` rows of one sequence, one after another.
static int cut_rows(const struct batch *batch, struct row_run *runs, int most, bool wanted_only)
{
    int n = 0;
    for (int r = 0; r < batch->n_rows; r++) {
        if (wanted_only && batch_want(batch)[r] == WANT_NOTHING)
            continue;
        bool fits = n > 0 && runs[n - 1].n < most && runs[n - 1].first + runs[n - 1].n == r &&
                    batch_seq(batch)[runs[n - 1].first] == batch_seq(batch)[r];
        if (!fits)
            runs[n++] = (struct row_run){.first = r};
        runs[n - 1].n++;
    }
    return n;
}

// Whether segments shall be items: then where each run's items and parts begin is set, and how many
// there are is returned, else 0.
static int split(struct attention_run *run)
{
    enum { ITEMS_A_THREAD = 4, PARTS_MAX_FLOATS = 4 << 20 };
    const struct attention_args *a = run->a;
    int threads = run->c->n_threads, items = 0, enough = threads * ITEMS_A_THREAD;
    size_t parts = 0;
    if (threads == 1 || run->n_runs * a->n_kv_heads >= enough ||
        run->heads_per_kv > ATTENTION_QUERIES)
        return 0;
    for (int i = 0; i < run->n_runs; i++) {
        struct row_run *rows = &run->runs[i];
        struct attention_task t;
        (void)task_of(run, rows, 0, 0, &t);
        rows->segments = attention_segments(&t);
        rows->items_before = items;
        rows->parts_at = parts;
        items += n_segments_of(rows) * a->n_kv_heads;
        parts += (size_t)(n_segments_of(rows) * a->n_kv_heads) * (size_t)n_queries_of(run, rows);
    }
    size_t floats = parts * attention_part_floats(a->head_dim);
    if (items == run->n_runs * a->n_kv_heads || floats > PARTS_MAX_FLOATS)
        return 0;
    run->parts = scratch_get(&run->c->parts, floats * sizeof(float));
    return items;
}

void cpu_attention(struct backend *b, const struct attention_args *a)
{
    struct cpu *c = cpu_of(b);
    double start = clock_s();
    assert(a->n_heads % a->n_kv_heads == 0 && a->head_dim == a->kv->shape.head_dim);
    struct attention_run run = {.c = c, .a = a, .heads_per_kv = a->n_heads / a->n_kv_heads};
    int most = ATTENTION_QUERIES / run.heads_per_kv;
    run.runs = scratch_get(&c->attention, sizeof *run.runs * (size_t)c->batch->n_rows);
    cpu_worker_reserve(c, attention_scratch(a->head_dim) * sizeof(float));
    run.n_runs = cut_rows(c->batch, run.runs, most > 0 ? most : 1, a->wanted_only);
    int n_items = split(&run);
    if (n_items) {
        cpu_run(c, segment_item, &run, n_items);
        cpu_run(c, merge_item, &run, run.n_runs * a->n_kv_heads);
    } else {
        cpu_run(c, whole_item, &run, run.n_runs * a->n_kv_heads);
    }
    c->stats.attention_s += clock_s() - start;
}
