// test_names.c - which words may become part of a path or an address.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hub/names.h"

static void repositories_are_owner_and_name(void **state)
{
    static const char *const good[] = {"a/b", "Qwen/Qwen2.5-0.5B-Instruct-GGUF", "a_b/c.d-e"};
    static const char *const bad[] = {
        "",     "a",      "/b",    "a/",    "a/b/c",  "a/..",  "../b",  ".a/b",   "a/.b",   "-a/b",
        "a/-b", "a/b..c", "a b/c", "a/b\n", "a\\b/c", "a/b?c", "a/b#c", "a/b%2e", "a/\x80", "~/b"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(name_is_repo(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(name_is_repo(bad[i]));
    char longest[300];
    memset(longest, 'x', sizeof longest);
    longest[1] = '/';
    longest[2 + 96] = 0;
    assert_true(name_is_repo(longest));
    longest[2 + 96] = 'x';
    longest[2 + 97] = 0;
    assert_false(name_is_repo(longest));
}

static void revisions_may_have_slashes_but_lead_nowhere(void **state)
{
    (void)state;
    assert_true(name_is_revision("main"));
    assert_true(name_is_revision("refs/pr/1"));
    assert_true(name_is_revision("v1.0"));
    assert_false(name_is_revision(""));
    assert_false(name_is_revision("a//b"));
    assert_false(name_is_revision("a/"));
    assert_false(name_is_revision("../a"));
    assert_false(name_is_revision("a/../b"));
    assert_false(name_is_revision("a?b"));
}

static void paths_stay_below_their_folder(void **state)
{
    static const char *const good[] = {"a",   "a/b.gguf", "a b.json", "m\xC3\xB6.txt",
                                       "..a", "a..",      "a...b",    "1/2/3/4/5/6/7/8"};
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      "/a",
                                      "a/",
                                      "a//b",
                                      "./a",
                                      "a/.",
                                      "a/..",
                                      "../a",
                                      "a/../b",
                                      "a\\b",
                                      "a\nb",
                                      "a\x7f",
                                      "\x1b[",
                                      "\xff",
                                      "1/2/3/4/5/6/7/8/9"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(name_is_path(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(name_is_path(bad[i], strlen(bad[i])));
    assert_false(name_is_path("a\0b", 3));
    // C1 controls and marks that turn the direction of writing; their neighbours are letters.
    static const char *const disguised[] = {"\xC2\x80",     "a\xC2\x9Bm",   "\xE2\x80\xAEgpj",
                                            "\xE2\x80\x8F", "\xE2\x80\xA8", "\xE2\x81\xA9"};
    static const char *const plain[] = {"\xC2\xA0",     "\xC3\x80",     "\xE2\x80\x90",
                                        "\xE2\x80\xAF", "\xE2\x81\xAA", "\xE2\x82\x8E"};
    for (size_t i = 0; i < sizeof disguised / sizeof *disguised; i++) {
        assert_false(name_is_path(disguised[i], strlen(disguised[i])));
        assert_true(name_is_path(plain[i], strlen(plain[i])));
    }
    char name[600];
    memset(name, 'x', sizeof name);
    assert_true(name_is_path(name, 255));
    assert_false(name_is_path(name, 256));
    for (int i = 100; i < 600; i += 101)
        name[i] = '/';
    assert_true(name_is_path(name, FILE_PATH_BYTES - 1));
    assert_false(name_is_path(name, FILE_PATH_BYTES));
}

static void a_repository_gives_its_name(void **state)
{
    static const char *const cases[][2] = {
        {"Qwen/Qwen2.5-0.5B-Instruct-GGUF", "qwen2.5-0.5b-instruct"},
        {"google/gemma-2-2b-it", "gemma-2-2b-it"},
        {"a/B-gguf", "b"},
        {"a/GGUF", "gguf"},
        {"a/x-gguf-y", "x-gguf-y"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[NAME_BYTES];
        name_of_repo(cases[i][0], name);
        assert_string_equal(name, cases[i][1]);
        assert_true(name_is_stored(name));
    }
    assert_false(name_is_stored("Upper"));
    assert_false(name_is_stored("a:b"));
    assert_false(name_is_stored(".new"));
    assert_false(name_is_stored("-"));
    assert_true(name_is_quant(""));
    assert_false(name_is_quant("-"));
    assert_false(name_is_quant("../x"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(repositories_are_owner_and_name),
        cmocka_unit_test(revisions_may_have_slashes_but_lead_nowhere),
        cmocka_unit_test(paths_stay_below_their_folder),
        cmocka_unit_test(a_repository_gives_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
