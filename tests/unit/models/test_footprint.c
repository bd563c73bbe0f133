// test_footprint.c - bytes counted from shapes are the bytes that are written and loaded.
//
// Every small model of the goldens, of every family, is exported in every type that can be
// written: what was foretold from the facts alone must be what the file holds.
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/error.h"
#include "local/backend/cpu.h"
#include "local/formats/model_file.h"
#include "local/models/export.h"
#include "local/models/facts.h"
#include "local/models/footprint.h"
#include "local/models/model.h"
#include "local/quantize/mix.h"

#include "../../support/tiny_model.h"

static struct model_facts facts, facts_written;
static struct footprint foretold, counted;

static struct model_file *open_file(const char *path, struct model_facts *f)
{
    struct error err = {0};
    struct model_file *file = model_file_open(path, MODEL_ALL, &err);
    if (!file || !facts_read(file, f, &err))
        fail_msg("%s", err.text);
    return file;
}

// Bytes of a file's tensors but for the factors of rope, which are no weights.
static uint64_t tensor_bytes(const struct model_file *file)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < model_file_n_tensors(file); i++)
        if (strncmp(model_file_tensor(file, i)->name, "rope_", 5) != 0)
            bytes += model_file_tensor(file, i)->bytes;
    return bytes;
}

static void check_export(const struct model_file *folder, const char *path, const struct mix *mix)
{
    struct error err = {0};
    struct export_options o = {.mix = mix, .threads = 1};
    footprint_of_mix(&facts, mix, &foretold);
    if (!model_export(folder, path, &o, &err))
        fail_msg("%s", err.text);
    struct model_file *file = open_file(path, &facts_written);
    if (!footprint_of_file(file, &facts_written, &counted, &err))
        fail_msg("%s", err.text);
    assert_int_equal(counted.bytes, tensor_bytes(file));
    bool even =
        mix->fused == mix->base && mix->value.usual == mix->base && mix->value.more == mix->base;
    if (model_file_find(file, "blk.0.attn_qkv.weight") && !even) {
        // Facts do not say that query, key and value are one tensor, which has a type of its own.
        double share = (double)foretold.bytes / (double)counted.bytes;
        if (!(share > 0.9 && share < 1.1))
            fail_msg("%s, %s: %g of the bytes foretold", path, mix->name, share);
        model_file_close(file);
        return;
    }
    if (foretold.bytes != counted.bytes)
        fail_msg("%s: %llu bytes foretold, %llu written", path, (unsigned long long)foretold.bytes,
                 (unsigned long long)counted.bytes);
    assert_int_equal(foretold.parameters, counted.parameters);
    assert_int_equal(foretold.narrow, counted.narrow);
    for (int i = 0; i < counted.n_layers; i++) {
        assert_int_equal(foretold.layer_bytes[i], counted.layer_bytes[i]);
        assert_int_equal(foretold.layer_read[i], counted.layer_read[i]);
        assert_true(counted.layer_read[i] <= counted.layer_bytes[i]);
    }
    model_file_close(file);
}

static void what_is_foretold_is_written(void **state)
{
    (void)state;
    glob_t found;
    assert_int_equal(glob("tests/golden/data/models/*.json", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char name[64], path[256];
        const char *slash = strrchr(found.gl_pathv[i], '/');
        (void)snprintf(name, sizeof name, "%.*s", (int)(strlen(slash + 1) - 5), slash + 1);
        json_t *golden = tiny_golden(name);
        char *dir = temp_folder();
        tiny_model_write(golden, dir, &(struct tiny_options){0});
        (void)snprintf(path, sizeof path, "%s/%s.gguf", dir, name);
        struct model_file *folder = open_file(dir, &facts);
        const struct mix *mix;
        for (size_t m = 0; (mix = mix_at(m)); m++)
            check_export(folder, path, mix);
        model_file_close(folder);
        temp_folder_remove(dir);
        json_decref(golden);
    }
    assert_true(found.gl_pathc > 10);
    globfree(&found);
}

static void a_mixture_reads_the_experts_that_are_used(void **state)
{
    (void)state;
    facts = (struct model_facts){.n_layers = 1,
                                 .n_embd = 64,
                                 .n_heads = 1,
                                 .n_kv_heads = 1,
                                 .head_dim = 64,
                                 .n_vocab = 64,
                                 .gated = true,
                                 .n_experts = 16,
                                 .n_experts_used = 2,
                                 .n_expert_ff = 32};
    footprint_of_mix(&facts, mix_find("q8_0"), &foretold);
    uint64_t expert = 3 * 64 * 32 * 34 / 32;
    assert_int_equal(foretold.layer_bytes[0] - foretold.layer_read[0], 14 * expert);
}

static void loaded_weights_are_as_large(void **state)
{
    (void)state;
    struct error err = {0};
    struct model_file *file = open_file("models/hearth-small.gguf", &facts);
    struct backend *cpu = backend_cpu_new(&(struct cpu_options){.threads = 1}, &err);
    struct model *m = model_load(file, cpu, NULL, &err);
    assert_non_null(m);
    assert_true(footprint_of_file(file, &facts, &counted, &err));
    uint64_t vectors = (2 * (uint64_t)facts.n_layers + 1) * (uint64_t)facts.n_embd * sizeof(float);
    // Embeddings that are not the output as well stay in the file; single rows are read.
    assert_int_equal(counted.bytes - counted.embd_bytes, model_weight_bytes(m) + vectors);
    model_free(m);
    backend_free(cpu);
    model_file_close(file);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_foretold_is_written),
    cmocka_unit_test(a_mixture_reads_the_experts_that_are_used),
    cmocka_unit_test(loaded_weights_are_as_large),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
