// test_engine_embed.c - embeddings in the engine's loop, over a scripted model: which hidden states
// go into a vector, and that they go in once, whatever becomes of the text's pages meanwhile.
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "local/engine/engine.h"
#include "local/engine/pooled.h"
#include "../../support/scripted_model.h"

enum { LONG = 200 };

static void make_text(int32_t *tokens, int n, int salt)
{
    for (int i = 0; i < n; i++)
        tokens[i] = (i * 37 + salt) % 250;
}

static void expect(enum pooling pooling, const int32_t *tokens, int n, float *out)
{
    double sum[SCRIPTED_EMBD] = {0}, squares = 0;
    int from = pooling == POOLING_LAST ? n - 1 : 0, to = pooling == POOLING_CLS ? 1 : n;
    for (int i = from; i < to; i++) {
        float row[SCRIPTED_EMBD];
        scripted_hidden(tokens[i], i, row);
        for (int k = 0; k < SCRIPTED_EMBD; k++)
            sum[k] += (double)row[k];
    }
    for (int k = 0; k < SCRIPTED_EMBD; k++)
        squares += sum[k] * sum[k];
    for (int k = 0; k < SCRIPTED_EMBD; k++)
        out[k] = (float)(sum[k] / sqrt(squares));
}

static struct engine_answer *ask(struct engine *e, enum pooling pooling, const int32_t *tokens,
                                 size_t n)
{
    struct error err;
    struct engine_request r = {
        .prompt = tokens, .n_prompt = n, .pooling = pooling, .input_tokens = &n, .n_inputs = 1};
    struct engine_answer *a = engine_submit(e, &r, &err);
    if (!a)
        fail_msg("%s", err.text);
    return a;
}

static enum finish_reason listen(struct engine_answer *a, float *vector, struct error *why)
{
    struct engine_event ev;
    enum finish_reason finish = FINISH_NONE;
    while (engine_next(a, &ev)) {
        if (ev.kind == ENGINE_EMBEDDING)
            memcpy(vector, ev.embedding, SCRIPTED_EMBD * sizeof *vector);
        if (ev.kind == ENGINE_FINISH) {
            finish = ev.finish;
            *why = ev.error;
        }
    }
    engine_answer_free(a);
    return finish;
}

static void check(struct engine *e, enum pooling pooling, const int32_t *tokens, int n)
{
    float got[SCRIPTED_EMBD] = {0}, want[SCRIPTED_EMBD];
    struct error why;
    assert_int_equal(listen(ask(e, pooling, tokens, (size_t)n), got, &why), FINISH_STOP);
    expect(pooling, tokens, n, want);
    for (int k = 0; k < SCRIPTED_EMBD; k++)
        assert_true(fabsf(got[k] - want[k]) < 1e-6f);
}

static void the_states_that_are_asked_for_go_in(void **state)
{
    (void)state;
    const struct scripted_options o = {
        .ctx = 512, .max_rows = 48, .max_seqs = 8, .n_pages = 40, .window = 0};
    struct engine *e = scripted_engine(&o, NULL, 0);
    int32_t tokens[LONG];
    make_text(tokens, LONG, 5);
    for (int twice = 0; twice < 2; twice++)  // the second time pages are cached
        for (int n = 1; n <= LONG; n += n < 3 ? 1 : 39)
            for (int p = POOLING_MEAN; p <= POOLING_LAST; p++)
                check(e, (enum pooling)p, tokens, n);
    engine_free(e);
}

static void a_state_that_is_no_number_ends_its_text_only(void **state)
{
    (void)state;
    const struct scripted_options o = {.ctx = 512, .max_rows = 48, .max_seqs = 8, .n_pages = 40};
    struct engine *e = scripted_engine(&o, NULL, 0);
    int32_t bad[LONG], good[LONG];
    float vector[SCRIPTED_EMBD];
    struct error why;
    make_text(bad, LONG, 1);
    make_text(good, LONG, 2);
    bad[100] = SCRIPT_NAN;
    struct engine_answer *first = ask(e, POOLING_MEAN, bad, LONG);
    check(e, POOLING_MEAN, good, LONG);
    assert_int_equal(listen(first, vector, &why), FINISH_ERROR);
    assert_string_equal(why.text, "a hidden state is not a number");
    engine_free(e);
}

static void wait_for_steps(atomic_int *n_steps, int n)
{
    while (atomic_load(n_steps) < n)
        usleep(100);
}

// The gate stops the engine in its first step, with 64 of the text's tokens read; then comes a
// request that needs the pages and goes first.
static void what_is_computed_anew_is_not_added_twice(void **state)
{
    (void)state;
    for (int p = POOLING_MEAN; p <= POOLING_LAST; p++) {
        pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
        atomic_int n_steps = 0;
        const struct scripted_options o = {.ctx = 256,
                                           .max_rows = 64,
                                           .max_seqs = 8,
                                           .n_pages = 4,
                                           .gate = &gate,
                                           .n_steps = &n_steps};
        struct engine *e = scripted_engine(&o, NULL, 0);
        int32_t text[LONG], other[LONG];
        float got[SCRIPTED_EMBD], want[SCRIPTED_EMBD], vector[SCRIPTED_EMBD];
        struct error err;
        struct engine_stats stats;
        size_t n = LONG;
        make_text(text, LONG, 3);
        make_text(other, LONG, 4);
        pthread_mutex_lock(&gate);
        struct engine_answer *a = ask(e, (enum pooling)p, text, LONG);
        wait_for_steps(&n_steps, 1);
        struct engine_request r = {.prompt = other,
                                   .n_prompt = LONG,
                                   .pooling = POOLING_MEAN,
                                   .input_tokens = &n,
                                   .n_inputs = 1,
                                   .flow.priority = 1};
        struct engine_answer *b = engine_submit(e, &r, &err);
        assert_non_null(b);
        pthread_mutex_unlock(&gate);
        assert_int_equal(listen(a, got, &err), FINISH_STOP);
        assert_int_equal(listen(b, vector, &err), FINISH_STOP);
        engine_stats(e, &stats);
        assert_int_equal(stats.preemptions, 1);
        expect((enum pooling)p, text, LONG, want);
        for (int k = 0; k < SCRIPTED_EMBD; k++)
            assert_true(fabsf(got[k] - want[k]) < 1e-6f);
        engine_free(e);
    }
}

static void a_vector_has_length_1_or_is_zero(void **state)
{
    (void)state;
    struct pooled p = {0};
    float row[2] = {3, -4}, zero[2] = {0, 0}, out[2];
    pooled_add(&p, 0, row, 2);
    pooled_add(&p, 1, row, 2);
    pooled_add(&p, 0, (float[]){100, 100}, 2);  // seen before
    assert_true(pooled_finish(&p, out, 2));
    assert_true(fabsf(out[0] - 0.6f) < 1e-7f && fabsf(out[1] + 0.8f) < 1e-7f);
    pooled_release(&p);
    pooled_add(&p, 0, zero, 2);
    assert_true(pooled_finish(&p, out, 2));
    assert_true(out[0] == 0 && out[1] == 0);
    pooled_add(&p, 1, (float[]){1, INFINITY}, 2);
    assert_false(pooled_finish(&p, out, 2));
    pooled_release(&p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_states_that_are_asked_for_go_in),
        cmocka_unit_test(a_state_that_is_no_number_ends_its_text_only),
        cmocka_unit_test(what_is_computed_anew_is_not_added_twice),
        cmocka_unit_test(a_vector_has_length_1_or_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
