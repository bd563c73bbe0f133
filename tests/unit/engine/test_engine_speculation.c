// test_engine_speculation.c - guesses in the engine's loop, over a scripted model: a text ends, is
// cut, fails or waits for its reader in the middle of what was guessed as it does without guesses.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/memory.h"
#include "local/engine/engine.h"
#include "../../support/scripted_model.h"

enum { N_NEW = 200, CHOICES = 6 };

// All that a reader is told of tokens and ends.
struct told {
    struct buf events[CHOICES];
    struct engine_event done;
};

static struct told listen(struct engine_answer *a, int slow_us)
{
    struct told t = {0};
    struct engine_event ev;
    assert_non_null(a);
    while (engine_next(a, &ev)) {
        if (ev.kind == ENGINE_TOKEN)
            buf_printf(&t.events[ev.choice], "%d '%.*s' %a\n", (int)ev.token, (int)ev.text.len,
                       ev.text.ptr, (double)ev.logprob);
        if (ev.kind == ENGINE_FINISH)
            buf_printf(&t.events[ev.choice], "ends %d '%.*s' %s\n", (int)ev.finish,
                       (int)ev.text.len, ev.text.ptr, ev.error.code ? ev.error.text : "");
        if (ev.kind == ENGINE_DONE)
            t.done = ev;
        if (slow_us)
            (void)usleep((useconds_t)slow_us);
    }
    engine_answer_free(a);
    return t;
}

static void told_release(struct told *t)
{
    for (int i = 0; i < CHOICES; i++)
        buf_release(&t->events[i]);
}

static const struct scripted_options usual = {
    .ctx = 640, .max_rows = 128, .max_seqs = 6, .n_pages = 60};

static struct engine *start(const int32_t *const *scripts, int n)
{
    return scripted_engine(&usual, scripts, n);
}

static struct engine_request request(const int32_t *prompt, size_t n_prompt)
{
    struct engine_request r = {
        .prompt = prompt, .n_prompt = n_prompt, .max_tokens = N_NEW, .n_top = 0};
    sampling_defaults(&r.sampling);
    r.sampling.temperature = 0;
    return r;
}

static int32_t *script_of(const char *text, int32_t last)
{
    size_t n = strlen(text);
    int32_t *script = memory_array(int32_t, n + 2);
    for (size_t i = 0; i < n; i++)
        script[i] = (unsigned char)text[i];
    script[n] = last;
    script[n + 1] = -1;
    return script;
}

// The request without guesses, then with: the same is told. Returns how many guesses were right.
static size_t same_with_guesses(struct engine *e, struct engine_request r)
{
    static const int lengths[] = {SPECULATE_AUTO, 1, 2, 5, SPECULATE_MOST};
    size_t right = 0;
    struct error err;
    r.speculate = SPECULATE_OFF;
    struct told want = listen(engine_submit(e, &r, &err), 0);
    assert_int_equal(want.done.usage.drafted_tokens, 0);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        r.speculate = lengths[i];
        struct told got = listen(engine_submit(e, &r, &err), 0);
        for (int k = 0; k < CHOICES; k++)
            assert_string_equal(buf_text(&got.events[k]), buf_text(&want.events[k]));
        assert_true(got.done.usage.drafted_tokens >= got.done.usage.accepted_tokens);
        right += got.done.usage.accepted_tokens;
        told_release(&got);
    }
    told_release(&want);
    return right;
}

static void check_script(const char *text, int32_t last, const char *stop)
{
    int32_t *script = script_of(text, last), prompt[] = {SCRIPT}, end = SCRIPT_END;
    const int32_t *scripts[] = {script};
    struct engine *e = start(scripts, 1);
    struct slice stops = slice_str(stop ? stop : "-");
    struct engine_request r = request(prompt, 1);
    r.ends = &end;
    r.n_ends = 1;
    r.stops = &stops;
    r.n_stops = stop != NULL;
    assert_true(same_with_guesses(e, r) > 20);
    engine_free(e);
    free(script);
}

static const char again[] = "one two three, one two three, one two three, one two three, one two";

static void an_end_among_guesses_ends_the_text(void **state)
{
    (void)state;
    check_script(again, SCRIPT_END, NULL);
}

static void a_stop_among_guesses_ends_the_text(void **state)
{
    (void)state;
    check_script(again, SCRIPT_END, "three, one two three, one two three, on");
    check_script("abababababababababababababababababababX", SCRIPT_END, "bX");
}

static void a_failure_among_guesses_ends_the_text(void **state)
{
    (void)state;
    check_script(again, SCRIPT_NAN, NULL);
}

static void the_bound_of_tokens_holds_among_guesses(void **state)
{
    (void)state;
    int32_t *script = script_of("ab", 'c'), prompt[] = {SCRIPT, 'b', 'c', 'a', 'b', 'c'};
    const int32_t *scripts[] = {script};
    struct engine *e = start(scripts, 1);
    for (int n = 1; n <= 40; n++) {
        struct engine_request r = request(prompt, 6);
        r.max_tokens = n;
        size_t right = same_with_guesses(e, r);
        assert_true(n < 3 ? right == 0 : n < 12 || right > 10);
    }
    engine_free(e);
    free(script);
}

static void drawn_texts_and_choices_are_the_same(void **state)
{
    (void)state;
    struct engine *e = start(NULL, 0);
    int32_t prompt[200];
    size_t right = 0;
    for (int i = 0; i < 200; i++)
        prompt[i] = "the same words again and "[i % 25];
    for (int i = 0; i < 30; i++) {
        struct logit_bias bias[3] = {{'a', 9}, {'b', 9}, {'c', 9}};
        struct engine_request r = request(prompt, (size_t)(5 + i * 6));
        r.sampling.temperature = 0.5f + 0.1f * (float)(i % 10);
        r.sampling.seed = (uint64_t)i;
        r.sampling.frequency_penalty = i % 2 ? 0.02f : 0;
        r.sampling.logit_bias = bias;
        r.sampling.n_logit_bias = 3;
        r.n_choices = 1 + i % 4;
        right += same_with_guesses(e, r);
    }
    assert_true(right > 500);
    engine_free(e);
}

// Events have few places here: guesses must not fill more of them than the reader left.
static void guesses_do_not_outrun_a_slow_reader(void **state)
{
    (void)state;
    int32_t *script = script_of("ab", 'c'), prompt[] = {SCRIPT, 'b', 'c', 'a', 'b', 'c'};
    const int32_t *scripts[] = {script};
    struct engine *e = start(scripts, 1);
    struct engine_request r = request(prompt, 6);
    r.n_top = SCRIPTED_VOCAB;
    r.speculate = SPECULATE_MOST;
    r.n_choices = 5;
    struct engine_answer *a = engine_submit(e, &r, NULL);
    struct told got = listen(a, 100);
    assert_int_equal(got.done.usage.completion_tokens, 5 * N_NEW);
    assert_true(got.done.usage.accepted_tokens > 0);
    told_release(&got);
    engine_free(e);
    free(script);
}

// Everything at once, so that pages are shared, copied, taken away and filled again while the draft
// model knows more or less of them.
static void a_draft_model_keeps_up_with_pages(void **state)
{
    (void)state;
    enum { N = 40 };
    struct scripted_options o = usual;
    o.n_pages = 14;
    static struct told want[N];
    int64_t preemptions = 0;
    for (int way = 0; way < 4; way++) {
        o.draft_rows = way ? 6 + way * 30 : 0;
        o.no_prefix_cache = way == 2;
        struct engine *e = scripted_engine(&o, NULL, 0);
        struct engine_answer *answers[N];
        for (int i = 0; i < N; i++) {
            int32_t prompt[300];
            for (int k = 0; k < 300; k++)
                prompt[k] = (int32_t)(hash_mix((uint64_t)(k > 130 ? 1000 * i + k : i % 4)) & 255);
            struct engine_request r = request(prompt, (size_t)(20 + i * 7));
            r.max_tokens = 100 + i;
            r.sampling.temperature = i % 3 ? 1 : 0;
            r.sampling.seed = (uint64_t)i;
            r.n_choices = i % 5 ? 1 : 3;
            r.speculate = !way ? SPECULATE_OFF : way == 1 ? SPECULATE_AUTO : 1 + i % SPECULATE_MOST;
            answers[i] = engine_submit(e, &r, NULL);
        }
        for (int i = 0; i < N; i++) {
            struct told got = listen(answers[i], 0);
            for (int k = 0; way && k < CHOICES; k++)
                assert_string_equal(buf_text(&got.events[k]), buf_text(&want[i].events[k]));
            if (way)
                told_release(&got);
            else
                want[i] = got;
        }
        struct engine_stats stats;
        engine_stats(e, &stats);
        preemptions += way ? stats.preemptions : 0;
        print_message("%lld of %lld guesses right, %lld preemptions, %lld cached tokens\n",
                      (long long)stats.accepted_tokens, (long long)stats.drafted_tokens,
                      (long long)stats.preemptions, (long long)stats.cached_tokens);
        assert_true(way < 2 || stats.accepted_tokens > 500);
        engine_free(e);
    }
    for (int i = 0; i < N; i++)
        told_release(&want[i]);
    assert_true(preemptions > 10);
}

static void what_is_asked_for_is_checked(void **state)
{
    (void)state;
    struct engine *e = start(NULL, 0);
    int32_t prompt[] = {1};
    struct engine_request r = request(prompt, 1);
    struct error err;
    r.speculate = SPECULATE_MOST + 1;
    assert_null(engine_submit(e, &r, &err));
    assert_int_equal(err.code, ERR_USAGE);
    r.speculate = SPECULATE_OFF - 1;
    assert_null(engine_submit(e, &r, &err));
    engine_free(e);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_among_guesses_ends_the_text),
        cmocka_unit_test(a_stop_among_guesses_ends_the_text),
        cmocka_unit_test(a_failure_among_guesses_ends_the_text),
        cmocka_unit_test(the_bound_of_tokens_holds_among_guesses),
        cmocka_unit_test(drawn_texts_and_choices_are_the_same),
        cmocka_unit_test(guesses_do_not_outrun_a_slow_reader),
        cmocka_unit_test(a_draft_model_keeps_up_with_pages),
        cmocka_unit_test(what_is_asked_for_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
