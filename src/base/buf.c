#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/utf8.h"

void buf_reserve(struct buf *b, size_t more)
{
    memory_grow(b->ptr, b->capacity, b->len + more + 1);
}

void buf_add(struct buf *b, const void *bytes, size_t len)
{
    if (b->max_bytes && (len > b->max_bytes || b->len > b->max_bytes - len)) {
        b->overflow = true;
        return;
    }
    buf_reserve(b, len);
    if (len)
        memcpy(b->ptr + b->len, bytes, len);
    b->len += len;
    b->ptr[b->len] = 0;
}

void buf_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_utf8(struct buf *b, unsigned int code_point)
{
    char bytes[4];
    buf_add(b, bytes, utf8_encode(code_point, bytes));
}

void buf_printf(struct buf *b, const char *format, ...)
{
    char small[256];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof small) {
        buf_add(b, small, (size_t)n);
    } else if (n >= 0) {
        char *large = memory_new((size_t)n + 1, 1);
        (void)vsnprintf(large, (size_t)n + 1, format, again);
        buf_add(b, large, (size_t)n);
        free(large);
    }
    va_end(again);
}

void buf_int(struct buf *b, int64_t value)
{
    char text[20];
    size_t at = sizeof text;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        text[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    if (value < 0)
        text[--at] = '-';
    buf_add(b, text + at, sizeof text - at);
}

void buf_release(struct buf *b)
{
    free(b->ptr);
    *b = (struct buf){.max_bytes = b->max_bytes};
}
