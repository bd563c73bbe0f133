#include "local/engine/page_pool.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"

void page_pool_init(struct page_pool *p, int n_pages)
{
    assert(n_pages > 0);
    *p = (struct page_pool){
        .pages = memory_array(struct page, (size_t)n_pages),
        .n_pages = n_pages,
        .n_free = n_pages,
        .oldest = -1,
        .newest = -1,
    };
    for (int32_t i = 0; i < n_pages; i++)
        p->pages[i] = (struct page){.node = -1, .prev = -1, .next = i + 1 < n_pages ? i + 1 : -1};
}

void page_pool_release(struct page_pool *p)
{
    free(p->pages);
    *p = (struct page_pool){0};
}

static void uncache(struct page_pool *p, int32_t i)
{
    struct page *page = &p->pages[i];
    *(page->prev >= 0 ? &p->pages[page->prev].next : &p->oldest) = page->next;
    *(page->next >= 0 ? &p->pages[page->next].prev : &p->newest) = page->prev;
    page->prev = page->next = -1;
    p->n_cached--;
}

static void cache(struct page_pool *p, int32_t i)
{
    struct page *page = &p->pages[i];
    page->prev = p->newest;
    page->next = -1;
    *(p->newest >= 0 ? &p->pages[p->newest].next : &p->oldest) = i;
    p->newest = i;
    p->n_cached++;
}

int32_t page_pool_take(struct page_pool *p, int32_t *evicted)
{
    int32_t i = p->free_first;
    *evicted = -1;
    if (p->n_free) {
        p->free_first = p->pages[i].next;
        p->n_free--;
    } else if (p->n_cached) {
        i = p->oldest;
        uncache(p, i);
        *evicted = p->pages[i].node;
    } else {
        return -1;
    }
    p->pages[i] = (struct page){.refs = 1, .node = -1, .prev = -1, .next = -1};
    return i;
}

void page_pool_ref(struct page_pool *p, int32_t i)
{
    struct page *page = &p->pages[i];
    assert(page->refs > 0 || page->node >= 0);
    if (page->refs++ == 0)
        uncache(p, i);
}

void page_pool_unref(struct page_pool *p, int32_t i)
{
    struct page *page = &p->pages[i];
    assert(page->refs > 0);
    if (--page->refs)
        return;
    if (page->node >= 0) {
        cache(p, i);
    } else {
        page->next = p->free_first;
        p->free_first = i;
        p->n_free++;
    }
}
