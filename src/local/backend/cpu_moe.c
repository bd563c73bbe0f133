// cpu_moe.c - mixture of experts: route, compute each expert's rows together, add in routing order.
//
// A row's experts are added best first, whatever the other rows chose, so that a row's result
// does not depend on its company. Equal router values go to the lower expert.
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "local/backend/cpu.h"

enum { EXPERTS_AT_ONCE = 64 };

struct moe_run {
    struct cpu *c;
    const struct moe_args *a;
    int32_t *expert;  // [n_rows][n_used], best first
    float *weight;    // [n_rows][n_used]
    int32_t *slot;    // [n_rows][n_used]: the row in x/gate/y below, grouped by expert
    int32_t *row_of;  // [slots]
    int32_t *first;   // [n_experts + 1]: first slot of an expert
    float *x, *gate, *up, *y;
};

static void route_row(const struct moe_args *a, const float *logits, int32_t *expert, float *weight)
{
    float largest = -INFINITY, sum = 0, chosen = 0;
    for (int e = 0; e < a->n_experts; e++)
        largest = logits[e] > largest ? logits[e] : largest;
    for (int e = 0; e < a->n_experts; e++)
        sum += expf(logits[e] - largest);
    for (int i = 0; i < a->n_used; i++) {
        int best = -1;
        for (int e = 0; e < a->n_experts; e++) {
            bool taken = false;
            for (int j = 0; j < i; j++)
                taken = taken || expert[j] == e;
            if (!taken && (best < 0 || logits[e] > logits[best]))
                best = e;
        }
        expert[i] = best;
        weight[i] = expf(logits[best] - largest);
        chosen += weight[i];
    }
    // Over the best only, they sum to one by themselves.
    float by = !a->softmax_first || a->renormalize ? chosen : sum;
    for (int i = 0; i < a->n_used; i++)
        weight[i] = weight[i] / by * a->scale;
}

static void route_some(void *self, int first, int n)
{
    const struct moe_run *run = self;
    for (int r = first; r < first + n; r++) {
        size_t at = (size_t)r * (size_t)run->a->n_used;
        route_row(run->a, run->a->router + (size_t)r * (size_t)run->a->n_experts, run->expert + at,
                  run->weight + at);
    }
}

// Counting sort of all (row, choice) by expert; rows stay in order.
static void group_by_expert(struct moe_run *run)
{
    const struct moe_args *a = run->a;
    int n = a->n_rows * a->n_used;
    memset(run->first, 0, sizeof(int32_t) * ((size_t)a->n_experts + 1));
    for (int i = 0; i < n; i++)
        run->first[run->expert[i] + 1]++;
    for (int e = 0; e < a->n_experts; e++)
        run->first[e + 1] += run->first[e];
    for (int i = 0; i < n; i++) {
        int32_t s = run->first[run->expert[i]]++;
        run->slot[i] = s;
        run->row_of[s] = i / a->n_used;
    }
    for (int e = a->n_experts; e > 0; e--)
        run->first[e] = run->first[e - 1];
    run->first[0] = 0;
}

static void gather_some(void *self, int first, int n)
{
    const struct moe_run *run = self;
    size_t width = (size_t)run->a->n;
    for (int s = first; s < first + n; s++)
        memcpy(run->x + (size_t)s * width, run->a->x + (size_t)run->row_of[s] * width,
               width * sizeof(float));
}

static void add_some(void *self, int first, int n)
{
    const struct moe_run *run = self;
    const struct moe_args *a = run->a;
    size_t width = (size_t)a->n;
    for (int r = first; r < first + n; r++) {
        float *out = a->out + (size_t)r * width;
        for (int i = 0; i < a->n_used; i++) {
            size_t choice = (size_t)r * (size_t)a->n_used + (size_t)i;
            const float *y = run->y + (size_t)run->slot[choice] * width;
            float w = run->weight[choice];
            for (size_t c = 0; c < width; c++)
                out[c] = (i ? out[c] : 0.0f) + w * y[c];
        }
    }
}

static void activate_some(void *self, int first, int n)
{
    const struct moe_run *run = self;
    size_t width = (size_t)run->a->n_ff;
    for (int s = first; s < first + n; s++) {
        float *gate = run->gate + (size_t)s * width;
        run->c->kernels.glu(run->a->act, gate, gate, run->up + (size_t)s * width, run->a->n_ff);
    }
}

// Both halves of the experts' work: gate and up, or down.
static void experts(const struct moe_run *run, bool down)
{
    const struct moe_args *a = run->a;
    size_t n = (size_t)a->n, n_ff = (size_t)a->n_ff;
    for (int from = 0; from < a->n_experts; from += EXPERTS_AT_ONCE) {
        struct matmul_job jobs[EXPERTS_AT_ONCE];
        int n_jobs = 0;
        for (int e = from; e < a->n_experts && e < from + EXPERTS_AT_ONCE; e++) {
            size_t s = (size_t)run->first[e];
            int rows = run->first[e + 1] - run->first[e];
            if (rows == 0)
                continue;
            struct matmul_job *job = &jobs[n_jobs++];
            *job = (struct matmul_job){.n_rows = rows};
            if (down) {
                job->x = run->gate + s * n_ff;
                job->x_stride = n_ff;
                job->out[job->n_out++] = (struct matmul_out){.w = a->down[e], .y = run->y + s * n};
                continue;
            }
            job->x = run->x + s * n;
            job->x_stride = n;
            job->out[job->n_out++] =
                (struct matmul_out){.w = a->gate[e], .y = run->gate + s * n_ff};
            job->out[job->n_out++] = (struct matmul_out){.w = a->up[e], .y = run->up + s * n_ff};
        }
        cpu_matmul_jobs(run->c, jobs, n_jobs);
    }
}

static void lay_out(struct moe_run *run)
{
    const struct moe_args *a = run->a;
    size_t slots = (size_t)a->n_rows * (size_t)a->n_used;
    size_t floats = slots * ((size_t)a->n * 2 + (size_t)a->n_ff * 2 + 1);
    size_t ints = slots * 3 + (size_t)a->n_experts + 1;
    run->x = scratch_get(&run->c->moe, (floats + ints) * 4);
    run->y = run->x + slots * (size_t)a->n;
    run->gate = run->y + slots * (size_t)a->n;
    run->up = run->gate + slots * (size_t)a->n_ff;
    run->weight = run->up + slots * (size_t)a->n_ff;
    run->expert = (int32_t *)(void *)(run->weight + slots);
    run->slot = run->expert + slots;
    run->row_of = run->slot + slots;
    run->first = run->row_of + slots;
}

void cpu_moe(struct backend *b, const struct moe_args *a)
{
    struct cpu *c = cpu_of(b);
    double start = clock_s();
    struct moe_run run = {.c = c, .a = a};
    assert(a->n_used >= 1 && a->n_used <= a->n_experts);
    int slots = a->n_rows * a->n_used;
    lay_out(&run);
    cpu_run_rows(c, route_some, &run, a->n_rows, (size_t)a->n_experts * (size_t)a->n_used);
    group_by_expert(&run);
    cpu_run_rows(c, gather_some, &run, slots, (size_t)a->n);
    experts(&run, false);
    cpu_run_rows(c, activate_some, &run, slots, (size_t)a->n_ff * 4);
    experts(&run, true);
    cpu_run_rows(c, add_some, &run, a->n_rows, (size_t)a->n * (size_t)a->n_used);
    c->stats.matmul_s += clock_s() - start;
}
