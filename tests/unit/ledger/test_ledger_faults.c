// test_ledger_faults.c - files that are no ledgers; a database that is locked, gone, full or
// replaced while it is used: nothing is lost, nothing is spent that could not be recorded.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "../../support/ledger_calls.h"
#include "../../support/ledger_db.h"

static const char *path(void)
{
    return db.where + strlen("sqlite:");
}

static int begin(void **state)
{
    (void)state;
    ledger_db_sqlite(&db);
    return 0;
}

static int end(void **state)
{
    (void)state;
    ledger_db_drop(&db);
    return 0;
}

static struct ledger *open_it(void)
{
    struct error err = {0};
    struct ledger *l =
        ledger_open_with(&(struct ledger_options){.where = db.where, .wait_ms = 100}, &err);
    if (!l)
        fail_msg("%s", err.text);
    return l;
}

static void sql(sqlite3 *other, const char *text)
{
    if (sqlite3_exec(other, text, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", text, sqlite3_errmsg(other));
}

static sqlite3 *another_connection(void)
{
    sqlite3 *other;
    assert_int_equal(sqlite3_open(path(), &other), SQLITE_OK);
    (void)sqlite3_busy_timeout(other, 10000);
    return other;
}

static void write_file(const char *bytes, size_t len)
{
    FILE *f = fopen(path(), "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void assert_refused(const char *where, enum error_code code, const char *says)
{
    struct error err = {0};
    assert_null(ledger_open(where, &err));
    assert_int_equal(err.code, code);
    if (!strstr(err.text, says))
        fail_msg("'%s' does not say '%s'", err.text, says);
}

static void what_is_no_ledger_is_refused(void **state)
{
    (void)state;
    char where[600], junk[4096];
    memset(junk, 'x', sizeof junk);
    write_file(junk, sizeof junk);
    assert_refused(db.where, ERR_FORMAT, "is not a ledger: no SQLite database");
    assert_int_equal(remove(path()), 0);
    sqlite3 *other = another_connection();
    sql(other, "CREATE TABLE birds (name TEXT)");
    (void)sqlite3_close(other);
    assert_refused(db.where, ERR_FORMAT, "not a ledger of Hearth's");
    (void)snprintf(where, sizeof where, "sqlite:%s/no/such/folder/x.db", db.folder);
    assert_refused(where, ERR_IO, "No such file or directory");
    (void)snprintf(where, sizeof where, "sqlite:%s", db.folder);
    assert_refused(where, ERR_FORMAT, "is not a file");
    assert_refused("sqlite:", ERR_USAGE, "needs the path");
    assert_refused("mysql://user:secret@host/x", ERR_USAGE, "not 'mysql'");
}

static void a_later_version_is_refused(void **state)
{
    (void)state;
    ledger_close(open_it());
    sqlite3 *other = another_connection();
    sql(other, "UPDATE ledger_meta SET version = 99");
    (void)sqlite3_close(other);
    assert_refused(db.where, ERR_FORMAT, "of version 99, written by a later Hearth");
}

// Whoever needs nothing of the database goes on; who needs a lease is refused; nothing is lost.
static void assert_goes_on_without(struct ledger *l, const struct ledger_key *key, const char *id)
{
    struct error err = {0};
    struct ledger_health h;
    char name[64];
    for (int i = 0; i < 10; i++) {
        (void)snprintf(name, sizeof name, "%s %d", id, i);
        assert_true(spend(l, NULL, name, 5, 5, &err));
    }
    (void)snprintf(name, sizeof name, "%s key", id);
    assert_true(spend(l, key, name, 1, 1, &err));  // of what is leased already
    assert_false(ledger_flush(l, 1, &err));
    assert_int_equal(err.code, ERR_TIMEOUT);
    ledger_health(l, &h);
    assert_true(!h.writable && h.waiting == 11);
    (void)snprintf(name, sizeof name, "%s more", id);
    assert_false(spend(l, key, name, 900, 1, &err));
    assert_int_equal(err.code, ERR_BUSY);
    assert_true(err.retry_after_s > 0);
}

static void assert_all_is_there(struct ledger *l, const struct ledger_key *key)
{
    struct error err = {0};
    struct ledger_health h;
    struct ledger_sum *sums;
    size_t n;
    assert_true(ledger_flush(l, 60, &err));
    ledger_health(l, &h);
    assert_true(h.writable && h.waiting == 0);
    assert_true(ledger_usage_sum(l, LEDGER_BY_MODEL, 0, 0, NULL, &sums, &n, &err));
    assert_true(n == 1 && sums[0].requests == 12 && sums[0].cost == 61);
    free(sums);
    assert_true(spent_of(l, key).total == 11);
    assert_true(spend(l, key, "after", 900, 1, &err));
}

static void a_locked_database_is_waited_for(void **state)
{
    (void)state;
    struct ledger *l = open_it();
    struct ledger_key key = make_key(l, -1, -1, 1000);
    struct error err = {0};
    assert_true(spend(l, &key, "before", 10, 10, &err));
    assert_true(ledger_flush(l, 60, &err));
    sqlite3 *other = another_connection();
    sql(other, "BEGIN EXCLUSIVE");
    assert_goes_on_without(l, &key, "locked");
    struct ledger_key found;
    do  // what is locked can still be read, be it late on a busy machine
        assert_false(ledger_key_find(l, "sk-hearth-guess", 15, &found, &err));
    while (err.code == ERR_BUSY);
    assert_int_equal(err.code, ERR_KEY);
    sql(other, "ROLLBACK");
    assert_all_is_there(l, &key);
    (void)sqlite3_close(other);
    ledger_close(l);
}

struct asking {
    struct ledger *l;
    struct ledger_key key;
    pthread_t thread;
    bool ok;
    struct error err;
    double seconds;
};

static void *ask(void *self)
{
    struct asking *a = self;
    struct ledger_hold hold;
    int64_t begun_ns = clock_ns();
    a->ok = ledger_reserve(a->l, &a->key, 1, &hold, &a->err);
    a->seconds = (double)(clock_ns() - begun_ns) / 1e9;
    if (a->ok)
        ledger_cancel(a->l, &hold);
    return NULL;
}

// Of many who need a database that does not answer only some wait for it.
static void only_so_many_wait_for_a_locked_database(void **state)
{
    enum { N = 8, BOUND = 3 };
    struct asking all[N] = {0}, late = {0};
    struct error err = {0};
    (void)state;
    struct ledger *l =
        ledger_open_with(&(struct ledger_options){.where = db.where, .wait_ms = 60000}, &err);
    assert_non_null(l);
    ledger_bound_waiters(l, BOUND);
    for (int i = 0; i < N; i++)
        all[i] = (struct asking){.l = l, .key = make_key(l, -1, -1, 1000)};
    late = (struct asking){.l = l, .key = make_key(l, -1, -1, 1000)};
    sqlite3 *other = another_connection();
    sql(other, "BEGIN IMMEDIATE");
    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_create(&all[i].thread, NULL, ask, &all[i]), 0);
    (void)usleep(600000);
    (void)ask(&late);
    assert_false(late.ok);
    assert_int_equal(late.err.code, ERR_BUSY);
    assert_true(late.err.retry_after_s > 0);
    assert_true(late.seconds < 0.09);  // it did not wait at all
    sql(other, "ROLLBACK");
    int n_ok = 0;
    for (int i = 0; i < N; i++) {
        assert_int_equal(pthread_join(all[i].thread, NULL), 0);
        n_ok += all[i].ok;
        assert_true(all[i].ok || all[i].err.code == ERR_BUSY);
    }
    assert_int_equal(n_ok, BOUND);
    (void)ask(&late);  // and when it answers again, everybody is served
    assert_true(late.ok);
    (void)sqlite3_close(other);
    ledger_close(l);
}

static void move(const char *from, const char *to)
{
    static const char *const parts[] = {"", "-wal", "-shm"};
    for (int i = 0; i < 3; i++) {
        char a[600], b[600];
        (void)snprintf(a, sizeof a, "%s%s", from, parts[i]);
        (void)snprintf(b, sizeof b, "%s%s", to, parts[i]);
        (void)rename(a, b);
    }
}

static void a_database_that_is_gone_is_not_made_anew(void **state)
{
    (void)state;
    char away[600];
    (void)snprintf(away, sizeof away, "%s/away", db.folder);
    struct ledger *l = open_it();
    struct ledger_key key = make_key(l, -1, -1, 1000);
    struct error err = {0};
    assert_true(spend(l, &key, "before", 10, 10, &err));
    assert_true(ledger_flush(l, 60, &err));
    move(path(), away);
    assert_goes_on_without(l, &key, "gone");
    assert_int_not_equal(access(path(), F_OK), 0);
    move(away, path());
    assert_all_is_there(l, &key);
    ledger_close(l);
}

// What was begun with a key of a file that was replaced is not that of the key in its place.
static void a_database_that_is_replaced_has_other_keys(void **state)
{
    static const char *const parts[] = {"", "-wal", "-shm"};
    struct error err = {0};
    struct ledger_sum *sums;
    struct ledger_hold hold;
    size_t n;
    (void)state;
    struct ledger *l = open_it();
    struct ledger_key alice = make_key(l, -1, -1, 1000);
    assert_true(ledger_reserve(l, &alice, 10, &hold, &err));
    for (int i = 0; i < 3; i++) {
        char name[1100];
        (void)snprintf(name, sizeof name, "%s%s", path(), parts[i]);
        (void)unlink(name);
    }
    struct ledger *other = ledger_open(db.where, &err);
    assert_non_null(other);
    struct ledger_key bob = make_key(other, -1, -1, 1000);
    settle(l, &hold, "of alice", 10);
    (void)spend(l, &alice, "of alice too", 10, 10, &err);
    (void)usleep(600000);
    assert_true(spend(l, &bob, "of bob", 7, 7, &err) || err.code == ERR_BUSY);
    assert_true(ledger_flush(l, 60, &err));
    assert_true(spend(l, &bob, "of bob again", 5, 5, &err));
    assert_true(ledger_flush(l, 60, &err));
    assert_true(ledger_usage_sum(l, LEDGER_BY_KEY, 0, 0, bob.id, &sums, &n, &err));
    assert_true(n == 1 && (sums[0].cost == 12 || sums[0].cost == 5));
    assert_true(spent_of(l, &bob).total == sums[0].cost);
    free(sums);
    ledger_close(other);
    ledger_close(l);
}

static void a_full_disk_is_waited_for(void **state)
{
    (void)state;
    struct rlimit was, none;
    struct ledger *l = open_it();
    struct ledger_key key = make_key(l, -1, -1, 1000);
    struct error err = {0};
    assert_true(spend(l, &key, "before", 10, 10, &err));
    assert_true(ledger_flush(l, 60, &err));
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    none = (struct rlimit){.rlim_cur = 1024, .rlim_max = was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_goes_on_without(l, &key, "full");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_all_is_there(l, &key);
    ledger_close(l);
}

static void the_queue_has_a_bound(void **state)
{
    (void)state;
    struct ledger *l = open_it();
    struct ledger_hold *holds = calloc(LEDGER_PLACES, sizeof *holds), one;
    struct error err = {0};
    for (int i = 0; i < LEDGER_PLACES; i++)
        assert_true(ledger_reserve(l, NULL, 1, &holds[i], &err));
    assert_false(ledger_reserve(l, NULL, 1, &one, &err));
    assert_int_equal(err.code, ERR_BUSY);
    settle(l, &holds[0], "one", 1);
    assert_true(ledger_flush(l, 60, &err));  // its place is free again
    assert_true(ledger_reserve(l, NULL, 1, &holds[0], &err));
    for (int i = 0; i < LEDGER_PLACES; i++)
        ledger_cancel(l, &holds[i]);
    free(holds);
    ledger_close(l);
}

// Rows as a process would leave them that ended without a word.
static void add_process(sqlite3 *other, const char *boot, const char *space, long long pid,
                        const char *expires, long long key)
{
    char text[600];
    static int id = 1;
    (void)snprintf(text, sizeof text,
                   "INSERT INTO ledger_processes VALUES (%d, %s, %s, %lld, 1, %s);"
                   "INSERT INTO ledger_leases VALUES (%d, %lld, 1, 1, 100, 0)",
                   id, boot, space, pid, expires, id, key);
    id++;
    sql(other, text);
}

static void leases_of_the_dead_come_back(void **state)
{
    (void)state;
    struct ledger *l = open_it();
    struct ledger_key key = make_key(l, -1, -1, 1000);
    struct error err = {0};
    ledger_close(l);
    sqlite3 *other = another_connection();
    char boot[64] = "'", space[32];
    struct stat st;
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
    assert_non_null(f);
    assert_non_null(fgets(boot + 1, 60, f));
    (void)fclose(f);
    boot[strcspn(boot, "\n")] = '\'';
    assert_int_equal(stat("/proc/self/ns/pid", &st), 0);
    (void)snprintf(space, sizeof space, "%lld", (long long)st.st_ino);
    const long long number = (long long)key.number;
    const long long never_s = 4000000000;
    char far[32];
    (void)snprintf(far, sizeof far, "%lld", never_s);
    add_process(other, "'another boot'", space, getpid(), far, number);
    add_process(other, boot, space, 0x3FFFFFFF, far, number);  // no such process
    add_process(other, boot, space, getpid(), far, number);    // its number is another's now
    add_process(other, boot, "1", 1, "1", number);             // elsewhere, and expired
    l = open_it();
    assert_true(spend(l, &key, "all", 1000, 1, &err));
    ledger_close(l);
    add_process(other, boot, "1", 1, far, number);  // elsewhere, perhaps alive
    l = open_it();
    assert_false(spend(l, &key, "not all", 900, 1, &err));
    assert_int_equal(err.code, ERR_BUDGET);
    assert_true(spend(l, &key, "the rest", 899, 1, &err));
    ledger_close(l);
    (void)sqlite3_close(other);
}

// As if it had been stopped for longer than its lease, and its budget given to others.
static void who_was_taken_for_dead_leases_again(void **state)
{
    (void)state;
    struct error err = {0};
    struct ledger *l = ledger_open_with(
        &(struct ledger_options){.where = db.where, .lease_s = 1, .wait_ms = 100}, &err);
    struct ledger_key key = make_key(l, -1, -1, 1000);
    struct ledger_hold hold;
    assert_true(ledger_reserve(l, &key, 400, &hold, &err));
    sqlite3 *other = another_connection();
    sql(other, "DELETE FROM ledger_leases; DELETE FROM ledger_processes");
    int64_t held = 0;
    for (int i = 0; i < 1000 && held < 400; i++) {  // it notices when it renews
        struct ledger_spent s;
        assert_true(ledger_spent(l, key.id, &s, &err));
        held = s.held;
        (void)usleep(20000);
    }
    assert_true(held >= 400);
    assert_false(spend(l, &key, "w1", 601, 1, &err));
    assert_true(spend(l, &key, "w2", 600, 600, &err));
    settle(l, &hold, "w3", 400);
    assert_true(spent_of(l, &key).total == 1000);
    (void)sqlite3_close(other);
    ledger_close(l);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_no_ledger_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(a_later_version_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(a_locked_database_is_waited_for, begin, end),
        cmocka_unit_test_setup_teardown(only_so_many_wait_for_a_locked_database, begin, end),
        cmocka_unit_test_setup_teardown(a_database_that_is_gone_is_not_made_anew, begin, end),
        cmocka_unit_test_setup_teardown(a_database_that_is_replaced_has_other_keys, begin, end),
        cmocka_unit_test_setup_teardown(a_full_disk_is_waited_for, begin, end),
        cmocka_unit_test_setup_teardown(the_queue_has_a_bound, begin, end),
        cmocka_unit_test_setup_teardown(leases_of_the_dead_come_back, begin, end),
        cmocka_unit_test_setup_teardown(who_was_taken_for_dead_leases_again, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
