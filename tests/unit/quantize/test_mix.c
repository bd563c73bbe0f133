// test_mix.c - which format a tensor gets: the rules by hand, and odd rows.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "local/quantize/mix.h"

static enum dtype of(const char *mix, const char *name, int64_t cols, int n_layers, bool tied)
{
    struct mix_tensor t = {
        .name = name, .n_dims = 2, .cols = cols, .n_layers = n_layers, .tied = tied};
    return mix_dtype(mix_find(mix), &t);
}

static void names_are_found_in_any_case(void **state)
{
    (void)state;
    const struct mix *m;
    assert_ptr_equal(mix_find("Q4_K_M"), mix_find("q4_k_m"));
    assert_null(mix_find("q4_k"));
    assert_null(mix_find(""));
    for (size_t i = 0; (m = mix_at(i)); i++) {
        assert_ptr_equal(mix_find(m->name), m);
        assert_ptr_equal(mix_of_file_type(m->file_type), m);
    }
    assert_null(mix_of_file_type(1024));
}

static void the_output_is_wider(void **state)
{
    (void)state;
    assert_int_equal(of("q4_k_m", "output.weight", 4096, 32, false), DTYPE_Q6_K);
    assert_int_equal(of("q4_k_m", "token_embd.weight", 4096, 32, false), DTYPE_Q4_K);
    assert_int_equal(of("q4_k_m", "token_embd.weight", 4096, 32, true), DTYPE_Q6_K);
    assert_int_equal(of("q4_0", "output.weight", 4096, 32, false), DTYPE_Q6_K);
    assert_int_equal(of("q8_0", "output.weight", 4096, 32, false), DTYPE_Q8_0);
    assert_int_equal(of("f16", "output.weight", 4096, 32, false), DTYPE_F16);
}

// Of 32 layers: the first four, the last four, and every third between.
static void some_layers_get_more(void **state)
{
    (void)state;
    static const char *const names[] = {"blk.%d.attn_v.weight", "blk.%d.ffn_down.weight"};
    char name[64];
    for (int k = 0; k < 2; k++) {
        int n_more = 0;
        for (int i = 0; i < 32; i++) {
            (void)snprintf(name, sizeof name, names[k], i);
            bool more = i < 4 || i >= 28 || (i - 4) % 3 == 2;
            assert_int_equal(of("q4_k_m", name, 4096, 32, false), more ? DTYPE_Q6_K : DTYPE_Q4_K);
            assert_int_equal(of("q4_k_s", name, 4096, 32, false), i < 4 ? DTYPE_Q5_K : DTYPE_Q4_K);
            assert_int_equal(of("q4_0", name, 4096, 32, false), DTYPE_Q4_0);
            n_more += more;
        }
        assert_int_equal(n_more, 16);
    }
    assert_int_equal(of("q4_k_m", "blk.0.attn_q.weight", 4096, 32, false), DTYPE_Q4_K);
    assert_int_equal(of("q4_k_m", "blk.9.attn_qkv.weight", 4096, 32, false), DTYPE_Q5_K);
}

// The narrow mixes, of 32 layers.
static void narrow_mixes_widen_values_and_down(void **state)
{
    (void)state;
    static const struct {
        const char *mix, *name;
        enum dtype type;
    } want[] = {
        {"q2_k", "blk.9.attn_q.weight", DTYPE_Q2_K},
        {"q2_k", "blk.9.attn_v.weight", DTYPE_Q3_K},
        {"q2_k", "blk.9.ffn_down.weight", DTYPE_Q3_K},
        {"q2_k", "blk.9.attn_output.weight", DTYPE_Q3_K},
        {"q3_k_s", "blk.9.attn_v.weight", DTYPE_Q3_K},
        {"q3_k_m", "blk.1.attn_v.weight", DTYPE_Q5_K},
        {"q3_k_m", "blk.2.attn_v.weight", DTYPE_Q4_K},
        {"q3_k_m", "blk.1.ffn_down.weight", DTYPE_Q5_K},
        {"q3_k_m", "blk.2.ffn_down.weight", DTYPE_Q4_K},
        {"q3_k_m", "blk.9.attn_output.weight", DTYPE_Q4_K},
        {"q3_k_m", "blk.9.attn_qkv.weight", DTYPE_Q4_K},
        {"q3_k_l", "blk.9.attn_v.weight", DTYPE_Q5_K},
        {"q3_k_l", "blk.9.attn_k.weight", DTYPE_Q3_K},
        {"iq4_xs", "blk.3.ffn_down.weight", DTYPE_Q5_K},
        {"iq4_xs", "blk.4.ffn_down.weight", DTYPE_IQ4_XS},
        {"q5_k_s", "blk.0.attn_v.weight", DTYPE_Q5_K},
        {"q5_k_m", "blk.31.attn_v.weight", DTYPE_Q6_K},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_int_equal(of(want[i].mix, want[i].name, 4096, 32, false), want[i].type);
}

static void values_of_many_heads_are_wider(void **state)
{
    (void)state;
    struct mix_tensor t = {.name = "blk.30.attn_v.weight",
                           .n_dims = 2,
                           .cols = 4096,
                           .n_layers = 80,
                           .heads_per_kv = 8};
    assert_int_equal(mix_dtype(mix_find("q2_k"), &t), DTYPE_Q5_K);  // the shape of 70B models
    assert_int_equal(mix_dtype(mix_find("q4_k_s"), &t), DTYPE_Q5_K);
    t.n_layers = 32;
    assert_int_equal(mix_dtype(mix_find("q2_k"), &t), DTYPE_Q4_K);
    assert_int_equal(mix_dtype(mix_find("iq4_xs"), &t), DTYPE_Q5_K);
    assert_int_equal(mix_dtype(mix_find("q4_k_s"), &t), DTYPE_Q4_K);
    t.heads_per_kv = 2;
    assert_int_equal(mix_dtype(mix_find("q2_k"), &t), DTYPE_Q3_K);
    assert_int_equal(mix_dtype(mix_find("iq4_xs"), &t), DTYPE_IQ4_XS);
}

static void vectors_and_routers_stay_floats(void **state)
{
    (void)state;
    struct mix_tensor norm = {.name = "blk.0.attn_norm.weight", .n_dims = 1, .cols = 4096};
    assert_int_equal(mix_dtype(mix_find("q4_0"), &norm), DTYPE_F32);
    assert_int_equal(mix_dtype(mix_find("f16"), &norm), DTYPE_F32);
    assert_int_equal(of("q4_0", "blk.0.ffn_gate_inp.weight", 4096, 32, false), DTYPE_F32);
    assert_int_equal(of("q8_0", "position_embd.weight", 768, 12, true), DTYPE_F32);
}

// Same bits, or a quarter of a bit more; what says zero already stays.
static void a_matrix_of_zeros_gets_a_type_with_a_zero(void **state)
{
    (void)state;
    for (int t = 0; t < DTYPE_COUNT; t++) {
        bool none = t == DTYPE_IQ4_NL || t == DTYPE_IQ4_XS;
        assert_int_equal(mix_dtype_with_zero((enum dtype)t), none ? DTYPE_Q4_0 : t);
    }
}

static void odd_rows_get_smaller_blocks(void **state)
{
    (void)state;
    assert_int_equal(of("q4_k_m", "blk.3.attn_q.weight", 896, 24, false), DTYPE_Q5_0);
    assert_int_equal(of("q4_k_m", "output.weight", 896, 24, false), DTYPE_Q8_0);
    assert_int_equal(of("q5_k_m", "blk.3.attn_q.weight", 896, 24, false), DTYPE_Q5_1);
    assert_int_equal(of("q4_k_m", "blk.3.attn_q.weight", 100, 24, false), DTYPE_F16);
    assert_int_equal(of("q4_0", "blk.3.attn_q.weight", 100, 24, false), DTYPE_F16);
    assert_int_equal(of("q4_0", "output.weight", 896, 24, false), DTYPE_Q8_0);
    assert_int_equal(of("q2_k", "blk.3.attn_q.weight", 896, 24, false), DTYPE_IQ4_NL);
    assert_int_equal(of("iq4_xs", "blk.3.attn_q.weight", 896, 24, false), DTYPE_IQ4_NL);
}

static void a_small_mixture_keeps_attention_wide(void **state)
{
    (void)state;
    struct mix_tensor t = {
        .name = "blk.3.attn_k.weight", .n_dims = 2, .cols = 4096, .n_layers = 32, .n_experts = 8};
    assert_int_equal(mix_dtype(mix_find("q4_k_m"), &t), DTYPE_Q8_0);
    t.name = "blk.3.attn_output.weight";
    assert_int_equal(mix_dtype(mix_find("q4_k_m"), &t), DTYPE_Q5_K);
    t.n_experts = 128;
    assert_int_equal(mix_dtype(mix_find("q4_k_m"), &t), DTYPE_Q4_K);
}

static void mxfp4_is_for_experts(void **state)
{
    (void)state;
    assert_int_equal(of("mxfp4", "blk.3.ffn_down_exps.weight", 2880, 24, false), DTYPE_MXFP4);
    assert_int_equal(of("mxfp4", "blk.3.ffn_gate_exps.weight", 2880, 24, false), DTYPE_MXFP4);
    assert_int_equal(of("mxfp4", "blk.3.attn_q.weight", 2880, 24, false), DTYPE_Q8_0);
    assert_int_equal(of("mxfp4", "blk.3.ffn_down.weight", 2880, 24, false), DTYPE_Q8_0);
    assert_int_equal(of("mxfp4", "output.weight", 2880, 24, false), DTYPE_Q8_0);
    assert_int_equal(of("mxfp4", "token_embd.weight", 2880, 24, false), DTYPE_Q8_0);
    assert_int_equal(of("mxfp4", "blk.3.ffn_gate_inp.weight", 2880, 24, false), DTYPE_F32);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(names_are_found_in_any_case),
    cmocka_unit_test(the_output_is_wider),
    cmocka_unit_test(some_layers_get_more),
    cmocka_unit_test(narrow_mixes_widen_values_and_down),
    cmocka_unit_test(values_of_many_heads_are_wider),
    cmocka_unit_test(vectors_and_routers_stay_floats),
    cmocka_unit_test(a_matrix_of_zeros_gets_a_type_with_a_zero),
    cmocka_unit_test(odd_rows_get_smaller_blocks),
    cmocka_unit_test(a_small_mixture_keeps_attention_wide),
    cmocka_unit_test(mxfp4_is_for_experts),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
