// test_loader.c - what the loader says of folders that are not what their config claims.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/json.h"
#include "local/formats/model_file.h"
#include "local/models/facts.h"
#include "local/models/model.h"

#include "../../support/cpu_group.h"
#include "../../support/forward.h"
#include "../../support/tiny_model.h"

// Loads a golden's folder written with these options; the error's text must hold `expect`.
static void refuses(const char *name, const struct tiny_options *o, const char *key, json_t *value,
                    enum error_code code, const char *expect)
{
    struct error err = {0};
    json_t *golden = tiny_golden(name);
    if (key)
        (void)json_object_set_new(json_object_get(golden, "config"), key, value);
    char *folder = temp_folder();
    tiny_model_write(golden, folder, o);
    struct model_file *file = model_file_open(folder, MODEL_ALL, &err);
    assert_non_null(file);
    assert_null(model_load(file, cpu, NULL, &err));
    if (!strstr(err.text, expect) || err.code != code)
        fail_msg("'%s' (%d) does not say '%s'", err.text, (int)err.code, expect);
    assert_null(strchr(err.text, '\n'));
    model_file_close(file);
    temp_folder_remove(folder);
    json_decref(golden);
}

static void a_missing_tensor_is_named(void **state)
{
    (void)state;
    refuses("llama-grouped",
            &(struct tiny_options){.omit = "model.layers.1.self_attn.k_proj.weight"}, NULL, NULL,
            ERR_FORMAT, "tensor 'layers.1.self_attn.k_proj.weight' is missing");
    refuses("gpt2", &(struct tiny_options){.omit = "transformer.h.2.attn.c_attn.bias"}, NULL, NULL,
            ERR_FORMAT, "is missing");
    refuses("mixtral",
            &(struct tiny_options){.omit = "model.layers.2.block_sparse_moe.experts.4.w3.weight"},
            NULL, NULL, ERR_FORMAT, "experts.4.w3.weight' is missing");
}

static void a_wrong_shape_says_found_and_expected(void **state)
{
    (void)state;
    refuses("llama-grouped", NULL, "intermediate_size", json_integer(101), ERR_FORMAT,
            "tensor 'model.layers.0.mlp.gate_proj.weight' has shape [100, 48], expected [101, 48]");
    refuses("llama-grouped", NULL, "num_key_value_heads", json_integer(4), ERR_FORMAT,
            "k_proj.weight' has shape [24, 48], expected [48, 48]");
}

static void a_vocabulary_that_disagrees_with_the_embedding_is_refused(void **state)
{
    (void)state;
    refuses("llama-grouped", NULL, "vocab_size", json_integer(130), ERR_FORMAT,
            "tensor 'model.embed_tokens.weight' has shape [131, 48], expected [130, 48]");
}

static void nan_in_any_kind_of_tensor_is_found(void **state)
{
    (void)state;
    static const char *const tensors[] = {
        "model.norm.weight", "model.layers.1.mlp.down_proj.weight", "model.embed_tokens.weight",
        "model.layers.2.input_layernorm.weight"};
    static const enum dtype types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};
    for (int i = 0; i < 12; i++)
        refuses("llama-grouped",
                &(struct tiny_options){.poison = tensors[i / 3], .dtype = types[i % 3]}, NULL, NULL,
                ERR_NUMERIC, "holds NaN or infinity");
}

static void more_layers_than_tensors_end_before_anything_is_allocated(void **state)
{
    (void)state;
    refuses("llama-grouped", NULL, "num_hidden_layers", json_integer(1024), ERR_FORMAT,
            "tensor 'layers.3.input_layernorm.weight' is missing");
}

static void tied_false_needs_an_output(void **state)
{
    (void)state;
    refuses("llama-smol", NULL, "tie_word_embeddings", json_false(), ERR_FORMAT,
            "tensor 'lm_head.weight' is missing");
}

static void an_output_that_is_neither_said_nor_there_is_the_embedding(void **state)
{
    (void)state;
    struct error err = {0};
    json_t *golden = tiny_golden("llama-smol");
    (void)json_object_del(json_object_get(golden, "config"), "tie_word_embeddings");
    char *folder = temp_folder();
    tiny_model_write(golden, folder, NULL);
    struct model_file *file = model_file_open(folder, MODEL_ALL, &err);
    struct model *m = model_load(file, cpu, NULL, &err);
    if (!m)
        fail_msg("%s", err.text);
    assert_true(model_facts(m)->tied);
    model_free(m);
    model_file_close(file);
    temp_folder_remove(folder);
    json_decref(golden);
}

static struct model *load(const char *name, char **folder, struct model_file **file,
                          const struct model_options *o, struct error *err)
{
    json_t *golden = tiny_golden(name);
    *folder = temp_folder();
    tiny_model_write(golden, *folder, NULL);
    *file = model_file_open(*folder, MODEL_ALL, err);
    assert_non_null(*file);
    json_decref(golden);
    return model_load(*file, cpu, o, err);
}

static bool stop_at(void *self, uint64_t done, uint64_t total)
{
    uint64_t *limit = self;
    assert_true(done > 0 && done <= total);
    return done < *limit;
}

static void loading_can_be_cancelled_and_counts_to_the_end(void **state)
{
    (void)state;
    struct error err = {0};
    struct model_file *file;
    char *folder;
    uint64_t limit = 40000;
    struct model_options o = {.progress = stop_at, .progress_self = &limit};
    assert_null(load("mixtral", &folder, &file, &o, &err));
    assert_int_equal(err.code, ERR_CANCELLED);
    limit = UINT64_MAX;
    struct model *m = model_load(file, cpu, &o, &err);
    assert_non_null(m);
    assert_true(model_weight_bytes(m) > 40000);
    model_free(m);
    model_file_close(file);
    temp_folder_remove(folder);
}

static void groups_and_context_follow_from_facts(void **state)
{
    (void)state;
    struct error err = {0};
    struct model_file *file;
    char *folder;
    struct model *m = load("gemma2", &folder, &file, &(struct model_options){.ctx = 99}, &err);
    assert_int_equal(model_n_groups(m), 2);
    assert_int_equal(model_group(m, 0)->window, 0);
    assert_int_equal(model_group(m, 1)->window, 16);
    assert_int_equal(model_group(m, 0)->n_layers + model_group(m, 1)->n_layers, 4);
    assert_int_equal(model_ctx(m), 99);
    model_free(m);
    model_file_close(file);
    temp_folder_remove(folder);
    m = load("mistral-window", &folder, &file, NULL, &err);
    assert_int_equal(model_n_groups(m), 1);
    assert_int_equal(model_group(m, 0)->window, 24);
    model_free(m);
    model_file_close(file);
    temp_folder_remove(folder);
    m = load("gpt2", &folder, &file, &(struct model_options){.ctx = 100000}, &err);
    assert_int_equal(model_ctx(m), 192);  // no embedding of a position beyond
    model_free(m);
    model_file_close(file);
    temp_folder_remove(folder);
}

static void hidden_states_are_given_where_wanted(void **state)
{
    (void)state;
    struct error err = {0};
    struct model_file *file;
    struct forward f;
    char *folder;
    const int32_t tokens[3] = {3, 5, 7};
    float rows[2][131], logits[3 * 131];
    struct model *m = load("llama-grouped", &folder, &file, NULL, &err);
    forward_open(&f, m, DTYPE_F32, 1, 3);
    forward_text(&f, tokens, 3, 3, 3, logits);
    batch_clear(f.batch);
    int seq = batch_add_seq(f.batch, 3);
    batch_pages(f.batch, 0, seq)[0] = 0;
    (void)batch_add_row(f.batch, seq, 3, 0, WANT_NOTHING);
    (void)batch_add_row(f.batch, seq, 5, 1, WANT_HIDDEN);
    (void)batch_add_row(f.batch, seq, 7, 2, WANT_LOGITS);
    model_forward(m, f.kv, f.batch, rows[0]);
    assert_memory_equal(rows[1], logits + 2 * 131, sizeof rows[1]);
    double squares = 0;  // an RMS norm: of the size of its weights, which are 0.6 to 1.4
    for (int i = 0; i < 48; i++)
        squares += (double)rows[0][i] * (double)rows[0][i] / 48;
    assert_true(sqrt(squares) > 0.5 && sqrt(squares) < 1.5);
    assert_memory_not_equal(rows[0], logits + 131, sizeof(float) * 48);
    forward_close(&f);
    model_free(m);
    model_file_close(file);
    temp_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_tensor_is_named),
        cmocka_unit_test(a_wrong_shape_says_found_and_expected),
        cmocka_unit_test(a_vocabulary_that_disagrees_with_the_embedding_is_refused),
        cmocka_unit_test(nan_in_any_kind_of_tensor_is_found),
        cmocka_unit_test(more_layers_than_tensors_end_before_anything_is_allocated),
        cmocka_unit_test(tied_false_needs_an_output),
        cmocka_unit_test(an_output_that_is_neither_said_nor_there_is_the_embedding),
        cmocka_unit_test(loading_can_be_cancelled_and_counts_to_the_end),
        cmocka_unit_test(groups_and_context_follow_from_facts),
        cmocka_unit_test(hidden_states_are_given_where_wanted),
    };
    return cmocka_run_group_tests(tests, cpu_start, cpu_stop);
}
