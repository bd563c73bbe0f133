// dtype.h - the number formats weights come in: names, sizes, and how they read as floats.
//
// A row of a block format is a whole number of blocks of `block_len` values, each `block_bytes`
// long. The functions here are the reference: plain C, always right, the specification for the
// kernels (local/kernels), which are the fast ones. Threads: pure functions and constant tables.
// Source: ggml's block layouts (ggml-common.h names the fields); OCP Microscaling v1.0 for MXFP4.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dtype {
    DTYPE_F32,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_Q4_0,
    DTYPE_Q4_1,
    DTYPE_Q5_0,
    DTYPE_Q5_1,
    DTYPE_Q8_0,
    DTYPE_Q2_K,
    DTYPE_Q3_K,
    DTYPE_Q4_K,
    DTYPE_Q5_K,
    DTYPE_Q6_K,
    DTYPE_IQ4_NL,
    DTYPE_IQ4_XS,
    DTYPE_MXFP4,
    DTYPE_F8_E4M3,  // safetensors only; no GGUF type
    DTYPE_COUNT,
};

struct dtype_info {
    const char *name;  // lower case, as `hearth quantize --type` names it: "q4_0"
    int ggml_type;     // number in GGUF files, -1 if none
    int block_len;     // values in a block; 1 for plain types
    int block_bytes;
};

const struct dtype_info *dtype_info(enum dtype type);
static inline const char *dtype_name(enum dtype type)
{
    return dtype_info(type)->name;
}
bool dtype_from_ggml(uint32_t ggml_type, enum dtype *type);
bool dtype_from_name(const char *name, enum dtype *type);  // case is ignored
// The name ggml gives a type number we cannot read ("IQ2_XXS"), or "type 123" in a static
// buffer-free way.
const char *dtype_ggml_name(uint32_t ggml_type);  // NULL if nobody knows it

// Bytes of n values; n must be a multiple of block_len. False on a remainder or overflow.
bool dtype_bytes(enum dtype type, uint64_t n, uint64_t *bytes);

// n values (whole blocks) to floats and back. out/in may not overlap. Rounding to block formats
// lives in local/quantize; here are only the plain types and reading of all.
void dtype_to_f32(enum dtype type, const void *from, float *out, size_t n);

float f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float f);  // round to nearest even, as hardware does
float bf16_to_f32(uint16_t h);
uint16_t f32_to_bf16(float f);  // round to nearest even; NaN stays NaN
float f8_e4m3_to_f32(uint8_t v);
