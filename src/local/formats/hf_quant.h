// hf_quant.h - weights that other libraries quantized, in Hugging Face folders.
//
// Such a weight is one matrix [rows, cols] made of several tensors: codes of 4 or 8 bits, scales,
// perhaps zero points and an order of columns. How they lie is said by config.json's
// quantization_config and by the tensors' names:
//   bitsandbytes         NF4 and FP4 (also with quantized scales), INT8 with one scale a row
//   gptq                 4 and 8 bits, groups, order of activation (g_idx), both kinds of zeros
//   awq                  4 bits in the order of its GEMM kernels
//   compressed-tensors   4 and 8 bits packed, INT8; its FP8 and that of "fp8" is read as any FP8
//                        weight with scales is (local/models)
// Only weights are meant: a scheme that also rounds activations rounds none here.
// Nothing on disk is trusted: open checks types, shapes, sizes and the order of columns.
// Threads: pure functions of an immutable file.
// Sources: bitsandbytes (functional.py, QuantState; csrc/kernels.cu), GPTQModel and AutoAWQ
// (packing and dequantization), compressed-tensors (pack_quantized, naive_quantized).
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "local/tensor/dtype.h"

struct error;
struct json_t;
struct model_file;
struct model_tensor;
struct raw_tensor;

enum hf_quant_method {
    HF_QUANT_NONE,
    HF_QUANT_BITSANDBYTES,
    HF_QUANT_GPTQ,
    HF_QUANT_AWQ,
    HF_QUANT_COMPRESSED,
    HF_QUANT_FP8,
};
// What config.json says of all weights. Zeroed: nothing is quantized.
struct hf_quant {
    enum hf_quant_method method;
    int bits;             // 4 or 8; 0: not said, the shapes tell
    int group;            // columns that share a scale; -1: a whole row; 0: not said
    bool zeros_less_one;  // zero points are stored less one (GPTQ's first format)
};
// False with err naming the member that is wrong or not supported.
bool hf_quant_read(const struct json_t *config, struct hf_quant *q, struct error *err);
const char *hf_quant_name(enum hf_quant_method method);  // as configs spell it; NULL for none

enum quant_layout {
    QUANT_TABLE,  // 4 bits that index a table, scales for runs of the flattened matrix
    QUANT_GPTQ,   // codes [cols / n, rows], n in each word
    QUANT_AWQ,    // codes [cols, rows / 8]
    QUANT_ROWS,   // codes [rows, cols / n]
    QUANT_INT8,   // codes [rows, cols], signed
};
struct quant_weight {
    const struct raw_tensor *codes;  // NULL: no such weight
    enum quant_layout layout;
    int64_t rows, cols;
    enum dtype dtype;  // what quant_weight_blocks writes
    int bits;
    // All layouts but QUANT_TABLE: value = scale * (code - zero).
    const struct model_tensor *scales;  // [rows, n_groups] or [n_groups, rows]
    const struct raw_tensor *zeros;     // or NULL: the middle of the codes' range
    const struct raw_tensor *order;     // the group of each column, or NULL: in turn
    int64_t group, n_groups;            // columns in a group
    float factor;                       // of all scales
    bool zeros_less_one;
    // QUANT_TABLE: value = table[code] * absmax[index / block].
    const struct model_tensor *absmax;         // NULL where it is quantized itself:
    const struct raw_tensor *absmax_codes;     // absmax = nested_table[code] *
    const struct model_tensor *nested_absmax;  //          nested_absmax[index / nested_block]
    float nested_offset;                       //          + nested_offset
    int64_t block, nested_block;
    float table[16], nested_table[256];
};

// The tensor that holds the codes of what would be the weight `name` ("....weight"), or NULL.
const struct raw_tensor *hf_quant_find(const struct model_file *file, const struct hf_quant *q,
                                       const char *name);
// What the codes' tensor would be called (for messages); size >= 200.
void hf_quant_codes_name(const struct hf_quant *q, const char *name, char *out, size_t size);
// Checks all that belongs to the weight against [rows, cols]. False with err naming the tensor.
// Chooses w->dtype: a block format that holds the weight as well as 16 bits would, or F16 or BF16.
bool hf_quant_open(const struct model_file *file, const struct hf_quant *q,
                   const struct raw_tensor *codes, int64_t rows, int64_t cols,
                   struct quant_weight *w, struct error *err);

// One row as single precision has it: exact but for the rounding of one product (INT8 of
// bitsandbytes: two).
void quant_weight_row(const struct quant_weight *w, int64_t row, float *out);
// One row in w->dtype; out holds dtype_bytes(w->dtype, cols) bytes.
void quant_weight_blocks(const struct quant_weight *w, int64_t row, void *out);
// See model_file_forget.
void quant_weight_forget(const struct model_file *file, const struct quant_weight *w);
