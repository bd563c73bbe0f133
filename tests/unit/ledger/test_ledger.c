// test_ledger.c - what the ledger promises, on SQLite and on PostgreSQL alike.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/mapping.h"
#include "ledger/money.h"
#include "../../support/ledger_calls.h"
#include "../../support/ledger_db.h"

static struct ledger *open_it(void)
{
    struct error err = {0};
    struct ledger *l = ledger_open(db.where, &err);
    if (!l)
        fail_msg("%s", err.text);
    return l;
}

struct hands {
    _Atomic int64_t now_s;
};

static int64_t hands_now(void *self)
{
    return ((struct hands *)self)->now_s;
}

static struct ledger *open_with_clock(struct hands *h)
{
    struct error err = {0};
    struct ledger *l = ledger_open_with(
        &(struct ledger_options){.where = db.where, .clock_s = hands_now, .clock_self = h}, &err);
    assert_non_null(l);
    return l;
}

static enum error_code find(struct ledger *l, const char *secret, struct error *err)
{
    struct ledger_key key;
    error_clear(err);
    return ledger_key_find(l, secret, strlen(secret), &key, err) ? ERR_NONE : err->code;
}

static void a_key_is_known_to_all_until_it_is_revoked(void **state)
{
    (void)state;
    struct ledger *a = open_it(), *b = open_it();
    struct ledger_key key, found,
        in = {.name = "Ada's",
              .owner = "ada",
              .models = "gpt-*,local/x",
              .budget_day = -1,
              .budget_month = 5,
              .budget_total = -1,
              .requests_per_minute = 60,
              .tokens_per_minute = 1000,
              .concurrency = 3,
              .priority = -4,
              .weight = 7,
              .share_prefixes = true,
              .local_only = true,
              .admin = true};
    char secret[LEDGER_SECRET_BYTES];
    struct error err = {0}, unknown = {0};
    assert_true(ledger_key_create(a, &in, secret, &key, &err));
    assert_true(ledger_has_keys(a));
    assert_int_equal(strncmp(secret, "sk-hearth-", 10), 0);
    assert_int_equal(strlen(secret), 53);
    assert_string_equal(key.hint, secret + 49);
    // Made by one, known to the other at once: an unknown key makes it look.
    assert_true(ledger_key_find(b, secret, strlen(secret), &found, &err));
    assert_true(ledger_has_keys(b));
    assert_memory_equal(&found, &key, sizeof key);
    assert_true(found.number > 0 && found.local_only && found.admin && found.concurrency == 3);
    assert_true(found.priority == -4 && found.weight == 7 && found.share_prefixes);
    secret[20] = secret[20] == 'a' ? 'b' : 'a';
    assert_int_equal(find(b, secret, &unknown), ERR_KEY);
    secret[20] = secret[20] == 'a' ? 'b' : 'a';
    assert_int_equal(find(b, "", &err), ERR_KEY);
    // Revoked by one: the other knows without being told.
    assert_true(ledger_key_revoke(a, key.id, &err));
    assert_int_equal(find(a, secret, &err), ERR_KEY);
    assert_string_equal(err.text, unknown.text);
    for (int i = 0; i < 3000 && find(b, secret, &err) != ERR_KEY; i++)
        (void)usleep(10000);
    assert_int_equal(find(b, secret, &err), ERR_KEY);
    assert_false(ledger_key_revoke(a, "key_nobody", &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    struct ledger_key *all;
    size_t n;
    assert_true(ledger_keys(b, &all, &n, &err));
    assert_true(n > 0 && all[n - 1].revoked_s > 0);
    assert_string_equal(all[n - 1].id, key.id);
    free(all);
    ledger_close(a);
    ledger_close(b);
}

static void a_key_expires_by_the_clock(void **state)
{
    (void)state;
    struct hands h = {1800000000};
    struct ledger *l = open_with_clock(&h);
    struct ledger_key in = {.name = "short",
                            .budget_day = -1,
                            .budget_month = -1,
                            .budget_total = -1,
                            .expires_s = 1800000100};
    char secret[LEDGER_SECRET_BYTES];
    struct error err = {0};
    assert_true(ledger_key_create(l, &in, secret, NULL, &err));
    h.now_s += 99;
    assert_int_equal(find(l, secret, &err), ERR_NONE);
    h.now_s += 1;
    assert_int_equal(find(l, secret, &err), ERR_KEY);
    h.now_s -= 50;  // a clock that is set back makes no key good again
    assert_int_equal(find(l, secret, &err), ERR_KEY);
    ledger_close(l);
}

static void keys_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    struct ledger *l = open_it();
    struct ledger_key good = {
        .name = "x", .budget_day = -1, .budget_month = -1, .budget_total = -1};
    struct ledger_key bad[9];
    char secret[LEDGER_SECRET_BYTES];
    struct error err = {0};
    for (int i = 0; i < 9; i++)
        bad[i] = good;
    bad[0].name[0] = 0;
    bad[1].budget_day = -2;
    bad[2].budget_total = INT64_MAX;
    bad[3].concurrency = -1;
    (void)snprintf(bad[4].owner, sizeof bad[4].owner, "two\nlines");
    (void)snprintf(bad[5].name, sizeof bad[5].name, "\xff");
    bad[6].priority = 101;
    bad[7].priority = -101;
    bad[8].weight = -1;
    for (int i = 0; i < 9; i++) {
        assert_false(ledger_key_create(l, &bad[i], secret, NULL, &err));
        assert_int_equal(err.code, ERR_USAGE);
        assert_int_equal(secret[0], 0);
    }
    ledger_close(l);
}

static void a_budget_is_spent_to_the_last_and_not_beyond(void **state)
{
    (void)state;
    struct ledger *l = open_it();
    struct ledger_key key = make_key(l, -1, 1000 * PICO_PER_USD, 100);
    struct error err = {0};
    struct ledger_hold hold;
    assert_true(ledger_reserve(l, &key, 60, &hold, &err));
    assert_false(spend(l, &key, "over", 41, 1, &err));
    assert_int_equal(err.code, ERR_BUDGET);
    assert_non_null(strstr(err.text, "it is not renewed"));
    assert_true(spend(l, &key, "b1", 40, 40, &err));
    settle(l, &hold, "b2", 10);  // less than was held: the rest can be spent
    assert_true(spend(l, &key, "b3", 50, 50, &err));
    assert_false(spend(l, &key, "b4", 1, 1, &err));
    assert_true(spend(l, &key, "b5", 0, 0, &err));  // what costs nothing always goes
    struct ledger_spent s = spent_of(l, &key);
    assert_true(s.total == 100 && s.month == 100 && s.day == 100 && s.held == 0);
    ledger_close(l);
}

static void what_was_cancelled_was_not_spent(void **state)
{
    (void)state;
    struct ledger *l = open_it();
    struct ledger_key key = make_key(l, -1, -1, 10);
    struct error err = {0};
    struct ledger_hold hold;
    for (int i = 0; i < 20; i++) {
        assert_true(ledger_reserve(l, &key, 10, &hold, &err));
        ledger_cancel(l, &hold);
    }
    assert_true(ledger_reserve(l, NULL, INT64_MAX, &hold, &err));  // nobody's has no budget
    ledger_cancel(l, &hold);
    assert_false(ledger_reserve(l, &key, INT64_MAX, &hold, &err));
    assert_int_equal(err.code, ERR_BUDGET);
    assert_true(spent_of(l, &key).total == 0);
    ledger_close(l);
}

static void what_cost_more_than_held_is_booked_all_the_same(void **state)
{
    (void)state;
    struct ledger *l = open_it();
    struct ledger_key key = make_key(l, -1, -1, 100);
    struct error err = {0};
    assert_true(spend(l, &key, "m1", 10, 95, &err));
    assert_true(spent_of(l, &key).total == 95);
    assert_false(spend(l, &key, "m2", 6, 6, &err));
    assert_true(spend(l, &key, "m3", 5, 30, &err));
    assert_true(spent_of(l, &key).total == 125);
    assert_false(spend(l, &key, "m4", 1, 1, &err));
    assert_true(spent_of(l, &key).held == 0);
    ledger_close(l);
}

static void a_request_is_booked_once(void **state)
{
    (void)state;
    struct ledger *l = open_it();
    struct ledger_key key = make_key(l, -1, -1, 100);
    struct error err = {0};
    struct ledger_health h;
    for (int i = 0; i < 4; i++)
        assert_true(spend(l, &key, "the same", 25, 25, &err));
    assert_true(spent_of(l, &key).total == 25);
    for (int i = 0; i < 3; i++) {
        assert_true(spend(l, &key, "the same", 25, 25, &err));
        assert_true(ledger_flush(l, 60, &err));
    }
    assert_true(spent_of(l, &key).total == 25);
    ledger_health(l, &h);
    assert_true(h.late == 6 && h.committed == 1 && h.writable && h.waiting == 0);
    // What the second ones were taken for is free again.
    assert_true(spend(l, &key, "another", 75, 75, &err));
    assert_true(spent_of(l, &key).total == 100);
    ledger_close(l);
}

static void days_and_months_renew_and_never_go_back(void **state)
{
    (void)state;
    struct hands h = {0};
    int64_t at;
    assert_true(date_parse(slice_str("2031-01-31"), 0, 1, &at, NULL));
    h.now_s = at;
    struct ledger *l = open_with_clock(&h);
    struct ledger_key key = make_key(l, 10, 15, 22);
    struct error err = {0};
    struct ledger_hold yesterday;
    assert_true(spend(l, &key, "d1", 6, 6, &err));
    assert_true(ledger_reserve(l, &key, 4, &yesterday, &err));
    assert_false(spend(l, &key, "d2", 1, 1, &err));
    assert_non_null(strstr(err.text, "a day"));
    assert_non_null(strstr(err.text, "2031-02-01"));
    h.now_s += 86400;  // the next day is of another month
    assert_true(spend(l, &key, "d3", 10, 10, &err));
    assert_false(spend(l, &key, "d4", 1, 1, &err));
    h.now_s -= 86400;
    assert_false(spend(l, &key, "d5", 1, 1, &err));
    settle(l, &yesterday, "d6", 4);  // of the day on which it was held
    struct ledger_spent s = spent_of(l, &key);
    assert_true(s.day == 10 && s.month == 10 && s.total == 20);
    h.now_s += 2 * 86400;
    assert_false(spend(l, &key, "d7", 3, 3, &err));  // two are left of the total
    assert_true(spend(l, &key, "d8", 2, 2, &err));
    assert_true(spent_of(l, &key).total == 22);
    ledger_close(l);
}

static void what_one_process_does_not_use_another_gets(void **state)
{
    (void)state;
    struct ledger *a = open_it(), *b = open_it();
    struct ledger_key key = make_key(a, -1, -1, 1000);
    struct error err = {0};
    struct ledger_hold hold, kept;
    assert_true(ledger_reserve(a, &key, 900, &hold, &err));
    assert_true(ledger_reserve(a, &key, 7, &kept, &err));
    assert_false(spend(b, &key, "o1", 500, 500, &err));
    assert_int_equal(err.code, ERR_BUDGET);
    ledger_cancel(a, &hold);  // a is idle now, and has leased what it does not need
    bool got = false;
    for (int i = 0; i < 500 && !got; i++) {
        got = spend(b, &key, "o2", 993, 993, &err);
        (void)usleep(20000);
    }
    assert_true(got);
    assert_false(spend(b, &key, "o3", 1, 1, &err));
    settle(a, &kept, "o4", 7);
    assert_true(ledger_flush(a, 60, &err));
    assert_true(spent_of(b, &key).total == 1000);
    ledger_close(a);
    ledger_close(b);
}

static const struct ledger_sum *sum_of(const struct ledger_sum *sums, size_t n, const char *by)
{
    for (size_t i = 0; i < n; i++)
        if (strncmp(sums[i].by, by, strlen(by)) == 0)
            return &sums[i];
    fail_msg("nothing of %s", by);
    return NULL;
}

static void settle_as(struct ledger *l, const struct ledger_key *key, const char *id,
                      const char *model, const char *provider, int64_t at_s, int64_t cost)
{
    struct ledger_hold hold;
    struct error err = {0};
    struct ledger_usage u = usage_of(id, at_s, cost);
    assert_true(ledger_reserve(l, key, 0, &hold, &err));
    (void)snprintf(u.model, sizeof u.model, "%s", model);
    (void)snprintf(u.provider, sizeof u.provider, "%s", provider);
    u.estimated = cost == 7;
    ledger_settle(l, &hold, &u);
}

static void usage_adds_up(void **state)
{
    (void)state;
    struct ledger *l = open_it();
    struct ledger_key key = make_key(l, -1, -1, -1);
    struct error err = {0};
    struct ledger_sum *sums;
    size_t n;
    const int64_t day = 86400, first = 100 * day;  // long ago: nobody else's usage is there
    settle_as(l, &key, "u1", "alpha", "p1", first, 7);
    settle_as(l, &key, "u2", "alpha", "p2", first + day - 1, -1);
    settle_as(l, NULL, "u3", "beta", "p2", first + day, 50);
    settle_as(l, NULL, "u4", "ga\xffmma", "p2", first + 2 * day, -1);
    assert_true(ledger_flush(l, 60, &err));
    assert_true(
        ledger_usage_sum(l, LEDGER_BY_MODEL, first, first + 3 * day, NULL, &sums, &n, &err));
    assert_int_equal(n, 3);
    assert_string_equal(sums[0].by, "beta");  // the most expensive first
    assert_string_equal(sums[2].by, "ga?mma");
    const struct ledger_sum *s = sum_of(sums, n, "alpha");
    assert_true(s->requests == 2 && s->cost == 7 && s->unpriced == 1 && s->estimated == 1);
    assert_true(s->prompt_tokens == 20 && s->cached_tokens == 8 && s->completion_tokens == 10);
    assert_true(s->bytes_sent == 200);
    free(sums);
    assert_true(ledger_usage_sum(l, LEDGER_BY_DAY, first, first + 2 * day, NULL, &sums, &n, &err));
    assert_int_equal(n, 2);
    assert_string_equal(sums[0].by, "1970-04-11");
    assert_string_equal(sums[1].by, "1970-04-12");
    free(sums);
    assert_true(ledger_usage_sum(l, LEDGER_BY_KEY, first, first + 3 * day, NULL, &sums, &n, &err));
    assert_int_equal(n, 2);
    assert_non_null(strstr(sum_of(sums, n, "test (")->by, key.id));
    assert_true(sum_of(sums, n, "no key")->cost == 50);
    free(sums);
    assert_true(ledger_usage_sum(l, LEDGER_BY_PROVIDER, 0, 0, key.id, &sums, &n, &err));
    assert_int_equal(n, 2);
    free(sums);
    assert_false(ledger_usage_sum(l, LEDGER_BY_KEY, 0, 0, "key_nobody", &sums, &n, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_true(ledger_usage_sum(l, LEDGER_BY_KEY, 5, 6, NULL, &sums, &n, &err));
    assert_int_equal(n, 0);
    free(sums);
    ledger_close(l);
}

static void parts_of_a_request_are_summed(void **state)
{
    (void)state;
    struct ledger *l = open_it();
    struct ledger_key key = make_key(l, -1, -1, -1);
    struct error err = {0};
    struct ledger_sum *sums;
    size_t n;
    settle_as(l, &key, "key_r-1", "alpha", "p1", 200, 7);
    settle_as(l, &key, "key_r-1/1", "alpha", "p1", 200, 5);
    settle_as(l, &key, "key_r-11", "alpha", "p1", 200, -1);
    settle_as(l, &key, "key_r-2.1", "alpha", "p1", 200, 30);
    settle_as(l, &key, "key_r-2.2", "alpha", "p1", 200, 40);
    settle_as(l, &key, "key_r-2.10/1", "alpha", "p1", 200, 50);
    assert_true(ledger_flush(l, 60, &err));
    assert_true(ledger_usage_sum(l, LEDGER_BY_REQUEST, 0, 0, key.id, &sums, &n, &err));
    assert_int_equal(n, 3);
    assert_string_equal(sums[0].by, "key_r-2");
    assert_true(sums[0].requests == 3 && sums[0].cost == 120 && sums[0].prompt_tokens == 30);
    assert_string_equal(sums[1].by, "key_r-1");
    assert_true(sums[1].requests == 2 && sums[1].cost == 12);
    assert_true(sums[2].requests == 1 && sums[2].unpriced == 1);
    free(sums);
    assert_true(ledger_usage_requests(l, 0, 0, key.id, 6, &sums, &n, &err));
    assert_int_equal(n, 3);
    free(sums);
    assert_false(ledger_usage_requests(l, 0, 0, key.id, 5, &sums, &n, &err));
    assert_true(err.code == ERR_LIMIT && !sums && n == 0);
    assert_true(ledger_usage_requests(l, 201, 0, key.id, 0, &sums, &n, &err));
    assert_int_equal(n, 0);
    free(sums);
    ledger_close(l);
}

// A lease is a sixteenth of what is left: what is free of it needs no database.
static void what_needs_no_database_is_reserved_at_once(void **state)
{
    (void)state;
    struct ledger *l = open_it();
    struct ledger_key key = make_key(l, -1, -1, 1600);
    struct error err = {0};
    struct ledger_hold first, now, none;
    assert_false(ledger_reserve_now(l, &key, 10, &none));  // nothing is leased yet
    assert_false(none.open);
    assert_true(ledger_reserve(l, &key, 10, &first, &err));
    assert_true(ledger_reserve_now(l, &key, 90, &now));
    assert_true(now.open);
    assert_false(ledger_reserve_now(l, &key, 1, &none));
    assert_true(ledger_reserve_now(l, NULL, INT64_MAX, &none));  // nobody's has no budget
    ledger_cancel(l, &none);
    settle(l, &now, "now", 90);
    ledger_cancel(l, &first);
    assert_true(spent_of(l, &key).total == 90);
    struct ledger_health h;
    ledger_health(l, &h);
    assert_int_equal(h.refused, 0);
    ledger_close(l);
}

static void sums_of_money_stop_at_a_bound(void **state)
{
    (void)state;
    struct ledger *l = open_it();
    struct ledger_key key = make_key(l, -1, -1, -1);
    settle_as(l, &key, "v1", "big", "p", 1, MONEY_MAX);
    settle_as(l, &key, "v2", "big", "p", 1, MONEY_MAX);
    assert_true(spent_of(l, &key).total == MONEY_MAX);
    ledger_close(l);
}

static void all_is_there_when_it_is_opened_again(void **state)
{
    (void)state;
    struct ledger *l = open_it();
    struct ledger_key key = make_key(l, -1, -1, 1000), *all;
    struct error err = {0};
    size_t n;
    char id[32];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(id, sizeof id, "again %d", i);
        assert_true(spend(l, &key, id, 10, 9, &err));
    }
    ledger_close(l);  // commits all
    l = open_it();
    assert_true(ledger_has_keys(l));
    struct ledger_spent s = spent_of(l, &key);
    assert_true(s.total == 900 && s.held == 0);
    assert_true(ledger_keys(l, &all, &n, &err) && n > 0);
    free(all);
    ledger_close(l);
}

static void no_secret_is_in_the_file(void **state)
{
    (void)state;
    if (db.server)
        return;
    struct ledger *l = open_it();
    struct ledger_key in = {
        .name = "hidden", .budget_day = -1, .budget_month = -1, .budget_total = -1};
    char secret[LEDGER_SECRET_BYTES];
    struct error err = {0};
    struct buf text = {0};
    struct stat st;
    assert_true(ledger_key_create(l, &in, secret, NULL, &err));
    ledger_close(l);
    assert_true(file_read(db.where + 7, 64 << 20, &text, &err));
    assert_non_null(memmem(text.ptr, text.len, "hidden", 6));
    assert_null(memmem(text.ptr, text.len, secret + 10, 20));
    buf_release(&text);
    assert_true(stat(db.where + 7, &st) == 0 && (st.st_mode & 077) == 0);
}

static void a_server_that_is_gone_is_waited_for(void **state)
{
    (void)state;
    if (!db.server)
        return;  // a file that is gone: test_ledger_faults.c
    struct ledger *l = open_it();
    struct ledger_key key = make_key(l, -1, -1, 1000);
    struct error err = {0};
    struct ledger_health h;
    assert_true(spend(l, &key, "s1", 10, 10, &err));
    assert_true(ledger_flush(l, 60, &err));
    ledger_db_halt(&db);
    assert_true(spend(l, &key, "s2", 1, 1, &err));  // of what is leased
    assert_false(ledger_flush(l, 1, &err));
    assert_false(spend(l, &key, "s3", 900, 1, &err));
    assert_int_equal(err.code, ERR_BUSY);
    ledger_health(l, &h);
    assert_true(!h.writable && h.waiting == 1);
    ledger_db_run(&db);
    assert_true(ledger_flush(l, 60, &err));
    assert_true(spent_of(l, &key).total == 11);
    assert_true(spend(l, &key, "s3", 900, 1, &err));
    ledger_close(l);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_known_to_all_until_it_is_revoked),
        cmocka_unit_test(a_key_expires_by_the_clock),
        cmocka_unit_test(keys_that_make_no_sense_are_refused),
        cmocka_unit_test(a_budget_is_spent_to_the_last_and_not_beyond),
        cmocka_unit_test(what_was_cancelled_was_not_spent),
        cmocka_unit_test(what_cost_more_than_held_is_booked_all_the_same),
        cmocka_unit_test(a_request_is_booked_once),
        cmocka_unit_test(days_and_months_renew_and_never_go_back),
        cmocka_unit_test(what_one_process_does_not_use_another_gets),
        cmocka_unit_test(usage_adds_up),
        cmocka_unit_test(parts_of_a_request_are_summed),
        cmocka_unit_test(what_needs_no_database_is_reserved_at_once),
        cmocka_unit_test(sums_of_money_stop_at_a_bound),
        cmocka_unit_test(all_is_there_when_it_is_opened_again),
        cmocka_unit_test(no_secret_is_in_the_file),
        cmocka_unit_test(a_server_that_is_gone_is_waited_for),
    };
    int failed = cmocka_run_group_tests_name("SQLite", tests, ledger_db_setup, ledger_db_teardown);
    if (!ledger_db_postgres(&db)) {
        (void)printf("skip the ledger on PostgreSQL (it or its driver is not here)\n");
        return failed;
    }
    return failed + cmocka_run_group_tests_name("PostgreSQL", tests, NULL, ledger_db_teardown);
}
