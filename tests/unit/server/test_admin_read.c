// test_admin_read.c - what an administrator's words become, and which are refused by name.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "dialects/dialect.h"
#include "server/admin_read.h"

#define NOW INT64_C(1795000000)  // 2026-11-18
#define USD INT64_C(1000000000000)

static bool read_key(const char *text, struct ledger_key *k, struct dialect_error *err)
{
    json_t *o = json_parse(slice_str(text), NULL);
    assert_non_null(o);
    *k = (struct ledger_key){0};
    bool ok = admin_read_key(o, NOW, k, err);
    json_decref(o);
    return ok;
}

static void what_is_not_said_is_no_bound(void **state)
{
    struct ledger_key k;
    struct dialect_error err = {0};
    (void)state;
    assert_true(read_key("{\"name\":\"a\"}", &k, &err));
    assert_string_equal(k.name, "a");
    assert_true(k.budget_day == -1 && k.budget_month == -1 && k.budget_total == -1);
    assert_true(!k.expires_s && !k.requests_per_minute && !k.tokens_per_minute && !k.concurrency);
    assert_true(read_key("{\"name\":\"a\",\"models\":null}", &k, &err));
    assert_true(!k.models[0] && !k.owner[0] && !k.admin && !k.local_only);
}

static void every_bound_is_read(void **state)
{
    struct ledger_key k;
    struct dialect_error err = {0};
    (void)state;
    assert_true(read_key(
        "{\"name\":\"a\",\"owner\":\"b\",\"models\":[\"x\",\"y*\"],\"expires\":\"2027-01-01\","
        "\"budget_day_usd\":0.1,\"budget_month_usd\":\"12.250000000001\",\"budget_usd\":100,"
        "\"rpm\":5,\"tpm\":1000,\"concurrency\":3,\"local_only\":true,\"admin\":true,"
        "\"priority\":-3,\"weight\":9,\"share_prefixes\":true}",
        &k, &err));
    assert_string_equal(k.owner, "b");
    assert_string_equal(k.models, "x,y*");
    assert_int_equal(k.expires_s, 1798761600);
    assert_true(k.budget_day == USD / 10 && k.budget_month == 12 * USD + USD / 4 + 1);
    assert_true(k.budget_total == 100 * USD && k.requests_per_minute == 5);
    assert_true(k.tokens_per_minute == 1000 && k.concurrency == 3 && k.local_only && k.admin);
    assert_true(k.priority == -3 && k.weight == 9 && k.share_prefixes);
    assert_true(read_key(
        "{\"name\":\"a\",\"budget_usd\":7.5,\"expires\":\"2d\",\"models\":\"p,q\"}", &k, &err));
    assert_true(k.budget_total == 7 * USD + USD / 2 && k.budget_day == -1);
    assert_int_equal(k.expires_s, NOW + 2 * 86400);
    assert_string_equal(k.models, "p,q");
    assert_true(read_key("{\"name\":\"a\",\"budget_usd\":0,\"expires\":1799000000}", &k, &err));
    assert_true(k.budget_total == 0 && k.expires_s == 1799000000);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *text, *member;
    } rows[] = {{"{}", "name"},
                {"{\"name\":\"\"}", "name"},
                {"{\"name\":5}", "name"},
                {"{\"name\":\"a\\u0000\"}", "name"},
                {"{\"name\":\"a\",\"budget\":5}", ""},
                {"{\"name\":\"a\",\"budget_usd\":-1}", "budget_usd"},
                {"{\"name\":\"a\",\"budget_usd\":1e300}", "budget_usd"},
                {"{\"name\":\"a\",\"budget_usd\":true}", "budget_usd"},
                {"{\"name\":\"a\",\"budget_month_usd\":\"1e3\"}", "budget_month_usd"},
                {"{\"name\":\"a\",\"budget_usd\":1e-13}", "budget_usd"},
                {"{\"name\":\"a\",\"rpm\":-1}", "rpm"},
                {"{\"name\":\"a\",\"rpm\":0}", "rpm"},
                {"{\"name\":\"a\",\"tpm\":0}", "tpm"},
                {"{\"name\":\"a\",\"concurrency\":0}", "concurrency"},
                {"{\"name\":\"a\",\"weight\":0}", "weight"},
                {"{\"name\":\"a\",\"priority\":101}", "priority"},
                {"{\"name\":\"a\",\"share_prefixes\":1}", "share_prefixes"},
                {"{\"name\":\"a\",\"tpm\":1e12}", "tpm"},
                {"{\"name\":\"a\",\"concurrency\":1.5}", "concurrency"},
                {"{\"name\":\"a\",\"admin\":\"yes\"}", "admin"},
                {"{\"name\":\"a\",\"expires\":\"2020-01-01\"}", "expires"},
                {"{\"name\":\"a\",\"expires\":5}", "expires"},
                {"{\"name\":\"a\",\"models\":[\"a\",\"b,c\"]}", "models[1]"},
                {"{\"name\":\"a\",\"models\":[\"\"]}", "models[0]"},
                {"{\"name\":\"a\",\"models\":[]}", "models"},
                {"{\"name\":\"a\",\"models\":\"\"}", "models"},
                {"{\"name\":\"a\",\"models\":\"a,,b\"}", "models"},
                {"{\"name\":\"a\",\"models\":\"a,\"}", "models"},
                {"{\"name\":\"a\",\"models\":{}}", "models"}};
    struct ledger_key k;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dialect_error err = {0};
        assert_false(read_key(rows[i].text, &k, &err));
        assert_int_equal(err.problem, PROBLEM_REQUEST);
        assert_string_equal(err.member, rows[i].member);
        assert_true(err.text[0] != 0);
    }
}

static void questions_are_read(void **state)
{
    struct admin_question q;
    struct dialect_error err = {0};
    (void)state;
    assert_true(admin_read_question(slice_str(""), NOW, &q, &err));
    assert_true(q.by == LEDGER_BY_KEY && !q.since_s && !q.until_s && !q.key_id[0]);
    assert_true(admin_read_question(slice_str("by=day&since=1d&&until=2026-11-01&key=key_1"), NOW,
                                    &q, &err));
    assert_true(q.by == LEDGER_BY_DAY && q.since_s == NOW - 86400 &&
                q.until_s == 1793491200 + 86400);
    assert_string_equal(q.key_id, "key_1");
    assert_true(!q.limit);
    assert_true(admin_read_question(slice_str("until=2h&by=request"), NOW, &q, &err));
    assert_true(q.by == LEDGER_BY_REQUEST && q.limit == ADMIN_LINES && q.until_s == NOW - 7200);
    assert_true(admin_read_question(slice_str("limit=10000&by=request"), NOW, &q, &err));
    assert_int_equal(q.limit, 10000);
    static const char *const bad[] = {"by=week",
                                      "by",
                                      "since=",
                                      "until=x",
                                      "key=",
                                      "form=day",
                                      "=",
                                      "key=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                      "by=day&x",
                                      "limit=5",
                                      "by=request&limit=0",
                                      "by=request&limit=10001",
                                      "by=request&limit=-1",
                                      "by=request&limit=",
                                      "limit=18446744073709551617&by=request",
                                      "limit=1x&by=request"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(admin_read_question(slice_str(bad[i]), NOW, &q, &err));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_said_is_no_bound),
        cmocka_unit_test(every_bound_is_read),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(questions_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
