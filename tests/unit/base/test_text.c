// test_text.c - errors, buffers, arenas and UTF-8: what everything else trusts.
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/utf8.h"

static void error_wraps_keep_the_code_and_read_outside_in(void **state)
{
    struct error err = {0};
    (void)state;
    assert_false(error_set(&err, ERR_FORMAT, "tensor '%s' is cut", "a"));
    assert_false(error_wrap(&err, "open '%s'", "q.gguf"));
    assert_string_equal(err.text, "open 'q.gguf': tensor 'a' is cut");
    assert_int_equal(err.code, ERR_FORMAT);
    assert_false(error_set(NULL, ERR_IO, "nobody asks"));
}

static void error_text_is_cut_on_a_whole_character(void **state)
{
    struct error err = {0};
    char text[400];
    (void)state;
    for (size_t shift = 0; shift < 3; shift++) {
        size_t n = shift;
        memset(text, 'x', n);
        while (n + 3 < sizeof text) {
            memcpy(text + n, "\xE2\x82\xAC", 3);  // the euro sign, three bytes
            n += 3;
        }
        text[n] = 0;
        error_set(&err, ERR_FORMAT, "%s", text);
        assert_true(strlen(err.text) < sizeof err.text);
        assert_true(utf8_valid(err.text, strlen(err.text)));
        error_wrap(&err, "%s", "outside");
        assert_true(utf8_valid(err.text, strlen(err.text)));
    }
}

static void buf_stops_at_its_bound_and_says_so(void **state)
{
    struct buf b = {.max_bytes = 10};
    (void)state;
    buf_text_add(&b, "12345678");
    assert_false(b.overflow);
    buf_text_add(&b, "abc");
    assert_true(b.overflow);
    assert_string_equal(buf_text(&b), "12345678");
    buf_add(&b, "x", SIZE_MAX - 2);
    assert_int_equal(b.len, 8);
    buf_release(&b);
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%d,", i % 10);
    assert_true(b.overflow);  // the bound outlives a release
    buf_release(&b);
}

static void buf_prints_what_is_longer_than_its_scratch(void **state)
{
    struct buf b = {0};
    char text[1000];
    (void)state;
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = 0;
    buf_printf(&b, "<%s>", text);
    assert_int_equal(b.len, 1001);
    assert_int_equal(b.ptr[1000], '>');
    buf_release(&b);
}

static void buf_writes_numbers_as_printf_does(void **state)
{
    static const int64_t numbers[] = {0, 7, -1, 10, 2147483647, INT64_MAX, INT64_MIN};
    struct buf a = {0}, b = {0};
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        buf_int(&a, numbers[i]);
        buf_printf(&b, "%" PRId64, numbers[i]);
        assert_string_equal(buf_text(&a), buf_text(&b));
    }
    buf_release(&a);
    buf_release(&b);
}

static void arena_gives_aligned_zeroed_memory_of_any_size(void **state)
{
    struct arena a = {0};
    (void)state;
    for (size_t n = 1; n < 100000; n = n * 3 + 1) {
        unsigned char *p = arena_alloc(&a, n, 1);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xFF, n);
    }
    assert_string_equal(arena_printf(&a, "%d-%s", 7, "z"), "7-z");
    assert_string_equal(arena_text(&a, slice_of("abcdef", 3)), "abc");
    arena_release(&a);
    assert_int_equal(a.used_bytes, 0);
}

// Every code point goes there and back; nothing else is taken for a character.
static void utf8_knows_all_characters_and_no_others(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x110000; c++) {
        char bytes[4];
        uint32_t back = 0;
        size_t n = utf8_encode(c, bytes);
        assert_int_equal(utf8_decode(bytes, n, &back), n);
        bool real = c <= 0x10FFFF && !(c >= 0xD800 && c <= 0xDFFF);
        assert_int_equal(back, real ? c : 0xFFFD);
        for (size_t cut = 0; cut < n; cut++)
            assert_int_equal(utf8_decode(bytes, cut, &back), 0);
    }
    const char *const wrong[] = {"\x80",
                                 "\xC0\x80",
                                 "\xC1\xBF",
                                 "\xE0\x9F\xBF",
                                 "\xED\xA0\x80",
                                 "\xF0\x8F\xBF\xBF",
                                 "\xF4\x90\x80\x80",
                                 "\xF5\x80\x80\x80",
                                 "\xFF",
                                 "\xC3("};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint32_t back;
        assert_int_equal(utf8_decode(wrong[i], strlen(wrong[i]), &back), 0);
        assert_false(utf8_valid(wrong[i], strlen(wrong[i])));
    }
}

static void utf8_whole_holds_back_only_what_may_still_arrive(void **state)
{
    (void)state;
    const char text[] = "a\xE2\x82\xAC\xF0\x9F\x98\x80";
    size_t borders[] = {0, 1, 1, 1, 4, 4, 4, 4, 8};
    for (size_t n = 0; n <= 8; n++)
        assert_int_equal(utf8_whole(text, n), borders[n]);
    assert_int_equal(utf8_whole("a\xFF", 2), 2);      // never becomes valid: not held back
    assert_int_equal(utf8_whole("a\xED\xA0", 3), 3);  // a surrogate's beginning neither
    assert_int_equal(utf8_whole("\x80\x80\x80", 3), 3);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(error_wraps_keep_the_code_and_read_outside_in),
    cmocka_unit_test(error_text_is_cut_on_a_whole_character),
    cmocka_unit_test(buf_stops_at_its_bound_and_says_so),
    cmocka_unit_test(buf_prints_what_is_longer_than_its_scratch),
    cmocka_unit_test(buf_writes_numbers_as_printf_does),
    cmocka_unit_test(arena_gives_aligned_zeroed_memory_of_any_size),
    cmocka_unit_test(utf8_knows_all_characters_and_no_others),
    cmocka_unit_test(utf8_whole_holds_back_only_what_may_still_arrive),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
