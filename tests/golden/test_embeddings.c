// test_embeddings.c - embeddings by the engine: the numbers of transformers, and bits that do not
// depend on how they were served.
//
// tests/golden/data/embeddings.json holds the vectors (tools/golden/make_embeddings.py) of the
// beginnings of the goldens' tokens. Beside texts that are embedded others are written, in the same
// steps; rows come in chunks, pages run out, prefixes are shared: every vector must stay the same.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "local/engine/engine.h"
#include "local/formats/model_file.h"
#include "local/models/facts.h"
#include "local/models/model.h"

#include "../support/tiny_model.h"

enum { N_MODES = 3, WIDTH_MAX = 64, N_INPUTS = 5, TOKENS_MAX = 141, CTX = 200 };
static const enum pooling modes[N_MODES] = {POOLING_MEAN, POOLING_CLS, POOLING_LAST};
static json_t *goldens;

struct served {
    json_t *golden;
    char *folder;
    struct model_file *file;
    struct backend *cpu;
    struct model *model;
    struct engine *engine;
    int32_t tokens[TOKENS_MAX];
    size_t width;
};

struct way {
    const char *name;
    bool together;
    int threads, max_rows, max_seqs, n_pages;  // of each group; 0: as many as are wanted
    bool no_prefix_cache;
};
static const struct way plainly = {"alone", false, 1, 512, 8, 0, true};

static void open_engine(struct served *s, const struct way *w)
{
    struct error err;
    struct model_options mo = {.ctx = CTX, .max_rows = w->max_rows, .max_seqs = w->max_seqs};
    struct engine_options o = {
        .ctx = CTX, .kv_dtype = DTYPE_COUNT, .no_prefix_cache = w->no_prefix_cache};
    s->cpu = backend_cpu_new(&(struct cpu_options){.threads = w->threads}, &err);
    s->model = s->cpu ? model_load(s->file, s->cpu, &mo, &err) : NULL;
    if (!s->model)
        fail_msg("%s", err.text);
    for (int g = 0; w->n_pages && g < model_n_groups(s->model); g++) {
        const struct kv_group *group = model_group(s->model, g);
        struct kv_shape shape = {.n_layers = group->n_layers,
                                 .n_kv_heads = group->n_kv_heads,
                                 .head_dim = group->head_dim,
                                 .n_pages = w->n_pages,
                                 .dtype = model_kv_default(s->model)};
        o.kv_bytes += (uint64_t)w->n_pages * kv_page_bytes(&shape);
    }
    s->engine = engine_new(s->model, NULL, &o, &err);
    if (!s->engine)
        fail_msg("%s", err.text);
    s->width = (size_t)model_n_embd(s->model);
    assert_true(s->width <= WIDTH_MAX);
}

static void close_engine(struct served *s)
{
    engine_free(s->engine);
    model_free(s->model);
    backend_free(s->cpu);
}

static void served_open(struct served *s, const char *name, const struct tiny_options *o,
                        const struct way *w)
{
    struct error err;
    s->golden = tiny_golden(name);
    if (o && o->omit)  // what is left is the layers alone
        json_object_set_new(json_object_get(s->golden, "config"), "architectures",
                            json_pack("[s]", "SomeModel"));
    s->folder = temp_folder();
    tiny_model_write(s->golden, s->folder, o);
    s->file = model_file_open(s->folder, MODEL_ALL, &err);
    if (!s->file)
        fail_msg("%s", err.text);
    const json_t *tokens = json_object_get(s->golden, "tokens");
    for (size_t i = 0; i < TOKENS_MAX; i++)
        s->tokens[i] = (int32_t)json_integer_value(json_array_get(tokens, i));
    open_engine(s, w);
}

static void served_close(struct served *s)
{
    close_engine(s);
    model_file_close(s->file);
    temp_folder_remove(s->folder);
    json_decref(s->golden);
}

static struct engine_answer *ask(struct served *s, enum pooling pooling, const int32_t *tokens,
                                 const size_t *lengths, size_t n)
{
    struct error err;
    struct engine_request r = {
        .prompt = tokens, .pooling = pooling, .input_tokens = lengths, .n_inputs = n};
    for (size_t i = 0; i < n; i++)
        r.n_prompt += lengths[i];
    struct engine_answer *a = engine_submit(s->engine, &r, &err);
    if (!a)
        fail_msg("%s", err.text);
    return a;
}

// The vectors [n][WIDTH_MAX] and how many tokens were found in the prefix cache.
static size_t listen(struct served *s, struct engine_answer *a, size_t n, float *out)
{
    struct engine_event ev;
    size_t n_vectors = 0, n_finished = 0, cached = 0;
    while (engine_next(a, &ev)) {
        if (ev.kind == ENGINE_EMBEDDING) {
            assert_int_equal(ev.n_embedding, s->width);
            memcpy(out + (size_t)ev.choice * WIDTH_MAX, ev.embedding, s->width * sizeof *out);
            n_vectors++;
        }
        if (ev.kind == ENGINE_FINISH) {
            assert_int_equal(ev.finish, FINISH_STOP);
            n_finished++;
        }
        if (ev.kind == ENGINE_DONE)
            cached = ev.usage.cached_tokens;
    }
    assert_int_equal(n_vectors, n);
    assert_int_equal(n_finished, n);
    engine_answer_free(a);
    return cached;
}

// The largest difference over the vector's largest number.
static double error_of(const json_t *want, const float *got, size_t width)
{
    double diff = 0, size = 0;
    assert_int_equal(json_array_size(want), width);
    for (size_t i = 0; i < width; i++) {
        double w = json_number_value(json_array_get(want, i));
        assert_true(isfinite(got[i]));
        diff = fmax(diff, fabs(w - (double)got[i]));
        size = fmax(size, fabs(w));
    }
    return diff / size;
}

static double check_golden(struct served *s, const char *name)
{
    double worst = 0;
    const json_t *rows = json_object_get(goldens, name);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        size_t n = (size_t)json_integer_value(json_object_get(row, "n"));
        for (int m = 0; m < N_MODES; m++) {
            float got[WIDTH_MAX];
            (void)listen(s, ask(s, modes[m], s->tokens, &n, 1), 1, got);
            double e = error_of(json_object_get(row, pooling_name(modes[m])), got, s->width);
            if (!(e < 1e-4))
                fail_msg("%s, %zu tokens, %s: relative error %g", name, n, pooling_name(modes[m]),
                         e);
            worst = fmax(worst, e);
        }
    }
    return worst;
}

static void embeddings_are_those_of_transformers(void **state)
{
    (void)state;
    const char *name;
    json_t *rows;
    int n_models = 0;
    json_object_foreach(goldens, name, rows)
    {
        struct served s;
        if (!json_is_array(rows))
            continue;
        served_open(&s, name, NULL, &plainly);
        print_message("%-24s relative error %.1e\n", name, check_golden(&s, name));
        served_close(&s);
        n_models++;
    }
    assert_true(n_models > 8);
}

static void a_folder_of_the_layers_alone_will_do(void **state)
{
    (void)state;
    struct served s;
    served_open(&s, "llama-grouped", &(struct tiny_options){.prefix = "", .omit = "lm_head.weight"},
                &plainly);
    assert_true(model_facts(s.model)->headless);
    (void)check_golden(&s, "llama-grouped");
    served_close(&s);
}

static struct engine_answer *write_beside(struct served *s, int i)
{
    struct error err;
    struct engine_request r = {.prompt = s->tokens + i,
                               .n_prompt = 30,
                               .max_tokens = 40,
                               .n_top = -1,
                               .flow.priority = 1};  // whom texts that are embedded make room for
    sampling_defaults(&r.sampling);
    r.sampling.temperature = 0;
    struct engine_answer *a = engine_submit(s->engine, &r, &err);
    if (!a)
        fail_msg("%s", err.text);
    return a;
}

// Five texts, two of them with a common beginning, others one within the other.
static const size_t starts[N_INPUTS] = {0, 0, 3, 100, 0}, lengths[N_INPUTS] = {141, 130, 66, 1, 64};

static void embed_all(struct served *s, const struct way *w, float (*out)[N_INPUTS][WIDTH_MAX])
{
    int32_t tokens[N_INPUTS * TOKENS_MAX];
    size_t n = 0;
    for (int i = 0; i < N_INPUTS; i++) {
        memcpy(tokens + n, s->tokens + starts[i], lengths[i] * sizeof *tokens);
        n += lengths[i];
    }
    struct engine_answer *beside[3], *answers[N_MODES];
    for (int m = 0; w->together && m < N_MODES; m++)
        answers[m] = ask(s, modes[m], tokens, lengths, N_INPUTS);
    for (int i = 0; w->together && i < 3; i++)
        beside[i] = write_beside(s, i);
    for (int m = 0; w->together && m < N_MODES; m++)
        (void)listen(s, answers[m], N_INPUTS, out[m][0]);
    for (int i = 0; w->together && i < 3; i++) {
        struct engine_event ev;
        while (engine_next(beside[i], &ev))
            assert_true(ev.kind != ENGINE_FINISH || ev.finish == FINISH_LENGTH);
        engine_answer_free(beside[i]);
    }
    for (int m = 0; !w->together && m < N_MODES; m++)
        for (int i = 0; i < N_INPUTS; i++)
            (void)listen(s, ask(s, modes[m], s->tokens + starts[i], &lengths[i], 1), 1, out[m][i]);
}

static void no_bit_depends_on_how_they_are_served(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-dynamic", "mistral-window-page", "gemma3-linear",
                                        "qwen3moe", "gpt2"};
    static const struct way ways[] = {
        {"alone, prefixes shared", false, 1, 512, 8, 0, false},
        {"together", true, 1, 512, 64, 0, true},
        {"chunks of 11 rows, prefixes shared", true, 1, 11, 8, 0, false},
        {"few pages", true, 1, 16, 8, 5, false},
        {"two threads", true, 2, 100, 8, 0, false},
    };
    int64_t preemptions = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct served s;
        float want[N_MODES][N_INPUTS][WIDTH_MAX] = {0}, got[N_MODES][N_INPUTS][WIDTH_MAX] = {0};
        served_open(&s, names[i], NULL, &plainly);
        embed_all(&s, &plainly, want);
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            struct engine_stats stats;
            close_engine(&s);
            open_engine(&s, &ways[w]);
            embed_all(&s, &ways[w], got);
            if (memcmp(got, want, sizeof got) != 0)
                fail_msg("%s, %s: a vector differs", names[i], ways[w].name);
            engine_stats(s.engine, &stats);
            preemptions += stats.preemptions;
        }
        served_close(&s);
    }
    print_message("%d preemptions\n", (int)preemptions);
    assert_true(preemptions > 0);
}

static void only_the_last_tokens_state_comes_with_cached_prefixes(void **state)
{
    (void)state;
    struct served s;
    struct way cached = plainly;
    size_t n = 141;
    float first[WIDTH_MAX], again[WIDTH_MAX];
    cached.no_prefix_cache = false;
    served_open(&s, "qwen2", NULL, &cached);
    for (int m = 0; m < N_MODES; m++) {
        (void)listen(&s, ask(&s, modes[m], s.tokens, &n, 1), 1, first);
        size_t n_cached = listen(&s, ask(&s, modes[m], s.tokens, &n, 1), 1, again);
        assert_int_equal(n_cached, modes[m] == POOLING_LAST ? 128 : 0);
        assert_memory_equal(first, again, s.width * sizeof *first);
    }
    served_close(&s);
}

static void refuse(struct served *s, struct engine_request *r, enum error_code code,
                   const char *text)
{
    struct error err = {0};
    assert_null(engine_submit(s->engine, r, &err));
    assert_int_equal(err.code, code);
    if (!strstr(err.text, text))
        fail_msg("'%s' is not in: %s", text, err.text);
}

static void what_cannot_be_embedded_is_refused(void **state)
{
    (void)state;
    struct served s;
    int32_t tokens[2 * CTX] = {0};
    size_t long_ones[] = {4, CTX + 1}, none[] = {4, 0};
    struct engine_request r = {.prompt = tokens,
                               .n_prompt = 4 + CTX + 1,
                               .pooling = POOLING_MEAN,
                               .input_tokens = long_ones,
                               .n_inputs = 2};
    served_open(&s, "qwen2", NULL, &plainly);
    refuse(&s, &r, ERR_CONTEXT, "input 1 has 201 tokens, but the context of this model holds 200");
    r.input_tokens = none;
    r.n_prompt = 4;
    refuse(&s, &r, ERR_USAGE, "input 1 has no tokens");
    r.n_inputs = 1;
    tokens[2] = 5000;
    refuse(&s, &r, ERR_USAGE, "5000 is no token");
    r.n_inputs = 0;
    refuse(&s, &r, ERR_USAGE, "0 inputs");
    served_close(&s);
}

// One of many inputs that is cancelled with its request leaves nothing behind.
static void a_request_that_is_cancelled_leaves_the_batch(void **state)
{
    (void)state;
    struct served s;
    enum { MANY = 300 };
    static int32_t tokens[MANY * 100];
    size_t many[MANY], one = 141;
    float vector[WIDTH_MAX];
    for (int i = 0; i < MANY; i++)
        many[i] = 100;
    served_open(&s, "qwen2", NULL, &plainly);
    struct engine_answer *a = ask(&s, POOLING_MEAN, tokens, many, MANY);
    engine_cancel(a);
    struct engine_event ev;
    size_t n_finished = 0;
    while (engine_next(a, &ev))
        n_finished += ev.kind == ENGINE_FINISH;
    assert_int_equal(n_finished, MANY);
    engine_answer_free(a);
    (void)listen(&s, ask(&s, POOLING_MEAN, s.tokens, &one, 1), 1, vector);
    struct engine_stats stats;
    engine_stats(s.engine, &stats);
    assert_int_equal(stats.running + stats.waiting, 0);
    served_close(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(embeddings_are_those_of_transformers),
        cmocka_unit_test(a_folder_of_the_layers_alone_will_do),
        cmocka_unit_test(no_bit_depends_on_how_they_are_served),
        cmocka_unit_test(only_the_last_tokens_state_comes_with_cached_prefixes),
        cmocka_unit_test(what_cannot_be_embedded_is_refused),
        cmocka_unit_test(a_request_that_is_cancelled_leaves_the_batch),
    };
    struct error err;
    goldens = json_read_file("tests/golden/data/embeddings.json", (size_t)1 << 20, &err);
    if (!goldens)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(goldens);
    return failed;
}
