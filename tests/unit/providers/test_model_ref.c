// test_model_ref.c - what stands for a model, and what is refused with which words.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../support/temp_folder.h"
#include "base/error.h"
#include "hub/store_impl.h"
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
    assert_non_null(strstr(err.text, "vendor's"));
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

// A name in the store without a hub: what publishing makes of an empty blob.
static void store_name(const char *name, const char *quant, const char *repo)
{
    static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    struct store s;
    char blobs[STORE_PATH_BYTES], blob[80];
    struct manifest_file file = {.path = "model.gguf"};
    struct manifest m = {.files = &file,
                         .n_files = 1,
                         .revision = "main",
                         .commit = "0123456789abcdef0123456789abcdef01234567",
                         .pulled = "2026-11-25T18:15:40Z"};
    (void)snprintf(m.name, sizeof m.name, "%s", name);
    (void)snprintf(m.quant, sizeof m.quant, "%s", quant);
    (void)snprintf(m.repo, sizeof m.repo, "%s", repo);
    memcpy(file.sha256, empty, sizeof file.sha256);
    (void)snprintf(blob, sizeof blob, "sha256-%s", empty);
    assert_true(store_open(&s, NULL) && store_prepare(&s, NULL));
    store_path(&s, blobs, "blobs");
    assert_true(folder_add(blobs, blob, "", 0));
    assert_int_equal(store_publish(&s, &m, NULL), STORE_PUBLISHED);
}

static void names_of_the_store_are_found_after_paths(void **state)
{
    char home[64], path[MODEL_REF_BYTES], name[64];
    struct error err = {0};
    (void)state;
    assert_true(temp_home(home, sizeof home));
    store_name("m", "q8_0", "owner/m-GGUF");
    static const char *const good[] = {"m", "M:Q8_0", "local/m", "local/m:q8_0"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(model_ref_path(good[i], path, &err));
        assert_non_null(strstr(path, "/models/files/m/q8_0/model.gguf"));
    }
    model_ref_name(path, name, sizeof name);
    assert_string_equal(name, "m:q8_0");
    assert_false(model_ref_path("m:q4_0", path, &err));
    assert_non_null(strstr(err.text, "m:q8_0"));
    assert_false(model_ref_path("local/n", path, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    temp_remove(home);
    (void)unsetenv("HEARTH_HOME");
}

static void what_could_be_a_vendors_is_not_guessed_about(void **state)
{
    char home[64], path[MODEL_REF_BYTES];
    struct error err = {0};
    (void)state;
    assert_true(temp_home(home, sizeof home));
    store_name("gemma", "q8_0", "google/Gemma");
    store_name("other", "q8_0", "owner/Other");
    assert_false(model_ref_path("google/gemma", path, &err));
    assert_non_null(strstr(err.text, "local/gemma:q8_0"));
    assert_false(model_ref_path("owner/Other", path, &err));
    assert_non_null(strstr(err.text, "called other:q8_0"));
    assert_false(model_ref_path("google/else", path, &err));
    assert_null(strstr(err.text, "pulled"));
    assert_false(model_ref_path("owner/else", path, &err));
    assert_non_null(strstr(err.text, "hearth pull"));
    temp_remove(home);
    (void)unsetenv("HEARTH_HOME");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_that_exists_is_taken_as_it_is),
        cmocka_unit_test(vendors_and_unknown_names_are_refused_differently),
        cmocka_unit_test(the_variable_names_the_default),
        cmocka_unit_test(the_shipped_model_can_be_named),
        cmocka_unit_test(names_are_stems),
        cmocka_unit_test(names_of_the_store_are_found_after_paths),
        cmocka_unit_test(what_could_be_a_vendors_is_not_guessed_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
