// test_fit.c - real models' shapes on imaginary machines: what fits, with how much context.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/error.h"
#include "local/formats/model_file.h"
#include "local/models/facts.h"
#include "local/models/footprint.h"
#include "local/quantize/mix.h"
#include "providers/fit.h"
#include "providers/model_list.h"

static struct model_facts facts;
static struct footprint footprint;

// Qwen2.5-7B in Q4_K_M: 4.68 GB of weights, 28 layers, 57,344 bytes of keys and values a token.
static void take_7b(void)
{
    const struct listed_model *m;
    for (size_t i = 0; (m = listed_model_at(i)); i++)
        if (strstr(m->repo, "Qwen2.5-7B"))
            break;
    assert_non_null(m);
    listed_model_facts(m, &facts);
    footprint_of_mix(&facts, mix_find("q4_k_m"), &footprint);
}

static struct fit_machine cpu_of(double free_gb, double gb_per_s)
{
    return (struct fit_machine){
        .n_devices = 1,
        .device = {{.free_bytes = (uint64_t)(free_gb * 1e9), .bytes_per_s = gb_per_s * 1e9}},
        .name = {"cpu"}};
}

static struct fit_option place(int ctx, const struct fit_machine *m)
{
    struct fit_option o = {0};
    struct fit_wish wish = {.ctx = ctx, .kv_type = DTYPE_COUNT};
    fit_place(&facts, &footprint, &wish, m, &o);
    return o;
}

static void a_large_machine_holds_the_whole_context(void **state)
{
    (void)state;
    take_7b();
    struct fit_machine m = cpu_of(64, 50);
    struct fit_option o = place(0, &m);
    assert_true(o.fits);
    assert_int_equal(o.ctx, 32768);
    assert_in_range(o.kv_bytes, 32768ull * 57344, 32768ull * 57344 + (128 << 20));
    assert_int_equal(o.n_layers_on[0], 28);
    // All weights but the embedding are read for a token: 4.68 GB less 0.31.
    assert_true(o.tokens_per_s > 50 / 4.45 && o.tokens_per_s < 50 / 4.30);
    m.device[0].bytes_per_s = 0;
    assert_true(place(0, &m).tokens_per_s == 0);
    m.device[0].free_bytes = UINT64_MAX;  // a system that does not say
    assert_true(place(0, &m).fits);
}

static void a_context_that_nobody_asked_for_shrinks(void **state)
{
    (void)state;
    take_7b();
    struct fit_machine m = cpu_of(5.5, 50);
    struct fit_option o = place(0, &m);
    assert_true(o.fits);
    assert_int_equal(o.ctx_wanted, 32768);
    assert_in_range(o.ctx, 4096, 16384);
    assert_true(o.weights_bytes + o.kv_bytes + o.scratch_bytes <= m.device[0].free_bytes);
}

static void one_that_was_asked_for_does_not(void **state)
{
    (void)state;
    take_7b();
    struct fit_machine m = cpu_of(5.5, 50);
    struct fit_option o = place(32768, &m);
    assert_false(o.fits);
    assert_int_equal(o.ctx, 32768);
    assert_true(o.kv_bytes >= 32768ull * 57344);
    assert_int_equal(o.n_layers_on[0], 0);
    assert_true(place(2048, &m).fits);
}

static void weights_that_do_not_fit_are_told_with_all_they_need(void **state)
{
    (void)state;
    take_7b();
    struct fit_machine m = cpu_of(4.5, 50);
    struct fit_option o = place(0, &m);
    assert_false(o.fits);
    assert_int_equal(o.weights_bytes, footprint.bytes);
    assert_int_equal(o.ctx, 32768);
    assert_true(o.tokens_per_s == 0);
    m.device[0].free_bytes = 0;
    assert_false(place(0, &m).fits);
    m.n_devices = 0;
    assert_false(place(0, &m).fits);
}

static void a_gpu_takes_the_layers_it_can_hold(void **state)
{
    (void)state;
    take_7b();
    struct fit_machine m = cpu_of(16, 50);
    m.n_devices = 2;
    m.device[1] = (struct placement_device){.free_bytes = 3000000000, .bytes_per_s = 500e9};
    m.name[1] = "gpu";
    struct fit_option o = place(4096, &m);
    assert_true(o.fits);
    assert_int_equal(o.n_layers_on[0] + o.n_layers_on[1], 28);
    assert_in_range(o.n_layers_on[1], 12, 20);
    assert_true(
        o.tokens_per_s >
        place(4096, &(struct fit_machine){.n_devices = 1, .device = {m.device[0]}}).tokens_per_s);
}

static struct model_file *open_small(void)
{
    struct error err = {0};
    struct model_file *file = model_file_open("models/hearth-small.gguf", MODEL_NO_WEIGHTS, &err);
    if (!file)
        fail_msg("%s", err.text);
    return file;
}

static void a_file_comes_first_as_it_is(void **state)
{
    (void)state;
    static struct fit_answer a;
    struct error err = {0};
    a.wish.kv_type = DTYPE_COUNT;
    a.machine = cpu_of(1, 20);
    struct model_file *file = open_small();
    assert_true(fit_file(&a, file, &err));
    assert_string_equal(a.options[0].quant, "q8_0");
    assert_false(a.options[0].estimated);
    assert_true(a.options[0].fits);
    assert_true(a.options[0].tokens_per_s == 0);  // caches decide
    assert_true(a.facts.n_layers > 1);
    assert_in_range(a.n_options, 5, FIT_OPTIONS_MAX - 1);
    for (int i = 1; i < a.n_options; i++) {
        assert_true(a.options[i].estimated);
        assert_string_not_equal(a.options[i].quant, "q8_0");
    }
    model_file_close(file);
}

static void known_bytes_are_shared_out(void **state)
{
    (void)state;
    take_7b();
    uint64_t before = footprint.layer_bytes[0], output = footprint.output_bytes;
    footprint_scale(&footprint, footprint.bytes / 2);
    assert_in_range(footprint.layer_bytes[0], before / 2 - 1, before / 2 + 1);
    assert_in_range(footprint.output_bytes, output / 2 - 1, output / 2 + 1);
}

static void what_does_not_fit_is_one_line_with_advice(void **state)
{
    (void)state;
    struct error err = {0};
    struct fit_wish wish = {.kv_type = DTYPE_COUNT};
    struct fit_machine m = cpu_of(1, 20);
    struct model_file *file = open_small();
    assert_true(fit_check(file, &wish, &m, NULL, &err));
    m = cpu_of(0.004, 20);
    assert_false(fit_check(file, &wish, &m, NULL, &err));
    assert_int_equal(err.code, ERR_MEMORY);
    assert_non_null(strstr(err.text, "4.00 MB are free"));
    assert_non_null(strstr(err.text, "hearth fit MODEL"));
    assert_null(strstr(err.text, "keys and values"));
    assert_null(strchr(err.text, '\n'));
    m = cpu_of(1, 20);
    wish.ctx = 1 << 20;  // 2 KB a token
    assert_false(fit_check(file, &wish, &m, NULL, &err));
    assert_non_null(strstr(err.text, "keys and values of 1048576 tokens"));
    model_file_close(file);
}

static void this_machine_can_be_read(void **state)
{
    (void)state;
    struct fit_machine m;
    fit_machine_read(&m, false);
    assert_int_equal(m.n_devices, 1);
    assert_string_equal(m.name[0], "cpu");
    assert_true(m.device[0].free_bytes > 0);
    assert_true(m.device[0].bytes_per_s == 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_large_machine_holds_the_whole_context),
    cmocka_unit_test(a_context_that_nobody_asked_for_shrinks),
    cmocka_unit_test(one_that_was_asked_for_does_not),
    cmocka_unit_test(weights_that_do_not_fit_are_told_with_all_they_need),
    cmocka_unit_test(a_gpu_takes_the_layers_it_can_hold),
    cmocka_unit_test(a_file_comes_first_as_it_is),
    cmocka_unit_test(known_bytes_are_shared_out),
    cmocka_unit_test(what_does_not_fit_is_one_line_with_advice),
    cmocka_unit_test(this_machine_can_be_read),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
