// test_tensors.c - tensors by role: FP8 weights with each form of scale, parts of fused and stacked
// tensors, and the search for numbers that are none.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/memory.h"
#include "local/formats/model_file.h"
#include "local/models/facts.h"
#include "local/models/tensors.h"

#include "../../support/tiny_model.h"

enum { ROWS = 130, COLS = 200 };  // two blocks of 128 both ways, none of them whole
static const char config[] =
    "{\"model_type\":\"llama\",\"hidden_size\":200,\"num_attention_heads\":5,\"head_dim\":26,"
    "\"num_hidden_layers\":1,\"intermediate_size\":8,\"vocab_size\":4}";

static void put(const char *folder, const char *name, const void *bytes, size_t len)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static uint8_t weight_at(int row, int col)
{
    return (uint8_t)((row * 31 + col * 7) % 127);  // never NaN, which is 0x7F
}

// A folder with q's weights in FP8 and scales of that name and shape: 1, 2, 3 ... times 0.5.
static char *fp8_folder(const char *scale_name, const char *scale_shape, int n_scales)
{
    struct buf header = {0}, file = {0};
    char *folder = temp_folder();
    size_t n = (size_t)ROWS * COLS;
    buf_printf(&header,
               "{\"model.layers.0.self_attn.q_proj.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[%d,"
               "%d],\"data_offsets\":[0,%zu]}",
               ROWS, COLS, n);
    if (n_scales)
        buf_printf(&header,
                   ",\"model.layers.0.self_attn.q_proj.%s\":{\"dtype\":\"F32\",\"shape\":[%s],"
                   "\"data_offsets\":[%zu,%zu]}",
                   scale_name, scale_shape, n, n + (size_t)n_scales * 4);
    buf_char(&header, '}');
    while (header.len % 8)
        buf_char(&header, ' ');
    uint64_t len = header.len;
    buf_add(&file, &len, sizeof len);
    buf_slice(&file, buf_view(&header));
    for (int i = 0; i < ROWS * COLS; i++)
        buf_char(&file, (char)weight_at(i / COLS, i % COLS));
    for (int i = 0; i < n_scales; i++) {
        float scale = 0.5f * (float)(i + 1);
        buf_add(&file, &scale, sizeof scale);
    }
    put(folder, "config.json", config, sizeof config - 1);
    put(folder, "model.safetensors", file.ptr, file.len);
    buf_release(&header);
    buf_release(&file);
    return folder;
}

enum scale_form { NO_SCALE, ONE, PER_ROW, BLOCKS };

static float scale_of(enum scale_form form, int row, int col)
{
    int index = form == PER_ROW ? row : form == BLOCKS ? row / 128 * 2 + col / 128 : 0;
    return form == NO_SCALE ? 1.0f : 0.5f * (float)(index + 1);
}

static void check_fp8(enum scale_form form, const char *name, const char *shape, int n)
{
    struct error err = {0};
    struct model_facts facts;
    struct tensor_view v;
    char *folder = fp8_folder(name, shape, n);
    struct model_file *file = model_file_open(folder, MODEL_ALL, &err);
    if (!file || !facts_read(file, &facts, &err) ||
        !tensor_need(file, &facts, TENSOR_Q, 0, 0, &v, &err))
        fail_msg("%s", err.text);
    assert_int_equal(v.dtype, DTYPE_BF16);
    assert_false(tensor_view_direct(&v));
    uint16_t *rows = memory_array(uint16_t, (size_t)ROWS * COLS);
    assert_int_equal(tensor_view_bytes(&v), ROWS * COLS * 2);
    tensor_view_read(&v, 0, ROWS, rows);
    for (int i = 0; i < ROWS * COLS; i++) {
        float want =
            f8_e4m3_to_f32(weight_at(i / COLS, i % COLS)) * scale_of(form, i / COLS, i % COLS);
        assert_int_equal(rows[i], f32_to_bf16(want));
    }
    free(rows);
    model_file_close(file);
    temp_folder_remove(folder);
}

static void fp8_weights_get_their_scales(void **state)
{
    (void)state;
    check_fp8(NO_SCALE, "", "", 0);
    check_fp8(ONE, "weight_scale", "", 1);
    check_fp8(ONE, "weight_scale", "1", 1);
    check_fp8(PER_ROW, "weight_scale", "130,1", ROWS);
    check_fp8(BLOCKS, "weight_scale_inv", "2,2", 4);
}

static void scales_that_do_not_fit_are_named(void **state)
{
    (void)state;
    struct error err = {0};
    struct model_facts facts;
    struct tensor_view v;
    char *folder = fp8_folder("weight_scale_inv", "2,3", 6);
    struct model_file *file = model_file_open(folder, MODEL_ALL, &err);
    assert_true(facts_read(file, &facts, &err));
    assert_false(tensor_need(file, &facts, TENSOR_Q, 0, 0, &v, &err));
    assert_non_null(strstr(err.text, "q_proj.weight_scale_inv': shape [2, 3] does not fit"));
    model_file_close(file);
    temp_folder_remove(folder);
}

// Rows of a part read through the fused tensor are those of the file, cut or turned.
static void parts_of_fused_tensors_are_their_rows(void **state)
{
    (void)state;
    struct error err = {0};
    struct model_facts facts;
    struct tensor_view whole, k;
    json_t *golden = tiny_golden("gpt2");
    char *folder = temp_folder();
    tiny_model_write(golden, folder, NULL);
    struct model_file *file = model_file_open(folder, MODEL_ALL, &err);
    assert_true(facts_read(file, &facts, &err));
    assert_true(tensor_need(file, &facts, TENSOR_K, 1, 0, &k, &err));
    assert_true(tensor_need(file, &facts, TENSOR_QKV, 1, 0, &whole, &err));
    assert_int_equal(k.rows, 48);
    assert_int_equal(whole.rows, 144);
    float row[48], same[48];
    const float *data = whole.tensor->data;  // [48, 144], turned
    for (int r = 0; r < 48; r++) {
        tensor_view_read(&k, r, 1, row);
        tensor_view_read(&whole, 48 + r, 1, same);
        assert_memory_equal(row, same, sizeof row);
        for (int c = 0; c < 48; c++)
            assert_memory_equal(&row[c], (const char *)data + (c * 144 + 48 + r) * 4, 4);
    }
    model_file_close(file);
    temp_folder_remove(folder);
    json_decref(golden);
}

// Rows of numbers, of whose groups of 32 every n-th has that many zeros.
static bool has_zeros(int every, int n_zeros, bool only_zeros)
{
    enum { N_ROWS = 200, N_COLS = 96 };
    static float numbers[N_ROWS * N_COLS];
    for (int i = 0; i < N_ROWS * N_COLS; i++) {
        int group = i / 32;
        bool zero = group % every == 0 && i % 32 < n_zeros;
        numbers[i] = zero || (only_zeros && group % every) ? 0 : (float)(i % 7 + 1);
    }
    struct model_tensor t = {.data = numbers,
                             .bytes = sizeof numbers,
                             .dtype = DTYPE_F32,
                             .n_dims = 2,
                             .shape = {N_ROWS, N_COLS}};
    struct tensor_view v = {
        .tensor = &t, .rows = N_ROWS, .cols = N_COLS, .file_rows = N_ROWS, .dtype = DTYPE_F32};
    return tensor_has_zeros(&v);
}

static void zeros_on_purpose_are_seen(void **state)
{
    (void)state;
    assert_false(has_zeros(1, 0, false));
    assert_false(has_zeros(1, 3, false));   // few enough to be chance
    assert_false(has_zeros(1, 32, false));  // empty: every type can say that
    assert_true(has_zeros(1, 4, false));
    assert_true(has_zeros(3, 31, false));
    assert_false(has_zeros(100, 16, false));
    assert_true(has_zeros(30, 16, true));  // beside empty groups
}

static void block_scales_that_are_no_numbers_are_found(void **state)
{
    (void)state;
    static const struct {
        enum dtype dtype;
        int at;
    } places[] = {{DTYPE_Q4_0, 0},  {DTYPE_Q4_1, 2},  {DTYPE_Q5_0, 0},   {DTYPE_Q5_1, 2},
                  {DTYPE_Q8_0, 0},  {DTYPE_Q2_K, 80}, {DTYPE_Q2_K, 82},  {DTYPE_Q3_K, 108},
                  {DTYPE_Q4_K, 2},  {DTYPE_Q5_K, 0},  {DTYPE_Q6_K, 208}, {DTYPE_IQ4_NL, 0},
                  {DTYPE_IQ4_XS, 0}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const struct dtype_info *info = dtype_info(places[i].dtype);
        unsigned char blocks[3 * 300] = {0};
        size_t bytes = 3 * (size_t)info->block_bytes;
        uint16_t infinity = 0x7C00;
        assert_true(bytes <= sizeof blocks);
        assert_true(tensor_finite(places[i].dtype, blocks, bytes));
        memcpy(blocks + 2 * info->block_bytes + places[i].at, &infinity, 2);
        if (tensor_finite(places[i].dtype, blocks, bytes))
            fail_msg("%s: a scale at byte %d is not looked at", info->name, places[i].at);
        // The reference agrees that these bytes are a scale.
        float out[256];
        dtype_to_f32(places[i].dtype, blocks + 2 * info->block_bytes, out, (size_t)info->block_len);
        assert_false(isfinite(out[0]));
    }
    unsigned char mxfp4[34] = {0};
    assert_true(tensor_finite(DTYPE_MXFP4, mxfp4, sizeof mxfp4));
    mxfp4[17] = 0xFF;
    assert_false(tensor_finite(DTYPE_MXFP4, mxfp4, sizeof mxfp4));
    unsigned char fp8[3] = {0x7E, 0, 0xFF};
    assert_false(tensor_finite(DTYPE_F8_E4M3, fp8, 3));
    assert_true(tensor_finite(DTYPE_F8_E4M3, fp8, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fp8_weights_get_their_scales),
        cmocka_unit_test(scales_that_do_not_fit_are_named),
        cmocka_unit_test(parts_of_fused_tensors_are_their_rows),
        cmocka_unit_test(zeros_on_purpose_are_seen),
        cmocka_unit_test(block_scales_that_are_no_numbers_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
