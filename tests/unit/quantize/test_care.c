// test_care.c - a text that tells too little of a matrix's inputs does no harm.
//
// Inputs are made correlated (few causes, many values, some noise). Some are learned from, others
// judge, and the loss is counted over many more that neither has seen.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/thread_pool.h"
#include "local/quantize/care.h"
#include "local/quantize/feedback.h"
#include "local/quantize/importance.h"
#include "local/quantize/triangle.h"
#include "local/quantize/quantize.h"

enum {
    N = 256,
    N_ROWS = 40,
    N_JUDGES = 64,
    N_UNSEEN = 600,
    N_CAUSES = 16,
    OUT_MAX = N_ROWS * N * 2
};

struct setting {
    float rows[N_ROWS * N], judges[N_JUDGES * N], unseen[N_UNSEEN * N];
};

// What a text of n inputs tells.
struct learned {
    struct importance known;
    float squares[N], products[N * N];
};

static float uniform(uint64_t i)
{
    return (float)((double)(hash_mix(i) >> 11) * 0x1p-52 - 1);
}

// Some inputs are loud, and some hardly ever heard: every eighth is zero for most samples.
static void make_input(uint64_t sample, float *x)
{
    for (uint64_t i = 0; i < N; i++) {
        x[i] = 0.3f * uniform(sample * N + i);
        for (uint64_t c = 0; c < N_CAUSES; c++)
            x[i] += 0.25f * uniform(1000000007 + i * N_CAUSES + c) *
                    uniform(2000000011 + sample * N_CAUSES + c);
        if (i % 8 == 3)
            x[i] *= hash_mix(5000000029 + sample * N + i) % 16 == 0 ? 3 : 0;
    }
}

static int set_up(void **state)
{
    struct setting *s = calloc(1, sizeof *s);
    if (!s)
        return -1;
    for (uint64_t i = 0; i < N_JUDGES; i++)
        make_input(10000 + i, s->judges + i * N);
    for (uint64_t i = 0; i < N_UNSEEN; i++)
        make_input(20000 + i, s->unseen + i * N);
    for (uint64_t i = 0; i < N_ROWS * N; i++)
        s->rows[i] = 0.05f * (uniform(3000000019 + i) + uniform(4000000007 + i));
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static struct learned *learn(const struct setting *s, size_t n)
{
    struct learned *l = calloc(1, sizeof *l);
    assert_non_null(l);
    for (size_t sample = 0; sample < n; sample++) {
        float x[N];
        make_input(sample, x);
        for (size_t i = 0; i < N; i++)
            for (size_t k = 0; k <= i; k++)
                l->products[triangle_row((size_t)i) + (size_t)k] += x[i] * x[k] / (float)n;
    }
    for (size_t i = 0; i < N; i++)
        l->squares[i] = l->products[triangle_row((size_t)i) + (size_t)i];
    l->known = (struct importance){.id = n,
                                   .n = N,
                                   .squares = l->squares,
                                   .products = l->products,
                                   .held_out = s->judges,
                                   .n_held_out = N_JUDGES};
    return l;
}

static struct care_tally round_all(const struct setting *s, const struct importance *known,
                                   enum dtype type, int threads, unsigned char *out)
{
    struct thread_pool *pool = thread_pool_new(threads, NULL);
    struct care *care = care_new(pool);
    struct care_tally tally = {0};
    struct error err;
    size_t bad;
    care_begin(care, known, type, s->rows, N_ROWS);
    assert_true(care_rows(care, type, s->rows, N_ROWS, out, &tally, &bad, &err));
    care_free(care);
    thread_pool_free(pool);
    return tally;
}

static void round_plainly(const struct setting *s, enum dtype type, unsigned char *out)
{
    uint64_t bytes = 0;
    struct error err;
    assert_true(dtype_bytes(type, N, &bytes));
    for (size_t r = 0; r < N_ROWS; r++)
        assert_true(quantize_row(type, s->rows + r * N, NULL, out + r * bytes, N, &err));
}

static double loss_of(const struct setting *s, enum dtype type, const unsigned char *rounded)
{
    static float back[N_ROWS * N];
    double sum = 0;
    dtype_to_f32(type, rounded, back, N_ROWS * N);
    for (size_t r = 0; r < N_ROWS; r++)
        for (size_t t = 0; t < N_UNSEEN; t++) {
            double y = 0;
            for (size_t i = 0; i < N; i++)
                y += (double)s->unseen[t * N + i] * (double)(back[r * N + i] - s->rows[r * N + i]);
            sum += y * y;
        }
    return sum;
}

// For one format: the loss with what n inputs told, as a share of the loss without.
static double share_of(const struct setting *s, enum dtype type, size_t n)
{
    static unsigned char plain[OUT_MAX], cared[OUT_MAX];
    struct learned *l = learn(s, n);
    struct care_tally t = round_all(s, &l->known, type, 2, cared);
    round_plainly(s, type, plain);
    double share = loss_of(s, type, cared) / loss_of(s, type, plain);
    print_message("%-7s %4zu inputs: %.3f of the loss, %zu of %zu rows\n", dtype_name(type), n,
                  share, t.n_cared, t.n_rows);
    assert_int_equal(t.n_rows, N_ROWS);
    assert_true(t.kept <= t.plain);
    free(l);
    return share;
}

static const enum dtype types[] = {DTYPE_Q4_0, DTYPE_Q4_K, DTYPE_Q6_K, DTYPE_IQ4_NL, DTYPE_Q8_0};
enum { N_TYPES = sizeof types / sizeof *types };

static void much_helps_much(void **state)
{
    for (int t = 0; t < N_TYPES; t++)
        assert_true(share_of(*state, types[t], 800) < 0.6);
}

static void little_does_no_harm(void **state)
{
    static const size_t few[] = {1, 4, 16};
    for (int t = 0; t < N_TYPES; t++)
        for (int i = 0; i < 3; i++)
            assert_true(share_of(*state, types[t], few[i]) < 1.02);
}

static void what_nobody_judges_is_not_believed(void **state)
{
    static unsigned char plain[OUT_MAX], cared[OUT_MAX];
    struct learned *l = learn(*state, 200);
    l->known.n_held_out = 0;
    memset(plain, 0, sizeof plain);
    memset(cared, 0, sizeof cared);
    struct care_tally t = round_all(*state, &l->known, DTYPE_Q4_K, 1, cared);
    round_plainly(*state, DTYPE_Q4_K, plain);
    assert_int_equal(t.n_cared, 0);
    assert_memory_equal(plain, cared, OUT_MAX);
    free(l);
}

static void importance_alone_is_judged_too(void **state)
{
    static unsigned char plain[OUT_MAX], cared[OUT_MAX];
    struct learned *l = learn(*state, 400);
    l->known.products = NULL;
    struct care_tally t = round_all(*state, &l->known, DTYPE_Q4_K, 1, cared);
    round_plainly(*state, DTYPE_Q4_K, plain);
    assert_true(t.n_cared > 0);
    assert_true(loss_of(*state, DTYPE_Q4_K, cared) < loss_of(*state, DTYPE_Q4_K, plain));
    free(l);
}

static void threads_do_not_change_a_bit(void **state)
{
    static unsigned char one[OUT_MAX], three[OUT_MAX];
    memset(one, 0, sizeof one);
    memset(three, 0, sizeof three);
    struct learned *l = learn(*state, 60);
    (void)round_all(*state, &l->known, DTYPE_Q6_K, 1, one);
    (void)round_all(*state, &l->known, DTYPE_Q6_K, 3, three);
    assert_memory_equal(one, three, OUT_MAX);
    free(l);
}

static void what_is_no_number_is_refused(void **state)
{
    static unsigned char out[OUT_MAX];
    struct setting *s = *state;
    struct learned *l = learn(s, 60);
    struct thread_pool *pool = thread_pool_new(1, NULL);
    struct care *care = care_new(pool);
    struct care_tally tally = {0};
    struct error err;
    size_t bad = 0;
    float was = s->rows[3 * N + 7];
    s->rows[3 * N + 7] = NAN;
    care_begin(care, &l->known, DTYPE_Q4_0, s->rows, N_ROWS);
    assert_false(care_rows(care, DTYPE_Q4_0, s->rows, N_ROWS, out, &tally, &bad, &err));
    s->rows[3 * N + 7] = was;
    assert_int_equal(bad, 3);
    assert_string_equal(err.text, "value 7 is not a number");
    care_free(care);
    thread_pool_free(pool);
    free(l);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(much_helps_much),
    cmocka_unit_test(little_does_no_harm),
    cmocka_unit_test(what_nobody_judges_is_not_believed),
    cmocka_unit_test(importance_alone_is_judged_too),
    cmocka_unit_test(threads_do_not_change_a_bit),
    cmocka_unit_test(what_is_no_number_is_refused),
};

int main(void)
{
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
