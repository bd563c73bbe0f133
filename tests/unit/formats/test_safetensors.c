// test_safetensors.c - safetensors files: what is read, and one error for each way to lie.
//
// The hostile files are made by tools/golden/make_hostile.py; the fuzz target starts from them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../support/hostile.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "local/formats/model_file.h"
#include "local/formats/safetensors.h"

static const char corpus[] = "tests/fuzz/corpus/safetensors";
static const char stories[] = "../shared/data/models/stories260K/model.safetensors";

static const struct hostile lies[] = {
    {"bytes-after-the-last.safetensors", "...': data: 20 bytes, the header accounts for 16"},
    {"dtype-is-a-number.safetensors", "...': tensor 'model.norm.weight': dtype: not a string"},
    {"dtype-missing.safetensors", "...': tensor 'model.norm.weight': dtype: not a string"},
    {"empty.safetensors", "...': header: 0 bytes are no safetensors file"},
    {"entry-is-a-number.safetensors", "...': tensor 'w': not an object"},
    {"four-bytes.safetensors", "...': header: 4 bytes are no safetensors file"},
    {"header-deep.safetensors",
     "...': header: JSON, line 1, column 2053: maximum parsing depth reached near '['"},
    {"header-is-a-list.safetensors", "...': header: not an object"},
    {"header-length-overflows.safetensors",
     "...': header: 18446744073709551612 bytes in a file of 10 (cut, or not a safetensors file)"},
    {"header-not-json.safetensors",
     "...': header: JSON, line 1, column 5: unexpected token near end of file"},
    {"header-past-end.safetensors",
     "...': header: 100 bytes in a file of 10 (cut, or not a safetensors file)"},
    {"header-with-nul.safetensors", "...': header: JSON, line 1, column 11: NUL byte in object key "
                                    "not supported near '\"a\\u0000b\"'"},
    {"hole.safetensors", "...': tensor 'b': data_offsets: start at 8, expected 4 (hole)"},
    {"metadata-is-text.safetensors", "...': __metadata__: not an object"},
    {"name-twice.safetensors",
     "...': header: JSON, line 1, column 63: duplicate object key near '\"a\"'"},
    {"offsets-backwards.safetensors",
     "...': tensor 'model.norm.weight': data_offsets: 16 to 0 is not within the 16 bytes of data"},
    {"offsets-missing.safetensors",
     "...': tensor 'model.norm.weight': data_offsets: not two whole numbers"},
    {"offsets-negative.safetensors",
     "...': tensor 'model.norm.weight': data_offsets: not two whole numbers"},
    {"offsets-of-3.safetensors",
     "...': tensor 'model.norm.weight': data_offsets: not two whole numbers"},
    {"offsets-past-end.safetensors", "...': tensor 'model.norm.weight': data_offsets: 0 to "
                                     "1152921504606846976 is not within the 16 bytes of data"},
    {"overlap.safetensors", "...': tensor 'b': data_offsets: start at 4, expected 8 (overlap)"},
    {"shape-missing.safetensors", "...': tensor 'model.norm.weight': shape: not a list"},
    {"shape-negative.safetensors",
     "...': tensor 'model.norm.weight': shape: not a list of whole numbers"},
    {"shape-of-floats.safetensors",
     "...': tensor 'model.norm.weight': shape: not a list of whole numbers"},
    {"shape-overflows.safetensors",
     "...': tensor 'model.norm.weight': shape: its product overflows 63 bits"},
    {"size-disagrees.safetensors",
     "...': tensor 'model.norm.weight': shape: 3 values of type F32 do not take 16 bytes"},
    {"size-overflows.safetensors", "...': tensor 'model.norm.weight': shape: 1152921504606846976 "
                                   "values of type F32 do not take 16 bytes"},
};

static bool try_open(const char *path, struct error *err)
{
    struct safetensors *s = safetensors_open(path, err);
    safetensors_close(s);
    return s != NULL;
}

static void every_lie_is_told_by_name(void **state)
{
    (void)state;
    check_hostile(corpus, lies, sizeof lies / sizeof *lies, try_open);
}

static struct safetensors *open_good(const char *name)
{
    char path[256];
    struct error err = {0};
    (void)snprintf(path, sizeof path, "%s/%s", corpus, name);
    struct safetensors *s = safetensors_open(path, &err);
    if (!s)
        fail_msg("%s", err.text);
    return s;
}

static void check_tensor(const struct safetensors *s, const char *name, enum dtype dtype,
                         int n_dims, int64_t rows, unsigned char first, size_t bytes)
{
    const struct model_tensor *t = safetensors_find(s, name);
    assert_non_null(t);
    assert_string_equal(t->name, name);
    assert_int_equal(t->dtype, dtype);
    assert_int_equal(t->n_dims, n_dims);
    assert_int_equal(n_dims ? t->shape[0] : 0, rows);
    assert_int_equal(*(const unsigned char *)t->data, first);  // byte i of the data is i
    assert_int_equal(t->bytes, bytes);
}

static void tensors_are_where_the_header_says(void **state)
{
    (void)state;
    struct safetensors *s = open_good("good.safetensors");
    assert_int_equal(safetensors_n_tensors(s), 4);
    check_tensor(s, "b", DTYPE_F32, 2, 2, 0, 24);
    check_tensor(s, "a", DTYPE_BF16, 1, 4, 24, 8);
    check_tensor(s, "scalar", DTYPE_F16, 0, 0, 32, 2);
    check_tensor(s, "f8", DTYPE_F8_E4M3, 2, 2, 34, 2);
    assert_null(safetensors_find(s, "__metadata__"));
    assert_null(safetensors_find(s, "c"));
    safetensors_close(s);
}

static void other_types_are_remembered_not_read(void **state)
{
    (void)state;
    struct safetensors *s = open_good("good-other-types.safetensors");
    assert_int_equal(safetensors_n_tensors(s), 1);
    assert_string_equal(safetensors_unreadable(s, "ids"), "type I64");
    assert_string_equal(safetensors_unreadable(s, "none"), "no elements");
    assert_string_equal(safetensors_unreadable(s, "five"), "5 dimensions");
    assert_string_equal(safetensors_unreadable(s, "new"), "type F3_E1M1");
    assert_string_equal(safetensors_unreadable(s, "four"), "type F4");
    assert_null(safetensors_unreadable(s, "w"));
    assert_null(safetensors_unreadable(s, "absent"));
    safetensors_close(s);
}

static void other_types_can_be_had_raw(void **state)
{
    (void)state;
    struct safetensors *s = open_good("good-other-types.safetensors");
    const struct raw_tensor *ids = safetensors_raw(s, "ids"), *new = safetensors_raw(s, "new");
    assert_non_null(ids);
    assert_int_equal(ids->type, RAW_I64);
    assert_true(ids->n_dims == 2 && ids->shape[0] == 1 && ids->shape[1] == 2 && ids->bytes == 16);
    assert_non_null(new);
    assert_int_equal(new->type, RAW_OTHER);
    assert_ptr_equal((const char *)ids->data + 24, new->data);
    assert_null(safetensors_raw(s, "none"));  // no elements
    assert_null(safetensors_raw(s, "five"));
    assert_null(safetensors_raw(s, "w"));  // a weight
    assert_null(safetensors_raw(s, "absent"));
    safetensors_close(s);
}

static void headers_have_a_limit(void **state)
{
    (void)state;
    struct error err;
    uint64_t header_len = SAFETENSORS_HEADER_MAX + 1;
    size_t len = 8 + (size_t)header_len;
    unsigned char *bytes = memory_new(1, len);
    memcpy(bytes, &header_len, sizeof header_len);
    memset(bytes + 8, ' ', len - 8);
    assert_null(safetensors_open_memory(bytes, len, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_string_equal(err.text, "header: 16777217 bytes, at most 16777216 are possible");
    free(bytes);
}

static bool opens(const void *bytes, size_t len)
{
    struct error err = {0};
    void *exact = memory_new(1, len);  // so that a sanitizer sees one byte too far
    if (len)
        memcpy(exact, bytes, len);
    struct safetensors *s = safetensors_open_memory(exact, len, &err);
    if (!s)
        assert_true(err.text[0] && !strchr(err.text, '\n'));
    safetensors_close(s);
    free(exact);
    return s != NULL;
}

static void no_cut_file_opens(void **state)
{
    (void)state;
    struct mapping m;
    struct error err;
    assert_true(mapping_open(&m, "tests/fuzz/corpus/safetensors/good.safetensors", &err));
    assert_true(opens(m.ptr, m.len));
    for (size_t n = 0; n < m.len; n++)
        assert_false(opens(m.ptr, n));
    mapping_close(&m);
}

// The real file, where it is at hand: cut anywhere it is refused, flipped bytes do no harm.
static void a_real_file_survives_cuts_and_flips(void **state)
{
    (void)state;
    struct mapping m;
    struct error err;
    uint64_t header_len;
    if (!file_exists(stories)) {
        print_message("skip a_real_file_survives_cuts_and_flips: no %s\n", stories);
        skip();
    }
    assert_true(mapping_open(&m, stories, &err));
    assert_true(opens(m.ptr, m.len));
    for (int i = 0; i < 100; i++)
        assert_false(opens(m.ptr, hash_mix((uint64_t)i) % m.len));
    memcpy(&header_len, m.ptr, sizeof header_len);
    unsigned char *copy = memory_new(1, m.len);
    memcpy(copy, m.ptr, m.len);
    for (uint64_t i = 0; i < 2000; i++) {
        size_t at = hash_mix(i * 2) % (8 + header_len);
        copy[at] ^= (unsigned char)(1 + hash_mix(i * 2 + 1) % 255);
        safetensors_close(safetensors_open_memory(copy, m.len, &err));
        copy[at] = m.ptr[at];
    }
    free(copy);
    mapping_close(&m);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_lie_is_told_by_name),
    cmocka_unit_test(tensors_are_where_the_header_says),
    cmocka_unit_test(other_types_are_remembered_not_read),
    cmocka_unit_test(other_types_can_be_had_raw),
    cmocka_unit_test(headers_have_a_limit),
    cmocka_unit_test(no_cut_file_opens),
    cmocka_unit_test(a_real_file_survives_cuts_and_flips),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
