// test_queue.c - the queue between threads keeps order, its bound, and wakes who waits.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/queue.h"

enum { N_ITEMS = 20000, N_PRODUCERS = 3 };

static struct queue q;

static void *produce(void *first)
{
    for (uintptr_t i = 0; i < N_ITEMS; i++)
        (void)queue_put(&q, (void *)((uintptr_t)first * N_ITEMS + i + 1));
    return NULL;
}

static void many_producers_lose_nothing_and_keep_their_order(void **state)
{
    pthread_t threads[N_PRODUCERS];
    uintptr_t last[N_PRODUCERS] = {0}, n = 0;
    (void)state;
    queue_init(&q, 16);
    for (uintptr_t i = 0; i < N_PRODUCERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, produce, (void *)i), 0);
    for (; n < N_ITEMS * N_PRODUCERS; n++) {
        uintptr_t item = (uintptr_t)queue_take(&q) - 1;
        assert_true(item / N_ITEMS < N_PRODUCERS);
        assert_true(item % N_ITEMS == last[item / N_ITEMS]++);
    }
    for (int i = 0; i < N_PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    assert_null(queue_try_take(&q));
    queue_release(&q);
}

static void *close_it(void *unused)
{
    queue_close(&q);
    return unused;
}

static void closing_wakes_the_waiting_and_keeps_what_is_inside(void **state)
{
    pthread_t t;
    int x;
    (void)state;
    queue_init(&q, 1);
    assert_true(queue_try_put(&q, &x));
    assert_false(queue_try_put(&q, &x));  // full
    assert_int_equal(pthread_create(&t, NULL, close_it, NULL), 0);
    assert_false(queue_put(&q, &x));  // waits for room, is woken by the closing
    assert_ptr_equal(queue_take(&q), &x);
    assert_null(queue_take(&q));
    pthread_join(t, NULL);
    queue_release(&q);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(many_producers_lose_nothing_and_keep_their_order),
    cmocka_unit_test(closing_wakes_the_waiting_and_keeps_what_is_inside),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
