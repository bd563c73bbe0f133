#include "local/tokenizer/bpe.h"

#include <assert.h>

#include "base/hash.h"
#include "base/memory.h"

#define NO_PAIR UINT64_MAX

static uint64_t pair_of(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

static struct bpe_merge *slot_of(const struct bpe_merges *m, uint64_t pair)
{
    size_t mask = m->n_slots - 1;
    size_t i = hash_mix(pair) & mask;
    while (m->slots[i].pair != pair && m->slots[i].pair != NO_PAIR)
        i = (i + 1) & mask;
    return &m->slots[i];
}

static void grow(struct bpe_merges *m)
{
    struct bpe_merges old = *m;
    m->n_slots = old.n_slots ? old.n_slots * 2 : 1024;
    m->slots = memory_array(struct bpe_merge, m->n_slots);
    for (size_t i = 0; i < m->n_slots; i++)
        m->slots[i].pair = NO_PAIR;
    for (size_t i = 0; i < old.n_slots; i++)
        if (old.slots[i].pair != NO_PAIR)
            *slot_of(m, old.slots[i].pair) = old.slots[i];
    free(old.slots);
}

void bpe_merges_add(struct bpe_merges *m, int32_t left, int32_t right, uint32_t rank,
                    int32_t result)
{
    assert(left >= 0 && right >= 0);
    if ((m->n + 1) * 2 > m->n_slots)
        grow(m);
    struct bpe_merge *slot = slot_of(m, pair_of(left, right));
    if (slot->pair == NO_PAIR)
        m->n++;
    *slot = (struct bpe_merge){pair_of(left, right), rank, result};
    m->max_rank = rank > m->max_rank ? rank : m->max_rank;
}

const struct bpe_merge *bpe_merges_find(const struct bpe_merges *m, int32_t left, int32_t right)
{
    if (m->n_slots == 0 || left < 0 || right < 0)
        return NULL;
    const struct bpe_merge *slot = slot_of(m, pair_of(left, right));
    return slot->pair == NO_PAIR ? NULL : slot;
}

void bpe_merges_release(struct bpe_merges *m)
{
    free(m->slots);
    *m = (struct bpe_merges){0};
}

void bpe_work_add(struct bpe_work *w, int32_t id, uint32_t start, uint32_t len, bool frozen)
{
    int32_t i = (int32_t)w->n_symbols;
    if (w->n_symbols == w->capacity)
        memory_grow(w->symbols, w->capacity, w->n_symbols + 1);
    if (i > 0)
        w->symbols[i - 1].next = i;
    w->symbols[w->n_symbols++] = (struct bpe_symbol){id, start, len, -1, i - 1, frozen};
}

static const struct bpe_merge *merge_at(const struct bpe_merges *m, const struct bpe_work *w,
                                        int32_t left)
{
    const struct bpe_symbol *a = &w->symbols[left];
    if (a->next < 0 || a->frozen || w->symbols[a->next].frozen)
        return NULL;
    return bpe_merges_find(m, a->id, w->symbols[a->next].id);
}

static void join(struct bpe_work *w, int32_t left, int32_t result)
{
    struct bpe_symbol *a = &w->symbols[left], *b = &w->symbols[a->next];
    a->id = result;
    a->len += b->len;
    b->len = 0;
    a->next = b->next;
    if (b->next >= 0)
        w->symbols[b->next].prev = left;
}

// The heap has four children a node: half the levels, and the four lie in one cache line.
static void sift_down(uint64_t *heap, size_t n, size_t i)
{
    uint64_t key = heap[i];
    for (;;) {
        size_t child = i * 4 + 1, least = child;
        if (child >= n)
            break;
        size_t stop = child + 4 < n ? child + 4 : n;
        for (size_t k = child + 1; k < stop; k++)
            least = heap[k] < heap[least] ? k : least;
        if (heap[least] >= key)
            break;
        heap[i] = heap[least];
        i = least;
    }
    heap[i] = key;
}

static void heap_push(uint64_t *heap, size_t n, uint64_t key)
{
    size_t i = n;
    while (i > 0 && heap[(i - 1) / 4] > key) {
        heap[i] = heap[(i - 1) / 4];
        i = (i - 1) / 4;
    }
    heap[i] = key;
}

static void push(struct bpe_work *w, uint32_t rank, int32_t left)
{
    if (w->n_heap == w->heap_capacity)
        memory_grow(w->heap, w->heap_capacity, w->n_heap + 1);
    heap_push(w->heap, w->n_heap++, (uint64_t)rank << 32 | (uint32_t)left);
}

static uint64_t heap_pop(uint64_t *heap, size_t *n)
{
    uint64_t top = heap[0];
    heap[0] = heap[--*n];
    if (*n)
        sift_down(heap, *n, 0);
    return top;
}

static void push_pair(const struct bpe_merges *m, struct bpe_work *w, int32_t left)
{
    const struct bpe_merge *found = left < 0 ? NULL : merge_at(m, w, left);
    if (found)
        push(w, found->rank, left);
}

// Short words (nearly all): look through the ranks of all pairs each time.
static void merge_short(const struct bpe_merges *m, struct bpe_work *w)
{
    enum { MOST = 32 };
    const struct bpe_merge *found[MOST];
    int32_t at[MOST];
    size_t n = w->n_symbols;
    assert(n <= MOST);
    for (size_t i = 0; i < n; i++) {
        at[i] = (int32_t)i;
        found[i] = merge_at(m, w, (int32_t)i);
    }
    for (;;) {
        size_t best = n;
        uint32_t rank = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            if (found[i] && (best == n || found[i]->rank < rank)) {
                best = i;
                rank = found[i]->rank;
            }
        }
        if (best == n)
            return;
        join(w, at[best], found[best]->result);
        for (size_t i = best + 1; i + 1 < n; i++) {
            at[i] = at[i + 1];
            found[i] = found[i + 1];
        }
        n--;
        found[best] = merge_at(m, w, at[best]);
        if (best > 0)
            found[best - 1] = merge_at(m, w, at[best - 1]);
    }
}

static void merge_at_key(const struct bpe_merges *m, struct bpe_work *w, uint64_t key,
                         void (*again)(const struct bpe_merges *, struct bpe_work *, int32_t))
{
    int32_t left = (int32_t)(key & UINT32_MAX);
    if (w->symbols[left].len == 0)
        return;
    const struct bpe_merge *found = merge_at(m, w, left);
    if (!found || found->rank != key >> 32)
        return;  // one of the two has changed since
    join(w, left, found->result);
    if (w->symbols[left].prev >= 0)
        again(m, w, w->symbols[left].prev);
    again(m, w, left);
}

static void merge_heap(const struct bpe_merges *m, struct bpe_work *w)
{
    w->n_heap = 0;
    for (size_t i = 0; i + 1 < w->n_symbols; i++)
        push_pair(m, w, (int32_t)i);
    while (w->n_heap)
        merge_at_key(m, w, heap_pop(w->heap, &w->n_heap), push_pair);
}

// Long words: pairs wait in a bucket of their rank, and there are few ranks. A pair that comes
// late, before others of its rank that have begun to leave, goes to the heap instead.
static struct bpe_bucket *bucket_of(struct bpe_work *w, uint32_t rank)
{
    if (w->bucket_of[rank] == 0) {
        memory_grow(w->buckets, w->bucket_capacity, w->n_buckets + 1);
        w->buckets[w->n_buckets++] = (struct bpe_bucket){.rank = rank, .sorted = true};
        w->bucket_of[rank] = (uint32_t)w->n_buckets;
    }
    return &w->buckets[w->bucket_of[rank] - 1];
}

static void bucket_pair(const struct bpe_merges *m, struct bpe_work *w, int32_t left)
{
    const struct bpe_merge *found = merge_at(m, w, left);
    if (!found)
        return;
    struct bpe_bucket *b = bucket_of(w, found->rank);
    bool ascending = b->n == 0 || b->at[b->n - 1] <= (uint32_t)left;
    if (b->head > 0 && !ascending) {
        push(w, found->rank, left);
        return;
    }
    b->sorted &= ascending;
    if (b->n == b->capacity)
        memory_grow(b->at, b->capacity, b->n + 1);
    if (b->n == 0) {
        if (w->n_waiting == w->ranks_capacity)
            memory_grow(w->ranks, w->ranks_capacity, w->n_waiting + 1);
        heap_push(w->ranks, w->n_waiting++, (uint64_t)b->rank << 32 | (w->bucket_of[b->rank] - 1));
    }
    b->at[b->n++] = (uint32_t)left;
}

static int by_place(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return (a > b) - (a < b);
}

// The next key of all; false if none is left.
static bool next_key(struct bpe_work *w, uint64_t *key)
{
    if (w->n_waiting == 0 && w->n_heap == 0)
        return false;
    struct bpe_bucket *b = w->n_waiting ? &w->buckets[w->ranks[0] & UINT32_MAX] : NULL;
    if (b && !b->sorted) {
        qsort(b->at, b->n, sizeof *b->at, by_place);
        b->sorted = true;
    }
    uint64_t first = b ? (uint64_t)b->rank << 32 | b->at[b->head] : UINT64_MAX;
    if (w->n_heap && w->heap[0] < first) {
        *key = heap_pop(w->heap, &w->n_heap);
        return true;
    }
    *key = first;
    if (++b->head == b->n) {
        b->head = b->n = 0;
        (void)heap_pop(w->ranks, &w->n_waiting);
    }
    return true;
}

static void merge_buckets(const struct bpe_merges *m, struct bpe_work *w)
{
    uint64_t key;
    if (w->n_ranks != (size_t)m->max_rank + 1) {
        free(w->bucket_of);
        w->n_ranks = (size_t)m->max_rank + 1;
        w->bucket_of = memory_array(uint32_t, w->n_ranks);
    }
    w->n_heap = w->n_waiting = 0;
    for (size_t i = 0; i + 1 < w->n_symbols; i++)
        bucket_pair(m, w, (int32_t)i);
    while (next_key(w, &key))
        merge_at_key(m, w, key, bucket_pair);
}

void bpe_merge_all(const struct bpe_merges *m, struct bpe_work *w)
{
    if (w->n_symbols <= 32)
        merge_short(m, w);
    else if (w->n_symbols < 4096 || m->max_rank >= 1 << 25)
        merge_heap(m, w);
    else
        merge_buckets(m, w);
}

void bpe_work_release(struct bpe_work *w)
{
    for (size_t i = 0; i < w->n_buckets; i++)
        free(w->buckets[i].at);
    free(w->buckets);
    free(w->bucket_of);
    free(w->ranks);
    free(w->symbols);
    free(w->heap);
    *w = (struct bpe_work){0};
}
