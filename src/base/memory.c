#include "base/memory.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { USUAL_BYTES = MEMORY_ROOM + (256 << 10) };

#define HUGE_PAGE ((size_t)2 << 20)

static _Noreturn void out_of_memory(size_t bytes)
{
    (void)fprintf(stderr, "hearth: out of memory (%zu bytes)\n", bytes);
    abort();
}

static size_t product(size_t n, size_t size)
{
    if (size && n > SIZE_MAX / size)
        out_of_memory(SIZE_MAX);
    return n * size;
}

void *memory_new(size_t n, size_t size)
{
    size_t bytes = product(n, size);
    void *p = calloc(1, bytes ? bytes : 1);
    if (!p)
        out_of_memory(bytes);
    return p;
}

void *memory_resize(void *p, size_t n, size_t size)
{
    size_t bytes = product(n, size);
    void *q = realloc(p, bytes ? bytes : 1);
    if (!q)
        out_of_memory(bytes);
    return q;
}

void *memory_grow_(void *p, size_t *capacity, size_t need, size_t size)
{
    if (need <= *capacity)
        return p;
    size_t n = *capacity < 8 ? 8 : *capacity;
    while (n < need)
        n = n > SIZE_MAX / 2 ? need : n * 2;
    *capacity = n;
    return memory_resize(p, n, size);
}

char *memory_text_n(const char *text, size_t len)
{
    char *copy = memory_new(len + 1, 1);
    if (len)
        memcpy(copy, text, len);
    return copy;
}

char *memory_text(const char *text)
{
    return text ? memory_text_n(text, strlen(text)) : NULL;
}

void *memory_big_new(size_t bytes)
{
    if (bytes == 0)
        bytes = 1;
    if (bytes < HUGE_PAGE) {
        void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return p == MAP_FAILED ? NULL : p;
    }
    // Over-allocate to align, then give the ends back: huge pages need aligned runs.
    if (bytes > SIZE_MAX - HUGE_PAGE)
        return NULL;
    size_t total = bytes + HUGE_PAGE;
    char *raw = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED)
        return NULL;
    size_t skip = (HUGE_PAGE - (uintptr_t)raw % HUGE_PAGE) % HUGE_PAGE;
    const size_t page = 4096;
    size_t kept = (bytes + page - 1) / page * page;
    if (skip)
        (void)munmap(raw, skip);
    if (total - skip > kept)
        (void)munmap(raw + skip + kept, total - skip - kept);
    (void)madvise(raw + skip, kept, MADV_HUGEPAGE);
    return raw + skip;
}

static bool is_limited(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

void memory_heed_limit(void)
{
    if (is_limited())
        (void)mallopt(M_ARENA_MAX, 1);
}

bool memory_has_room(size_t bytes)
{
    // Without a limit the system gives a little more until it kills: then there is nothing to see,
    // and mapping would be a good part of what a small request takes.
    if (bytes <= USUAL_BYTES && !is_limited())
        return true;
    void *p =
        mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return false;
    (void)munmap(p, bytes ? bytes : 1);
    return true;
}

void memory_big_free(void *p, size_t bytes)
{
    if (p)
        (void)munmap(p, bytes ? bytes : 1);
}
