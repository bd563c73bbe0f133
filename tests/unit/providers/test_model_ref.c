// test_model_ref.c - what stands for a model, and what is refused with which words.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "providers/model_ref.h"

static void a_path_that_exists_is_taken_as_it_is(void **state)
{
    (void)state;
    char path[MODEL_REF_BYTES];
    struct error err = {0};
    assert_true(model_ref_path("src/providers", path, &err));
    assert_string_equal(path, "src/providers");
}

static void vendors_and_unknown_names_are_refused_differently(void **state)
{
    (void)state;
    char path[MODEL_REF_BYTES];
    struct error err = {0};
    assert_false(model_ref_path("openai/gpt-4o", path, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "vendors"));
    assert_false(model_ref_path("no-such-model", path, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "no-such-model"));
}

static void the_variable_names_the_default(void **state)
{
    (void)state;
    char path[MODEL_REF_BYTES];
    struct error err = {0};
    assert_int_equal(setenv("HEARTH_MODEL", "src/gateway", 1), 0);
    assert_true(model_ref_path(NULL, path, &err));
    assert_string_equal(path, "src/gateway");
    assert_true(model_ref_path("", path, &err));
    assert_int_equal(unsetenv("HEARTH_MODEL"), 0);
}

static void the_shipped_model_can_be_named(void **state)
{
    (void)state;
    char shipped[MODEL_REF_BYTES], path[MODEL_REF_BYTES], name[128];
    struct error err = {0};
    if (!model_ref_shipped(shipped))
        skip();
    model_ref_name(shipped, name, sizeof name);
    assert_true(model_ref_path(name, path, &err));
    assert_string_equal(path, shipped);
    assert_true(model_ref_path(NULL, path, &err));
    assert_string_equal(path, shipped);
}

static void names_are_stems(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"/a/tiny.q8_0.gguf", "tiny.q8_0"},
                                           {"/a/tiny-00002-of-00003.gguf", "tiny"},
                                           {"folder/", "folder"},
                                           {"x/folder.v2", "folder.v2"},
                                           {".gguf", ".gguf"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[64];
        model_ref_name(cases[i][0], name, sizeof name);
        assert_string_equal(name, cases[i][1]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_that_exists_is_taken_as_it_is),
        cmocka_unit_test(vendors_and_unknown_names_are_refused_differently),
        cmocka_unit_test(the_variable_names_the_default),
        cmocka_unit_test(the_shipped_model_can_be_named),
        cmocka_unit_test(names_are_stems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
