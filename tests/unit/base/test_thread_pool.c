// test_thread_pool.c - every item runs once, nothing is left behind, and sleeping threads wake.
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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_runs_exactly_once),
        cmocka_unit_test(threads_that_fell_asleep_take_part_again),
        cmocka_unit_test(two_items_run_at_the_same_time),
        cmocka_unit_test(each_new_thread_starts_with_the_callback),
        cmocka_unit_test(the_default_size_is_at_least_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
