// cmocka.h - what the kernels' tests use of cmocka, where there is no cmocka: for another
// processor.
//
// A failed assertion ends its test, as in cmocka; the lines printed are those that tools/run-tests
// reads. Include <setjmp.h> and the others before it, as for cmocka itself.
#pragma once
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};
#define cmocka_unit_test(f)                                                                        \
    {                                                                                              \
#f, f                                                                                      \
    }

static jmp_buf cmocka_failed;

#define fail_msg(...)                                                                              \
    do {                                                                                           \
        printf("%s:%d: ", __FILE__, __LINE__);                                                     \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
        longjmp(cmocka_failed, 1);                                                                 \
    } while (0)
#define assert_true(c)                                                                             \
    do {                                                                                           \
        if (!(c))                                                                                  \
            fail_msg("%s", #c);                                                                    \
    } while (0)
#define assert_false(c) assert_true(!(c))
#define assert_null(p) assert_true(!(p))
#define assert_non_null(p) assert_true(p)
#define assert_int_equal(a, b) assert_true((long long)(a) == (long long)(b))
#define assert_in_range(a, low, high) assert_true((a) >= (low) && (a) <= (high))
#define assert_memory_equal(a, b, n) assert_true(memcmp(a, b, n) == 0)
#define assert_string_equal(a, b) assert_true(strcmp(a, b) == 0)

#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    cmocka_run(tests, sizeof(tests) / sizeof(tests)[0])

static inline int cmocka_run_one(const struct CMUnitTest *test)  // 1 if it failed
{
    void *state = NULL;
    if (setjmp(cmocka_failed) != 0) {
        printf("[  FAILED  ] %s\n", test->name);
        return 1;
    }
    test->run(&state);
    printf("[       OK ] %s\n", test->name);
    fflush(stdout);
    return 0;
}

static inline int cmocka_run(const struct CMUnitTest *tests, size_t n)
{
    int n_failed = 0;
    for (size_t i = 0; i < n; i++)
        n_failed += cmocka_run_one(&tests[i]);
    return n_failed > 0;
}
