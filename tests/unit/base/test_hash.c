// test_hash.c - the checksum notices what happens to files: flipped, swapped, moved, cut bytes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash.h"

enum { BYTES = 331 };  // five rounds of the lanes and a rest

static void fill(unsigned char *bytes)
{
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (unsigned char)hash_mix(i);
}

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    unsigned char bytes[BYTES];
    fill(bytes);
    uint64_t sum = checksum_bytes(bytes, BYTES);
    for (size_t i = 0; i < BYTES * 8; i++) {
        bytes[i / 8] ^= (unsigned char)(1 << i % 8);
        assert_true(checksum_bytes(bytes, BYTES) != sum);
        bytes[i / 8] ^= (unsigned char)(1 << i % 8);
    }
    assert_true(checksum_bytes(bytes, BYTES) == sum);
}

static void two_flips_of_the_same_bit_do_not_cancel(void **state)
{
    (void)state;
    unsigned char bytes[BYTES];
    fill(bytes);
    uint64_t sum = checksum_bytes(bytes, BYTES);
    for (size_t bit = 0; bit < 64 * 8; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        bytes[bit / 8 + 64] ^= (unsigned char)(1 << bit % 8);  // the same lane's next word
        assert_true(checksum_bytes(bytes, BYTES) != sum);
        fill(bytes);
    }
}

static void order_and_length_count(void **state)
{
    (void)state;
    unsigned char bytes[BYTES], other[BYTES], zeros[BYTES] = {0};
    fill(bytes);
    for (size_t unit = 8; unit <= 64; unit *= 2) {
        memcpy(other, bytes, BYTES);
        memcpy(other, bytes + unit, unit);
        memcpy(other + unit, bytes, unit);
        assert_true(checksum_bytes(bytes, BYTES) != checksum_bytes(other, BYTES));
    }
    for (size_t n = 0; n < BYTES; n++) {
        assert_true(checksum_bytes(zeros, n) != checksum_bytes(zeros, n + 1));
        assert_true(checksum_bytes(bytes, n) != checksum_bytes(bytes, n + 1));
    }
    assert_true(checksum_bytes(bytes, BYTES - 1) != checksum_bytes(bytes + 1, BYTES - 1));
}

static void where_bytes_lie_does_not_count(void **state)
{
    (void)state;
    unsigned char bytes[BYTES], moved[BYTES + 8];
    fill(bytes);
    for (size_t at = 0; at < 8; at++) {
        memcpy(moved + at, bytes, BYTES);
        assert_true(checksum_bytes(moved + at, BYTES) == checksum_bytes(bytes, BYTES));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(two_flips_of_the_same_bit_do_not_cancel),
        cmocka_unit_test(order_and_length_count),
        cmocka_unit_test(where_bytes_lie_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
