// test_quantized.c - folders of weights that other libraries quantized, against numbers made from
// the formats' definitions (tools/golden/make_quantized.py).
//
// What is read must be the same bits: first what the file means in single precision, then what is
// kept of it in memory. Logits are those of a forward pass in double precision within what the
// type kept in memory costs, and those of the same folder written plain, bit for bit: always when
// both are loaded as F32, F16 or Q8_0, and where 16 bits are kept also as they are.
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "local/formats/model_file.h"
#include "local/models/convert.h"
#include "local/models/export.h"
#include "local/models/facts.h"
#include "local/models/model.h"
#include "local/models/tensors.h"
#include "local/quantize/mix.h"

#include "../../support/cpu_group.h"
#include "../../support/forward.h"
#include "../../support/tiny_model.h"

enum { TOKENS_MAX = 16, VOCAB_MAX = 64, N_PARTS = 7 };
static const char base[] = "tests/golden/data/quantized";
static const struct {
    enum tensor_role role;
    const char *name;
} parts[N_PARTS] = {
    {TENSOR_Q, "self_attn.q_proj"}, {TENSOR_K, "self_attn.k_proj"}, {TENSOR_V, "self_attn.v_proj"},
    {TENSOR_O, "self_attn.o_proj"}, {TENSOR_GATE, "mlp.gate_proj"}, {TENSOR_UP, "mlp.up_proj"},
    {TENSOR_DOWN, "mlp.down_proj"},
};

struct folder {
    char path[512];
    json_t *expected;
    struct model_file *file;
    struct model_facts facts;
};

static void folder_open(struct folder *f, const char *name)
{
    struct error err = {0};
    char path[600];
    (void)snprintf(f->path, sizeof f->path, "%s/%s", base, name);
    (void)snprintf(path, sizeof path, "%s/expected.json", f->path);
    f->expected = json_read_file(path, 1 << 20, &err);
    f->file = model_file_open(f->path, MODEL_ALL, &err);
    if (!f->expected || !f->file || !facts_read(f->file, &f->facts, &err))
        fail_msg("%s: %s", name, err.text);
}

static void folder_close(struct folder *f)
{
    json_decref(f->expected);
    model_file_close(f->file);
}

static int each_folder(void (*check)(const char *name))
{
    DIR *d = opendir(base);
    struct dirent *e;
    int n = 0;
    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.') {
            check(e->d_name);
            n++;
        }
    if (d)
        closedir(d);
    return n;
}

static void fnv_text(const float *numbers, size_t n, char out[17])
{
    uint64_t h = UINT64_C(0xCBF29CE484222325);
    const unsigned char *bytes = (const unsigned char *)numbers;
    for (size_t i = 0; i < n * sizeof *numbers; i++)
        h = (h ^ bytes[i]) * UINT64_C(0x100000001B3);
    (void)snprintf(out, 17, "%016llx", (unsigned long long)h);
}

static void check_hash(const char *name, const json_t *part, const char *key, const float *numbers,
                       size_t n)
{
    char have[17];
    fnv_text(numbers, n, have);
    const json_t *first = json_object_get(part, "first");
    if (strcmp(have, json_get_text(part, key)) != 0)
        fail_msg("%s: %s: other numbers: %g %g %g, expected about %g %g %g", name, key,
                 (double)numbers[0], (double)numbers[1], (double)numbers[2],
                 json_number_value(json_array_get(first, 0)),
                 json_number_value(json_array_get(first, 1)),
                 json_number_value(json_array_get(first, 2)));
}

static void check_part(const struct folder *f, const char *folder, int i)
{
    struct error err = {0};
    struct tensor_view v;
    char name[200];
    const json_t *part = json_object_get(json_object_get(f->expected, "weights"), parts[i].name);
    assert_non_null(part);
    (void)snprintf(name, sizeof name, "%s %s", folder, parts[i].name);
    if (!tensor_need(f->file, &f->facts, parts[i].role, 0, 0, &v, &err))
        fail_msg("%s: %s", name, err.text);
    size_t n = (size_t)(v.rows * v.cols);
    float *numbers = memory_array(float, n);
    tensor_view_numbers(&v, 0, v.rows, numbers);
    check_hash(name, part, "f32", numbers, n);
    const char *kept_as = json_get_text(part, "kept_as");
    if (strcmp(dtype_name(v.dtype), kept_as) != 0)
        fail_msg("%s is kept as %s, expected %s", name, dtype_name(v.dtype), kept_as);
    char *rows = memory_new(1, tensor_view_bytes(&v));
    tensor_view_read(&v, 0, v.rows, rows);
    dtype_to_f32(v.dtype, rows, numbers, n);
    check_hash(name, part, "kept", numbers, n);
    free(rows);
    free(numbers);
}

static void check_weights(const char *name)
{
    struct folder f;
    folder_open(&f, name);
    for (int i = 0; i < N_PARTS; i++)
        check_part(&f, name, i);
    folder_close(&f);
}

static void weights_are_what_the_formats_define(void **state)
{
    (void)state;
    assert_true(each_folder(check_weights) >= 20);
}

// Logits [n tokens, n vocab] of the model at that path.
static void logits_of(const char *path, const json_t *expected, const char *quantize, float *out,
                      int *n, int *width)
{
    struct error err = {0};
    struct forward f;
    int32_t tokens[TOKENS_MAX];
    const json_t *list = json_object_get(expected, "tokens");
    *n = (int)json_array_size(list);
    assert_true(*n <= TOKENS_MAX);
    for (int i = 0; i < *n; i++)
        tokens[i] = (int32_t)json_integer_value(json_array_get(list, (size_t)i));
    struct model_file *file = model_file_open(path, MODEL_ALL, &err);
    struct model_options o = {.max_rows = TOKENS_MAX, .max_wanted = TOKENS_MAX, .threads = 2};
    if (!convert_mix(quantize, &o.mix, &err))
        fail_msg("%s", err.text);
    struct model *m = file ? model_load(file, cpu, &o, &err) : NULL;
    if (!m)
        fail_msg("%s: %s", path, err.text);
    *width = model_n_vocab(m);
    assert_true(*width <= VOCAB_MAX);
    forward_open(&f, m, DTYPE_F32, 1, *n);
    forward_text(&f, tokens, *n, *n, *n, out);
    forward_close(&f);
    model_free(m);
    model_file_close(file);
}

// The largest difference from the reference, relative to the largest of its logits.
static double error_of(const json_t *expected, const float *logits, int n, int width)
{
    const json_t *rows = json_object_get(expected, "logits");
    double diff = 0, size = 0;
    for (int r = 0; r < 2; r++)
        for (int i = 0; i < width; i++) {
            double want =
                json_number_value(json_array_get(json_array_get(rows, (size_t)r), (size_t)i));
            diff = fmax(diff, fabs(want - (double)logits[(n - 2 + r) * width + i]));
            size = fmax(size, fabs(want));
        }
    return diff / size;
}

// Blocks meet activations of 8 bits, which cost more than the weights; with a minimum, sums of
// large numbers cancel.
static double most_error(const char *kept_as)
{
    if (kept_as[0] == 'q')
        return strcmp(kept_as, "q4_1") == 0 ? 0.06 : 0.03;
    return strcmp(kept_as, "bf16") == 0 ? 0.01 : 0.001;
}

static const char *kept_as_of(const struct folder *f)
{
    const json_t *weights = json_object_get(f->expected, "weights");
    return json_get_text(json_object_get(weights, parts[0].name), "kept_as");
}

static void check_logits(const char *name)
{
    struct folder f;
    float logits[TOKENS_MAX * VOCAB_MAX];
    int n, width;
    folder_open(&f, name);
    logits_of(f.path, f.expected, NULL, logits, &n, &width);
    double e = error_of(f.expected, logits, n, width);
    print_message("%-20s kept as %-5s relative error %.1e\n", name, kept_as_of(&f), e);
    if (!(e < most_error(kept_as_of(&f))))
        fail_msg("%s: relative error of logits %g", name, e);
    folder_close(&f);
}

static void logits_are_the_references(void **state)
{
    (void)state;
    assert_true(each_folder(check_logits) >= 20);
}

static void put(const char *folder, const char *name, const void *bytes, size_t len)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void add_tensor(struct buf *header, struct buf *data, const char *name, const char *type,
                       int64_t rows, int64_t cols, const void *bytes, size_t len)
{
    char shape[64];
    (void)snprintf(shape, sizeof shape, rows ? "%lld,%lld" : "%.0lld%lld", (long long)rows,
                   (long long)cols);
    buf_printf(header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
               header->len ? "," : "{", name, type, shape, data->len, data->len + len);
    buf_add(data, bytes, len);
}

static const char *safetensors_type(enum dtype type)
{
    return type == DTYPE_F32 ? "F32" : type == DTYPE_F16 ? "F16" : "BF16";
}

static void add_part(const struct folder *f, int i, bool as_kept, struct buf *header,
                     struct buf *data)
{
    struct error err;
    struct tensor_view v;
    char name[120];
    assert_true(tensor_need(f->file, &f->facts, parts[i].role, 0, 0, &v, &err));
    size_t n = (size_t)(v.rows * v.cols), bytes = as_kept ? tensor_view_bytes(&v) : n * 4;
    char *rows = memory_new(1, bytes);
    if (as_kept)
        tensor_view_read(&v, 0, v.rows, rows);
    else
        tensor_view_numbers(&v, 0, v.rows, (float *)(void *)rows);
    (void)snprintf(name, sizeof name, "model.layers.0.%s.weight", parts[i].name);
    add_tensor(header, data, name, safetensors_type(as_kept ? v.dtype : DTYPE_F32), v.rows, v.cols,
               rows, bytes);
    free(rows);
}

// The same model with plain weights: as they are kept (16 bits), or in single precision.
static void write_plain(const struct folder *f, const char *folder, bool as_kept)
{
    static const char *const others[] = {"embed_tokens", "norm", "layers.0.input_layernorm",
                                         "layers.0.post_attention_layernorm"};
    struct buf header = {0}, data = {0}, all = {0};
    char name[120];
    for (int i = 0; i < 4; i++) {
        (void)snprintf(name, sizeof name, "model.%s.weight", others[i]);
        const struct model_tensor *t = model_file_find(f->file, name);
        assert_non_null(t);
        bool matrix = t->n_dims == 2;
        add_tensor(&header, &data, name, safetensors_type(t->dtype), matrix ? t->shape[0] : 0,
                   t->shape[matrix], t->data, t->bytes);
    }
    for (int i = 0; i < N_PARTS; i++)
        add_part(f, i, as_kept, &header, &data);
    buf_char(&header, '}');
    while (header.len % 8)
        buf_char(&header, ' ');
    uint64_t len = header.len;
    buf_add(&all, &len, sizeof len);
    buf_slice(&all, buf_view(&header));
    buf_slice(&all, buf_view(&data));
    put(folder, "model.safetensors", all.ptr, all.len);
    json_t *config = json_deep_copy(model_file_config(f->file));
    (void)json_object_del(config, "quantization_config");
    buf_clear(&all);
    json_write(&all, config, JSON_STYLE_COMPACT);
    put(folder, "config.json", all.ptr, all.len);
    json_decref(config);
    buf_release(&header);
    buf_release(&data);
    buf_release(&all);
}

// Logits of the folder against those of the plain one, both loaded as `quantize` says.
static void check_same(const struct folder *f, const char *name, bool as_kept, const char *quantize)
{
    float logits[TOKENS_MAX * VOCAB_MAX], plain[TOKENS_MAX * VOCAB_MAX];
    int n, width;
    char *folder = temp_folder();
    write_plain(f, folder, as_kept);
    logits_of(f->path, f->expected, quantize, logits, &n, &width);
    logits_of(folder, f->expected, quantize, plain, &n, &width);
    if (memcmp(logits, plain, (size_t)n * (size_t)width * sizeof *logits) != 0)
        fail_msg("%s: other logits than the plain folder's", name);
    temp_folder_remove(folder);
}

static void check_plain(const char *name)
{
    struct folder f;
    folder_open(&f, name);
    if (kept_as_of(&f)[0] != 'q')
        check_same(&f, name, true, NULL);
    check_same(&f, name, false, "f32");
    check_same(&f, name, false, "f16");
    if (strcmp(kept_as_of(&f), "q8_0") != 0)  // else nothing is rounded again
        check_same(&f, name, false, "q8_0");
    folder_close(&f);
}

static void plain_folders_answer_the_same(void **state)
{
    (void)state;
    (void)each_folder(check_plain);
}

// Written as a GGUF file, a weight that already has the type is not rounded again: the file
// answers as the folder does when it is loaded so (but for the order of sums: heads are reordered).
static void check_exported(const char *name)
{
    struct error err = {0};
    struct folder f;
    float logits[TOKENS_MAX * VOCAB_MAX], again[TOKENS_MAX * VOCAB_MAX];
    char path[600];
    int n, width;
    folder_open(&f, name);
    char *folder = temp_folder();
    static const char *const types[] = {"f32", "q8_0", "q4_0"};
    for (int t = 0; t < 3; t++) {
        struct export_options o = {.mix = mix_find(types[t]), .threads = 1 + t, .name = "tiny"};
        (void)snprintf(path, sizeof path, "%s/%s.gguf", folder, types[t]);
        if (!model_export(f.file, path, &o, &err))
            fail_msg("%s: %s", name, err.text);
        logits_of(f.path, f.expected, types[t], logits, &n, &width);
        logits_of(path, f.expected, NULL, again, &n, &width);
        for (int i = 0; i < n * width; i++)
            if (!(fabsf(logits[i] - again[i]) < 1e-4f))
                fail_msg("%s as %s: logit %d is %g in the file, %g loaded", name, types[t], i,
                         (double)again[i], (double)logits[i]);
    }
    temp_folder_remove(folder);
    folder_close(&f);
}

static void files_written_from_them_answer_the_same(void **state)
{
    (void)state;
    (void)each_folder(check_exported);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_what_the_formats_define),
        cmocka_unit_test(logits_are_the_references),
        cmocka_unit_test(plain_folders_answer_the_same),
        cmocka_unit_test(files_written_from_them_answer_the_same),
    };
    return cmocka_run_group_tests(tests, cpu_start, cpu_stop);
}
