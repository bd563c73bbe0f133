// test_score.c - the loops over rows of logits against doubles and against each other, and halves
// against the scalar conversions.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "local/eval/score.h"
#include "local/tensor/dtype.h"

enum { N_MAX = 2100 };
static const size_t lengths[] = {1, 2, 7, 8, 9, 64, 127, 128, 129, 1000, N_MAX};
enum { N_LENGTHS = sizeof lengths / sizeof *lengths };

static const struct score_kernels *tables[2] = {&score_plain};
static int n_tables = 1;

static float number(uint64_t seed, float low, float high)
{
    return low + (high - low) * (float)(hash_mix(seed) >> 40) * 0x1p-24f;
}

static void fill(float *x, size_t n, uint64_t seed, float low, float high)
{
    for (size_t i = 0; i < n; i++)
        x[i] = number(seed * 100000 + i, low, high);
}

static void scores_are_what_doubles_say(void **state)
{
    (void)state;
    static float x[N_MAX];
    for (int k = 0; k < N_LENGTHS; k++) {
        size_t n = lengths[k], best = 0;
        fill(x, n, (uint64_t)k, k % 2 ? -120 : -12, k % 3 ? 8 : 300);
        x[n / 2] = x[n - 1];  // the first of two that are equal
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            best = x[i] > x[best] ? i : best;
        for (size_t i = 0; i < n; i++)
            sum += exp((double)x[i] - (double)x[best]);
        for (int t = 0; t < n_tables; t++) {
            struct row_score s = tables[t]->score(x, n);
            assert_int_equal(s.best, best);
            assert_true(s.max == x[best]);
            assert_true(fabs(s.sum - sum) < 3e-7 * sum);
        }
    }
}

static void what_is_no_number_shows_in_the_sum(void **state)
{
    (void)state;
    static const float odd[] = {NAN, INFINITY, -INFINITY};
    static float x[N_MAX];
    for (int t = 0; t < n_tables; t++)
        for (int k = 0; k < 3; k++)
            for (size_t at = 0; at < 200; at += 13) {
                fill(x, 200, at, -5, 5);
                x[at] = odd[k];
                assert_int_equal(isfinite(tables[t]->score(x, 200).sum) != 0, k == 2);
            }
    for (size_t i = 0; i < 20; i++)
        x[i] = -INFINITY;
    for (int t = 0; t < n_tables; t++)
        assert_false(isfinite(tables[t]->score(x, 20).sum));
}

// Every half and what lies just beside the middle of two neighbours.
static void distances_are_rounded_as_one_by_one(void **state)
{
    (void)state;
    for (int t = 0; t < n_tables; t++)
        for (uint32_t h = 0; h < 0x7C00; h++) {
            float low = f16_to_f32((uint16_t)h), high = f16_to_f32((uint16_t)(h + 1));
            float middle = h == 0x7BFF ? 65520 : (low + high) / 2, x[4];
            uint16_t got[4];
            x[0] = -low, x[1] = -middle;
            x[2] = -nextafterf(middle, 0), x[3] = -nextafterf(middle, INFINITY);
            tables[t]->distances(got, x, 0, 4);
            for (int i = 0; i < 4; i++)
                assert_int_equal(got[i], f32_to_f16(-x[i]));
        }
    float x[2] = {-INFINITY, -1e6f};
    uint16_t got[2];
    for (int t = 0; t < n_tables; t++) {
        tables[t]->distances(got, x, 0, 2);
        assert_int_equal(got[0], 0x7C00);
        assert_int_equal(got[1], 0x7C00);
    }
}

static void divergences_are_what_doubles_say(void **state)
{
    (void)state;
    static float ours[N_MAX], theirs[N_MAX];
    static uint16_t d[N_MAX];
    for (int k = 0; k < N_LENGTHS; k++) {
        size_t n = lengths[k], nearest = 0;
        fill(theirs, n, 50 + (uint64_t)k, -40, 0);
        fill(ours, n, 70 + (uint64_t)k, -1, 1);
        for (size_t i = 0; i < n; i++)
            ours[i] += theirs[i];
        if (n > 2)
            theirs[1] = ours[1] = -INFINITY;  // neither thinks it possible
        struct row_score a = score_plain.score(theirs, n), b = score_plain.score(ours, n);
        score_plain.distances(d, theirs, a.max, n);
        double sum = 0, our_sum = 0, kl = 0;
        for (size_t i = 0; i < n; i++) {
            nearest = d[i] < d[nearest] ? i : nearest;
            sum += exp(-(double)f16_to_f32(d[i]));
            our_sum += exp((double)ours[i] - (double)b.max);
        }
        for (size_t i = 0; i < n; i++) {
            double p = exp(-(double)f16_to_f32(d[i])) / sum;
            double q = exp((double)ours[i] - (double)b.max) / our_sum;
            kl += p > 0 ? p * log(p / q) : 0;
        }
        for (int t = 0; t < n_tables; t++) {
            struct row_divergence r = tables[t]->diverge(d, ours, b.max, n);
            double got = r.cross / r.sum - log(r.sum) + log(b.sum);
            assert_true(r.valid);
            assert_int_equal(r.best, nearest);
            assert_true(fabs(got - kl) < 1e-6);
        }
    }
}

static void distances_that_are_none_are_told(void **state)
{
    (void)state;
    static const uint16_t odd[] = {0x7C01, 0x7E00, 0x8001, 0xBC00, 0xFFFF};
    static float x[200];
    for (int t = 0; t < n_tables; t++)
        for (int k = 0; k < 5; k++)
            for (size_t at = 0; at < 200; at += 13) {
                uint16_t d[200] = {0};
                d[at ^ 1] = 0x7C00;  // infinitely far is far
                assert_true(tables[t]->diverge(d, x, 0, 200).valid);
                d[at] = odd[k];
                assert_false(tables[t]->diverge(d, x, 0, 200).valid);
            }
}

static void instruction_sets_give_the_same_bits(void **state)
{
    (void)state;
    static float x[N_MAX];
    static uint16_t d[N_MAX], want[N_MAX];
    for (int t = 1; t < n_tables; t++)
        for (int k = 0; k < N_LENGTHS; k++) {
            size_t n = lengths[k];
            fill(x, n, 90 + (uint64_t)k, -30, 30);
            struct row_score a = score_plain.score(x, n), b = tables[t]->score(x, n);
            assert_true(a.sum == b.sum && a.max == b.max && a.best == b.best);
            score_plain.distances(want, x, a.max, n);
            tables[t]->distances(d, x, a.max, n);
            assert_memory_equal(d, want, n * sizeof *d);
            fill(x, n, 190 + (uint64_t)k, -30, 30);
            struct row_divergence c = score_plain.diverge(d, x, 30, n);
            struct row_divergence e = tables[t]->diverge(d, x, 30, n);
            assert_true(c.sum == e.sum && c.cross == e.cross && c.best == e.best);
        }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_what_doubles_say),
        cmocka_unit_test(what_is_no_number_shows_in_the_sum),
        cmocka_unit_test(distances_are_rounded_as_one_by_one),
        cmocka_unit_test(divergences_are_what_doubles_say),
        cmocka_unit_test(distances_that_are_none_are_told),
        cmocka_unit_test(instruction_sets_give_the_same_bits),
    };
    if (score_kernels_best() != &score_plain)
        tables[n_tables++] = score_kernels_best();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
