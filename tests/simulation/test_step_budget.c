// test_step_budget.c - the scheduler on a machine made of numbers: how long streams wait while
// prompts are read, and how long prompts wait.
//
// The machine takes `fixed` seconds for a step, `row` for each of its rows and `seen` for each
// position that a prompt's row looks at. The numbers of the first test are those of a small model
// on two cores for which docs/performance/serving.md states goals; the clock is counted, not read.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/memory.h"
#include "local/engine/scheduler.h"

enum { CTX = 9000, STREAMS_MAX = 64 };

struct machine {
    double fixed, row, seen;
};
struct stream {
    struct sequence seq;
    int32_t *tokens;
    int n_prompt;
    double arrived, first, last, worst_gap;  // first < 0: not yet
};
struct world {
    struct machine machine;
    struct scheduler *s;
    struct batch *batch;
    struct stream streams[STREAMS_MAX];
    int n_streams, n_done;
    double now, longest_step, beside;  // beside: the longest step in which somebody generates
    int64_t n_tokens;
};

static struct world *world_new(struct machine machine, int max_seqs)
{
    struct world *w = memory_new(1, sizeof *w);
    struct scheduler_options o = {.n_groups = 1,
                                  .n_pages = {1000},
                                  .max_rows = 512,
                                  .max_seqs = max_seqs,
                                  .max_wanted = max_seqs,
                                  .ctx = CTX};
    w->machine = machine;
    w->s = scheduler_new(&o);
    w->batch = batch_new(o.max_rows, o.max_seqs, 1, w->s->pages_max);
    return w;
}

static void world_free(struct world *w)
{
    for (int i = 0; i < w->n_streams; i++) {
        scheduler_remove(w->s, &w->streams[i].seq);
        free(w->streams[i].tokens);
    }
    batch_free(w->batch);
    scheduler_free(w->s);
    free(w);
}

static struct stream *arrive(struct world *w, int n_prompt, int n_new, uint64_t flow, int n_same)
{
    struct stream *st = &w->streams[w->n_streams++];
    *st = (struct stream){.tokens = memory_array(int32_t, (size_t)(n_prompt + n_new)),
                          .n_prompt = n_prompt,
                          .arrived = w->now,
                          .first = -1};
    for (int i = 0; i < n_prompt; i++)
        st->tokens[i] =
            i < n_same ? i : (int32_t)hash_mix((uint64_t)(w->n_streams * CTX + i)) & 0xfff;
    st->seq = (struct sequence){.tokens = st->tokens,
                                .n_tokens = n_prompt,
                                .final_len = n_prompt + n_new,
                                .flow_id = flow,
                                .weight = 1,
                                .owner = st};
    scheduler_add(w->s, &st->seq);
    return st;
}

static void say(struct world *w, struct stream *st)
{
    if (st->first < 0)
        st->first = w->now;
    else if (w->now - st->last > st->worst_gap)
        st->worst_gap = w->now - st->last;
    st->last = w->now;
    w->n_tokens++;
    (void)scheduler_append(w->s, &st->seq, 1);
    if (st->seq.n_tokens == st->seq.final_len) {
        scheduler_remove(w->s, &st->seq);
        w->n_done++;
    }
}

static double step(struct world *w)
{
    struct stream *said[STREAMS_MAX];
    int n_said = 0, n_rows = scheduler_step(w->s, w->batch);
    const struct step_work *work = &w->s->work;
    double seconds = w->machine.fixed + w->machine.row * n_rows + w->machine.seen * work->positions;
    w->now += seconds;
    w->longest_step = seconds > w->longest_step ? seconds : w->longest_step;
    if (work->n_decode && seconds > w->beside)
        w->beside = seconds;
    for (int i = 0; i < w->s->n_runs; i++)
        if (w->s->runs[i].n_logits)
            said[n_said++] = w->s->runs[i].seq->owner;
    scheduler_settle(w->s);
    for (int i = 0; i < n_said; i++)
        say(w, said[i]);
    scheduler_measured(w->s, seconds);
    return seconds;
}

static void thirty_two_streams_at_once(void **state)
{
    (void)state;
    struct world *w = world_new((struct machine){.fixed = 0.020, .row = 0.0031}, 64);
    for (int i = 0; i < 32; i++)
        (void)arrive(w, 128, 64, (uint64_t)i, 0);
    double slowest_first = 0, worst_gap = 0;
    while (w->n_done < 32)
        (void)step(w);
    for (int i = 0; i < 32; i++) {
        const struct stream *st = &w->streams[i];
        slowest_first = st->first > slowest_first ? st->first : slowest_first;
        worst_gap = st->worst_gap > worst_gap ? st->worst_gap : worst_gap;
    }
    print_message("%.1f tokens/s, slowest first token %.1f s, worst gap %.2f s\n",
                  (double)w->n_tokens / w->now, slowest_first, worst_gap);
    assert_true(slowest_first <= 15);
    assert_true(worst_gap <= 1);
    assert_true((double)w->n_tokens / w->now >= 80);
    world_free(w);
}

// Beside four streams a step takes at most three idle ones, and the prompt gets most of the time.
static void a_long_prompt_stalls_nobody(void **state)
{
    (void)state;
    struct machine machine = {.fixed = 0.020, .row = 0.003, .seen = 1e-6};
    struct world *w = world_new(machine, 16);
    for (int i = 0; i < 4; i++)
        (void)arrive(w, 10, 6000, (uint64_t)i, 0);
    for (int i = 0; i < 50; i++)
        (void)step(w);
    double idle = machine.fixed + 4 * machine.row, at = w->now;
    w->longest_step = 0;
    const struct stream *prompt = arrive(w, 8000, 10, 9, 0);
    while (prompt->first < 0)
        (void)step(w);
    double alone = 8000 * machine.row + machine.seen * 8000 * 4000;
    print_message("idle step %.3f s, longest %.3f s; prompt %.1f s, alone %.1f s\n", idle,
                  w->longest_step, w->now - at, alone);
    assert_true(w->longest_step <= 3.3 * idle);
    assert_true(w->now - at < alone * 3 / 2 * 1.4);
    world_free(w);
}

// More prompts wait: steps grow, to STEP_MOST_S and no further, also as the machine slows down.
static void a_queue_makes_steps_longer_up_to_a_bound(void **state)
{
    (void)state;
    struct world *w = world_new((struct machine){.fixed = 0.020, .row = 0.003}, 16);
    for (int i = 0; i < 4; i++)
        (void)arrive(w, 10, 6000, (uint64_t)i, 0);
    for (int i = 0; i < 50; i++)
        (void)step(w);
    for (int i = 0; i < 40; i++)
        (void)arrive(w, 1000, 2, (uint64_t)i, 0);
    w->beside = 0;
    for (int i = 0; i < 20; i++)
        (void)step(w);
    assert_true(w->beside > 0.7 * STEP_MOST_S && w->beside < 1.1 * STEP_MOST_S);
    w->machine.row *= 2;
    for (int i = 0; i < 10; i++)
        (void)step(w);
    w->beside = 0;
    for (int i = 0; i < 20; i++)
        (void)step(w);
    assert_true(w->beside < 1.1 * STEP_MOST_S);
    world_free(w);
}

// Of prompts that begin alike the beginning is read once, though all come at once and from
// different accounts (who chose to share).
static void a_common_beginning_is_read_once(void **state)
{
    (void)state;
    struct world *w = world_new((struct machine){.fixed = 0.020, .row = 0.003}, 32);
    for (int i = 0; i < 24; i++)
        (void)arrive(w, 1024 + 40, 4, (uint64_t)i % 5, 1024);
    int64_t rows = 0;
    while (w->n_done < 24) {
        (void)step(w);
        rows += w->s->work.n_prompt;
    }
    print_message("%lld rows of prompts of %d tokens\n", (long long)rows, 24 * 1064);
    assert_true(rows <= 1024 + 24 * 40);
    int cached = 0;
    for (int i = 0; i < 24; i++)
        cached += w->streams[i].seq.n_cached;
    assert_int_equal(cached, 23 * 1024);
    world_free(w);
}

// An account that fills all slots for long makes room for another one's request, once.
static void a_full_house_makes_room_for_a_newcomer(void **state)
{
    (void)state;
    struct world *w = world_new((struct machine){.fixed = 0.020, .row = 0.003}, 8);
    for (int i = 0; i < 20; i++)
        (void)arrive(w, 100, 8000, 1, 0);
    for (int i = 0; i < 100; i++)
        (void)step(w);
    double at = w->now;
    const struct stream *newcomer = arrive(w, 100, 50, 2, 0);
    while (newcomer->first < 0)
        (void)step(w);
    assert_true(w->now - at < 2);
    assert_int_equal(w->s->n_preemptions, 1);
    for (int i = 0; i < 200; i++)
        (void)step(w);
    assert_int_equal(w->s->n_preemptions, 1);
    assert_int_equal(newcomer->seq.state, SEQUENCE_OUT);
    for (int i = 0; i < 20; i++)  // two accounts with much to do come to half of the slots each
        (void)arrive(w, 100, 5000, 3, 0);
    for (int i = 0; i < 400; i++)
        (void)step(w);
    int n = 0;
    for (int i = 0; i < 8; i++)
        n += w->s->slots[i] && w->s->slots[i]->flow_id == 3;
    assert_int_equal(n, 4);
    assert_in_range(w->s->n_preemptions, 5, 6);
    world_free(w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(thirty_two_streams_at_once),
        cmocka_unit_test(a_long_prompt_stalls_nobody),
        cmocka_unit_test(a_queue_makes_steps_longer_up_to_a_bound),
        cmocka_unit_test(a_common_beginning_is_read_once),
        cmocka_unit_test(a_full_house_makes_room_for_a_newcomer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
