// test_flows.c - who is served next: shares, absences, and what is remembered of them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "local/engine/flows.h"

static uint64_t served(const struct flows *f, int entry)
{
    return f->entries[entry].served;
}

static void service_is_counted_by_weight(void **state)
{
    (void)state;
    struct flows f = {0};
    int a = flows_enter(&f, 7), b = flows_enter(&f, 8);
    flows_charge(&f, a, 30, 3);
    flows_charge(&f, b, 10, 1);
    assert_true(served(&f, a) == served(&f, b));
    assert_int_equal(flows_enter(&f, 7), a);
    assert_int_equal(f.entries[a].n_sequences, 2);
    flows_release(&f);
}

static void a_newcomer_has_no_claim_to_what_others_got(void **state)
{
    (void)state;
    struct flows f = {0};
    int a = flows_enter(&f, 1);
    flows_charge(&f, a, 5000, 1);
    int b = flows_enter(&f, 2);
    assert_true(served(&f, b) == served(&f, a));
    flows_leave(&f, b);
    flows_charge(&f, a, 5000, 1);
    assert_int_equal(flows_enter(&f, 2), b);
    assert_true(served(&f, b) == served(&f, a));
    flows_release(&f);
}

static void short_requests_in_a_row_win_nothing(void **state)
{
    (void)state;
    struct flows f = {0};
    int steady = flows_enter(&f, 1);
    for (int i = 0; i < 10; i++) {  // each is served beyond what the other had, and leaves
        int b = flows_enter(&f, 2);
        flows_charge(&f, b, 100, 1);
        flows_leave(&f, b);
        flows_charge(&f, steady, 10, 1);
    }
    int b = flows_enter(&f, 2);
    assert_true(served(&f, b) == 1000u * 65536);
    assert_true(served(&f, steady) == 100u * 65536);
    flows_release(&f);
}

static void who_was_alone_does_not_pay_for_it_later(void **state)
{
    (void)state;
    struct flows f = {0};
    int a = flows_enter(&f, 1);
    flows_charge(&f, a, 1000000, 1);
    flows_leave(&f, a);
    int b = flows_enter(&f, 2);  // nobody was there: it begins where the other ended
    a = flows_enter(&f, 1);
    assert_true(served(&f, a) == served(&f, b));
    flows_release(&f);
}

static void many_absent_flows_do_not_fill_memory(void **state)
{
    (void)state;
    struct flows f = {0};
    int steady = flows_enter(&f, 0);
    for (uint64_t id = 1; id < 5 * FLOWS_KEPT; id++) {
        int e = flows_enter(&f, id);
        flows_charge(&f, e, (int)id, 1);
        flows_leave(&f, e);
    }
    assert_true(f.n <= FLOWS_KEPT + 2);
    assert_true(served(&f, steady) == 0);
    flows_release(&f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(service_is_counted_by_weight),
        cmocka_unit_test(a_newcomer_has_no_claim_to_what_others_got),
        cmocka_unit_test(short_requests_in_a_row_win_nothing),
        cmocka_unit_test(who_was_alone_does_not_pay_for_it_later),
        cmocka_unit_test(many_absent_flows_do_not_fill_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
