// tensors.h - the tensors of a model by role: where they are in a file and how they are read.
//
// A role is what a tensor does ("query weights of layer 3"); the file's name, shape and layout
// follow from the facts: fused and stacked tensors are cut into their parts, transposed ones are
// turned, FP8 gets its scales, packed weights (formats/hf_quant.h) are unpacked, norms stored less
// one get it back. What comes out is one logical matrix [rows, cols] or vector, which the loader
// packs and the exporter writes.
// Threads: pure functions of an immutable file.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "local/formats/hf_quant.h"
#include "local/tensor/dtype.h"

struct error;
struct model_facts;
struct model_file;
struct model_tensor;

enum tensor_role {
    TENSOR_TOKEN_EMBD,
    TENSOR_POSITION_EMBD,
    TENSOR_OUTPUT_NORM,
    TENSOR_OUTPUT_NORM_BIAS,
    TENSOR_OUTPUT,
    // per layer
    TENSOR_ATTN_NORM,
    TENSOR_ATTN_NORM_BIAS,
    TENSOR_Q,
    TENSOR_K,
    TENSOR_V,
    TENSOR_Q_BIAS,
    TENSOR_K_BIAS,
    TENSOR_V_BIAS,
    TENSOR_QKV,  // q, k and v in one
    TENSOR_QKV_BIAS,
    TENSOR_O,
    TENSOR_O_BIAS,
    TENSOR_Q_NORM,
    TENSOR_K_NORM,
    TENSOR_POST_ATTN_NORM,
    TENSOR_FFN_NORM,
    TENSOR_FFN_NORM_BIAS,
    TENSOR_GATE,
    TENSOR_UP,
    TENSOR_GATE_UP,  // gate and up in one
    TENSOR_DOWN,
    TENSOR_GATE_BIAS,
    TENSOR_UP_BIAS,
    TENSOR_DOWN_BIAS,
    TENSOR_POST_FFN_NORM,
    TENSOR_ROUTER,
    TENSOR_EXPERT_GATE,  // stacked in GGUF, one by one in folders
    TENSOR_EXPERT_UP,
    TENSOR_EXPERT_DOWN,
    TENSOR_EXPERT_GATE_UP,  // stacked and fused, as transformers 5 holds them
    TENSOR_ROLES,
};

// Which tensors a layer has, from facts alone.
enum tensor_presence { TENSOR_ABSENT, TENSOR_OPTIONAL, TENSOR_NEEDED };
enum tensor_presence tensor_presence(const struct model_facts *f, int layer, enum tensor_role role);
bool tensor_is_vector(enum tensor_role role);
bool tensor_is_expert(enum tensor_role role);  // one of many: the router is none
// Rows and columns (of one expert) that the facts ask for; a vector is one row.
void tensor_shape(const struct model_facts *f, enum tensor_role role, int64_t *rows, int64_t *cols);

struct tensor_view {
    const struct model_tensor *tensor;  // NULL: the weight is packed
    struct quant_weight packed;
    const struct model_tensor *scale;  // of FP8 weights, or NULL
    int64_t rows, cols;                // vectors: rows 1
    int64_t first_row;                 // where the view starts in the file's rows
    int64_t file_rows;                 // all rows of the file's matrix (of this expert)
    int expert;                        // of a stacked tensor
    bool stacked, transposed, plus_one;
    enum tensor_role whole;  // what the tensor is as a whole: TENSOR_QKV for a part of it
    enum dtype dtype;        // of what tensor_view_read gives
};

// Fills view and sets *found; an absent tensor is no error here. False with err if it is there
// but its shape is not what the facts ask for. layer and expert are ignored where meaningless.
bool tensor_find(const struct model_file *file, const struct model_facts *f, enum tensor_role role,
                 int layer, int expert, struct tensor_view *view, bool *found, struct error *err);
// The same, where absence is an error.
bool tensor_need(const struct model_file *file, const struct model_facts *f, enum tensor_role role,
                 int layer, int expert, struct tensor_view *view, struct error *err);

// Name of a role in a GGUF file ("blk.3.attn_q.weight"). size >= 64.
void tensor_gguf_name(enum tensor_role role, int layer, char *name, size_t size);

const char *tensor_view_name(const struct tensor_view *view);  // of the file's tensor
// Tells the system that the tensor's bytes are not needed any more (model_file_forget).
void tensor_view_forget(const struct model_file *file, const struct tensor_view *view);
uint64_t tensor_view_bytes(const struct tensor_view *view);  // of rows x cols in view->dtype
// Whether the rows can be used where they lie in the file.
bool tensor_view_direct(const struct tensor_view *view);
const void *tensor_view_file_data(const struct tensor_view *view);  // direct ones only
// Writes rows [from, from + n) into out (in view->dtype, whole rows).
void tensor_view_read(const struct tensor_view *view, int64_t from, int64_t n, void *out);
// Rows [from, from + n) as floats: what tensor_view_read gives, or for packed weights what the file
// means before it is rounded to view->dtype.
void tensor_view_numbers(const struct tensor_view *view, int64_t from, int64_t n, float *out);
// A vector as floats [rows * cols].
void tensor_view_floats(const struct tensor_view *view, float *out);

// Whether zeros stand among the other values of a matrix (zeros.c), judged by some of its rows.
bool tensor_has_zeros(const struct tensor_view *view);
// False if a number (or a block's scale) is NaN or infinite.
bool tensor_finite(enum dtype dtype, const void *data, uint64_t bytes);
