// test_cpu_attention.c - attention of the CPU backend against plain doubles, and against itself:
// the same bits for any number of threads, any company, and any cutting of a prompt.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../support/cpu_check.h"

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

// Keys and values as they are kept, in doubles: [n_seqs * len, n_kv, head_dim] each.
struct kept {
    double *k, *v;
};

static struct kept keep(const struct scene *s, const float *qkv, const float *inv_freq)
{
    size_t hd = (size_t)s->head_dim, n_kv = (size_t)s->n_kv, n = (size_t)(s->n_seqs * s->len);
    size_t q_width = (size_t)s->n_heads * hd, width = q_width + 2 * n_kv * hd;
    struct kept kept = {malloc(n * n_kv * hd * sizeof(double)),
                        malloc(n * n_kv * hd * sizeof(double))};
    assert_true(kept.k && kept.v);
    for (size_t i = 0; i < n * n_kv; i++) {
        const float *row = qkv + i / n_kv * width + q_width + i % n_kv * hd;
        double *k = kept.k + i * hd, *v = kept.v + i * hd;
        rotated(s, row, (int)(i / n_kv) % s->len, inv_freq, k);
        stored(s->dtype, k, s->head_dim);
        for (size_t d = 0; d < hd; d++)
            v[d] = (double)row[n_kv * hd + d];
        stored(s->dtype, v, s->head_dim);
    }
    return kept;
}

static void attention_row(const struct scene *s, const struct kept *kept, const float *qkv, int seq,
                          int pos, int head, const float *inv_freq, const float *sinks, double *out)
{
    int hd = s->head_dim, width = (s->n_heads + 2 * s->n_kv) * hd;
    int kv_head = head / (s->n_heads / s->n_kv);
    double q[256], sum = s->sinks ? exp((double)sinks[head]) : 0;
    rotated(s, qkv + (size_t)(seq * s->len + pos) * (size_t)width + head * hd, pos, inv_freq, q);
    memset(out, 0, sizeof(double) * (size_t)hd);
    for (int p = 0; p <= pos; p++) {
        if (s->window && p <= pos - s->window)
            continue;
        size_t at = (size_t)(((seq * s->len + p) * s->n_kv + kv_head) * hd);
        const double *k = kept->k + at, *v = kept->v + at;
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
        struct kept kept = keep(s, qkv, inv_freq);
        for (size_t isa = 0; isa_name(isa); isa++) {
            struct backend *b = open_backend(isa, 1), *b3 = open_backend(isa, 3);
            if (!b)
                continue;
            play(s, b, s->len, qkv, inv_freq, sinks, one);
            double want[256], tolerance = s->dtype == DTYPE_F16 ? 2e-3 : 1e-5;
            for (int r = 0; r<(int)rows; r += s->len> 1000 ? 97 : 7)
                for (int h = 0; h < s->n_heads; h++) {
                    attention_row(s, &kept, qkv, r / s->len, r % s->len, h, inv_freq, sinks, want);
                    assert_close(one + (size_t)r * q_width + (size_t)h * hd, want, hd, tolerance);
                }
            int chunk = s->len > 500 || getenv("HEARTH_SHORT") ? 37 : 1;
            for (; chunk < s->len; chunk = chunk * 5 + 2) {
                play(s, b3, chunk, qkv, inv_freq, sinks, many);
                assert_memory_equal(many, one, rows * q_width * sizeof(float));
            }
            backend_free(b);
            backend_free(b3);
        }
        free(qkv), free(one), free(many), free(kept.k), free(kept.v);
    }
}

static struct {
    struct attention_kernels kernels;
    int n_all, n_part, n_queries;
} watched;

static void watched_all(const struct attention_task *t, float *scratch)
{
    __atomic_fetch_add(&watched.n_all, 1, __ATOMIC_RELAXED);  // by several threads
    __atomic_fetch_add(&watched.n_queries, t->n_queries, __ATOMIC_RELAXED);
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
    assert_int_equal(watched.n_all, (1025 + ATTENTION_QUERIES - 1) / ATTENTION_QUERIES);
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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_agrees_with_doubles_in_chunks_of_any_size),
        cmocka_unit_test(heads_of_a_group_read_their_pages_together),
        cmocka_unit_test(one_long_text_with_one_kv_head_is_shared_by_threads),
        cmocka_unit_test(slots_that_were_never_written_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
