// test_model_file.c - a model on disk: GGUF files and Hugging Face folders behind one interface.
//
// The folders come from the corpus of fuzz_hf_folder (tools/golden/make_hostile.py), one file each.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../support/folder_blob.h"
#include "../../support/hostile.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mapping.h"
#include "local/formats/gguf.h"
#include "local/formats/gguf_write.h"
#include "local/formats/model_file.h"

static const char corpus[] = "tests/fuzz/corpus/hf_folder";
static char folder[64];  // made anew for each test

static const struct hostile lies[] = {
    {"config-deep",
     ".../config.json': JSON, line 1, column 10241: maximum parsing depth reached near '{'"},
    {"config-empty", ".../config.json': JSON, line 1, column 0: unexpected token near end of file"},
    {"config-is-a-list", ".../config.json': not a JSON object"},
    {"config-missing", "...': config.json is missing"},
    {"config-not-json", ".../config.json': JSON, line 1, column 20: invalid token near 'llama'"},
    {"config-not-utf8",
     ".../config.json': JSON, line 1, column 16: unable to decode byte 0xff near '\"'"},
    {"generation-config-is-text", ".../generation_config.json': not a JSON object"},
    {"index-is-a-list", ".../model.safetensors.index.json': not a JSON object"},
    {"index-map-is-a-list", ".../model.safetensors.index.json': weight_map is not an object"},
    {"index-not-json", ".../model.safetensors.index.json': JSON, line 1, column 1: string or '}' "
                       "expected near end of file"},
    {"index-without-map", ".../model.safetensors.index.json': weight_map is not an object"},
    {"shard-absolute", ".../model.safetensors.index.json': weight_map: tensor 'a': '/dev/zero' is "
                       "not a plain file name"},
    {"shard-empty",
     ".../model.safetensors.index.json': weight_map: tensor 'a': '' is not a plain file name"},
    {"shard-json", ".../config.json': header: 6875982213128462971 bytes in a file of 65 (cut, or "
                   "not a safetensors file)"},
    {"shard-lacks-tensor", ".../model.safetensors.index.json': weight_map: tensor "
                           "'lm_head.weight': 'model-00001.safetensors' does not hold it"},
    {"shard-missing", ".../model.safetensors.index.json': weight_map: tensor 'a': the file "
                      "'model-00009.safetensors' is missing"},
    {"shard-number",
     ".../model.safetensors.index.json': weight_map: tensor 'a': its file is not a string"},
    {"shard-parent",
     ".../model.safetensors.index.json': weight_map: tensor 'a': '..' is not a plain file name"},
    {"shard-self",
     ".../model.safetensors.index.json': weight_map: tensor 'a': '.' is not a plain file name"},
    {"shard-traversal", ".../model.safetensors.index.json': weight_map: tensor 'a': "
                        "'../model.safetensors' is not a plain file name"},
    {"tensor-in-two-shards", "...': tensor 'a': appears twice"},
    {"tokenizer-config-not-json",
     ".../tokenizer_config.json': JSON, line 1, column 3: invalid token near 'bos'"},
    {"tokenizer-only", "...': config.json is missing"},
    {"weights-garbage", ".../model.safetensors': header: 506097522914230528 bytes in a file of 9 "
                        "(cut, or not a safetensors file)"},
    {"pooling-flags",
     "...': no weights: neither 'model.safetensors' nor 'model.safetensors.index.json'"},
    {"pooling-modules",
     "...': no weights: neither 'model.safetensors' nor 'model.safetensors.index.json'"},
    {"pooling-strange",
     "...': no weights: neither 'model.safetensors' nor 'model.safetensors.index.json'"},
    {"weights-missing",
     "...': no weights: neither 'model.safetensors' nor 'model.safetensors.index.json'"},
    {"weights-pickled",
     "...': no weights: neither 'model.safetensors' nor 'model.safetensors.index.json' (PyTorch's "
     "own files are not read: they can run code)"},
};

static int make_folder(void **state)
{
    (void)state;
    return folder_new(folder, sizeof folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    folder_remove(folder);
    return 0;
}

static void fill(const char *blob_path)
{
    struct buf blob = {0};
    struct error err = {0};
    folder_clear(folder);
    if (!file_read(blob_path, 1 << 20, &blob, &err))
        fail_msg("%s", err.text);
    folder_fill(folder, blob.ptr, blob.len);
    buf_release(&blob);
}

static bool try_open(const char *path, struct error *err)
{
    fill(path);
    struct model_file *m = model_file_open(folder, MODEL_ALL, err);
    model_file_close(m);
    return m != NULL;
}

static void every_lie_is_told_by_name(void **state)
{
    (void)state;
    check_hostile(corpus, lies, sizeof lies / sizeof *lies, try_open);
}

static struct model_file *open_folder(const char *name, enum model_parts parts)
{
    char path[256];
    struct error err = {0};
    (void)snprintf(path, sizeof path, "%s/%s", corpus, name);
    fill(path);
    struct model_file *m = model_file_open(folder, parts, &err);
    if (!m)
        fail_msg("%s: %s", name, err.text);
    return m;
}

static void shards_are_one_list(void **state)
{
    (void)state;
    static const char *const names[] = {"good-shards", "good-without-index"};
    for (int i = 0; i < 2; i++) {
        struct model_file *m = open_folder(names[i], MODEL_ALL);
        assert_int_equal(model_file_n_tensors(m), 2);
        assert_int_equal(model_file_find(m, "a")->dtype, DTYPE_F32);
        assert_int_equal(model_file_find(m, "b")->dtype, DTYPE_F16);
        assert_null(model_file_find(m, "ids"));
        if (i == 0)
            assert_string_equal(model_file_unreadable(m, "ids"), "type I64");
        assert_null(model_file_unreadable(m, "a"));
        assert_null(model_file_weights_error(m));
        assert_null(model_file_gguf(m));
        model_file_close(m);
    }
}

static void members_are_parsed_or_absent(void **state)
{
    (void)state;
    char path[256];
    struct model_file *m = open_folder("good-single", MODEL_ALL);
    assert_string_equal(json_get_text(model_file_config(m), "model_type"), "llama");
    assert_string_equal(json_get_text(model_file_tokenizer_config(m), "bos_token"), "<s>");
    assert_null(model_file_generation_config(m));
    assert_null(model_file_special_tokens(m));
    assert_true(model_file_member(m, "config.json", path, sizeof path));
    assert_true(file_exists(path));
    assert_false(model_file_member(m, "tokenizer.json", path, sizeof path));
    assert_false(model_file_member(m, "../config.json", path, sizeof path));
    assert_false(model_file_member(m, "..", path, sizeof path));
    assert_false(model_file_member(m, "", path, sizeof path));
    assert_string_equal(model_file_path(m), folder);
    model_file_close(m);
}

static void templates_are_found_in_order(void **state)
{
    (void)state;
    static const struct {
        const char *folder, *name, *text;
    } want[] = {
        {"good-single", NULL, "{{ bos_token }}"},
        {"good-single", "default", "{{ bos_token }}"},
        {"good-single", "tool_use", ""},
        {"good-template-list", NULL, "D"},
        {"good-template-list", "tool_use", "T"},
        {"good-template-list", "rag", ""},
        {"good-template-file", NULL, "J"},
        {"good-template-json", NULL, "K"},
        {"good-template-of-wrong-types", NULL, ""},
        {"good-shards", NULL, ""},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        struct model_file *m = open_folder(want[i].folder, MODEL_ALL);
        struct slice text = model_file_chat_template(m, want[i].name);
        assert_int_equal(text.len, strlen(want[i].text));
        assert_memory_equal(text.ptr ? text.ptr : "", want[i].text, text.len);
        model_file_close(m);
    }
}

static void more_templates_have_a_folder(void **state)
{
    (void)state;
    char more[128];
    struct error err = {0};
    (void)snprintf(more, sizeof more, "%s/additional_chat_templates", folder);
    struct model_file *m = open_folder("good-template-list", MODEL_ALL);
    model_file_close(m);
    assert_int_equal(mkdir(more, 0700), 0);
    assert_true(folder_add(more, "tool_use.jinja", "TT", 2));
    assert_true(folder_add(more, "rag.jinja", "R", 1));
    assert_true(folder_add(more, "notes.txt", "N", 1));
    m = model_file_open(folder, MODEL_ALL, &err);
    assert_non_null(m);
    assert_true(slice_is(model_file_chat_template(m, "tool_use"), "TT"));
    assert_true(slice_is(model_file_chat_template(m, "rag"), "R"));
    assert_true(slice_is(model_file_chat_template(m, NULL), "D"));
    assert_int_equal(model_file_chat_template(m, "notes").len, 0);
    model_file_close(m);
    folder_remove(more);
}

static void without_weights_their_faults_are_told_not_fatal(void **state)
{
    (void)state;
    static const struct {
        const char *folder, *error;
    } want[] = {
        {"tokenizer-only", "no weights: neither"},
        {"weights-missing", "no weights: neither"},
        {"config-missing", NULL},
        {"weights-garbage", "(cut, or not a safetensors file)"},
        {"shard-traversal", "is not a plain file name"},
        {"tensor-in-two-shards", "tensor 'a': appears twice"},
        {"good-single", NULL},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        struct model_file *m = open_folder(want[i].folder, MODEL_NO_WEIGHTS);
        const struct error *e = model_file_weights_error(m);
        assert_int_equal(e != NULL, want[i].error != NULL);
        if (e) {
            assert_non_null(strstr(e->text, want[i].error));
            assert_int_equal(model_file_n_tensors(m), 0);
            assert_null(model_file_find(m, "a"));
        } else {
            assert_int_equal(model_file_n_tensors(m), 1);
        }
        model_file_close(m);
    }
}

static void integers_beyond_64_bits_are_numbers(void **state)
{
    (void)state;
    double length;
    struct model_file *m = open_folder("tokenizer-only", MODEL_NO_WEIGHTS);
    assert_true(json_get_f64(model_file_tokenizer_config(m), "model_max_length", &length));
    assert_true(length > 0.9e30 && length < 1.1e30);
    model_file_close(m);
}

static void an_empty_folder_is_no_model(void **state)
{
    (void)state;
    struct error err;
    assert_null(model_file_open(folder, MODEL_NO_WEIGHTS, &err));
    assert_non_null(strstr(err.text, "holds neither config.json nor tokenizer files"));
    assert_null(model_file_open("/nonexistent/model", MODEL_ALL, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(err.text, "open '/nonexistent/model': No such file or directory");
    assert_null(model_file_open("/dev/null", MODEL_ALL, &err));
    assert_string_equal(err.text, "open '/dev/null': not a regular file");
    assert_null(model_file_open("tests/fuzz/corpus/safetensors/good.safetensors", MODEL_ALL, &err));
    assert_int_equal(err.code, ERR_USAGE);
}

// Links to files are how caches lay models out; links in circles, pipes and devices are not read,
// and nobody waits for them.
static void odd_kinds_of_files_are_refused(void **state)
{
    (void)state;
    struct error err;
    char path[256], other[256];
    struct model_file *m = open_folder("good-single", MODEL_ALL);
    model_file_close(m);
    (void)snprintf(path, sizeof path, "%s/model.safetensors", folder);
    (void)snprintf(other, sizeof other, "%s/blob", folder);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink("blob", path), 0);
    m = model_file_open(folder, MODEL_ALL, &err);
    assert_non_null(m);
    model_file_close(m);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("model.safetensors", path), 0);  // to itself
    assert_null(model_file_open(folder, MODEL_ALL, &err));
    assert_non_null(strstr(err.text, "no weights"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(model_file_open(folder, MODEL_ALL, &err));
    assert_non_null(strstr(err.text, "no weights"));
    assert_null(model_file_open(path, MODEL_ALL, &err));
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/zero", path), 0);
    assert_null(model_file_open(folder, MODEL_ALL, &err));
    assert_non_null(strstr(err.text, "config.json is missing"));
    (void)snprintf(path, sizeof path, "%s/x.gguf", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(model_file_open(path, MODEL_ALL, &err));
    assert_non_null(strstr(err.text, "not a regular file"));
}

static void large_members_are_refused(void **state)
{
    (void)state;
    struct error err;
    char path[256];
    struct model_file *m = open_folder("good-single", MODEL_ALL);
    model_file_close(m);
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    assert_int_equal(truncate(path, (off_t)1 << 40), 0);
    assert_null(model_file_open(folder, MODEL_ALL, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(strstr(err.text, "config.json': larger than 4194304 bytes"));
}

static void shards_are_counted(void **state)
{
    (void)state;
    struct error err;
    static const char nothing[] = "\2\0\0\0\0\0\0\0{}";
    assert_true(folder_add(folder, "config.json", "{}", 2));
    for (int i = 0; i < 2049; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%d.safetensors", i);
        assert_true(folder_add(folder, name, nothing, sizeof nothing - 1));
    }
    assert_null(model_file_open(folder, MODEL_ALL, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(strstr(err.text, "more than 2048 files of weights"));
}

static void a_gguf_file_is_a_model_too(void **state)
{
    (void)state;
    struct error err = {0};
    struct slice text;
    char path[256];
    int64_t shape[] = {2, 4096};
    static float data[2 * 4096];
    struct gguf_writer *w = gguf_writer_new();
    (void)snprintf(path, sizeof path, "%s/m.gguf", folder);
    gguf_write_text(w, "tokenizer.chat_template", slice_str("D"));
    gguf_write_text(w, "tokenizer.chat_template.tool_use", slice_str("T"));
    gguf_write_tensor(w, "w", DTYPE_F32, 2, shape);
    data[4096] = 3;
    if (!gguf_writer_begin(w, path, &err) || !gguf_writer_data(w, data, sizeof data, &err) ||
        !gguf_writer_finish(w, &err))
        fail_msg("%s", err.text);
    gguf_writer_free(w);
    struct model_file *m = model_file_open(path, MODEL_ALL, &err);
    assert_non_null(m);
    assert_non_null(model_file_gguf(m));
    assert_null(model_file_config(m));
    assert_int_equal(model_file_n_tensors(m), 1);
    assert_ptr_equal(model_file_find(m, "w"), model_file_tensor(m, 0));
    assert_null(model_file_find(m, "v"));
    text = model_file_chat_template(m, NULL);
    assert_true(slice_is(text, "D"));
    assert_true(slice_is(model_file_chat_template(m, "tool_use"), "T"));
    assert_int_equal(model_file_chat_template(m, "rag").len, 0);
    assert_false(model_file_member(m, "m.gguf", path, sizeof path));
    model_file_close(m);
}

static void a_part_whose_name_hides_the_others_gives_its_keys_only(void **state)
{
    (void)state;
    struct error err;
    assert_null(model_file_open("tests/fuzz/corpus/gguf/good-split.gguf", MODEL_ALL, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    assert_non_null(strstr(err.text, "one of 3 parts, but its name"));
    struct model_file *m =
        model_file_open("tests/fuzz/corpus/gguf/good-split.gguf", MODEL_NO_WEIGHTS, &err);
    assert_non_null(m);
    assert_non_null(model_file_weights_error(m));
    model_file_close(m);
}

// Pages of this process's memory among the first n bytes at p, as /proc/self/pagemap tells.
static size_t present_pages(const void *p, size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), present = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    for (size_t i = 0; fd >= 0 && i < n / page; i++) {
        uint64_t entry = 0;
        off_t at = (off_t)(((uintptr_t)p / page + i) * sizeof entry);
        if (pread(fd, &entry, sizeof entry, at) == (ssize_t)sizeof entry)
            present += entry >> 63;
    }
    if (fd >= 0)
        (void)close(fd);
    return present;
}

static void forgotten_tensors_take_no_memory(void **state)
{
    (void)state;
    struct error err = {0};
    char path[256];
    enum { BYTES = 1 << 20 };
    int64_t shape[] = {BYTES / 4};
    unsigned char *data = calloc(1, BYTES);
    struct gguf_writer *w = gguf_writer_new();
    (void)snprintf(path, sizeof path, "%s/m.gguf", folder);
    gguf_write_tensor(w, "w", DTYPE_F32, 1, shape);
    data[BYTES - 1] = 0x40;
    assert_true(gguf_writer_begin(w, path, &err) && gguf_writer_data(w, data, BYTES, &err) &&
                gguf_writer_finish(w, &err));
    gguf_writer_free(w);
    struct model_file *m = model_file_open(path, MODEL_ALL, &err);
    const struct model_tensor *t = model_file_tensor(m, 0);
    assert_memory_equal(t->data, data, BYTES);
    size_t before = present_pages(t->data, BYTES);
    model_file_forget(m, t);
    size_t after = present_pages(t->data, BYTES);
    assert_memory_equal(t->data, data, BYTES);  // still there to be read
    model_file_close(m);
    free(data);
    if (before == 0) {
        print_message("skip forgotten_tensors_take_no_memory: no /proc/self/pagemap\n");
        skip();
    }
    assert_true(before > 200);
    assert_true(after <= 1);  // the page it shares with the header
}

static void the_real_folder_opens(void **state)
{
    (void)state;
    static const char path[] = "../shared/data/models/stories260K/";
    struct error err = {0};
    if (!file_exists(path)) {
        print_message("skip the_real_folder_opens: no %s\n", path);
        skip();
    }
    struct model_file *m = model_file_open(path, MODEL_ALL, &err);
    struct model_file *g =
        model_file_open("../shared/data/models/stories260K.gguf", MODEL_ALL, &err);
    assert_true(m && g);
    assert_int_equal(model_file_n_tensors(m), model_file_n_tensors(g));
    const struct model_tensor *a = model_file_find(m, "model.embed_tokens.weight");
    const struct model_tensor *b = model_file_find(g, "token_embd.weight");
    assert_true(a && b && a->bytes == b->bytes);
    assert_memory_equal(a->data, b->data, a->bytes);
    model_file_close(m);
    model_file_close(g);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
static const struct CMUnitTest tests[] = {
    WITH_FOLDER(every_lie_is_told_by_name),
    WITH_FOLDER(shards_are_one_list),
    WITH_FOLDER(members_are_parsed_or_absent),
    WITH_FOLDER(templates_are_found_in_order),
    WITH_FOLDER(more_templates_have_a_folder),
    WITH_FOLDER(without_weights_their_faults_are_told_not_fatal),
    WITH_FOLDER(integers_beyond_64_bits_are_numbers),
    WITH_FOLDER(an_empty_folder_is_no_model),
    WITH_FOLDER(odd_kinds_of_files_are_refused),
    WITH_FOLDER(large_members_are_refused),
    WITH_FOLDER(shards_are_counted),
    WITH_FOLDER(a_gguf_file_is_a_model_too),
    WITH_FOLDER(a_part_whose_name_hides_the_others_gives_its_keys_only),
    WITH_FOLDER(forgotten_tensors_take_no_memory),
    WITH_FOLDER(the_real_folder_opens),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
