// kv_page.h - how keys and values of one head lie in a page, for those who write and who read them.
//
// K is transposed, so that a query meets the 64 positions of a page in vectors; V is plain.
//   F32, F16  K [head_dim][KV_PAGE], V [KV_PAGE][head_dim]
//   Q8_0      the same with int8
//   Q4_0      K [head_dim / 2][KV_PAGE]: dimension 2i in the low nibble of a byte, 2i + 1 in the
//             high one; V [KV_PAGE][head_dim / 2]: in 16 bytes dimension j of 32 in the low nibble
//             of byte j, j + 16 in the high one. No byte belongs to two positions.
// The integers of Q8_0 and Q4_0 (stored + 8) are followed by scales, F16, of 32 dimensions of one
// position: [head_dim / 32][KV_PAGE], for K and V alike. A scale times an integer is exact in F32,
// so a page means the same floats to every kernel.
// Threads: positions of a page may be written by several at a time.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "local/tensor/dtype.h"

enum { KV_PAGE = 64, KV_BLOCK = 32 };

static inline bool kv_in_blocks(enum dtype type)
{
    return type == DTYPE_Q8_0 || type == DTYPE_Q4_0;
}
// F32, F16, Q8_0 and Q4_0; the last two want heads of whole blocks.
static inline bool kv_type_fits(enum dtype type, int head_dim)
{
    return type == DTYPE_F32 || type == DTYPE_F16 ||
           (kv_in_blocks(type) && head_dim % KV_BLOCK == 0);
}
static inline int kv_bits(enum dtype type)  // of a number, without the scales
{
    return type == DTYPE_F32 ? 32 : type == DTYPE_F16 ? 16 : type == DTYPE_Q8_0 ? 8 : 4;
}
// Where the scales begin; also the end of what has none.
static inline size_t kv_scales_at(enum dtype type, int head_dim)
{
    return (size_t)head_dim * KV_PAGE * (size_t)kv_bits(type) / 8;
}
// Bytes of K (or V) of one head in a page.
static inline size_t kv_head_bytes(enum dtype type, int head_dim)
{
    size_t scales = kv_in_blocks(type) ? (size_t)(head_dim / KV_BLOCK) * KV_PAGE * 2 : 0;
    return kv_scales_at(type, head_dim) + scales;
}

// Writes one position of Q8_0 or Q4_0. Blocks are rounded here, alike for all instruction sets:
// the largest of 32 becomes 127 (Q8_0) or -8 (Q4_0), the scale is rounded to F16 first. What is not
// finite, or too large for the scale, makes its whole block NaN.
void kv_write_key(enum dtype type, uint8_t *k, int head_dim, int slot, const float *key);
void kv_write_value(enum dtype type, uint8_t *v, int head_dim, int slot, const float *value);
