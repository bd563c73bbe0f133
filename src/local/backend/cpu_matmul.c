// cpu_matmul.c - matrix products: activations into the form the weights want, then panels shared
// among the threads.
//
// Weights that want the same form share one quantization. All products of a call (and for experts
// all calls) are one list of chunks, so that the threads meet twice a call at most.
#include <assert.h>

#include "base/clock.h"
#include "base/memory.h"
#include "local/backend/cpu.h"

enum { ROWS_AT_ONCE = 512, JOBS_MAX = 256 };

struct prepared {  // x of one job in one form
    const struct matmul_job *job;
    enum act_form form;
    int n_tiles;
    size_t offset;  // in cpu.act
    int first_item;
};
struct product {
    struct gemm g;
    size_t act_offset;  // in cpu.act, as in struct prepared
    int n_panels, panels_per_chunk, first_chunk;
};
struct plan {
    struct cpu *c;
    int first_row, n_rows;  // of a pass over at most ROWS_AT_ONCE rows of every job
    struct prepared *prepared;
    int n_prepared, n_items;
    struct product *products;
    int n_products, n_chunks;
};

static int rows_in_pass(const struct plan *p, const struct matmul_job *job)
{
    int left = job->n_rows - p->first_row;
    return left < p->n_rows ? left : p->n_rows;
}

static void prepare_item(void *self, int item, int worker)
{
    const struct plan *p = self;
    (void)worker;
    int i = p->n_prepared - 1;
    while (p->prepared[i].first_item > item)
        i--;
    const struct prepared *pr = &p->prepared[i];
    int rows = rows_in_pass(p, pr->job), cols = pr->job->out[0].w->cols;
    int tile = item - pr->first_item;
    int first = act_tile_first(rows, pr->n_tiles, tile);
    int n = act_tile_first(rows, pr->n_tiles, tile + 1) - first;
    uint8_t *to =
        (uint8_t *)p->c->act.ptr + pr->offset + (size_t)first * act_row_bytes(pr->form, cols);
    const float *x = pr->job->x + (size_t)(p->first_row + first) * pr->job->x_stride;
    p->c->kernels.act_tile[pr->form](to, x, pr->job->x_stride, n, cols);
}

static void product_chunk(void *self, int item, int worker)
{
    const struct plan *p = self;
    int low = 0, high = p->n_products - 1;  // the last product that starts at or before the item
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (p->products[middle].first_chunk <= item)
            low = middle;
        else
            high = middle - 1;
    }
    const struct product *pr = &p->products[low];
    int first = (item - pr->first_chunk) * pr->panels_per_chunk;
    int n =
        pr->n_panels - first < pr->panels_per_chunk ? pr->n_panels - first : pr->panels_per_chunk;
    p->c->kernels.gemm[pr->g.dtype](&pr->g, first, n, cpu_worker_scratch(p->c, worker));
}

// Chunks of about 128 rows: small enough that a late thread costs little, and for many rows of x
// large enough that unpacked panels are used several times.
static int panels_per_chunk(const struct cpu *c, const struct weight *w)
{
    int n = 8;
    while (n > 2 && w->n_panels < n * 3 * c->n_threads)
        n /= 2;
    return n;
}

static struct prepared *find_prepared(struct plan *p, const struct matmul_job *job,
                                      enum act_form form, size_t *bytes)
{
    for (int i = p->n_prepared - 1; i >= 0 && p->prepared[i].job == job; i--)
        if (p->prepared[i].form == form)
            return &p->prepared[i];
    int rows = rows_in_pass(p, job);
    struct prepared *pr = &p->prepared[p->n_prepared++];
    *pr = (struct prepared){.job = job, .form = form, .offset = *bytes, .first_item = p->n_items};
    pr->n_tiles = act_n_tiles(rows, kernels_tile_rows(&p->c->kernels, form, rows));
    p->n_items += pr->n_tiles;
    *bytes += ((size_t)rows * act_row_bytes(form, job->out[0].w->cols) + 127) & ~(size_t)63;
    return pr;
}

static void plan_output(struct plan *p, const struct matmul_job *job, const struct matmul_out *o,
                        const struct prepared *pr)
{
    const struct weight *w = o->w;
    size_t stride = o->y_stride ? (size_t)o->y_stride : (size_t)w->rows;
    struct product *product = &p->products[p->n_products++];
    assert(w->use == WEIGHT_MATMUL && w->cols == job->out[0].w->cols);
    *product = (struct product){
        .g = {.dtype = w->dtype,
              .panels = w->panels,
              .panel_bytes = w->panel_bytes,
              .rows = w->rows,
              .cols = w->cols,
              .n_x = rows_in_pass(p, job),
              .n_tiles = pr->n_tiles,
              .y = o->y + (size_t)p->first_row * stride,
              .y_stride = stride,
              .bias = o->bias,
              .add = o->add},
        .act_offset = pr->offset,
        .n_panels = w->n_panels,
        .panels_per_chunk = panels_per_chunk(p->c, w),
        .first_chunk = p->n_chunks,
    };
    p->n_chunks += (w->n_panels + product->panels_per_chunk - 1) / product->panels_per_chunk;
}

static void run_pass(struct plan *p, const struct matmul_job *jobs, int n_jobs)
{
    struct cpu *c = p->c;
    size_t bytes = 0;
    p->n_prepared = p->n_items = p->n_products = p->n_chunks = 0;
    for (int j = 0; j < n_jobs; j++) {
        if (jobs[j].n_rows <= p->first_row)
            continue;
        for (int o = 0; o < jobs[j].n_out; o++) {
            enum act_form form = act_form_of(jobs[j].out[o].w->dtype);
            plan_output(p, &jobs[j], &jobs[j].out[o], find_prepared(p, &jobs[j], form, &bytes));
        }
    }
    uint8_t *act = scratch_get(&c->act, bytes);
    for (int i = 0; i < p->n_products; i++)
        p->products[i].g.act = act + p->products[i].act_offset;
    cpu_run(c, prepare_item, p, p->n_items);
    cpu_run(c, product_chunk, p, p->n_chunks);
}

void cpu_matmul_jobs(struct cpu *c, const struct matmul_job *jobs, int n_jobs)
{
    struct prepared prepared[JOBS_MAX];
    struct product products[JOBS_MAX];
    struct plan p = {.c = c, .n_rows = ROWS_AT_ONCE, .prepared = prepared, .products = products};
    int most = 0, n_out = 0;
    for (int j = 0; j < n_jobs; j++) {
        most = jobs[j].n_rows > most ? jobs[j].n_rows : most;
        n_out += jobs[j].n_out;
    }
    assert(n_out <= JOBS_MAX);
    cpu_worker_reserve(c, gemm_scratch(c->max_cols));
    for (; p.first_row < most; p.first_row += ROWS_AT_ONCE)
        run_pass(&p, jobs, n_jobs);
}

void cpu_matmul(struct backend *b, const struct matmul_args *a)
{
    struct cpu *c = cpu_of(b);
    double start = clock_s();
    assert(a->n_out >= 1 && a->n_out <= 4);
    struct matmul_job job = {a->x, (size_t)a->out[0].w->cols, a->n_rows, a->n_out, {{0}}};
    for (int i = 0; i < a->n_out; i++)
        job.out[i] = a->out[i];
    cpu_matmul_jobs(c, &job, 1);
    c->stats.matmul_s += clock_s() - start;
}
