// test_url.c - which addresses may be asked, and where a redirect may lead.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "net/url.h"

static void origins_are_compared_without_case_and_default_port(void **state)
{
    static const char *const same[][2] = {{"https://A.example/x", "https://a.example:443/y?z"},
                                          {"http://h:80/", "HTTP://h/q"},
                                          {"http://[::1]:8080/a", "http://[::1]:8080/"}};
    static const char *const other[][2] = {{"https://a.example/", "http://a.example/"},
                                           {"https://a.example/", "https://a.example:444/"},
                                           {"https://a.example/", "https://a.example.evil/"},
                                           {"http://127.0.0.1/", "http://localhost/"}};
    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof *same + sizeof other / sizeof *other; i++) {
        bool equal = i < sizeof same / sizeof *same;
        const char *const *pair = equal ? same[i] : other[i - sizeof same / sizeof *same];
        struct url a, b;
        assert_true(url_parse(pair[0], &a, NULL));
        assert_true(url_parse(pair[1], &b, NULL));
        assert_int_equal(url_same_origin(&a, &b), equal);
        url_release(&a);
        url_release(&b);
    }
}

static void what_is_no_web_address_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "h",
                                      "ftp://h/",
                                      "file:///etc/passwd",
                                      "http://",
                                      "http://user:word@h/",
                                      "http://user@h/",
                                      "http://h/a b",
                                      "http://h/a\nb",
                                      "http://h/\x80",
                                      "http://h:99999/",
                                      "javascript:alert(1)"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct url u;
        struct error err = {0};
        assert_false(url_parse(bad[i], &u, &err));
        assert_int_equal(err.code, ERR_USAGE);
        assert_null(u.text);
    }
}

static void redirects_lead_where_they_may(void **state)
{
    static const char *const cases[][3] = {
        // from, location, where it leads
        {"https://h/a/b?c", "d", "https://h/a/d"},
        {"https://h/a/b", "/x?y=%20", "https://h/x?y=%20"},
        {"https://h/a", "//cdn.example/x", "https://cdn.example/x"},
        {"https://h/a", "https://cdn.example/x#part", "https://cdn.example/x"},
        {"http://h/a", "https://h/a", "https://h/a"},
        {"https://h/a", "http://h/a", NULL},
        {"https://h/a", "file:///etc/passwd", NULL},
        {"https://h/a", "https://user:secret@h/", NULL},
        {"https://h/a", "https://h/a b", NULL},
        {"https://h/a", "", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct url from, to;
        struct error err = {0};
        assert_true(url_parse(cases[i][0], &from, NULL));
        assert_int_equal(url_redirect(&from, cases[i][1], &to, &err), cases[i][2] != NULL);
        if (cases[i][2])
            assert_string_equal(to.text, cases[i][2]);
        else
            assert_int_equal(err.code, ERR_FORMAT);
        url_release(&to);
        url_release(&from);
    }
}

static void errors_do_not_tell_what_is_signed(void **state)
{
    struct url from, to;
    struct error err = {0};
    (void)state;
    assert_true(url_parse("https://h/path?Signature=abc", &from, NULL));
    assert_false(url_redirect(&from, "http://cdn.example/x?Signature=def", &to, &err));
    assert_null(strstr(err.text, "Signature"));
    assert_non_null(strstr(err.text, "http://cdn.example"));
    url_release(&from);
}

static void all_but_plain_letters_are_encoded(void **state)
{
    struct buf out = {0};
    (void)state;
    url_encode(&out, "a/b c%?#\xC3\xA4~", "/");
    assert_string_equal(buf_text(&out), "a/b%20c%25%3F%23%C3%A4~");
    buf_clear(&out);
    url_encode(&out, "refs/pr/1", "");
    assert_string_equal(buf_text(&out), "refs%2Fpr%2F1");
    buf_release(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(origins_are_compared_without_case_and_default_port),
        cmocka_unit_test(what_is_no_web_address_is_refused),
        cmocka_unit_test(redirects_lead_where_they_may),
        cmocka_unit_test(errors_do_not_tell_what_is_signed),
        cmocka_unit_test(all_but_plain_letters_are_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
