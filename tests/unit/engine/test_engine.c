// test_engine.c - the engine's loop over a scripted model: texts, stops, ends, failures, readers.
//
// What needs real weights is in tests/golden/test_engine_bits.c.
#include <math.h>
#include <pthread.h>
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

static const struct scripted_options roomy = {
    .ctx = 2048, .max_rows = 256, .max_seqs = 16, .n_pages = 600};

static struct engine_request request(const int32_t *prompt, size_t n_prompt, int max_tokens)
{
    struct engine_request r = {
        .prompt = prompt, .n_prompt = n_prompt, .max_tokens = max_tokens, .n_top = -1};
    sampling_defaults(&r.sampling);
    r.sampling.temperature = 0;
    return r;
}

struct result {
    int32_t tokens[8][512];
    int n_tokens[8];
    struct buf text[8];
    enum finish_reason finish[8];
    struct error error[8];
    struct engine_event done;
    int n_finished, n_prefill;
};

static bool collect_one(struct engine_answer *a, struct result *r)
{
    struct engine_event ev;
    if (!engine_next(a, &ev))
        return false;
    buf_slice(&r->text[ev.choice], ev.text);
    if (ev.kind == ENGINE_TOKEN)
        r->tokens[ev.choice][r->n_tokens[ev.choice]++] = ev.token;
    if (ev.kind == ENGINE_FINISH) {
        assert_int_equal(r->finish[ev.choice], FINISH_NONE);
        r->finish[ev.choice] = ev.finish;
        r->error[ev.choice] = ev.error;
        r->n_finished++;
    }
    r->n_prefill += ev.kind == ENGINE_PREFILL;
    if (ev.kind == ENGINE_DONE)
        r->done = ev;
    return true;
}

static struct result *collect(struct engine_answer *a)
{
    assert_non_null(a);
    struct result *r = memory_new(1, sizeof *r);
    while (collect_one(a, r))
        assert_int_not_equal(r->done.kind, 99);
    assert_int_equal(r->done.kind, ENGINE_DONE);
    engine_answer_free(a);
    return r;
}

static void result_free(struct result *r)
{
    for (int i = 0; i < 8; i++)
        buf_release(&r->text[i]);
    free(r);
}

static struct result *run(struct engine *e, const struct engine_request *r)
{
    struct error err;
    struct engine_answer *a = engine_submit(e, r, &err);
    if (!a)
        fail_msg("%s", err.text);
    return collect(a);
}

static void assert_text(struct result *r, int choice, const char *text)
{
    assert_string_equal(buf_text(&r->text[choice]), text);
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

// One script, one request with stops: what is shown.
static void check_stops(const char *text, const char *const *stops, int n_stops, const char *shown,
                        enum finish_reason why)
{
    int32_t *script = script_of(text, SCRIPT_END);
    const int32_t *scripts[] = {script};
    struct engine *e = scripted_engine(&roomy, scripts, 1);
    int32_t prompt[] = {SCRIPT}, ends[] = {SCRIPT_END};
    struct slice list[4];
    for (int i = 0; i < n_stops; i++)
        list[i] = slice_str(stops[i]);
    struct engine_request r = request(prompt, 1, (int)strlen(text) + (why == FINISH_STOP));
    r.stops = list;
    r.n_stops = (size_t)n_stops;
    r.ends = ends;
    r.n_ends = 1;
    struct result *got = run(e, &r);
    assert_text(got, 0, shown);
    assert_int_equal(got->finish[0], why);
    result_free(got);
    engine_free(e);
    free(script);
}

static void stop_strings_span_tokens_and_are_not_shown(void **state)
{
    (void)state;
    check_stops("hello world, END of it", (const char *[]){"END"}, 1, "hello world, ", FINISH_STOP);
    check_stops("a EEND b", (const char *[]){"END"}, 1, "a E", FINISH_STOP);
    check_stops("aabaabaaab", (const char *[]){"aabaaa"}, 1, "aab", FINISH_STOP);
    check_stops("xENx", (const char *[]){"END"}, 1, "xENx", FINISH_STOP);
    check_stops("xEN", (const char *[]){"END"}, 1, "xEN", FINISH_LENGTH);
}

static void of_several_stops_the_first_that_is_complete_wins(void **state)
{
    (void)state;
    check_stops("xabcdy", (const char *[]){"abcd", "bc"}, 2, "xa", FINISH_STOP);
    check_stops("xabcdy", (const char *[]){"cd", "abcd"}, 2, "x", FINISH_STOP);
    check_stops("xabcy", (const char *[]){"abcd", "cyz", "y"}, 3, "xabc", FINISH_STOP);
}

static void text_held_back_is_not_lost_at_the_end(void **state)
{
    (void)state;
    check_stops("one <", (const char *[]){"<end>"}, 1, "one <", FINISH_STOP);  // by the end token
    check_stops("one <e", (const char *[]){"<end>"}, 1, "one <e", FINISH_LENGTH);  // by length
    // a half character comes out at the end, and may itself complete a stop
    check_stops("one \xc3", (const char *[]){"<end>"}, 1, "one ?", FINISH_LENGTH);
    check_stops("one \xc3", (const char *[]){" ?"}, 1, "one", FINISH_STOP);
}

// Where the script says the end, the first of all other tokens, which are alike, is drawn instead.
static void an_end_is_not_drawn_before_so_many_tokens(void **state)
{
    (void)state;
    static const int32_t script[] = {'a', SCRIPT_END, 'b', SCRIPT_END, SCRIPT_END, 'c', -1};
    const int32_t *scripts[] = {script};
    int32_t prompt[] = {SCRIPT}, ends[] = {SCRIPT_END, -1, SCRIPTED_VOCAB};
    static const int tokens[] = {2, 2, 4, 4, 5, 6};
    for (int least = 0; least < 6; least++) {
        struct engine *e = scripted_engine(&roomy, scripts, 1);
        struct engine_request r = request(prompt, 1, 6);
        r.min_tokens = least;
        r.ends = ends;
        r.n_ends = 3;
        struct result *got = run(e, &r);
        assert_int_equal(got->n_tokens[0], tokens[least]);
        assert_int_equal(got->finish[0], least < 5 ? FINISH_STOP : FINISH_LENGTH);
        result_free(got);
        engine_free(e);
    }
}

// What the tokenizer held back comes before the text of a token that has its own.
static void tokens_may_be_shown_with_a_text_of_their_own(void **state)
{
    static const int32_t script[] = {'a', 200, 'X', 'b', 'X', SCRIPT_END, -1};
    static const int32_t *const scripts[] = {script};
    static const struct shown_token shown[] = {{'Y', {"no", 2}}, {'X', {"\xFF<m>", 4}}};
    int32_t prompt[] = {SCRIPT}, end = SCRIPT_END;
    struct engine *e = scripted_engine(&roomy, scripts, 1);
    struct engine_request r = request(prompt, 1, 20);
    (void)state;
    r.ends = &end;
    r.n_ends = 1;
    r.shown = shown;
    r.n_shown = 2;
    struct result *got = run(e, &r);
    assert_text(got, 0, "a?\xFF<m>b\xFF<m>");
    assert_int_equal(got->finish[0], FINISH_STOP);
    result_free(got);
    engine_free(e);
}

static void nothing_of_a_stop_is_ever_shown(void **state)
{
    (void)state;
    int32_t *script = script_of("ab<e<en<end>", SCRIPT_END);
    const int32_t *scripts[] = {script};
    struct engine *e = scripted_engine(&roomy, scripts, 1);
    int32_t prompt[] = {SCRIPT};
    struct slice stop = slice_str("<end>");
    struct engine_request r = request(prompt, 1, 50);
    r.stops = &stop;
    r.n_stops = 1;
    struct engine_answer *a = engine_submit(e, &r, NULL);
    const char *pieces[] = {"a", "b", "", "", "<e", "", "", "<en", "", "", "", ""};
    struct engine_event ev;
    for (size_t i = 0; i < 12; i++) {
        assert_true(engine_next(a, &ev));
        assert_int_equal(ev.kind, ENGINE_TOKEN);
        assert_true(slice_is(ev.text, pieces[i]));
    }
    assert_true(engine_next(a, &ev));
    assert_int_equal(ev.kind, ENGINE_FINISH);
    assert_int_equal(ev.text.len, 0);
    engine_answer_free(a);
    engine_free(e);
    free(script);
}

static void nan_logits_end_their_own_sequence_only(void **state)
{
    (void)state;
    int32_t *bad = script_of("abc", SCRIPT_NAN), *good = script_of("fine", SCRIPT_END);
    const int32_t *scripts[] = {bad, good};
    struct engine *e = scripted_engine(&roomy, scripts, 2);
    int32_t prompt[] = {SCRIPT, SCRIPT + 1}, ends[] = {SCRIPT_END};
    struct engine_request a = request(prompt, 1, 20), b = request(prompt + 1, 1, 20);
    b.ends = ends;
    b.n_ends = 1;
    struct engine_answer *bad_answer = engine_submit(e, &a, NULL);
    struct result *good_result = run(e, &b), *bad_result = collect(bad_answer);
    assert_text(good_result, 0, "fine");
    assert_int_equal(good_result->n_tokens[0], 5);  // the end token is told, without text
    assert_int_equal(good_result->done.usage.completion_tokens, 5);
    assert_text(bad_result, 0, "abc");
    assert_int_equal(bad_result->finish[0], FINISH_ERROR);
    assert_int_equal(bad_result->error[0].code, ERR_NUMERIC);
    result_free(good_result);
    result_free(bad_result);
    engine_free(e);
    free(bad);
    free(good);
}

static void a_prompt_too_long_is_told_by_how_much(void **state)
{
    (void)state;
    struct engine *e = scripted_engine(&roomy, NULL, 0);
    int32_t *prompt = memory_array(int32_t, 3000);
    struct error err;
    struct engine_request r = request(prompt, 2000, 100);
    assert_null(engine_submit(e, &r, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(strstr(err.text, " 52 tokens too many"));
    r = request(prompt, 0, 10);
    assert_null(engine_submit(e, &r, &err));
    assert_int_equal(err.code, ERR_USAGE);
    prompt[1] = SCRIPTED_VOCAB;
    r = request(prompt, 2, 10);
    assert_null(engine_submit(e, &r, &err));
    assert_int_equal(err.code, ERR_USAGE);
    prompt[1] = 0;
    struct slice empty = slice_str("");
    r = request(prompt, 2, 10);
    r.stops = &empty;
    r.n_stops = 1;
    assert_null(engine_submit(e, &r, &err));
    r = request(prompt, 2, 10);
    r.sampling.top_p = 2;
    assert_null(engine_submit(e, &r, &err));
    assert_non_null(strstr(err.text, "top_p"));
    free(prompt);
    engine_free(e);
}

static void without_new_tokens_the_next_ones_are_told(void **state)
{
    (void)state;
    int32_t *script = script_of("abc", SCRIPT_END);
    const int32_t *scripts[] = {script};
    struct engine *e = scripted_engine(&roomy, scripts, 1);
    int32_t prompt[] = {SCRIPT, 'a', 'b'};
    struct engine_request r = request(prompt, 3, 0);
    r.n_top = 3;
    struct engine_answer *a = engine_submit(e, &r, NULL);
    struct engine_event ev;
    assert_true(engine_next(a, &ev));
    assert_int_equal(ev.kind, ENGINE_NEXT);
    assert_int_equal(ev.n_top, 3);
    assert_int_equal(ev.top[0].token, 'c');
    assert_true(fabsf(ev.top[0].logprob + logf(1 + 339 * expf(-20))) < 1e-6f);
    assert_int_equal(ev.top[1].token, 0);
    assert_true(engine_next(a, &ev) && ev.kind == ENGINE_FINISH && ev.finish == FINISH_LENGTH);
    assert_true(engine_next(a, &ev) && ev.kind == ENGINE_DONE);
    assert_int_equal(ev.usage.prompt_tokens, 3);
    assert_int_equal(ev.usage.completion_tokens, 0);
    assert_false(engine_next(a, &ev));
    engine_answer_free(a);
    engine_free(e);
    free(script);
}

// Prompts that share beginnings, some longer than many pages.
enum { TEXTS = 20 };
static int32_t *random_prompt(uint64_t seed, size_t *n)
{
    *n = 1 + (size_t)(hash_mix(seed) % 400);
    size_t same = (size_t)(hash_mix(seed + 1000) % (*n + 1));
    int32_t *p = memory_array(int32_t, *n);
    for (size_t i = 0; i < *n; i++)
        p[i] = (int32_t)(hash_mix(i * 31 + seed % 3 + (i > same ? seed * 7777 : 0)) & 255);
    return p;
}

static struct engine_request random_request(uint64_t seed, int32_t **prompt)
{
    size_t n;
    *prompt = random_prompt(seed, &n);
    struct engine_request r = request(*prompt, n, 1 + (int)(hash_mix(seed + 5) % 150));
    r.sampling.temperature = seed % 3 ? 0.9f : 0;
    r.sampling.seed = seed;
    r.sampling.top_k = seed % 4 == 1 ? 10 : 0;
    r.sampling.frequency_penalty = seed % 5 == 1 ? 0.5f : 0;
    r.n_choices = seed % 4 == 2 ? 3 : 1;
    r.flow.id = seed % 2;
    r.flow.share_salt = seed % 2;
    return r;
}

static void run_all(const struct scripted_options *o, bool together, struct result **out)
{
    struct engine *e = scripted_engine(o, NULL, 0);
    struct engine_answer *answers[TEXTS] = {0};
    for (uint64_t i = 0; i < TEXTS; i++) {
        int32_t *prompt;
        struct engine_request r = random_request(i, &prompt);
        answers[i] = engine_submit(e, &r, NULL);
        assert_non_null(answers[i]);
        free(prompt);  // it was copied
        if (!together)
            out[i] = collect(answers[i]);
    }
    if (together)
        for (int i = 0; i < TEXTS; i++)
            out[i] = collect(answers[i]);
    struct engine_stats stats;
    engine_stats(e, &stats);
    print_message("%lld steps, %lld rows, %lld cached, %lld preemptions\n", (long long)stats.steps,
                  (long long)stats.rows, (long long)stats.cached_tokens,
                  (long long)stats.preemptions);
    engine_free(e);
}

static void a_text_is_the_same_in_any_company(void **state)
{
    (void)state;
    struct scripted_options ways[] = {
        {.ctx = 640, .max_rows = 640, .max_seqs = 1, .n_pages = 20, .no_prefix_cache = true},
        {.ctx = 640, .max_rows = 512, .max_seqs = 64, .n_pages = 600},
        {.ctx = 640, .max_rows = 17, .max_seqs = 16, .n_pages = 300, .no_prefix_cache = true},
        {.ctx = 640, .max_rows = 64, .max_seqs = 8, .n_pages = 12},
        {.ctx = 640, .max_rows = 64, .max_seqs = 3, .n_pages = 10},
    };
    for (int by_length = 0; by_length < 2; by_length++) {
        struct result *want[TEXTS], *got[TEXTS];
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            ways[w].by_length = by_length;
            run_all(&ways[w], w > 0, w ? got : want);
            for (int i = 0; w && i < TEXTS; i++) {
                for (int c = 0; c < 8; c++) {
                    assert_int_equal(got[i]->n_tokens[c], want[i]->n_tokens[c]);
                    assert_memory_equal(got[i]->tokens[c], want[i]->tokens[c],
                                        sizeof got[i]->tokens[c]);
                    assert_text(got[i], c, buf_text(&want[i]->text[c]));
                }
                result_free(got[i]);
            }
        }
        for (int i = 0; i < TEXTS; i++)
            result_free(want[i]);
    }
}

static void choices_share_the_prompt_and_differ(void **state)
{
    (void)state;
    struct engine *e = scripted_engine(&roomy, NULL, 0);
    int32_t prompt[300];
    for (int i = 0; i < 300; i++)
        prompt[i] = i & 255;
    struct engine_request r = request(prompt, 300, 40);
    r.sampling.temperature = 1;
    r.n_choices = 8;
    struct result *got = run(e, &r);
    assert_int_equal(got->n_finished, 8);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(got->n_tokens[i], 40);
        for (int k = 0; k < i; k++)
            assert_memory_not_equal(got->tokens[i], got->tokens[k], 40 * sizeof(int32_t));
    }
    struct engine_stats stats;
    engine_stats(e, &stats);
    // The prompt once; the last tokens are not computed; wrong guesses are in vain.
    int64_t in_vain = stats.drafted_tokens - stats.accepted_tokens;
    assert_int_equal(stats.rows, 300 + 8 * 39 + in_vain);
    assert_int_equal(got->done.usage.prompt_tokens, 300);
    assert_int_equal(got->done.usage.completion_tokens, 320);
    result_free(got);
    engine_free(e);
}

static void a_known_prompt_is_not_computed_again(void **state)
{
    (void)state;
    struct engine *e = scripted_engine(&roomy, NULL, 0);
    int32_t prompt[300];
    for (int i = 0; i < 300; i++)
        prompt[i] = i & 255;
    struct engine_request r = request(prompt, 300, 2);
    size_t cached[4];
    for (int i = 0; i < 4; i++) {
        r.flow.share_salt = i == 2 ? 9 : 0;  // a stranger sees nothing of it
        r.n_prompt = i == 3 ? 256 : 300;     // a whole number of pages: the last is computed again
        struct result *got = run(e, &r);
        cached[i] = got->done.usage.cached_tokens;
        result_free(got);
    }
    assert_int_equal(cached[0], 0);
    assert_int_equal(cached[1], 256);
    assert_int_equal(cached[2], 0);
    assert_int_equal(cached[3], 192);
    engine_free(e);
}

static void an_unread_answer_pauses_and_hinders_nobody(void **state)
{
    (void)state;
    struct scripted_options o = {.ctx = 640, .max_rows = 64, .max_seqs = 2, .n_pages = 12};
    struct engine *e = scripted_engine(&o, NULL, 0);
    int32_t prompt[] = {1, 2, 3};
    struct engine_request r = request(prompt, 3, 500);
    struct engine_answer *unread = engine_submit(e, &r, NULL), *second = engine_submit(e, &r, NULL);
    struct result *others = NULL;
    for (int i = 0; i < 6; i++) {  // more than fit beside the two that are not read
        r.sampling.temperature = 1;
        r.sampling.seed = (uint64_t)i;
        others = run(e, &r);
        assert_int_equal(others->n_tokens[0], 500);
        result_free(others);
    }
    struct result *a = collect(unread), *b = collect(second);
    assert_int_equal(a->n_tokens[0], 500);
    assert_memory_equal(a->tokens[0], b->tokens[0], 500 * sizeof(int32_t));
    result_free(a);
    result_free(b);
    engine_free(e);
}

static void a_cancelled_answer_says_so_and_ends(void **state)
{
    (void)state;
    int32_t *script = script_of("abcdefgh", 'x');
    const int32_t *scripts[] = {script};
    struct scripted_options o = roomy;
    o.ctx = 100000;
    o.n_pages = 2000;
    struct engine *e = scripted_engine(&o, scripts, 1);
    int32_t prompt[] = {SCRIPT};
    struct engine_request r = request(prompt, 1, 90000);
    r.n_choices = 3;
    struct engine_answer *a = engine_submit(e, &r, NULL);
    struct result *got = memory_new(1, sizeof *got);
    for (int i = 0; i < 300; i++)
        assert_true(collect_one(a, got));
    engine_cancel(a);
    while (collect_one(a, got))
        ;
    assert_int_equal(got->n_finished, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(got->finish[i], FINISH_CANCELLED);
    assert_int_equal(got->done.kind, ENGINE_DONE);
    engine_answer_free(a);
    result_free(got);
    // freed while it runs; and the engine is freed while others run and wait
    engine_answer_free(engine_submit(e, &r, NULL));
    struct engine_answer *left[40];
    for (int i = 0; i < 40; i++)
        left[i] = engine_submit(e, &r, NULL);
    usleep(2000);
    engine_free(e);
    for (int i = 0; i < 40; i++) {
        got = collect(left[i]);
        assert_int_equal(got->finish[0], FINISH_CANCELLED);
        result_free(got);
    }
    free(script);
}

static void logprobs_come_with_each_token(void **state)
{
    (void)state;
    struct engine *e = scripted_engine(&roomy, NULL, 0);
    int32_t prompt[] = {7, 8};
    struct engine_request r = request(prompt, 2, 10);
    r.n_top = 2;
    struct engine_answer *a = engine_submit(e, &r, NULL);
    struct engine_event ev;
    for (int i = 0; i < 10; i++) {
        assert_true(engine_next(a, &ev));
        assert_int_equal(ev.kind, ENGINE_TOKEN);
        assert_int_equal(ev.n_top, 2);
        assert_int_equal(ev.top[0].token, ev.token);  // greedy
        assert_true(ev.top[0].logprob == ev.logprob && ev.logprob < 0);
        assert_true(ev.top[1].logprob <= ev.top[0].logprob);
    }
    engine_answer_free(a);
    engine_free(e);
}

static void long_prompts_show_their_progress(void **state)
{
    (void)state;
    struct engine *e = scripted_engine(&roomy, NULL, 0);
    int32_t *prompt = memory_array(int32_t, 1500);
    struct engine_request r = request(prompt, 1500, 1);
    struct engine_answer *a = engine_submit(e, &r, NULL);
    struct engine_event ev;
    size_t last = 0;
    for (int i = 0; i < 5; i++) {
        assert_true(engine_next(a, &ev));
        assert_int_equal(ev.kind, ENGINE_PREFILL);
        assert_int_equal(ev.n_total, 1500);
        assert_true(ev.n_done > last && ev.n_done < 1500);
        last = ev.n_done;
    }
    assert_true(engine_next(a, &ev) && ev.kind == ENGINE_TOKEN);
    engine_answer_free(a);
    engine_free(e);
    free(prompt);
}

struct client {
    struct engine *engine;
    uint64_t seed;
};

static void *be_client(void *self)
{
    const struct client *c = self;
    for (uint64_t i = 0; i < 25; i++) {
        int32_t *prompt;
        struct engine_request r = random_request(c->seed * 1000 + i, &prompt);
        struct engine_answer *a = engine_submit(c->engine, &r, NULL);
        free(prompt);
        struct engine_event ev;
        uint64_t fate = hash_mix(c->seed * 77 + i) % 4;
        for (int n = 0; engine_next(a, &ev); n++) {
            if (fate == 1 && n == 9)
                engine_cancel(a);
            if (fate == 2 && n == 5)
                break;
        }
        engine_answer_free(a);
        struct engine_stats stats;
        engine_stats(c->engine, &stats);
    }
    return NULL;
}

static void many_threads_submit_cancel_and_leave(void **state)
{
    (void)state;
    struct scripted_options o = {.ctx = 640, .max_rows = 64, .max_seqs = 8, .n_pages = 24};
    struct engine *e = scripted_engine(&o, NULL, 0);
    pthread_t threads[6];
    struct client clients[6];
    for (int i = 0; i < 6; i++) {
        clients[i] = (struct client){e, (uint64_t)i};
        assert_int_equal(pthread_create(&threads[i], NULL, be_client, &clients[i]), 0);
    }
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    struct engine_stats stats;
    for (int i = 0; i < 2000; i++) {  // those that were left are noticed soon
        engine_stats(e, &stats);
        if (!stats.running && !stats.waiting)
            break;
        usleep(1000);
    }
    assert_int_equal(stats.running + stats.waiting, 0);
    assert_int_equal(stats.pages_free, stats.pages_total);
    engine_free(e);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(stop_strings_span_tokens_and_are_not_shown),
        cmocka_unit_test(of_several_stops_the_first_that_is_complete_wins),
        cmocka_unit_test(text_held_back_is_not_lost_at_the_end),
        cmocka_unit_test(an_end_is_not_drawn_before_so_many_tokens),
        cmocka_unit_test(nothing_of_a_stop_is_ever_shown),
        cmocka_unit_test(tokens_may_be_shown_with_a_text_of_their_own),
        cmocka_unit_test(nan_logits_end_their_own_sequence_only),
        cmocka_unit_test(a_prompt_too_long_is_told_by_how_much),
        cmocka_unit_test(without_new_tokens_the_next_ones_are_told),
        cmocka_unit_test(a_text_is_the_same_in_any_company),
        cmocka_unit_test(choices_share_the_prompt_and_differ),
        cmocka_unit_test(a_known_prompt_is_not_computed_again),
        cmocka_unit_test(an_unread_answer_pauses_and_hinders_nobody),
        cmocka_unit_test(a_cancelled_answer_says_so_and_ends),
        cmocka_unit_test(logprobs_come_with_each_token),
        cmocka_unit_test(long_prompts_show_their_progress),
        cmocka_unit_test(many_threads_submit_cancel_and_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
