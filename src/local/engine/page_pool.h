// page_pool.h - who holds which page of a KV cache: reference counts and two lists, no tensors.
//
// A page is free, held (refs > 0), or cached: held by nobody but still known by its content, oldest
// first in line to be reused. Take and give are O(1); nothing is allocated after init. What a page
// contains is the business of prefix.h. Threads: the engine's.
#pragma once
#include <stdint.h>

struct page {
    int32_t refs;
    int32_t node;        // prefix node that knows this page's content, -1: none
    int32_t n_drafted;   // of its positions, from the first on: those a draft model knows too
    int32_t prev, next;  // in the free list (next only) or the cached list
};
struct page_pool {
    struct page *pages;
    int32_t n_pages, n_free, n_cached;
    int32_t free_first;
    int32_t oldest, newest;  // ends of the cached list
};

void page_pool_init(struct page_pool *p, int n_pages);
void page_pool_release(struct page_pool *p);

// A page with one reference, or -1 if all are held. Free pages first, then the oldest cached one,
// whose node, which must now forget it, goes to *evicted (else -1).
int32_t page_pool_take(struct page_pool *p, int32_t *evicted);
void page_pool_ref(struct page_pool *p, int32_t page);  // held or cached
// At the last reference a page with a node becomes the newest cached one, another free.
void page_pool_unref(struct page_pool *p, int32_t page);
static inline int32_t page_pool_available(const struct page_pool *p)
{
    return p->n_free + p->n_cached;
}
