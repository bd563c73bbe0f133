// test_bench.c - that everything asked for is measured, and that what cannot be is an error.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/memory.h"
#include "local/eval/bench.h"
#include "local/eval/probe.h"
#include "local/eval/roofline.h"
#include "local/formats/model_file.h"
#include "local/models/facts.h"
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
    struct bench_options o = {.prefill = {100, 33},
                              .n_prefill = 2,
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
    assert_int_equal(calls, 2 + 2 * 2 + 1 + 2 + 3 * 2);
    assert_int_equal(r.n_prefill, 2);
    assert_int_equal(r.prefill[0].n, 100);
    assert_int_equal(r.prefill[1].n, 33);
    assert_int_equal(r.decode.n, 7);
    assert_int_equal(r.depth, 90);
    assert_int_equal(r.n_batch, 3);
    assert_int_equal(r.batch[2].n, 8);
    const struct bench_rate *rates[] = {&r.prefill[0], &r.prefill[1], &r.decode, &r.batch[0],
                                        &r.batch[2]};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        assert_true(rates[i]->tokens_per_s > 0 && rates[i]->gbytes_per_s > 0 && rates[i]->tops > 0);
    // Operations a token are what the facts say, whatever the time was.
    struct step_shape one = {1, 1, 1, 93, DTYPE_F16};
    double token = step_operations(m, &one) * 1e-12;
    assert_true(fabs(r.decode.tops / r.decode.tokens_per_s - token) < 1e-9 * token);
    assert_true(fabs(r.batch[2].tops / r.batch[2].tokens_per_s - token) < 1e-9 * token);
    assert_true(r.prefill[0].tops / r.prefill[0].tokens_per_s < token);  // one row has logits
    assert_true(r.read_gbytes_per_s > 0 && r.int8_tops > 0);
    model_free(m);
}

// The model has 2 layers, 4 experts of which 2 are used.
static void a_mixture_reads_what_it_is_routed_to(void **state)
{
    struct model *m = load(*state, 4);
    const struct model_facts *f = model_facts(m);
    assert_true(f->n_experts > f->n_experts_used && f->gated);
    double attention = 2.0 * f->n_embd * (f->n_heads + f->n_kv_heads) * f->head_dim;
    double expert = 3.0 * f->n_embd * f->n_expert_ff, head = (double)f->n_vocab * f->n_embd;
    struct step_shape s = {5, 2, 1, 0, DTYPE_F16};
    double square = (double)f->n_embd * f->n_heads * f->head_dim;  // of queries; of the output
    double want = 10 * f->n_layers * (attention + f->n_experts_used * expert) + 4 * head -
                  6 * (square + f->n_experts_used * expert);
    assert_true(fabs(step_operations(m, &s) - want) < 1e-9 * want);
    s.wanted = 0;
    want -= 4 * head + 14 * square + 4 * f->n_experts_used * expert;
    assert_true(fabs(step_operations(m, &s) - want) < 1e-9 * want);
    struct step_shape one = {1, 1, 1, 0, DTYPE_F16}, all = {1000, 1, 1, 0, DTYPE_F16};
    struct step_shape deep = {1, 1, 1, 64, model_kv_default(m)};
    double layers = f->n_layers * attention, experts = f->n_layers * expert;
    double share =
        (head + layers + experts * f->n_experts_used) / (head + layers + experts * f->n_experts);
    double bytes = (double)model_weight_bytes(m);
    assert_true(fabs(step_bytes(m, &one) - bytes * share) < 1e-9 * bytes);
    assert_true(fabs(step_bytes(m, &all) - bytes) < 1e-9 * bytes);
    double kv = 0;
    for (int g = 0; g < model_n_groups(m); g++) {
        const struct kv_group *k = model_group(m, g);
        int seen = k->window && k->window < 64 ? k->window : 64;
        int item = model_kv_default(m) == DTYPE_F32 ? 4 : 2;
        kv += 2.0 * k->n_layers * k->n_kv_heads * k->head_dim * seen * item;
    }
    assert_true(fabs(step_bytes(m, &deep) - step_bytes(m, &one) - kv) < 1e-6 * kv);
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
    struct bench_options o = {
        .prefill = {257}, .n_prefill = 1, .threads = 1};  // the context is 256
    assert_false(bench_run(m, &o, &r, &err));
    assert_int_equal(err.code, ERR_USAGE);
    o = (struct bench_options){.batch = {5}, .n_batch = 1};
    assert_false(bench_run(m, &o, &r, &err));
    assert_int_equal(err.code, ERR_USAGE);
    o = (struct bench_options){.prefill = {10}, .n_prefill = 1, .progress = stop_at_once};
    assert_false(bench_run(m, &o, &r, &err));
    assert_int_equal(err.code, ERR_CANCELLED);
    model_free(m);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_is_asked_for_is_measured),
        cmocka_unit_test(a_mixture_reads_what_it_is_routed_to),
        cmocka_unit_test(what_does_not_fit_is_an_error),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
