// test_secret.c - what can be a key, and where it does not appear.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/secret.h"

static const char key[] = "sk-proj-0123456789abcdef";

static void keys_are_visible_ascii(void **state)
{
    static const char *const bad[] = {"",           "a b", "a\r\nx-evil: 1", "a\n", "\x7F",
                                      "k\xC3\xA9y", "\t"};
    char longest[SECRET_MAX_BYTES + 2];
    struct error err;
    (void)state;
    assert_true(secret_check("groq", key, &err));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        error_clear(&err);
        assert_false(secret_check("groq", bad[i], &err));
        assert_int_equal(err.code, ERR_USAGE);
        assert_int_equal(strncmp(err.text, "groq: ", 6), 0);
        assert_true(!bad[i][0] || !strstr(err.text, bad[i]));
    }
    assert_false(secret_check("groq", NULL, &err));
    memset(longest, 'k', sizeof longest);
    longest[SECRET_MAX_BYTES + 1] = 0;
    assert_false(secret_check("groq", longest, &err));
    longest[SECRET_MAX_BYTES] = 0;
    assert_true(secret_check("groq", longest, &err));
}

static void a_secret_is_its_line(void **state)
{
    struct error err;
    struct secret *s = secret_new("authorization: Bearer ", key, &err);
    (void)state;
    assert_string_equal(secret_text(s), "authorization: Bearer sk-proj-0123456789abcdef");
    secret_free(s);
    s = secret_new(NULL, key, &err);
    assert_string_equal(secret_text(s), key);
    secret_free(s);
    secret_free(NULL);
}

static void hidden(struct secret *s, const char *text, const char *shown)
{
    char copy[256];
    (void)snprintf(copy, sizeof copy, "%s", text);
    secret_hide(s, copy);
    assert_string_equal(copy, shown);
}

static void what_others_echo_is_hidden(void **state)
{
    struct error err;
    struct secret *s = secret_new("x: ", key, &err);
    (void)state;
    hidden(s, "bad key sk-proj-0123456789abcdef!", "bad key ************************!");
    hidden(s, "cut sk-proj-01234567", "cut ****************");
    hidden(s, "sk-proj-0123456789abcdefsk-proj-0123456789abcdef",
           "************************************************");
    hidden(s, "keys begin with sk-proj-", "keys begin with sk-proj-");
    hidden(s, "", "");
    secret_free(s);
    s = secret_new(NULL, "short", &err);
    hidden(s, "a short key", "a ***** key");
    secret_free(s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_visible_ascii),
        cmocka_unit_test(a_secret_is_its_line),
        cmocka_unit_test(what_others_echo_is_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
