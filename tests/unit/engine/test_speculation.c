// test_speculation.c - how many tokens are guessed, where the costs of steps are made up.
#include <setjmp.h>
#include <stdarg.h>
#include <math.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "local/engine/speculation.h"

// A machine whose steps cost `fixed` and `row` for each row, in seconds.
static void know_costs(struct speculation *s, double fixed, double row)
{
    for (int n = 64; n >= 1; n /= 2)
        for (int i = 0; i < 40; i++)
            speculation_measure(s, 1, n, fixed + row * n);
}

// Rounds of one sequence whose guesses are right with probability p; returns tokens guessed a
// round.
static double guess_rounds(struct speculation *s, struct pace *p, enum guess_kind kind,
                           double right, int rounds)
{
    double guessed = 0;
    for (int i = 0; i < rounds; i++) {
        speculation_begin(s, 1);
        int n = speculation_length(s, p, kind, DRAFT_MOST), k = 0;
        while (k < n && (double)(hash_mix((uint64_t)(i * 64 + k)) >> 11) * 0x1p-53 < right)
            k++;
        speculation_learn(s, p, kind, n, k);
        guessed += n;
        if (!n)  // as the engine does: the step without guesses is measured
            speculation_measure(s, 1, 1, step_costs_of(&s->costs[0], 1));
    }
    return guessed / rounds;
}

static void where_rows_cost_little_good_guesses_grow_long(void **state)
{
    (void)state;
    struct speculation s = {0};
    struct pace p = {0};
    know_costs(&s, 0.010, 0.0001);
    (void)guess_rounds(&s, &p, GUESS_LOOKUP, 0.98, 50);
    assert_true(guess_rounds(&s, &p, GUESS_LOOKUP, 0.98, 50) > 16);
    struct pace other = {0};  // begins with what the first one taught
    speculation_begin(&s, 1);
    assert_true(speculation_length(&s, &other, GUESS_LOOKUP, DRAFT_MOST) > 8);
}

static void guesses_that_are_wrong_end_soon_and_are_tried_again_seldom(void **state)
{
    (void)state;
    struct speculation s = {0};
    struct pace p = {0};
    know_costs(&s, 0.001, 0.001);
    assert_true(guess_rounds(&s, &p, GUESS_LOOKUP, 0, 10) <= 3);
    double later = guess_rounds(&s, &p, GUESS_LOOKUP, 0, 2000);
    assert_true(later > 0 && later < 0.05);
}

static void what_becomes_right_is_taken_up_again(void **state)
{
    (void)state;
    struct speculation s = {0};
    struct pace p = {0};
    know_costs(&s, 0.001, 0.0002);
    (void)guess_rounds(&s, &p, GUESS_LOOKUP, 0, 500);
    (void)guess_rounds(&s, &p, GUESS_LOOKUP, 1, 1000);
    assert_true(guess_rounds(&s, &p, GUESS_LOOKUP, 1, 100) > 8);
}

static void where_rows_cost_as_much_as_steps_nothing_is_guessed(void **state)
{
    (void)state;
    struct speculation s = {0};
    struct pace p = {0};
    know_costs(&s, 0, 0.001);
    assert_true(guess_rounds(&s, &p, GUESS_LOOKUP, 0.9, 1000) < 0.3);
}

static void kinds_are_judged_apart(void **state)
{
    (void)state;
    struct speculation s = {0};
    struct pace p = {0};
    know_costs(&s, 0.001, 0.0003);
    (void)guess_rounds(&s, &p, guess_kind_of(2), 0, 100);
    assert_true(guess_rounds(&s, &p, guess_kind_of(32), 0.99, 100) > 4);
    assert_int_not_equal(guess_kind_of(2), guess_kind_of(3));
    assert_true(guess_kind_of(1000) < GUESS_MODEL);
}

// Eight sequences fill the step: where a row beyond the eighth costs much, fewer are guessed than
// for one.
static void company_makes_guesses_shorter(void **state)
{
    (void)state;
    struct speculation s = {0};
    struct pace p[8] = {0};
    for (int n = 64; n >= 1; n /= 2)
        for (int n_seqs = 1; n_seqs <= 8 && n_seqs <= n; n_seqs *= 8)
            speculation_measure(&s, n_seqs, n, n <= 8 ? 0.010 : 0.010 + 0.00125 * (n - 8));
    int alone, together = 0;
    speculation_begin(&s, 1);
    alone = speculation_length(&s, &p[0], guess_kind_of(10), DRAFT_MOST);
    speculation_begin(&s, 8);
    for (int i = 0; i < 8; i++)
        together += speculation_length(&s, &p[i], guess_kind_of(10), DRAFT_MOST);
    assert_true(alone >= 4);
    assert_true(together < 8);
}

static void a_draft_model_must_be_worth_its_own_time(void **state)
{
    (void)state;
    struct speculation s = {.model_s = 0.0001};
    struct pace p = {0}, q = {0};
    know_costs(&s, 0.010, 0.0001);
    speculation_begin(&s, 1);
    assert_true(speculation_length(&s, &p, GUESS_MODEL, DRAFT_MOST) > 2);
    s.model_s = 0.02;
    speculation_begin(&s, 1);
    assert_int_equal(speculation_length(&s, &q, GUESS_MODEL, DRAFT_MOST), 0);
}

static void costs_are_lines_between_what_was_measured(void **state)
{
    (void)state;
    struct step_costs c = {0};
    assert_true(step_costs_of(&c, 8) > step_costs_of(&c, 1));
    step_costs_add(&c, 1, 1.0);
    assert_true(step_costs_of(&c, 2) > 1.0 && step_costs_of(&c, 2) < 2.0);
    step_costs_add(&c, 5, 3.0);
    assert_true(fabs(step_costs_of(&c, 3) - 2.0) < 1e-9);
    assert_true(fabs(step_costs_of(&c, 9) - 5.0) < 1e-9);
    step_costs_add(&c, 5, 300.0);  // the system was busy elsewhere
    assert_true(step_costs_of(&c, 5) < 3.5);
}

// Else nothing tells whether guesses pay.
static void a_step_without_guesses_is_measured_first_and_now_and_then(void **state)
{
    (void)state;
    struct speculation s = {0};
    struct pace p = {0};
    speculation_begin(&s, 1);
    assert_int_equal(speculation_length(&s, &p, GUESS_LOOKUP, DRAFT_MOST), 0);
    speculation_measure(&s, 1, 1, 0.001);
    int without = 0;
    for (int i = 0; i < 1000; i++) {
        speculation_begin(&s, 1);
        int n = speculation_length(&s, &p, GUESS_LOOKUP, 4);
        speculation_learn(&s, &p, GUESS_LOOKUP, n, n);
        speculation_measure(&s, 1, 1 + n, 0.001);
        without += n == 0;
    }
    assert_in_range(without, 5, 20);
}

static void nothing_is_asked_for_beyond_the_bound(void **state)
{
    (void)state;
    struct speculation s = {0};
    struct pace p = {0};
    know_costs(&s, 1, 0);
    for (int most = -1; most <= DRAFT_MOST; most++) {
        speculation_begin(&s, 1);
        int n = speculation_length(&s, &p, GUESS_LOOKUP, most);
        assert_int_equal(n, most > 0 ? most : 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_rows_cost_little_good_guesses_grow_long),
        cmocka_unit_test(guesses_that_are_wrong_end_soon_and_are_tried_again_seldom),
        cmocka_unit_test(what_becomes_right_is_taken_up_again),
        cmocka_unit_test(where_rows_cost_as_much_as_steps_nothing_is_guessed),
        cmocka_unit_test(kinds_are_judged_apart),
        cmocka_unit_test(company_makes_guesses_shorter),
        cmocka_unit_test(a_draft_model_must_be_worth_its_own_time),
        cmocka_unit_test(costs_are_lines_between_what_was_measured),
        cmocka_unit_test(a_step_without_guesses_is_measured_first_and_now_and_then),
        cmocka_unit_test(nothing_is_asked_for_beyond_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
