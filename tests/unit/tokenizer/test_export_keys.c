// test_export_keys.c - a folder's tokenizer, written as GGUF keys and read again, gives the same
// ids; what the keys cannot say is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mapping.h"
#include "local/formats/gguf_write.h"
#include "local/formats/model_file.h"
#include "local/tokenizer/export_keys.h"
#include "local/tokenizer/tokenizer.h"

#include "../../support/tiny_model.h"

#define DATA "tests/golden/data/tokenizer/"
#define SHARED "../shared/data/"

static bool write_keys(const struct model_file *folder, const char *path, int more,
                       struct error *err)
{
    struct tokenizer *t = tokenizer_open(folder, err);
    assert_non_null(t);
    int n = (int)tokenizer_n_tokens(t) + more;
    tokenizer_close(t);
    struct gguf_writer *w = gguf_writer_new();
    gguf_write_text(w, "general.architecture", slice_str("llama"));
    bool ok = tokenizer_export_keys(folder, n, w, err) && gguf_writer_begin(w, path, err) &&
              gguf_writer_finish(w, err);
    gguf_writer_free(w);
    return ok;
}

static void same_ids(const struct tokenizer *a, const struct tokenizer *b, struct slice text,
                     unsigned flags, const char *name)
{
    struct tokens x = {0}, y = {0};
    assert_true(tokenizer_encode(a, text, flags, &x, NULL));
    assert_true(tokenizer_encode(b, text, flags, &y, NULL));
    if (x.n != y.n || (x.n && memcmp(x.ids, y.ids, x.n * sizeof *x.ids) != 0))
        fail_msg("%s: '%.*s' has other ids (flags %u)", name, (int)text.len, text.ptr, flags);
    tokens_release(&x);
    tokens_release(&y);
}

static void round_trip(const char *path)
{
    struct error err = {0};
    char gguf[512];
    char *temp = temp_folder();
    (void)snprintf(gguf, sizeof gguf, "%s/keys.gguf", temp);
    struct model_file *folder = model_file_open(path, MODEL_NO_WEIGHTS, &err);
    if (!folder || !write_keys(folder, gguf, 5, &err))
        fail_msg("%s: %s", path, err.text);
    struct model_file *file = model_file_open(gguf, MODEL_NO_WEIGHTS, &err);
    struct tokenizer *a = tokenizer_open(folder, &err);
    struct tokenizer *b = file ? tokenizer_open(file, &err) : NULL;
    if (!b)
        fail_msg("%s: %s", path, err.text);
    assert_int_equal(tokenizer_n_tokens(b), tokenizer_n_tokens(a) + 5);
    assert_true(tokenizer_bos(a) < 0 || tokenizer_bos(a) == tokenizer_bos(b));
    assert_true(tokenizer_eos(a) < 0 || tokenizer_eos(a) == tokenizer_eos(b));
    json_t *texts = json_read_file(DATA "texts.json", 1 << 24, &err), *text;
    size_t i;
    assert_true(json_array_size(texts) > 10);
    json_array_foreach(texts, i, text)
    {
        same_ids(a, b, json_slice(text), TOKENIZE_PLAIN, path);
        same_ids(a, b, json_slice(text), TOKENIZE_ADD_SPECIAL, path);
    }
    json_decref(texts);
    tokenizer_close(a);
    tokenizer_close(b);
    model_file_close(folder);
    model_file_close(file);
    temp_folder_remove(temp);
}

static void small_tokenizers_give_the_same_ids_from_gguf_keys(void **state)
{
    (void)state;
    static const char *const names[] = {"gpt2", "llama2", "llama3", "qwen2"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, DATA "%s", names[i]);
        round_trip(path);
    }
}

static void real_tokenizers_give_the_same_ids_from_gguf_keys(void **state)
{
    (void)state;
    static const char *const names[] = {"tokenizers/llama2",     "tokenizers/llama3",
                                        "tokenizers/qwen2.5",    "tokenizers/gpt2",
                                        "tokenizers/mistral-v3", "models/stories260K"};
    if (!file_is_folder(SHARED)) {
        print_message("skip the shared data is not here\n");
        skip();
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, SHARED "%s", names[i]);
        round_trip(path);
    }
}

static void what_keys_cannot_say_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"unigram", "bert", "wordlevel",
                                        "roberta", "clip", "metaspace-never"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        struct error err = {0};
        (void)snprintf(path, sizeof path, DATA "%s", names[i]);
        struct model_file *folder = model_file_open(path, MODEL_NO_WEIGHTS, &err);
        assert_non_null(folder);
        assert_false(write_keys(folder, "unused.gguf", 0, &err));
        assert_int_equal(err.code, ERR_UNSUPPORTED);
        assert_false(file_exists("unused.gguf"));
        model_file_close(folder);
    }
}

static void more_tokens_than_rows_are_refused(void **state)
{
    (void)state;
    struct error err = {0};
    struct model_file *folder = model_file_open(DATA "gpt2", MODEL_NO_WEIGHTS, &err);
    assert_false(write_keys(folder, "unused.gguf", -1, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    assert_non_null(strstr(err.text, "rows"));
    model_file_close(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_tokenizers_give_the_same_ids_from_gguf_keys),
        cmocka_unit_test(real_tokenizers_give_the_same_ids_from_gguf_keys),
        cmocka_unit_test(what_keys_cannot_say_is_refused),
        cmocka_unit_test(more_tokens_than_rows_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
