// test_limits.c - what a key gets in a minute, at once and over a day, however it asks.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "gateway/limits.h"
#include "ledger/ledger.h"

#define SECOND INT64_C(1000000000)
#define MINUTE (60 * SECOND)

static struct ledger_key key_with(int64_t rpm, int64_t tpm, int concurrency)
{
    return (struct ledger_key){.number = 7,
                               .requests_per_minute = rpm,
                               .tokens_per_minute = tpm,
                               .concurrency = concurrency};
}

static void who_has_no_bounds_is_not_remembered(void **state)
{
    struct limits *l = limits_new();
    struct ledger_key key = key_with(0, 0, 0);
    struct limits_state s;
    struct limits_hold hold;
    struct error err = {0};
    (void)state;
    assert_true(limits_take(l, NULL, 5, 0, &hold, &s, &err));
    assert_false(hold.open);
    assert_true(limits_take(l, &key, INT64_MAX, 0, &hold, &s, &err));
    assert_true(s.requests_limit == -1 && s.tokens_limit == -1 && s.tokens_left == -1);
    limits_give(l, &key, &hold, 5, 0);
    assert_int_equal(limits_keys(l), 0);
    limits_free(l);
    limits_free(NULL);
}

static void a_minute_of_requests_may_come_at_once(void **state)
{
    struct limits *l = limits_new();
    struct ledger_key key = key_with(3, 0, 0);
    struct limits_state s;
    struct limits_hold hold;
    struct error err = {0};
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_true(limits_take(l, &key, 100, MINUTE, &hold, &s, &err));
        assert_true(s.requests_limit == 3 && s.requests_left == 2 - i && s.tokens_limit == -1);
        limits_give(l, &key, &hold, 100, MINUTE);
    }
    assert_int_equal(s.requests_reset_ms, 60000);
    assert_false(limits_take(l, &key, 100, MINUTE, &hold, &s, &err));
    assert_false(hold.open);
    assert_int_equal(err.code, ERR_RATE);
    assert_int_equal(err.retry_after_s, 20);
    assert_non_null(strstr(err.text, "3 requests a minute"));
    assert_int_equal(s.requests_left, 0);
    assert_false(limits_take(l, &key, 1, MINUTE + 20 * SECOND - 1000000, &hold, &s, &err));
    assert_int_equal(err.retry_after_s, 1);
    assert_true(limits_take(l, &key, 1, MINUTE + 20 * SECOND, &hold, &s, &err));
    assert_false(limits_take(l, &key, 1, 0, &hold, &s, &err));  // a clock that jumped back
    limits_free(l);
}

static void tokens_are_taken_by_their_bound_and_given_back(void **state)
{
    struct limits *l = limits_new();
    struct ledger_key key = key_with(0, 1000, 0);
    struct limits_state s;
    struct limits_hold a, b;
    struct error err = {0};
    (void)state;
    assert_true(limits_take(l, &key, 900, 0, &a, &s, &err));
    assert_true(s.tokens_limit == 1000 && s.tokens_left == 100 && s.tokens_reset_ms == 54000);
    assert_false(limits_take(l, &key, 200, 0, &b, &s, &err));
    assert_int_equal(err.retry_after_s, 6);
    limits_give(l, &key, &a, 300, 0);
    assert_true(limits_take(l, &key, 700, 0, &b, &s, &err));
    assert_int_equal(s.tokens_left, 0);
    limits_give(l, &key, &b, 1200, 0);  // more than was thought: owed
    assert_false(limits_take(l, &key, 1, 30 * SECOND, &b, &s, &err));
    assert_int_equal(s.tokens_left, 0);
    assert_true(limits_take(l, &key, 1, 31 * SECOND, &b, &s, &err));
    assert_false(limits_take(l, &key, 1001, 10 * MINUTE, &a, &s, &err));
    assert_int_equal(err.code, ERR_LIMIT);  // it never fits
    assert_int_equal(s.tokens_left, 1000);
    limits_free(l);
}

// Two minutes' worth could be had at once if what an old request gives back were simply added.
static void what_an_old_request_gives_back_is_not_more_than_its_room(void **state)
{
    struct limits *l = limits_new();
    struct ledger_key key = key_with(0, 1000, 0);
    struct limits_hold old, a, b;
    struct limits_state s;
    struct error err = {0};
    (void)state;
    assert_true(limits_take(l, &key, 1000, 0, &old, &s, &err));
    assert_true(limits_take(l, &key, 1000, MINUTE, &a, &s, &err));  // it may go on meanwhile
    limits_give(l, &key, &old, 0, MINUTE);
    assert_false(limits_take(l, &key, 1, MINUTE, &b, &s, &err));
    limits_give(l, &key, &a, 400, MINUTE);  // what was taken just now comes back whole
    assert_true(limits_take(l, &key, 600, MINUTE, &b, &s, &err));
    limits_free(l);
}

static void requests_at_once_are_counted_exactly(void **state)
{
    struct limits *l = limits_new();
    struct ledger_key key = key_with(0, 0, 2);
    struct limits_hold holds[3];
    struct error err = {0};
    (void)state;
    assert_true(limits_take(l, &key, 1, 0, &holds[0], NULL, &err));
    assert_true(limits_take(l, &key, 1, 0, &holds[1], NULL, &err));
    assert_false(limits_take(l, &key, 1, 5 * MINUTE, &holds[2], NULL, &err));
    assert_int_equal(err.code, ERR_RATE);
    assert_int_equal(err.retry_after_s, 1);
    limits_give(l, &key, &holds[0], 1, 0);
    limits_give(l, &key, &holds[0], 1, 0);  // a second time: nothing
    assert_true(limits_take(l, &key, 1, 0, &holds[2], NULL, &err));
    assert_false(limits_take(l, &key, 1, 0, &holds[0], NULL, NULL));
    limits_free(l);
}

// What is refused for one reason is not taken for another.
static void a_refused_request_takes_nothing(void **state)
{
    struct limits *l = limits_new();
    struct ledger_key key = key_with(2, 100, 1);
    struct limits_state s;
    struct limits_hold a, b;
    (void)state;
    assert_true(limits_take(l, &key, 60, 0, &a, &s, NULL));
    for (int i = 0; i < 5; i++)
        assert_false(limits_take(l, &key, 10, 0, &b, &s, NULL));  // another is open
    assert_true(s.requests_left == 1 && s.tokens_left == 40);
    limits_give(l, &key, &a, 60, 0);
    for (int i = 0; i < 5; i++)
        assert_false(limits_take(l, &key, 50, 0, &b, &s, NULL));  // too many tokens
    assert_int_equal(s.requests_left, 1);
    assert_true(limits_take(l, &key, 40, 0, &b, &s, NULL));
    assert_true(s.requests_left == 0 && s.tokens_left == 0);
    limits_free(l);
}

static void keys_that_are_idle_are_forgotten(void **state)
{
    struct limits *l = limits_new();
    struct limits_hold hold, kept;
    struct ledger_key key = key_with(60, 0, 0), open = key_with(60, 0, 0);
    int64_t most = 0;
    (void)state;
    open.number = 1;
    assert_true(limits_take(l, &open, 1, 0, &kept, NULL, NULL));
    for (int i = 0; i < 100000; i++) {  // a new one each 10 ms; each has a full bucket after 1 s
        key.number = (uint64_t)i + 2;
        assert_true(limits_take(l, &key, 1, i * SECOND / 100, &hold, NULL, NULL));
        limits_give(l, &key, &hold, 1, i * SECOND / 100);
        most = limits_keys(l) > most ? limits_keys(l) : most;
    }
    assert_true(most > 100 && most < 300);
    limits_give(l, &open, &kept, 1, 0);  // still known
    limits_free(l);
}

// A thousand keys that are not idle keep what they have used.
static void busy_keys_are_kept(void **state)
{
    struct limits *l = limits_new();
    struct limits_hold hold;
    struct ledger_key key = key_with(1, 0, 0);
    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        key.number = i + 1;
        assert_true(limits_take(l, &key, 1, 0, &hold, NULL, NULL));
        limits_give(l, &key, &hold, 1, 0);
    }
    for (uint64_t i = 0; i < 1000; i++) {
        key.number = i + 1;
        assert_false(limits_take(l, &key, 1, SECOND, &hold, NULL, NULL));
    }
    assert_int_equal(limits_keys(l), 1000);
    limits_free(l);
}

// Random requests of one key: their times, bounds and what they used.
enum { N_OPEN = 24, N_REQUESTS = 4000 };
struct request {
    struct limits_hold hold;
    int64_t begun_ns, ends_ns, used;
};
struct run {
    struct limits *l;
    struct ledger_key key;
    uint64_t seed, n;
    struct request open[N_OPEN], done[N_REQUESTS];
    size_t n_done;
    int most_open;
    int64_t now, overrun;
};

static int64_t draw(struct run *r, int64_t below)
{
    return (int64_t)(hash_mix(r->seed * 1000003 + r->n++) % (uint64_t)below);
}

static void end_due(struct run *r, int64_t until)
{
    for (int i = 0; i < N_OPEN; i++) {
        struct request *q = &r->open[i];
        if (!q->hold.open || q->ends_ns > until)
            continue;
        limits_give(r->l, &r->key, &q->hold, q->used, q->ends_ns);
        r->done[r->n_done++] = *q;
    }
}

static bool begin(struct run *r, bool overruns)
{
    int64_t tokens = draw(r, r->key.tokens_per_minute / (draw(r, 2) ? 1 : 10)) + 1;
    int n_open = 0, free_place = -1;
    for (int i = 0; i < N_OPEN; i++) {
        n_open += r->open[i].hold.open;
        free_place = r->open[i].hold.open ? free_place : i;
    }
    if (free_place < 0)
        return false;
    struct request *q = &r->open[free_place];
    if (!limits_take(r->l, &r->key, tokens, r->now, &q->hold, NULL, NULL))
        return false;
    assert_true(n_open < r->key.concurrency);
    r->most_open = n_open + 1 > r->most_open ? n_open + 1 : r->most_open;
    q->begun_ns = r->now;
    q->ends_ns = r->now + draw(r, draw(r, 3) ? SECOND : 3 * MINUTE);
    q->used = draw(r, 3) ? draw(r, tokens + 1) : draw(r, 2) ? 0 : tokens;
    if (overruns && !draw(r, 4)) {
        q->used = tokens + draw(r, tokens);
        r->overrun += q->used - tokens;
    }
    return true;
}

static int by_begin(const void *a, const void *b)
{
    const struct request *x = a, *y = b;
    return (x->begun_ns > y->begun_ns) - (x->begun_ns < y->begun_ns);
}

// Windows of a minute that begin with each request; then all of it.
static void check_run(struct run *r, bool overruns)
{
    int64_t sum = 0;
    qsort(r->done, r->n_done, sizeof *r->done, by_begin);
    for (size_t i = 0; i < r->n_done; i++) {
        int64_t used = 0, n = 0;
        for (size_t k = i; k < r->n_done && r->done[k].begun_ns < r->done[i].begun_ns + MINUTE;
             k++) {
            used += r->done[k].used;
            n++;
        }
        assert_true(n <= 2 * r->key.requests_per_minute);
        if (!overruns)
            assert_true(used <= 2 * r->key.tokens_per_minute);
        sum += r->done[i].used;
    }
    int64_t minutes_and_one = r->now / MINUTE + 2;
    assert_true((int64_t)r->n_done <= r->key.requests_per_minute * minutes_and_one);
    assert_true(sum <= r->key.tokens_per_minute * minutes_and_one + (overruns ? r->overrun : 0));
}

static void random_run(uint64_t seed, bool overruns)
{
    struct run *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->l = limits_new();
    r->seed = seed;
    r->key = key_with(1 + draw(r, 200), 10 + draw(r, 5000), 1 + (int)draw(r, N_OPEN));
    for (int n_tries = 0; n_tries < 3 * N_REQUESTS && r->n_done + N_OPEN < N_REQUESTS; n_tries++) {
        int64_t next = r->now + draw(r, draw(r, 20) ? SECOND : 2 * MINUTE);
        end_due(r, next);
        r->now = next;
        while (draw(r, 3) && begin(r, overruns))
            continue;
    }
    end_due(r, INT64_MAX);
    assert_true(r->n_done > 100);
    check_run(r, overruns);
    limits_free(r->l);
    free(r);
}

static void no_minute_has_more_than_twice_the_bound(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++)
        random_run(seed, false);
}

static void what_was_used_beyond_is_paid_back(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 140; seed++)
        random_run(seed, true);
}

// Who asks for all that there is gets the whole rate, also with requests that take minutes.
static void the_rate_can_be_reached(void **state)
{
    (void)state;
    for (int minutes = 0; minutes < 3; minutes++) {
        struct limits *l = limits_new();
        struct ledger_key key = key_with(0, 6000, 0);
        struct limits_hold holds[600] = {0};
        int64_t used = 0;
        for (int s = 0; s < 600; s++) {
            int ended = s - minutes * 60 - 1;
            if (ended >= 0)
                limits_give(l, &key, &holds[ended], 100, s * SECOND);
            if (limits_take(l, &key, 100, s * SECOND, &holds[s], NULL, NULL))
                used += 100;
        }
        assert_true(used >= 59900 && used <= 60000 + 6000);
        limits_free(l);
    }
}

static void *ask_a_lot(void *self)
{
    struct limits *l = self;
    struct ledger_key key = key_with(0, 1000, 3);
    for (int i = 0; i < 5000; i++) {
        struct limits_hold hold;
        key.number = (uint64_t)i % 100 + 1;
        if (limits_take(l, &key, 5, i * SECOND, &hold, NULL, NULL))
            limits_give(l, &key, &hold, 3, i * SECOND);
    }
    return NULL;
}

static void threads_may_ask_at_once(void **state)
{
    struct limits *l = limits_new();
    pthread_t threads[4];
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_a_lot, l), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++) {  // none was left open
        struct ledger_key key = key_with(0, 1000, 3);
        struct limits_hold hold;
        assert_true(limits_take(l, &key, 1, 9000 * SECOND, &hold, NULL, NULL));
    }
    limits_free(l);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_no_bounds_is_not_remembered),
        cmocka_unit_test(a_minute_of_requests_may_come_at_once),
        cmocka_unit_test(tokens_are_taken_by_their_bound_and_given_back),
        cmocka_unit_test(what_an_old_request_gives_back_is_not_more_than_its_room),
        cmocka_unit_test(requests_at_once_are_counted_exactly),
        cmocka_unit_test(a_refused_request_takes_nothing),
        cmocka_unit_test(keys_that_are_idle_are_forgotten),
        cmocka_unit_test(busy_keys_are_kept),
        cmocka_unit_test(no_minute_has_more_than_twice_the_bound),
        cmocka_unit_test(what_was_used_beyond_is_paid_back),
        cmocka_unit_test(the_rate_can_be_reached),
        cmocka_unit_test(threads_may_ask_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
