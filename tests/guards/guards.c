// guards.c - a small fixed workload for each hot path, whose instructions tools/run-guards counts.
//
// Time on a shared machine says little; how many instructions a step takes hardly changes from run
// to run. Each guard_* function is one path: what it calls is counted, what main prepares is not.
// One thread, fixed numbers, AVX2 kernels. Numbers of weights mean nothing, their shapes do.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "local/eval/score.h"
#include "local/formats/model_file.h"
#include "local/models/model.h"
#include "local/sampling/sampler.h"
#include "local/tokenizer/tokenizer.h"

#include "../support/forward.h"

#define GUARD __attribute__((noinline))
enum { PROMPT = 64, STEPS = 4, VOCAB = 32000, DRAWS = 8, ROWS = 256, COLS = 512, MANY = 32 };

struct subject {
    struct backend *cpu;
    struct model_file *file;
    struct tokenizer *tokenizer;
    struct model *model;
    struct forward forward;
    float *out, *logits;  // of the model; [VOCAB]
    struct sampler *sampler;
    struct buf text;
    int32_t tokens[PROMPT + STEPS];
};

static void stop(const struct error *err)
{
    (void)fprintf(stderr, "guards: %s\n", err->text);
    exit(1);
}

static float number(uint64_t seed)
{
    return (float)(hash_mix(seed) >> 40) * 0x1p-24f;
}

static void prepare(struct subject *s)
{
    struct error err = {0};
    s->cpu = backend_cpu_new(&(struct cpu_options){.threads = 1, .isa = "avx2"}, &err);
    s->file = s->cpu ? model_file_open("models/hearth-small.gguf", MODEL_ALL, &err) : NULL;
    s->tokenizer = s->file ? tokenizer_open(s->file, &err) : NULL;
    struct model_options o = {.ctx = 128, .max_rows = PROMPT, .max_wanted = 1, .threads = 1};
    s->model = s->tokenizer ? model_load(s->file, s->cpu, &o, &err) : NULL;
    if (!s->model ||
        !file_read("docs/examples/declaration-of-independence.txt", 1 << 20, &s->text, &err))
        stop(&err);
    forward_open(&s->forward, s->model, DTYPE_F16, 1, PROMPT + STEPS);
    s->out = memory_array(float, (size_t)model_n_vocab(s->model));
    s->logits = memory_array(float, VOCAB);
    for (int i = 0; i < PROMPT + STEPS; i++)
        s->tokens[i] = (int32_t)(hash_mix((uint64_t)i) % 1000);
    struct sampling sampling;
    sampling_defaults(&sampling);
    sampling.repetition_penalty = 1.1f;
    s->sampler = sampler_new(&sampling, VOCAB, 0);
}

static void release(struct subject *s)
{
    sampler_free(s->sampler);
    free(s->logits);
    free(s->out);
    forward_close(&s->forward);
    model_free(s->model);
    tokenizer_close(s->tokenizer);
    model_file_close(s->file);
    backend_free(s->cpu);
    buf_release(&s->text);
}

static void step(struct subject *s, int from, int n)
{
    struct forward *f = &s->forward;
    batch_clear(f->batch);
    int seq = batch_add_seq(f->batch, PROMPT + STEPS);
    for (int g = 0; g < model_n_groups(s->model); g++)
        for (int i = 0; i < f->pages_per_seq; i++)
            batch_pages(f->batch, g, seq)[i] = i;
    for (int i = 0; i < n; i++)
        (void)batch_add_row(f->batch, seq, s->tokens[from + i], from + i,
                            i == n - 1 ? WANT_LOGITS : WANT_NOTHING);
    model_forward(s->model, f->kv, f->batch, s->out);
}

GUARD void guard_prefill(struct subject *s);
GUARD void guard_decode(struct subject *s);
GUARD void guard_tokenizer(struct subject *s);
GUARD void guard_sampler(struct subject *s);
GUARD void guard_score(struct subject *s);

void guard_prefill(struct subject *s)
{
    step(s, 0, PROMPT);
}

void guard_decode(struct subject *s)
{
    for (int i = 0; i < STEPS; i++)
        step(s, PROMPT + i, 1);
}

void guard_tokenizer(struct subject *s)
{
    struct tokens tokens = {0};
    struct error err;
    if (!tokenizer_encode(s->tokenizer, buf_view(&s->text), TOKENIZE_PLAIN, &tokens, &err))
        stop(&err);
    tokens_release(&tokens);
}

void guard_sampler(struct subject *s)
{
    for (int i = 0; i < DRAWS; i++) {
        struct token_logprob chosen;
        struct error err;
        for (int k = 0; k < VOCAB; k++)
            s->logits[k] = (float)(k * 7919 % VOCAB) * (24.0f / VOCAB);
        int32_t token = sampler_pick(s->sampler, s->logits, i, NULL, &chosen, NULL, 0, &err);
        if (token < 0)
            stop(&err);
        sampler_accept(s->sampler, token, true);
    }
}

void guard_score(struct subject *s)
{
    static uint16_t distances[VOCAB];
    struct row_score row = score_kernels_best()->score(s->logits, VOCAB);
    score_kernels_best()->distances(distances, s->logits, row.max, VOCAB);
    (void)score_kernels_best()->diverge(distances, s->logits, row.max, VOCAB);
}

// One function a format and number of rows, so that each is a line of its own.
static void multiply(struct subject *s, const struct weight *w, int n_rows)
{
    static float x[MANY * COLS], y[MANY * ROWS];
    for (int i = 0; i < n_rows * COLS; i++)
        x[i] = number((uint64_t)i);
    struct matmul_args a = {.x = x, .n_rows = n_rows, .n_out = 1, .out = {{.w = w, .y = y}}};
    s->cpu->ops->matmul(s->cpu, &a);
}

#define MATMUL_GUARD(name)                                                                         \
    GUARD void guard_##name##_row(struct subject *s, const struct weight *w);                      \
    GUARD void guard_##name##_rows(struct subject *s, const struct weight *w);                     \
    void guard_##name##_row(struct subject *s, const struct weight *w)                             \
    {                                                                                              \
        multiply(s, w, 1);                                                                         \
    }                                                                                              \
    void guard_##name##_rows(struct subject *s, const struct weight *w)                            \
    {                                                                                              \
        multiply(s, w, MANY);                                                                      \
    }
MATMUL_GUARD(q4_0)
MATMUL_GUARD(q8_0)
MATMUL_GUARD(q4_k)
MATMUL_GUARD(q6_k)
MATMUL_GUARD(f16)

static struct weight *weight(struct subject *s, enum dtype type)
{
    uint64_t bytes = 0;
    struct error err;
    (void)dtype_bytes(type, (uint64_t)ROWS * COLS, &bytes);
    uint8_t *data = memory_new(bytes, 1);
    for (uint64_t i = 0; i < bytes; i++)  // no scale of all ones
        data[i] = (uint8_t)(hash_mix(i) & 0x37);
    struct weight_source source = {WEIGHT_MATMUL, type, ROWS, COLS, data, false, NULL};
    struct weight *w = s->cpu->ops->weight_new(s->cpu, &source, &err);
    if (!w)
        stop(&err);
    free(data);
    return w;
}

int main(void)
{
    static const struct {
        enum dtype type;
        void (*row)(struct subject *s, const struct weight *w);
        void (*rows)(struct subject *s, const struct weight *w);
    } matmuls[] = {{DTYPE_Q4_0, guard_q4_0_row, guard_q4_0_rows},
                   {DTYPE_Q8_0, guard_q8_0_row, guard_q8_0_rows},
                   {DTYPE_Q4_K, guard_q4_k_row, guard_q4_k_rows},
                   {DTYPE_Q6_K, guard_q6_k_row, guard_q6_k_rows},
                   {DTYPE_F16, guard_f16_row, guard_f16_rows}};
    static struct subject s;
    prepare(&s);
    guard_prefill(&s);
    guard_decode(&s);
    guard_tokenizer(&s);
    guard_sampler(&s);
    guard_score(&s);
    for (size_t i = 0; i < sizeof matmuls / sizeof *matmuls; i++) {
        struct weight *w = weight(&s, matmuls[i].type);
        matmuls[i].row(&s, w);
        matmuls[i].rows(&s, w);
        s.cpu->ops->weight_free(s.cpu, w);
    }
    release(&s);
    return 0;
}
