// test_engine_load.c - the engine with more to do than it can at once: a bounded queue, deadlines,
// clients that leave, prompts that begin alike.
//
// The model's forward pass waits at a gate, so that a test decides what happens between two steps.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "local/engine/engine.h"
#include "../../support/scripted_model.h"

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_int n_steps;

static struct engine *start(struct scripted_options o, int queue_max)
{
    o.gate = &gate;
    o.n_steps = &n_steps;
    atomic_store(&n_steps, 0);
    o.queue_max = queue_max;
    return scripted_engine(&o, NULL, 0);
}

static const struct scripted_options small = {
    .ctx = 2048, .max_rows = 64, .max_seqs = 2, .n_pages = 64};

static struct engine_request request(const int32_t *prompt, size_t n_prompt, int max_tokens)
{
    struct engine_request r = {.prompt = prompt,
                               .n_prompt = n_prompt,
                               .max_tokens = max_tokens,
                               .n_top = -1,
                               .speculate = SPECULATE_OFF};
    sampling_defaults(&r.sampling);
    return r;
}

// Until the engine stands at the gate in its step `n` (the first is 1).
static void wait_for_step(int n)
{
    while (atomic_load(&n_steps) < n)
        usleep(100);
}

struct end {
    enum finish_reason finish;
    struct error error;
    int n_tokens;
    size_t cached;
};

static struct end read_all(struct engine_answer *a)
{
    struct end end = {0};
    struct engine_event ev;
    assert_non_null(a);
    while (engine_next(a, &ev)) {
        end.n_tokens += ev.kind == ENGINE_TOKEN;
        if (ev.kind == ENGINE_FINISH) {
            end.finish = ev.finish;
            end.error = ev.error;
        }
        if (ev.kind == ENGINE_DONE)
            end.cached = ev.usage.cached_tokens;
    }
    engine_answer_free(a);
    return end;
}

static void a_full_queue_refuses_and_says_when(void **state)
{
    (void)state;
    enum { QUEUE = 3 };
    int32_t prompt[] = {1, 2, 3};
    struct engine_request r = request(prompt, 3, 5);
    struct engine_answer *a[2 + QUEUE];
    struct engine_stats stats;
    struct error err = {0};
    pthread_mutex_lock(&gate);
    struct engine *e = start(small, QUEUE);
    a[0] = engine_submit(e, &r, NULL);
    wait_for_step(1);
    for (int i = 1; i <= QUEUE; i++)
        assert_non_null(a[i] = engine_submit(e, &r, NULL));
    assert_null(engine_submit(e, &r, &err));
    assert_int_equal(err.code, ERR_BUSY);
    assert_in_range(err.retry_after_s, 1, 600);
    engine_stats(e, &stats);
    assert_int_equal(stats.queued, QUEUE);
    assert_int_equal(stats.queue_max, QUEUE);
    assert_int_equal(stats.refused, 1);
    pthread_mutex_unlock(&gate);
    for (int i = 0; i <= QUEUE; i++) {  // those who were let in are served as if nothing was
        struct end end = read_all(a[i]);
        assert_int_equal(end.finish, FINISH_LENGTH);
        assert_int_equal(end.n_tokens, 5);
    }
    struct end end = read_all(engine_submit(e, &r, &err));
    assert_int_equal(end.finish, FINISH_LENGTH);
    engine_free(e);
}

static void a_prompt_too_long_is_no_matter_of_load(void **state)
{
    (void)state;
    static int32_t prompt[3000];
    struct engine *e = start(small, 1);
    struct engine_request r = request(prompt, 3000, 5);
    struct error err;
    assert_null(engine_submit(e, &r, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(err.retry_after_s, 0);
    engine_free(e);
}

// Who left while a step was computed has no row in the next, and its place in the queue is free.
static void who_leaves_is_gone_with_the_next_step(void **state)
{
    (void)state;
    int32_t prompt[] = {1, 2, 3};
    struct engine_request r = request(prompt, 3, 2000);
    struct engine_stats stats;
    pthread_mutex_lock(&gate);
    struct engine *e = start(small, 2);
    struct engine_answer *runs = engine_submit(e, &r, NULL);
    wait_for_step(1);
    struct engine_answer *waits = engine_submit(e, &r, NULL), *too = engine_submit(e, &r, NULL);
    engine_answer_free(waits);
    engine_answer_free(runs);
    engine_cancel(too);
    pthread_mutex_unlock(&gate);
    assert_int_equal(read_all(too).finish, FINISH_CANCELLED);
    do
        engine_stats(e, &stats);
    while (stats.cancelled < 3);
    assert_int_equal(atomic_load(&n_steps), 1);
    assert_int_equal(stats.queued + stats.running + stats.waiting, 0);
    assert_int_equal(stats.pages_free, stats.pages_total);
    engine_free(e);
}

static void a_deadline_ends_what_runs_and_what_waits(void **state)
{
    (void)state;
    int32_t prompt[] = {1, 2, 3};
    struct engine_request r = request(prompt, 3, 2000), patient = request(prompt, 3, 20);
    struct engine_stats stats;
    struct scripted_options o = small;
    o.max_seqs = 1;
    pthread_mutex_lock(&gate);
    struct engine *e = start(o, 8);
    r.flow.deadline_ns = clock_ns() + 30000000;
    struct engine_answer *runs = engine_submit(e, &r, NULL);
    wait_for_step(1);
    struct engine_answer *waits = engine_submit(e, &r, NULL);
    struct engine_answer *other = engine_submit(e, &patient, NULL);
    while (clock_ns() <= r.flow.deadline_ns)
        usleep(1000);
    pthread_mutex_unlock(&gate);
    struct end a = read_all(runs), b = read_all(waits), c = read_all(other);
    assert_int_equal(a.finish, FINISH_ERROR);
    assert_int_equal(a.error.code, ERR_TIMEOUT);
    assert_int_equal(a.n_tokens, 1);
    assert_int_equal(b.finish, FINISH_ERROR);
    assert_int_equal(b.error.code, ERR_TIMEOUT);
    assert_int_equal(b.n_tokens, 0);
    assert_int_equal(c.finish, FINISH_LENGTH);
    assert_int_equal(c.n_tokens, 20);
    engine_stats(e, &stats);
    assert_int_equal(stats.expired, 2);
    engine_free(e);
}

// Nobody reads, so nothing is computed and the engine sleeps; the deadline wakes it.
static void a_deadline_ends_what_nobody_reads(void **state)
{
    (void)state;
    int32_t prompt[] = {1, 2, 3};
    struct engine_request r = request(prompt, 3, 2000);
    struct engine_stats stats;
    struct engine *e = start(small, 8);
    r.flow.deadline_ns = clock_ns() + 50000000;
    struct engine_answer *unread = engine_submit(e, &r, NULL);
    do {
        usleep(1000);
        engine_stats(e, &stats);
    } while (!stats.expired);
    assert_true(clock_ns() >= r.flow.deadline_ns);
    struct end end = read_all(unread);
    assert_int_equal(end.error.code, ERR_TIMEOUT);
    engine_free(e);
}

// A prompt's beginning that all have in common is computed by the first, though all come at once.
static void prompts_that_begin_alike_are_read_once(void **state)
{
    (void)state;
    enum { N = 6, SHARED = 640, OWN = 30 };
    static int32_t prompts[N][SHARED + OWN];
    struct scripted_options o = {.ctx = 2048, .max_rows = 128, .max_seqs = 8, .n_pages = 200};
    struct engine_answer *a[N + 1];
    struct engine_stats stats;
    pthread_mutex_lock(&gate);
    struct engine *e = start(o, 16);
    int32_t one[] = {1};
    struct engine_request r = request(one, 1, 2);
    a[N] = engine_submit(e, &r, NULL);  // holds the engine until all are there
    wait_for_step(1);
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < SHARED + OWN; k++)
            prompts[i][k] = k < SHARED ? k % 200 : (i * 7 + k) % 200;
        r = request(prompts[i], SHARED + OWN, 4);
        r.flow.share_salt = i < N - 1 ? 5 : 6;  // the last is a stranger
        r.flow.id = (uint64_t)i;
        a[i] = engine_submit(e, &r, NULL);
    }
    pthread_mutex_unlock(&gate);
    size_t cached = 0;
    for (int i = 0; i < N; i++) {
        struct end end = read_all(a[i]);
        assert_int_equal(end.finish, FINISH_LENGTH);
        if (i == N - 1)
            assert_int_equal(end.cached, 0);
        cached += end.cached;
    }
    assert_int_equal(cached, (N - 2) * SHARED);
    (void)read_all(a[N]);
    engine_stats(e, &stats);
    assert_int_equal(stats.cached_tokens, cached);
    engine_free(e);
}

// More than memory has room for waits, and everything ends as it should.
static void more_than_memory_holds_waits(void **state)
{
    (void)state;
    enum { N = 12 };
    struct scripted_options o = {.ctx = 640, .max_rows = 64, .max_seqs = 8, .n_pages = 12};
    struct engine_answer *a[N];
    int32_t prompt[N][100];
    struct engine *e = start(o, N);
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < 100; k++)
            prompt[i][k] = (i * 31 + k) % 200;
        struct engine_request r = request(prompt[i], 100, 200);
        r.n_choices = 1 + i % 2;
        a[i] = engine_submit(e, &r, NULL);
    }
    for (int i = 0; i < N; i++) {
        struct end end = read_all(a[i]);
        assert_int_equal(end.finish, FINISH_LENGTH);
        assert_int_equal(end.n_tokens, 200 * (1 + i % 2));
    }
    struct engine_stats stats;
    engine_stats(e, &stats);
    assert_int_equal(stats.pages_free, stats.pages_total);
    engine_free(e);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_refuses_and_says_when),
        cmocka_unit_test(a_prompt_too_long_is_no_matter_of_load),
        cmocka_unit_test(who_leaves_is_gone_with_the_next_step),
        cmocka_unit_test(a_deadline_ends_what_runs_and_what_waits),
        cmocka_unit_test(a_deadline_ends_what_nobody_reads),
        cmocka_unit_test(prompts_that_begin_alike_are_read_once),
        cmocka_unit_test(more_than_memory_holds_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
