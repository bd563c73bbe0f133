#include "local/engine/prefix.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"

void prefix_init(struct prefix_tree *t, int n_nodes)
{
    assert(n_nodes > 0);
    uint64_t n_buckets = 16;
    while (n_buckets < (uint64_t)n_nodes)
        n_buckets *= 2;
    *t = (struct prefix_tree){
        .nodes = memory_array(struct prefix_node, (size_t)n_nodes),
        .buckets = memory_array(int32_t, n_buckets),
        .n_nodes = n_nodes,
        .bucket_mask = n_buckets - 1,
    };
    memset(t->buckets, 0xff, n_buckets * sizeof *t->buckets);
    for (int32_t i = 0; i < n_nodes; i++)
        t->nodes[i].chain = i + 1 < n_nodes ? i + 1 : -1;
}

void prefix_release(struct prefix_tree *t)
{
    free(t->nodes);
    free(t->buckets);
    *t = (struct prefix_tree){0};
}

static uint64_t hash_of(const struct prefix_tree *t, int32_t parent, uint64_t salt,
                        const int32_t *tokens)
{
    uint64_t seed = parent >= 0 ? t->nodes[parent].hash : hash_mix(salt);
    return hash_bytes(tokens, PAGE_TOKENS * sizeof *tokens, seed);
}

static int32_t find(const struct prefix_tree *t, uint64_t hash, int32_t parent, uint64_t salt,
                    const int32_t *tokens)
{
    int32_t i = t->buckets[hash & t->bucket_mask];
    for (; i >= 0; i = t->nodes[i].chain) {
        const struct prefix_node *n = &t->nodes[i];
        if (n->hash == hash && n->parent == parent && n->salt == salt &&
            memcmp(n->tokens, tokens, sizeof n->tokens) == 0)
            return i;
    }
    return -1;
}

int32_t prefix_find(const struct prefix_tree *t, int32_t parent, uint64_t salt,
                    const int32_t *tokens)
{
    return find(t, hash_of(t, parent, salt, tokens), parent, salt, tokens);
}

int32_t prefix_add(struct prefix_tree *t, int32_t parent, uint64_t salt, const int32_t *tokens)
{
    uint64_t hash = hash_of(t, parent, salt, tokens);
    int32_t i = find(t, hash, parent, salt, tokens);
    if (i >= 0) {
        t->nodes[i].refs++;
        return i;
    }
    i = t->free_first;
    if (i < 0)
        return -1;
    struct prefix_node *n = &t->nodes[i];
    t->free_first = n->chain;
    t->n_used++;
    int32_t *bucket = &t->buckets[hash & t->bucket_mask];
    *n = (struct prefix_node){
        .hash = hash, .salt = salt, .parent = parent, .chain = *bucket, .refs = 1};
    for (int g = 0; g < BATCH_GROUPS_MAX; g++)
        n->page[g] = -1;
    memcpy(n->tokens, tokens, sizeof n->tokens);
    *bucket = i;
    if (parent >= 0)
        t->nodes[parent].refs++;
    return i;
}

void prefix_ref(struct prefix_tree *t, int32_t node)
{
    if (node >= 0)
        t->nodes[node].refs++;
}

void prefix_unref(struct prefix_tree *t, int32_t node)
{
    while (node >= 0) {
        struct prefix_node *n = &t->nodes[node];
        assert(n->refs > 0);
        if (--n->refs)
            return;
        int32_t *link = &t->buckets[n->hash & t->bucket_mask];
        while (*link != node)
            link = &t->nodes[*link].chain;
        *link = n->chain;
        n->chain = t->free_first;
        t->free_first = node;
        t->n_used--;
        node = n->parent;  // which has a child less
    }
}

void prefix_set_page(struct prefix_tree *t, int32_t node, int group, int32_t page)
{
    assert(t->nodes[node].page[group] < 0 && page >= 0);
    t->nodes[node].page[group] = page;
    t->nodes[node].refs++;
}

void prefix_drop_page(struct prefix_tree *t, int32_t node, int group)
{
    assert(t->nodes[node].page[group] >= 0);
    t->nodes[node].page[group] = -1;
    prefix_unref(t, node);
}
