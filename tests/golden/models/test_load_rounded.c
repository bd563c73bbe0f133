// test_load_rounded.c - weights rounded while they load: the same logits as from the file that the
// exporter writes in that type, whatever the model came from and however many threads convert.
//
// Where a family's heads are reordered for GGUF (llama), or its rope becomes factors, sums run in
// another order: a folder then agrees with its file within that rounding, a GGUF file always in
// every bit. Now and then such a difference tips an activation's rounding to 8 bits over, which
// shows from that token on.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "local/formats/model_file.h"
#include "local/models/convert.h"
#include "local/models/export.h"
#include "local/models/model.h"
#include "local/quantize/mix.h"

#include "../../support/cpu_group.h"
#include "../../support/forward.h"
#include "../../support/tiny_model.h"

enum { N_TOKENS = 20, VOCAB_MAX = 160 };

static const struct mix *mix_named(const char *name)
{
    struct error err;
    const struct mix *mix;
    if (!convert_mix(name, &mix, &err))
        fail_msg("%s", err.text);
    return mix;
}

// Logits of the golden's first tokens, [N_TOKENS, vocab]; gives how many. In memory, *bytes.
static size_t logits_of(const json_t *golden, const char *path, const struct mix *mix, int threads,
                        float *out, uint64_t *bytes)
{
    struct error err = {0};
    struct forward f;
    int32_t tokens[N_TOKENS];
    const json_t *all = json_object_get(golden, "tokens");
    for (size_t i = 0; i < N_TOKENS; i++)
        tokens[i] = (int32_t)json_integer_value(json_array_get(all, i));
    struct model_file *file = model_file_open(path, MODEL_ALL, &err);
    struct model_options o = {
        .max_rows = N_TOKENS, .max_wanted = N_TOKENS, .mix = mix, .threads = threads};
    struct model *m = file ? model_load(file, cpu, &o, &err) : NULL;
    if (!m)
        fail_msg("%s: %s", path, err.text);
    size_t n = (size_t)model_n_vocab(m) * N_TOKENS;
    assert_true(model_n_vocab(m) <= VOCAB_MAX);
    *bytes = model_weight_bytes(m);
    if (mix)
        assert_int_equal(model_kv_default(m), mix == mix_named("f32") ? DTYPE_F32 : DTYPE_F16);
    forward_open(&f, m, DTYPE_F32, 1, N_TOKENS);
    forward_text(&f, tokens, N_TOKENS, N_TOKENS, N_TOKENS, out);
    forward_close(&f);
    model_free(m);
    model_file_close(file);
    return n;
}

static void export_to(const char *from, const char *to, const char *type)
{
    struct error err = {0};
    struct model_file *file = model_file_open(from, MODEL_ALL, &err);
    struct export_options o = {.mix = mix_named(type), .name = "tiny"};
    if (!file || !model_export(file, to, &o, &err))
        fail_msg("%s", err.text);
    model_file_close(file);
}

static double difference(const float *a, const float *b, size_t n)
{
    double diff = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        diff = fmax(diff, fabs((double)a[i] - (double)b[i]));
        size = fmax(size, fabs((double)a[i]));
    }
    return diff / size;
}

static void check_golden(const json_t *golden, const char *name, const char *type, double most)
{
    static float loaded[N_TOKENS * VOCAB_MAX], written[N_TOKENS * VOCAB_MAX];
    uint64_t loaded_bytes, written_bytes;
    char whole[512], file[512];
    char *folder = temp_folder();
    tiny_model_write(golden, folder, NULL);
    (void)snprintf(whole, sizeof whole, "%s/f32.gguf", folder);
    (void)snprintf(file, sizeof file, "%s/rounded.gguf", folder);

    export_to(folder, file, type);
    size_t n = logits_of(golden, folder, mix_named(type), 3, loaded, &loaded_bytes);
    assert_int_equal(logits_of(golden, file, NULL, 1, written, &written_bytes), n);
    double e = difference(written, loaded, n);
    print_message("%-16s %-5s folder: relative difference %.1e\n", name, type, e);
    if (most > 0 ? !(e < most) : memcmp(loaded, written, n * sizeof *loaded) != 0)
        fail_msg("%s as %s: relative difference %g", name, type, e);

    export_to(folder, whole, "f32");
    export_to(whole, file, type);
    assert_int_equal(logits_of(golden, whole, mix_named(type), 2, loaded, &loaded_bytes), n);
    assert_int_equal(logits_of(golden, file, NULL, 1, written, &written_bytes), n);
    if (memcmp(loaded, written, n * sizeof *loaded) != 0)
        fail_msg("%s as %s: other logits than the file's", name, type);
    temp_folder_remove(folder);
}

static void check(const char *name, const char *type, bool reordered)
{
    json_t *golden = tiny_golden(name);
    check_golden(golden, name, type, reordered ? 1e-4 : 0);
    json_decref(golden);
}

static void rounded_at_load_is_rounded_in_the_file(void **state)
{
    (void)state;
    // Widths of these are no whole blocks everywhere: some matrices become F16 in both.
    static const struct {
        const char *name;
        bool reordered;
    } models[] = {{"qwen2", false},          {"qwen2-tied", false},   {"qwen3", false},
                  {"phi3", false},           {"phi3-partial", false}, {"gemma2", false},
                  {"gemma3", false},         {"gpt2", false},         {"qwen3moe", false},
                  {"qwen3moe-plain", false}, {"llama-llama3", true},  {"mixtral", true}};
    static const char *const types[] = {"f32", "f16", "bf16", "q8_0", "q4_0"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        for (size_t t = 0; t < sizeof types / sizeof *types; t++)
            check(models[i].name, types[t], models[i].reordered);
}

// The model with one key and value for all its heads: some mixes give such values a wider type.
static json_t *with_one_kv_head(const char *name)
{
    json_t *golden = tiny_golden(name), *config = json_object_get(golden, "config");
    json_int_t head_dim = json_integer_value(json_object_get(config, "head_dim"));
    (void)json_object_set_new(config, "num_key_value_heads", json_integer(1));
    size_t i;
    json_t *tensor;
    json_array_foreach(json_object_get(golden, "tensors"), i, tensor)
    {
        const char *tensor_name = json_string_value(json_array_get(tensor, 0));
        if (strstr(tensor_name, "k_proj.weight") || strstr(tensor_name, "v_proj.weight"))
            (void)json_array_set_new(json_array_get(tensor, 1), 0, json_integer(head_dim));
    }
    return golden;
}

// Every type that `hearth quantize` makes. Models are 64 wide, so that most matrices are blocks.
static void every_mix_can_be_made_at_load(void **state)
{
    (void)state;
    const struct mix *mix;
    json_t *shared = with_one_kv_head("llama-llama3");
    for (size_t i = 0; (mix = mix_at(i)); i++) {
        assert_ptr_equal(mix_named(mix->name), mix);
        check("phi3-partial", mix->name, false);
        check_golden(shared, "one kv head", mix->name, 0.02);
    }
    json_decref(shared);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    static float one[N_TOKENS * VOCAB_MAX], four[N_TOKENS * VOCAB_MAX];
    uint64_t bytes, same;
    json_t *golden = tiny_golden("llama-llama3");
    char *folder = temp_folder();
    tiny_model_write(golden, folder, NULL);
    size_t n = logits_of(golden, folder, mix_named("q4_0"), 1, one, &bytes);
    assert_int_equal(logits_of(golden, folder, mix_named("Q4_0"), 4, four, &same), n);
    assert_int_equal(bytes, same);
    assert_memory_equal(one, four, n * sizeof *one);
    temp_folder_remove(folder);
    json_decref(golden);
}

static void rounding_saves_memory(void **state)
{
    (void)state;
    static float ignored[N_TOKENS * VOCAB_MAX];
    uint64_t wide, eight, four;
    json_t *golden = tiny_golden("llama-llama3");
    char *folder = temp_folder();
    tiny_model_write(golden, folder, NULL);
    (void)logits_of(golden, folder, mix_named("f32"), 1, ignored, &wide);
    (void)logits_of(golden, folder, mix_named("q8_0"), 1, ignored, &eight);
    (void)logits_of(golden, folder, mix_named("q4_0"), 1, ignored, &four);
    print_message("bytes: f32 %llu, q8_0 %llu, q4_0 %llu\n", (unsigned long long)wide,
                  (unsigned long long)eight, (unsigned long long)four);
    assert_true(eight < wide / 2 && four < eight);
    temp_folder_remove(folder);
    json_decref(golden);
}

static void names_that_mean_nothing_are_told(void **state)
{
    (void)state;
    struct error err = {0};
    const struct mix *mix;
    assert_true(convert_mix(NULL, &mix, &err));
    assert_null(mix);
    assert_true(convert_mix("", &mix, &err));
    assert_null(mix);
    assert_false(convert_mix("q4", &mix, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.text, "'q4' is none of"));
    assert_non_null(strstr(err.text, "q8_0"));
}

// A number that is none stops the load, and the message says where it is.
static void what_cannot_be_rounded_is_named(void **state)
{
    (void)state;
    struct error err = {0};
    json_t *golden = tiny_golden("llama-llama3");
    char *folder = temp_folder();
    struct tiny_options o = {.poison = "model.layers.1.mlp.up_proj.weight"};
    tiny_model_write(golden, folder, &o);
    struct model_file *file = model_file_open(folder, MODEL_ALL, &err);
    struct model_options mo = {.mix = mix_named("q8_0"), .threads = 3};
    assert_null(model_load(file, cpu, &mo, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    assert_non_null(strstr(err.text, "tensor 'model.layers.1.mlp.up_proj.weight': row 99: "));
    model_file_close(file);
    temp_folder_remove(folder);
    json_decref(golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounded_at_load_is_rounded_in_the_file),
        cmocka_unit_test(every_mix_can_be_made_at_load),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(rounding_saves_memory),
        cmocka_unit_test(names_that_mean_nothing_are_told),
        cmocka_unit_test(what_cannot_be_rounded_is_named),
    };
    return cmocka_run_group_tests(tests, cpu_start, cpu_stop);
}
