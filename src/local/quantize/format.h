// format.h - the block formats as the rounding sees them, and how a rounded block becomes bytes.
//
// Every block format is one of two shapes. A value of group g with code q reads back as
//   d * scale[g] * level(q)                        formats without a min
//   d * scale[g] * level(q) - dmin * min[g]        formats with one
// where level(q) is first + q, or a table's entry. So one search (fit.h) serves all of them, and a
// new format is a row here and a function that packs. Internal to local/quantize.
// Threads: constant tables and pure functions.
// Source: the layouts are those that tensor/dtype_blocks.c reads (ggml-common.h).
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "local/tensor/dtype.h"

enum { BLOCK_MAX = 256, GROUPS_MAX = 16, GROUP_MAX = 32 };

struct block {
    float d, dmin;                           // as they read back: exactly what the file can hold
    int scale[GROUPS_MAX], min[GROUPS_MAX];  // 1 where groups have none of their own
    uint8_t code[BLOCK_MAX];
};

struct format {
    int block_len, group_len;  // group_len: 16 or 32
    int n_levels;
    int first;               // of consecutive levels
    const int8_t *levels;    // [n_levels], ascending; NULL: first, first + 1, ...
    const uint8_t *codes;    // [n_levels] stored for each level; NULL: its index
    int scale_lo, scale_hi;  // of a group's own scale; 0, 0: none
    bool has_min;            // the block has a dmin
    int min_hi;              // of a group's own min; 0: none, and dmin may have either sign
    bool power_of_two;       // d is one
    int zero;  // of a type with a min, levels around this code, which reads as 0; 0: not so
    void (*pack)(const struct block *b, unsigned char *out);  // see format_pack
};

// NULL for plain types.
const struct format *format_of(enum dtype type);
// How a block of these values, x [block_len], is rounded: as its type is, but where an eighth of
// them or more is exactly zero and the type has a min, by levels of which one is exactly zero too.
// So are blocks of which nothing is below zero: a min of nothing would do there, but the search
// takes a small one where that brings the largest values nearer. Both have blocks of the same
// length and groups, and pack to the same type. What is zero was left out of a network on purpose,
// and a small constant in its place adds up (docs/decisions.md, 87).
const struct format *format_for(enum dtype type, const float *x);
// The bytes of a block that was rounded as f says.
void format_pack(const struct format *f, const struct block *b, unsigned char *out);
