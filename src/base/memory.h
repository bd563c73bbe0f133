// memory.h - small allocations, which never return NULL: they abort, as in git and redis.
//
// Big ones (weights, KV pages, activations) go through memory_try, which may fail and is checked.
#pragma once
#include <stdbool.h>
#include <stddef.h>

void *memory_new(size_t n, size_t size);              // zeroed; aborts on overflow or no memory
void *memory_resize(void *p, size_t n, size_t size);  // as realloc; new bytes are not zeroed
char *memory_text(const char *text);                  // a copy; NULL for NULL
char *memory_text_n(const char *text, size_t len);    // a terminated copy of len bytes
// A big block aligned to 64 bytes (2 MiB and huge pages where it is that large), zeroed by the
// system; NULL when there is none. Freed with memory_big_free.
void *memory_big_new(size_t bytes);
// To be called before there are threads: with a limit on the address space (`ulimit -v`) all share
// one heap, since one for each would reserve 64 MiB of it, or where that fails a page a block.
void memory_heed_limit(void);
// Whether the system gives so many bytes now. A look, not a promise; nothing is kept or touched.
bool memory_has_room(size_t bytes);
enum { MEMORY_ROOM = 16 << 20 };  // what is left to everybody else when something large is taken
void memory_big_free(void *p, size_t bytes);

#define memory_array(type, n) ((type *)memory_new((n), sizeof(type)))

// Grows a vector so that it holds at least `need` elements; capacity at least doubles.
#define memory_grow(ptr, capacity, need)                                                           \
    ((ptr) = memory_grow_(ptr, &(capacity), (need), sizeof *(ptr)))
void *memory_grow_(void *p, size_t *capacity, size_t need, size_t size);
