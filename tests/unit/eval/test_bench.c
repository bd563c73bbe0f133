// test_bench.c - that everything asked for is measured, and that what cannot be is an error.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/memory.h"
#include "local/eval/bench.h"
#include "local/eval/probe.h"
#include "local/formats/model_file.h"
#include "local/models/model.h"

#include "../../support/tiny_model.h"

struct tiny {
    char *folder;
    struct model_file *file;
    struct backend *cpu;
};

static int set_up(void **state)
{
    struct tiny *t = memory_new(1, sizeof *t);
    struct error err;
    t->folder = temp_folder();
    json_t *golden = tiny_golden("mixtral-window");
    tiny_model_write(golden, t->folder, &(struct tiny_options){0});
    json_decref(golden);
    t->file = model_file_open(t->folder, MODEL_ALL, &err);
    t->cpu = backend_cpu_new(&(struct cpu_options){.threads = 1}, &err);
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

static struct model *load(const struct tiny *t, int max_seqs)
{
    struct error err;
    struct model_options o = {.max_rows = 40, .max_seqs = max_seqs, .max_wanted = max_seqs};
    struct model *m = model_load(t->file, t->cpu, &o, &err);
    if (!m)
        fail_msg("%s", err.text);
    return m;
}

static bool count_calls(void *self, const char *what, int done, int total)
{
    assert_non_null(what);
    assert_true(done < total);
    return ++*(int *)self < 1000;
}

static void all_that_is_asked_for_is_measured(void **state)
{
    struct error err;
    struct bench_result r;
    int calls = 0;
    struct bench_options o = {.prefill = 100,
                              .decode = 7,
                              .depth = 90,
                              .repeats = 2,
                              .threads = 1,
                              .batch = {1, 3, 8},
                              .n_batch = 3,
                              .progress = count_calls,
                              .progress_self = &calls};
    struct model *m = load(*state, 8);
    if (!bench_run(m, &o, &r, &err))
        fail_msg("%s", err.text);
    assert_int_equal(calls, 2 + 2 + 1 + 2 + 3 * 2);
    assert_int_equal(r.prefill_tokens, 100);
    assert_int_equal(r.decode_tokens, 7);
    assert_int_equal(r.n_batch, 3);
    assert_int_equal(r.batch[2].sequences, 8);
    assert_true(r.prefill_tokens_per_s > 0 && r.decode_tokens_per_s > 0);
    assert_true(r.batch[0].tokens_per_s > 0 && r.batch[2].tokens_per_s > 0);
    assert_true(r.decode_gbytes_per_s > 0 && r.read_gbytes_per_s > 0 && r.int8_tops > 0);
    model_free(m);
}

static bool stop_at_once(void *self, const char *what, int done, int total)
{
    (void)self, (void)what, (void)done, (void)total;
    return false;
}

static void what_does_not_fit_is_an_error(void **state)
{
    struct error err;
    struct bench_result r;
    struct model *m = load(*state, 4);
    struct bench_options o = {.prefill = 257, .threads = 1};  // the context is 256
    assert_false(bench_run(m, &o, &r, &err));
    assert_int_equal(err.code, ERR_USAGE);
    o = (struct bench_options){.batch = {5}, .n_batch = 1};
    assert_false(bench_run(m, &o, &r, &err));
    assert_int_equal(err.code, ERR_USAGE);
    o = (struct bench_options){.prefill = 10, .progress = stop_at_once};
    assert_false(bench_run(m, &o, &r, &err));
    assert_int_equal(err.code, ERR_CANCELLED);
    model_free(m);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_is_asked_for_is_measured),
        cmocka_unit_test(what_does_not_fit_is_an_error),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
