// test_export.c - folders written as GGUF files: the same answers as transformers gives for the
// folder, for every family; rounded types within their rounding.
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "local/formats/gguf.h"
#include "local/formats/model_file.h"
#include "local/models/export.h"
#include "local/models/model.h"
#include "local/quantize/mix.h"

#include "../../support/cpu_group.h"
#include "../../support/forward.h"
#include "../../support/tiny_model.h"

static void export_to(const char *from, const char *to, const char *mix)
{
    struct error err = {0};
    struct model_file *file = model_file_open(from, MODEL_ALL, &err);
    struct export_options o = {.mix = mix_find(mix), .name = "tiny"};
    if (!file || !model_export(file, to, &o, &err))
        fail_msg("%s", err.text);
    model_file_close(file);
}

// Relative error of the golden's last stated row of logits, computed from a model on disk.
static double error_of(const json_t *golden, const char *path)
{
    struct error err = {0};
    struct forward f;
    int32_t tokens[256];
    const json_t *logits = json_object_get(golden, "logits");
    const json_t *row = json_array_get(json_object_get(logits, "rows"), 1);
    size_t last =
        (size_t)json_integer_value(json_array_get(json_object_get(logits, "positions"), 1));
    const json_t *all = json_object_get(golden, "tokens");
    int n = (int)json_array_size(all);
    assert_true(n <= 256 && last < (size_t)n);
    for (int i = 0; i < n; i++)
        tokens[i] = (int32_t)json_integer_value(json_array_get(all, (size_t)i));
    struct model_file *file = model_file_open(path, MODEL_ALL, &err);
    struct model_options o = {.max_rows = 256, .max_wanted = 256};
    struct model *m = file ? model_load(file, cpu, &o, &err) : NULL;
    if (!m)
        fail_msg("%s: %s", path, err.text);
    size_t width = (size_t)model_n_vocab(m);
    assert_int_equal(width, json_array_size(row));
    float *out = memory_array(float, (size_t)n *width);
    forward_open(&f, m, DTYPE_F32, 1, n);
    forward_text(&f, tokens, n, n, n, out);
    forward_close(&f);
    double diff = 0, size = 0;
    for (size_t k = 0; k < width; k++) {
        double want = json_number_value(json_array_get(row, k));
        diff = fmax(diff, fabs(want - (double)out[last * width + k]));
        size = fmax(size, fabs(want));
    }
    free(out);
    model_free(m);
    model_file_close(file);
    return diff / size;
}

// Writes the golden's folder and its GGUF file of that type; gives the file's path.
static char *make_gguf(const json_t *golden, const char *folder, const char *mix)
{
    char path[512];
    tiny_model_write(golden, folder, NULL);
    (void)snprintf(path, sizeof path, "%s/%s.gguf", folder, mix);
    export_to(folder, path, mix);
    return memory_text(path);
}

static void check_f32(const char *name, double *worst)
{
    json_t *golden = tiny_golden(name);
    char *folder = temp_folder(), *path = make_gguf(golden, folder, "f32");
    double e = error_of(golden, path);
    print_message("%-24s relative error %.1e\n", name, e);
    if (!(e < 1e-4))
        fail_msg("%s: relative error %g", name, e);
    *worst = fmax(*worst, e);
    free(path);
    temp_folder_remove(folder);
    json_decref(golden);
}

static void f32_files_answer_as_transformers_does_for_the_folder(void **state)
{
    (void)state;
    DIR *d = opendir("tests/golden/data/models");
    struct dirent *e;
    double worst = 0;
    int n = 0;
    while (d && (e = readdir(d))) {
        size_t len = strlen(e->d_name);
        if (len <= 5 || strcmp(e->d_name + len - 5, ".json") != 0)
            continue;
        char *name = memory_text_n(e->d_name, len - 5);
        check_f32(name, &worst);
        free(name);
        n++;
    }
    if (d)
        closedir(d);
    assert_true(n >= 30);
    print_message("%d files, largest relative error %.1e\n", n, worst);
}

static void rounded_files_answer_within_their_rounding(void **state)
{
    (void)state;
    static const struct {
        const char *mix;
        double most;
    } types[] = {{"f16", 0.005}, {"bf16", 0.05}, {"q8_0", 0.1}, {"q5_0", 0.5}, {"q4_0", 0.9}};
    json_t *golden = tiny_golden("llama-llama3");  // 64 wide: whole blocks
    char *folder = temp_folder();
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char *path = make_gguf(golden, folder, types[i].mix);
        double e = error_of(golden, path);
        print_message("%s relative error %.1e\n", types[i].mix, e);
        assert_true(e > 0 && e < types[i].most);
        free(path);
    }
    temp_folder_remove(folder);
    json_decref(golden);
}

static void check_type(const struct model_file *m, const char *name, enum dtype type)
{
    const struct model_tensor *t = model_file_find(m, name);
    assert_non_null(t);
    if (t->dtype != type)
        fail_msg("%s is %s, not %s", name, dtype_name(t->dtype), dtype_name(type));
}

static void q4_0_files_keep_vectors_and_output_wider(void **state)
{
    (void)state;
    struct error err;
    json_t *golden = tiny_golden("llama-llama3");
    char *folder = temp_folder(), *path = make_gguf(golden, folder, "q4_0");
    struct model_file *m = model_file_open(path, MODEL_ALL, &err);
    assert_non_null(m);
    check_type(m, "token_embd.weight", DTYPE_Q4_0);
    check_type(m, "output.weight", DTYPE_Q8_0);
    check_type(m, "blk.0.attn_q.weight", DTYPE_Q4_0);
    check_type(m, "blk.0.attn_norm.weight", DTYPE_F32);
    check_type(m, "rope_freqs.weight", DTYPE_F32);
    check_type(m, "blk.0.ffn_down.weight", DTYPE_F16);  // rows of 100
    uint64_t file_type = 0;
    assert_true(gguf_get_u64(model_file_gguf(m), "general.file_type", &file_type));
    assert_int_equal(file_type, 2);
    model_file_close(m);
    free(path);
    temp_folder_remove(folder);
    json_decref(golden);
}

static void a_gguf_file_can_be_written_again(void **state)
{
    (void)state;
    char again[512], widened[512];
    json_t *golden = tiny_golden("mixtral");
    char *folder = temp_folder(), *path = make_gguf(golden, folder, "f32");
    (void)snprintf(again, sizeof again, "%s/again.gguf", folder);
    (void)snprintf(widened, sizeof widened, "%s/widened.gguf", folder);
    export_to(path, again, "f32");
    assert_true(error_of(golden, again) < 1e-4);
    export_to(path, again, "bf16");
    export_to(again, widened, "f32");
    assert_true(error_of(golden, widened) == error_of(golden, again));
    free(path);
    temp_folder_remove(folder);
    json_decref(golden);
}

static bool cancel(void *self, uint64_t done, uint64_t total)
{
    assert_true(done <= total);
    return ++*(int *)self < 3;
}

static void a_cancelled_export_leaves_no_file(void **state)
{
    (void)state;
    char path[512];
    struct error err = {0};
    int calls = 0;
    json_t *golden = tiny_golden("qwen2");
    char *folder = temp_folder();
    tiny_model_write(golden, folder, NULL);
    (void)snprintf(path, sizeof path, "%s/none.gguf", folder);
    struct model_file *file = model_file_open(folder, MODEL_ALL, &err);
    struct export_options o = {.mix = mix_find("f32"), .progress = cancel, .progress_self = &calls};
    assert_false(model_export(file, path, &o, &err));
    assert_int_equal(err.code, ERR_CANCELLED);
    assert_false(file_exists(path));
    model_file_close(file);
    temp_folder_remove(folder);
    json_decref(golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f32_files_answer_as_transformers_does_for_the_folder),
        cmocka_unit_test(rounded_files_answer_within_their_rounding),
        cmocka_unit_test(q4_0_files_keep_vectors_and_output_wider),
        cmocka_unit_test(a_gguf_file_can_be_written_again),
        cmocka_unit_test(a_cancelled_export_leaves_no_file),
    };
    return cmocka_run_group_tests(tests, cpu_start, cpu_stop);
}
