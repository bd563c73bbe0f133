// test_choose.c - listings of hubs, honest and not, and which files of them are taken.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "hub/hub_impl.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define GIT "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
#define SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// A repository with these files, separated by spaces, of ten bytes each.
static void listing(struct hub_repo *r, const char *files)
{
    struct buf json = {0};
    struct error err = {0};
    *r = (struct hub_repo){.repo = "owner/name"};
    buf_text_add(&json, "{\"sha\":\"" COMMIT "\",\"siblings\":[");
    for (const char *p = files; *p;) {
        size_t n = strcspn(p, " ");
        buf_printf(&json, "%s{\"rfilename\":\"%.*s\",\"size\":10,\"blobId\":\"" GIT "\"}",
                   p == files ? "" : ",", (int)n, p);
        p += n + (p[n] == ' ');
    }
    buf_text_add(&json, "]}");
    if (!hub_listing_read(buf_view(&json), r, &err))
        fail_msg("%s", err.text);
    buf_release(&json);
}

static void chosen(const char *files, const char *quant, const char *first, size_t n,
                   const char *found)
{
    struct hub_repo r;
    struct hub_choice c;
    struct error err = {0};
    listing(&r, files);
    if (!hub_choose(&r, quant, &c, &err))
        fail_msg("'%s' of '%s': %s", quant, files, err.text);
    assert_string_equal(c.files[0]->path, first);
    assert_int_equal(c.n_files, n);
    assert_string_equal(c.quant, found);
    assert_int_equal(c.bytes, 10 * n);
    hub_choice_release(&c);
    hub_repo_release(&r);
}

static void refused(const char *files, const char *quant, const char *word)
{
    struct hub_repo r;
    struct hub_choice c;
    struct error err = {0};
    listing(&r, files);
    assert_false(hub_choose(&r, quant, &c, &err));
    if (!strstr(err.text, word))
        fail_msg("no '%s' in: %s", word, err.text);
    hub_choice_release(&c);
    hub_repo_release(&r);
}

static void quantizations_are_found_by_the_ends_of_names(void **state)
{
    (void)state;
    chosen("m-Q4_K_M.gguf m-Q8_0.gguf", "q8_0", "m-Q8_0.gguf", 1, "q8_0");
    chosen("m.q4_k_m.gguf m.q8_0.gguf", "Q8_0", "m.q8_0.gguf", 1, "q8_0");
    chosen("Q4_K_M/m-00001-of-00002.gguf Q4_K_M/m-00002-of-00002.gguf Q8_0/m.gguf", "q4_k_m",
           "Q4_K_M/m-00001-of-00002.gguf", 2, "q4_k_m");
    chosen("m-bf16.gguf m-f16.gguf", "f16", "m-f16.gguf", 1, "f16");
    chosen("m-Q4_K_XL.gguf m-UD-Q4_K_XL.gguf", "q4_k_xl", "m-Q4_K_XL.gguf", 1, "q4_k_xl");
    chosen("m-Q4_K_XL.gguf m-UD-Q4_K_XL.gguf", "ud-q4_k_xl", "m-UD-Q4_K_XL.gguf", 1, "ud-q4_k_xl");
    chosen("a-q4_0.gguf b-q4_0.gguf", "b-q4_0", "b-q4_0.gguf", 1, "q4_0");
    chosen("m-it.gguf", "", "m-it.gguf", 1, "");
    chosen("m-mxfp4.gguf x.txt", "", "m-mxfp4.gguf", 1, "mxfp4");
    chosen("m-7b.Q2_K.gguf", "", "m-7b.Q2_K.gguf", 1, "q2_k");
}

static void without_one_the_best_is_taken(void **state)
{
    (void)state;
    chosen("m-Q8_0.gguf m-Q4_0.gguf m-Q4_K_M.gguf", "", "m-Q4_K_M.gguf", 1, "q4_k_m");
    chosen("m-Q8_0.gguf m-Q4_0.gguf m-f16.gguf", "", "m-Q4_0.gguf", 1, "q4_0");
    chosen("m-bf16.gguf m-IQ3_XS.gguf", "", "m-bf16.gguf", 1, "bf16");
    chosen("m-IQ3_XS.gguf mmproj-m-Q8_0.gguf imatrix.gguf", "", "m-IQ3_XS.gguf", 1, "iq3_xs");
    refused("m-IQ3_XS.gguf m-Q2_K.gguf", "", "iq3_xs, q2_k");
    refused("a-q4_0.gguf b-q4_0.gguf", "", "a-q4_0, b-q4_0");
    refused("m-Q4_0.gguf", "q8_0", "q4_0");
    refused("mmproj-m-Q8_0.gguf m-Q4_0.gguf", "q8_0", "q4_0");
}

static void split_models_need_all_parts(void **state)
{
    struct hub_repo r;
    struct hub_choice *all;
    (void)state;
    chosen("m-q8_0-00001-of-00003.gguf m-q8_0-00002-of-00003.gguf m-q8_0-00003-of-00003.gguf", "",
           "m-q8_0-00001-of-00003.gguf", 3, "q8_0");
    refused("m-q8_0-00001-of-00003.gguf m-q8_0-00003-of-00003.gguf", "", "part 2 of 3");
    refused("m-q8_0-00002-of-00002.gguf", "", "part 1 of 2");
    refused("m-q8_0-00001-of-00000.gguf", "", "0 parts");
    listing(&r, "m-q4_0.gguf m-q8_0-00001-of-00002.gguf m-f16-00001-of-00001.gguf");
    assert_int_equal(hub_choices(&r, &all), 2);
    assert_string_equal(all[0].quant, "f16");
    assert_string_equal(all[1].quant, "q4_0");
    hub_choices_free(all, 2);
    hub_repo_release(&r);
}

static void checkouts_are_whole_and_without_code(void **state)
{
    (void)state;
    chosen("LICENSE README.md config.json consolidated.safetensors model.py model.safetensors "
           "onnx/model.json original/x.safetensors pytorch_model.bin run.sh tokenizer.model "
           ".gitattributes licensed.exe",
           "", "LICENSE", 5, "");
    refused("config.json pytorch_model.bin", "", "no model that can be used");
    refused("model.safetensors", "", "no model that can be used");
    refused("config.json model.safetensors", "q4_0", "hearth quantize");
    refused("", "", "no model that can be used");
}

static void listings_that_lie_are_refused(void **state)
{
    static const char *const entries[][2] = {
        {"{\"rfilename\":\"../x\",\"size\":1,\"blobId\":\"" GIT "\"}", "'../x'"},
        {"{\"rfilename\":\"a\\u0000b\",\"size\":1,\"blobId\":\"" GIT "\"}", "'a?b'"},
        {"{\"rfilename\":7,\"size\":1,\"blobId\":\"" GIT "\"}", "file name"},
        {"{\"rfilename\":\"x\",\"size\":-1,\"blobId\":\"" GIT "\"}", "size"},
        {"{\"rfilename\":\"x\",\"size\":9223372036854775807,\"blobId\":\"" GIT "\"}", "size"},
        {"{\"rfilename\":\"x\",\"size\":1e30,\"blobId\":\"" GIT "\"}", "size"},
        {"{\"rfilename\":\"x\",\"blobId\":\"" GIT "\"}", "size"},
        {"{\"rfilename\":\"x\",\"size\":1}", "hash"},
        {"{\"rfilename\":\"x\",\"size\":1,\"blobId\":\"" SHA256 "\"}", "hash"},
        {"{\"rfilename\":\"x\",\"size\":1,\"lfs\":{\"size\":1,\"sha256\":\"" GIT "\"}}", "hash"},
        {"{\"rfilename\":\"x\",\"size\":1,\"blobId\":\"" GIT
         "\"},{\"rfilename\":\"x\",\"size\":1,\"blobId\":\"" GIT "\"}",
         "twice"},
        {"null", "file name"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        struct hub_repo r = {0};
        struct error err = {0};
        struct buf json = {0};
        buf_printf(&json, "{\"sha\":\"" COMMIT "\",\"siblings\":[%s]}", entries[i][0]);
        assert_false(hub_listing_read(buf_view(&json), &r, &err));
        if (!strstr(err.text, entries[i][1]))
            fail_msg("no '%s' in: %s", entries[i][1], err.text);
        hub_repo_release(&r);
        buf_release(&json);
    }
}

static void large_files_are_known_by_sha256(void **state)
{
    struct hub_repo r = {0};
    (void)state;
    assert_true(hub_listing_read(
        slice_str("{\"sha\":\"" COMMIT "\",\"siblings\":[{\"rfilename\":\"x\",\"size\":9,"
                  "\"blobId\":\"" GIT "\",\"lfs\":{\"size\":7,\"sha256\":\"" SHA256 "\"}}]}"),
        &r, NULL));
    assert_int_equal(r.files[0].bytes, 7);
    assert_string_equal(r.files[0].sha256, SHA256);
    assert_string_equal(r.files[0].git, "");
    assert_string_equal(r.commit, COMMIT);
    hub_repo_release(&r);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantizations_are_found_by_the_ends_of_names),
        cmocka_unit_test(without_one_the_best_is_taken),
        cmocka_unit_test(split_models_need_all_parts),
        cmocka_unit_test(checkouts_are_whole_and_without_code),
        cmocka_unit_test(listings_that_lie_are_refused),
        cmocka_unit_test(large_files_are_known_by_sha256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
