#include "local/tokenizer/trie.h"

#include <assert.h>

#include "base/hash.h"
#include "base/memory.h"

static uint64_t *slot_of(const struct trie *t, uint32_t key)
{
    size_t mask = t->n_slots - 1;
    size_t i = hash_mix(key) & mask;
    while (t->edges[i] && t->edges[i] >> 32 != key)
        i = (i + 1) & mask;
    return &t->edges[i];
}

static void grow(struct trie *t)
{
    uint64_t *old = t->edges;
    size_t n_old = t->n_slots;
    t->n_slots = n_old ? n_old * 2 : 256;
    t->edges = memory_array(uint64_t, t->n_slots);
    for (size_t i = 0; i < n_old; i++)
        if (old[i])
            *slot_of(t, (uint32_t)(old[i] >> 32)) = old[i];
    free(old);
}

static int32_t new_node(struct trie *t)
{
    assert(t->n_nodes < 1 << 24);
    if (t->n_nodes == t->capacity)
        memory_grow(t->values, t->capacity, t->n_nodes + 1);
    t->values[t->n_nodes] = -1;
    return (int32_t)t->n_nodes++;
}

void trie_add(struct trie *t, struct slice text, int32_t value)
{
    if (t->n_nodes == 0)
        (void)new_node(t);
    int32_t node = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = (uint8_t)text.ptr[i];
        int32_t next = trie_next(t, node, byte);
        if (next < 0) {
            next = new_node(t);
            if ((t->n_edges + 1) * 2 > t->n_slots)
                grow(t);
            uint32_t key = (uint32_t)node << 8 | byte;
            *slot_of(t, key) = (uint64_t)key << 32 | (uint32_t)next;
            t->n_edges++;
            if (node == 0)
                t->from_root[byte] = next;
        }
        node = next;
    }
    t->values[node] = value;
}

int32_t trie_next(const struct trie *t, int32_t node, uint8_t byte)
{
    if (node == 0)
        return t->from_root[byte] ? t->from_root[byte] : -1;
    uint64_t edge = *slot_of(t, (uint32_t)node << 8 | byte);
    return edge ? (int32_t)(edge & UINT32_MAX) : -1;
}

size_t trie_longest(const struct trie *t, struct slice text, int32_t *value)
{
    size_t longest = 0;
    if (t->n_nodes == 0)
        return 0;
    for (size_t i = 0, node = 0; i < text.len; i++) {
        int32_t next = trie_next(t, (int32_t)node, (uint8_t)text.ptr[i]);
        if (next < 0)
            break;
        node = (size_t)next;
        if (trie_value(t, next) >= 0) {
            longest = i + 1;
            *value = trie_value(t, next);
        }
    }
    return longest;
}

void trie_release(struct trie *t)
{
    free(t->edges);
    free(t->values);
    *t = (struct trie){0};
}
