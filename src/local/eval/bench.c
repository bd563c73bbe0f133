#include "local/eval/bench.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/doubles.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "local/eval/probe.h"
#include "local/eval/roofline.h"
#include "local/models/model.h"

enum { REPEATS = 3, REPEATS_MAX = 1000 };

struct bench {
    struct model *m;
    const struct bench_options *o;
    struct bench_result *out;
    int max_rows, repeats, n_pages, pages_per_seq;
    enum dtype kv_type;
    struct kv_cache *kv[BATCH_GROUPS_MAX];
    struct batch *batch;
    float *logits;
    size_t logits_bytes;
    uint64_t random;
    int done, total;  // measurements
};

static int most(int a, int b)
{
    return a > b ? a : b;
}

static int largest(const int *list, int n)
{
    int largest = 0;
    for (int i = 0; i < n; i++)
        largest = most(largest, list[i]);
    return largest;
}

static int largest_batch(const struct bench_options *o)
{
    return most(1, largest(o->batch, o->n_batch));
}

int bench_ctx(const struct bench_options *o)
{
    int ctx = most(largest(o->prefill, o->n_prefill), o->depth + o->decode);
    return most(ctx, BENCH_BATCH_PROMPT + BENCH_BATCH_STEPS);
}

static int pages_for(int n)
{
    return (n + PAGE_TOKENS - 1) / PAGE_TOKENS;
}

static bool check(struct bench *b, struct error *err)
{
    int max_wanted, max_seqs, batch = largest_batch(b->o), ctx = bench_ctx(b->o);
    model_limits(b->m, &b->max_rows, &max_wanted, &max_seqs);
    for (int i = 0; i < b->o->n_prefill; i++)
        if (b->o->prefill[i] < 1)
            return error_set(err, ERR_USAGE, "a prompt of %d tokens", b->o->prefill[i]);
    if (b->o->decode < 0 || b->o->depth < 0 || b->o->repeats < 0 || b->o->repeats > REPEATS_MAX)
        return error_set(err, ERR_USAGE,
                         "numbers of tokens and repeats cannot be negative, nor "
                         "repeats more than %d",
                         REPEATS_MAX);
    if (ctx > model_ctx(b->m))
        return error_set(err, ERR_USAGE, "%d tokens are more than the context of %d", ctx,
                         model_ctx(b->m));
    if (batch > max_seqs || batch > max_wanted || batch > b->max_rows)
        return error_set(err, ERR_USAGE, "a batch of %d sequences: the model was loaded for %d",
                         batch, max_seqs < max_wanted ? max_seqs : max_wanted);
    return true;
}

static bool prepare(struct bench *b, struct error *err)
{
    if (!kv_type_from_name(b->o->kv_type, &b->kv_type, err))
        return false;
    if (b->kv_type == DTYPE_COUNT)
        b->kv_type = model_kv_default(b->m);
    struct backend *backend = model_backend(b->m);
    int n_seqs = largest_batch(b->o);
    b->repeats = b->o->repeats ? b->o->repeats : REPEATS;
    b->pages_per_seq = pages_for(BENCH_BATCH_PROMPT + BENCH_BATCH_STEPS);
    b->n_pages = most(pages_for(bench_ctx(b->o)), n_seqs * b->pages_per_seq);
    for (int g = 0; g < model_n_groups(b->m); g++) {
        const struct kv_group *group = model_group(b->m, g);
        struct kv_shape shape = {.n_layers = group->n_layers,
                                 .n_kv_heads = group->n_kv_heads,
                                 .head_dim = group->head_dim,
                                 .n_pages = b->n_pages,
                                 .dtype = b->kv_type};
        b->kv[g] = backend->ops->kv_new(backend, &shape, err);
        if (!b->kv[g])
            return false;
    }
    b->batch = batch_new(b->max_rows, n_seqs, model_n_groups(b->m), b->n_pages);
    b->logits_bytes = (size_t)n_seqs * (size_t)model_n_vocab(b->m) * sizeof(float);
    b->logits = memory_big_new(b->logits_bytes);
    return b->logits || error_set(err, ERR_MEMORY, "no memory for logits");
}

static void release(struct bench *b)
{
    struct backend *backend = model_backend(b->m);
    for (int g = 0; g < BATCH_GROUPS_MAX; g++)
        if (b->kv[g])
            backend->ops->kv_free(backend, b->kv[g]);
    batch_free(b->batch);
    if (b->logits)
        memory_big_free(b->logits, b->logits_bytes);
}

static void add_rows(struct bench *b, int first_page, int n_pages, int from, int n, bool wanted)
{
    int seq = batch_add_seq(b->batch, bench_ctx(b->o));
    for (int g = 0; g < b->batch->n_groups; g++)
        for (int i = 0; i < n_pages; i++)
            batch_pages(b->batch, g, seq)[i] = first_page + i;
    for (int i = 0; i < n; i++) {
        int32_t token = (int32_t)(hash_mix(b->random++) % (uint64_t)model_n_vocab(b->m));
        batch_add_row(b->batch, seq, token, from + i,
                      wanted && i == n - 1 ? WANT_LOGITS : WANT_NOTHING);
    }
}

static void forward(struct bench *b)
{
    model_forward(b->m, b->kv, b->batch, b->logits);
}

static void prefill(struct bench *b, int n)
{
    for (int from = 0; from < n; from += b->max_rows) {
        int rows = n - from < b->max_rows ? n - from : b->max_rows;
        batch_clear(b->batch);
        add_rows(b, 0, b->n_pages, from, rows, from + rows == n);
        forward(b);
    }
}

static void decode(struct bench *b, int depth, int n)
{
    for (int i = 0; i < n; i++) {
        batch_clear(b->batch);
        add_rows(b, 0, b->n_pages, depth + i, 1, true);
        forward(b);
    }
}

static void batch_prompts(struct bench *b, int n_seqs)
{
    batch_clear(b->batch);
    for (int s = 0; s < n_seqs; s++) {
        for (int from = 0; from < BENCH_BATCH_PROMPT;) {
            int room = b->max_rows - b->batch->n_rows, n = BENCH_BATCH_PROMPT - from;
            n = n < room ? n : room;
            add_rows(b, s * b->pages_per_seq, b->pages_per_seq, from, n, false);
            from += n;
            if (b->batch->n_rows == b->max_rows) {
                forward(b);
                batch_clear(b->batch);
            }
        }
    }
    if (b->batch->n_rows)
        forward(b);
}

static void batch_decode(struct bench *b, int n_seqs)
{
    for (int i = 0; i < BENCH_BATCH_STEPS; i++) {
        batch_clear(b->batch);
        for (int s = 0; s < n_seqs; s++)
            add_rows(b, s * b->pages_per_seq, b->pages_per_seq, BENCH_BATCH_PROMPT + i, 1, true);
        forward(b);
    }
}

static bool next_measurement(struct bench *b, const char *what, struct error *err)
{
    if (b->o->progress && !b->o->progress(b->o->progress_self, what, b->done, b->total))
        return error_set(err, ERR_CANCELLED, "interrupted");
    b->done++;
    return true;
}

// Steps a second of that shape, and what they come to, are added to the rate.
static void add_step(const struct bench *b, struct bench_rate *r, double per_s,
                     const struct step_shape *s)
{
    r->gbytes_per_s += step_bytes(b->m, s) * per_s * 1e-9;
    r->tops += step_operations(b->m, s) * per_s * 1e-12;
}

static bool measure_prefill(struct bench *b, int n, struct error *err)
{
    double rates[REPEATS_MAX] = {0};
    for (int i = 0; i < b->repeats; i++) {
        if (!next_measurement(b, "prefill", err))
            return false;
        double start = clock_s();
        prefill(b, n);
        rates[i] = n / (clock_s() - start);
    }
    struct bench_rate *r = &b->out->prefill[b->out->n_prefill++];
    *r = (struct bench_rate){.n = n, .tokens_per_s = doubles_median(rates, (size_t)b->repeats)};
    for (int from = 0; from < n; from += b->max_rows) {
        int rows = n - from < b->max_rows ? n - from : b->max_rows;
        struct step_shape s = {rows, from + rows == n, 1, from + rows, b->kv_type};
        add_step(b, r, r->tokens_per_s / n, &s);
    }
    return true;
}

static bool measure_decode(struct bench *b, struct error *err)
{
    double rates[REPEATS_MAX] = {0};
    if (!next_measurement(b, "filling the context", err))
        return false;
    prefill(b, b->o->depth);
    for (int i = 0; i < b->repeats; i++) {
        if (!next_measurement(b, "decode", err))
            return false;
        double start = clock_s();
        decode(b, b->o->depth, b->o->decode);
        rates[i] = b->o->decode / (clock_s() - start);
    }
    struct bench_rate *r = &b->out->decode;
    *r = (struct bench_rate){.n = b->o->decode,
                             .tokens_per_s = doubles_median(rates, (size_t)b->repeats)};
    b->out->depth = b->o->depth;
    struct step_shape s = {1, 1, 1, b->o->depth + b->o->decode / 2, b->kv_type};
    add_step(b, r, r->tokens_per_s, &s);
    return true;
}

static bool measure_batch(struct bench *b, int n_seqs, struct error *err)
{
    double rates[REPEATS_MAX] = {0};
    batch_prompts(b, n_seqs);
    for (int i = 0; i < b->repeats; i++) {
        if (!next_measurement(b, "batch", err))
            return false;
        double start = clock_s();
        batch_decode(b, n_seqs);
        rates[i] = (double)n_seqs * BENCH_BATCH_STEPS / (clock_s() - start);
    }
    struct bench_rate *r = &b->out->batch[b->out->n_batch++];
    *r =
        (struct bench_rate){.n = n_seqs, .tokens_per_s = doubles_median(rates, (size_t)b->repeats)};
    int seen = BENCH_BATCH_PROMPT + BENCH_BATCH_STEPS / 2;
    struct step_shape s = {n_seqs, n_seqs, n_seqs, seen, b->kv_type};
    add_step(b, r, r->tokens_per_s / n_seqs, &s);
    return true;
}

static bool probe_machine(struct bench *b, struct error *err)
{
    if (!next_measurement(b, "the machine", err))
        return false;
    double read = probe_read_gbytes_per_s(b->out->threads);
    double tops = probe_int8_tops(b->out->threads);
    if (read > b->out->read_gbytes_per_s)
        b->out->read_gbytes_per_s = read;
    if (tops > b->out->int8_tops)
        b->out->int8_tops = tops;
    return true;
}

static bool measure(struct bench *b, struct error *err)
{
    const struct bench_options *o = b->o;
    b->total = 2 + (o->n_prefill + o->n_batch) * b->repeats + (o->decode ? b->repeats + 1 : 0);
    if (!probe_machine(b, err))
        return false;
    model_warm_up(b->m);
    prefill(b, BENCH_BATCH_PROMPT);  // what is mapped and not yet touched, costs only here
    decode(b, BENCH_BATCH_PROMPT, 1);
    for (int i = 0; i < o->n_prefill; i++)
        if (!measure_prefill(b, o->prefill[i], err))
            return false;
    if (o->decode && !measure_decode(b, err))
        return false;
    for (int i = 0; i < o->n_batch; i++)
        if (!measure_batch(b, o->batch[i], err))
            return false;
    return probe_machine(b, err);
}

bool bench_run(struct model *m, const struct bench_options *o, struct bench_result *out,
               struct error *err)
{
    struct bench b = {.m = m, .o = o, .out = out, .random = 1};
    *out = (struct bench_result){.threads = o->threads > 0 ? o->threads : probe_cores()};
    bool ok = check(&b, err) && prepare(&b, err) && measure(&b, err);
    release(&b);
    return ok;
}
