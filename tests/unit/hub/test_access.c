// test_access.c - where the hub is and who asks: from variables and files.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../support/temp_folder.h"
#include "base/error.h"
#include "hub/access.h"
#include "hub/hub.h"
#include "net/url.h"

static char folder[64];
static const char *const variables[] = {
    "HF_ENDPOINT",    "HF_TOKEN",       "HF_TOKEN_PATH",          "HF_HOME",
    "XDG_CACHE_HOME", "HF_HUB_OFFLINE", "HF_HUB_DOWNLOAD_TIMEOUT"};

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        (void)unsetenv(variables[i]);
    return folder_new(folder, sizeof folder) && setenv("HOME", folder, 1) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    temp_remove(folder);
    return 0;
}

static void set(const char *name, const char *value)
{
    assert_int_equal(setenv(name, value, 1), 0);
}

static void token_is(const char *wanted)
{
    char *token;
    struct error err = {0};
    if (!access_token(&token, &err))
        fail_msg("%s", err.text);
    if (wanted)
        assert_string_equal(token, wanted);
    else
        assert_null(token);
    free(token);
}

static void tokens_come_from_the_first_place_that_has_one(void **state)
{
    char path[128];
    (void)state;
    token_is(NULL);
    assert_true(folder_add(folder, "token", "  from-home \r\n", 14));
    set("HF_HOME", folder);
    token_is("from-home");
    assert_true(folder_add(folder, "named", "from-file\n", 10));
    (void)snprintf(path, sizeof path, "%s/named", folder);
    set("HF_TOKEN_PATH", path);
    token_is("from-file");
    set("HF_TOKEN", "given");
    token_is("given");
    set("HF_TOKEN", "");
    token_is("from-file");
}

static void token_files_that_hold_none_are_told_without_their_content(void **state)
{
    char path[128], *token;
    struct error err = {0};
    (void)state;
    (void)snprintf(path, sizeof path, "%s/two", folder);
    set("HF_TOKEN_PATH", path);
    assert_false(access_token(&token, &err));  // named, but not there
    assert_true(folder_add(folder, "two", "secret words\n", 13));
    assert_false(access_token(&token, &err));
    assert_null(token);
    assert_null(strstr(err.text, "secret"));
    assert_non_null(strstr(err.text, path));
    assert_true(folder_add(folder, "two", "\n", 1));
    token_is(NULL);
}

static void endpoints_lose_their_slash(void **state)
{
    static const char *const bad[] = {"ftp://h", "h", "http://h/?q", "http://u:p@h"};
    struct url u;
    struct error err = {0};
    (void)state;
    assert_true(access_endpoint(&u, &err));
    assert_string_equal(u.text, "https://huggingface.co");
    url_release(&u);
    set("HF_ENDPOINT", "http://127.0.0.1:8080/hub//");
    assert_true(access_endpoint(&u, &err));
    assert_string_equal(u.text, "http://127.0.0.1:8080/hub");
    url_release(&u);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        set("HF_ENDPOINT", bad[i]);
        assert_false(access_endpoint(&u, &err));
        assert_non_null(strstr(err.text, "HF_ENDPOINT"));
    }
}

static void references_are_read_in_all_their_forms(void **state)
{
    static const char *const cases[][3] = {
        {"owner/name", "owner/name", ""},
        {"owner/name:Q4_K_M", "owner/name", "Q4_K_M"},
        {"https://huggingface.co/owner/name", "owner/name", ""},
        {"HTTPS://HuggingFace.co/owner/name:q8_0", "owner/name", "q8_0"},
        {"hf.co/owner/name:q8_0", "owner/name", "q8_0"},
        {"http://127.0.0.1:9/hub/owner/name/", "owner/name", ""},
        {"http://127.0.0.1:9/hub/owner/name:q", "owner/name", "q"},
        {"name", NULL, NULL},
        {"owner/name:", NULL, NULL},
        {"owner/name:a/b", NULL, NULL},
        {"owner/name:a:b", NULL, NULL},
        {"https://elsewhere.example/owner/name", NULL, NULL},
        {"owner/na\nme", NULL, NULL},
        {"owner/../name", NULL, NULL},
    };
    struct error err = {0};
    (void)state;
    set("HF_ENDPOINT", "http://127.0.0.1:9/hub/");
    struct hub *h = hub_open(NULL, NULL, &err);
    assert_non_null(h);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hub_reference ref;
        if (hub_reference_read(h, cases[i][0], &ref, &err) != (cases[i][1] != NULL))
            fail_msg("%s", cases[i][0]);
        if (cases[i][1]) {
            assert_string_equal(ref.repo, cases[i][1]);
            assert_string_equal(ref.quant, cases[i][2]);
        } else {
            assert_int_equal(err.code, ERR_USAGE);
            assert_null(strchr(err.text, '\n'));
        }
    }
    hub_close(h);
}

static void offline_means_nobody_is_asked(void **state)
{
    struct error err = {0};
    (void)state;
    set("HF_HUB_OFFLINE", "0");
    assert_false(access_is_offline());
    set("HF_HUB_OFFLINE", "True");
    assert_true(access_is_offline());
    assert_null(hub_open(NULL, NULL, &err));
    assert_non_null(strstr(err.text, "HF_HUB_OFFLINE"));
    set("HF_HUB_DOWNLOAD_TIMEOUT", "7");
    assert_int_equal(access_stall_s(), 7);
    set("HF_HUB_DOWNLOAD_TIMEOUT", "7x");
    assert_int_equal(access_stall_s(), 0);
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
int main(void)
{
    static const struct CMUnitTest tests[] = {
        FRESH(tokens_come_from_the_first_place_that_has_one),
        FRESH(token_files_that_hold_none_are_told_without_their_content),
        FRESH(endpoints_lose_their_slash),
        FRESH(references_are_read_in_all_their_forms),
        FRESH(offline_means_nobody_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
