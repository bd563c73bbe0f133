// test_cpu.c - the operations of the CPU backend against plain doubles, and against themselves:
// the same bits for any number of threads, any company, and any cutting of a prompt.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/error.h"
#include "local/backend/cpu.h"
#include "local/backend/backend.h"
#include "local/kernels/kernels.h"

static uint64_t seed = 7;

static float draw(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(seed >> 33) / 1073741824.0 - 1.0);
}

static float *draws(size_t n)
{
    float *x = malloc(n * sizeof(float));
    for (size_t i = 0; i < n; i++)
        x[i] = draw();
    return x;
}

static struct backend *open_backend(size_t isa, int threads)  // NULL: not on this CPU
{
    struct error err = {0};
    struct backend *b =
        backend_cpu_new(&(struct cpu_options){.threads = threads, .isa = isa_name(isa)}, &err);
    if (!b)
        assert_int_equal(err.code, ERR_UNSUPPORTED);
    return b;
}

static void assert_close(const float *got, const double *want, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= tolerance * (1 + fabs(want[i]))))
            fail_msg("at %zu: %g, should be %g", i, (double)got[i], want[i]);
}

static void norms_agree_with_doubles(void **state)
{
    (void)state;
    enum { ROWS = 5 };
    for (size_t isa = 0; isa_name(isa); isa++)
        for (int n = 1; n < 400; n = n * 2 + 1) {
            struct backend *b = open_backend(isa, 2);
            if (!b)
                continue;
            size_t all = (size_t)n * ROWS;
            float *x = draws(all), *add = draws(all), *w = draws((size_t)n),
                  *bias = draws((size_t)n);
            float *out = malloc(all * sizeof(float)), *out2 = malloc(all * sizeof(float));
            double *rms = malloc(all * sizeof(double)), *layer = malloc(all * sizeof(double));
            for (size_t r = 0; r < ROWS; r++) {
                double squares = 0, sum = 0, spread = 0;
                for (size_t i = r * (size_t)n; i < (r + 1) * (size_t)n; i++) {
                    double v = (double)(x[i] + add[i]);
                    squares += v * v;
                    sum += v;
                }
                for (size_t i = r * (size_t)n; i < (r + 1) * (size_t)n; i++) {
                    double v = (double)(x[i] + add[i]) - sum / n;
                    spread += v * v;
                }
                for (size_t i = 0; i < (size_t)n; i++) {
                    double v = (double)(x[r * (size_t)n + i] + add[r * (size_t)n + i]);
                    rms[r * (size_t)n + i] = v / sqrt(squares / n + 1e-2) * (double)w[i];
                    layer[r * (size_t)n + i] =
                        (v - sum / n) / sqrt(spread / n + 1e-2) * (double)w[i] + (double)bias[i];
                }
            }
            struct norm_args a = {.kind = NORM_RMS,
                                  .out = out,
                                  .x = x,
                                  .add = add,
                                  .weight = w,
                                  .n_rows = ROWS,
                                  .n = n,
                                  .eps = 1e-2f};
            b->ops->norm(b, &a);  // x becomes x + add
            assert_close(out, rms, all, 1e-5);
            a = (struct norm_args){.kind = NORM_LAYER,
                                   .out = out2,
                                   .x = x,
                                   .weight = w,
                                   .bias = bias,
                                   .n_rows = ROWS,
                                   .n = n,
                                   .eps = 1e-2f};
            b->ops->norm(b, &a);
            assert_close(out2, layer, all, 1e-5);
            backend_free(b);
            free(x), free(add), free(w), free(bias), free(out), free(out2), free(rms), free(layer);
        }
}

static double activate(enum activation act, double x)
{
    switch (act) {
    case ACT_SILU: return x / (1 + exp(-x));
    case ACT_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case ACT_GELU_ERF: return 0.5 * x * (1 + erf(x / sqrt(2)));
    case ACT_RELU2: return x > 0 ? x * x : 0;
    case ACT_RELU: break;
    }
    return x > 0 ? x : 0;
}

static void activations_agree_with_doubles(void **state)
{
    (void)state;
    enum { ROWS = 3, N = 45 };
    for (size_t isa = 0; isa_name(isa); isa++)
        for (int act = ACT_SILU; act <= ACT_RELU2; act++) {
            struct backend *b = open_backend(isa, 2);
            if (!b)
                continue;
            float x[ROWS * 2 * N], out[ROWS * N];
            double want[ROWS * N];
            for (size_t i = 0; i < ROWS * 2 * N; i++)
                x[i] = draw() * (i % 7 == 0 ? 120.0f : 4.0f);
            for (size_t i = 0; i < ROWS * N; i++) {
                size_t at = i / N * 2 * N + i % N;
                want[i] = activate((enum activation)act, (double)x[at]) * (double)x[at + N];
            }
            struct glu_args a = {.act = (enum activation)act,
                                 .out = out,
                                 .gate = x,
                                 .up = x + N,
                                 .n_rows = ROWS,
                                 .n = N,
                                 .gate_stride = 2 * N,
                                 .up_stride = 2 * N};
            b->ops->glu(b, &a);
            for (size_t i = 0; i < ROWS * N; i++) {
                // 1 + tanh cancels: the error is relative to the product without it.
                size_t at = i / N * 2 * N + i % N;
                double size = fabs((double)x[at] * (double)x[at + N]) + fabs(want[i]);
                assert_true(fabs((double)out[i] - want[i]) <= 1e-6 * size + 1e-30);
            }
            a.out = x;  // in place, rows move together
            b->ops->glu(b, &a);
            assert_memory_equal(x, out, sizeof out);
            float special[2] = {NAN, -INFINITY};
            a = (struct glu_args){
                .act = (enum activation)act, .out = special, .gate = special, .n_rows = 1, .n = 2};
            b->ops->glu(b, &a);
            assert_true(isnan(special[0]));
            backend_free(b);
        }
}

static void softcap_scales_then_caps(void **state)
{
    (void)state;
    for (size_t isa = 0; isa_name(isa); isa++) {
        struct backend *b = open_backend(isa, 2);
        if (!b)
            continue;
        enum { N = 71 };
        float x[N], y[N];
        double want[N], scaled[N];
        for (size_t i = 0; i < N; i++) {
            x[i] = y[i] = draw() * 100.0f;
            scaled[i] = (double)x[i] * 0.5;
            want[i] = 30 * tanh(scaled[i] / 30);
        }
        b->ops->softcap(b, x, N, 0.5f, 30.0f);
        assert_close(x, want, N, 2e-6);
        b->ops->softcap(b, y, N, 0.5f, 0);
        assert_close(y, scaled, N, 0);
        backend_free(b);
    }
}

// Several sequences with random K and V, written through rope_store, some of them in chunks.
struct scene {
    int n_seqs, len, n_heads, n_kv, head_dim, window;
    float softcap;
    bool sinks, rotate, interleaved;
    enum dtype dtype;
};
enum { LEN_MAX = 300 };

static void put_pages(struct batch *batch, const struct scene *s)
{
    int per_seq = (s->len + PAGE_TOKENS - 1) / PAGE_TOKENS;
    for (int i = 0; i < s->n_seqs; i++) {
        int seq = batch_add_seq(batch, s->len);
        for (int p = 0; p < per_seq; p++)  // page numbers of sequences interleave
            batch_pages(batch, 0, seq)[p] = 1 + p * s->n_seqs + (s->n_seqs - 1 - i);
    }
}

// Computes attention of all rows, `chunk` rows of every sequence a step. q, k, v hold the rows
// sequence by sequence.
static void play(const struct scene *s, struct backend *b, int chunk, const float *qkv,
                 const float *inv_freq, const float *sinks, float *out)
{
    struct error err = {0};
    size_t hd = (size_t)s->head_dim, q_width = (size_t)s->n_heads * hd,
           kv_width = (size_t)s->n_kv * hd, width = q_width + 2 * kv_width;
    int per_seq = (s->len + PAGE_TOKENS - 1) / PAGE_TOKENS;
    struct kv_shape shape = {.n_layers = 2,
                             .n_kv_heads = s->n_kv,
                             .head_dim = s->head_dim,
                             .n_pages = 1 + per_seq * s->n_seqs,
                             .dtype = s->dtype};
    struct kv_cache *kv = b->ops->kv_new(b, &shape, &err);
    assert_non_null(kv);
    int rows_max = chunk * s->n_seqs;
    struct batch *batch = batch_new(rows_max, s->n_seqs, 1, per_seq);
    float *x = malloc(sizeof(float) * width * (size_t)rows_max);
    float *y = malloc(sizeof(float) * q_width * (size_t)rows_max);
    float *table = malloc(sizeof(float) * hd * (size_t)rows_max);
    for (int from = 0; from < s->len; from += chunk) {
        batch_clear(batch);
        put_pages(batch, s);
        for (int i = 0; i < s->n_seqs; i++)
            for (int p = from; p < from + chunk && p < s->len; p++) {
                int r = batch_add_row(batch, i, 0, p, WANT_NOTHING);
                memcpy(x + (size_t)r * width, qkv + (size_t)(i * s->len + p) * width,
                       width * sizeof(float));
            }
        b->ops->begin(b, batch);
        float one = 1.0f;
        b->ops->rope_table(
            b, &(struct rope_table_args){
                   .out = table, .inv_freq = inv_freq, .scale = &one, .n_freqs = s->head_dim / 2});
        b->ops->rope_store(b, &(struct rope_store_args){.q = x,
                                                        .k = x + q_width,
                                                        .v = x + q_width + kv_width,
                                                        .q_stride = (int)width,
                                                        .k_stride = (int)width,
                                                        .v_stride = (int)width,
                                                        .table = s->rotate ? table : NULL,
                                                        .n_freqs = s->head_dim / 2,
                                                        .interleaved = s->interleaved,
                                                        .n_heads = s->n_heads,
                                                        .n_kv_heads = s->n_kv,
                                                        .head_dim = s->head_dim,
                                                        .kv = kv,
                                                        .layer = 1});
        b->ops->attention(b, &(struct attention_args){.q = x,
                                                      .q_stride = (int)width,
                                                      .out = y,
                                                      .kv = kv,
                                                      .layer = 1,
                                                      .n_heads = s->n_heads,
                                                      .n_kv_heads = s->n_kv,
                                                      .head_dim = s->head_dim,
                                                      .scale = 0.3f,
                                                      .softcap = s->softcap,
                                                      .window = s->window,
                                                      .sinks = s->sinks ? sinks : NULL});
        b->ops->end(b);
        for (int r = 0; r < batch->n_rows; r++) {
            size_t to = (size_t)(batch_seq(batch)[r] * s->len + batch_pos(batch)[r]);
            memcpy(out + to * q_width, y + (size_t)r * q_width, q_width * sizeof(float));
        }
    }
    free(x), free(y), free(table);
    batch_free(batch);
    b->ops->kv_free(b, kv);
}

static void rotated(const struct scene *s, const float *x, int pos, const float *inv_freq,
                    double *out)
{
    int half = s->head_dim / 2;
    for (int d = 0; d < s->head_dim; d++)
        out[d] = (double)x[d];
    for (int i = 0; s->rotate && i < half; i++) {
        int a = s->interleaved ? 2 * i : i, b = s->interleaved ? 2 * i + 1 : i + half;
        double angle = (double)((float)pos * inv_freq[i]);
        out[a] = (double)x[a] * cos(angle) - (double)x[b] * sin(angle);
        out[b] = (double)x[b] * cos(angle) + (double)x[a] * sin(angle);
    }
}

// What is kept of a head in blocks of 32: whole multiples of a scale that has 16 bits.
static void stored(enum dtype type, double *x, int n)
{
    if (type != DTYPE_Q8_0 && type != DTYPE_Q4_0)
        return;
    for (int first = 0; first < n; first += 32) {
        double most = 0, least = type == DTYPE_Q8_0 ? -127 : -8, largest = -least;
        for (int d = first; d < first + 32; d++)
            most = fabs(x[d]) > fabs(most) ? x[d] : most;
        largest -= type == DTYPE_Q4_0;
        most = type == DTYPE_Q8_0 ? fabs(most) / 127 : most / -8;
        double scale = (double)f16_to_f32(f32_to_f16((float)most));
        for (int d = first; d < first + 32; d++)
            x[d] = scale * fmin(largest, fmax(least, nearbyint(x[d] / scale)));
    }
}

static void attention_row(const struct scene *s, const float *qkv, int seq, int pos, int head,
                          const float *inv_freq, const float *sinks, double *out)
{
    int hd = s->head_dim, width = (s->n_heads + 2 * s->n_kv) * hd;
    int kv_head = head / (s->n_heads / s->n_kv);
    double q[256], k[256], v[256], sum = s->sinks ? exp((double)sinks[head]) : 0;
    rotated(s, qkv + (size_t)(seq * s->len + pos) * (size_t)width + head * hd, pos, inv_freq, q);
    memset(out, 0, sizeof(double) * (size_t)hd);
    for (int p = 0; p <= pos; p++) {
        if (s->window && p <= pos - s->window)
            continue;
        const float *row = qkv + (size_t)(seq * s->len + p) * (size_t)width + s->n_heads * hd;
        rotated(s, row + kv_head * hd, p, inv_freq, k);
        stored(s->dtype, k, hd);
        for (int d = 0; d < hd; d++)
            v[d] = (double)row[(s->n_kv + kv_head) * hd + d];
        stored(s->dtype, v, hd);
        double dot = 0;
        for (int d = 0; d < hd; d++)
            dot += q[d] * k[d];
        dot *= 0.3;
        if (s->softcap > 0)
            dot = (double)s->softcap * tanh(dot / (double)s->softcap);
        double weight = exp(dot);
        sum += weight;
        for (int d = 0; d < hd; d++)
            out[d] += weight * v[d];
    }
    for (int d = 0; d < hd; d++)
        out[d] /= sum;
}

static const struct scene scenes[] = {
    {.n_seqs = 1, .len = 70, .n_heads = 4, .n_kv = 4, .head_dim = 8, .dtype = DTYPE_F32},
    {.n_seqs = 2,
     .len = 150,
     .n_heads = 8,
     .n_kv = 2,
     .head_dim = 64,
     .rotate = true,
     .dtype = DTYPE_F32},
    {.n_seqs = 2,
     .len = 150,
     .n_heads = 8,
     .n_kv = 1,
     .head_dim = 64,
     .rotate = true,
     .interleaved = true,
     .dtype = DTYPE_F16},
    {.n_seqs = 3,
     .len = 200,
     .n_heads = 3,
     .n_kv = 1,
     .head_dim = 80,
     .rotate = true,
     .window = 70,
     .softcap = 20,
     .dtype = DTYPE_F32},
    {.n_seqs = 1,
     .len = 131,
     .n_heads = 2,
     .n_kv = 2,
     .head_dim = 128,
     .window = 5,
     .sinks = true,
     .dtype = DTYPE_F16},
    {.n_seqs = 2,
     .len = 66,
     .n_heads = 6,
     .n_kv = 2,
     .head_dim = 20,
     .rotate = true,
     .sinks = true,
     .dtype = DTYPE_F32},
    // In blocks keys are not rotated: what is rounded must be the same number to the last bit.
    {.n_seqs = 2, .len = 150, .n_heads = 8, .n_kv = 2, .head_dim = 64, .dtype = DTYPE_Q8_0},
    {.n_seqs = 2, .len = 150, .n_heads = 8, .n_kv = 1, .head_dim = 64, .dtype = DTYPE_Q4_0},
    {.n_seqs = 1,
     .len = 140,
     .n_heads = 3,
     .n_kv = 3,
     .head_dim = 96,
     .window = 70,
     .softcap = 20,
     .dtype = DTYPE_Q8_0},
    {.n_seqs = 2,
     .len = 131,
     .n_heads = 6,
     .n_kv = 2,
     .head_dim = 32,
     .sinks = true,
     .dtype = DTYPE_Q4_0},
    // Several segments, which several threads share.
    {.n_seqs = 1, .len = 600, .n_heads = 5, .n_kv = 1, .head_dim = 12, .dtype = DTYPE_F32},
    {.n_seqs = 1, .len = 600, .n_heads = 1, .n_kv = 1, .head_dim = 40, .dtype = DTYPE_F16},
    {.n_seqs = 1,
     .len = 1100,
     .n_heads = 1,
     .n_kv = 1,
     .head_dim = 32,
     .window = 600,
     .sinks = true,
     .dtype = DTYPE_Q8_0},
};
enum { N_SCENES = sizeof scenes / sizeof scenes[0] };

static void attention_agrees_with_doubles_in_chunks_of_any_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SCENES; i++) {
        const struct scene *s = &scenes[i];
        size_t rows = (size_t)(s->n_seqs * s->len), hd = (size_t)s->head_dim;
        size_t q_width = (size_t)s->n_heads * hd;
        float *qkv = draws(rows * (q_width + 2 * (size_t)s->n_kv * hd));
        float inv_freq[128], sinks[8], *one = malloc(rows * q_width * sizeof(float));
        float *many = malloc(rows * q_width * sizeof(float));
        for (int f = 0; f < 128; f++)
            inv_freq[f] = powf(100.0f, -(float)f / 32.0f);
        for (int h = 0; h < 8; h++)
            sinks[h] = draw();
        for (size_t isa = 0; isa_name(isa); isa++) {
            struct backend *b = open_backend(isa, 1), *b3 = open_backend(isa, 3);
            if (!b)
                continue;
            play(s, b, s->len, qkv, inv_freq, sinks, one);
            double want[256], tolerance = s->dtype == DTYPE_F16 ? 2e-3 : 1e-5;
            for (int r = 0; r<(int)rows; r += s->len> 1000 ? 97 : 7)
                for (int h = 0; h < s->n_heads; h++) {
                    attention_row(s, qkv, r / s->len, r % s->len, h, inv_freq, sinks, want);
                    assert_close(one + (size_t)r * q_width + (size_t)h * hd, want, hd, tolerance);
                }
            for (int chunk = s->len > 500 ? 37 : 1; chunk < s->len; chunk = chunk * 5 + 2) {
                play(s, b3, chunk, qkv, inv_freq, sinks, many);
                assert_memory_equal(many, one, rows * q_width * sizeof(float));
            }
            backend_free(b);
            backend_free(b3);
        }
        free(qkv), free(one), free(many);
    }
}

static struct {
    struct attention_kernels kernels;
    int n_all, n_part, n_queries;
} watched;

static void watched_all(const struct attention_task *t, float *scratch)
{
    watched.n_all++;
    watched.n_queries += t->n_queries;
    watched.kernels.all(t, scratch);
}

static void watched_part(const struct attention_task *t, int segment, float *parts, float *scratch)
{
    __atomic_fetch_add(&watched.n_part, 1, __ATOMIC_RELAXED);
    watched.kernels.part(t, segment, parts, scratch);
}

static struct backend *open_watched(int threads)
{
    struct backend *b = open_backend(0, threads);
    struct cpu *c = cpu_of(b);
    watched.kernels = c->kernels.attention;
    watched.n_all = watched.n_part = watched.n_queries = 0;
    c->kernels.attention.all = watched_all;
    c->kernels.attention.part = watched_part;
    return b;
}

static void heads_of_a_group_read_their_pages_together(void **state)
{
    (void)state;
    const struct scene s = {
        .n_seqs = 1, .len = 3, .n_heads = 12, .n_kv = 2, .head_dim = 8, .dtype = DTYPE_F32};
    float *qkv = draws(3 * 16 * 8), *out = malloc(3 * 12 * 8 * sizeof(float)), freq[4] = {0};
    struct backend *b = open_watched(1);
    play(&s, b, 1, qkv, freq, NULL, out);
    assert_int_equal(watched.n_all, 3 * 2);  // a row: one walk over the pages with each KV head
    assert_int_equal(watched.n_queries, 3 * 12);
    backend_free(b);
    free(qkv), free(out);
}

static void one_long_text_with_one_kv_head_is_shared_by_threads(void **state)
{
    (void)state;
    const struct scene s = {
        .n_seqs = 1, .len = 1030, .n_heads = 1, .n_kv = 1, .head_dim = 8, .dtype = DTYPE_F32};
    float *qkv = draws(1030 * 3 * 8), *out = malloc(1030 * 8 * sizeof(float)), freq[4] = {0};
    struct backend *b = open_watched(2);
    play(&s, b, 1025, qkv, freq, NULL, out);
    // 1,025 rows are enough items; the last five are one item, of three segments.
    assert_int_equal(watched.n_all, (1025 + 63) / 64);
    assert_int_equal(watched.n_part, 3);
    backend_free(b);
    free(qkv), free(out);
}

// The neighbour's NaN must not leak through masked slots of a page or of a block of queries.
static void slots_that_were_never_written_do_not_matter(void **state)
{
    (void)state;
    for (size_t isa = 0; isa_name(isa); isa++) {
        struct backend *b = open_backend(isa, 2);
        if (!b)
            continue;
        struct error err;
        struct kv_shape shape = {1, 1, 16, 1, DTYPE_F32};
        struct kv_cache *kv = b->ops->kv_new(b, &shape, &err);
        struct batch *batch = batch_new(64, 1, 1, 1);
        float x[64 * 16], out[64 * 16];
        for (int pass = 0; pass < 2; pass++) {  // first a page full of NaN, then three good rows
            batch_clear(batch);
            batch_add_seq(batch, 64);
            batch_pages(batch, 0, 0)[0] = 0;
            for (int p = 0; p < (pass ? 3 : 64); p++)
                batch_add_row(batch, 0, 0, p, WANT_NOTHING);
            for (size_t i = 0; i < 64 * 16; i++)
                x[i] = pass ? draw() : NAN;
            b->ops->begin(b, batch);
            b->ops->rope_store(b, &(struct rope_store_args){.q = x,
                                                            .k = x,
                                                            .v = x,
                                                            .q_stride = 16,
                                                            .k_stride = 16,
                                                            .v_stride = 16,
                                                            .n_heads = 1,
                                                            .n_kv_heads = 1,
                                                            .head_dim = 16,
                                                            .kv = kv});
            b->ops->attention(b, &(struct attention_args){.q = x,
                                                          .q_stride = 16,
                                                          .out = out,
                                                          .kv = kv,
                                                          .n_heads = 1,
                                                          .n_kv_heads = 1,
                                                          .head_dim = 16,
                                                          .scale = 1});
            b->ops->end(b);
            for (int i = 0; i < (pass ? 3 : 64) * 16; i++)
                assert_true(pass ? isfinite(out[i]) : isnan(out[i]));
        }
        batch_free(batch);
        b->ops->kv_free(b, kv);
        backend_free(b);
    }
}

static struct weight *f32_weight(struct backend *b, const float *data, int rows, int cols)
{
    struct error err = {0};
    struct weight *w = b->ops->weight_new(
        b,
        &(struct weight_source){
            .use = WEIGHT_MATMUL, .dtype = DTYPE_F32, .rows = rows, .cols = cols, .data = data},
        &err);
    assert_non_null(w);
    return w;
}

static void many_rows_and_threads_give_the_bits_of_one(void **state)
{
    (void)state;
    enum { ROWS = 1100, COLS = 64, OUT = 100 };  // more rows than one pass takes
    for (size_t isa = 0; isa_name(isa); isa++) {
        struct backend *b1 = open_backend(isa, 1), *b3 = open_backend(isa, 3);
        if (!b1)
            continue;
        float *x = draws(ROWS * COLS), *data = draws(OUT * COLS), *bias = draws(OUT);
        float *y1 = malloc(sizeof(float) * ROWS * OUT), *y3 = malloc(sizeof(float) * ROWS * OUT);
        struct weight *w1 = f32_weight(b1, data, OUT, COLS), *w3 = f32_weight(b3, data, OUT, COLS);
        for (size_t r = 0; r < ROWS; r++)
            b1->ops->matmul(
                b1, &(struct matmul_args){.x = x + r * COLS,
                                          .n_rows = 1,
                                          .n_out = 1,
                                          .out = {{.w = w1, .bias = bias, .y = y1 + r * OUT}}});
        b3->ops->matmul(
            b3, &(struct matmul_args){
                    .x = x, .n_rows = ROWS, .n_out = 1, .out = {{.w = w3, .bias = bias, .y = y3}}});
        assert_memory_equal(y1, y3, sizeof(float) * ROWS * OUT);
        double want = (double)bias[3];
        for (size_t c = 0; c < COLS; c++)
            want += (double)data[3 * COLS + c] * (double)x[1000 * COLS + c];
        assert_close(y3 + 1000 * OUT + 3, &want, 1, 1e-5);
        b1->ops->weight_free(b1, w1);
        b3->ops->weight_free(b3, w3);
        backend_free(b1);
        backend_free(b3);
        free(x), free(data), free(bias), free(y1), free(y3);
    }
}

static void experts_are_chosen_weighed_and_added(void **state)
{
    (void)state;
    enum { ROWS = 9, N = 24, FF = 40, E = 5, USED = 2 };
    float *x = draws(ROWS * N), *router = draws(ROWS * E), *g = draws(E * FF * N);
    float *u = draws(E * FF * N), *d = draws(E * N * FF), out[ROWS * N], alone[ROWS * N];
    for (size_t isa = 0; isa_name(isa); isa++) {
        struct backend *b = open_backend(isa, 2);
        if (!b)
            continue;
        struct weight *gate[E], *up[E], *down[E];
        for (size_t e = 0; e < E; e++) {
            gate[e] = f32_weight(b, g + e * FF * N, FF, N);
            up[e] = f32_weight(b, u + e * FF * N, FF, N);
            down[e] = f32_weight(b, d + e * N * FF, N, FF);
        }
        for (int renormalize = 0; renormalize < 2; renormalize++) {
            struct moe_args a = {.x = x,
                                 .out = out,
                                 .router = router,
                                 .n_rows = ROWS,
                                 .n = N,
                                 .n_ff = FF,
                                 .n_experts = E,
                                 .n_used = USED,
                                 .softmax_first = true,
                                 .renormalize = renormalize,
                                 .scale = 1.5f,
                                 .act = ACT_SILU,
                                 .gate = gate,
                                 .up = up,
                                 .down = down};
            b->ops->moe(b, &a);
            for (size_t r = 0; r < ROWS; r++) {
                double sum = 0, chosen = 0, want[N] = {0};
                size_t best[USED] = {0, 0};
                for (size_t e = 0; e < E; e++) {
                    sum += exp((double)router[r * E + e]);
                    if (router[r * E + e] > router[r * E + best[0]])
                        best[0] = e;
                }
                best[1] = best[0] == 0;
                for (size_t e = 0; e < E; e++)
                    if (e != best[0] && router[r * E + e] > router[r * E + best[1]])
                        best[1] = e;
                for (size_t i = 0; i < USED; i++)
                    chosen += exp((double)router[r * E + best[i]]);
                for (size_t i = 0; i < USED; i++)
                    for (size_t f = 0; f < FF; f++) {
                        double hg = 0, hu = 0;
                        for (size_t c = 0; c < N; c++) {
                            hg += (double)g[(best[i] * FF + f) * N + c] * (double)x[r * N + c];
                            hu += (double)u[(best[i] * FF + f) * N + c] * (double)x[r * N + c];
                        }
                        double h = activate(ACT_SILU, hg) * hu * 1.5 *
                                   exp((double)router[r * E + best[i]]) /
                                   (renormalize ? chosen : sum);
                        for (size_t c = 0; c < N; c++)
                            want[c] += h * (double)d[(best[i] * N + c) * FF + f];
                    }
                assert_close(out + r * N, want, N, 1e-4);
                struct moe_args one = a;
                one.x = x + r * N;
                one.router = router + r * E;
                one.out = alone + r * N;
                one.n_rows = 1;
                b->ops->moe(b, &one);
            }
            assert_memory_equal(alone, out, sizeof out);
        }
        for (size_t e = 0; e < E; e++) {
            b->ops->weight_free(b, gate[e]);
            b->ops->weight_free(b, up[e]);
            b->ops->weight_free(b, down[e]);
        }
        backend_free(b);
    }
    free(x), free(router), free(g), free(u), free(d);
}

static void rows_that_are_no_whole_blocks_are_an_error(void **state)
{
    (void)state;
    struct backend *b = open_backend(0, 1);
    struct error err = {0};
    struct weight_source s = {.dtype = DTYPE_Q4_K, .rows = 3, .cols = 320, .data = ""};
    assert_null(b->ops->weight_new(b, &s, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_null(b->ops->kv_new(b, &(struct kv_shape){1, 1, 32, 1, DTYPE_Q4_1}, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_null(b->ops->kv_new(b, &(struct kv_shape){1, 1, 80, 1, DTYPE_Q8_0}, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "80 numbers: use f16"));
    assert_null(backend_cpu_new(&(struct cpu_options){.isa = "mmx"}, &err));
    assert_int_equal(err.code, ERR_USAGE);
    backend_free(b);
}

static void embedding_reads_rows_of_the_file(void **state)
{
    (void)state;
    struct backend *b = open_backend(0, 2);
    struct error err = {0};
    float table[6] = {1, 2, 3, 4, 5, 6}, x[8];
    struct weight_source s = {
        .use = WEIGHT_EMBED, .dtype = DTYPE_F32, .rows = 3, .cols = 2, .data = table};
    struct weight *w = b->ops->weight_new(b, &s, &err);
    b->ops->embed(b, x, w, (int32_t[]){2, 0, 3}, 3, 10);
    assert_true(x[0] == 50 && x[1] == 60 && x[2] == 10 && x[3] == 20);
    assert_true(isnan(x[4]) && isnan(x[5]));  // no such token
    b->ops->weight_free(b, w);
    s.transposed = true;  // stored [2, 3]
    w = b->ops->weight_new(b, &s, &err);
    b->ops->embed(b, x, w, (int32_t[]){2, 0}, 2, 1);
    assert_true(x[0] == 3 && x[1] == 6 && x[2] == 1 && x[3] == 4);
    b->ops->weight_free(b, w);
    backend_free(b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(norms_agree_with_doubles),
        cmocka_unit_test(activations_agree_with_doubles),
        cmocka_unit_test(softcap_scales_then_caps),
        cmocka_unit_test(attention_agrees_with_doubles_in_chunks_of_any_size),
        cmocka_unit_test(heads_of_a_group_read_their_pages_together),
        cmocka_unit_test(one_long_text_with_one_kv_head_is_shared_by_threads),
        cmocka_unit_test(slots_that_were_never_written_do_not_matter),
        cmocka_unit_test(many_rows_and_threads_give_the_bits_of_one),
        cmocka_unit_test(experts_are_chosen_weighed_and_added),
        cmocka_unit_test(rows_that_are_no_whole_blocks_are_an_error),
        cmocka_unit_test(embedding_reads_rows_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
