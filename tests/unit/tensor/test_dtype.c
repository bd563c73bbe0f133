// test_dtype.c - the number formats: sizes, names, and every format read against gguf-py.
//
// tests/golden/data/dequantize.txt holds random blocks and the floats that gguf-py reads from
// them (tools/golden/make_dequantize.py); ours must be the same bit for bit.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "local/tensor/dtype.h"

static size_t unhex(const char *text, size_t len, unsigned char *out)
{
    for (size_t i = 0; i < len / 2; i++) {
        char pair[3] = {text[2 * i], text[2 * i + 1], 0};
        out[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    return len / 2;
}

// Checks one line "type blockhex floatshex"; returns its type.
static enum dtype check_line(const char *line, size_t len)
{
    char name[16] = "";
    enum dtype type = DTYPE_COUNT;
    const char *blocks = memchr(line, ' ', len);
    assert_non_null(blocks);
    memcpy(name, line, (size_t)(blocks++ - line));
    assert_true(dtype_from_name(name, &type));
    const char *floats = memchr(blocks, ' ', len - (size_t)(blocks - line));
    assert_non_null(floats);
    size_t hex_len = (size_t)(floats - blocks), floats_len = len - (size_t)(++floats - line);
    unsigned char *from = memory_new(1, hex_len);
    float *want = memory_new(1, floats_len), *got = memory_new(1, floats_len);
    size_t n_bytes = unhex(blocks, hex_len, from);
    size_t n = unhex(floats, floats_len, (unsigned char *)want) / sizeof(float);
    uint64_t bytes;
    assert_true(dtype_bytes(type, n, &bytes));
    assert_int_equal(bytes, n_bytes);
    dtype_to_f32(type, from, got, n);
    assert_memory_equal(got, want, n * sizeof(float));
    free(from);
    free(want);
    free(got);
    return type;
}

static void every_format_reads_as_gguf_py_does(void **state)
{
    (void)state;
    struct buf text = {0};
    struct error err = {0};
    int seen[DTYPE_COUNT] = {[DTYPE_F32] = 1};
    if (!file_read("tests/golden/data/dequantize.txt", 1 << 20, &text, &err))
        fail_msg("%s", err.text);
    for (const char *p = text.ptr, *end = text.ptr + text.len; p < end;) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        seen[check_line(p, (size_t)(stop - p))]++;
        p = stop + 1;
    }
    for (int i = 0; i < DTYPE_COUNT; i++)
        assert_true(seen[i] > 0);
    buf_release(&text);
}

static void names_and_numbers_lead_back(void **state)
{
    (void)state;
    for (int i = 0; i < DTYPE_COUNT; i++) {
        enum dtype type = DTYPE_COUNT;
        assert_true(dtype_from_name(dtype_name((enum dtype)i), &type));
        assert_int_equal(type, i);
        if (i == DTYPE_F8_E4M3)
            continue;
        assert_true(dtype_from_ggml((uint32_t)dtype_info((enum dtype)i)->ggml_type, &type));
        assert_int_equal(type, i);
    }
    enum dtype type = DTYPE_COUNT;
    assert_true(dtype_from_name("Q4_K", &type));
    assert_int_equal(type, DTYPE_Q4_K);
    assert_false(dtype_from_name("q4", &type));
    assert_false(dtype_from_ggml(16, &type));
    assert_false(dtype_from_ggml(UINT32_MAX, &type));
    assert_string_equal(dtype_ggml_name(16), "IQ2_XXS");
    assert_null(dtype_ggml_name(1000));
}

static void bytes_refuse_remainders_and_overflow(void **state)
{
    (void)state;
    uint64_t bytes = 7;
    assert_true(dtype_bytes(DTYPE_Q4_0, 64, &bytes));
    assert_int_equal(bytes, 36);
    assert_false(dtype_bytes(DTYPE_Q4_0, 33, &bytes));
    assert_false(dtype_bytes(DTYPE_Q6_K, 32, &bytes));
    assert_false(dtype_bytes(DTYPE_F32, UINT64_MAX / 2, &bytes));
    assert_true(dtype_bytes(DTYPE_F8_E4M3, UINT64_MAX, &bytes));
}

static void every_half_survives_a_round_trip(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = f16_to_f32((uint16_t)h), b = bf16_to_f32((uint16_t)h);
        if (isnan(f))
            assert_true(isnan(f16_to_f32(f32_to_f16(f))));
        else
            assert_int_equal(f32_to_f16(f), h);
        if (isnan(b))
            assert_true(isnan(bf16_to_f32(f32_to_bf16(b))));
        else
            assert_int_equal(f32_to_bf16(b), h);
    }
}

// Rows are read by the processor's vectors where it has any: all halves, infinities, NaNs and
// subnormals among them, at every place of a row and from any address.
static void a_row_of_halves_is_its_halves(void **state)
{
    (void)state;
    enum { LEN = 37, ALL = 65536 };
    static unsigned char bytes[2 * (ALL + LEN) + 1];
    for (uint32_t i = 0; i < ALL + LEN; i++) {
        uint16_t h = (uint16_t)i;
        memcpy(bytes + 1 + 2 * i, &h, sizeof h);
    }
    for (uint32_t from = 0; from < ALL; from += LEN) {
        float f[LEN], b[LEN];
        dtype_to_f32(DTYPE_F16, bytes + 1 + 2 * from, f, LEN);
        dtype_to_f32(DTYPE_BF16, bytes + 1 + 2 * from, b, LEN);
        for (uint32_t i = 0; i < LEN; i++) {
            float want_f = f16_to_f32((uint16_t)(from + i));
            float want_b = bf16_to_f32((uint16_t)(from + i));
            assert_memory_equal(&f[i], &want_f, sizeof want_f);
            assert_memory_equal(&b[i], &want_b, sizeof want_b);
        }
    }
}

// Between neighbours the nearer wins, and the even one at the middle; checked for every finite
// pair of halves with doubles, in which these sums are exact.
static void rounding_is_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h + 1 < 0x7C00; h++) {
        double a = f16_to_f32((uint16_t)h), b = f16_to_f32((uint16_t)(h + 1));
        float middle = (float)((a + b) / 2);
        assert_int_equal(f32_to_f16(middle), h & 1 ? h + 1 : h);
        assert_int_equal(f32_to_f16(nextafterf(middle, 0)), h);
        assert_int_equal(f32_to_f16(nextafterf(middle, INFINITY)), h + 1);
        assert_int_equal(f32_to_f16(-middle), (h & 1 ? h + 1 : h) | 0x8000);
    }
    for (uint32_t h = 0; h + 1 < 0x7F80; h++) {
        double a = bf16_to_f32((uint16_t)h), b = bf16_to_f32((uint16_t)(h + 1));
        float middle = (float)((a + b) / 2);
        assert_int_equal(f32_to_bf16(middle), h & 1 ? h + 1 : h);
        assert_int_equal(f32_to_bf16(nextafterf(middle, 0)), h);
        assert_int_equal(f32_to_bf16(nextafterf(middle, INFINITY)), h + 1);
    }
    assert_int_equal(f32_to_f16(65519.99f), 0x7BFF);
    assert_int_equal(f32_to_f16(65520.0f), 0x7C00);
    assert_int_equal(f32_to_f16(INFINITY), 0x7C00);
    assert_int_equal(f32_to_bf16(3.4028235e38f), 0x7F80);
}

static void rows_need_no_alignment(void **state)
{
    (void)state;
    unsigned char bytes[1 + 34 * 2] = {0};
    float out[64];
    bytes[2] = bytes[2 + 34] = 0x3C;  // two blocks of scale 1 at an odd address
    bytes[3] = 5;
    bytes[34 + 34] = 0xFF;
    dtype_to_f32(DTYPE_Q8_0, bytes + 1, out, 64);
    assert_true(out[0] == 5 && out[1] == 0 && out[63] == -1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_format_reads_as_gguf_py_does),
    cmocka_unit_test(names_and_numbers_lead_back),
    cmocka_unit_test(bytes_refuse_remainders_and_overflow),
    cmocka_unit_test(every_half_survives_a_round_trip),
    cmocka_unit_test(a_row_of_halves_is_its_halves),
    cmocka_unit_test(rounding_is_to_nearest_even),
    cmocka_unit_test(rows_need_no_alignment),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
