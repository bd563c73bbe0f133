// cpu.h - inside of the CPU backend: what its files share.
#pragma once
#include <stdatomic.h>

#include "local/backend/backend.h"
#include "local/kernels/kernels.h"

struct thread_pool;

struct weight {
    enum weight_use use;
    enum dtype dtype;
    int rows, cols;
    const uint8_t *data;  // WEIGHT_EMBED: the file's rows, or own memory where they had to change
    uint8_t *own;         // rows or panels in memory of our own; NULL: they lie elsewhere
    const uint8_t *panels;
    size_t bytes;  // of rows or panels that are not the file's
    size_t panel_bytes;
    int n_panels;
};

struct kv_cache {
    struct kv_shape shape;
    uint8_t *data;
    size_t bytes, page_bytes;
    size_t layer_bytes;  // K and V of one layer in a page
    size_t head_bytes;   // K (or V) of one head in a page
};

// Memory that grows to what the largest step wants and then stays.
struct scratch {
    void *ptr;
    size_t bytes;
};

struct cpu {
    struct backend base;
    struct kernels kernels;
    struct thread_pool *pool;
    int n_threads;
    int max_cols;  // of any weight
    const struct batch *batch;
    struct scratch act;     // activations in the form that a matmul wants
    struct scratch worker;  // n_threads parts of worker_bytes
    size_t worker_bytes;
    struct scratch attention;  // the step's list of attention items
    struct scratch parts;      // of attention that is split over a text's segments
    struct scratch moe;
    struct backend_stats stats;
    char description[96];
};

static inline struct cpu *cpu_of(struct backend *b)
{
    return (struct cpu *)b;
}

// At least that many bytes, 64-byte aligned; what was inside is lost. Aborts when there is no
// memory: sizes are bounded by the batch's capacity and the weights' shapes.
void *scratch_get(struct scratch *s, size_t bytes);
void scratch_release(struct scratch *s);
void *cpu_worker_scratch(struct cpu *c, int worker);
void cpu_worker_reserve(struct cpu *c, size_t bytes);

// Shares items among the threads. Operations call it with denormals off.
void cpu_run(struct cpu *c, void (*fn)(void *self, int item, int worker), void *self, int n_items);
// Shares n_rows rows in even runs, inline when the work (in elements) is too small to share.
void cpu_run_rows(struct cpu *c, void (*fn)(void *self, int first, int n), void *self, int n_rows,
                  size_t row_work);

// cpu_weight.c
struct weight *cpu_weight_new(struct backend *b, const struct weight_source *s, struct error *err);
void cpu_weight_free(struct backend *b, struct weight *w);
size_t cpu_weight_bytes(const struct weight *w);
uint64_t cpu_layout(const struct backend *b);
size_t cpu_packed_bytes(const struct backend *b, const struct weight_source *s);
void cpu_pack(struct backend *b, const struct weight_source *s, int64_t first, int64_t n,
              void *out);
void cpu_embed(struct backend *b, float *x, const struct weight *table, const int32_t *ids,
               int n_rows, float scale);

// cpu_matmul.c
struct matmul_job {  // one activation against up to four weights
    const float *x;
    size_t x_stride;
    int n_rows, n_out;
    struct matmul_out out[4];
};
void cpu_matmul_jobs(struct cpu *c, const struct matmul_job *jobs, int n_jobs);
void cpu_matmul(struct backend *b, const struct matmul_args *a);

// cpu_rows.c
void cpu_norm(struct backend *b, const struct norm_args *a);
void cpu_glu(struct backend *b, const struct glu_args *a);
void cpu_add(struct backend *b, float *x, const float *y, size_t n);
void cpu_rope_table(struct backend *b, const struct rope_table_args *a);
void cpu_gather(struct backend *b, float *out, const float *x, const int32_t *rows, int n,
                int width);
void cpu_softcap(struct backend *b, float *x, size_t n, float scale, float cap);

// cpu_kv.c
struct kv_cache *cpu_kv_new(struct backend *b, const struct kv_shape *s, struct error *err);
void cpu_kv_free(struct backend *b, struct kv_cache *kv);
void cpu_rope_store(struct backend *b, const struct rope_store_args *a);
void cpu_copy_page(struct backend *b, struct kv_cache *kv, int from, int to);

// cpu_attention.c
void cpu_attention(struct backend *b, const struct attention_args *a);

// cpu_moe.c
void cpu_moe(struct backend *b, const struct moe_args *a);
