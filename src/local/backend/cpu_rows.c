// cpu_rows.c - operations on single rows: norms, activations, rope's table, gathering.
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "local/backend/cpu.h"

struct norm_run {
    const struct kernels *k;
    const struct norm_args *a;
};

static void norm_some(void *self, int first, int n_rows)
{
    const struct norm_run *run = self;
    const struct norm_args *a = run->a;
    for (int r = first; r < first + n_rows; r++) {
        size_t at = (size_t)r * (size_t)a->n;
        if (a->add)
            run->k->add(a->x + at, a->add + at, (size_t)a->n);
        if (a->kind == NORM_RMS)
            run->k->norm_rms(a->out + at, a->x + at, a->weight, a->n, a->eps);
        else
            run->k->norm_layer(a->out + at, a->x + at, a->weight, a->bias, a->n, a->eps);
    }
}

void cpu_norm(struct backend *b, const struct norm_args *a)
{
    struct cpu *c = cpu_of(b);
    double start = clock_s();
    struct norm_run run = {&c->kernels, a};
    cpu_run_rows(c, norm_some, &run, a->n_rows, (size_t)a->n);
    c->stats.other_s += clock_s() - start;
}

struct glu_run {
    const struct kernels *k;
    const struct glu_args *a;
};

static void glu_some(void *self, int first, int n_rows)
{
    const struct glu_run *run = self;
    const struct glu_args *a = run->a;
    size_t gate_stride = (size_t)(a->gate_stride ? a->gate_stride : a->n);
    size_t up_stride = (size_t)(a->up_stride ? a->up_stride : a->n);
    for (size_t r = (size_t)first; r < (size_t)(first + n_rows); r++)
        run->k->glu(a->act, a->out + r * (size_t)a->n, a->gate + r * gate_stride,
                    a->up ? a->up + r * up_stride : NULL, a->n);
}

void cpu_glu(struct backend *b, const struct glu_args *a)
{
    struct cpu *c = cpu_of(b);
    double start = clock_s();
    struct glu_run run = {&c->kernels, a};
    bool shrinks = a->out == a->gate && a->gate_stride && a->gate_stride != a->n;
    if (shrinks) {  // rows move over earlier rows: in order, by one thread
        unsigned mode = denormals_off();
        glu_some(&run, 0, a->n_rows);
        denormals_restore(mode);
    } else {
        cpu_run_rows(c, glu_some, &run, a->n_rows, (size_t)a->n * 4);
    }
    c->stats.other_s += clock_s() - start;
}

struct flat_run {  // x in runs of FLAT floats
    const struct kernels *k;
    float *x;
    const float *y;
    size_t n;
    float scale, cap;
};
enum { FLAT = 4096 };

static int flat_items(size_t n)
{
    return (int)((n + FLAT - 1) / FLAT);
}

static void add_some(void *self, int first, int n)
{
    const struct flat_run *run = self;
    size_t from = (size_t)first * FLAT, to = from + (size_t)n * FLAT;
    to = to < run->n ? to : run->n;
    run->k->add(run->x + from, run->y + from, to - from);
}

void cpu_add(struct backend *b, float *x, const float *y, size_t n)
{
    struct cpu *c = cpu_of(b);
    double start = clock_s();
    struct flat_run run = {.k = &c->kernels, .x = x, .y = y, .n = n};
    cpu_run_rows(c, add_some, &run, flat_items(n), FLAT);
    c->stats.other_s += clock_s() - start;
}

static void softcap_some(void *self, int first, int n)
{
    const struct flat_run *run = self;
    size_t from = (size_t)first * FLAT, to = from + (size_t)n * FLAT;
    to = to < run->n ? to : run->n;
    run->k->softcap(run->x + from, to - from, run->scale, run->cap);
}

void cpu_softcap(struct backend *b, float *x, size_t n, float scale, float cap)
{
    struct cpu *c = cpu_of(b);
    double start = clock_s();
    struct flat_run run = {.k = &c->kernels, .x = x, .n = n, .scale = scale, .cap = cap};
    cpu_run_rows(c, softcap_some, &run, flat_items(n), FLAT);
    c->stats.other_s += clock_s() - start;
}

struct table_run {
    const struct rope_table_args *a;
    const struct batch *batch;
};

static void table_some(void *self, int first, int n_rows)
{
    const struct table_run *run = self;
    const struct rope_table_args *a = run->a;
    for (int r = first; r < first + n_rows; r++) {
        int seq = batch_seq(run->batch)[r];
        size_t table = a->table_of_seq ? (size_t)a->table_of_seq[seq] : 0;
        float scale = a->scale ? a->scale[table] : 1.0f;
        float pos = (float)batch_pos(run->batch)[r];
        float *out = a->out + (size_t)r * (size_t)a->n_freqs * 2;
        const float *inv_freq = a->inv_freq + table * (size_t)a->n_freqs;
        for (int i = 0; i < a->n_freqs; i++) {
            float angle = pos * inv_freq[i];
            out[2 * i] = cosf(angle) * scale;
            out[2 * i + 1] = sinf(angle) * scale;
        }
    }
}

void cpu_rope_table(struct backend *b, const struct rope_table_args *a)
{
    struct cpu *c = cpu_of(b);
    double start = clock_s();
    struct table_run run = {a, c->batch};
    cpu_run_rows(c, table_some, &run, c->batch->n_rows, (size_t)a->n_freqs * 16);
    c->stats.other_s += clock_s() - start;
}

void cpu_gather(struct backend *b, float *out, const float *x, const int32_t *rows, int n,
                int width)
{
    struct cpu *c = cpu_of(b);
    double start = clock_s();
    for (int i = 0; i < n; i++)
        memcpy(out + (size_t)i * (size_t)width, x + (size_t)rows[i] * (size_t)width,
               (size_t)width * sizeof(float));
    c->stats.other_s += clock_s() - start;
}
