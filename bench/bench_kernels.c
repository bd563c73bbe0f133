// bench_kernels.c - all matrix products of a model of the TinyLlama-1.1B shape, without the model.
//
//   bench_kernels [--type q4_0] [--threads N] [--isa NAME] [--layers 22] [--seconds 3]
//                [--rows N] [--cpu-time]
//
// Every layer has weights of its own, so that they come from memory as in a real step. Reported:
// median and tenth percentile over layers and passes, as tokens a second of the whole model. The
// head takes all rows for up to 64 rows, and one row in a prefill of 512. Around it, probes of what
// the machine gives at that moment: reads from memory and int8 products.
#include <getopt.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "local/backend/backend.h"
#include "local/kernels/kernels.h"
#include "timing.h"

enum { EMBD = 2048, QKV = 2560, GATE_UP = 11264, FF = 5632, VOCAB = 32000, ROWS_MAX = 512 };

struct layer {
    struct weight *qkv, *o, *gate_up, *down;
};
struct model {
    struct backend *b;
    struct layer *layers;
    int n_layers;
    struct weight *head;
    float *x, *y;
};

static struct weight *random_weight(struct backend *b, enum dtype type, int rows, int cols)
{
    uint64_t bytes = 0, state = 88172645463325252u;
    (void)dtype_bytes(type, (uint64_t)rows * (uint64_t)cols, &bytes);
    uint8_t *data = memory_new(bytes + 8, 1);
    for (uint64_t i = 0; i < bytes; i += 8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // No exponent of all ones in any float or scale that starts at an even byte.
        uint64_t safe = state & 0xbfbfbfbfbfbfbfbfu;
        memcpy(data + i, &safe, 8);
    }
    struct error err = {0};
    struct weight *w = b->ops->weight_new(
        b,
        &(struct weight_source){
            .use = WEIGHT_MATMUL, .dtype = type, .rows = rows, .cols = cols, .data = data},
        &err);
    free(data);
    if (!w) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return w;
}

static void multiply(const struct model *m, const struct weight *w, int n)
{
    m->b->ops->matmul(m->b, &(struct matmul_args){
                                .x = m->x, .n_rows = n, .n_out = 1, .out = {{.w = w, .y = m->y}}});
}

// With one thread on a busy machine, CPU time tells more than the clock.
static bool cpu_time;

static double at(double *t, size_t n, double part)
{
    qsort(t, n, sizeof *t, by_value);
    return t[(size_t)((double)(n - 1) * part)];
}

static void measure(const struct model *m, int n, double seconds, double bytes)
{
    enum { SAMPLES = 20000 };
    static double layer_s[SAMPLES], head_s[SAMPLES];
    size_t n_layer = 0, n_head = 0;
    int head_rows = n > 64 ? 1 : n;
    double until = clock_s() + seconds;
    do {
        for (int i = 0; i < m->n_layers && n_layer < SAMPLES; i++) {
            double start = timing_s(cpu_time);
            multiply(m, m->layers[i].qkv, n);
            multiply(m, m->layers[i].o, n);
            multiply(m, m->layers[i].gate_up, n);
            multiply(m, m->layers[i].down, n);
            layer_s[n_layer++] = timing_s(cpu_time) - start;
        }
        double start = timing_s(cpu_time);
        multiply(m, m->head, head_rows);
        if (n_head < SAMPLES)
            head_s[n_head++] = timing_s(cpu_time) - start;
    } while (clock_s() < until);
    double layers = m->n_layers;
    double weights = layers * ((double)EMBD * (QKV + EMBD + GATE_UP + FF));
    double median = at(layer_s, n_layer, 0.5) * layers + at(head_s, n_head, 0.5);
    double p10 = at(layer_s, n_layer, 0.1) * layers + at(head_s, n_head, 0.1);
    double operations = 2 * (weights * n + (double)EMBD * VOCAB * head_rows) / median;
    (void)printf("%5d rows  %8.2f ms  (p10 %8.2f)  %8.1f tok/s  (p10 %8.1f)  %6.1f GB/s  %6.3f "
                 "TOPS\n",
                 n, median * 1e3, p10 * 1e3, n / median, n / p10, bytes / median * 1e-9,
                 operations * 1e-12);
}

// Everything of a layer that is no matrix product, for n_rows rows of one sequence ending at `len`.
static void measure_rest(const struct model *m, int n_rows, int len, double seconds)
{
    enum { HEADS = 32, KV_HEADS = 4, DIM = 64, SAMPLES = 2000 };
    static double attention_s[SAMPLES], rest_s[SAMPLES];
    const struct backend_ops *ops = m->b->ops;
    struct error err = {0};
    int n_pages = (len + PAGE_TOKENS - 1) / PAGE_TOKENS;
    struct kv_shape shape = {1, KV_HEADS, DIM, n_pages, DTYPE_F16};
    struct kv_cache *kv = ops->kv_new(m->b, &shape, &err);
    struct batch *batch = batch_new(n_rows, 1, 1, n_pages);
    float *q = ops->alloc(m->b, (size_t)n_rows * QKV, &err);
    float *table = ops->alloc(m->b, (size_t)n_rows * DIM, &err), inv_freq[DIM / 2];
    if (!kv || !q || !table)
        exit(1);
    for (int i = 0; i < DIM / 2; i++)
        inv_freq[i] = 1.0f / (float)(1 + i * i);
    (void)batch_add_seq(batch, len);
    for (int i = 0; i < n_pages; i++)
        batch_pages(batch, 0, 0)[i] = i;
    for (int i = 0; i < n_rows; i++)
        (void)batch_add_row(batch, 0, 0, len - n_rows + i, WANT_NOTHING);
    size_t n = 0;
    ops->begin(m->b, batch);
    ops->rope_table(
        m->b, &(struct rope_table_args){.out = table, .inv_freq = inv_freq, .n_freqs = DIM / 2});
    for (double until = clock_s() + seconds; clock_s() < until && n < SAMPLES; n++) {
        memcpy(q, m->x, (size_t)n_rows * QKV * sizeof(float));
        double start = timing_s(cpu_time);
        ops->rope_store(m->b, &(struct rope_store_args){.q = q,
                                                        .k = q + EMBD,
                                                        .v = q + EMBD + KV_HEADS * DIM,
                                                        .q_stride = QKV,
                                                        .k_stride = QKV,
                                                        .v_stride = QKV,
                                                        .table = table,
                                                        .n_freqs = DIM / 2,
                                                        .n_heads = HEADS,
                                                        .n_kv_heads = KV_HEADS,
                                                        .head_dim = DIM,
                                                        .kv = kv});
        for (int i = 0; i < 2; i++)
            ops->norm(m->b, &(struct norm_args){.out = m->y,
                                                .x = m->x,
                                                .add = m->y + (size_t)ROWS_MAX * EMBD,
                                                .n_rows = n_rows,
                                                .n = EMBD,
                                                .eps = 1e-5f});
        ops->glu(m->b, &(struct glu_args){
                           .out = m->y, .gate = m->x, .up = m->x, .n_rows = n_rows, .n = FF});
        rest_s[n] = timing_s(cpu_time) - start;
        start = timing_s(cpu_time);
        ops->attention(m->b, &(struct attention_args){.q = q,
                                                      .q_stride = QKV,
                                                      .out = m->y,
                                                      .kv = kv,
                                                      .n_heads = HEADS,
                                                      .n_kv_heads = KV_HEADS,
                                                      .head_dim = DIM,
                                                      .scale = 0.125f});
        attention_s[n] = timing_s(cpu_time) - start;
    }
    ops->end(m->b);
    (void)printf("%5d rows to position %d: attention %.3f ms, norms, rope and silu %.3f ms, times "
                 "%d layers\n",
                 n_rows, len, at(attention_s, n, 0.5) * 1e3, at(rest_s, n, 0.5) * 1e3, m->n_layers);
    ops->kv_free(m->b, kv);
    ops->release(m->b, q, (size_t)n_rows * QKV);
    ops->release(m->b, table, (size_t)n_rows * DIM);
    batch_free(batch);
}

struct probe {
    const uint64_t *memory;
    size_t words_per_item;
    _Atomic uint64_t sink;
};

static void read_item(void *self, int item, int worker)
{
    struct probe *p = self;
    const uint64_t *w = p->memory + (size_t)item * p->words_per_item;
    uint64_t a = 0, b = 0, c = 0, d = 0;
    (void)worker;
    for (size_t i = 0; i < p->words_per_item; i += 8) {
        __builtin_prefetch(w + i + 512, 0, 2);
        a ^= w[i] ^ w[i + 1];
        b ^= w[i + 2] ^ w[i + 3];
        c ^= w[i + 4] ^ w[i + 5];
        d ^= w[i + 6] ^ w[i + 7];
    }
    atomic_fetch_xor(&p->sink, a ^ b ^ c ^ d);
}

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512vnni"))) static void int8_item(void *self, int item,
                                                                    int worker)
{
    __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0,
            s7 = s0, w = _mm512_set1_epi8((char)(item + worker));
    struct probe *p = self;
    for (int i = 0; i < 20000; i++)
        __asm__ volatile("vpdpbusd %8, %8, %0\n vpdpbusd %8, %8, %1\n vpdpbusd %8, %8, %2\n"
                         "vpdpbusd %8, %8, %3\n vpdpbusd %8, %8, %4\n vpdpbusd %8, %8, %5\n"
                         "vpdpbusd %8, %8, %6\n vpdpbusd %8, %8, %7\n"
                         : "+v"(s0), "+v"(s1), "+v"(s2), "+v"(s3), "+v"(s4), "+v"(s5), "+v"(s6),
                           "+v"(s7)
                         : "v"(w));
    s0 = _mm512_add_epi32(_mm512_add_epi32(s0, s1), _mm512_add_epi32(s2, s3));
    s4 = _mm512_add_epi32(_mm512_add_epi32(s4, s5), _mm512_add_epi32(s6, s7));
    atomic_fetch_xor(&p->sink, (uint64_t)_mm512_reduce_add_epi32(_mm512_add_epi32(s0, s4)));
}
#endif

static void probe_machine(int threads)
{
    enum { WORDS = 32 << 20, ITEMS = 64, TIMES = 15 };  // 256 MB
    struct thread_pool *pool = thread_pool_new(threads, NULL);
    uint64_t *memory = memory_big_new((size_t)WORDS * 8 + 8192);
    if (!memory)
        exit(1);
    for (size_t i = 0; i < WORDS; i += 64)
        memory[i] = i;
    struct probe p = {.memory = memory, .words_per_item = WORDS / ITEMS};
    double reads[TIMES], products[TIMES];
    for (int i = 0; i < TIMES; i++) {
        double start = timing_s(cpu_time);
        thread_pool_run(pool, read_item, &p, ITEMS);
        reads[i] = timing_s(cpu_time) - start;
        products[i] = 0;
#if defined(__x86_64__)
        if (isa_detect() & ISA_AVX512_VNNI) {
            start = timing_s(cpu_time);
            thread_pool_run(pool, int8_item, &p, 4 * threads);
            products[i] = timing_s(cpu_time) - start;
        }
#endif
    }
    double bytes = (double)WORDS * 8, ops = 4.0 * threads * 20000 * 8 * 128;
    double read = at(reads, TIMES, 0.5), product = at(products, TIMES, 0.5);
    (void)printf("probe: reads %.1f GB/s (best %.1f)", bytes / read * 1e-9,
                 bytes / reads[0] * 1e-9);
    if (product > 0)
        (void)printf(", vpdpbusd %.2f TOPS (best %.2f)", ops / product * 1e-12,
                     ops / products[0] * 1e-12);
    (void)printf("\n");
    memory_big_free(memory, (size_t)WORDS * 8 + 8192);
    thread_pool_free(pool);
}

static void model_init(struct model *m, enum dtype type, int n_layers)
{
    struct error err = {0};
    m->n_layers = n_layers;
    m->layers = memory_array(struct layer, (size_t)n_layers);
    for (int i = 0; i < n_layers; i++) {
        m->layers[i].qkv = random_weight(m->b, type, QKV, EMBD);
        m->layers[i].o = random_weight(m->b, type, EMBD, EMBD);
        m->layers[i].gate_up = random_weight(m->b, type, GATE_UP, EMBD);
        m->layers[i].down = random_weight(m->b, type, EMBD, FF);
    }
    m->head = random_weight(m->b, type, VOCAB, EMBD);
    m->x = m->b->ops->alloc(m->b, (size_t)ROWS_MAX * FF, &err);
    m->y = m->b->ops->alloc(m->b, (size_t)ROWS_MAX * VOCAB, &err);
    if (!m->x || !m->y)
        exit(1);
    for (size_t i = 0; i < (size_t)ROWS_MAX * FF; i++)
        m->x[i] = (float)((i * 2654435761u >> 8) % 2001) / 1000.0f - 1.0f;
}

static void model_release(struct model *m)
{
    const struct backend_ops *ops = m->b->ops;
    for (int i = 0; i < m->n_layers; i++) {
        ops->weight_free(m->b, m->layers[i].qkv);
        ops->weight_free(m->b, m->layers[i].o);
        ops->weight_free(m->b, m->layers[i].gate_up);
        ops->weight_free(m->b, m->layers[i].down);
    }
    ops->weight_free(m->b, m->head);
    ops->release(m->b, m->x, (size_t)ROWS_MAX * FF);
    ops->release(m->b, m->y, (size_t)ROWS_MAX * VOCAB);
    free(m->layers);
    backend_free(m->b);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"type", required_argument, NULL, 't'},    {"threads", required_argument, NULL, 'n'},
        {"isa", required_argument, NULL, 'i'},     {"layers", required_argument, NULL, 'l'},
        {"seconds", required_argument, NULL, 's'}, {"rows", required_argument, NULL, 'r'},
        {"cpu-time", no_argument, NULL, 'c'},      {NULL, 0, NULL, 0},
    };
    enum dtype type = DTYPE_Q4_0;
    struct cpu_options o = {0};
    int layers = 22, only = 0;
    double seconds = 3;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 't' && !dtype_from_name(optarg, &type))
            return 2;
        if (c == 'n')
            o.threads = (int)strtol(optarg, NULL, 10);
        if (c == 'i')
            o.isa = optarg;
        if (c == 'l')
            layers = (int)strtol(optarg, NULL, 10);
        if (c == 'r')
            only = (int)strtol(optarg, NULL, 10);
        if (c == 'c')
            cpu_time = true;
        if (c == 's')
            seconds = strtod(optarg, NULL);
        if (c == '?' || layers < 1 || only > ROWS_MAX)
            return 2;
    }
    struct error err = {0};
    struct model m = {.b = backend_cpu_new(&o, &err)};
    if (!m.b) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    int threads = o.threads > 0 ? o.threads : thread_pool_default_size();
    model_init(&m, type, layers);
    double weights = (double)layers * EMBD * (QKV + EMBD + GATE_UP + FF) + (double)EMBD * VOCAB;
    double bytes = weights * dtype_info(type)->block_bytes / dtype_info(type)->block_len;
    (void)printf("%s, %s, %d layers, %.0f M weights, %.0f MB\n", dtype_name(type),
                 m.b->ops->describe(m.b), layers, weights * 1e-6, bytes * 1e-6);
    probe_machine(threads);
    static const int rows[] = {1, 2, 4, 8, 16, 32, 512};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (only == 0 || only == rows[i])
            measure(&m, rows[i], seconds, bytes);
    measure_rest(&m, 512, 512, seconds);
    measure_rest(&m, 1, 512, seconds);
    measure_rest(&m, 1, 4096, seconds);
    probe_machine(threads);
    model_release(&m);
    return 0;
}
