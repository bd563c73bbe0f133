// test_flight_money.c - requests over routes: what they cost, what budgets allow, and what the
// books say of what failed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include <sqlite3.h>

#include "../../support/flight_world.h"

static void a_budget_needs_a_price_and_is_kept(void **state)
{
    (void)state;
    struct world w;
    struct error err = {0};
    char secret[LEDGER_SECRET_BYTES];
    struct ledger_key want = {.name = "n",
                              .budget_day = -1,
                              .budget_month = -1,
                              .budget_total = INT64_C(2000000000)};  // 0.2 cents
    struct ledger_key key;
    open_world(&w, "well");
    assert_true(ledger_key_create(w.ledger, &want, secret, &key, &err));
    struct asked dear = {.caller = {.key = &key, .vendors = true}};
    assert_false(run(&w, &dear, "east/m", "hello", &err));
    assert_int_equal(err.code, ERR_BUDGET);
    remote_log_release(&dear.log);
    int n = 0;
    for (; n < 100; n++) {
        struct asked a = {.caller = {.key = &key, .vendors = true}};
        bool ok = run(&w, &a, "both", "hello", &err);
        remote_log_release(&a.log);
        if (!ok)
            break;
    }
    assert_int_equal(err.code, ERR_BUDGET);
    struct ledger_sum sum = booked(&w);
    assert_int_equal(sum.requests, n);
    assert_true(n > 0 && sum.cost <= want.budget_total);
    close_world(&w);
}

#define PAID (40 * 2000000 + 60 * 500000 + 10 * 8000000)  // of USAGE

static void what_is_paid_for_is_booked_though_it_failed(void **state)
{
    (void)state;
    static const struct {
        const char *way, *model;
        int64_t requests, cost;
        bool good;
    } cases[] = {
        {"told", "north/m", 1, PAID, false},
        {"told", "priced", 2, 2 * PAID, true},  // each for itself
        {"close", "north/m", 1, 6 * 2000000, false},
        {"500", "north/m", 0, 0, false},
        {"500", "priced", 1, PAID, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        struct asked a = {.caller = {.vendors = true}};
        struct error err = {0};
        open_world(&w, cases[i].way);
        assert_true(run(&w, &a, cases[i].model, "hello", &err));
        assert_int_equal(!a.log.error.code, cases[i].good);
        struct ledger_sum sum = booked(&w);
        assert_int_equal(sum.requests, cases[i].requests);
        assert_int_equal(sum.cost, cases[i].cost);
        remote_log_release(&a.log);
        close_world(&w);
    }
}

static void no_part_of_a_usage_is_more_than_the_whole(void **state)
{
    (void)state;
    struct world w;
    struct asked a = {.caller = {.vendors = true}};
    struct error err = {0};
    open_world(&w, "parts");
    assert_true(run(&w, &a, "north/m", "hello", &err));
    assert_int_equal(a.log.error.code, ERR_NONE);
    assert_int_equal(a.log.usage.cached_tokens, 10);
    assert_int_equal(a.log.usage.reasoning_tokens, 5);
    assert_false(a.log.usage.estimated);
    assert_int_equal(booked(&w).cost, 10 * 500000 + 5 * 8000000);
    remote_log_release(&a.log);
    close_world(&w);
}

// Attempts that failed use a budget up, too, and none passes it.
static void what_failed_and_is_paid_for_is_in_the_budget(void **state)
{
    (void)state;
    for (int64_t budget = 1000000000; budget < 1900000000; budget += 130000000) {
        struct world w;
        struct error err = {0};
        char secret[LEDGER_SECRET_BYTES];
        struct ledger_key want = {
            .name = "n", .budget_day = -1, .budget_month = -1, .budget_total = budget};
        struct ledger_key key;
        open_world(&w, "told");
        assert_true(ledger_key_create(w.ledger, &want, secret, &key, &err));
        int n = 0, n_good = 0;
        for (bool ok = true; ok && n < 100; n += ok) {
            struct asked a = {.caller = {.key = &key, .vendors = true}};
            ok = run(&w, &a, "priced", "hello", &err);
            n_good += ok && !a.log.error.code;
            if (ok && a.log.error.code)  // there was no room for the second
                assert_int_equal(a.log.error.code, ERR_UPSTREAM);
            remote_log_release(&a.log);
        }
        assert_int_equal(err.code, ERR_BUDGET);
        struct ledger_sum sum = booked(&w);
        assert_true(n_good > 0 && sum.cost <= budget);
        assert_true(sum.requests > n && sum.requests <= n + n_good);  // one that rests is not asked
        assert_int_equal(sum.cost, sum.requests * PAID);
        close_world(&w);
    }
}

static struct ledger_key new_key(struct world *w, int64_t budget)
{
    char secret[LEDGER_SECRET_BYTES];
    struct error err = {0};
    struct ledger_key key,
        want = {.name = "n", .budget_day = -1, .budget_month = -1, .budget_total = budget};
    if (!ledger_key_create(w->ledger, &want, secret, &key, &err))
        fail_msg("%s", err.text);
    return key;
}

// With 50 tokens of answer the west may cost 0.05 cents, the cheap one a tenth of it; told are
// 0.019 and 0.0019 cents.
static void who_a_budget_cannot_pay_for_is_left_out(void **state)
{
    (void)state;
    static const struct {
        int64_t budget;
        int n_vendors, n_local;
    } cases[] = {{0, 0, 4}, {100000000, 3, 1}, {520000000, 4, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        struct error err = {0};
        open_world(&w, "well");
        struct ledger_key key = new_key(&w, cases[i].budget);
        for (int k = 0; k < 4; k++) {
            struct asked a = {.caller = {.key = &key, .vendors = true}};
            if (!run(&w, &a, "sizes", "hello", &err))
                fail_msg("%s", err.text);
            assert_int_equal(a.log.error.code, ERR_NONE);
            remote_log_release(&a.log);
            assert_true(booked(&w).cost <= cases[i].budget);
        }
        assert_int_equal(w.vendor.n_requests, cases[i].n_vendors);
        assert_int_equal(w.local.n_started, cases[i].n_local);
        struct asked a = {.caller = {.key = &key, .vendors = true}};
        if (cases[i].budget == 0) {  // where nobody is left
            assert_false(run(&w, &a, "priced", "hello", &err));
            assert_int_equal(err.code, ERR_BUDGET);
            remote_log_release(&a.log);
        }
        close_world(&w);
    }
}

static void many_at_once_share_what_a_budget_has_left(void **state)
{
    (void)state;
    enum { N = 40 };
    for (int64_t budget = 300000000; budget < 3000000000; budget += 450000000) {
        struct world w;
        struct error err = {0};
        struct asked *all = calloc(N, sizeof *all);
        struct gateway_answer *answers[N];
        open_world(&w, "well");
        struct ledger_key key = new_key(&w, budget);
        for (int i = 0; i < N; i++) {
            all[i].caller = (struct caller){.key = &key, .vendors = true};
            answers[i] = start(&w, &all[i], "sizes", "hello", &err);
            assert_non_null(answers[i]);
        }
        for (int i = 0; i < N; i++) {
            remote_log_wait(&all[i].log);
            gateway_answer_free(answers[i]);
            assert_int_equal(all[i].log.error.code, ERR_NONE);
            remote_log_release(&all[i].log);
        }
        struct ledger_sum sum = booked(&w);
        assert_int_equal(sum.requests, N);
        assert_true(sum.cost > 0 && sum.cost <= budget);
        assert_true(w.local.n_started > 0 && w.vendor.n_requests > 0);
        free(all);
        close_world(&w);
    }
}

static sqlite3 *lock_ledger(struct world *w)
{
    char path[300];
    sqlite3 *db = NULL;
    (void)snprintf(path, sizeof path, "%s/ledger.db", w->home);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(db, 20000), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static bool has_ended(struct asked *a)
{
    pthread_mutex_lock(&a->log.lock);
    bool yes = a->log.closed;
    pthread_mutex_unlock(&a->log.lock);
    return yes;
}

// What is left of a budget after a paid failure must be leased anew: with the ledger locked by
// somebody else that waits, and nobody else's failure does.
static void who_waits_for_the_ledger_keeps_nobody_from_the_next(void **state)
{
    enum { BOUND = 500000000 };  // of "priced", and a little
    (void)state;
    struct world w;
    struct error err = {0};
    struct asked slow = {0}, quick = {.caller = {.vendors = true}};
    open_world(&w, "told, when it opens");
    struct ledger_key key = new_key(&w, 4 * (int64_t)BOUND);
    slow.caller = (struct caller){.key = &key, .vendors = true};
    struct gateway_answer *waits = start(&w, &slow, "priced", "hello", &err);
    assert_non_null(waits);
    sqlite3 *db = lock_ledger(&w);
    atomic_store(&w.gate, true);
    struct ledger_health health = {0};
    for (; !health.waiting; (void)usleep(1000))  // what failed is settled, and cannot be committed
        ledger_health(w.ledger, &health);
    struct gateway_answer *goes = start(&w, &quick, "priced", "hello", &err);
    assert_non_null(goes);
    remote_log_wait(&quick.log);
    assert_int_equal(quick.log.error.code, ERR_NONE);
    assert_false(has_ended(&slow));
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    remote_log_wait(&slow.log);
    assert_int_equal(slow.log.error.code, ERR_NONE);
    assert_int_equal(slow.log.usage.cost_picousd, PAID);
    gateway_answer_free(waits);
    gateway_answer_free(goes);
    struct ledger_sum sum = booked(&w);
    assert_int_equal(sum.requests, 4);
    assert_int_equal(sum.cost, 4 * PAID);
    remote_log_release(&slow.log);
    remote_log_release(&quick.log);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_budget_needs_a_price_and_is_kept),
        cmocka_unit_test(what_is_paid_for_is_booked_though_it_failed),
        cmocka_unit_test(no_part_of_a_usage_is_more_than_the_whole),
        cmocka_unit_test(what_failed_and_is_paid_for_is_in_the_budget),
        cmocka_unit_test(who_a_budget_cannot_pay_for_is_left_out),
        cmocka_unit_test(many_at_once_share_what_a_budget_has_left),
        cmocka_unit_test(who_waits_for_the_ledger_keeps_nobody_from_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
