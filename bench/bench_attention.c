// bench_attention.c - attention over a long context, without the model.
//
//   bench_attention [--kv f16] [--threads N] [--isa NAME] [--heads 32] [--kv-heads 4] [--dim 64]
//                  [--layers 22] [--seconds 1] [--cpu-time] [--rows N] [--end N]
//
// One layer with K and V of 8,192 positions, the TinyLlama-1.1B shape unless told otherwise. A
// prompt's chunk of 512 rows ending at several positions, and single rows (decoding); --rows and
// --end give one number of rows and one position instead. Reported: median and tenth percentile,
// multiply-adds a second (of what a row sees), and bytes of K and V that single rows read. A probe
// of multiply-adds on registers stands before and after.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "local/backend/backend.h"
#include "timing.h"

enum { ROWS = 512, LEN = 8192, PAGES = LEN / PAGE_TOKENS, SAMPLES = 4000 };

struct setup {
    struct backend *b;
    struct kv_cache *kv;
    struct batch *batch;
    int heads, kv_heads, dim, layers;
    int rows, end;  // 0: all
    enum dtype type;
    float *qkv, *out;
    double seconds;
    bool cpu_time;
};

static int width(const struct setup *s)
{
    return (s->heads + 2 * s->kv_heads) * s->dim;
}

static void begin(const struct setup *s, int first, int n)
{
    batch_clear(s->batch);
    (void)batch_add_seq(s->batch, LEN);
    for (int i = 0; i < PAGES; i++)
        batch_pages(s->batch, 0, 0)[i] = i;
    for (int i = 0; i < n; i++)
        (void)batch_add_row(s->batch, 0, 0, first + i, WANT_NOTHING);
    s->b->ops->begin(s->b, s->batch);
}

static void store(const struct setup *s)
{
    float *k = s->qkv + (ptrdiff_t)s->heads * s->dim;
    s->b->ops->rope_store(s->b, &(struct rope_store_args){.q = s->qkv,
                                                          .k = k,
                                                          .v = k + (ptrdiff_t)s->kv_heads * s->dim,
                                                          .q_stride = width(s),
                                                          .k_stride = width(s),
                                                          .v_stride = width(s),
                                                          .n_heads = s->heads,
                                                          .n_kv_heads = s->kv_heads,
                                                          .head_dim = s->dim,
                                                          .kv = s->kv});
}

static void attend(const struct setup *s)
{
    s->b->ops->attention(s->b, &(struct attention_args){.q = s->qkv,
                                                        .q_stride = width(s),
                                                        .out = s->out,
                                                        .kv = s->kv,
                                                        .n_heads = s->heads,
                                                        .n_kv_heads = s->kv_heads,
                                                        .head_dim = s->dim,
                                                        .scale = 0.125f});
}

static void measure(const struct setup *s, int n_rows, int len)
{
    static double attention_s[SAMPLES], store_s[SAMPLES];
    size_t n = 0;
    begin(s, len - n_rows, n_rows);
    for (double until = clock_s() + s->seconds; n < 3 || (clock_s() < until && n < SAMPLES); n++) {
        double start = timing_s(s->cpu_time);
        store(s);
        double middle = timing_s(s->cpu_time);
        attend(s);
        store_s[n] = middle - start;
        attention_s[n] = timing_s(s->cpu_time) - middle;
    }
    s->b->ops->end(s->b);
    qsort(attention_s, n, sizeof *attention_s, by_value);
    qsort(store_s, n, sizeof *store_s, by_value);
    double median = attention_s[n / 2], p10 = attention_s[n / 10];
    double seen = (double)len - (double)(n_rows - 1) / 2;
    double adds = 2.0 * n_rows * seen * s->heads * s->dim;
    struct kv_shape one = {1, s->kv_heads, s->dim, 1, s->type};
    double bytes = (double)kv_page_bytes(&one) / PAGE_TOKENS * len;
    (void)printf("%4d rows to position %5d: %9.3f ms (p10 %9.3f)  %6.2f G multiply-adds/s", n_rows,
                 len, median * 1e3, p10 * 1e3, adds / median * 1e-9);
    if (n_rows == 1)
        (void)printf("  %5.1f GB/s", bytes / median * 1e-9);
    (void)printf("  storing %.3f ms; %d layers: %.2f ms\n", store_s[n / 2] * 1e3, s->layers,
                 s->layers * (median + store_s[n / 2]) * 1e3);
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static void multiply_adds(int n)
{
    __m256 a[10], x = _mm256_set1_ps(0.5f);
    for (int i = 0; i < 10; i++)
        a[i] = _mm256_set1_ps((float)i);
    for (int i = 0; i < n; i++)
        __asm__ volatile(
            "vfmadd231ps %10, %10, %0\n vfmadd231ps %10, %10, %1\n vfmadd231ps %10, %10, %2\n"
            "vfmadd231ps %10, %10, %3\n vfmadd231ps %10, %10, %4\n vfmadd231ps %10, %10, %5\n"
            "vfmadd231ps %10, %10, %6\n vfmadd231ps %10, %10, %7\n vfmadd231ps %10, %10, %8\n"
            "vfmadd231ps %10, %10, %9\n"
            : "+x"(a[0]), "+x"(a[1]), "+x"(a[2]), "+x"(a[3]), "+x"(a[4]), "+x"(a[5]), "+x"(a[6]),
              "+x"(a[7]), "+x"(a[8]), "+x"(a[9])
            : "x"(x));
}

static void probe(const struct setup *s)
{
    enum { TIMES = 41, STEPS = 20000 };
    double t[TIMES];
    for (int i = 0; i < TIMES; i++) {
        double start = timing_s(s->cpu_time);
        multiply_adds(STEPS);
        t[i] = timing_s(s->cpu_time) - start;
    }
    qsort(t, TIMES, sizeof *t, by_value);
    (void)printf("probe: %.1f G multiply-adds/s of one thread on 8-float registers (best %.1f)\n",
                 80.0 * STEPS / t[TIMES / 2] * 1e-9, 80.0 * STEPS / t[0] * 1e-9);
}
#else
static void probe(const struct setup *s)
{
    (void)s;
}
#endif

static bool prepare(struct setup *s, struct error *err)
{
    struct kv_shape shape = {1, s->kv_heads, s->dim, PAGES, s->type};
    size_t n = (size_t)ROWS * (size_t)width(s);
    if (!(s->kv = s->b->ops->kv_new(s->b, &shape, err)) ||
        !(s->qkv = s->b->ops->alloc(s->b, n, err)) || !(s->out = s->b->ops->alloc(s->b, n, err)))
        return false;
    for (size_t i = 0; i < n; i++)
        s->qkv[i] = (float)((i * 2654435761u >> 8) % 2001) / 1000.0f - 1.0f;
    s->batch = batch_new(ROWS, 1, 1, PAGES);
    for (int from = 0; from < LEN; from += ROWS) {
        begin(s, from, ROWS);
        store(s);
        s->b->ops->end(s->b);
    }
    return true;
}

static bool read_options(int argc, char **argv, struct setup *s, struct cpu_options *o)
{
    static const struct option options[] = {
        {"kv", required_argument, NULL, 'k'},       {"threads", required_argument, NULL, 't'},
        {"isa", required_argument, NULL, 'i'},      {"heads", required_argument, NULL, 'h'},
        {"kv-heads", required_argument, NULL, 'g'}, {"dim", required_argument, NULL, 'd'},
        {"layers", required_argument, NULL, 'l'},   {"seconds", required_argument, NULL, 's'},
        {"cpu-time", no_argument, NULL, 'c'},       {"rows", required_argument, NULL, 'r'},
        {"end", required_argument, NULL, 'e'},      {NULL, 0, NULL, 0},
    };
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int n = optarg ? (int)strtol(optarg, NULL, 10) : 0;
        switch (c) {
        case 'k':
            if (!dtype_from_name(optarg, &s->type))
                return false;
            break;
        case 't': o->threads = n; break;
        case 'i': o->isa = optarg; break;
        case 'h': s->heads = n; break;
        case 'g': s->kv_heads = n; break;
        case 'd': s->dim = n; break;
        case 'l': s->layers = n; break;
        case 's': s->seconds = strtod(optarg, NULL); break;
        case 'c': s->cpu_time = true; break;
        case 'r': s->rows = n; break;
        case 'e': s->end = n; break;
        default: return false;
        }
    }
    if (s->rows < 0 || s->rows > ROWS || s->end < 0 || s->end > LEN ||
        (s->end && (s->rows ? s->rows : ROWS) > s->end))
        return false;
    return s->heads > 0 && s->kv_heads > 0 && s->dim > 0 && s->heads % s->kv_heads == 0;
}

int main(int argc, char **argv)
{
    struct setup s = {
        .heads = 32, .kv_heads = 4, .dim = 64, .layers = 22, .type = DTYPE_F16, .seconds = 1};
    struct cpu_options o = {0};
    struct error err = {0};
    if (!read_options(argc, argv, &s, &o))
        return 2;
    s.b = backend_cpu_new(&o, &err);
    if (!s.b || !prepare(&s, &err)) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    (void)printf("%s, keys and values %s, %d heads of %d, %d of keys\n", s.b->ops->describe(s.b),
                 dtype_name(s.type), s.heads, s.dim, s.kv_heads);
    static const int rows[] = {ROWS, 1}, ends[] = {512, 2048, 8192};
    probe(&s);
    for (size_t k = 0; k < (s.rows ? 1 : 2); k++)
        for (size_t i = 0; i < (s.end ? 1 : 3); i++)
            measure(&s, s.rows ? s.rows : rows[k], s.end ? s.end : ends[i]);
    probe(&s);
    s.b->ops->release(s.b, s.qkv, (size_t)ROWS * (size_t)width(&s));
    s.b->ops->release(s.b, s.out, (size_t)ROWS * (size_t)width(&s));
    s.b->ops->kv_free(s.b, s.kv);
    backend_free(s.b);
    batch_free(s.batch);
    return 0;
}
