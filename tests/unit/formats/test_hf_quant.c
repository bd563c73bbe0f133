// test_hf_quant.c - packed weights that lie: one error for each way, naming file, tensor and fault.
//
// The folders are the goldens' (tests/golden/data/quantized), each with one change to its config,
// to a tensor's name, type or shape, or to its numbers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "local/formats/model_file.h"
#include "local/models/facts.h"
#include "local/models/tensors.h"

#include "../../support/tiny_model.h"

static struct hf_quant read_config(const char *text)
{
    struct error err = {0};
    struct hf_quant q = {0};
    char whole[1024];
    (void)snprintf(whole, sizeof whole, "{\"quantization_config\":%s}", text);
    json_t *config = json_parse(slice_str(whole), &err);
    if (!config || !hf_quant_read(config, &q, &err))
        fail_msg("%s: %s", text, err.text);
    json_decref(config);
    return q;
}

static void configs_say_what_is_packed(void **state)
{
    (void)state;
    struct hf_quant q = read_config("null");
    assert_int_equal(q.method, HF_QUANT_NONE);
    q = read_config("{\"quant_method\":\"bitsandbytes\",\"load_in_4bit\":true}");
    assert_int_equal(q.method, HF_QUANT_BITSANDBYTES);
    q = read_config("{\"load_in_8bit\":true}");
    assert_int_equal(q.method, HF_QUANT_BITSANDBYTES);
    q = read_config("{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":128}");
    assert_int_equal(q.method, HF_QUANT_GPTQ);
    assert_true(q.bits == 4 && q.group == 128 && q.zeros_less_one);
    q = read_config("{\"quant_method\":\"gptq\",\"bits\":8,\"group_size\":-1,"
                    "\"checkpoint_format\":\"gptq_v2\"}");
    assert_true(q.bits == 8 && q.group == -1 && !q.zeros_less_one);
    q = read_config("{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":32,\"dynamic\":{}}");
    assert_true(q.bits == 0 && q.group == 0);  // shapes tell
    q = read_config("{\"quant_method\":\"awq\",\"bits\":4,\"group_size\":64,\"version\":\"GEMM\"}");
    assert_true(q.method == HF_QUANT_AWQ && q.bits == 4 && q.group == 64);
    q = read_config("{\"quant_method\":\"fp8\",\"weight_block_size\":[128,128]}");
    assert_int_equal(q.method, HF_QUANT_FP8);
    q = read_config("{\"quant_method\":\"compressed-tensors\",\"format\":\"pack-quantized\","
                    "\"config_groups\":{\"a\":{\"weights\":{\"num_bits\":4,\"group_size\":64}},"
                    "\"b\":{\"weights\":{\"num_bits\":8,\"group_size\":64}}}}");
    assert_true(q.method == HF_QUANT_COMPRESSED && q.bits == 0 && q.group == 64);
}

static void configs_that_cannot_be_followed_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *config, *error;
    } lies[] = {
        {"[]", "quantization_config is not an object"},
        {"{}", "quant_method is missing"},
        {"{\"quant_method\":4}", "quant_method is not a text"},
        {"{\"quant_method\":\"hqq\"}", "quant_method 'hqq' is not supported"},
        {"{\"quant_method\":\"gptq\"}", "bits is missing"},
        {"{\"quant_method\":\"gptq\",\"bits\":3}",
         "bits is 3; weights of 4 and 8 bits can be read"},
        {"{\"quant_method\":\"gptq\",\"bits\":\"4\"}", "bits is not a whole number"},
        {"{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":0}",
         "group_size is neither -1 nor a number of columns"},
        {"{\"quant_method\":\"gptq\",\"bits\":4,\"checkpoint_format\":\"marlin\"}",
         "checkpoint_format 'marlin' is not supported"},
        {"{\"quant_method\":\"gptq\",\"bits\":4,\"pack_dtype\":\"int16\"}",
         "pack_dtype 'int16' is not supported"},
        {"{\"quant_method\":\"gptq\",\"bits\":4,\"rotation\":\"hadamard\"}",
         "rotation 'hadamard' is not supported"},
        {"{\"quant_method\":\"compressed-tensors\",\"transform_config\":{\"config_groups\":{}}}",
         "transform_config 'not empty' is not supported"},
        {"{\"quant_method\":\"awq\",\"bits\":4,\"version\":\"gemv\"}",
         "version 'gemv' is not supported"},
        {"{\"quant_method\":\"awq\",\"bits\":8}", "bits '8 of awq' is not supported"},
        {"{\"quant_method\":\"bitsandbytes\",\"bnb_4bit_quant_type\":\"int4\"}",
         "bnb_4bit_quant_type 'int4' is not supported"},
        {"{\"quant_method\":\"bitsandbytes\",\"bnb_4bit_quant_storage\":\"bfloat16\"}",
         "bnb_4bit_quant_storage 'bfloat16' is not supported"},
        {"{\"quant_method\":\"fp8\",\"weight_block_size\":[64,128]}",
         "weight_block_size is not [128, 128]"},
        {"{\"quant_method\":\"fp8\",\"fmt\":\"e5m2\"}", "fmt 'e5m2' is not supported"},
        {"{\"quant_method\":\"compressed-tensors\",\"format\":\"nvfp4-pack-quantized\"}",
         "format 'nvfp4-pack-quantized' is not supported"},
        {"{\"quant_method\":\"compressed-tensors\",\"format\":7}", "format is not a text"},
        {"{\"quant_method\":\"compressed-tensors\",\"sparsity_config\":{\"format\":\"sparse-24\"}}",
         "format 'sparse-24' is not supported"},
        {"{\"quant_method\":\"compressed-tensors\",\"config_groups\":[]}",
         "config_groups is not an object"},
        {"{\"quant_method\":\"compressed-tensors\",\"config_groups\":{\"a\":{\"weights\":"
         "{\"num_bits\":2}}}}",
         "num_bits is 2; weights of 4 and 8 bits can be read"},
        {"{\"quant_method\":\"compressed-tensors\",\"config_groups\":{\"a\":{\"weights\":"
         "{\"num_bits\":4,\"type\":\"float\"}}}}",
         "type 'float of 4 bits' is not supported"},
        {"{\"quant_method\":\"compressed-tensors\",\"config_groups\":{\"a\":{\"weights\":"
         "{\"num_bits\":8,\"strategy\":\"tensor_group\"}}}}",
         "strategy 'tensor_group' is not supported"},
        {"{\"quant_method\":\"compressed-tensors\",\"config_groups\":{\"a\":{\"weights\":"
         "{\"num_bits\":8,\"block_structure\":[64,64]}}}}",
         "block_structure is not [128, 128]"},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct error err = {0};
        struct hf_quant q;
        char text[512];
        (void)snprintf(text, sizeof text, "{\"quantization_config\":%s}", lies[i].config);
        json_t *config = json_parse(slice_str(text), &err);
        assert_non_null(config);
        if (hf_quant_read(config, &q, &err))
            fail_msg("accepted: %s", text);
        if (!strstr(err.text, lies[i].error))
            fail_msg("%s: '%s', expected '%s'", text, err.text, lies[i].error);
        json_decref(config);
    }
}

// One change to a folder. `tensor` follows "model.layers.0.self_attn.q_proj."
struct change {
    const char *folder, *tensor;
    const char *name, *dtype, *shape;  // what it gets instead, or NULL
    int at;                            // index of a 32-bit word (-1: none) that becomes
    uint32_t word;
    const char *member, *value;  // of quantization_config; "" of the config
    const char *error;           // NULL: it loads all the same
};

static void put(const char *folder, const char *name, const void *bytes, size_t len)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void write_config(const struct change *c, const char *from, const char *to)
{
    struct error err = {0};
    char path[600];
    struct buf text = {0};
    (void)snprintf(path, sizeof path, "%s/config.json", from);
    json_t *config = json_read_file(path, 1 << 20, &err);
    assert_non_null(config);
    json_t *value = c->member ? json_parse(slice_str(c->value), &err) : NULL;
    assert_true(!c->member || value);
    if (value && strcmp(c->member, "") == 0)
        (void)json_object_set_new(config, "quantization_config", value);
    else if (value)
        (void)json_object_set_new(json_object_get(config, "quantization_config"), c->member, value);
    json_write(&text, config, JSON_STYLE_COMPACT);
    put(to, "config.json", text.ptr, text.len);
    buf_release(&text);
    json_decref(config);
}

static void change_entry(const struct change *c, json_t *header, char *data)
{
    struct error err = {0};
    char name[200], other[200];
    (void)snprintf(name, sizeof name, "model.layers.0.self_attn.q_proj.%s", c->tensor);
    json_t *entry = json_object_get(header, name);
    if (!entry)
        fail_msg("%s has no '%s'", c->folder, name);
    if (c->dtype)
        (void)json_object_set_new(entry, "dtype", json_string(c->dtype));
    if (c->shape)
        (void)json_object_set_new(entry, "shape", json_parse(slice_str(c->shape), &err));
    if (c->at >= 0) {
        json_int_t begin =
            json_integer_value(json_array_get(json_object_get(entry, "data_offsets"), 0));
        memcpy(data + begin + (json_int_t)c->at * 4, &c->word, 4);
    }
    if (c->name) {
        (void)snprintf(other, sizeof other, "model.layers.0.self_attn.q_proj.%s", c->name);
        (void)json_object_set(header, other, entry);
        (void)json_object_del(header, name);
    }
}

static void write_weights(const struct change *c, const char *from, const char *to)
{
    struct error err = {0};
    char path[600];
    struct mapping map;
    uint64_t len;
    struct buf text = {0}, all = {0};
    (void)snprintf(path, sizeof path, "%s/model.safetensors", from);
    assert_true(mapping_open(&map, path, &err));
    memcpy(&len, map.ptr, sizeof len);
    size_t n = map.len - 8 - (size_t)len;
    char *data = memory_new(1, n);
    memcpy(data, (const char *)map.ptr + 8 + len, n);
    json_t *header = json_parse(slice_of((const char *)map.ptr + 8, (size_t)len), &err);
    assert_non_null(header);
    if (c->tensor)
        change_entry(c, header, data);
    json_write(&text, header, JSON_STYLE_COMPACT);
    len = text.len;
    buf_add(&all, &len, sizeof len);
    buf_slice(&all, buf_view(&text));
    buf_add(&all, data, n);
    put(to, "model.safetensors", all.ptr, all.len);
    free(data);
    json_decref(header);
    buf_release(&text);
    buf_release(&all);
    mapping_close(&map);
}

static void check_change(const struct change *c)
{
    struct error err = {0};
    struct model_facts facts;
    struct tensor_view v;
    char from[200];
    char *to = temp_folder();
    (void)snprintf(from, sizeof from, "tests/golden/data/quantized/%s", c->folder);
    write_config(c, from, to);
    write_weights(c, from, to);
    struct model_file *file = model_file_open(to, MODEL_ALL, &err);
    bool ok = file && facts_read(file, &facts, &err) &&
              tensor_need(file, &facts, TENSOR_Q, 0, 0, &v, &err);
    const char *what = c->tensor ? c->tensor : c->member;
    if (c->error && ok)
        fail_msg("%s: %s: nothing was said, expected '%s'", c->folder, what, c->error);
    if (!c->error && !ok)
        fail_msg("%s: %s: %s", c->folder, what, err.text);
    if (c->error && !strstr(err.text, c->error))
        fail_msg("%s: %s: '%s', expected '%s'", c->folder, what, err.text, c->error);
    if (c->error && !strstr(err.text, to))
        fail_msg("%s: %s: '%s' does not name the folder", c->folder, what, err.text);
    if (ok) {
        float *row = memory_array(float, (size_t)v.cols);
        tensor_view_numbers(&v, 0, 1, row);
        free(row);
    }
    model_file_close(file);
    temp_folder_remove(to);
}

static void weights_that_lie_are_told(void **state)
{
    (void)state;
    static const struct change changes[] = {
        // what is missing
        {"gptq-4", "qweight", "x", .at = -1, .error = "q_proj.weight' is missing, and so is '"},
        {"gptq-4", "qzeros", "x", .at = -1, .error = "q_proj.qzeros' is missing"},
        {"gptq-4", "scales", "x", .at = -1, .error = "q_proj.scales' is missing"},
        {"gptq-4", "g_idx", "x", .at = -1},
        {"awq", "qzeros", "x", .at = -1},
        {"ct-int4", "weight_scale", "x", .at = -1, .error = "q_proj.weight_scale' is missing"},
        {"ct-int4", "weight_shape", "x", .at = -1},
        {"ct-int8", "weight_scale", "x", .at = -1, .error = "q_proj.weight_scale' is missing"},
        {"ct-fp8-tensor", "weight_scale", "x", .at = -1, .error = "q_proj.weight' has no scale"},
        {"bnb-int8", "SCB", "x", .at = -1, .error = "q_proj.SCB' is missing"},
        {"bnb-int8", "weight_format", "x", .at = -1},
        {"bnb-nf4", "weight.absmax", "x", .at = -1, .error = "q_proj.weight.absmax' is missing"},
        {"bnb-nf4", "weight.quant_map", "x", .at = -1,
         .error = "q_proj.weight.quant_map' is missing"},
        {"bnb-nf4", "weight.quant_state.bitsandbytes__nf4", "x", .at = -1,
         .error = "bitsandbytes__nf4' is missing (nor is there one of __fp4)"},
        {"bnb-nf4-double", "weight.nested_absmax", "x", .at = -1,
         .error = "q_proj.weight.nested_absmax' is missing"},
        {"bnb-nf4-double", "weight.nested_quant_map", "x", .at = -1,
         .error = "q_proj.weight.nested_quant_map' is missing"},
        {"gptq-4", .at = -1, .member = "", .value = "null",
         .error = "q_proj.qweight', but config.json has no quantization_config"},
        // types
        {"gptq-4", "qweight", .dtype = "U32", .at = -1,
         .error = "q_proj.qweight' has another type, expected I32"},
        {"gptq-4", "qzeros", .dtype = "F32", .at = -1, .error = "q_proj.qzeros' is missing"},
        {"gptq-4", "scales", .dtype = "I16", .at = -1, .error = "q_proj.scales' is missing"},
        {"gptq-4", "g_idx", .dtype = "U32", .at = -1,
         .error = "q_proj.g_idx' has another type, expected I32"},
        {"bnb-int8", "weight", .dtype = "U8", .at = -1,
         .error = "q_proj.weight' has shape [32, 32], expected [512]"},
        {"bnb-nf4-double", "weight.absmax", .dtype = "I8", .at = -1,
         .error = "q_proj.weight.absmax' has I8, expected U8"},
        {"ct-int8", "weight", .dtype = "U8", .at = -1,
         .error = "q_proj.weight' has U8, expected I8"},
        {"ct-fp8-channel", "weight", .dtype = "F8_E5M2", .at = -1,
         .error = "q_proj.weight' has another type, expected I8"},
        // shapes
        {"gptq-4", "qweight", .shape = "[32,4]", .at = -1,
         .error = "q_proj.qweight' has shape [32, 4], expected [4, 32]"},
        {"gptq-4", "qweight", .shape = "[128]", .at = -1,
         .error = "q_proj.qweight' has 1 dimensions, expected 2"},
        {"gptq-4", "scales", .shape = "[32,1]", .at = -1,
         .error = "q_proj.scales' has shape [32, 1], which is no scale for each of 32 rows"},
        {"gptq-4", "qzeros", .shape = "[4,1]", .at = -1,
         .error = "q_proj.qzeros' has shape [4, 1], expected [1, 4]"},
        {"gptq-4", "g_idx", .shape = "[2,16]", .at = -1,
         .error = "q_proj.g_idx' has shape [2, 16], expected [32]"},
        {"awq", "qweight", .shape = "[4,32]", .at = -1,
         .error = "q_proj.qweight' has shape [4, 32], expected [32, 4]"},
        {"ct-int4", "weight_packed", .shape = "[4,32]", .at = -1,
         .error = "q_proj.weight_packed' has shape [4, 32], expected [32, 4]"},
        {"bnb-nf4", "weight", .shape = "[2,256]", .at = -1},
        {"bnb-nf4", "weight.absmax", .shape = "[4,4]", .at = -1},
        {"bnb-nf4", "weight.quant_map", .dtype = "F16", .shape = "[32]", .at = -1,
         .error = "q_proj.weight.quant_map' has 32 numbers, expected 16"},
        {"ct-int8", "weight", .shape = "[16,64]", .at = -1,
         .error = "q_proj.weight' has shape [16, 64], expected [32, 32]"},
        {"bnb-int8", "SCB", .shape = "[32,1]", .at = -1},
        // numbers
        {"gptq-4", "g_idx", .at = 3, .word = 1,
         .error = "q_proj.g_idx' puts column 3 into group 1 of 1"},
        {"gptq-4", "g_idx", .at = 31, .word = 0xFFFFFFFF,
         .error = "q_proj.g_idx' puts column 31 into group -1 of 1"},
        {"ct-int4-order", "weight_g_idx", .at = 5, .word = 0xFFFFFFFF},
        {"ct-int4-order", "weight_g_idx", .at = 5, .word = 0x80000000,
         .error = "q_proj.weight_g_idx' puts column 5 into group -2147483648 of 4"},
        {"ct-int4", "weight_shape", .at = 0, .word = 33,
         .error = "q_proj.weight_shape' says [33, 32], expected [32, 32]"},
        {"ct-int4", "weight_shape", .at = 3, .word = 1,
         .error = "q_proj.weight_shape' says [32, 4294967328], expected [32, 32]"},
        {"bnb-nf4", "weight.quant_map", .at = 9, .word = 0x7FC00000,
         .error = "q_proj.weight.quant_map' holds NaN or infinity"},
        {"bnb-nf4", "weight.quant_state.bitsandbytes__nf4", .at = 0, .word = 0x20202020,
         .error = "__nf4' is not the state of a quantization: no JSON"},
        // what the config says and the tensors do not
        {"gptq-4", .at = -1, .member = "bits", .value = "8",
         .error = "q_proj.qweight' has shape [4, 32], expected [8, 32]"},
        {"gptq-4", .at = -1, .member = "group_size", .value = "16",
         .error = "q_proj.scales' has 1 groups for rows of 32, group_size is 16"},
        {"gptq-4", .at = -1, .member = "group_size", .value = "128"},
        {"gptq-4", .at = -1, .member = "dynamic", .value = "{}"},
        {"gptq-8", .at = -1, .member = "dynamic", .value = "{}"},
        {"gptq-4-order", .at = -1, .member = "group_size", .value = "-1",
         .error = "q_proj.scales' has 2 groups for rows of 32, group_size is -1"},
        {"awq", .at = -1, .member = "group_size", .value = "1",
         .error = "q_proj.scales' has 1 groups for rows of 32, group_size is 1"},
        {"ct-int4", .at = -1, .member = "quant_method", .value = "\"gptq\"",
         .error = "format 'pack-quantized' is not supported"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        check_change(&changes[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configs_say_what_is_packed),
        cmocka_unit_test(configs_that_cannot_be_followed_are_told),
        cmocka_unit_test(weights_that_lie_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
