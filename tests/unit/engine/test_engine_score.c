// test_engine_score.c - logprobs of the prompt's own tokens, over a scripted model: the same as
// prompt after prompt, each a token longer, says of what comes next; whoever runs beside, whatever
// is cached, and when pages are taken away between two of them.
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/memory.h"
#include "local/engine/engine.h"
#include "../../support/scripted_model.h"

enum { LONG = 300, TOPS = 3 };

struct scores {
    float logprob[LONG];
    struct token_logprob top[LONG][TOPS];
    int n, n_events, n_tokens;
    size_t cached;
    enum finish_reason finish;
    struct error error;
};

static void make_text(int32_t *tokens, int n, int salt)
{
    for (int i = 0; i < n; i++)
        tokens[i] = (i * 37 + salt) % 250;
}

static struct engine_answer *ask(struct engine *e, const int32_t *tokens, int n, int max_tokens,
                                 int n_choices, int priority)
{
    struct error err;
    struct engine_request r = {.prompt = tokens,
                               .n_prompt = (size_t)n,
                               .max_tokens = max_tokens,
                               .n_choices = n_choices,
                               .n_top = TOPS,
                               .score_prompt = true,
                               .flow = {.priority = priority}};
    sampling_defaults(&r.sampling);
    struct engine_answer *a = engine_submit(e, &r, &err);
    if (!a)
        fail_msg("%s", err.text);
    return a;
}

// The tokens that are told are those of the prompt, each once and in order, before any new one.
static void listen(struct engine_answer *a, const int32_t *tokens, struct scores *out)
{
    struct engine_event ev;
    memset(out, 0, sizeof *out);
    out->n = 1;  // nothing is said of the first
    while (engine_next(a, &ev)) {
        for (int i = 0; ev.kind == ENGINE_SCORED && i < ev.n_scored; i++, out->n++) {
            const struct token_logprob *row = ev.scored + i * ev.scored_width;
            assert_int_equal(ev.scored_width, 1 + TOPS);
            assert_int_equal(row->token, tokens[out->n]);
            assert_int_equal(out->n_tokens, 0);
            out->logprob[out->n] = row->logprob;
            memcpy(out->top[out->n], row + 1, sizeof out->top[0]);
        }
        out->n_events += ev.kind == ENGINE_SCORED;
        out->n_tokens += ev.kind == ENGINE_TOKEN;
        if (ev.kind == ENGINE_FINISH) {
            out->finish = ev.finish;
            out->error = ev.error;
        }
        if (ev.kind == ENGINE_DONE)
            out->cached = ev.usage.cached_tokens;
    }
    engine_answer_free(a);
}

// What comes after the first n tokens, as a prompt of them alone says it.
static void next_of(struct engine *e, const int32_t *tokens, int n, struct token_logprob *all)
{
    struct error err;
    struct engine_event ev;
    struct engine_request r = {.prompt = tokens, .n_prompt = (size_t)n, .n_top = SCRIPTED_VOCAB};
    sampling_defaults(&r.sampling);
    struct engine_answer *a = engine_submit(e, &r, &err);
    if (!a)
        fail_msg("%s", err.text);
    while (engine_next(a, &ev))
        if (ev.kind == ENGINE_NEXT)
            memcpy(all, ev.top, SCRIPTED_VOCAB * sizeof *all);
    engine_answer_free(a);
}

static void check(struct engine *e, const int32_t *tokens, int n, const struct scores *got)
{
    struct token_logprob all[SCRIPTED_VOCAB] = {{0}};
    assert_int_equal(got->n, n);
    for (int i = 1; i < n; i++) {
        int at = 0;
        next_of(e, tokens, i, all);
        while (all[at].token != tokens[i])
            at++;
        assert_true(got->logprob[i] == all[at].logprob);
        assert_memory_equal(got->top[i], all, sizeof got->top[i]);
    }
}

static const struct scripted_options usual = {
    .ctx = 512, .max_rows = 48, .max_seqs = 8, .n_pages = 40};

static void they_are_those_of_prompt_after_prompt(void **state)
{
    (void)state;
    struct engine *e = scripted_engine(&usual, NULL, 0);
    static const int lengths[] = {1, 2, 64, 65, 129, LONG};
    int32_t tokens[LONG];
    struct scores got;
    make_text(tokens, LONG, 5);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (int max_tokens = 0; max_tokens < 2; max_tokens++) {
            // From the second on the pages are cached; nothing of them is taken.
            listen(ask(e, tokens, lengths[i], max_tokens, 1, 0), tokens, &got);
            assert_int_equal(got.finish, FINISH_LENGTH);
            assert_int_equal(got.n_tokens, max_tokens);
            assert_int_equal(got.cached, 0);
            check(e, tokens, lengths[i], &got);
        }
    engine_free(e);
}

static void they_are_told_once_for_all_choices(void **state)
{
    (void)state;
    struct engine *e = scripted_engine(&usual, NULL, 0);
    int32_t tokens[LONG];
    struct scores got;
    make_text(tokens, LONG, 6);
    listen(ask(e, tokens, LONG, 5, 3, 0), tokens, &got);
    assert_int_equal(got.n_tokens, 15);
    check(e, tokens, LONG, &got);
    engine_free(e);
}

// More texts than sequences, some of which only generate, on a model with a window too.
static void others_beside_them_change_nothing(void **state)
{
    enum { N = 24 };
    (void)state;
    for (int window = 0; window <= 100; window += 100) {
        struct scripted_options o = usual;
        o.window = window;
        struct engine *e = scripted_engine(&o, NULL, 0);
        int32_t tokens[N][LONG];
        struct engine_answer *all[N];
        struct scores *got = memory_array(struct scores, N);
        for (int i = 0; i < N; i++) {
            make_text(tokens[i], LONG, i % 5);
            all[i] = ask(e, tokens[i], LONG - i, i % 3 * 4, 1, i % 4 == 0);
        }
        for (int i = 0; i < N; i++)
            listen(all[i], tokens[i], &got[i]);
        for (int i = 0; i < N; i++)
            check(e, tokens[i], LONG - i, &got[i]);
        free(got);
        engine_free(e);
    }
}

static void wait_for_steps(atomic_int *n_steps, int n)
{
    while (atomic_load(n_steps) < n)
        usleep(100);
}

// The gate stops the engine in its second step; then comes a request that needs the pages and goes
// first. What was told before is not told again.
static void a_text_that_lost_its_pages_goes_on_where_it_was(void **state)
{
    (void)state;
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    atomic_int n_steps = 0;
    struct scripted_options o = usual;
    o.n_pages = 8;
    o.gate = &gate;
    o.n_steps = &n_steps;
    struct engine *e = scripted_engine(&o, NULL, 0);
    int32_t tokens[LONG], urgent[LONG];
    struct scores got, other;
    struct engine_stats stats;
    make_text(tokens, LONG, 7);
    make_text(urgent, LONG, 8);
    pthread_mutex_lock(&gate);
    struct engine_answer *a = ask(e, tokens, LONG, 0, 1, 0);
    wait_for_steps(&n_steps, 1);
    struct engine_answer *b = ask(e, urgent, LONG, 40, 1, 1);
    pthread_mutex_unlock(&gate);
    listen(b, urgent, &other);
    listen(a, tokens, &got);
    engine_stats(e, &stats);
    assert_true(stats.preemptions > 0);
    check(e, tokens, LONG, &got);
    check(e, urgent, LONG, &other);
    engine_free(e);
}

static void a_logit_that_is_no_number_ends_it(void **state)
{
    static const int32_t script[] = {5, 6, 7, SCRIPT_NAN, 8, -1}, *const scripts[] = {script};
    static const int32_t tokens[] = {SCRIPT, 5, 6, 7, 8, 9};
    (void)state;
    struct engine *e = scripted_engine(&usual, scripts, 1);
    struct scores got;
    listen(ask(e, tokens, 6, 3, 2, 0), tokens, &got);
    assert_int_equal(got.finish, FINISH_ERROR);
    assert_int_equal(got.error.code, ERR_NUMERIC);
    assert_int_equal(got.n_tokens, 0);
    listen(ask(e, tokens, 3, 0, 1, 0), tokens, &got);
    assert_int_equal(got.finish, FINISH_LENGTH);
    engine_free(e);
}

// A reader that does not read holds up its own text only.
static void who_does_not_read_waits_alone(void **state)
{
    (void)state;
    struct engine *e = scripted_engine(&usual, NULL, 0);
    enum { N = 40 };
    int32_t tokens[LONG], more[LONG];
    struct scores got;
    make_text(tokens, LONG, 9);
    make_text(more, LONG, 10);
    struct engine_answer *a = ask(e, tokens, LONG, N, 1, 0);
    for (int i = 0; i < 3; i++)
        listen(ask(e, more, LONG, 3, 1, 0), more, &got);
    listen(a, tokens, &got);
    assert_int_equal(got.n_tokens, N);
    check(e, tokens, LONG, &got);
    engine_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_those_of_prompt_after_prompt),
        cmocka_unit_test(they_are_told_once_for_all_choices),
        cmocka_unit_test(others_beside_them_change_nothing),
        cmocka_unit_test(a_text_that_lost_its_pages_goes_on_where_it_was),
        cmocka_unit_test(a_logit_that_is_no_number_ends_it),
        cmocka_unit_test(who_does_not_read_waits_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
