// test_quantize.c - rounding to block formats, against the reference quantizers.
//
// tests/golden/data/quantize.txt holds rows and the bytes they must become: random ones, zeros,
// ties, and scales too small for a half. quantize_errors.txt holds rows and what ggml's quantizers
// lose of them: ours must lose less. Both are made by tools/golden/make_quantize.py. How blocks
// read back is tested in tests/unit/tensor.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mapping.h"
#include "local/quantize/format.h"
#include "local/quantize/quantize.h"

enum { N = 32, BYTES_MAX = N * 4, WIDE = 256, WIDE_BYTES_MAX = WIDE * 4, ROWS_MAX = 8 };

static size_t unhex(const char *text, size_t len, size_t most, unsigned char *out)
{
    assert_true(len / 2 <= most);
    for (size_t i = 0; i < len / 2; i++) {
        char pair[3] = {text[2 * i], text[2 * i + 1], 0};
        out[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    return len / 2;
}

static enum dtype check_line(const char *line)
{
    char name[16] = "";
    enum dtype type = DTYPE_COUNT;
    float row[N];
    unsigned char want[BYTES_MAX], got[BYTES_MAX + 1];
    struct error err = {0};
    size_t name_len = strcspn(line, " ");
    memcpy(name, line, name_len);
    assert_true(dtype_from_name(name, &type));
    const char *floats = line + name_len + 1;
    size_t floats_len = strcspn(floats, " ");
    assert_int_equal(unhex(floats, floats_len, sizeof row, (unsigned char *)row), sizeof row);
    const char *blocks = floats + floats_len + 1;
    size_t n = unhex(blocks, strcspn(blocks, "\n"), sizeof want, want);
    memset(got, 0xA5, sizeof got);
    if (!quantize_row(type, row, NULL, got, N, &err))
        fail_msg("%s: %s", name, err.text);
    assert_memory_equal(got, want, n);
    assert_int_equal(got[n], 0xA5);
    return type;
}

static void rows_round_as_gguf_py_rounds_them(void **state)
{
    (void)state;
    struct buf text = {0};
    struct error err = {0};
    int seen[DTYPE_COUNT] = {0};
    if (!file_read("tests/golden/data/quantize.txt", 1 << 20, &text, &err))
        fail_msg("%s", err.text);
    for (const char *p = buf_text(&text); *p; p = strchr(p, '\n') + 1)
        seen[check_line(p)]++;
    static const enum dtype exact[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_Q8_0};
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        assert_true(seen[exact[i]] > 10);
    buf_release(&text);
}

// Weighted squared error of a row as it reads back, as a share of its weighted square.
static double loss(enum dtype type, const float *row, const float *importance, size_t n)
{
    unsigned char bytes[WIDE_BYTES_MAX];
    float back[WIDE];
    struct error err = {0};
    double miss = 0, size = 0;
    if (!quantize_row(type, row, importance, bytes, n, &err))
        fail_msg("%s: %s", dtype_name(type), err.text);
    dtype_to_f32(type, bytes, back, n);
    for (size_t i = 0; i < n; i++) {
        double w = importance ? (double)importance[i] : 1, x = (double)row[i];
        miss += w * (x - (double)back[i]) * (x - (double)back[i]);
        size += w * x * x;
    }
    return miss / size;
}

static void blocks_lose_less_than_the_reference(void **state)
{
    (void)state;
    struct buf text = {0};
    struct error err = {0};
    static float rows[ROWS_MAX][WIDE];
    float weights[WIDE], even[WIDE];
    int n_rows = 0, n_seen = 0;
    for (int i = 0; i < WIDE; i++) {
        weights[i] = (float)(1 + i % 7);
        even[i] = 1;
    }
    if (!file_read("tests/golden/data/quantize_errors.txt", 1 << 20, &text, &err))
        fail_msg("%s", err.text);
    for (const char *p = buf_text(&text); *p; p = strchr(p, '\n') + 1) {
        char name[16], how[16];
        double theirs, ours = 0;
        enum dtype type = DTYPE_COUNT;
        if (strncmp(p, "row ", 4) == 0) {
            assert_true(n_rows < ROWS_MAX);
            (void)unhex(p + 4, strcspn(p + 4, "\n"), sizeof *rows, (unsigned char *)rows[n_rows++]);
            continue;
        }
        assert_int_equal(sscanf(p, "%15s %15s %lf", name, how, &theirs), 3);
        assert_true(dtype_from_name(name, &type));
        for (int i = 0; i < n_rows; i++)
            ours += loss(type, rows[i], how[0] == 'w' ? weights : even, WIDE);
        print_message("%-7s %-8s %.6f of ggml's loss\n", name, how, ours / theirs);
        if (!(ours < theirs))
            fail_msg("%s %s: %g lost, the reference loses %g", name, how, ours, theirs);
        n_seen++;
    }
    assert_int_equal(n_rows, ROWS_MAX);
    assert_int_equal(n_seen, 2 * 12);
    buf_release(&text);
}

// A value that counts a million times as much as its neighbours is hit, whatever it costs them.
static void importance_moves_the_error(void **state)
{
    (void)state;
    for (unsigned t = 0; t < DTYPE_COUNT; t++) {
        enum dtype type = (enum dtype)t;
        if (!quantize_can(type) || dtype_info(type)->block_len == 1 || type == DTYPE_Q8_0)
            continue;
        double with = 0, without = 0;
        for (uint64_t seed = 0; seed < 100; seed++) {
            float row[WIDE], importance[WIDE], back[WIDE];
            unsigned char bytes[WIDE_BYTES_MAX];
            struct error err;
            for (uint64_t i = 0; i < WIDE; i++) {
                row[i] = (float)((double)(hash_mix(seed * WIDE + i) >> 11) * 0x1p-53 - 0.5);
                importance[i] = i % 16 == 3 ? 1e6f : 1;
            }
            for (int weighted = 0; weighted < 2; weighted++) {
                assert_true(
                    quantize_row(type, row, weighted ? importance : NULL, bytes, WIDE, &err));
                dtype_to_f32(type, bytes, back, WIDE);
                for (int i = 3; i < WIDE; i += 16)
                    *(weighted ? &with : &without) += pow((double)(row[i] - back[i]), 2);
            }
        }
        print_message("%-7s %.4f of the error where it counts\n", dtype_name(type), with / without);
        // a power of two for a scale can do little about it
        assert_true(with < without * (type == DTYPE_MXFP4 ? 0.97 : 0.2));
    }
}

// Where nothing is known, large values of blocks with a min are hit better than they are when all
// count the same.
static void large_values_count_more_beside_a_min(void **state)
{
    (void)state;
    static const enum dtype types[] = {DTYPE_Q4_1, DTYPE_Q5_1, DTYPE_Q2_K, DTYPE_Q4_K, DTYPE_Q5_K};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        double miss[2] = {0};
        for (uint64_t seed = 0; seed < 50; seed++) {
            float row[WIDE], same[WIDE], back[WIDE];
            unsigned char bytes[WIDE_BYTES_MAX];
            struct error err;
            for (uint64_t i = 0; i < WIDE; i++) {
                float x = (float)((double)(hash_mix(seed * WIDE + i) >> 11) * 0x1p-52 - 1);
                row[i] = x * x * x;
                same[i] = 1;
            }
            for (int even = 0; even < 2; even++) {
                assert_true(quantize_row(types[t], row, even ? same : NULL, bytes, WIDE, &err));
                dtype_to_f32(types[t], bytes, back, WIDE);
                for (int i = 0; i < WIDE; i++)
                    miss[even] += fabsf(row[i]) > 0.5f ? pow((double)(row[i] - back[i]), 2) : 0;
            }
        }
        print_message("%-7s %.3f of the large values' error\n", dtype_name(types[t]),
                      miss[0] / miss[1]);
        assert_true(miss[0] < miss[1]);
    }
}

// A block without importance (an input that is never used) is not divided by zero.
static void no_importance_at_all_is_even_importance(void **state)
{
    (void)state;
    float row[WIDE], nothing[WIDE] = {0}, same[WIDE];
    for (int i = 0; i < WIDE; i++) {
        row[i] = (float)(i * 37 % 101) - 50;
        same[i] = 1;
    }
    for (unsigned t = 0; t < DTYPE_COUNT; t++) {
        unsigned char even[WIDE_BYTES_MAX] = {0}, none[WIDE_BYTES_MAX] = {0};
        struct error err;
        if (!quantize_can((enum dtype)t))
            continue;
        assert_true(quantize_row((enum dtype)t, row, same, even, WIDE, &err));
        assert_true(quantize_row((enum dtype)t, row, nothing, none, WIDE, &err));
        assert_memory_equal(even, none, sizeof even);
    }
}

static void what_is_no_number_is_refused(void **state)
{
    (void)state;
    struct error err;
    float row[WIDE] = {0};
    unsigned char out[WIDE_BYTES_MAX];
    for (unsigned t = 0; t < DTYPE_COUNT; t++) {
        enum dtype type = (enum dtype)t;
        if (!quantize_can(type))
            continue;
        row[7] = NAN;
        assert_false(quantize_row(type, row, NULL, out, WIDE, &err));
        assert_int_equal(err.code, ERR_NUMERIC);
        assert_string_equal(err.text, "value 7 is not a number");
        row[7] = -INFINITY;
        assert_false(quantize_row(type, row, NULL, out, WIDE, &err));
        assert_string_equal(err.text, "value 7 is infinite");
        row[7] = 0;
        assert_true(quantize_row(type, row, NULL, out, WIDE, &err));
    }
}

// What is accepted reads back as finite numbers; what is one step larger is refused.
static void scales_never_overflow(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DTYPE_COUNT; i++) {
        enum dtype type = (enum dtype)i;
        if (type == DTYPE_F32 || !quantize_can(type))
            continue;
        float below = type == DTYPE_BF16   ? 0x1.FFp127f
                      : type == DTYPE_Q8_0 ? 127 * 65520.0f
                                           : 65520.0f;
        struct error err;
        float row[WIDE] = {0}, back[WIDE];
        unsigned char out[WIDE_BYTES_MAX];
        row[3] = -below;
        assert_false(quantize_row(type, row, NULL, out, WIDE, &err));
        assert_non_null(strstr(err.text, "value 3, -"));
        assert_non_null(strstr(err.text, dtype_name(type)));
        row[3] = nextafterf(row[3], 0);
        row[70] = -row[3];
        assert_true(quantize_row(type, row, NULL, out, WIDE, &err));
        dtype_to_f32(type, out, back, WIDE);
        for (int k = 0; k < WIDE; k++)
            assert_true(isfinite(back[k]));
        assert_true(back[3] < 0 && back[70] > 0);
    }
}

// The smallest floats have no inverse; they round to zero and not to garbage. Zeros stay zeros.
static void subnormal_rows_become_zero(void **state)
{
    (void)state;
    struct error err;
    float row[WIDE] = {0}, back[WIDE];
    unsigned char out[WIDE_BYTES_MAX];
    for (int tiny = 0; tiny < 2; tiny++) {
        for (unsigned t = 0; t < DTYPE_COUNT; t++) {
            enum dtype type = (enum dtype)t;
            if (!quantize_can(type) || dtype_info(type)->block_len == 1)
                continue;
            assert_true(quantize_row(type, row, NULL, out, WIDE, &err));
            dtype_to_f32(type, out, back, WIDE);
            for (int i = 0; i < WIDE; i++)
                assert_true(fabsf(back[i]) <= (type == DTYPE_MXFP4 ? 1e-37f : 0));
        }
        for (int i = 0; i < WIDE; i++)
            row[i] = (i % 2 ? -1e-42f : 1e-45f);
    }
}

// A value comes back within half a step of the block's scale (and the scale's own rounding).
static void q8_0_errors_stay_within_half_a_step(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        float row[N], back[N];
        double max = 0;
        unsigned char out[BYTES_MAX];
        struct error err;
        for (uint64_t i = 0; i < N; i++) {
            row[i] = (float)((double)(hash_mix(seed * N + i) >> 11) * 0x1p-53 - 0.5);
            max = fmax(max, fabs((double)row[i]));
        }
        assert_true(quantize_row(DTYPE_Q8_0, row, NULL, out, N, &err));
        dtype_to_f32(DTYPE_Q8_0, out, back, N);
        for (int i = 0; i < N; i++)
            assert_true(fabs((double)row[i] - (double)back[i]) <= max * (0.505 / 127 + 0x1p-11));
    }
}

// What fits a format exactly costs nothing: levels times a scale that a half can hold. (Q8_0 is
// rounded as ggml does, whose scale is the largest value's.)
static void what_fits_is_kept(void **state)
{
    (void)state;
    for (unsigned t = 0; t < DTYPE_COUNT; t++) {
        const struct format *f = t == DTYPE_Q8_0 ? NULL : format_of((enum dtype)t);
        float row[WIDE];
        for (int i = 0; f && i < WIDE; i++) {
            int k = i * 5 % f->n_levels;
            row[i] = 0.25f * (float)(f->levels ? f->levels[k] : f->first + k);
        }
        if (f && !(loss((enum dtype)t, row, NULL, WIDE) < 1e-7))
            fail_msg("%s loses %g", dtype_name((enum dtype)t),
                     loss((enum dtype)t, row, NULL, WIDE));
    }
}

// Types with a min have no zero among their levels, but where a network has zeros on purpose.
static void zeros_among_others_stay_zero(void **state)
{
    (void)state;
    static const enum dtype types[] = {DTYPE_Q4_1, DTYPE_Q5_1, DTYPE_Q4_K, DTYPE_Q5_K};
    static const double step_of[] = {1.0 / 8, 1.0 / 16, 1.0 / 7, 1.0 / 15};
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        for (uint64_t seed = 0; seed < 60; seed++) {
            float row[WIDE], importance[WIDE], back[WIDE];
            unsigned char bytes[WIDE_BYTES_MAX];
            struct error err;
            for (uint64_t i = 0; i < WIDE; i++) {
                double v = (double)(hash_mix(seed * WIDE + i) >> 11) * 0x1p-53 - 0.5;
                v = seed % 5 == 0 ? fabs(v) : v;  // nothing below zero, once with few others
                bool none = seed % 10 == 0 ? i % 16 != 0 : i % 3 == seed % 3;
                row[i] = none ? 0 : (float)(seed % 2 ? v : v * v * v);
                importance[i] = (float)(1 + i % 7);
            }
            assert_true(
                quantize_row(types[t], row, seed % 4 < 2 ? NULL : importance, bytes, WIDE, &err));
            dtype_to_f32(types[t], bytes, back, WIDE);
            for (int g = 0; g < WIDE; g += N) {
                double most = 0;
                for (int i = g; i < g + N; i++)
                    most = fmax(most, fabs((double)row[i]));
                for (int i = g; i < g + N; i++) {
                    if (row[i] == 0)
                        assert_true(back[i] == 0);
                    // Ends may be cut off; a group of little beside others may become nothing.
                    assert_true(fabs((double)row[i] - (double)back[i]) <=
                                most * (seed % 10 == 0 ? 1 : 2 * step_of[t]));
                }
            }
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(rows_round_as_gguf_py_rounds_them),
    cmocka_unit_test(what_is_no_number_is_refused),
    cmocka_unit_test(scales_never_overflow),
    cmocka_unit_test(subnormal_rows_become_zero),
    cmocka_unit_test(q8_0_errors_stay_within_half_a_step),
    cmocka_unit_test(what_fits_is_kept),
    cmocka_unit_test(zeros_among_others_stay_zero),
    cmocka_unit_test(blocks_lose_less_than_the_reference),
    cmocka_unit_test(importance_moves_the_error),
    cmocka_unit_test(large_values_count_more_beside_a_min),
    cmocka_unit_test(no_importance_at_all_is_even_importance),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
