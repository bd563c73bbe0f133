// test_models.c - small random models of every family against transformers.
//
// tests/golden/data/models/*.json hold config, tensor names and shapes, a prompt, 100 greedy
// tokens and some logits of each (tools/golden/make_model_goldens.py). Weights and KV are F32.
// The error is the largest difference of a row of logits over the row's largest magnitude.
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "local/formats/model_file.h"
#include "local/models/facts.h"
#include "local/models/model.h"

#include "../../support/forward.h"
#include "../../support/tiny_model.h"

enum { CASES_MAX = 100, TOKENS_MAX = 256 };
static struct backend *cpu;
static char *names[CASES_MAX];
static int n_names;

struct tiny {  // a golden's model, loaded
    json_t *golden;
    char *folder;
    struct model_file *file;
    struct model *model;
    int32_t tokens[TOKENS_MAX];
    int n_tokens, n_prompt, n_vocab;
};

static struct model *load(const struct model_file *file)
{
    struct error err = {0};
    struct model_options o = {.max_rows = 2 * TOKENS_MAX, .max_wanted = 2 * TOKENS_MAX};
    struct model *m = model_load(file, cpu, &o, &err);
    if (!m)
        fail_msg("%s", err.text);
    return m;
}

static void tiny_open(struct tiny *t, const char *name, const struct tiny_options *o)
{
    struct error err = {0};
    t->golden = tiny_golden(name);
    t->folder = temp_folder();
    tiny_model_write(t->golden, t->folder, o);
    t->file = model_file_open(t->folder, MODEL_ALL, &err);
    if (!t->file)
        fail_msg("%s: %s", name, err.text);
    t->model = load(t->file);
    const json_t *tokens = json_object_get(t->golden, "tokens");
    t->n_tokens = (int)json_array_size(tokens);
    assert_in_range(t->n_tokens, 2, TOKENS_MAX);
    for (int i = 0; i < t->n_tokens; i++)
        t->tokens[i] = (int32_t)json_integer_value(json_array_get(tokens, (size_t)i));
    t->n_prompt = (int)json_integer_value(json_object_get(t->golden, "n_prompt"));
    t->n_vocab = model_n_vocab(t->model);
}

static void tiny_close(struct tiny *t)
{
    model_free(t->model);
    model_file_close(t->file);
    temp_folder_remove(t->folder);
    json_decref(t->golden);
}

// Logits of all positions of the first n tokens, in chunks. Freed by the caller.
static float *run(struct model *m, const int32_t *tokens, int n, int chunk, enum dtype kv)
{
    struct forward f;
    float *out = memory_array(float, (size_t)n *(size_t)model_n_vocab(m));
    forward_open(&f, m, kv, 1, n);
    forward_text(&f, tokens, n, n, chunk, out);
    forward_close(&f);
    return out;
}

// The largest relative error of the rows that the golden states.
static double error_of(const json_t *expected, const float *got, int n_vocab)
{
    double worst = 0;
    const json_t *positions = json_object_get(expected, "positions");
    for (size_t i = 0; i < json_array_size(positions); i++) {
        size_t pos = (size_t)json_integer_value(json_array_get(positions, i));
        const json_t *row = json_array_get(json_object_get(expected, "rows"), i);
        double diff = 0, size = 0;
        assert_int_equal(json_array_size(row), n_vocab);
        for (int k = 0; k < n_vocab; k++) {
            double want = json_number_value(json_array_get(row, (size_t)k));
            double have = (double)got[pos * (size_t)n_vocab + (size_t)k];
            assert_true(isfinite(have));
            diff = fmax(diff, fabs(want - have));
            size = fmax(size, fabs(want));
        }
        worst = fmax(worst, diff / size);
    }
    return worst;
}

static void logits_are_those_of_transformers(void **state)
{
    (void)state;
    double worst = 0;
    for (int i = 0; i < n_names; i++) {
        struct tiny t;
        tiny_open(&t, names[i], NULL);
        float *rows = run(t.model, t.tokens, t.n_tokens, t.n_tokens, DTYPE_F32);
        float *prompt = run(t.model, t.tokens, t.n_prompt, t.n_prompt, DTYPE_F32);
        double e = fmax(error_of(json_object_get(t.golden, "logits"), rows, t.n_vocab),
                        error_of(json_object_get(t.golden, "prompt_logits"), prompt, t.n_vocab));
        print_message("%-24s relative error %.1e\n", names[i], e);
        if (e > 1e-4)
            fail_msg("%s: relative error %g", names[i], e);
        worst = fmax(worst, e);
        free(rows);
        free(prompt);
        tiny_close(&t);
    }
    print_message("%d models, largest relative error %.1e\n", n_names, worst);
}

static void greedy_text_is_that_of_transformers_for_100_tokens(void **state)
{
    (void)state;
    for (int i = 0; i < n_names; i++) {
        struct tiny t;
        struct forward f;
        int32_t tokens[TOKENS_MAX];
        tiny_open(&t, names[i], NULL);
        memcpy(tokens, t.tokens, sizeof tokens);
        memset(tokens + t.n_prompt, 0, (size_t)(t.n_tokens - t.n_prompt) * sizeof *tokens);
        forward_open(&f, t.model, DTYPE_F32, 1, t.n_tokens);
        forward_greedy(&f, tokens, t.n_prompt, t.n_tokens, 16);
        forward_close(&f);
        assert_int_equal(t.n_tokens - t.n_prompt, 100);
        for (int k = t.n_prompt; k < t.n_tokens; k++)
            if (tokens[k] != t.tokens[k])
                fail_msg("%s: token %d is %d, not %d", names[i], k, tokens[k], t.tokens[k]);
        tiny_close(&t);
    }
}

static void chunks_of_any_size_give_the_same_bits(void **state)
{
    (void)state;
    static const int chunks[] = {1, 27};
    for (int i = 0; i < n_names; i++) {
        struct tiny t;
        tiny_open(&t, names[i], NULL);
        size_t bytes = (size_t)t.n_tokens * (size_t)t.n_vocab * sizeof(float);
        float *whole = run(t.model, t.tokens, t.n_tokens, t.n_tokens, DTYPE_F32);
        for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
            float *rows = run(t.model, t.tokens, t.n_tokens, chunks[c], DTYPE_F32);
            if (memcmp(rows, whole, bytes) != 0)
                fail_msg("%s: chunks of %d differ", names[i], chunks[c]);
            free(rows);
        }
        free(whole);
        tiny_close(&t);
    }
}

static void company_changes_no_bit(void **state)
{
    (void)state;
    for (int i = 0; i < n_names; i++) {
        struct tiny t;
        struct forward f;
        int32_t other[TOKENS_MAX];
        tiny_open(&t, names[i], NULL);
        size_t n = (size_t)t.n_tokens * (size_t)t.n_vocab;
        for (int k = 0; k < t.n_tokens; k++)
            other[k] = t.tokens[t.n_tokens - 1 - k];
        const int32_t *texts[3] = {other, t.tokens, other};
        float *alone = run(t.model, t.tokens, t.n_tokens, t.n_tokens, DTYPE_F16);
        float *rows = memory_array(float, 3 * n);
        forward_open(&f, t.model, DTYPE_F16, 3, t.n_tokens);
        forward_texts(&f, 3, texts, t.n_tokens, t.n_tokens, 33, rows);
        forward_close(&f);
        if (memcmp(alone, rows + n, n * sizeof *rows) != 0)
            fail_msg("%s: another sequence in the batch changes logits", names[i]);
        assert_memory_equal(rows, rows + 2 * n, n * sizeof *rows);
        free(alone);
        free(rows);
        tiny_close(&t);
    }
}

// Rows of which nothing is wanted end early in the last layer; those beside them must not notice.
static void rows_that_are_not_wanted_change_no_bit(void **state)
{
    (void)state;
    static const struct {
        int every, after, chunk;
    } ways[] = {{3, 0, 40}, {1, 50, 33}, {5, 64, 7}};
    for (int i = 0; i < n_names; i++) {
        struct tiny t;
        tiny_open(&t, names[i], NULL);
        size_t width = (size_t)t.n_vocab, bytes = width * sizeof(float);
        float *whole = run(t.model, t.tokens, t.n_tokens, t.n_tokens, DTYPE_F16);
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            struct forward f;
            int32_t twice[TOKENS_MAX];
            memcpy(twice, t.tokens, sizeof twice);
            const int32_t *texts[2] = {twice, t.tokens};
            size_t n = (size_t)t.n_tokens * width;
            float *rows = memory_array(float, 2 * n);
            forward_open(&f, t.model, DTYPE_F16, 2, t.n_tokens);
            f.want_every = ways[w].every;
            f.want_after = ways[w].after;
            forward_texts(&f, 2, texts, t.n_tokens, t.n_tokens, ways[w].chunk, rows);
            for (int k = 0; k < t.n_tokens; k++)
                for (size_t s = 0; s < 2; s++)
                    if (forward_wants(&f, k) &&
                        memcmp(rows + s * n + (size_t)k * width, whole + (size_t)k * width, bytes))
                        fail_msg("%s: way %zu, text %zu, position %d differs", names[i], w, s, k);
            forward_close(&f);
            free(rows);
        }
        free(whole);
        tiny_close(&t);
    }
}

static void configs_of_transformers_4_mean_the_same(void **state)
{
    (void)state;
    for (int i = 0; i < n_names; i++) {
        struct tiny new, old;
        tiny_open(&new, names[i], NULL);
        tiny_open(&old, names[i], &(struct tiny_options){.config = "config_4"});
        assert_memory_equal(model_facts(new.model), model_facts(old.model),
                            sizeof(struct model_facts));
        tiny_close(&new);
        tiny_close(&old);
    }
}

static void multimodal_configs_and_names_are_read(void **state)
{
    (void)state;
    struct tiny plain, wrapped;
    static const char *const prefixes[] = {"language_model.model.", "model.language_model."};
    tiny_open(&plain, "gemma3", NULL);
    float *want = run(plain.model, plain.tokens, 50, 50, DTYPE_F32);
    for (int i = 0; i < 2; i++) {
        tiny_open(&wrapped, "gemma3",
                  &(struct tiny_options){.prefix = prefixes[i], .wrap = "gemma3", .n_shards = 3});
        float *got = run(wrapped.model, plain.tokens, 50, 50, DTYPE_F32);
        assert_memory_equal(want, got, 50 * (size_t)plain.n_vocab * sizeof *got);
        free(got);
        tiny_close(&wrapped);
    }
    free(want);
    tiny_close(&plain);
}

// Half-precision folders: the same model within the rounding of its weights.
static void half_precision_folders_agree_within_rounding(void **state)
{
    (void)state;
    static const enum dtype types[] = {DTYPE_F16, DTYPE_BF16};
    static const char *const some[] = {"llama-grouped", "gemma2", "qwen2", "gpt2-odd"};
    for (int i = 0; i < 8; i++) {
        struct tiny t;
        tiny_open(&t, some[i / 2], &(struct tiny_options){.dtype = types[i % 2]});
        assert_int_equal(model_kv_default(t.model), DTYPE_F16);
        float *rows = run(t.model, t.tokens, 8, 8, DTYPE_F32);
        json_t *expected = json_pack(
            "{s:[i],s:[O]}", "positions", 7, "rows",
            json_array_get(json_object_get(json_object_get(t.golden, "logits"), "rows"), 0));
        double e = error_of(expected, rows, t.n_vocab);
        print_message("%s %s: relative error %.1e\n", some[i / 2], dtype_name(types[i % 2]), e);
        assert_true(e > 0 && e < (types[i % 2] == DTYPE_F16 ? 0.01 : 0.08));
        json_decref(expected);
        free(rows);
        tiny_close(&t);
    }
}

static void every_instruction_set_answers_the_same(void **state)
{
    (void)state;
    static const char *const sets[] = {"scalar",   "avx2", "avx2_vnni",    "avx512_vnni",
                                       "amx_int8", "neon", "neon_dotprod", "neon_i8mm"};
    static const char *const some[] = {"llama-odd", "mixtral", "gemma3", "gpt2-odd"};
    struct backend *usual = cpu;
    int n_sets = 0;
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        cpu = backend_cpu_new(&(struct cpu_options){.threads = 1, .isa = sets[i]}, NULL);
        if (!cpu)
            continue;  // this machine lacks it
        n_sets++;
        for (int k = 0; k < 4; k++) {
            struct tiny t;
            tiny_open(&t, some[k], NULL);
            float *rows = run(t.model, t.tokens, t.n_tokens, t.n_tokens, DTYPE_F32);
            double e = error_of(json_object_get(t.golden, "logits"), rows, t.n_vocab);
            if (e > 1e-4)
                fail_msg("%s, %s: relative error %g", some[k], sets[i], e);
            free(rows);
            tiny_close(&t);
        }
        backend_free(cpu);
    }
    cpu = usual;
    assert_true(n_sets > 0);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int find_cases(void **state)
{
    (void)state;
    struct error err;
    DIR *d = opendir("tests/golden/data/models");
    struct dirent *e;
    while (d && (e = readdir(d)) && n_names < CASES_MAX) {
        size_t len = strlen(e->d_name);
        if (len > 5 && strcmp(e->d_name + len - 5, ".json") == 0)
            names[n_names++] = memory_text_n(e->d_name, len - 5);
    }
    if (d)
        closedir(d);
    qsort(names, (size_t)n_names, sizeof *names, by_name);
    cpu = backend_cpu_new(&(struct cpu_options){.threads = 2}, &err);
    return cpu && n_names >= 30 ? 0 : -1;
}

static int forget_cases(void **state)
{
    (void)state;
    while (n_names)
        free(names[--n_names]);
    backend_free(cpu);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_those_of_transformers),
        cmocka_unit_test(greedy_text_is_that_of_transformers_for_100_tokens),
        cmocka_unit_test(chunks_of_any_size_give_the_same_bits),
        cmocka_unit_test(company_changes_no_bit),
        cmocka_unit_test(rows_that_are_not_wanted_change_no_bit),
        cmocka_unit_test(configs_of_transformers_4_mean_the_same),
        cmocka_unit_test(multimodal_configs_and_names_are_read),
        cmocka_unit_test(every_instruction_set_answers_the_same),
        cmocka_unit_test(half_precision_folders_agree_within_rounding),
    };
    return cmocka_run_group_tests(tests, find_cases, forget_cases);
}
