// test_kv_page.c - how blocks of keys and values are rounded, and where they lie in a page.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "local/backend/backend.h"
#include "local/kernels/kv_page.h"

enum { DIM = 64, SLOT = 5 };

static float scale_at(enum dtype type, const uint8_t *page, int block, int slot)
{
    uint16_t h;
    memcpy(&h, page + kv_scales_at(type, DIM) + ((size_t)block * KV_PAGE + (size_t)slot) * 2, 2);
    return f16_to_f32(h);
}

static float key_at(enum dtype type, const uint8_t *page, int d)
{
    float scale = scale_at(type, page, d / KV_BLOCK, SLOT);
    if (type == DTYPE_Q8_0)
        return scale * (float)(int8_t)page[d * KV_PAGE + SLOT];
    return scale * (float)((page[d / 2 * KV_PAGE + SLOT] >> d % 2 * 4 & 15) - 8);
}

static float value_at(enum dtype type, const uint8_t *page, int d)
{
    float scale = scale_at(type, page, d / KV_BLOCK, SLOT);
    if (type == DTYPE_Q8_0)
        return scale * (float)(int8_t)page[SLOT * DIM + d];
    uint8_t byte = page[SLOT * DIM / 2 + d / 32 * 16 + d % 16];
    return scale * (float)((d % 32 < 16 ? byte & 15 : byte >> 4) - 8);
}

static void write_both(enum dtype type, const float *x, uint8_t *k, uint8_t *v)
{
    memset(k, 0xaa, kv_head_bytes(type, DIM));
    memset(v, 0xaa, kv_head_bytes(type, DIM));
    kv_write_key(type, k, DIM, SLOT, x);
    kv_write_value(type, v, DIM, SLOT, x);
}

static void numbers_come_back_within_half_a_step(void **state)
{
    (void)state;
    uint8_t k[DIM * KV_PAGE * 2], v[DIM * KV_PAGE * 2];
    float x[DIM];
    for (int i = 0; i < DIM; i++)
        x[i] = (float)((i * 37 % 64) - 40) * (i < 32 ? 0.25f : 100.0f);
    for (int four = 0; four < 2; four++) {
        enum dtype type = four ? DTYPE_Q4_0 : DTYPE_Q8_0;
        write_both(type, x, k, v);
        for (int i = 0; i < DIM; i++) {
            float scale = scale_at(type, k, i / 32, SLOT), steps = x[i] / scale;
            // Seven is the most on one side of Q4_0; 127 steps of a rounded scale are a bit less.
            float most = four && steps > 7 ? steps - 7 : 0.57f;
            assert_true(fabsf(key_at(type, k, i) - x[i]) <= most * fabsf(scale) * 1.0001f);
            assert_true(key_at(type, k, i) == value_at(type, v, i));
        }
    }
}

static void nothing_is_written_beside_the_slot(void **state)
{
    (void)state;
    uint8_t k[DIM * KV_PAGE * 2], v[DIM * KV_PAGE * 2];
    float x[DIM];
    for (int i = 0; i < DIM; i++)
        x[i] = (float)i;
    for (int four = 0; four < 2; four++) {
        enum dtype type = four ? DTYPE_Q4_0 : DTYPE_Q8_0;
        size_t bytes = kv_head_bytes(type, DIM), changed_k = 0, changed_v = 0;
        write_both(type, x, k, v);
        for (size_t i = 0; i < bytes; i++) {
            changed_k += k[i] != 0xaa;
            changed_v += v[i] != 0xaa;
        }
        size_t own = DIM / (four ? 2 : 1) + 2 * DIM / KV_BLOCK;
        assert_true(changed_k <= own && changed_k > own / 2);
        assert_true(changed_v <= own && changed_v > own / 2);
    }
}

static void zeros_stay_zero_and_nan_or_infinity_spoils_its_block(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY, 1e30f};
    uint8_t k[DIM * KV_PAGE * 2], v[DIM * KV_PAGE * 2];
    for (int four = 0; four < 2; four++) {
        enum dtype type = four ? DTYPE_Q4_0 : DTYPE_Q8_0;
        for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
            float x[DIM] = {0};
            x[40] = bad[b];
            write_both(type, x, k, v);
            for (int i = 0; i < 32; i++) {
                assert_true(key_at(type, k, i) == 0 && value_at(type, v, i) == 0);
                assert_true(isnan(key_at(type, k, 32 + i)) && isnan(value_at(type, v, 32 + i)));
            }
        }
    }
}

static void pages_take_the_bytes_of_their_blocks(void **state)
{
    (void)state;
    struct kv_shape s = {3, 4, 128, 1, DTYPE_F16};
    size_t numbers = (size_t)2 * 3 * 4 * 128 * KV_PAGE;
    assert_int_equal(kv_page_bytes(&s), numbers * 2);
    s.dtype = DTYPE_Q8_0;
    assert_int_equal(kv_page_bytes(&s), numbers / 32 * 34);
    s.dtype = DTYPE_Q4_0;
    assert_int_equal(kv_page_bytes(&s), numbers / 32 * 18);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_come_back_within_half_a_step),
        cmocka_unit_test(nothing_is_written_beside_the_slot),
        cmocka_unit_test(zeros_stay_zero_and_nan_or_infinity_spoils_its_block),
        cmocka_unit_test(pages_take_the_bytes_of_their_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
