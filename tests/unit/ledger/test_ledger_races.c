// test_ledger_races.c - many threads of two processes spend from one key at once: never more than
// its budget, all of it in the end, and what was settled is what was booked. On both databases.
//
// No ledger is open in this process while it forks.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "../../support/ledger_calls.h"
#include "../../support/ledger_db.h"
#include "base/hash.h"

enum { PROCESSES = 2, THREADS = 4, BUDGET = 200000, LARGEST = 3000 };

struct spender {
    pthread_t thread;
    struct ledger *ledger;
    struct ledger_key key;
    uint64_t seed;
    int64_t spent;
    bool failed;
};

// Random requests, smaller when they are refused, until not even the smallest goes.
static void *spend_at_random(void *self)
{
    struct spender *s = self;
    int64_t largest = LARGEST;
    for (uint64_t i = 0; largest > 0; i++) {
        struct ledger_hold hold;
        struct error err = {0};
        char id[64];
        uint64_t r = hash_mix(s->seed + i);
        int64_t amount = 1 + (int64_t)(r % (uint64_t)largest);
        if (!ledger_reserve(s->ledger, &s->key, amount, &hold, &err)) {
            s->failed = s->failed || (err.code != ERR_BUDGET && err.code != ERR_BUSY);
            largest = err.code == ERR_BUDGET ? largest / 4 : largest;
            continue;
        }
        if (r >> 32 & 1)
            (void)usleep((useconds_t)(r >> 40 & 63));
        if ((r >> 33 & 7) == 0) {
            ledger_cancel(s->ledger, &hold);
            continue;
        }
        int64_t cost = (r >> 36 & 3) == 0 ? amount : (int64_t)((r >> 8) % (uint64_t)(amount + 1));
        (void)snprintf(id, sizeof id, "%llx-%llu", (unsigned long long)s->seed,
                       (unsigned long long)i);
        settle(s->ledger, &hold, id, cost);
        s->spent += cost;
    }
    return NULL;
}

static void process(int to, const struct ledger_key *key, uint64_t seed)
{
    struct spender spenders[THREADS];
    struct error err = {0};
    int64_t spent = 0;
    struct ledger *l = ledger_open(db.where, &err);
    if (!l)
        _exit(2);
    for (int i = 0; i < THREADS; i++) {
        spenders[i] = (struct spender){
            .ledger = l, .key = *key, .seed = hash_mix(seed * THREADS + (uint64_t)i)};
        if (pthread_create(&spenders[i].thread, NULL, spend_at_random, &spenders[i]) != 0)
            _exit(3);
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(spenders[i].thread, NULL);
        spent += spenders[i].spent;
        if (spenders[i].failed)
            _exit(4);
    }
    ledger_close(l);
    _exit(write(to, &spent, sizeof spent) == (ssize_t)sizeof spent ? 0 : 5);
}

// While they run: never more is spent and leased than the budget.
static void watch(const pid_t *children, struct ledger *l, const struct ledger_key *key,
                  int64_t budget)
{
    struct error err = {0};
    for (int running = PROCESSES; running > 0;) {
        struct ledger_spent s;
        assert_true(ledger_spent(l, key->id, &s, &err));
        assert_true(s.total + s.held <= budget);
        (void)usleep(3000);
        for (int i = 0; i < PROCESSES; i++) {
            int status;
            if (waitpid(children[i], &status, WNOHANG) == children[i]) {
                assert_int_equal(status, 0);
                running--;
            }
        }
    }
}

static void nobody_spends_over_the_budget_and_all_is_usable(void **state)
{
    (void)state;
    int pipes[2];
    pid_t children[PROCESSES];
    struct error err = {0};
    struct ledger *l = ledger_open(db.where, &err);
    assert_non_null(l);
    struct ledger_key key = make_key(l, 10 * BUDGET, -1, BUDGET);
    ledger_close(l);
    assert_int_equal(pipe(pipes), 0);
    for (int i = 0; i < PROCESSES; i++)
        if ((children[i] = fork()) == 0)
            process(pipes[1], &key, (uint64_t)i + 1);
    l = ledger_open(db.where, &err);
    assert_non_null(l);
    watch(children, l, &key, BUDGET);
    int64_t sum = 0, part;
    for (int i = 0; i < PROCESSES; i++) {
        assert_int_equal(read(pipes[0], &part, sizeof part), sizeof part);
        sum += part;
    }
    struct ledger_spent s = spent_of(l, &key);
    assert_true(s.total == sum && s.day == sum && s.held == 0);
    assert_false(spend(l, &key, "too much", BUDGET - sum + 1, 1, &err));
    if (sum < BUDGET)
        assert_true(spend(l, &key, "the rest", BUDGET - sum, BUDGET - sum, &err));
    assert_true(spent_of(l, &key).total == BUDGET);
    ledger_close(l);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}

// A process that dies with what it holds: its lease comes back, and what it spent stays spent.
static void what_the_dead_had_leased_comes_back(void **state)
{
    (void)state;
    struct error err = {0};
    const struct ledger_options brief = {.where = db.where, .lease_s = 1};
    struct ledger *l = ledger_open_with(&brief, &err);
    assert_non_null(l);
    struct ledger_key key = make_key(l, -1, -1, 1000);
    ledger_close(l);
    pid_t child = fork();
    if (child == 0) {
        struct ledger_hold hold;
        l = ledger_open_with(&brief, &err);
        bool ok = l && spend(l, &key, "child", 300, 300, &err) && ledger_flush(l, 60, &err) &&
                  ledger_reserve(l, &key, 700, &hold, &err);
        (void)kill(getpid(), ok ? SIGKILL : SIGTERM);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    l = ledger_open_with(&brief, &err);
    assert_non_null(l);
    bool got = false;
    for (int i = 0; i < 1000 && !got; i++) {
        got = spend(l, &key, "parent", 700, 700, &err);
        if (!got)
            (void)usleep(20000);
    }
    assert_true(got);
    assert_true(spent_of(l, &key).total == 1000);
    ledger_close(l);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_spends_over_the_budget_and_all_is_usable),
        cmocka_unit_test(what_the_dead_had_leased_comes_back),
    };
    int failed = cmocka_run_group_tests_name("SQLite", tests, ledger_db_setup, ledger_db_teardown);
    if (!ledger_db_postgres(&db)) {
        (void)printf("skip races on PostgreSQL (it or its driver is not here)\n");
        return failed;
    }
    return failed + cmocka_run_group_tests_name("PostgreSQL", tests, NULL, ledger_db_teardown);
}
