// triangle.h - lower triangles of square matrices, stored row by row: row i has i + 1 numbers.
#pragma once
#include <stddef.h>

static inline size_t triangle_row(size_t i)  // where row i begins: how many numbers i rows have
{
    return i * (i + 1) / 2;
}
