// test_pooling.c - how a model's files say that embeddings are made of its hidden states.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/slice.h"
#include "local/formats/gguf_write.h"
#include "local/formats/model_file.h"
#include "local/models/facts.h"
#include "local/models/pooling.h"

#include "../../support/tiny_model.h"

static void put(const char *folder, const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void read_back(const char *path, enum model_parts parts, enum pooling want,
                      const char *refusal)
{
    struct error err = {0};
    enum pooling got;
    struct model_file *file = model_file_open(path, parts, &err);
    if (!file)
        fail_msg("%s", err.text);
    bool ok = pooling_of(file, &got, &err);
    if (refusal) {
        assert_false(ok);
        if (!strstr(err.text, refusal))
            fail_msg("'%s' is not in: %s", refusal, err.text);
    } else {
        if (!ok)
            fail_msg("%s", err.text);
        assert_int_equal(got, want);
    }
    model_file_close(file);
}

// A folder with these files, NULL: without. modules.json's pooling is "P" where it names one.
static void folder(const char *modules, const char *where, const char *config, enum pooling want,
                   const char *refusal)
{
    char *path = temp_folder(), inside[512];
    put(path, "config.json", "{\"model_type\":\"llama\"}");
    (void)snprintf(inside, sizeof inside, "%s/%s", path, where);
    assert_int_equal(mkdir(inside, 0700), 0);
    if (config)
        put(inside, "config.json", config);
    if (modules)
        put(path, "modules.json", modules);
    read_back(path, MODEL_NO_WEIGHTS, want, refusal);
    (void)snprintf(inside, sizeof inside, "%s/%s/config.json", path, where);
    (void)unlink(inside);
    (void)snprintf(inside, sizeof inside, "%s/%s", path, where);
    assert_int_equal(rmdir(inside), 0);
    temp_folder_remove(path);
}

static void folders_say_it_as_sentence_transformers_does(void **state)
{
    (void)state;
    static const char at[] = "1_Pooling";
    folder(NULL, at, NULL, POOLING_NONE, NULL);
    folder(NULL, at, "{\"pooling_mode_cls_token\":false,\"pooling_mode_mean_tokens\":true}",
           POOLING_MEAN, NULL);
    folder(NULL, at, "{\"pooling_mode_cls_token\":true}", POOLING_CLS, NULL);
    folder(NULL, at, "{\"pooling_mode_lasttoken\":true,\"include_prompt\":true}", POOLING_LAST,
           NULL);
    folder(NULL, at, "{\"pooling_mode\":\"lasttoken\"}", POOLING_LAST, NULL);
    folder(NULL, at, "{\"pooling_mode\":\"mean\",\"pooling_mode_mean_tokens\":true}", POOLING_MEAN,
           NULL);
    folder(NULL, at, "{\"pooling_mode_max_tokens\":true}", 0, "'max_tokens' is not supported");
    folder(NULL, at, "{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":true}", 0,
           "side by side");
    folder(NULL, at, "[]", 0, "not a JSON object");
}

static void modules_name_the_pooling_and_what_else_there_is(void **state)
{
    (void)state;
    static const char last[] = "{\"pooling_mode_lasttoken\":true}";
    static const char usual[] =
        "[{\"type\":\"sentence_transformers.models.Transformer\",\"path\":\"\"},{\"type\":"
        "\"sentence_transformers.models.Pooling\",\"path\":\"P\"},{\"type\":"
        "\"sentence_transformers.models.Normalize\",\"path\":\"2_Normalize\"}]";
    folder(usual, "P", last, POOLING_LAST, NULL);
    folder("[]", "1_Pooling", last, POOLING_NONE, NULL);
    folder("[{\"type\":\"sentence_transformers.models.Dense\",\"path\":\"2_Dense\"}]", "P", last, 0,
           "Dense' is not supported");
    folder("[{\"type\":\"a.Pooling\",\"path\":\"../P\"}]", "P", last, 0, "no name of a folder");
    folder("[{\"type\":\"a.Pooling\"}]", "P", last, 0, "no name of a folder");
    folder("{}", "P", last, 0, "not a list");
    folder("[", "P", last, 0, "modules.json");
}

static void gguf(int64_t type, enum pooling want, const char *refusal)
{
    char *path = temp_folder(), file[512];
    struct error err = {0};
    int64_t shape[1] = {4};
    float data[4] = {0};
    struct gguf_writer *w = gguf_writer_new();
    (void)snprintf(file, sizeof file, "%s/x.gguf", path);
    gguf_write_text(w, "general.architecture", slice_str("qwen2"));
    if (type != INT64_MIN)
        gguf_write_u32(w, "qwen2.pooling_type", (uint32_t)type);
    gguf_write_tensor(w, "x", DTYPE_F32, 1, shape);
    if (!gguf_writer_begin(w, file, &err) || !gguf_writer_data(w, data, sizeof data, &err) ||
        !gguf_writer_finish(w, &err))
        fail_msg("%s", err.text);
    gguf_writer_free(w);
    read_back(file, MODEL_ALL, want, refusal);
    temp_folder_remove(path);
}

static void gguf_files_say_it_by_number(void **state)
{
    (void)state;
    gguf(INT64_MIN, POOLING_NONE, NULL);
    gguf(0, POOLING_NONE, NULL);
    gguf(1, POOLING_MEAN, NULL);
    gguf(2, POOLING_CLS, NULL);
    gguf(3, POOLING_LAST, NULL);
    gguf(4, 0, "it embeds none");
    gguf(5, 0, "qwen2.pooling_type");
}

static void names_are_read_and_others_refused(void **state)
{
    (void)state;
    enum pooling p;
    struct error err = {0};
    for (int i = POOLING_NONE; i <= POOLING_LAST; i++) {
        assert_true(pooling_from_name(pooling_name((enum pooling)i), &p, &err));
        assert_int_equal(p, i);
    }
    assert_true(pooling_from_name(NULL, &p, &err));
    assert_int_equal(p, POOLING_NONE);
    assert_false(pooling_from_name("max", &p, &err));
    assert_int_equal(err.code, ERR_USAGE);
}

// Rewrites a golden's config with one member more and reads the facts of the folder.
static void refused(const char *member, json_t *value)
{
    struct error err = {0};
    struct model_facts facts;
    json_t *golden = tiny_golden("gemma3");
    char *path = temp_folder();
    json_object_set_new(json_object_get(golden, "config"), member, value);
    tiny_model_write(golden, path, NULL);
    struct model_file *file = model_file_open(path, MODEL_ALL, &err);
    assert_non_null(file);
    assert_false(facts_read(file, &facts, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, member));
    model_file_close(file);
    temp_folder_remove(path);
    json_decref(golden);
}

static void models_that_look_ahead_are_refused(void **state)
{
    (void)state;
    refused("use_bidirectional_attention", json_true());
    refused("use_bidirectional_attention", json_string("all"));
    refused("is_causal", json_false());
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_say_it_as_sentence_transformers_does),
        cmocka_unit_test(modules_name_the_pooling_and_what_else_there_is),
        cmocka_unit_test(gguf_files_say_it_by_number),
        cmocka_unit_test(names_are_read_and_others_refused),
        cmocka_unit_test(models_that_look_ahead_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
