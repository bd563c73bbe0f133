// tensor_view.c - reading the rows of a tensor that tensors.c found: cut, turned, scaled, unpacked.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "local/formats/model_file.h"
#include "local/models/tensors.h"

static uint64_t row_bytes(enum dtype dtype, int64_t cols)
{
    uint64_t bytes = 0;
    bool whole = dtype_bytes(dtype, (uint64_t)cols, &bytes);
    assert(whole);  // the file's reader checked that rows are whole blocks
    (void)whole;
    return bytes;
}

uint64_t tensor_view_bytes(const struct tensor_view *v)
{
    return row_bytes(v->dtype, v->cols) * (uint64_t)v->rows;
}

const char *tensor_view_name(const struct tensor_view *v)
{
    return v->tensor ? v->tensor->name : v->packed.codes->name;
}

void tensor_view_forget(const struct model_file *file, const struct tensor_view *v)
{
    if (v->tensor)
        model_file_forget(file, v->tensor);
    else
        quant_weight_forget(file, &v->packed);
}

bool tensor_view_direct(const struct tensor_view *v)
{
    return v->tensor && !v->transposed && !v->plus_one && v->tensor->dtype == v->dtype;
}

const void *tensor_view_file_data(const struct tensor_view *v)
{
    assert(tensor_view_direct(v));
    int64_t skip = v->first_row;
    if (v->rows == 1 && v->file_rows == 1)  // a vector: its "rows" are its elements
        return (const char *)v->tensor->data +
               (uint64_t)skip * (uint64_t)dtype_info(v->dtype)->block_bytes;
    if (v->stacked)
        skip += v->file_rows * v->expert;
    return (const char *)v->tensor->data + row_bytes(v->dtype, v->cols) * (uint64_t)skip;
}

static float scale_at(const struct tensor_view *v, int64_t row, int64_t col)
{
    const struct model_tensor *s = v->scale;
    if (!s)
        return 1.0f;
    int64_t n = 1, index = 0;
    for (int i = 0; i < s->n_dims; i++)
        n *= s->shape[i];
    if (n > 1)
        index = n == v->file_rows && s->shape[0] == n ? row : row / 128 * s->shape[1] + col / 128;
    float f;
    int bytes = dtype_info(s->dtype)->block_bytes;
    dtype_to_f32(s->dtype, (const char *)s->data + index * bytes, &f, 1);
    return f;
}

static void read_fp8_row(const struct tensor_view *v, int64_t row, uint16_t *out)
{
    const uint8_t *from = v->tensor->data;
    int64_t at = row + (v->stacked ? v->file_rows * v->expert : 0);
    float scale = 0;
    for (int64_t c = 0; c < v->cols; c++) {
        int64_t i = v->transposed ? c * v->file_rows + row : at * v->cols + c;
        if (c % 128 == 0)
            scale = scale_at(v, row, c);
        out[c] = f32_to_bf16(f8_e4m3_to_f32(from[i]) * scale);
    }
}

static void read_transposed_row(const struct tensor_view *v, int64_t row, char *out)
{
    size_t size = (size_t)dtype_info(v->dtype)->block_bytes;
    const char *from = v->tensor->data;
    for (int64_t c = 0; c < v->cols; c++)
        memcpy(out + (size_t)c * size, from + (size_t)(c * v->file_rows + row) * size, size);
}

void tensor_view_read(const struct tensor_view *v, int64_t from, int64_t n, void *out)
{
    assert(!v->plus_one && from >= 0 && n >= 0 && from + n <= v->rows);
    uint64_t bytes = row_bytes(v->dtype, v->cols);
    if (tensor_view_direct(v)) {
        memcpy(out, (const char *)tensor_view_file_data(v) + bytes * (uint64_t)from,
               bytes * (uint64_t)n);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        char *to = (char *)out + bytes * (uint64_t)i;
        if (!v->tensor)
            quant_weight_blocks(&v->packed, v->first_row + from + i, to);
        else if (v->tensor->dtype == DTYPE_F8_E4M3)
            read_fp8_row(v, v->first_row + from + i, (uint16_t *)(void *)to);
        else
            read_transposed_row(v, v->first_row + from + i, to);
    }
}

void tensor_view_numbers(const struct tensor_view *v, int64_t from, int64_t n, float *out)
{
    if (tensor_view_direct(v)) {
        const char *rows = tensor_view_file_data(v);
        dtype_to_f32(v->dtype, rows + row_bytes(v->dtype, v->cols) * (uint64_t)from, out,
                     (size_t)(n * v->cols));
        return;
    }
    char *raw = v->tensor ? memory_new(1, row_bytes(v->dtype, v->cols)) : NULL;
    for (int64_t i = 0; i < n; i++, out += v->cols) {
        if (v->tensor) {
            tensor_view_read(v, from + i, 1, raw);
            dtype_to_f32(v->dtype, raw, out, (size_t)v->cols);
        } else {
            quant_weight_row(&v->packed, v->first_row + from + i, out);
        }
    }
    free(raw);
}

void tensor_view_floats(const struct tensor_view *v, float *out)
{
    struct tensor_view plain = *v;
    plain.plus_one = false;
    size_t n = (size_t)(v->rows * v->cols);
    if (tensor_view_direct(&plain)) {
        dtype_to_f32(v->dtype, tensor_view_file_data(&plain), out, n);
    } else {
        char *rows = memory_new(1, tensor_view_bytes(v));
        tensor_view_read(&plain, 0, v->rows, rows);
        dtype_to_f32(v->dtype, rows, out, n);
        free(rows);
    }
    for (size_t i = 0; v->plus_one && i < n; i++)
        out[i] += 1.0f;
}
