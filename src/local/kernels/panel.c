#include "local/kernels/panel.h"

#include <assert.h>
#include <string.h>

// Quants come first in each list. Offsets are those of ggml's block structs.
static const struct panel_layout layouts[DTYPE_COUNT] = {
    [DTYPE_F32] = {1, {{0, 4, 0}}},
    [DTYPE_F16] = {1, {{0, 2, 0}}},
    [DTYPE_BF16] = {1, {{0, 2, 0}}},
    [DTYPE_F8_E4M3] = {1, {{0, 1, 0}}},
    [DTYPE_Q4_0] = {2, {{2, 4, 4}, {0, 2, 1}}},
    [DTYPE_Q4_1] = {2, {{4, 4, 4}, {0, 2, 2}}},
    [DTYPE_Q5_0] = {2, {{6, 4, 4}, {2, 4, 1}, {0, 2, 1}}},
    [DTYPE_Q5_1] = {2, {{8, 4, 4}, {4, 4, 1}, {0, 2, 2}}},
    [DTYPE_Q8_0] = {2, {{2, 4, 8}, {0, 2, 1}}},
    [DTYPE_Q2_K] = {1, {{16, 4, 16}, {0, 1, 16}, {80, 2, 2}}},
    [DTYPE_Q3_K] = {1, {{32, 4, 16}, {0, 4, 8}, {96, 1, 12}, {108, 2, 1}}},
    [DTYPE_Q4_K] = {1, {{16, 4, 32}, {4, 1, 12}, {0, 2, 2}}},
    [DTYPE_Q5_K] = {1, {{48, 4, 32}, {16, 4, 8}, {4, 1, 12}, {0, 2, 2}}},
    [DTYPE_Q6_K] = {1, {{0, 4, 32}, {128, 4, 16}, {192, 1, 16}, {208, 2, 1}}},
    [DTYPE_IQ4_NL] = {2, {{2, 4, 4}, {0, 2, 1}}},
    [DTYPE_IQ4_XS] = {1, {{8, 4, 32}, {4, 1, 4}, {2, 2, 1}, {0, 2, 1}}},
    [DTYPE_MXFP4] = {4, {{1, 4, 4}, {0, 1, 1}}},
};

const struct panel_layout *panel_layout(enum dtype type)
{
    assert((unsigned)type < DTYPE_COUNT);
    return &layouts[type];
}

int panel_blocks(enum dtype type, int cols)
{
    int len = dtype_info(type)->block_len;
    return len == 1 ? 1 : cols / len;
}

static int block_bytes_of(enum dtype type, int cols)
{
    const struct dtype_info *info = dtype_info(type);
    return info->block_len == 1 ? cols * info->block_bytes : info->block_bytes;
}

size_t panel_bytes(enum dtype type, int cols)
{
    return (size_t)PANEL_ROWS * (size_t)panel_blocks(type, cols) *
           (size_t)block_bytes_of(type, cols);
}

static void spread(unsigned char *to, const unsigned char *from, int unit, int count)
{
    size_t step = (size_t)unit * PANEL_ROWS;
    switch (unit) {  // a constant size makes the copy one instruction
    case 1:
        for (int u = 0; u < count; u++)
            to[(size_t)u * PANEL_ROWS] = from[u];
        break;
    case 2:
        for (int u = 0; u < count; u++)
            memcpy(to + (size_t)u * step, from + (size_t)u * 2, 2);
        break;
    default:
        assert(unit == 4);
        for (int u = 0; u < count; u++)
            memcpy(to + (size_t)u * step, from + (size_t)u * 4, 4);
    }
}

void panel_pack(enum dtype type, void *panel, const void *rows, size_t row_stride, int n_rows,
                int cols)
{
    assert(n_rows >= 1 && n_rows <= PANEL_ROWS);
    const struct panel_layout *l = panel_layout(type);
    int n_blocks = panel_blocks(type, cols), block_bytes = block_bytes_of(type, cols);
    if (n_rows < PANEL_ROWS)
        memset(panel, 0, panel_bytes(type, cols));
    for (int b = 0; b < n_blocks; b++) {
        int start = 0;
        for (int f = 0; f < PANEL_FIELDS_MAX && l->fields[f].unit; f++) {
            const struct panel_field *field = &l->fields[f];
            int count = field->count ? field->count : cols;
            unsigned char *to = (unsigned char *)panel + panel_at(block_bytes, l->group, start,
                                                                  field->unit * count, b, n_blocks);
            const unsigned char *from =
                (const unsigned char *)rows + (size_t)b * (size_t)block_bytes + field->from;
            for (int r = 0; r < n_rows; r++)
                spread(to + (size_t)r * (size_t)field->unit, from + (size_t)r * row_stride,
                       field->unit, count);
            start += field->unit * count;
        }
    }
}

void panel_pack_transposed(enum dtype type, void *panel, const void *columns, size_t col_stride,
                           int n_rows, int cols)
{
    const struct dtype_info *info = dtype_info(type);
    assert(info->block_len == 1 && n_rows >= 1 && n_rows <= PANEL_ROWS);
    size_t unit = (size_t)info->block_bytes, step = unit * PANEL_ROWS;
    for (size_t c = 0; c < (size_t)cols; c++) {
        unsigned char *to = (unsigned char *)panel + c * step;
        memcpy(to, (const unsigned char *)columns + c * col_stride, unit * (size_t)n_rows);
        memset(to + unit * (size_t)n_rows, 0, step - unit * (size_t)n_rows);
    }
}

void panel_block(enum dtype type, const void *panel, int cols, int row, int b, void *block)
{
    const struct panel_layout *l = panel_layout(type);
    int n_blocks = panel_blocks(type, cols), block_bytes = block_bytes_of(type, cols);
    int start = 0;
    for (int f = 0; f < PANEL_FIELDS_MAX && l->fields[f].unit; f++) {
        const struct panel_field *field = &l->fields[f];
        size_t unit = (size_t)field->unit;
        int count = field->count ? field->count : cols;
        const unsigned char *from =
            (const unsigned char *)panel +
            panel_at(block_bytes, l->group, start, field->unit * count, b, n_blocks) +
            (size_t)row * unit;
        for (size_t u = 0; u < (size_t)count; u++)
            memcpy((unsigned char *)block + field->from + u * unit, from + u * unit * PANEL_ROWS,
                   unit);
        start += field->unit * count;
    }
}
