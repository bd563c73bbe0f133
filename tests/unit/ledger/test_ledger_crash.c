// test_ledger_crash.c - processes that reserve and settle are killed at 500 random instants, four
// of them at work at a time.
//
// Each tells through a pipe what it has been promised: after each flush, how many of its requests
// are committed. Afterwards everything promised is there, nothing twice, what was spent is the sum
// of what was booked, the budget holds, the file is whole, and what the dead had leased is free
// again. HEARTH_KILLS sets another number.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>

#include "../../support/ledger_calls.h"
#include "../../support/ledger_db.h"
#include "base/hash.h"

enum { KILLS = 500, AT_ONCE = 4, COST = 7, HELD = 11 };
#define BUDGET INT64_C(1000000000)

static void live(int to, const struct ledger_key *key, int life)
{
    struct error err = {0};
    struct ledger *l = ledger_open(db.where, &err);
    if (!l)
        _exit(2);
    for (int n = 0;; n++) {
        char id[64];
        (void)snprintf(id, sizeof id, "%d-%d", life, n);
        if (!spend(l, key, id, HELD, COST, &err))
            _exit(3);
        if (n % 5 == 4 && (!ledger_flush(l, 60, &err) || write(to, &n, sizeof n) != sizeof n))
            _exit(4);
    }
}

struct life {
    pid_t process;
    int from;
    int promised;  // the last that it was promised; -1: nothing
};

static void begin_life(struct life *a, const struct ledger_key *key, int number)
{
    int pipes[2];
    a->promised = -1;
    assert_int_equal(pipe(pipes), 0);
    a->process = fork();
    if (a->process == 0) {
        (void)close(pipes[0]);
        live(pipes[1], key, number);
    }
    (void)close(pipes[1]);
    a->from = pipes[0];
}

// Every other life may come to its first promise; the rest may end before they have begun.
static void end_life(struct life *a, int number)
{
    int status;
    if (number % 2)
        assert_int_equal(read(a->from, &a->promised, sizeof a->promised), sizeof a->promised);
    (void)usleep((useconds_t)(hash_mix((uint64_t)number) % 4000));
    (void)kill(a->process, SIGKILL);
    assert_int_equal(waitpid(a->process, &status, 0), a->process);
    if (!WIFSIGNALED(status))
        fail_msg("the process ended by itself with %d", WEXITSTATUS(status));
    while (read(a->from, &a->promised, sizeof a->promised) == (ssize_t)sizeof a->promised)
        continue;
    (void)close(a->from);
}

static int64_t number(sqlite3 *file, const char *sql)
{
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_prepare_v2(file, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s);
    return n;
}

static void assert_whole(sqlite3 *file)
{
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_prepare_v2(file, "PRAGMA integrity_check", -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_string_equal(sqlite3_column_text(s, 0), "ok");
    (void)sqlite3_finalize(s);
}

// Requests are committed in their order: at least the promised ones, without a gap.
static void assert_promised_is_there(sqlite3 *file, const int *promised, int n)
{
    for (int life = 0; life < n; life++) {
        char sql[256];
        (void)snprintf(sql, sizeof sql,
                       "SELECT count(*) FROM ledger_usage WHERE request_id > '%d-' AND request_id "
                       "< '%d.'",
                       life, life);
        int64_t booked = number(file, sql);
        assert_true(booked >= promised[life] + 1);
        (void)snprintf(sql, sizeof sql,
                       "SELECT count(*) FROM ledger_usage WHERE request_id = '%d-%lld'", life,
                       (long long)booked - 1);
        assert_true(booked == 0 || number(file, sql) == 1);
    }
}

static void nothing_promised_is_lost_in_500_kills(void **state)
{
    (void)state;
    const char *wanted = getenv("HEARTH_KILLS");
    int n = wanted ? (int)strtol(wanted, NULL, 10) : KILLS, lives_that_promised = 0;
    int *promised = calloc((size_t)n, sizeof *promised);
    struct error err = {0};
    struct ledger *l = ledger_open(db.where, &err);
    assert_non_null(l);
    struct ledger_key key = make_key(l, -1, -1, BUDGET);
    ledger_close(l);
    for (int first = 0; first < n; first += AT_ONCE) {
        struct life lives[AT_ONCE];
        for (int i = 0; i < AT_ONCE && first + i < n; i++)
            begin_life(&lives[i], &key, first + i);
        for (int i = 0; i < AT_ONCE && first + i < n; i++) {
            end_life(&lives[i], first + i);
            promised[first + i] = lives[i].promised;
            lives_that_promised += lives[i].promised >= 0;
        }
    }
    assert_true(lives_that_promised >= n / 2);
    sqlite3 *file;
    assert_int_equal(sqlite3_open(db.where + strlen("sqlite:"), &file), SQLITE_OK);
    assert_whole(file);
    assert_promised_is_there(file, promised, n);
    int64_t booked = number(file, "SELECT sum(picousd) FROM ledger_usage");
    int64_t leased = number(file, "SELECT coalesce(sum(picousd), 0) FROM ledger_leases");
    assert_true(number(file, "SELECT picousd FROM ledger_spent WHERE kind = 2") == booked);
    assert_true(booked + leased <= BUDGET);
    (void)sqlite3_close(file);
    l = ledger_open(db.where, &err);
    assert_non_null(l);
    assert_true(spend(l, &key, "the rest", BUDGET - booked, 1, &err));
    assert_true(spent_of(l, &key).total == booked + 1);
    ledger_close(l);
    (void)printf("%d kills, %d of them after a promise, %lld requests booked\n", n,
                 lives_that_promised, (long long)(booked / COST));
    free(promised);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_promised_is_lost_in_500_kills),
    };
    return cmocka_run_group_tests(tests, ledger_db_setup, ledger_db_teardown);
}
