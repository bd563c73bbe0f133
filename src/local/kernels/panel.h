// panel.h - how matrices lie in memory once packed: panels of 16 rows, transposed in small pieces.
//
// A panel holds 16 rows with all their columns, in exactly as many bytes as the file has for them
// (rows past the matrix's last are zero bytes). Every field of a block is cut into units (four
// bytes of quants, one scale), and the units of the 16 rows with the same number stand side by
// side, so that a vector load brings one thing of 16 rows. No bit moves inside a unit: packing is
// a permutation of the file's bytes. Fields of `group` neighbouring blocks stand together, quants
// first, which keeps them on cache lines; the last group may be smaller. Plain types are one block
// of one field: [cols][16].
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "local/tensor/dtype.h"

enum { PANEL_ROWS = 16, PANEL_FIELDS_MAX = 4 };

struct panel_field {
    int from;   // byte in the file's block
    int unit;   // bytes that stay together
    int count;  // units in a block; 0 for a plain type: one per column
};
struct panel_layout {
    int group;  // blocks whose fields stand together
    struct panel_field fields[PANEL_FIELDS_MAX];
};

const struct panel_layout *panel_layout(enum dtype type);
size_t panel_bytes(enum dtype type, int cols);
int panel_blocks(enum dtype type, int cols);  // blocks of a row; 1 for plain types

// Where `len` bytes a row of block b, `start` bytes a row into the panel's order of fields, lie.
static inline size_t panel_at(int block_bytes, int group, int start, int len, int b, int n_blocks)
{
    int first = b - b % group;
    int n = n_blocks - first < group ? n_blocks - first : group;
    return (size_t)PANEL_ROWS * ((size_t)first * (size_t)block_bytes + (size_t)n * (size_t)start +
                                 (size_t)(b - first) * (size_t)len);
}

// n_rows (1..16) rows of the file, row_stride bytes apart, to a panel.
void panel_pack(enum dtype type, void *panel, const void *rows, size_t row_stride, int n_rows,
                int cols);
// The same from a matrix that is stored [cols, rows]: col_stride bytes from column to column.
// Plain types only.
void panel_pack_transposed(enum dtype type, void *panel, const void *columns, size_t col_stride,
                           int n_rows, int cols);
// The file's block b of one row, as it was before packing. Plain types: the whole row.
void panel_block(enum dtype type, const void *panel, int cols, int row, int b, void *block);
