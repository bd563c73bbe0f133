// hf_quant_config.c - config.json's quantization_config: which library packed the weights, and how.
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/json.h"
#include "local/formats/hf_quant.h"
#include "local/formats/shown.h"

static const char *const names[] = {NULL,  "bitsandbytes",       "gptq",
                                    "awq", "compressed-tensors", "fp8"};

const char *hf_quant_name(enum hf_quant_method method)
{
    return names[method];
}

static const json_t *member(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_null(v) ? NULL : v;
}

static bool unsupported(struct error *err, const char *key, const char *value)
{
    return error_set(err, ERR_UNSUPPORTED,
                     "config.json: quantization_config: %s '%s' is not supported", key,
                     shown_name(slice_str(value)).text);
}

// A text that must be one of a list, whatever its case; absent is fine.
static bool one_of(const json_t *q, const char *key, const char *const *words, struct error *err)
{
    const json_t *v = member(q, key);
    if (!v)
        return true;
    if (!json_is_string(v))
        return error_set(err, ERR_FORMAT, "config.json: quantization_config: %s is not a text",
                         key);
    for (; *words; words++)
        if (strcasecmp(json_string_value(v), *words) == 0)
            return true;
    return unsupported(err, key, json_string_value(v));
}

static bool read_bits(const json_t *q, const char *key, int *bits, struct error *err)
{
    int64_t v;
    if (!member(q, key))
        return true;
    if (!json_get_i64(q, key, &v))
        return error_set(err, ERR_FORMAT,
                         "config.json: quantization_config: %s is not a whole number", key);
    if (v != 4 && v != 8)
        return error_set(err, ERR_UNSUPPORTED,
                         "config.json: quantization_config: %s is %lld; weights of 4 and 8 bits "
                         "can be read",
                         key, (long long)v);
    *bits = (int)v;
    return true;
}

static bool read_group(const json_t *q, int *group, struct error *err)
{
    int64_t v;
    if (!member(q, "group_size"))
        return true;
    if (!json_get_i64(q, "group_size", &v) || v < -1 || v == 0 || v > 1 << 20)
        return error_set(err, ERR_FORMAT,
                         "config.json: quantization_config: group_size is neither -1 nor a "
                         "number of columns");
    *group = (int)v;
    return true;
}

static bool read_bitsandbytes(const json_t *q, struct error *err)
{
    static const char *const types[] = {"nf4", "fp4", NULL}, *const storages[] = {"uint8", NULL};
    return one_of(q, "bnb_4bit_quant_type", types, err) &&
           one_of(q, "bnb_4bit_quant_storage", storages, err);
}

// What turns the weights or their inputs beside rounding them, such as rotations.
static bool turns_nothing(const json_t *q, const char *key, struct error *err)
{
    const json_t *v = member(q, key);
    if (!v || json_is_false(v) || (json_is_object(v) && json_object_size(v) == 0))
        return true;
    const char *text = json_string_value(v);
    return unsupported(err, key, text ? text : "not empty");
}

static bool read_gptq(const json_t *q, struct hf_quant *out, struct error *err)
{
    static const char *const formats[] = {"gptq", "gptq_v2", NULL}, *const words[] = {"int32",
                                                                                      NULL};
    const char *key = member(q, "checkpoint_format") ? "checkpoint_format" : "format";
    const char *format = json_get_text(q, key);
    if (!one_of(q, key, formats, err) || !one_of(q, "pack_dtype", words, err) ||
        !turns_nothing(q, "rotation", err) || !read_bits(q, "bits", &out->bits, err) ||
        !read_group(q, &out->group, err))
        return false;
    out->zeros_less_one = !format || strcasecmp(format, "gptq_v2") != 0;
    // Rules for single modules: then every weight's shape says what it is.
    if (member(q, "dynamic"))
        out->bits = out->group = 0;
    else if (!out->bits)
        return error_set(err, ERR_FORMAT, "config.json: quantization_config: bits is missing");
    return true;
}

static bool read_awq(const json_t *q, struct hf_quant *out, struct error *err)
{
    static const char *const versions[] = {"gemm", NULL};
    if (!one_of(q, "version", versions, err) || !one_of(q, "format", versions, err) ||
        !read_bits(q, "bits", &out->bits, err) || !read_bits(q, "w_bit", &out->bits, err) ||
        !read_group(q, &out->group, err))
        return false;
    if (out->bits && out->bits != 4)
        return unsupported(err, "bits", "8 of awq");
    out->bits = 4;
    return true;
}

// FP8's blocks: [128, 128], or none.
static bool read_block(const json_t *q, const char *key, struct error *err)
{
    const json_t *v = member(q, key);
    bool ok = !v || (json_array_size(v) == 2 && json_integer_value(json_array_get(v, 0)) == 128 &&
                     json_integer_value(json_array_get(v, 1)) == 128);
    return ok ? true
              : error_set(err, ERR_UNSUPPORTED,
                          "config.json: quantization_config: %s is not [128, 128]", key);
}

// What one group of modules is quantized to. Groups may differ: shapes tell then.
static bool read_scheme(const json_t *weights, struct hf_quant *one, struct error *err)
{
    static const char *const types[] = {"int", "float", NULL};
    static const char *const strategies[] = {"tensor", "channel", "group", "block", NULL};
    const char *type = json_get_text(weights, "type");
    if (!one_of(weights, "type", types, err) || !one_of(weights, "strategy", strategies, err) ||
        !read_bits(weights, "num_bits", &one->bits, err) ||
        !read_block(weights, "block_structure", err))
        return false;
    if (type && strcasecmp(type, "float") == 0 && one->bits == 4)
        return unsupported(err, "type", "float of 4 bits");
    return !member(weights, "group_size") || read_group(weights, &one->group, err);
}

static bool read_compressed(const json_t *q, struct hf_quant *out, struct error *err)
{
    static const char *const formats[] = {"pack-quantized",
                                          "int-quantized",
                                          "float-quantized",
                                          "naive-quantized",
                                          "mixed-precision",
                                          "dense",
                                          NULL};
    static const char *const sparsity[] = {"dense", NULL};
    const json_t *groups = member(q, "config_groups");
    const char *name;
    json_t *group;
    bool first = true;
    if (!one_of(q, "format", formats, err) ||
        !one_of(member(q, "sparsity_config"), "format", sparsity, err) ||
        !turns_nothing(q, "transform_config", err))
        return false;
    if (groups && !json_is_object(groups))
        return error_set(err, ERR_FORMAT,
                         "config.json: quantization_config: config_groups is not an object");
    json_object_foreach((json_t *)groups, name, group)
    {
        struct hf_quant one = {0};
        if (!one_of(group, "format", formats, err) ||
            !read_scheme(member(group, "weights"), &one, err))
            return false;
        out->bits = first || out->bits == one.bits ? one.bits : 0;
        out->group = first || out->group == one.group ? one.group : 0;
        first = false;
    }
    return true;
}

static bool read_fp8(const json_t *q, struct error *err)
{
    static const char *const formats[] = {"e4m3", "float8_e4m3fn", NULL};
    return one_of(q, "fmt", formats, err) && read_block(q, "weight_block_size", err);
}

bool hf_quant_read(const json_t *config, struct hf_quant *out, struct error *err)
{
    *out = (struct hf_quant){0};
    const json_t *q = member(config, "quantization_config");
    if (!q)
        q = member(config, "compression_config");
    if (!q)
        return true;
    if (!json_is_object(q))
        return error_set(err, ERR_FORMAT, "config.json: quantization_config is not an object");
    const char *method = json_get_text(q, "quant_method");
    if (!method &&
        (json_is_true(member(q, "load_in_4bit")) || json_is_true(member(q, "load_in_8bit"))))
        method = "bitsandbytes";  // files from before the member existed
    if (!method)
        return error_set(err, ERR_FORMAT, "config.json: quantization_config: quant_method is %s",
                         member(q, "quant_method") ? "not a text" : "missing");
    for (int i = HF_QUANT_NONE + 1; i <= HF_QUANT_FP8; i++)
        if (strcmp(names[i], method) == 0)
            out->method = (enum hf_quant_method)i;
    switch (out->method) {
    case HF_QUANT_BITSANDBYTES: return read_bitsandbytes(q, err);
    case HF_QUANT_GPTQ: return read_gptq(q, out, err);
    case HF_QUANT_AWQ: return read_awq(q, out, err);
    case HF_QUANT_COMPRESSED: return read_compressed(q, out, err);
    case HF_QUANT_FP8: return read_fp8(q, err);
    case HF_QUANT_NONE: break;
    }
    return unsupported(err, "quant_method", method);
}
