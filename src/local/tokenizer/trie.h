// trie.h - a set of byte strings with values, walked byte by byte.
//
// Nodes are numbers, 0 is the root; edges lie in one hash table. Threads: immutable once built.
#pragma once
#include <stdint.h>

#include "base/slice.h"

struct trie {
    uint64_t *edges;  // open addressing: key (node << 8 | byte) << 32 | node behind; 0 is free
    size_t n_edges, n_slots;
    int32_t *values;  // by node; -1 where no string ends
    size_t n_nodes, capacity;
    int32_t from_root[256];  // node, 0 if none
};

// Text of at most SCANNED_MAX_BYTES, at most 2^24 nodes in all (the caller bounds both).
// A string that is there already gets the new value.
void trie_add(struct trie *t, struct slice text, int32_t value);
int32_t trie_next(const struct trie *t, int32_t node, uint8_t byte);  // -1 if there is no edge
static inline int32_t trie_value(const struct trie *t, int32_t node)
{
    return t->values[node];
}
// Length of the longest string of the set that text starts with, 0 if none; its value.
size_t trie_longest(const struct trie *t, struct slice text, int32_t *value);
void trie_release(struct trie *t);
