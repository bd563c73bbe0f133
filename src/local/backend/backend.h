// backend.h - the operations a forward pass is made of, as a vtable: one for the CPU, one for CUDA.
//
// Activations are row-major float32 in memory of the backend (alloc); shapes are explicit.
// Weights are handles in a layout that only the backend knows. A step: begin(batch), operations in
// order, end(). The rules of docs/engine.md hold: a row's result does not depend on the other rows,
// bit for bit on the CPU. Threads: one thread drives a backend at a time (the engine's); the CPU
// backend spreads each operation over its own pool. Operations cannot fail; what can is done at
// load.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cores.h"
#include "local/backend/batch.h"
#include "local/kernels/activation.h"
#include "local/tensor/dtype.h"

struct backend;
struct error;
struct kv_cache;
struct weight;

enum { PACK_ROWS = 16 };

enum weight_use { WEIGHT_MATMUL, WEIGHT_EMBED, WEIGHT_VECTOR };

// Where a weight's numbers are read from at load. Rows may be given in several runs (fused or
// split tensors); each run holds whole rows of `dtype`.
struct weight_source {
    enum weight_use use;
    enum dtype dtype;
    int64_t rows, cols;  // y[rows] = W[rows, cols] x[cols]; vectors: rows = 1
    const void *data;    // rows one after another, unaligned; stays valid for WEIGHT_EMBED
    bool transposed;     // data is [cols, rows] instead (GPT-2's folders); plain types only
    const void *packed;  // NULL, or what pack() made of it, at a multiple of 64 bytes: used in
                         // place, and stays valid; data is not read
};

enum norm_kind { NORM_RMS, NORM_LAYER };
struct norm_args {
    enum norm_kind kind;
    float *out;                  // [n_rows, n]; may be x
    float *x;                    // [n_rows, n]
    const float *add;            // NULL, or [n_rows, n]: x += add first (x is written)
    const float *weight, *bias;  // [n]; bias NULL for RMS; weight NULL: all ones
    int n_rows, n;
    float eps;
};

// One activation against one or several weights that share it (q+k+v, gate+up).
struct matmul_out {
    const struct weight *w;
    const float *bias;  // [w rows] or NULL
    float *y;           // [n_rows, y_stride]
    int y_stride;       // 0: w's rows
    bool add;           // y += instead of y =
};
struct matmul_args {
    const float *x;  // [n_rows, cols]
    int n_rows;
    int n_out;  // 1..4
    struct matmul_out out[4];
};

struct glu_args {  // out = act(gate) * up; up NULL: out = act(gate). out may be gate.
    enum activation act;
    float *out;
    const float *gate, *up;
    int n_rows, n;
    int gate_stride, up_stride;  // 0: n (a fused gate_up matrix has 2n)
};

// cos and sin of every row's position, made once a step and used by all layers.
struct rope_table_args {
    float *out;                   // [n_rows, n_freqs, 2]: cos, sin, each times scale
    const float *inv_freq;        // [n_tables, n_freqs]
    const int32_t *table_of_seq;  // [n_seqs] index into inv_freq and scale
    const float *scale;           // [n_tables]
    int n_freqs;
};
// Rotates q and k in place, then writes k and v of every row into its sequence's page.
struct rope_store_args {
    float *q, *k, *v;  // [n_rows, stride]
    int q_stride, k_stride, v_stride;
    const float *table;                 // from rope_table; NULL: no rotation (learned positions)
    int n_freqs;                        // pairs that rotate; the rest of head_dim is left alone
    bool interleaved;                   // pairs (2i, 2i+1) instead of (i, i + n_freqs)
    int n_heads, n_kv_heads, head_dim;  // n_heads 0: q is left alone
    struct kv_cache *kv;
    int layer;  // within the cache's group
    int group;  // whose page tables
};
struct attention_args {
    const float *q;  // [n_rows, q_stride], rotated
    int q_stride;
    float *out;  // [n_rows, n_heads * head_dim]
    const struct kv_cache *kv;
    int layer, group;
    int n_heads, n_kv_heads, head_dim;
    float scale;         // of the scores
    float softcap;       // 0: none; cap * tanh(score / cap)
    int window;          // 0: all; else row at p sees positions > p - window
    bool wanted_only;    // rows of WANT_NOTHING are left out, their out is not written
    const float *sinks;  // [n_heads] extra logits, or NULL
};
struct moe_args {
    const float *x;       // [n_rows, n]
    float *out;           // [n_rows, n], written
    const float *router;  // [n_rows, n_experts] logits
    int n_rows, n, n_ff, n_experts, n_used;
    bool softmax_first;  // probabilities over all experts, then the best; else over the best only
    bool renormalize;    // the chosen weights sum to one
    float scale;         // of the chosen weights
    enum activation act;
    struct weight *const *gate, *const *up, *const *down;  // [n_experts]
};

// Keys and values of one layer group: in each page, layer by layer, K of all heads, then V
// (kernels/kv_page.h).
struct kv_shape {
    int n_layers, n_kv_heads, head_dim, n_pages;
    enum dtype dtype;  // F32, F16, Q8_0 or Q4_0
};

struct backend_stats {  // since the last reset, for bench and /metrics
    int64_t steps, rows;
    double matmul_s, attention_s, other_s;
};

struct backend_ops {
    void (*free)(struct backend *b);
    const char *(*describe)(const struct backend *b);  // "CPU, AVX-512 VNNI, 2 threads"
    float *(*alloc)(struct backend *b, size_t n_floats, struct error *err);  // 64-byte aligned
    void (*release)(struct backend *b, float *p, size_t n_floats);

    // Packs a weight; NULL with err (ERR_MEMORY, ERR_UNSUPPORTED).
    struct weight *(*weight_new)(struct backend *b, const struct weight_source *s,
                                 struct error *err);
    void (*weight_free)(struct backend *b, struct weight *w);
    size_t (*weight_bytes)(const struct weight *w);
    // The bytes of a weight as this backend lays it out, to be kept and given back as
    // weight_source.packed. layout() is another number where these bytes would be others; 0 where
    // they should not be kept, since memory is nearer to those who touched it first.
    uint64_t (*layout)(const struct backend *b);
    // 0: nothing is laid out anew, or weight_new() will refuse it.
    size_t (*packed_bytes)(const struct backend *b, const struct weight_source *s);
    // The bytes of rows [first, first + n), of which there are packed_bytes() of n rows. first is a
    // multiple of PACK_ROWS, and n too, but for the last rows.
    void (*pack)(struct backend *b, const struct weight_source *s, int64_t first, int64_t n,
                 void *out);
    // NULL with err (ERR_MEMORY, ERR_UNSUPPORTED).
    struct kv_cache *(*kv_new)(struct backend *b, const struct kv_shape *s, struct error *err);
    void (*kv_free)(struct backend *b, struct kv_cache *kv);

    void (*begin)(struct backend *b, const struct batch *batch);
    void (*end)(struct backend *b);

    // x [n_rows, cols] = rows of the table named by ids (NULL: the batch's tokens), times scale
    void (*embed)(struct backend *b, float *x, const struct weight *table, const int32_t *ids,
                  int n_rows, float scale);
    void (*norm)(struct backend *b, const struct norm_args *a);
    void (*matmul)(struct backend *b, const struct matmul_args *a);
    void (*glu)(struct backend *b, const struct glu_args *a);
    void (*add)(struct backend *b, float *x, const float *y, size_t n);  // x += y
    void (*rope_table)(struct backend *b, const struct rope_table_args *a);
    void (*rope_store)(struct backend *b, const struct rope_store_args *a);
    void (*attention)(struct backend *b, const struct attention_args *a);
    void (*moe)(struct backend *b, const struct moe_args *a);
    void (*gather)(struct backend *b, float *out, const float *x, const int32_t *rows, int n,
                   int width);
    void (*softcap)(struct backend *b, float *x, size_t n, float scale,
                    float cap);  // x*scale, then cap if > 0
    void (*copy_page)(struct backend *b, struct kv_cache *kv, int from, int to);
    void (*stats)(struct backend *b, struct backend_stats *out, bool reset);
};
struct backend {
    const struct backend_ops *ops;
};

struct cpu_options {
    int threads;      // 0: one for each fast core that this process may use (base/cores.h)
    enum pin pin;     // which CPUs they keep to
    const char *isa;  // NULL: the best; a name of kernels.h (isa_name) forces that set
};
struct backend *backend_cpu_new(const struct cpu_options *o, struct error *err);
static inline void backend_free(struct backend *b)
{
    if (b)
        b->ops->free(b);
}

// Page size in bytes of one page of a cache of that shape (all its layers).
size_t kv_page_bytes(const struct kv_shape *s);
// Whether keys and values can have that type; false with err (ERR_UNSUPPORTED): Q8_0 and Q4_0 want
// heads of a multiple of 32 numbers.
bool kv_type_check(enum dtype type, int head_dim, struct error *err);
// "f32", "f16", "q8_0" or "q4_0"; NULL and "" are DTYPE_COUNT, which stands for a model's own.
// False with err (ERR_USAGE) for others.
bool kv_type_from_name(const char *name, enum dtype *type, struct error *err);
