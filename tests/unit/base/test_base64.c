// test_base64.c - RFC 4648's own examples, both alphabets, and what is no base64.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base64.h"
#include "base/buf.h"

static void both_ways(const char *bytes, const char *text)
{
    struct buf out = {0};
    base64_encode(&out, bytes, strlen(bytes));
    assert_string_equal(buf_text(&out), text);
    buf_clear(&out);
    assert_true(base64_decode(&out, slice_str(text)));
    assert_string_equal(buf_text(&out), bytes);
    buf_release(&out);
}

static void the_examples_of_the_rfc(void **state)
{
    (void)state;
    both_ways("", "");
    both_ways("f", "Zg==");
    both_ways("fo", "Zm8=");
    both_ways("foo", "Zm9v");
    both_ways("foob", "Zm9vYg==");
    both_ways("fooba", "Zm9vYmE=");
    both_ways("foobar", "Zm9vYmFy");
}

static void other_spellings_are_read(void **state)
{
    (void)state;
    static const char *const same[] = {"+/8=", "-_8=", "-_8", "+ /\r\n8 = "};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        struct buf out = {0};
        assert_true(base64_decode(&out, slice_str(same[i])));
        assert_int_equal(out.len, 2);
        assert_memory_equal(out.ptr, "\xfb\xff", 2);
        buf_release(&out);
    }
}

static void others_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "A", "A===", "AA=", "AAA==", "AAAA=", "AA=A", "=", "AA!A", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct buf out = {0};
        if (base64_decode(&out, slice_str(wrong[i])))
            fail_msg("'%s' was read", wrong[i]);
        buf_release(&out);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc),
        cmocka_unit_test(other_spellings_are_read),
        cmocka_unit_test(others_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
