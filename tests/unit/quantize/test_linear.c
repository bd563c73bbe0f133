// test_linear.c - the arithmetic of rounding with feedback, and Cholesky's factor built on it.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/thread_pool.h"
#include "local/quantize/cholesky.h"
#include "local/quantize/linear.h"
#include "local/quantize/triangle.h"

static double uniform(uint64_t i)
{
    return (double)(hash_mix(i) >> 11) * 0x1p-52 - 1;
}

static void every_instruction_set_gives_the_same_dot_product(void **state)
{
    (void)state;
    enum { N = 77 };
    float a[N], b[N];
    for (uint64_t i = 0; i < N; i++) {
        a[i] = (float)uniform(i);
        b[i] = (float)uniform(1000 + i);
    }
    for (size_t n = 0; n <= N; n++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += (double)a[i] * (double)b[i];
        assert_true(fabs((double)linear_plain.dot(a, b, n) - sum) < 1e-5);
        assert_true(linear_plain.dot(a, b, n) == linear_best()->dot(a, b, n));
    }
}

static void dot_products_of_many_rows_are_near_those_of_one(void **state)
{
    (void)state;
    enum { ROWS = 9, N = 2100 };  // more columns than are taken at once
    static const size_t lengths[] = {0, 1, 7, 8, 40, 1023, 1024, 1030, N};
    float *rows = malloc(sizeof *rows * 2 * ROWS * N), plain[ROWS * ROWS], best[ROWS * ROWS];
    const float *b[ROWS];
    assert_non_null(rows);
    for (uint64_t i = 0; i < (uint64_t)2 * ROWS * N; i++)
        rows[i] = (float)uniform(i);
    for (size_t i = 0; i < ROWS; i++)
        b[i] = rows + (ROWS + i) * N;
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
        for (size_t n_a = 0; n_a <= ROWS; n_a++)
            for (size_t n_b = 0; n_b <= ROWS; n_b++) {
                size_t n = lengths[l];
                linear_plain.dots(plain, ROWS, rows, N, n_a, b, n_b, n);
                linear_best()->dots(best, ROWS, rows, N, n_a, b, n_b, n);
                for (size_t i = 0; i < n_a; i++)
                    for (size_t j = 0; j < n_b; j++) {
                        float one = linear_plain.dot(rows + i * N, b[j], n);
                        assert_true(plain[i * ROWS + j] == best[i * ROWS + j]);
                        assert_true(fabsf(plain[i * ROWS + j] - one) < 1e-4f);
                    }
            }
    free(rows);
}

static void rows_are_added_one_after_another(void **state)
{
    (void)state;
    enum { N = 77, ROWS = 6, STRIDE = N + 3 };
    float x[ROWS * STRIDE], by[ROWS], start[N], plain[N], best[N];
    for (uint64_t i = 0; i < (uint64_t)ROWS * STRIDE; i++)
        x[i] = (float)uniform(i);
    for (uint64_t i = 0; i < N; i++)
        start[i] = (float)uniform(5000 + i);
    for (uint64_t i = 0; i < ROWS; i++)
        by[i] = (float)uniform(6000 + i);
    for (size_t n_rows = 0; n_rows <= ROWS; n_rows++)
        for (size_t n = 0; n <= N; n++) {
            memcpy(plain, start, sizeof plain);
            memcpy(best, start, sizeof best);
            linear_plain.add_rows(plain, x, STRIDE, by, n_rows, n);
            linear_best()->add_rows(best, x, STRIDE, by, n_rows, n);
            assert_memory_equal(plain, best, sizeof plain);
            for (size_t i = 0; i < N; i++) {
                float sum = start[i];
                for (size_t r = 0; r < n_rows && i < n; r++)
                    sum += by[r] * x[r * STRIDE + i];
                assert_true(plain[i] == sum);
            }
        }
}

// Tiles, the rows and columns that fill none, and lengths that fill no vector.
static void dot_products_of_rows_are_subtracted(void **state)
{
    (void)state;
    enum { ROWS = 7, LEN = 21 };
    double rows[2 * ROWS][LEN], plain[ROWS][ROWS], best[ROWS][ROWS];
    double *to_plain[ROWS], *to_best[ROWS];
    const double *a[ROWS], *b[ROWS];
    for (uint64_t i = 0; i < (uint64_t)2 * ROWS * LEN; i++)
        rows[i / LEN][i % LEN] = uniform(i);
    for (size_t i = 0; i < ROWS; i++) {
        to_plain[i] = plain[i];
        to_best[i] = best[i];
        a[i] = rows[i];
        b[i] = rows[ROWS + i];
    }
    for (size_t n_a = 0; n_a <= ROWS; n_a++)
        for (size_t n_b = 0; n_b <= ROWS; n_b++)
            for (size_t n = 0; n <= LEN; n++) {
                for (size_t i = 0; i < (size_t)ROWS * ROWS; i++)
                    plain[i / ROWS][i % ROWS] = best[i / ROWS][i % ROWS] = uniform(999 + i);
                linear_plain.subtract_dots(to_plain, a, n_a, b, n_b, n);
                linear_best()->subtract_dots(to_best, a, n_a, b, n_b, n);
                assert_memory_equal(plain, best, sizeof plain);
                for (size_t i = 0; i < ROWS; i++)
                    for (size_t j = 0; j < ROWS; j++) {
                        double left = uniform(999 + i * ROWS + j);
                        for (size_t k = 0; k < n && i < n_a && j < n_b; k++)
                            left -= a[i][k] * b[j][k];
                        assert_true(fabs(plain[i][j] - left) < 1e-13);
                    }
            }
}

// A A^T of `rank` columns, and something more on the diagonal.
static double *triangle_of(size_t n, size_t rank, double more)
{
    double *l = calloc(triangle_row(n), sizeof *l);
    assert_non_null(l);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k <= i; k++) {
            for (size_t j = 0; j < rank; j++)
                l[triangle_row(i) + k] += uniform(i * rank + j) * uniform(k * rank + j);
            l[triangle_row(i) + k] += i == k ? more : 0;
        }
    return l;
}

static void the_factor_times_itself_is_the_matrix(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 63, 128, 129, 200, 333};
    struct thread_pool *one = thread_pool_new(1, NULL), *three = thread_pool_new(3, NULL);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t n = sizes[s];
        double *matrix = triangle_of(n, 20, 0.5);
        double *l = triangle_of(n, 20, 0.5), *again = triangle_of(n, 20, 0.5);
        assert_true(cholesky(l, n, one));
        assert_true(cholesky(again, n, three));
        assert_memory_equal(l, again, triangle_row(n) * sizeof *l);
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k <= i; k++) {
                double sum = 0;
                for (size_t j = 0; j <= k; j++)
                    sum += l[triangle_row(i) + j] * l[triangle_row(k) + j];
                assert_true(fabs(sum - matrix[triangle_row(i) + k]) < 1e-11);
            }
        free(matrix);
        free(l);
        free(again);
    }
    thread_pool_free(one);
    thread_pool_free(three);
}

static void what_is_not_positive_has_no_factor(void **state)
{
    (void)state;
    struct thread_pool *pool = thread_pool_new(2, NULL);
    double *l = triangle_of(200, 20, -1e-3);  // of rank 20: the others are below zero
    assert_false(cholesky(l, 200, pool));
    free(l);
    l = triangle_of(200, 20, 0.5);
    l[triangle_row(150) + 3] = NAN;
    assert_false(cholesky(l, 200, pool));
    free(l);
    thread_pool_free(pool);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_instruction_set_gives_the_same_dot_product),
    cmocka_unit_test(dot_products_of_many_rows_are_near_those_of_one),
    cmocka_unit_test(rows_are_added_one_after_another),
    cmocka_unit_test(dot_products_of_rows_are_subtracted),
    cmocka_unit_test(the_factor_times_itself_is_the_matrix),
    cmocka_unit_test(what_is_not_positive_has_no_factor),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
