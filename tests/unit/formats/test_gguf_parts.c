// test_gguf_parts.c - a model in several GGUF files is the model that was split.
//
// Parts are written as llama.cpp's gguf-split does: the first holds the keys, every part says its
// number, the count and the number of tensors in all. Each lie is one change of that.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../support/folder_blob.h"
#include "base/error.h"
#include "base/mapping.h"
#include "local/formats/gguf.h"
#include "local/formats/gguf_parts.h"
#include "local/formats/gguf_write.h"
#include "local/formats/model_file.h"
#include "local/models/export.h"
#include "local/quantize/mix.h"
#include "local/tensor/dtype.h"

static const char whole_path[] = "models/hearth-small.gguf";
enum { N_PARTS = 3 };
static char folder[64];  // made anew for each test

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

static const char *part_path(int number)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/m-%05d-of-%05d.gguf", folder, number, N_PARTS);
    return path;
}

// What a part says of itself; a test changes one thing.
struct part {
    int number;  // from 1, as in its name
    uint32_t no, count, total;
    bool keys;         // those of the whole model
    const char *name;  // general.name instead
    size_t first, n;   // its tensors
};

static void write_part(const struct gguf *whole, const struct part *p)
{
    struct error err = {0};
    struct gguf_writer *w = gguf_writer_new();
    for (size_t i = 0; p->keys && i < gguf_n_values(whole); i++)
        gguf_write_value(w, gguf_value(whole, i));
    if (p->name)
        gguf_write_text(w, "general.name", slice_str(p->name));
    gguf_write_u32(w, "split.no", p->no);
    gguf_write_u32(w, "split.count", p->count);
    gguf_write_u32(w, "split.tensors.count", p->total);
    for (size_t i = p->first; i < p->first + p->n; i++) {
        const struct model_tensor *t = gguf_tensor(whole, i);
        gguf_write_tensor(w, t->name, t->dtype, t->n_dims, t->shape);
    }
    bool ok = gguf_writer_begin(w, part_path(p->number), &err);
    for (size_t i = p->first; ok && i < p->first + p->n; i++)
        ok = gguf_writer_data(w, gguf_tensor(whole, i)->data, gguf_tensor(whole, i)->bytes, &err);
    if (!ok || !gguf_writer_finish(w, &err))
        fail_msg("%s", err.text);
    gguf_writer_free(w);
}

// Fills parts[0..2] as they should be.
static void plan(const struct gguf *whole, struct part *parts)
{
    size_t n = gguf_n_tensors(whole);
    for (int i = 0; i < N_PARTS; i++)
        parts[i] = (struct part){.number = i + 1,
                                 .no = (uint32_t)i,
                                 .count = N_PARTS,
                                 .total = (uint32_t)n,
                                 .keys = i == 0,
                                 .first = n * (size_t)i / N_PARTS,
                                 .n = n * (size_t)(i + 1) / N_PARTS - n * (size_t)i / N_PARTS};
}

static struct gguf *open_whole(void)
{
    struct error err = {0};
    struct gguf *g = gguf_open(whole_path, &err);
    if (!g)
        fail_msg("%s", err.text);
    return g;
}

static void split(const struct part *changed)
{
    struct part parts[N_PARTS];
    struct gguf *whole = open_whole();
    plan(whole, parts);
    for (int i = 0; i < N_PARTS; i++)
        write_part(whole, changed && changed->number == i + 1 ? changed : &parts[i]);
    gguf_close(whole);
}

static void names_tell_stem_number_and_count(void **state)
{
    (void)state;
    struct gguf_part_name n;
    char path[64];
    assert_true(gguf_part_name("a/b-00002-of-00013.gguf", &n));
    assert_int_equal(n.stem_len, 3);
    assert_int_equal(n.number, 2);
    assert_int_equal(n.count, 13);
    assert_true(gguf_part_path("a/b-00002-of-00013.gguf", &n, 13, path, sizeof path));
    assert_string_equal(path, "a/b-00013-of-00013.gguf");
    assert_false(gguf_part_path("a/b-00002-of-00013.gguf", &n, 13, path, 10));
    static const char *const others[] = {"b.gguf",
                                         "",
                                         "-00001-of-00002.gguf",
                                         "a/-00001-of-00002.gguf",
                                         "b-0001-of-00002.gguf",
                                         "b-00001-of-00002.GGUF",
                                         "b-00001-of-0000x.gguf",
                                         "b-00001-of-00002.gguf.part"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(gguf_part_name(others[i], &n));
}

static void assert_same_tensors(const struct model_file *m)
{
    struct gguf *whole = open_whole();
    assert_int_equal(model_file_n_tensors(m), gguf_n_tensors(whole));
    for (size_t i = 0; i < gguf_n_tensors(whole); i++) {
        const struct model_tensor *a = gguf_tensor(whole, i), *b = model_file_find(m, a->name);
        assert_non_null(b);
        assert_int_equal(a->dtype, b->dtype);
        assert_int_equal(a->n_dims, b->n_dims);
        assert_memory_equal(a->shape, b->shape, sizeof a->shape);
        assert_int_equal(a->bytes, b->bytes);
        assert_memory_equal(a->data, b->data, a->bytes);
    }
    gguf_close(whole);
}

static void any_part_opens_the_whole_model(void **state)
{
    (void)state;
    struct error err = {0};
    struct slice arch;
    split(NULL);
    for (int i = 1; i <= N_PARTS; i++) {
        struct model_file *m = model_file_open(part_path(i), MODEL_ALL, &err);
        if (!m)
            fail_msg("%s", err.text);
        assert_same_tensors(m);
        assert_true(gguf_get_text(model_file_gguf(m), "general.architecture", &arch));
        assert_true(slice_is(arch, "llama"));
        assert_true(model_file_chat_template(m, NULL).len > 0);
        for (int k = 1; k <= N_PARTS; k++)
            assert_true(model_file_is_at(m, part_path(k)));
        assert_false(model_file_is_at(m, whole_path));
        model_file_close(m);
    }
}

static void exported_parts_are_one_file(void **state)
{
    (void)state;
    struct error err = {0};
    char path[128];
    uint64_t n;
    split(NULL);
    struct model_file *m = model_file_open(part_path(1), MODEL_ALL, &err);
    assert_non_null(m);
    struct export_options o = {.mix = mix_find("q8_0")};
    assert_false(model_export(m, part_path(2), &o, &err));
    assert_int_equal(err.code, ERR_USAGE);
    (void)snprintf(path, sizeof path, "%s/one.gguf", folder);
    if (!model_export(m, path, &o, &err))
        fail_msg("%s", err.text);
    model_file_close(m);
    m = model_file_open(path, MODEL_ALL, &err);
    assert_non_null(m);
    assert_same_tensors(m);
    assert_false(gguf_get_u64(model_file_gguf(m), "split.count", &n));
    model_file_close(m);
}

// Opening any part must fail with this in the text; without weights the keys are still there.
static void assert_told(const char *text, bool keys)
{
    struct error err = {0};
    for (int i = 1; i <= N_PARTS; i++) {
        if (access(part_path(i), F_OK) != 0)
            continue;
        assert_null(model_file_open(part_path(i), MODEL_ALL, &err));
        if (!strstr(err.text, text))
            fail_msg("part %d: '%s' does not hold '%s'", i, err.text, text);
    }
    struct model_file *m = model_file_open(part_path(1), MODEL_NO_WEIGHTS, &err);
    assert_int_equal(m != NULL, keys);
    if (m) {
        assert_int_equal(model_file_n_tensors(m), 0);
        assert_non_null(strstr(model_file_weights_error(m)->text, text));
    }
    model_file_close(m);
}

static void a_missing_part_is_named(void **state)
{
    (void)state;
    split(NULL);
    (void)unlink(part_path(2));
    assert_told("part 2 of 3 is missing: '", true);
    assert_told("m-00002-of-00003.gguf'", true);
    split(NULL);
    (void)unlink(part_path(1));
    assert_told("part 1 of 3 is missing: '", false);
}

// The parts as they are before a test changes one.
static void plan_small(struct part parts[N_PARTS])
{
    struct gguf *whole = open_whole();
    plan(whole, parts);
    gguf_close(whole);
}

static void a_part_in_anothers_place_is_told(void **state)
{
    (void)state;
    struct part parts[N_PARTS];
    plan_small(parts);
    struct part second = parts[2];  // the third part under the second one's name
    second.number = 2;
    split(&second);
    assert_told("its name says part 2 of 3, its keys number 2 of 3 (from 0)", true);
}

static void a_wrong_count_is_told(void **state)
{
    (void)state;
    struct part parts[N_PARTS];
    plan_small(parts);
    parts[2].count = 4;
    split(&parts[2]);
    assert_told("its name says part 3 of 3, its keys number 2 of 4 (from 0)", true);
    parts[2].count = 3;
    parts[2].n--;
    split(&parts[2]);
    assert_told("their key 'split.tensors.count' says", true);
    parts[0].count = GGUF_PARTS_MAX + 1;
    split(&parts[0]);
    struct error err = {0};
    assert_null(model_file_open(part_path(1), MODEL_ALL, &err));
    assert_int_equal(err.code, ERR_LIMIT);
}

static void parts_of_two_models_are_told(void **state)
{
    (void)state;
    struct part parts[N_PARTS];
    plan_small(parts);
    parts[1].name = "another";
    split(&parts[1]);
    assert_told("part 2: it belongs to another model than the first part", true);
    parts[1].name = NULL;
    parts[1].total++;
    split(&parts[1]);
    assert_told("part 2: it belongs to another model than the first part", true);
    parts[1].total--;
    parts[1].first = 0;  // the first part's tensors once more
    split(&parts[1]);
    assert_told("appears twice", true);
}

static void a_cut_part_is_told(void **state)
{
    (void)state;
    split(NULL);
    assert_int_equal(truncate(part_path(3), 100), 0);
    assert_told("m-00003-of-00003.gguf'", true);
    split(NULL);
    assert_int_equal(truncate(part_path(3), 0), 0);
    assert_told("m-00003-of-00003.gguf'", true);
}

static void a_first_part_may_hold_keys_only(void **state)
{
    (void)state;
    struct error err = {0};
    struct part parts[N_PARTS];
    struct gguf *whole = open_whole();
    plan(whole, parts);
    parts[1].first = 0;
    parts[1].n += parts[0].n;
    parts[0].n = 0;
    for (int i = 0; i < N_PARTS; i++)
        write_part(whole, &parts[i]);
    gguf_close(whole);
    struct model_file *m = model_file_open(part_path(2), MODEL_ALL, &err);
    if (!m)
        fail_msg("%s", err.text);
    assert_same_tensors(m);
    model_file_close(m);
}

// The first bytes of each part tell what all of them would, but for the data.
static void starts_of_parts_tell_names_and_shapes(void **state)
{
    (void)state;
    struct error err = {0};
    struct mapping maps[N_PARTS];
    struct file_start starts[N_PARTS];
    split(NULL);
    for (int i = 0; i < N_PARTS; i++) {
        assert_true(mapping_open(&maps[i], part_path(i + 1), &err));
        starts[i] = (struct file_start){maps[i].ptr, i ? 4096 : 1 << 20, maps[i].len};
    }
    struct model_file *m = model_file_open_starts("m", starts, N_PARTS, &err);
    if (!m)
        fail_msg("%s", err.text);
    struct gguf *whole = open_whole();
    assert_int_equal(model_file_n_tensors(m), gguf_n_tensors(whole));
    for (size_t i = 0; i < gguf_n_tensors(whole); i++) {
        const struct model_tensor *t = model_file_find(m, gguf_tensor(whole, i)->name);
        assert_int_equal(t->bytes, gguf_tensor(whole, i)->bytes);
        assert_null(t->data);
    }
    gguf_close(whole);
    model_file_close(m);
    starts[0].len = 100000;  // within the vocabulary
    assert_null(model_file_open_starts("m", starts, N_PARTS, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    starts[0].len = 1 << 20;
    starts[1].file_bytes = 8192;  // a file too small for the tensors it lists
    assert_null(model_file_open_starts("m", starts, N_PARTS, &err));
    assert_non_null(strstr(err.text, "part 2 of 3"));
    assert_null(model_file_open_starts("m", starts, 1, &err));
    for (int i = 0; i < N_PARTS; i++)
        mapping_close(&maps[i]);
}

static void the_name_of_a_single_file_means_nothing(void **state)
{
    (void)state;
    struct error err = {0};
    struct gguf *whole = open_whole();
    struct part alone = {
        .number = 2, .count = 1, .keys = true, .n = gguf_n_tensors(whole), .total = 1};
    write_part(whole, &alone);
    gguf_close(whole);
    struct model_file *m = model_file_open(part_path(2), MODEL_ALL, &err);
    if (!m)
        fail_msg("%s", err.text);
    assert_same_tensors(m);
    model_file_close(m);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(names_tell_stem_number_and_count),
    WITH_FOLDER(any_part_opens_the_whole_model),
    WITH_FOLDER(exported_parts_are_one_file),
    WITH_FOLDER(a_missing_part_is_named),
    WITH_FOLDER(a_part_in_anothers_place_is_told),
    WITH_FOLDER(a_wrong_count_is_told),
    WITH_FOLDER(parts_of_two_models_are_told),
    WITH_FOLDER(a_cut_part_is_told),
    WITH_FOLDER(a_first_part_may_hold_keys_only),
    WITH_FOLDER(starts_of_parts_tell_names_and_shapes),
    WITH_FOLDER(the_name_of_a_single_file_means_nothing),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
