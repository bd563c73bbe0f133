// test_perplexity.c - windows, scores, saved logits; perplexity against transformers' for a trained
// model where the shared data is present (tools/golden/make_perplexity.py).
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "local/eval/perplexity.h"
#include "local/formats/model_file.h"
#include "local/models/model.h"

#include "../support/forward.h"
#include "../support/tiny_model.h"

#define STORIES "../shared/data/models/stories260K"
enum { N_TOKENS = 270, CTX = 50 };

struct tiny {
    char *folder;
    struct model_file *file;
    struct backend *cpu;
    int32_t tokens[N_TOKENS];
};

static int set_up(void **state)
{
    struct tiny *t = memory_new(1, sizeof *t);
    struct error err;
    t->folder = temp_folder();
    json_t *golden = tiny_golden("gemma2");
    tiny_model_write(golden, t->folder, &(struct tiny_options){0});
    json_decref(golden);
    t->file = model_file_open(t->folder, MODEL_ALL, &err);
    t->cpu = backend_cpu_new(&(struct cpu_options){.threads = 1}, &err);
    for (int i = 0; i < N_TOKENS; i++)
        t->tokens[i] = (int32_t)(hash_mix((uint64_t)i) % 97);
    *state = t;
    return t->file && t->cpu ? 0 : -1;
}

static int tear_down(void **state)
{
    struct tiny *t = *state;
    model_file_close(t->file);
    backend_free(t->cpu);
    temp_folder_remove(t->folder);
    free(t);
    return 0;
}

static struct model *load(const struct tiny *t, int max_rows, int max_wanted)
{
    struct error err;
    struct model_options o = {.max_rows = max_rows, .max_wanted = max_wanted};
    struct model *m = model_load(t->file, t->cpu, &o, &err);
    if (!m)
        fail_msg("%s", err.text);
    return m;
}

static void measure(const struct tiny *t, int max_rows, int max_wanted,
                    const struct perplexity_options *o, struct perplexity_result *r)
{
    struct error err;
    struct model *m = load(t, max_rows, max_wanted);
    if (!perplexity_tokens(m, t->tokens, N_TOKENS, 2, o, r, &err))
        fail_msg("%s", err.text);
    model_free(m);
}

// Window by window, with nothing but forward passes and doubles.
static double plainly(const struct tiny *t)
{
    struct model *m = load(t, CTX, CTX);
    int n_vocab = model_n_vocab(m), n = 0;
    float *logits = memory_array(float, (size_t)(CTX * n_vocab));
    double nll = 0;
    for (int start = 0; start + CTX <= N_TOKENS; start += CTX) {
        struct forward f;
        int32_t window[CTX];
        memcpy(window, t->tokens + start, sizeof window);
        window[0] = 2;
        forward_open(&f, m, DTYPE_F32, 1, CTX);
        forward_text(&f, window, CTX, CTX, CTX, logits);
        forward_close(&f);
        for (int j = CTX / 2; j < CTX - 1; j++, n++) {
            double sum = 0;
            for (int i = 0; i < n_vocab; i++)
                sum += exp((double)logits[j * n_vocab + i]);
            nll += log(sum) - (double)logits[j * n_vocab + window[j + 1]];
        }
    }
    free(logits);
    model_free(m);
    return exp(nll / n);
}

static void perplexity_is_what_its_definition_says(void **state)
{
    const struct tiny *t = *state;
    struct perplexity_result r;
    measure(t, 512, 64, &(struct perplexity_options){.ctx = CTX}, &r);
    assert_int_equal(r.windows, 5);
    assert_int_equal(r.tokens, 5 * 24);
    double want = plainly(t);
    assert_true(fabs(r.perplexity - want) < 1e-5 * want);
    assert_true(r.standard_error > 0 && r.standard_error < want);
}

static void steps_of_any_size_give_the_same_bits(void **state)
{
    const struct tiny *t = *state;
    struct perplexity_result a, b;
    struct perplexity_options o = {.ctx = CTX};
    measure(t, 512, 256, &o, &a);
    int few[][2] = {{7, 3}, {60, 2}, {200, 64}, {1, 1}};
    for (int i = 0; i < 4; i++) {
        measure(t, few[i][0], few[i][1], &o, &b);
        assert_true(a.perplexity == b.perplexity);
        assert_true(a.standard_error == b.standard_error);
    }
}

static void path_of(char *path, size_t n, const struct tiny *t, const char *name)
{
    (void)snprintf(path, n, "%s/%s", t->folder, name);
}

static struct buf contents(const char *path)
{
    struct buf b = {0};
    struct error err;
    if (!file_read(path, 1 << 24, &b, &err))
        fail_msg("%s", err.text);
    return b;
}

// Rows of a step, wanted ones among them, threads.
static const int sizes[][3] = {{1, 1, 1}, {512, 256, 3}, {60, 2, 2}, {200, 64, 4}, {70, 40, 1}};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

static void saved_logits_are_the_same_bytes_with_any_steps_and_threads(void **state)
{
    const struct tiny *t = *state;
    char path[600];
    path_of(path, sizeof path, t, "logits");
    struct buf want = {0};
    for (int i = 0; i < N_SIZES; i++) {
        struct perplexity_result r;
        struct perplexity_options o = {.ctx = CTX, .threads = sizes[i][2], .save_logits = path};
        measure(t, sizes[i][0], sizes[i][1], &o, &r);
        struct buf got = contents(path);
        if (!i)
            buf_add(&want, got.ptr, got.len);
        assert_int_equal(got.len, want.len);
        assert_memory_equal(got.ptr, want.ptr, want.len);
        buf_release(&got);
    }
    buf_release(&want);
}

static void divergence_is_the_same_bits_with_any_steps_and_threads(void **state)
{
    const struct tiny *t = *state;
    char path[600];
    path_of(path, sizeof path, t, "logits");
    struct perplexity_result first, r;
    measure(t, 90, 60, &(struct perplexity_options){.ctx = CTX, .save_logits = path}, &r);
    struct buf file = contents(path);
    size_t n_rows = 5 * 24, row_bytes = (file.len - 24 - sizeof(int32_t) * 5 * CTX) / n_rows;
    for (size_t i = 1; i <= n_rows; i++)  // another model's: the bits of one distance in each row
        file.ptr[file.len - i * row_bytes + 4 + 2 * (i % 90)] ^= 64;
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(file.ptr, 1, file.len, f), file.len);
    assert_int_equal(fclose(f), 0);
    buf_release(&file);
    for (int i = 0; i < N_SIZES; i++) {
        struct perplexity_options o = {.ctx = CTX, .threads = sizes[i][2], .against = path};
        measure(t, sizes[i][0], sizes[i][1], &o, &r);
        first = i ? first : r;
        assert_true(r.kl_mean > 1e-9 && r.kl_mean == first.kl_mean && r.kl_p99 == first.kl_p99);
        assert_true(r.perplexity == first.perplexity && r.same_top == first.same_top);
        assert_true(r.their_perplexity == first.their_perplexity);
    }
}

static void a_model_does_not_diverge_from_itself(void **state)
{
    const struct tiny *t = *state;
    char path[600];
    (void)snprintf(path, sizeof path, "%s/logits", t->folder);
    struct perplexity_result a, b;
    measure(t, 512, 64, &(struct perplexity_options){.ctx = CTX, .save_logits = path}, &a);
    measure(t, 90, 13, &(struct perplexity_options){.ctx = CTX, .against = path}, &b);
    assert_true(b.compared && !a.compared);
    assert_true(a.perplexity == b.perplexity);
    assert_true(fabs(b.their_perplexity - a.perplexity) < 1e-6 * a.perplexity);
    assert_true(b.same_top == 1);
    assert_true(fabs(b.kl_mean) < 1e-6 && fabs(b.kl_p99) < 1e-5);
}

static void saved_logits_of_something_else_are_refused(void **state)
{
    const struct tiny *t = *state;
    char path[600];
    struct error err;
    struct perplexity_result r;
    (void)snprintf(path, sizeof path, "%s/logits", t->folder);
    measure(t, 512, 64, &(struct perplexity_options){.ctx = CTX, .save_logits = path}, &r);
    struct model *m = load(t, 512, 64);
    struct perplexity_options o = {.ctx = CTX, .against = path};
    int32_t other[N_TOKENS];
    memcpy(other, t->tokens, sizeof other);
    other[77] ^= 1;
    assert_false(perplexity_tokens(m, other, N_TOKENS, 2, &o, &r, &err));
    assert_non_null(strstr(err.text, "token 77"));
    assert_false(perplexity_tokens(m, t->tokens, N_TOKENS - 50, 2, &o, &r, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_int_equal(truncate(path, 3000), 0);
    assert_false(perplexity_tokens(m, t->tokens, N_TOKENS, 2, &o, &r, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    assert_int_equal(truncate(path, 5), 0);
    assert_false(perplexity_tokens(m, t->tokens, N_TOKENS, 2, &o, &r, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    o = (struct perplexity_options){.ctx = N_TOKENS + 1};
    assert_false(perplexity_tokens(m, t->tokens, N_TOKENS, 2, &o, &r, &err));
    assert_int_equal(err.code, ERR_USAGE);
    model_free(m);
}

static bool stop_at_once(void *self, size_t done, size_t total)
{
    (void)self;
    assert_true(done <= total);
    return false;
}

static void it_can_be_interrupted(void **state)
{
    const struct tiny *t = *state;
    struct error err;
    struct perplexity_result r;
    struct model *m = load(t, 50, 64);
    struct perplexity_options o = {.ctx = CTX, .progress = stop_at_once};
    assert_false(perplexity_tokens(m, t->tokens, N_TOKENS, -1, &o, &r, &err));
    assert_int_equal(err.code, ERR_CANCELLED);
    model_free(m);
}

static void a_trained_model_has_the_perplexity_that_transformers_finds(void **state)
{
    const struct tiny *t = *state;
    struct error err;
    if (!file_exists(STORIES "/config.json")) {
        print_message("skip %s is not here\n", STORIES);
        skip();
    }
    json_t *golden = json_read_file("tests/golden/data/perplexity.json", 1 << 20, &err);
    assert_non_null(golden);
    const json_t *list = json_object_get(golden, "tokens");
    size_t n = json_array_size(list);
    int32_t *tokens = memory_array(int32_t, n);
    for (size_t i = 0; i < n; i++)
        tokens[i] = (int32_t)json_integer_value(json_array_get(list, i));
    struct model_file *file = model_file_open(STORIES, MODEL_ALL, &err);
    struct model *m = file ? model_load(file, t->cpu, NULL, &err) : NULL;
    if (!m)
        fail_msg("%s", err.text);
    const json_t *results = json_object_get(golden, "results");
    for (size_t i = 0; i < json_array_size(results); i++) {
        int64_t ctx = 0, count = 0;
        double want = 0;
        const json_t *one = json_array_get(results, i);
        assert_true(json_get_i64(one, "ctx", &ctx) && json_get_i64(one, "tokens", &count) &&
                    json_get_f64(one, "perplexity", &want));
        struct perplexity_options o = {.ctx = (int)ctx};
        struct perplexity_result r;
        assert_true(perplexity_tokens(m, tokens, n, 1, &o, &r, &err));
        print_message("ctx %d: %.7f, transformers %.7f\n", (int)ctx, r.perplexity, want);
        assert_int_equal(r.tokens, count);
        assert_true(fabs(r.perplexity - want) < 1e-5 * want);
    }
    free(tokens);
    json_decref(golden);
    model_free(m);
    model_file_close(file);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(perplexity_is_what_its_definition_says),
        cmocka_unit_test(steps_of_any_size_give_the_same_bits),
        cmocka_unit_test(saved_logits_are_the_same_bytes_with_any_steps_and_threads),
        cmocka_unit_test(divergence_is_the_same_bits_with_any_steps_and_threads),
        cmocka_unit_test(a_model_does_not_diverge_from_itself),
        cmocka_unit_test(saved_logits_of_something_else_are_refused),
        cmocka_unit_test(it_can_be_interrupted),
        cmocka_unit_test(a_trained_model_has_the_perplexity_that_transformers_finds),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
