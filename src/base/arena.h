// arena.h - many small allocations with one lifetime, freed at once.
//
// Memory is zeroed and aligned to 16 bytes. Allocations never fail (memory.h). A zeroed struct
// arena is an empty one. Threads: one at a time.
#pragma once
#include <stddef.h>

#include "base/slice.h"

struct arena_block;
struct arena {
    struct arena_block *blocks;
    size_t used_bytes;  // all that was handed out, for bounds and tests
};

void *arena_alloc(struct arena *a, size_t n, size_t size);
char *arena_text(struct arena *a, struct slice text);  // a terminated copy
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
void arena_release(struct arena *a);  // frees everything; the arena is empty again

#define arena_new(a, type, n) ((type *)arena_alloc((a), (n), sizeof(type)))
