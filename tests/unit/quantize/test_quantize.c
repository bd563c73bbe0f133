// test_quantize.c - rounding to block formats, against gguf-py's reference quantizers.
//
// tests/golden/data/quantize.txt holds rows and the bytes they must become
// (tools/golden/make_quantize.py): random ones, zeros, ties, and scales too small for a half.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mapping.h"
#include "local/quantize/quantize.h"

enum { N = 32, BYTES_MAX = N * 4 };

static size_t unhex(const char *text, size_t len, unsigned char *out)
{
    assert_true(len / 2 <= BYTES_MAX);
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
    assert_int_equal(unhex(floats, floats_len, (unsigned char *)row), sizeof row);
    const char *blocks = floats + floats_len + 1;
    size_t n = unhex(blocks, strcspn(blocks, "\n"), want);
    memset(got, 0xA5, sizeof got);
    if (!quantize_row(type, row, got, N, &err))
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
    for (unsigned i = 0; i < DTYPE_COUNT; i++)
        assert_int_equal(seen[i] > 0, quantize_can((enum dtype)i));
    buf_release(&text);
}

static void what_is_no_number_is_refused(void **state)
{
    (void)state;
    struct error err;
    float row[N] = {0};
    unsigned char out[BYTES_MAX];
    for (unsigned t = 0; t < DTYPE_COUNT; t++) {
        enum dtype type = (enum dtype)t;
        if (!quantize_can(type))
            continue;
        row[7] = NAN;
        assert_false(quantize_row(type, row, out, N, &err));
        assert_int_equal(err.code, ERR_NUMERIC);
        assert_string_equal(err.text, "value 7 is not a number");
        row[7] = -INFINITY;
        assert_false(quantize_row(type, row, out, N, &err));
        assert_string_equal(err.text, "value 7 is infinite");
        row[7] = 0;
        assert_true(quantize_row(type, row, out, N, &err));
    }
}

// What is accepted reads back as finite numbers; what is one step larger is refused.
static void scales_never_overflow(void **state)
{
    (void)state;
    static const struct {
        enum dtype type;
        float below;
    } limits[] = {{DTYPE_F16, 65520.0f},
                  {DTYPE_BF16, 0x1.FFp127f},
                  {DTYPE_Q4_0, 8 * 65520.0f},
                  {DTYPE_Q8_0, 127 * 65520.0f}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct error err;
        float row[N] = {0}, back[N];
        unsigned char out[BYTES_MAX];
        row[3] = -limits[i].below;
        assert_false(quantize_row(limits[i].type, row, out, N, &err));
        assert_non_null(strstr(err.text, "value 3, -"));
        assert_non_null(strstr(err.text, dtype_name(limits[i].type)));
        row[3] = nextafterf(row[3], 0);
        assert_true(quantize_row(limits[i].type, row, out, N, &err));
        dtype_to_f32(limits[i].type, out, back, N);
        assert_true(isfinite(back[3]));
    }
}

// The smallest floats have no inverse; they round to zero and not to garbage.
static void subnormal_rows_become_zero(void **state)
{
    (void)state;
    struct error err;
    float row[N], back[N];
    unsigned char out[BYTES_MAX];
    for (int i = 0; i < N; i++)
        row[i] = (i % 2 ? -1e-42f : 1e-45f);
    static const enum dtype types[] = {DTYPE_Q4_0, DTYPE_Q8_0};
    for (int t = 0; t < 2; t++) {
        assert_true(quantize_row(types[t], row, out, N, &err));
        dtype_to_f32(types[t], out, back, N);
        for (int i = 0; i < N; i++)
            assert_true(back[i] == 0);
    }
}

// A value comes back within half a step of the block's scale (and the scale's own rounding).
static void errors_stay_within_half_a_step(void **state)
{
    (void)state;
    static const struct {
        enum dtype type;
        double steps;  // of the largest magnitude
    } kinds[] = {{DTYPE_Q4_0, 8}, {DTYPE_Q8_0, 127}};
    for (uint64_t seed = 0; seed < 2000; seed++) {
        float row[N], back[N];
        double max = 0;
        unsigned char out[BYTES_MAX];
        struct error err;
        for (uint64_t i = 0; i < N; i++) {
            row[i] = (float)((double)(hash_mix(seed * N + i) >> 11) * 0x1p-53 - 0.5);
            max = fmax(max, fabs((double)row[i]));
        }
        for (int k = 0; k < 2; k++) {
            assert_true(quantize_row(kinds[k].type, row, out, N, &err));
            dtype_to_f32(kinds[k].type, out, back, N);
            // q4_0's other end reaches only 7 steps, so a value there may be a whole step off
            double step = max / kinds[k].steps * (kinds[k].type == DTYPE_Q4_0 ? 1.01 : 0.505);
            for (int i = 0; i < N; i++)
                assert_true(fabs((double)row[i] - (double)back[i]) <= step + max * 0x1p-11);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(rows_round_as_gguf_py_rounds_them),
    cmocka_unit_test(what_is_no_number_is_refused),
    cmocka_unit_test(scales_never_overflow),
    cmocka_unit_test(subnormal_rows_become_zero),
    cmocka_unit_test(errors_stay_within_half_a_step),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
