// test_thread_pool.c - every item runs once, nothing is left behind, and sleeping threads wake.
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/thread_pool.h"

enum { ITEMS = 1000 };

struct job {
    int plain[ITEMS];  // no atomics: the pool's own ordering must make this safe
    int n_workers;
    atomic_int outside;
};

static void count(void *self, int item, int worker)
{
    struct job *j = self;
    j->plain[item]++;
    if (worker < 0 || worker >= j->n_workers)
        atomic_fetch_add(&j->outside, 1);
}

static void every_item_runs_exactly_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        struct thread_pool *p = thread_pool_new(threads, NULL);
        struct job *j = calloc(1, sizeof *j);
        j->n_workers = thread_pool_size(p);
        assert_int_equal(j->n_workers, threads);
        for (int run = 1; run <= 300; run++) {
            int n = run % 3 == 0 ? ITEMS : run % 7;
            for (int i = 0; i < n; i++)
                j->plain[i] = 0;
            thread_pool_run(p, count, j, n);
            for (int i = 0; i < n; i++)
                assert_int_equal(j->plain[i], 1);
        }
        assert_int_equal(atomic_load(&j->outside), 0);
        thread_pool_free(p);
        free(j);
    }
}

static void threads_that_fell_asleep_take_part_again(void **state)
{
    (void)state;
    struct thread_pool *p = thread_pool_new(3, NULL);
    struct job *j = calloc(1, sizeof *j);
    j->n_workers = 3;
    for (int run = 1; run <= 5; run++) {
        nanosleep(&(struct timespec){0, 3000000}, NULL);
        thread_pool_run(p, count, j, ITEMS);
        for (int i = 0; i < ITEMS; i++)
            assert_int_equal(j->plain[i], run);
    }
    thread_pool_free(p);
    free(j);
}

static void meet(void *self, int item, int worker)
{
    atomic_int *here = self;
    (void)item;
    (void)worker;
    atomic_fetch_add(here, 1);
    while (atomic_load(here) < 2)  // returns only if another thread runs the other item
        nanosleep(&(struct timespec){0, 100000}, NULL);
}

static void two_items_run_at_the_same_time(void **state)
{
    (void)state;
    struct thread_pool *p = thread_pool_new(2, NULL);
    for (int run = 0; run < 3; run++) {
        atomic_int here = 0;
        thread_pool_run(p, meet, &here, 2);
        assert_int_equal(atomic_load(&here), 2);
    }
    thread_pool_free(p);
}

static atomic_int started;

static void note_start(void)
{
    atomic_fetch_add(&started, 1);
}

static void each_new_thread_starts_with_the_callback(void **state)
{
    (void)state;
    atomic_store(&started, 0);
    struct thread_pool *p = thread_pool_new(4, note_start);
    thread_pool_free(p);  // joins, so all have started
    assert_int_equal(atomic_load(&started), 3);
    thread_pool_free(NULL);
}

static void the_default_size_is_at_least_one(void **state)
{
    (void)state;
    assert_in_range(thread_pool_default_size(), 1, 1024);
}

// Threads 0 and 2 on one node, 1 on another, 3 on a third.
static const struct cores three_nodes = {
    .n = 4,
    .n_fast = 4,
    .n_nodes = 3,
    .n_threads = 4,
    .places = {{0, 0, true}, {1, 1, true}, {2, 0, true}, {3, 2, true}}};

static void every_item_runs_once_whatever_the_nodes(void **state)
{
    (void)state;
    struct job *j = calloc(1, sizeof *j);
    for (int threads = 1; threads <= 6; threads++) {
        struct thread_pool *p = thread_pool_new_on(&three_nodes, PIN_OFF, threads, NULL);
        assert_int_equal(thread_pool_n_nodes(p), 3);
        j->n_workers = thread_pool_size(p);
        for (int run = 0; run < 200; run++) {
            int n = run < 30 ? run : run * 5;
            for (int i = 0; i <= n && i < ITEMS; i++)
                j->plain[i] = 0;
            thread_pool_run(p, count, j, n);
            for (int i = 0; i < n; i++)
                assert_int_equal(j->plain[i], 1);
            assert_int_equal(j->plain[n], 0);
        }
        thread_pool_free(p);
    }
    assert_int_equal(atomic_load(&j->outside), 0);
    free(j);
}

struct firsts {
    atomic_int arrived, first[2];
};

static void note_first(void *self, int item, int worker)
{
    struct firsts *f = self;
    int none = -1;
    if (!atomic_compare_exchange_strong(&f->first[worker], &none, item))
        return;
    atomic_fetch_add(&f->arrived, 1);
    while (atomic_load(&f->arrived) < 2)  // nobody takes a second item before all have a first
        nanosleep(&(struct timespec){0, 100000}, NULL);
}

static void each_node_begins_with_its_own_share(void **state)
{
    (void)state;
    struct thread_pool *p = thread_pool_new_on(&three_nodes, PIN_OFF, 2, NULL);
    for (int run = 0; run < 3; run++) {
        struct firsts f = {0, {-1, -1}};
        thread_pool_run(p, note_first, &f, 100);
        assert_int_equal(atomic_load(&f.first[0]), 0);
        assert_int_equal(atomic_load(&f.first[1]), 50);
    }
    thread_pool_free(p);
}

static void own_cpus(void *self, int item, int worker)
{
    cpu_set_t *sets = self;
    (void)item;
    (void)sched_getaffinity(0, sizeof *sets, &sets[worker]);
    nanosleep(&(struct timespec){0, 1000000}, NULL);
}

static void threads_keep_to_their_cpus_and_callers_get_theirs_back(void **state)
{
    (void)state;
    static struct cores cores;
    cpu_set_t before, after, sets[2], expected;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    cores_find(&cores);
    if (cores.n < 2)
        skip();
    struct thread_pool *p = thread_pool_new_on(&cores, PIN_CORES, 2, NULL);
    CPU_ZERO(&sets[1]);
    thread_pool_caller_begin(p);
    for (int run = 0; run < 1000 && CPU_COUNT(&sets[1]) == 0; run++)
        thread_pool_run(p, own_cpus, sets, 2);
    thread_pool_caller_end(p);
    assert_int_equal(sched_getaffinity(0, sizeof after, &after), 0);
    assert_true(CPU_EQUAL(&before, &after));
    for (int i = 0; i < 2; i++) {
        CPU_ZERO(&expected);
        CPU_SET((unsigned)cores.places[i].cpu, &expected);
        assert_true(CPU_EQUAL(&sets[i], &expected));
    }
    thread_pool_free(p);
    p = thread_pool_new_on(&cores, PIN_OFF, 2, NULL);
    thread_pool_caller_begin(p);
    thread_pool_run(p, own_cpus, sets, 2);
    thread_pool_caller_end(p);
    assert_true(CPU_EQUAL(&sets[0], &before));
    thread_pool_free(p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_runs_exactly_once),
        cmocka_unit_test(threads_that_fell_asleep_take_part_again),
        cmocka_unit_test(two_items_run_at_the_same_time),
        cmocka_unit_test(each_new_thread_starts_with_the_callback),
        cmocka_unit_test(the_default_size_is_at_least_one),
        cmocka_unit_test(every_item_runs_once_whatever_the_nodes),
        cmocka_unit_test(each_node_begins_with_its_own_share),
        cmocka_unit_test(threads_keep_to_their_cpus_and_callers_get_theirs_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
