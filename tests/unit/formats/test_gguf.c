// test_gguf.c - GGUF files: values and tensors as written, and one error for each way to lie.
//
// The hostile files are made by tools/golden/make_hostile.py; the fuzz target starts from them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "local/formats/gguf.h"
#include "local/formats/gguf_write.h"
#include "local/formats/model_file.h"
#include "../../support/hostile.h"

static const char corpus[] = "tests/fuzz/corpus/gguf";
static const char stories[] = "../shared/data/models/stories260K.gguf";

static const struct hostile lies[] = {
    {"alignment-0.gguf",
     "...': key 'general.alignment': 0 is not a power of two of at most 1048576"},
    {"alignment-2g.gguf",
     "...': key 'general.alignment': 2147483648 is not a power of two of at most 1048576"},
    {"alignment-3.gguf",
     "...': key 'general.alignment': 3 is not a power of two of at most 1048576"},
    {"alignment-is-text.gguf", "...': key 'general.alignment': is not a whole number"},
    {"array-count-overflows.gguf", "...': key 'tokenizer.ggml.scores': its 2305843009213693953 "
                                   "elements run past the end of the file"},
    {"array-cut.gguf",
     "...': key 'tokenizer.ggml.scores': the file ends within the array's header"},
    {"array-of-arrays.gguf",
     "...': key 'tokenizer.ggml.tokens': arrays of arrays are not supported"},
    {"array-past-end.gguf",
     "...': key 'tokenizer.ggml.scores': its 1000 elements run past the end of the file"},
    {"array-string-past-end.gguf",
     "...': key 'tokenizer.ggml.tokens': its 3 elements run past the end of the file"},
    {"array-type-13.gguf", "...': key 'tokenizer.ggml.tokens': element type 13 does not exist"},
    {"big-endian.gguf", "...': version: big-endian GGUF files are not supported"},
    {"bool-array-of-2.gguf", "...': key 'general.flags': 2 is neither true nor false"},
    {"bool-of-2.gguf", "...': key 'general.flag': 2 is neither true nor false"},
    {"data-cut.gguf",
     "...': tensor 'output.weight': 128 bytes at 0 run past the end (64 bytes of data)"},
    {"data-missing.gguf",
     "...': tensor 'output.weight': 128 bytes at 0 run past the end (0 bytes of data)"},
    {"empty.gguf", "...': magic: not a GGUF file"},
    {"huge-key-count.gguf",
     "...': key count: 9223372036854775808 do not fit into the 45 bytes that follow"},
    {"huge-tensor-count.gguf",
     "...': tensor count: 18446744073709551615 do not fit into the 45 bytes that follow"},
    {"key-cut.gguf", "...': key 'general.name': the file ends before its type"},
    {"key-empty.gguf", "...': key 0 of 1: its name has 0 bytes"},
    {"key-length-overflows.gguf", "...': key 0 of 1: its name runs past the end"},
    {"key-twice.gguf", "...': key 'llama.block_count': appears twice"},
    {"magic-only.gguf", "...': header: the file ends within it"},
    {"more-keys-than-file.gguf", "...': key 1 of 2: its name runs past the end"},
    {"no-magic.gguf", "...': magic: not a GGUF file"},
    {"offset-misaligned.gguf", "...': tensor 'output.weight': offset 4 is not a multiple of 32"},
    {"offset-overflows.gguf", "...': tensor 'output.weight': 32 bytes at 18446744073709551584 run "
                              "past the end (64 bytes of data)"},
    {"offset-past-end.gguf",
     "...': tensor 'output.weight': 16 bytes at 1099511627776 run past the end (64 bytes of data)"},
    {"string-length-overflows.gguf",
     "...': key 'general.name': its value runs past the end of the file"},
    {"string-past-end.gguf", "...': key 'general.name': its value runs past the end of the file"},
    {"tensor-4g-dimensions.gguf",
     "...': tensor 'output.weight': 4294967295 dimensions, at most 4 are possible"},
    {"tensor-5-dimensions.gguf",
     "...': tensor 'output.weight': 5 dimensions, at most 4 are possible"},
    {"tensor-cut.gguf", "...': tensor 'output.weight': the file ends before its type"},
    {"tensor-cut-in-shape.gguf", "...': tensor 'output.weight': the file ends within its shape"},
    {"tensor-cut-before-offset.gguf",
     "...': tensor 'output.weight': the file ends before its offset"},
    {"tensor-dimension-0.gguf", "...': tensor 'output.weight': dimension 0 is 0"},
    {"tensor-dimension-negative.gguf", "...': tensor 'output.weight': dimension 1 is -4"},
    {"tensor-iq2-xxs.gguf", "...': tensor 'blk.0.ffn_up.weight': type IQ2_XXS is not supported"},
    {"tensor-name-empty.gguf", "...': tensor 0 of 1: its name is empty, too long or holds a NUL"},
    {"tensor-name-long.gguf", "...': tensor 0 of 1: its name is empty, too long or holds a NUL"},
    {"tensor-name-past-end.gguf", "...': tensor 0 of 1: its name runs past the end"},
    {"tensor-name-with-nul.gguf",
     "...': tensor 0 of 1: its name is empty, too long or holds a NUL"},
    {"tensor-odd-row.gguf",
     "...': tensor 'output.weight': rows of 33 values are not whole blocks of 32 (q4_0)"},
    {"tensor-shape-overflows.gguf", "...': tensor 'output.weight': its shape overflows 63 bits"},
    {"tensor-size-overflows.gguf", "...': tensor 'output.weight': its size overflows 64 bits"},
    {"tensor-twice.gguf", "...': tensor 'a': appears twice"},
    {"tensor-type-unknown.gguf", "...': tensor 'blk.0.ffn_up.weight': type 77777 is unknown"},
    {"tensors-overlap.gguf", "...': tensor 'b': its bytes overlap those of 'a'"},
    {"value-cut.gguf", "...': key 'llama.block_count': its value runs past the end of the file"},
    {"value-type-13.gguf", "...': key 'general.name': value type 13 does not exist"},
    {"version-1.gguf", "...': version: 1, only 2 and 3 are supported"},
    {"version-4.gguf", "...': version: 4, only 2 and 3 are supported"},
};

static bool try_open(const char *path, struct error *err)
{
    struct gguf *g = gguf_open(path, err);
    gguf_close(g);
    return g != NULL;
}

static void every_lie_is_told_by_name(void **state)
{
    (void)state;
    check_hostile(corpus, lies, sizeof lies / sizeof *lies, try_open);
}

static struct gguf *open_good(const char *name)
{
    char path[256];
    struct error err = {0};
    (void)snprintf(path, sizeof path, "%s/%s", corpus, name);
    struct gguf *g = gguf_open(path, &err);
    if (!g)
        fail_msg("%s", err.text);
    return g;
}

static void integers_of_any_width_are_read(void **state)
{
    (void)state;
    struct gguf *g = open_good("good-every-type.gguf");
    static const struct {
        const char *key;
        int64_t value;
    } want[] = {{"u8", 255},         {"i8", -1},  {"u16", 65535},    {"i16", -2},
                {"u32", UINT32_MAX}, {"i32", -3}, {"i64", INT64_MIN}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        int64_t v = 0;
        uint64_t u = 7;
        assert_true(gguf_get_i64(g, want[i].key, &v));
        assert_true(v == want[i].value);
        assert_int_equal(gguf_get_u64(g, want[i].key, &u), v >= 0);
        assert_true(v >= 0 ? u == (uint64_t)v : u == 7);
    }
    uint64_t u;
    int64_t i;
    assert_true(gguf_get_u64(g, "u64", &u) && u == UINT64_MAX);
    assert_false(gguf_get_i64(g, "u64", &i));  // does not fit
    assert_false(gguf_get_i64(g, "f32", &i));
    assert_false(gguf_get_i64(g, "yes", &i));
    assert_false(gguf_get_i64(g, "text", &i));
    assert_false(gguf_get_i64(g, "i8s", &i));
    assert_false(gguf_get_i64(g, "absent", &i));
    gguf_close(g);
}

static void other_scalars_are_read(void **state)
{
    (void)state;
    struct gguf *g = open_good("good-every-type.gguf");
    double d;
    bool b;
    struct slice s;
    assert_true(gguf_get_f64(g, "f32", &d) && d == 1.5);
    assert_true(gguf_get_f64(g, "f64", &d) && d == -0.25);
    assert_true(gguf_get_f64(g, "i32", &d) && d == -3);
    assert_false(gguf_get_f64(g, "text", &d));
    assert_true(gguf_get_bool(g, "yes", &b) && b);
    assert_true(gguf_get_bool(g, "no", &b) && !b);
    assert_false(gguf_get_bool(g, "u8", &b));
    assert_true(gguf_get_text(g, "text", &s) && slice_is(s, "gr\303\274n\n"));
    assert_true(gguf_get_text(g, "nothing", &s) && s.len == 0);
    assert_false(gguf_get_text(g, "texts", &s));
    gguf_close(g);
}

static void arrays_are_read_by_element(void **state)
{
    (void)state;
    struct gguf *g = open_good("good-every-type.gguf");
    const struct gguf_value *v = gguf_find(g, "texts");
    const unsigned char *cursor = v->data;
    struct slice s;
    double d;
    int64_t i;
    assert_int_equal(v->n, 3);
    assert_true(gguf_next_text(v, &cursor, &s) && slice_is(s, "a"));
    assert_true(gguf_next_text(v, &cursor, &s) && s.len == 0);
    assert_true(gguf_next_text(v, &cursor, &s) && slice_is(s, "ccc"));
    assert_false(gguf_next_text(v, &cursor, &s));
    assert_false(gguf_item_i64(v, 0, &i));
    v = gguf_find(g, "floats");
    cursor = v->data;
    assert_false(gguf_next_text(v, &cursor, &s));
    assert_true(gguf_item_f64(v, 1, &d) && d == 2.5);
    assert_false(gguf_item_i64(v, 1, &i));
    v = gguf_find(g, "bools");
    assert_true(gguf_item_i64(v, 0, &i) && i == 1);
    assert_true(gguf_item_i64(v, 1, &i) && i == 0);
    v = gguf_find(g, "i8s");
    assert_true(gguf_item_i64(v, 0, &i) && i == -128);
    assert_true(gguf_item_f64(v, 1, &d) && d == 127);
    v = gguf_find(g, "empty");
    cursor = v->data;
    assert_int_equal(v->n, 0);
    assert_false(gguf_next_text(v, &cursor, &s));
    gguf_close(g);
}

static void tensors_of_every_type_are_found(void **state)
{
    (void)state;
    struct gguf *g = open_good("good-every-type.gguf");
    size_t at = 0;
    const struct model_tensor *first = gguf_tensor(g, 0);
    assert_int_equal(gguf_n_tensors(g), DTYPE_COUNT - 1);  // all but F8_E4M3
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const struct model_tensor *t = gguf_tensor(g, i);
        const struct dtype_info *info = dtype_info(t->dtype);
        char name[16];
        (void)snprintf(name, sizeof name, "t%d", info->ggml_type);
        assert_string_equal(t->name, name);
        assert_ptr_equal(gguf_find_tensor(g, name), t);
        assert_int_equal(t->n_dims, 2);
        assert_int_equal(t->shape[0], 2);  // outermost first
        assert_int_equal(t->shape[1], info->block_len);
        assert_int_equal(t->bytes, 2 * info->block_bytes);
        assert_int_equal((const char *)t->data - (const char *)first->data, at);
        assert_int_equal(*(const unsigned char *)t->data, at * 7 % 256);
        at += (t->bytes + 31) / 32 * 32;
    }
    assert_null(gguf_find_tensor(g, "t9"));
    gguf_close(g);
}

static void alignment_key_moves_the_data(void **state)
{
    (void)state;
    struct gguf *g = open_good("good-alignment-64.gguf");
    struct gguf *v2 = open_good("good-v2.gguf");
    const unsigned char *first = gguf_tensor(g, 0)->data;
    assert_int_equal(first[-1], 0);
    assert_int_equal(first[0], 1);
    assert_int_equal(gguf_version(v2), 2);
    assert_int_equal(gguf_n_tensors(v2), 2);
    gguf_close(g);
    gguf_close(v2);
}

static void counts_have_limits_of_their_own(void **state)
{
    (void)state;
    size_t len = 24 + (size_t)(GGUF_TENSORS_MAX + 1) * 32;
    unsigned char *bytes = memory_new(1, len);
    struct error err;
    uint32_t version = 3;
    uint64_t n_tensors = 0, n_keys = GGUF_VALUES_MAX + 1;
    memcpy(bytes, "GGUF", 4);
    memcpy(bytes + 4, &version, 4);
    memcpy(bytes + 16, &n_keys, 8);
    assert_null(gguf_open_memory(bytes, len, &err));
    assert_string_equal(err.text, "key count: 65537, at most 65536 are possible");
    n_tensors = GGUF_TENSORS_MAX + 1;
    n_keys = 0;
    memcpy(bytes + 8, &n_tensors, 8);
    memcpy(bytes + 16, &n_keys, 8);
    assert_null(gguf_open_memory(bytes, len, &err));
    assert_string_equal(err.text, "tensor count: 131073, at most 131072 are possible");
    free(bytes);
}

static void names_cannot_break_the_line(void **state)
{
    (void)state;
    struct buf b = {0};
    struct error err;
    uint64_t n_tensors = 0, n_keys = 1, len = 300;
    uint32_t version = 3, type = 99;
    buf_add(&b, "GGUF", 4);
    buf_add(&b, &version, 4);
    buf_add(&b, &n_tensors, 8);
    buf_add(&b, &n_keys, 8);
    buf_add(&b, &len, 8);
    for (int i = 0; i < 300; i++)
        buf_char(&b, i % 3 ? 'x' : '\n');
    buf_add(&b, &type, 4);
    assert_null(gguf_open_memory(b.ptr, b.len, &err));
    assert_null(strchr(err.text, '\n'));
    assert_non_null(strstr(err.text, "value type 99 does not exist"));
    buf_release(&b);
}

// Keys may still be of use where tensors are not.
static void keys_open_without_their_tensors(void **state)
{
    (void)state;
    char path[256];
    struct error tensors = {0}, err = {0};
    struct slice s;
    (void)snprintf(path, sizeof path, "%s/tensor-iq2-xxs.gguf", corpus);
    struct gguf *g = gguf_open_keys(path, &tensors, &err);
    assert_non_null(g);
    assert_int_equal(tensors.code, ERR_UNSUPPORTED);
    assert_non_null(strstr(tensors.text, "tensor-iq2-xxs.gguf': tensor 'blk.0.ffn_up.weight'"));
    assert_int_equal(gguf_n_tensors(g), 0);
    assert_null(gguf_find_tensor(g, "blk.0.ffn_up.weight"));
    assert_true(gguf_get_text(g, "general.architecture", &s));
    gguf_close(g);
    (void)snprintf(path, sizeof path, "%s/good-v2.gguf", corpus);
    g = gguf_open_keys(path, &tensors, &err);
    assert_int_equal(tensors.code, ERR_NONE);
    assert_int_equal(gguf_n_tensors(g), 2);
    gguf_close(g);
}

static bool opens(const void *bytes, size_t len)
{
    struct error err = {0};
    void *exact = memory_new(1, len);  // so that a sanitizer sees one byte too far
    if (len)
        memcpy(exact, bytes, len);
    struct gguf *g = gguf_open_memory(exact, len, &err);
    if (!g)
        assert_true(err.text[0] && !strchr(err.text, '\n'));
    gguf_close(g);
    free(exact);
    return g != NULL;
}

static void no_cut_file_opens(void **state)
{
    (void)state;
    struct mapping m;
    struct error err;
    assert_true(mapping_open(&m, "tests/fuzz/corpus/gguf/good-every-type.gguf", &err));
    const size_t last = 2 * 17;  // bytes of the last tensor, MXFP4; its padding may be missing
    assert_true(opens(m.ptr, m.len));
    assert_true(opens(m.ptr, m.len - (64 - last)));
    for (size_t n = 0; n < m.len - (64 - last); n++)
        assert_false(opens(m.ptr, n));
    mapping_close(&m);
}

// The real file, where it is at hand: cut anywhere it is refused, flipped bits do no harm.
static void a_real_file_survives_cuts_and_flips(void **state)
{
    (void)state;
    struct mapping m;
    struct error err;
    if (!file_exists(stories)) {
        print_message("skip a_real_file_survives_cuts_and_flips: no %s\n", stories);
        skip();
    }
    assert_true(mapping_open(&m, stories, &err));
    assert_true(opens(m.ptr, m.len));
    for (int i = 0; i < 100; i++)
        assert_false(opens(m.ptr, hash_mix((uint64_t)i) % m.len));
    unsigned char *copy = memory_new(1, m.len);
    memcpy(copy, m.ptr, m.len);
    for (uint64_t i = 0; i < 3000; i++) {
        size_t at = hash_mix(i * 2) % 14208;  // all before the data
        copy[at] ^= (unsigned char)(1 + hash_mix(i * 2 + 1) % 255);
        gguf_close(gguf_open_memory(copy, m.len, &err));
        copy[at] = m.ptr[at];
    }
    free(copy);
    mapping_close(&m);
}

// --- writing --------------------------------------------------------------------------------

static char *scratch(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "/tmp/hearth-test-%ld-%s", (long)getpid(), name);
    return path;
}

static void copy_file(const struct gguf *from, const char *path)
{
    struct error err = {0};
    struct gguf_writer *w = gguf_writer_new();
    for (size_t i = 0; i < gguf_n_values(from); i++)
        gguf_write_value(w, gguf_value(from, i));
    for (size_t i = 0; i < gguf_n_tensors(from); i++) {
        const struct model_tensor *t = gguf_tensor(from, i);
        gguf_write_tensor(w, t->name, t->dtype, t->n_dims, t->shape);
    }
    bool ok = gguf_writer_begin(w, path, &err);
    assert_int_not_equal(access(path, F_OK), 0);  // not there before it is whole
    for (size_t i = 0; ok && i < gguf_n_tensors(from); i++) {
        const struct model_tensor *t = gguf_tensor(from, i);
        size_t half = (size_t)t->bytes / 2;
        ok = gguf_writer_data(w, t->data, half, &err) &&
             gguf_writer_data(w, (const char *)t->data + half, (size_t)t->bytes - half, &err);
    }
    if (!ok || !gguf_writer_finish(w, &err))
        fail_msg("%s", err.text);
    gguf_writer_free(w);
}

static void a_copy_is_the_same_file(void **state)
{
    (void)state;
    static const char *const names[] = {"good-every-type.gguf", "good-no-keys.gguf"};
    for (size_t i = 0; i < 2; i++) {
        char from[256];
        struct mapping a, b;
        struct error err;
        const char *path = scratch("copy.gguf");
        struct gguf *g = open_good(names[i]);
        copy_file(g, path);
        gguf_close(g);
        (void)snprintf(from, sizeof from, "%s/%s", corpus, names[i]);
        assert_true(mapping_open(&a, from, &err) && mapping_open(&b, path, &err));
        assert_int_equal(a.len, b.len);
        assert_memory_equal(a.ptr, b.ptr, a.len);
        mapping_close(&a);
        mapping_close(&b);
        assert_int_equal(unlink(path), 0);
    }
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct error err = {0};
    const char *path = scratch("typed.gguf");
    struct slice texts[] = {slice_str("<s>"), slice_str(""), slice_str("b")};
    float scores[] = {0.5f, -1, 2};
    int64_t shape[] = {2, 3};
    float data[6] = {1, 2, 3, 4, 5, 6};
    struct gguf_writer *w = gguf_writer_new();
    gguf_write_u32(w, "twice", 1);
    gguf_write_text(w, "name", slice_str("tiny"));
    gguf_write_texts(w, "tokens", texts, 3);
    gguf_write_array(w, "scores", GGUF_F32, scores, 3);
    gguf_write_i32(w, "i32", -5);
    gguf_write_f32(w, "f32", 0.25f);
    gguf_write_bool(w, "flag", true);
    gguf_write_u64(w, "u64", UINT64_MAX);
    gguf_write_u32(w, "twice", 2);
    gguf_write_tensor(w, "w", DTYPE_F32, 2, shape);
    assert_true(gguf_writer_begin(w, path, &err));
    assert_true(gguf_writer_data(w, data, sizeof data, &err));
    assert_true(gguf_writer_finish(w, &err));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, gguf_writer_bytes(w));
    gguf_writer_free(w);
    struct gguf *g = gguf_open(path, &err);
    assert_non_null(g);
    int64_t i;
    double d;
    bool b;
    struct slice s;
    assert_int_equal(gguf_n_values(g), 8);
    assert_true(gguf_get_i64(g, "twice", &i) && i == 2);
    assert_true(gguf_get_i64(g, "i32", &i) && i == -5);
    assert_true(gguf_get_f64(g, "f32", &d) && d == 0.25);
    assert_true(gguf_get_bool(g, "flag", &b) && b);
    assert_true(gguf_get_text(g, "name", &s) && slice_is(s, "tiny"));
    assert_int_equal(gguf_find(g, "tokens")->n, 3);
    assert_true(gguf_item_f64(gguf_find(g, "scores"), 2, &d) && d == 2);
    const struct model_tensor *t = gguf_find_tensor(g, "w");
    assert_true(t && t->shape[0] == 2 && t->shape[1] == 3);
    assert_memory_equal(t->data, data, sizeof data);
    gguf_close(g);
    assert_int_equal(unlink(path), 0);
}

static void failures_to_write_leave_nothing(void **state)
{
    (void)state;
    struct error err = {0};
    int64_t shape[] = {4};
    struct gguf_writer *w = gguf_writer_new();
    gguf_write_tensor(w, "w", DTYPE_F32, 1, shape);
    assert_false(gguf_writer_begin(w, "/nonexistent/x.gguf", &err));
    assert_string_equal(err.text, "write '/nonexistent/x.gguf': No such file or directory");
    gguf_writer_free(w);
    w = gguf_writer_new();
    assert_false(gguf_writer_begin(w, "/dev/null", &err));
    assert_string_equal(err.text, "write '/dev/null': not a regular file");
    gguf_writer_free(w);
    w = gguf_writer_new();
    gguf_write_tensor(w, "w", DTYPE_F32, 1, shape);
    gguf_write_tensor(w, "w", DTYPE_F16, 1, shape);
    assert_false(gguf_writer_begin(w, scratch("x.gguf"), &err));
    assert_string_equal(err.text, "tensor 'w': appears twice");
    gguf_writer_free(w);
    // abandoned half way
    w = gguf_writer_new();
    gguf_write_tensor(w, "w", DTYPE_F32, 1, shape);
    assert_true(gguf_writer_begin(w, scratch("x.gguf"), &err));
    char temporary[160];  // the name that the file has meanwhile, where it must have one
    (void)snprintf(temporary, sizeof temporary, "%s.%ld-0.tmp", scratch("x.gguf"), (long)getpid());
    assert_int_not_equal(access(scratch("x.gguf"), F_OK), 0);
    gguf_writer_free(w);
    assert_int_not_equal(access(temporary, F_OK), 0);
    assert_int_not_equal(access(scratch("x.gguf"), F_OK), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_lie_is_told_by_name),
    cmocka_unit_test(integers_of_any_width_are_read),
    cmocka_unit_test(other_scalars_are_read),
    cmocka_unit_test(arrays_are_read_by_element),
    cmocka_unit_test(tensors_of_every_type_are_found),
    cmocka_unit_test(alignment_key_moves_the_data),
    cmocka_unit_test(counts_have_limits_of_their_own),
    cmocka_unit_test(names_cannot_break_the_line),
    cmocka_unit_test(keys_open_without_their_tensors),
    cmocka_unit_test(no_cut_file_opens),
    cmocka_unit_test(a_real_file_survives_cuts_and_flips),
    cmocka_unit_test(a_copy_is_the_same_file),
    cmocka_unit_test(what_is_written_is_read),
    cmocka_unit_test(failures_to_write_leave_nothing),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
