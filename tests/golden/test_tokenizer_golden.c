// test_tokenizer_golden.c - ids and texts as `tokenizers` and `sentencepiece` give them.
//
// The small tokenizers were trained by tools/golden/make_tokenizer_goldens.py. Where the shared
// data of the project is there, llama.cpp's own golden files are checked too.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mapping.h"
#include "local/formats/model_file.h"
#include "local/tokenizer/tokenizer.h"

#define DATA "tests/golden/data/tokenizer/"
#define SHARED "../shared/data/tokenizers/"

struct model {
    struct model_file *file;
    struct tokenizer *t;
};

static struct model open_model(const char *path)
{
    struct error err = {0};
    struct model m = {.file = model_file_open(path, MODEL_NO_WEIGHTS, &err)};
    m.t = m.file ? tokenizer_open(m.file, &err) : NULL;
    if (!m.t) {
        print_error("%s\n", err.text);
        fail();
    }
    return m;
}

static void close_model(struct model m)
{
    tokenizer_close(m.t);
    model_file_close(m.file);
}

static json_t *read_json(const char *path)
{
    struct error err = {0};
    json_t *json = json_read_file(path, 16 << 20, &err);
    if (!json) {
        print_error("%s\n", err.text);
        fail();
    }
    return json;
}

static bool same_ids(const struct tokens *ids, const json_t *want)
{
    if (ids->n != json_array_size(want))
        return false;
    for (size_t i = 0; i < ids->n; i++)
        if (ids->ids[i] != json_integer_value(json_array_get(want, i)))
            return false;
    return true;
}

static int compare_ids(const struct tokenizer *t, const char *name, const json_t *texts,
                       const json_t *want, unsigned flags)
{
    int n_wrong = 0;
    for (size_t i = 0; i < json_array_size(want); i++) {
        struct tokens ids = {0};
        struct error err = {0};
        assert_true(tokenizer_encode(t, json_slice(json_array_get(texts, i)), flags, &ids, &err));
        if (!same_ids(&ids, json_array_get(want, i))) {
            print_error("%s: text %zu, flags %u:", name, i, flags);
            for (size_t k = 0; k < ids.n; k++)
                print_error(" %d", (int)ids.ids[k]);
            print_error("\n");
            n_wrong++;
        }
        tokens_release(&ids);
    }
    return n_wrong;
}

// Decoded whole, and streamed token by token: every part must be whole characters.
static int compare_text(const struct tokenizer *t, const char *name, const json_t *all_ids,
                        const json_t *want)
{
    int n_wrong = 0;
    for (size_t i = 0; i < json_array_size(want); i++) {
        const json_t *list = json_array_get(all_ids, i);
        struct tokens ids = {0};
        struct buf whole = {0}, streamed = {0};
        struct error err = {0};
        struct detokenizer d;
        detokenizer_init(&d, t, false);
        for (size_t k = 0; k < json_array_size(list); k++) {
            size_t before = streamed.len;
            tokens_add(&ids, (int32_t)json_integer_value(json_array_get(list, k)));
            detokenizer_push(&d, ids.ids[k], &streamed);
            assert_true(json_is_string(json_array_get(want, i)));
            json_t *part = json_stringn(buf_text(&streamed) + before, streamed.len - before);
            assert_non_null(part);  // jansson takes UTF-8 only
            json_decref(part);
        }
        detokenizer_finish(&d, &streamed);
        assert_true(tokenizer_decode(t, ids.ids, ids.n, false, &whole, &err));
        struct slice text = json_slice(json_array_get(want, i));
        if (!slice_eq(buf_view(&whole), text) || !slice_eq(buf_view(&streamed), text)) {
            print_error("%s: text %zu: '%s', streamed '%s', not '%s'\n", name, i, buf_text(&whole),
                        buf_text(&streamed), text.ptr);
            n_wrong++;
        }
        tokens_release(&ids);
        buf_release(&whole);
        buf_release(&streamed);
    }
    return n_wrong;
}

static void check(const char *name)
{
    char path[256];
    json_t *texts = read_json(DATA "texts.json");
    (void)snprintf(path, sizeof path, DATA "%s/golden.json", name);
    json_t *golden = read_json(path);
    (void)snprintf(path, sizeof path, DATA "%s", name);
    struct model m = open_model(path);
    const json_t *plain = json_object_get(golden, "plain");
    const json_t *special = json_object_get(golden, "special");
    const json_t *decoded = json_object_get(golden, "decoded");
    assert_true(json_array_size(plain) > 100 && json_array_size(decoded) > 100);
    int n_wrong = compare_ids(m.t, name, texts, plain, TOKENIZE_PLAIN);
    n_wrong +=
        compare_ids(m.t, name, texts, special, TOKENIZE_ADD_SPECIAL | TOKENIZE_PARSE_SPECIAL);
    n_wrong += compare_text(m.t, name, special ? special : plain, decoded);
    close_model(m);
    json_decref(golden);
    json_decref(texts);
    assert_int_equal(n_wrong, 0);
}

#define CASE(test, name)                                                                           \
    static void test(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        check(name);                                                                               \
    }
CASE(gpt2, "gpt2")
CASE(llama3, "llama3")
CASE(qwen2, "qwen2")
CASE(o200k, "o200k")
CASE(falcon, "falcon")
CASE(roberta, "roberta")
CASE(deepseek, "deepseek")
CASE(bloom, "bloom")
CASE(llama2, "llama2")
CASE(metaspace_first, "metaspace-first")
CASE(metaspace_never, "metaspace-never")
CASE(clip, "clip")
CASE(continuing_prefix, "prefix")
CASE(bert, "bert")
CASE(bert_cased, "bert-cased")
CASE(t5, "t5")
CASE(unigram, "unigram")
CASE(wordlevel, "wordlevel")
CASE(sentencepiece_unigram, "spm-unigram")
CASE(sentencepiece_nfkc, "spm-nfkc")
CASE(sentencepiece_bpe, "spm-bpe")
CASE(sentencepiece_bpe_without_bytes, "spm-bpe-unk")

// Texts between marker lines; one line of ids for each.
static void check_shared(const char *model, const char *name)
{
    static const char mark[] = "\n__ggml_vocab_test__\n";
    char path[256];
    struct buf texts = {0}, lines = {0};
    struct error err = {0};
    int n = 0, n_wrong = 0;
    (void)snprintf(path, sizeof path, SHARED "%s", model);
    if (!file_exists(path))
        skip();
    struct model m = open_model(path);
    (void)snprintf(path, sizeof path, SHARED "gguf/ggml-vocab-%s.gguf.inp", name);
    assert_true(file_read(path, 1 << 20, &texts, &err));
    (void)snprintf(path, sizeof path, SHARED "gguf/ggml-vocab-%s.gguf.out", name);
    assert_true(file_read(path, 1 << 20, &lines, &err));
    const char *line = buf_text(&lines), *at = buf_text(&texts);
    for (const char *end; *line && (end = strstr(at, mark)); at = end + sizeof mark - 1, n++) {
        struct tokens ids = {0};
        bool same = true;
        assert_true(
            tokenizer_encode(m.t, slice_of(at, (size_t)(end - at)), TOKENIZE_PLAIN, &ids, &err));
        for (size_t i = 0; i < ids.n && same; i++) {
            char *next;
            same = *line != '\n' && strtol(line, &next, 10) == ids.ids[i];
            line = same ? next : line;
        }
        n_wrong += !(same && *line == '\n');
        line += strcspn(line, "\n") + 1;
        tokens_release(&ids);
    }
    print_message("%s: %d texts, %d wrong\n", model, n, n_wrong);
    assert_true(n > 30);
    assert_int_equal(n_wrong, 0);
    buf_release(&texts);
    buf_release(&lines);
    close_model(m);
}

static void shared_goldens(void **state)
{
    (void)state;
    check_shared("gguf/ggml-vocab-gpt-2.gguf", "gpt-2");
    check_shared("gguf/ggml-vocab-llama-spm.gguf", "llama-spm");
    check_shared("gguf/ggml-vocab-phi-3.gguf", "phi-3");
    check_shared("gpt2", "gpt-2");
    check_shared("llama3", "llama-bpe");
    check_shared("qwen2.5", "qwen2");
    check_shared("llama2", "llama-spm");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(gpt2),
    cmocka_unit_test(llama3),
    cmocka_unit_test(qwen2),
    cmocka_unit_test(o200k),
    cmocka_unit_test(falcon),
    cmocka_unit_test(roberta),
    cmocka_unit_test(deepseek),
    cmocka_unit_test(bloom),
    cmocka_unit_test(llama2),
    cmocka_unit_test(metaspace_first),
    cmocka_unit_test(metaspace_never),
    cmocka_unit_test(clip),
    cmocka_unit_test(continuing_prefix),
    cmocka_unit_test(bert),
    cmocka_unit_test(bert_cased),
    cmocka_unit_test(t5),
    cmocka_unit_test(unigram),
    cmocka_unit_test(wordlevel),
    cmocka_unit_test(sentencepiece_unigram),
    cmocka_unit_test(sentencepiece_nfkc),
    cmocka_unit_test(sentencepiece_bpe),
    cmocka_unit_test(sentencepiece_bpe_without_bytes),
    cmocka_unit_test(shared_goldens),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
