// test_engine_bits.c - what a request says does not depend, bit for bit, on how it was served.
//
// Small random models of several families (attention over everything, sliding windows, both,
// experts, rope that depends on the length) answer the same requests one at a time with one chunk
// for the prompt, then in other ways: all at once, in chunks of a few rows, with prefixes shared,
// with too few pages (preemption), on two threads. Tokens and the bits of every logprob must be
// equal. A short run under sanitizers (HEARTH_SHORT) takes one model of each kind.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "local/engine/engine.h"
#include "local/formats/model_file.h"
#include "local/models/model.h"

#include "../support/tiny_model.h"

enum { N_REQUESTS = 9, CHOICES = 3, N_NEW = 24, N_TOP = 2, PROMPT_MAX = 170, CTX = 200 };

struct said {
    int n[CHOICES];
    int32_t tokens[CHOICES][N_NEW];
    float logprobs[CHOICES][N_NEW][1 + N_TOP];
};

static size_t make_prompt(int i, int n_vocab, int32_t *prompt)
{
    uint64_t r = hash_mix((uint64_t)i + 40);
    size_t n = 1 + (size_t)(r % PROMPT_MAX), same = i % 3 ? n / 2 : n;
    for (size_t k = 0; k < n; k++) {
        uint64_t text = k < same ? 7 : (uint64_t)i * 1000;  // common beginnings, own ends
        prompt[k] = (int32_t)(hash_mix(text + k) % (uint64_t)n_vocab);
    }
    return n;
}

static struct engine_answer *submit(struct engine *e, int i, int n_vocab)
{
    int32_t prompt[PROMPT_MAX + 1];
    struct engine_request r = {.prompt = prompt, .max_tokens = N_NEW, .n_top = N_TOP};
    r.n_prompt = make_prompt(i, n_vocab, prompt);
    r.n_choices = i % 3 == 1 ? CHOICES : 1;
    sampling_defaults(&r.sampling);
    r.sampling.temperature = i % 2 ? 1.3f : 0;
    r.sampling.seed = (uint64_t)i;
    r.sampling.repetition_penalty = i % 4 == 3 ? 1.2f : 1;
    struct error err;
    struct engine_answer *a = engine_submit(e, &r, &err);
    if (!a)
        fail_msg("%s", err.text);
    return a;
}

static void listen(struct engine_answer *a, struct said *s)
{
    struct engine_event ev;
    memset(s, 0, sizeof *s);
    while (engine_next(a, &ev)) {
        assert_true(ev.kind != ENGINE_FINISH || ev.finish == FINISH_LENGTH);
        if (ev.kind != ENGINE_TOKEN)
            continue;
        int at = s->n[ev.choice]++;
        s->tokens[ev.choice][at] = ev.token;
        float *logprobs = s->logprobs[ev.choice][at];
        logprobs[0] = ev.logprob;
        for (int k = 0; k < N_TOP; k++)
            logprobs[1 + k] = ev.top[k].logprob;
    }
    engine_answer_free(a);
}

struct way {
    const char *name;
    bool together;
    int threads, max_rows, max_seqs, n_pages;  // of each group; 0: as many as are wanted
    bool no_prefix_cache;
};

static void serve(const struct model_file *file, enum dtype kv_type, const struct way *w,
                  struct said *said)
{
    struct error err;
    struct backend *cpu = backend_cpu_new(&(struct cpu_options){.threads = w->threads}, &err);
    struct model_options mo = {.ctx = CTX, .max_rows = w->max_rows, .max_seqs = w->max_seqs};
    struct model *m = model_load(file, cpu, &mo, &err);
    if (!m)
        fail_msg("%s", err.text);
    struct engine_options o = {
        .ctx = CTX, .kv_dtype = kv_type, .no_prefix_cache = w->no_prefix_cache};
    for (int g = 0; w->n_pages && g < model_n_groups(m); g++) {
        const struct kv_group *group = model_group(m, g);
        struct kv_shape shape = {.n_layers = group->n_layers,
                                 .n_kv_heads = group->n_kv_heads,
                                 .head_dim = group->head_dim,
                                 .n_pages = w->n_pages,
                                 .dtype = kv_type == DTYPE_COUNT ? model_kv_default(m) : kv_type};
        o.kv_bytes += (uint64_t)w->n_pages * kv_page_bytes(&shape);
    }
    struct engine *e = engine_new(m, NULL, &o, &err);
    if (!e)
        fail_msg("%s", err.text);
    struct engine_answer *answers[N_REQUESTS];
    for (int i = 0; i < N_REQUESTS; i++) {
        answers[i] = submit(e, i, model_n_vocab(m));
        if (!w->together)
            listen(answers[i], &said[i]);
    }
    for (int i = 0; w->together && i < N_REQUESTS; i++)
        listen(answers[i], &said[i]);
    struct engine_stats stats;
    engine_stats(e, &stats);
    if (w->n_pages)
        assert_true(stats.preemptions > 0);
    engine_free(e);
    model_free(m);
    backend_free(cpu);
}

// DTYPE_COUNT: the model's own type of keys and values.
static void check_file(const char *name, const struct model_file *file, enum dtype kv_type)
{
    static const struct way ways[] = {
        {"alone", false, 1, 512, 1, 0, true},
        {"together", true, 1, 512, 64, 0, true},
        {"prefixes shared", false, 1, 512, 64, 0, false},
        {"chunks of 11 rows", true, 1, 11, 8, 0, false},
        {"few pages", true, 1, 64, 8, 5, false},
        {"two threads", true, 2, 100, 8, 0, false},
    };
    static struct said want[N_REQUESTS], got[N_REQUESTS];
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        serve(file, kv_type, &ways[w], w ? got : want);
        for (int i = 0; w && i < N_REQUESTS; i++)
            if (memcmp(&got[i], &want[i], sizeof got[i]) != 0)
                fail_msg("%s, %s: request %d says something else", name, ways[w].name, i);
    }
    assert_int_equal(want[1].n[2], N_NEW);
    assert_memory_not_equal(want[1].tokens[0], want[1].tokens[1], sizeof want[1].tokens[0]);
}

static void check(const char *name)
{
    char *folder = temp_folder();
    json_t *golden = tiny_golden(name);
    tiny_model_write(golden, folder, &(struct tiny_options){0});
    struct error err;
    struct model_file *file = model_file_open(folder, MODEL_ALL, &err);
    if (!file)
        fail_msg("%s", err.text);
    check_file(name, file, DTYPE_COUNT);
    model_file_close(file);
    json_decref(golden);
    temp_folder_remove(folder);
}

static bool is_short(void)
{
    return getenv("HEARTH_SHORT") != NULL;
}

static void attention_over_everything(void **state)
{
    (void)state;
    check("llama-grouped");
}

static void a_sliding_window_everywhere(void **state)
{
    (void)state;
    check("mistral-window-page");
}

static void sliding_and_full_layers(void **state)
{
    (void)state;
    check("gemma2");
    if (!is_short())
        check("gemma3-linear");
}

static void experts(void **state)
{
    (void)state;
    check("mixtral");
    if (!is_short())
        check("qwen3moe");
}

static void rope_that_depends_on_the_length(void **state)
{
    (void)state;
    check("llama-dynamic");
    if (!is_short())
        check("phi3-longrope");
}

static void learned_positions(void **state)
{
    (void)state;
    check("gpt2");
}

static void a_trained_model_in_blocks(void **state)
{
    (void)state;
    struct error err;
    struct model_file *file = model_file_open("models/hearth-small.gguf", MODEL_ALL, &err);
    if (!file)
        fail_msg("%s", err.text);
    check_file("hearth-small, q8_0", file, DTYPE_Q8_0);
    if (!is_short()) {
        check_file("hearth-small", file, DTYPE_COUNT);
        check_file("hearth-small, q4_0", file, DTYPE_Q4_0);
    }
    model_file_close(file);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_over_everything),
        cmocka_unit_test(a_sliding_window_everywhere),
        cmocka_unit_test(sliding_and_full_layers),
        cmocka_unit_test(experts),
        cmocka_unit_test(rope_that_depends_on_the_length),
        cmocka_unit_test(learned_positions),
        cmocka_unit_test(a_trained_model_in_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
