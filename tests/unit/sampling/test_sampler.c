// test_sampler.c - picks, penalties, logprobs, and that what is drawn follows the probabilities.
//
// Seeds are fixed, so the chi-square bounds (p about 1e-4) either hold for ever or never.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "local/sampling/filters.h"
#include "local/sampling/sampler.h"

static struct sampling plain(float temperature)
{
    struct sampling s;
    sampling_defaults(&s);
    s.temperature = temperature;
    s.top_p = 1;
    return s;
}

static int32_t pick_once(const struct sampling *s, const float *logits, int n, int64_t position)
{
    float copy[64];
    memcpy(copy, logits, (size_t)n * sizeof *copy);
    struct sampler *sampler = sampler_new(s, n, 0);
    int32_t t = sampler_pick(sampler, copy, position, NULL, NULL, NULL, 0, NULL);
    sampler_free(sampler);
    return t;
}

static void greedy_takes_the_likeliest_and_the_lower_of_two(void **state)
{
    (void)state;
    struct sampling s = plain(0);
    float a[] = {1, 5, 3, 5}, b[] = {-INFINITY, -3, -2};
    assert_int_equal(pick_once(&s, a, 4, 0), 1);
    assert_int_equal(pick_once(&s, b, 3, 0), 2);
}

static void nan_and_infinity_are_numeric_errors(void **state)
{
    (void)state;
    float bad[][3] = {
        {0, NAN, 1}, {NAN, 0, 0}, {0, 1, INFINITY}, {-INFINITY, -INFINITY, -INFINITY}};
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; i < 4; i++) {
            struct sampling s = plain((float)t);
            struct sampler *sampler = sampler_new(&s, 3, 0);
            struct error err = {0};
            float copy[3];
            memcpy(copy, bad[i], sizeof copy);
            assert_int_equal(sampler_pick(sampler, copy, 0, NULL, NULL, NULL, 0, &err), -1);
            assert_int_equal(err.code, ERR_NUMERIC);
            sampler_free(sampler);
        }
}

static void nan_is_seen_wherever_it_stands(void **state)
{
    (void)state;
    struct sampling s = plain(0);
    struct sampler *sampler = sampler_new(&s, 37, 0);
    for (int at = 0; at < 37; at++) {
        float logits[37] = {0};
        logits[at] = at % 2 ? NAN : INFINITY;
        assert_int_equal(sampler_pick(sampler, logits, 0, NULL, NULL, NULL, 0, NULL), -1);
        logits[at] = 1;
        assert_int_equal(sampler_pick(sampler, logits, 0, NULL, NULL, NULL, 0, NULL), at);
    }
    sampler_free(sampler);
}

static void a_mask_forbids(void **state)
{
    (void)state;
    struct sampling s = plain(0);
    struct sampler *sampler = sampler_new(&s, 40, 0);
    float logits[40];
    for (int i = 0; i < 40; i++)
        logits[i] = (float)i;
    uint32_t mask[2] = {1u << 7 | 1u << 3, 0}, nothing[2] = {0, 0};
    struct token_logprob chosen;
    assert_int_equal(sampler_pick(sampler, logits, 0, mask, &chosen, NULL, 0, NULL), 7);
    // logprobs are the model's, from before the mask: 32 nats down from the best
    assert_true(fabsf(chosen.logprob - (-32.4587f)) < 1e-3f);
    struct error err;
    assert_int_equal(sampler_pick(sampler, logits, 0, nothing, NULL, NULL, 0, &err), -1);
    assert_int_equal(err.code, ERR_NUMERIC);
    sampler_free(sampler);
}

static void penalties_by_hand(void **state)
{
    (void)state;
    struct sampling s = plain(0);
    s.repetition_penalty = 2;
    s.presence_penalty = 0.5f;
    s.frequency_penalty = 0.25f;
    s.penalty_last_n = 4;
    struct sampler *sampler = sampler_new(&s, 6, 0);
    int32_t prompt[] = {5, 0, 1}, generated[] = {1, 2, 2};  // 5 and 0 leave the window of four
    for (int i = 0; i < 3; i++)
        sampler_accept(sampler, prompt[i], false);
    for (int i = 0; i < 3; i++)
        sampler_accept(sampler, generated[i], true);
    float logits[] = {4, 4, -4, 4, -4, 4};
    sampler_pick(sampler, logits, 6, NULL, NULL, NULL, 0, NULL);
    float want[] = {4, 4 / 2.0f - 0.5f - 0.25f, -4 * 2.0f - 0.5f - 0.5f, 4, -4, 4};
    for (int i = 0; i < 6; i++)
        assert_true(logits[i] == want[i]);
    sampler_free(sampler);
}

static void penalties_look_at_everything_by_default(void **state)
{
    (void)state;
    struct sampling s = plain(0);
    s.frequency_penalty = 1;
    struct sampler *sampler = sampler_new(&s, 3, 0);
    for (int i = 0; i < 1000; i++)
        sampler_accept(sampler, 1, true);
    sampler_accept(sampler, 2, false);  // the prompt is nobody's repetition
    float logits[] = {0, 0, 0};
    sampler_pick(sampler, logits, 0, NULL, NULL, NULL, 0, NULL);
    assert_true(logits[1] == -1000 && logits[2] == 0);
    sampler_free(sampler);
}

static void logprobs_are_those_before_temperature(void **state)
{
    (void)state;
    struct sampling s = plain(0.1f);
    s.top_k = 1;
    struct sampler *sampler = sampler_new(&s, 4, 0);
    float logits[] = {logf(0.2f), logf(0.5f), logf(0.2f), logf(0.1f)};
    struct token_logprob chosen, top[6];
    assert_int_equal(sampler_pick(sampler, logits, 0, NULL, &chosen, top, 6, NULL), 1);
    assert_true(fabsf(chosen.logprob - logf(0.5f)) < 1e-6f);
    int32_t ids[] = {1, 0, 2, 3, -1, -1};  // ties by lower id; then nothing more
    for (int i = 0; i < 6; i++)
        assert_int_equal(top[i].token, ids[i]);
    assert_true(fabsf(top[3].logprob - logf(0.1f)) < 1e-6f);
    sampler_free(sampler);
}

// The statistic over tokens with an expectation of at least 5, the rest pooled.
static double chi_square(const int *seen, const double *p, int n, int draws, int *freedom)
{
    double sum = 0, rest = 0;
    int rest_seen = 0;
    *freedom = -1;
    for (int i = 0; i < n; i++) {
        double expected = p[i] * draws;
        if (expected < 5) {
            rest += expected;
            rest_seen += seen[i];
            assert_false(p[i] == 0 && seen[i] > 0);
            continue;
        }
        sum += (seen[i] - expected) * (seen[i] - expected) / expected;
        ++*freedom;
    }
    if (rest >= 5) {
        sum += (rest_seen - rest) * (rest_seen - rest) / rest;
        ++*freedom;
    }
    return sum;
}

static void check_distribution(const struct sampling *s, bool by_seed)
{
    enum { N = 50, DRAWS = 40000 };
    float logits[N];
    for (int i = 0; i < N; i++)
        logits[i] = (float)(hash_mix((uint64_t)i) >> 40) * 0x1p-24f * 6;
    float max = 0;
    for (int i = 0; i < N; i++)
        max = fmaxf(max, logits[i]);
    struct candidates c = {0};
    filters_apply(&c, logits, N, max, s);
    double p[N] = {0};
    for (size_t i = 0; i < c.n; i++)
        p[candidate_id(c.keys[i])] = candidate_weight(c.keys[i]) / c.mass;
    candidates_release(&c);
    int seen[N] = {0};
    struct sampling one = *s;
    for (int i = 0; i < DRAWS; i++) {
        one.seed = by_seed ? (uint64_t)i : 1234;
        seen[pick_once(&one, logits, N, by_seed ? 77 : i)]++;
    }
    int freedom;
    double x = chi_square(seen, p, N, DRAWS, &freedom);
    if (freedom > 0)  // mean freedom, deviation sqrt(2 freedom): four of them
        assert_true(x < freedom + 4 * sqrt(2.0 * freedom) + 4);
}

static void draws_follow_the_probabilities(void **state)
{
    (void)state;
    struct sampling all[6];
    for (int i = 0; i < 6; i++)
        all[i] = plain(i == 1 ? 1.7f : 0.8f);
    all[2].top_k = 12;
    all[3].top_p = 0.8f;
    all[4].min_p = 0.05f;
    all[5].typical_p = 0.7f;
    for (int i = 0; i < 6; i++) {
        check_distribution(&all[i], false);
        check_distribution(&all[i], true);
    }
}

static void a_draw_depends_on_seed_choice_and_position_only(void **state)
{
    (void)state;
    float logits[32] = {0};
    struct sampling s = plain(1);
    s.seed = 99;
    int same_choice = 0, same_position = 0, same_seed = 0;
    struct sampler *a = sampler_new(&s, 32, 0), *b = sampler_new(&s, 32, 1);
    for (int i = 0; i < 3200; i++) {
        float copy[32] = {0};
        int32_t t = sampler_pick(a, copy, i, NULL, NULL, NULL, 0, NULL);
        assert_int_equal(t, pick_once(&s, logits, 32, i));  // a fresh sampler draws the same
        same_choice += t == sampler_pick(b, copy, i, NULL, NULL, NULL, 0, NULL);
        same_position += t == pick_once(&s, logits, 32, i + 1);
        struct sampling other = s;
        other.seed = 100;
        same_seed += t == pick_once(&other, logits, 32, i);
    }
    // one in 32 by chance: 100 expected, deviation 10
    assert_in_range(same_choice, 60, 140);
    assert_in_range(same_position, 60, 140);
    assert_in_range(same_seed, 60, 140);
    sampler_free(a);
    sampler_free(b);
}

static int compare_keys(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

// How many of 50 draws are not those of walking all survivors in order but their neighbours; others
// fail.
static int draws_that_differ(const struct candidates *sorted, const float *logits, int n, float max,
                             const struct sampling *s)
{
    struct candidates c = {0};
    int differ = 0;
    for (int i = 0; i < 50; i++) {
        double u = (i + 0.5) / 50, walked = 0;
        size_t at = 0;
        while (at + 1 < sorted->n &&
               (walked += candidate_weight(sorted->keys[at])) <= u * sorted->mass)
            at++;
        int32_t drawn = filters_draw(&c, logits, n, max, s, u);
        bool next = (at > 0 && drawn == candidate_id(sorted->keys[at - 1])) ||
                    (at + 1 < sorted->n && drawn == candidate_id(sorted->keys[at + 1]));
        assert_true(next || drawn == candidate_id(sorted->keys[at]));
        differ += next;
    }
    candidates_release(&c);
    return differ;
}

// The bucket pass must not lose or add anything against sorting all of a large vocabulary.
static void selection_equals_a_full_sort(void **state)
{
    (void)state;
    enum { N = 20000 };
    float *logits = memory_array(float, N);
    uint64_t *keys = memory_array(uint64_t, N);
    struct candidates c = {0};
    int n_other = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        float spread = seed % 4 == 0 ? 0.01f : seed % 4 == 1 ? 3 : seed % 4 == 2 ? 15 : 100;
        float max = -INFINITY;
        for (uint64_t i = 0; i < N; i++) {
            float u = (float)(hash_mix(seed * N + i) >> 40) * 0x1p-24f;
            logits[i] = seed % 3 ? spread * u : spread * logf(u + 1e-6f);
            max = fmaxf(max, logits[i]);
        }
        double total = 0;
        for (uint32_t i = 0; i < N; i++) {
            float d = (max - logits[i]) / 0.7f;
            uint32_t bits;
            memcpy(&bits, &d, 4);
            keys[i] = (uint64_t)bits << 32 | i;
            total += candidate_weight(keys[i]);
        }
        qsort(keys, N, sizeof *keys, compare_keys);
        double p = 0.1 + 0.899 * (double)seed / 40, before = 0;
        size_t n = 0;
        do
            before += candidate_weight(keys[n++]);
        while (n < N && before < (double)(float)p * total);
        struct sampling s = plain(0.7f);
        s.top_p = (float)p;
        filters_apply(&c, logits, N, max, &s);
        // sums taken in another order may differ in the last bits, so the border by one token
        assert_true(c.n + 1 >= n && c.n <= n + 1);
        assert_memory_equal(c.keys, keys, (c.n < n ? c.n : n) * sizeof *keys);
        n_other += draws_that_differ(&c, logits, N, max, &s);
        s = plain(0.7f);
        s.top_k = 1 + (int)seed * 50;
        filters_apply(&c, logits, N, max, &s);
        assert_true(c.n >= (size_t)s.top_k && c.n < (size_t)s.top_k + 600);
        assert_memory_equal(c.keys, keys, c.n * sizeof *keys);
        assert_true(c.n == N || keys[c.n] >> 32 != keys[c.n - 1] >> 32);
    }
    assert_in_range(n_other, 0, 5);  // of 2,000: where u falls on the border between two
    candidates_release(&c);
    free(logits);
    free(keys);
}

static void extreme_logits_and_temperatures_are_survived(void **state)
{
    (void)state;
    float logits[] = {3e38f, -3e38f, 0, -INFINITY, 2.9e38f};
    float temperatures[] = {1e-30f, 1e-3f, 1, 100};
    for (int i = 0; i < 4; i++)
        for (int f = 0; f < 4; f++) {
            struct sampling s = plain(temperatures[i]);
            s.top_k = f == 1 ? 2 : 0;
            s.top_p = f == 2 ? 0.5f : 1;
            s.typical_p = f == 3 ? 0.5f : 1;
            assert_int_equal(pick_once(&s, logits, 5, 1), 0);
        }
}

static void bad_options_are_named(void **state)
{
    (void)state;
    struct error err;
    struct sampling s = plain(NAN);
    assert_false(sampling_check(&s, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.text, "temperature"));
    s = plain(1);
    s.repetition_penalty = 0;
    assert_false(sampling_check(&s, &err));
    assert_non_null(strstr(err.text, "repetition_penalty"));
    s = plain(1);
    s.top_k = -1;
    assert_false(sampling_check(&s, &err));
    assert_non_null(strstr(err.text, "top_k"));
    s = plain(1);
    struct logit_bias b = {3, NAN};
    s.logit_bias = &b;
    s.n_logit_bias = 1;
    assert_false(sampling_check(&s, &err));
    assert_non_null(strstr(err.text, "logit_bias"));
    b.bias = -INFINITY;
    assert_true(sampling_check(&s, &err));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_takes_the_likeliest_and_the_lower_of_two),
        cmocka_unit_test(nan_and_infinity_are_numeric_errors),
        cmocka_unit_test(nan_is_seen_wherever_it_stands),
        cmocka_unit_test(a_mask_forbids),
        cmocka_unit_test(penalties_by_hand),
        cmocka_unit_test(penalties_look_at_everything_by_default),
        cmocka_unit_test(logprobs_are_those_before_temperature),
        cmocka_unit_test(draws_follow_the_probabilities),
        cmocka_unit_test(a_draw_depends_on_seed_choice_and_position_only),
        cmocka_unit_test(selection_equals_a_full_sort),
        cmocka_unit_test(extreme_logits_and_temperatures_are_survived),
        cmocka_unit_test(bad_options_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
