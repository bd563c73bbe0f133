#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

// Blocks grow, since most arenas stay small and thousands may live at once.
enum { FIRST_BYTES = 1 << 10, BLOCK_BYTES = 16 << 10 };

struct arena_block {
    struct arena_block *next;
    size_t used, capacity;
    _Alignas(16) char data[];
};

void *arena_alloc(struct arena *a, size_t n, size_t size)
{
    assert(size == 0 || n <= (SIZE_MAX - 32) / size);
    size_t bytes = (n * size + 15) & ~(size_t)15;
    struct arena_block *b = a->blocks;
    if (!b || b->capacity - b->used < bytes) {
        size_t usual = !b                              ? FIRST_BYTES
                       : b->capacity < BLOCK_BYTES / 2 ? 2 * b->capacity
                                                       : BLOCK_BYTES;
        size_t capacity = bytes > usual ? bytes : usual;
        struct arena_block *fresh = memory_new(1, sizeof *fresh + capacity);
        fresh->capacity = capacity;
        if (b && bytes > usual) {  // a big one goes behind, so that the open block stays open
            fresh->next = b->next;
            b->next = fresh;
        } else {
            fresh->next = b;
            a->blocks = fresh;
        }
        b = fresh;
    }
    void *p = b->data + b->used;
    b->used += bytes;
    a->used_bytes += bytes;
    return p;
}

char *arena_text(struct arena *a, struct slice text)
{
    char *copy = arena_alloc(a, text.len + 1, 1);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    return copy;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(n >= 0);
    char *text = arena_alloc(a, (size_t)n + 1, 1);
    (void)vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}

void arena_release(struct arena *a)
{
    struct arena_block *next;
    for (struct arena_block *b = a->blocks; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = (struct arena){0};
}
