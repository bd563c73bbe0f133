// buf.h - a byte buffer that grows up to a bound.
//
// A zeroed struct buf is empty and unbounded; set max_bytes to bound it. Writing past the bound
// drops the bytes and sets `overflow`, which the owner checks once at the end. The bytes are
// always followed by a NUL, so buf_text is a C string. Threads: one at a time.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct buf {
    char *ptr;
    size_t len, capacity;
    size_t max_bytes;  // 0: no bound
    bool overflow;
};

void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_char(struct buf *b, char c);
void buf_utf8(struct buf *b, unsigned int code_point);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_int(struct buf *b, int64_t value);  // in decimal, as buf_printf would, soon
void buf_reserve(struct buf *b, size_t more);
void buf_release(struct buf *b);

static inline void buf_text_add(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

static inline void buf_slice(struct buf *b, struct slice s)
{
    buf_add(b, s.ptr, s.len);
}

static inline void buf_clear(struct buf *b)
{
    b->len = 0;
    b->overflow = false;
    if (b->ptr)
        b->ptr[0] = 0;
}

static inline const char *buf_text(const struct buf *b)
{
    return b->ptr ? b->ptr : "";
}

static inline struct slice buf_view(const struct buf *b)
{
    return slice_of(buf_text(b), b->len);
}
