// test_step_times.c - what is learned from the times of steps.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "local/engine/step_times.h"

static void decode(struct step_times *t, int n, double seconds)
{
    step_times_add(t, &(struct step_work){.n_decode = n}, seconds);
}

static void prompt(struct step_times *t, int n_decode, int n, double position, double seconds)
{
    struct step_work w = {.n_decode = n_decode, .n_prompt = n, .positions = n * position};
    step_times_add(t, &w, seconds);
}

static void assert_near(double value, double expected, double share)
{
    if (fabs(value - expected) > share * expected)
        fail_msg("%g is not %g", value, expected);
}

static void nothing_measured_bounds_nothing(void **state)
{
    (void)state;
    struct step_times t = {0};
    assert_true(isinf(step_times_budget(&t, 5, 3)));
    assert_true(step_times_idle(&t, 5) == 0);
    assert_true(step_times_prompt_row(&t, 100) == 0);
}

static void a_prompt_s_rows_cost_what_they_add(void **state)
{
    (void)state;
    struct step_times t = {0};
    prompt(&t, 0, 500, 250, 1.5);
    assert_near(step_times_prompt_row(&t, 0), 0.003, 0.01);
    for (int i = 0; i < 30; i++)
        decode(&t, 4, 0.040);
    for (int i = 0; i < 30; i++)
        prompt(&t, 4, 50, 100, 0.040 + 50 * 0.002);
    assert_near(step_times_idle(&t, 4), 0.040, 0.01);
    assert_near(step_times_prompt_row(&t, 100), 0.002, 0.02);
}

static void later_positions_have_their_own_price(void **state)
{
    (void)state;
    struct step_times t = {0};
    decode(&t, 1, 0.010);
    prompt(&t, 0, 100, 100, 0.010 + 100 * 0.002);
    prompt(&t, 0, 100, 5000, 0.010 + 100 * 0.004);
    assert_near(step_times_prompt_row(&t, 10), 0.002, 0.02);
    assert_near(step_times_prompt_row(&t, 2000), 0.002, 0.02);  // the nearest that is known
    assert_near(step_times_prompt_row(&t, 5000), 0.004, 0.02);
    assert_near(step_times_prompt_row(&t, 1 << 24), 0.004, 0.02);
}

static void a_step_that_was_held_up_does_not_count_much(void **state)
{
    (void)state;
    struct step_times t = {0};
    decode(&t, 1, 0.010);
    for (int i = 0; i < 20; i++)
        prompt(&t, 0, 100, 100, 0.210);
    prompt(&t, 0, 100, 100, 30);
    assert_true(step_times_prompt_row(&t, 100) < 0.0026);
    prompt(&t, 8, 1, 100, 0.090);  // one row beside many says nothing
    assert_true(step_times_prompt_row(&t, 100) < 0.0026);
}

static void the_budget_grows_with_the_queue_to_its_bound(void **state)
{
    (void)state;
    struct step_times t = {0};
    for (int i = 0; i < 30; i++)
        decode(&t, 8, 0.050);
    prompt(&t, 0, 100, 100, 0.3);
    assert_near(step_times_budget(&t, 8, 1), 0.150, 0.01);
    assert_near(step_times_budget(&t, 8, 3), 0.450, 0.01);
    assert_near(step_times_budget(&t, 8, 100), STEP_MOST_S, 0.01);
    assert_true(isinf(step_times_budget(&t, 0, 100)));  // nobody waits for the next token
    assert_true(isinf(step_times_budget(&t, 8, 0)));
    for (int i = 0; i < 100; i++)
        decode(&t, 8, 0.700);
    assert_near(step_times_budget(&t, 8, 1), 1.4, 0.05);  // half of the time in any case
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_measured_bounds_nothing),
        cmocka_unit_test(a_prompt_s_rows_cost_what_they_add),
        cmocka_unit_test(later_positions_have_their_own_price),
        cmocka_unit_test(a_step_that_was_held_up_does_not_count_much),
        cmocka_unit_test(the_budget_grows_with_the_queue_to_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
