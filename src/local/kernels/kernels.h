// kernels.h - the inner loops of the CPU backend, as a table made for an instruction set.
//
// The table is a value: a test can build one for any CPU. The scalar functions are complete and
// are the specification; each instruction set overrides what it has. Results of one table do not
// depend on how work is cut: every output element has one accumulator that takes its blocks in
// ascending order, whatever the number of rows. Two tables agree within rounding.
// Threads: pure functions; scratch belongs to the caller.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "local/kernels/activation.h"
#include "local/kernels/attention.h"
#include "local/kernels/panel.h"
#include "local/tensor/dtype.h"

enum isa {
    ISA_AVX2 = 1,
    ISA_AVX512 = 2,
    ISA_AVX512_VNNI = 4,
    ISA_NEON = 8,
    ISA_NEON_DOTPROD = 16,
    ISA_NEON_I8MM = 32,
    ISA_AVX2_VNNI = 64,
    ISA_AMX_INT8 = 128,
};

// What a row of activations is turned into before it meets a weight: a function of the weight's
// format alone. The Q8 forms hold int8 with one float scale per 32 columns; they differ in what
// stands beside it: sums of the int8 times the weights' offset (added to integer products of
// unsigned weights), or sums for weights with a minimum, per 32 or per 16 columns.
enum act_form {
    ACT_F32,
    ACT_Q8_OFFSET_8,    // d, -8 * sum
    ACT_Q8_OFFSET_16,   // d, -16 * sum
    ACT_Q8_OFFSET_128,  // d, -128 * sum
    ACT_Q8_MIN,         // d, d * sum
    ACT_Q8_HALF,        // d, -32 * sum of each half
    ACT_Q8_HALF_MIN,    // d, d * sum of each half
    ACT_FORM_COUNT
};
// Activations of a tile of T rows: F32 [cols][T]; Q8 for each 32 columns: header words [words][T]
// (d first), then [8][T] words of four int8 (AMX: [T][8]). A form takes the same bytes for each
// row.
static inline int act_header_words(enum act_form form)
{
    return form == ACT_F32 ? 0 : form == ACT_Q8_HALF || form == ACT_Q8_HALF_MIN ? 3 : 2;
}
static inline size_t act_row_bytes(enum act_form form, int cols)
{
    return form == ACT_F32 ? (size_t)cols * 4
                           : (size_t)(cols / 32) * (size_t)(8 + act_header_words(form)) * 4;
}

// Which form a weight format wants.
enum act_form act_form_of(enum dtype type);

// The tiles of n_rows rows: as few as `most` allows, sizes differ by at most one.
static inline int act_n_tiles(int n_rows, int most)
{
    return (n_rows + most - 1) / most;
}
static inline int act_tile_first(int n_rows, int n_tiles, int i)
{
    int size = n_rows / n_tiles, larger = n_rows % n_tiles;
    return i * size + (i < larger ? i : larger);
}

// y[row of x][row of W] = W x + bias, for one matrix.
struct gemm {
    enum dtype dtype;
    const uint8_t *panels;
    size_t panel_bytes;
    int rows, cols;
    const uint8_t *act;  // tiles one after another
    int n_x, n_tiles;    // rows of x
    float *y;
    size_t y_stride;
    const float *bias;  // [rows] or NULL
    bool add;           // y += instead of y =
};

struct kernels {
    const char *name;               // "scalar", "AVX2", ...
    int tile_rows[ACT_FORM_COUNT];  // the most rows of x in a tile
    // The same for block formats where x has few_x rows in all, or fewer (few_x is usually 0).
    int few_x, few_tile_rows;
    // n rows (1..tile_rows) of x, x_stride floats apart, to a tile of that form.
    void (*act_tile[ACT_FORM_COUNT])(void *tile, const float *x, size_t x_stride, int n, int cols);
    // Panels first .. first + n - 1 against all of x. scratch: gemm_scratch(cols) bytes,
    // 64-aligned.
    void (*gemm[DTYPE_COUNT])(const struct gemm *g, int first, int n, void *scratch);
    void (*norm_rms)(float *out, const float *x, const float *weight, int n, float eps);
    void (*norm_layer)(float *out, const float *x, const float *weight, const float *bias, int n,
                       float eps);
    void (*glu)(enum activation act, float *out, const float *gate, const float *up, int n);
    void (*add)(float *x, const float *y, size_t n);
    void (*softcap)(float *x, size_t n, float scale, float cap);
    struct attention_kernels attention;
    // Rotates the n pairs (x[i], x[n + i]) by cos and sin of table [n][2].
    void (*rotate)(float *x, const float *table, int n);
    void (*to_f16)(uint16_t *out, const float *x, size_t n);
};

// Into how large tiles n_x rows of x are to be cut.
static inline int kernels_tile_rows(const struct kernels *k, enum act_form form, int n_x)
{
    return form != ACT_F32 && n_x <= k->few_x ? k->few_tile_rows : k->tile_rows[form];
}

size_t gemm_scratch(int cols);

// Bits of enum isa that this CPU and system have. Asks the system for AMX's registers, which it may
// refuse.
unsigned isa_detect(void);
// A set by its name, with all that it implies. Names of other processors are known too; false if
// unknown.
bool isa_from_name(const char *name, unsigned *isa);
// The names in the order of what they ask for, "scalar" first; NULL after the last.
const char *isa_name(size_t i);
void kernels_init(struct kernels *k, unsigned isa);

void kernels_use_scalar(struct kernels *k);
void kernels_use_avx2(struct kernels *k);
void kernels_use_avx2_vnni(struct kernels *k);
void kernels_use_avx512(struct kernels *k);
void kernels_use_avx512_vnni(struct kernels *k);
void kernels_use_amx_int8(struct kernels *k);

void kernels_use_neon(struct kernels *k);
void kernels_use_neon_dotprod(struct kernels *k);
void kernels_use_neon_i8mm(struct kernels *k);

// Denormal numbers cost up to 40 times as much as others: computing threads flush them to zero.
// Returns the old mode for denormals_restore.
unsigned denormals_off(void);
void denormals_restore(unsigned mode);
