// test_local_carriers.c - work that is woken by many threads is run by one at a time, to its end.
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "providers/local_carriers.h"

enum { WORKS = 200, WAKERS = 4, EVENTS = 50 };

struct test_work {
    struct carried carried;  // first
    atomic_int given, running, n_over;
    int taken;  // without a lock: only one thread at a time may be here
    struct carriers *carriers;
};

static bool take_one(struct carried *c)
{
    struct test_work *w = (struct test_work *)c;
    assert_int_equal(atomic_fetch_add(&w->running, 1), 0);
    while (w->taken < atomic_load(&w->given))
        w->taken++;
    bool goes_on = w->taken < WAKERS * EVENTS;
    atomic_fetch_sub(&w->running, 1);
    return goes_on;
}

static void is_over(struct carried *c)
{
    atomic_fetch_add(&((struct test_work *)c)->n_over, 1);
}

static void *wake_all(void *self)
{
    struct test_work *works = self;
    for (int e = 0; e < EVENTS; e++)
        for (int i = 0; i < WORKS; i++) {
            atomic_fetch_add(&works[i].given, 1);
            carried_wake(&works[i].carried);
        }
    return NULL;
}

static void nothing_is_lost(void **state)
{
    (void)state;
    struct error err;
    struct carriers carriers;
    static struct test_work works[WORKS];
    pthread_t wakers[WAKERS];
    assert_true(carriers_init(&carriers, &err));
    for (int i = 0; i < WORKS; i++) {
        works[i] = (struct test_work){0};
        carried_init(&works[i].carried, &carriers);
        works[i].carried.run = take_one;
        works[i].carried.over = i % 2 ? is_over : NULL;
    }
    for (int i = 0; i < WAKERS; i++)
        assert_int_equal(pthread_create(&wakers[i], NULL, wake_all, works), 0);
    for (int i = 0; i < WORKS; i++)  // some were woken before they began
        carried_begin(&works[i].carried);
    for (int i = 0; i < WAKERS; i++)
        assert_int_equal(pthread_join(wakers[i], NULL), 0);
    for (int i = 0; i < WORKS; i++) {
        carried_wait(&works[i].carried);
        assert_true(carried_is_over(&works[i].carried));
        assert_int_equal(works[i].taken, WAKERS * EVENTS);
        while (i % 2 && !atomic_load(&works[i].n_over))
            usleep(100);
    }
    carriers_release(&carriers);
    for (int i = 0; i < WORKS; i++)
        assert_int_equal(atomic_load(&works[i].n_over), i % 2);
}

struct blocker {
    struct carried carried;  // first
    struct carried *other;
    atomic_bool *other_ran;
};

static bool block(struct carried *c)
{
    struct blocker *b = (struct blocker *)c;
    while (!atomic_load(b->other_ran)) {  // woken like a token every millisecond
        carried_wake(b->other);
        usleep(1000);
    }
    return false;
}

static atomic_bool ran;

static bool run_once(struct carried *c)
{
    (void)c;
    atomic_store(&ran, true);
    return false;
}

static void sinks_that_block_get_company(void **state)
{
    (void)state;
    struct error err;
    struct carriers carriers;
    struct carried last = {.run = run_once};
    struct blocker blockers[CARRIERS_AT_FIRST + 1] = {0};
    assert_true(carriers_init(&carriers, &err));
    carried_init(&last, &carriers);
    for (int i = 0; i <= CARRIERS_AT_FIRST; i++) {
        struct blocker *b = &blockers[i];
        *b = (struct blocker){.carried = {.run = block}, .other = &last, .other_ran = &ran};
        carried_init(&b->carried, &carriers);
        carried_begin(&b->carried);
    }
    carried_begin(&last);
    carried_wait(&last);
    for (int i = 0; i <= CARRIERS_AT_FIRST; i++)
        carried_wait(&blockers[i].carried);
    carriers_release(&carriers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost),
        cmocka_unit_test(sinks_that_block_get_company),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
