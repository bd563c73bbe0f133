// prefix.h - finds computed pages again by the tokens that led to them.
//
// A tree of full pages: a node stands for PAGE_TOKENS tokens after those of its parent; the roots
// hang on a share salt. A node is found by a hash chained from its parent's, and taken only if
// parent, salt and tokens are equal, so by induction the whole text is: no collision can show a
// stranger's page. A node may lack a group's page (evicted, or left a sliding window) and lives as
// long as a page, a child or a sequence refers to it. Nothing is allocated after init: when the
// nodes are used up, new pages are simply not remembered. Threads: the engine's.
#pragma once
#include <stdint.h>

#include "local/backend/batch.h"

struct prefix_node {
    uint64_t hash, salt;
    int32_t parent;                  // -1: a root
    int32_t chain;                   // next in the hash bucket, or in the free list
    int32_t refs;                    // pages + children + holders
    int32_t page[BATCH_GROUPS_MAX];  // -1: none
    int32_t tokens[PAGE_TOKENS];
};
struct prefix_tree {
    struct prefix_node *nodes;
    int32_t *buckets;
    int32_t n_nodes, n_used, free_first;
    uint64_t bucket_mask;
};

void prefix_init(struct prefix_tree *t, int n_nodes);
void prefix_release(struct prefix_tree *t);

// tokens [PAGE_TOKENS] after `parent` (-1: the start). -1 if not known.
int32_t prefix_find(const struct prefix_tree *t, int32_t parent, uint64_t salt,
                    const int32_t *tokens);
// The same, made if it is not known, with a reference for the caller; -1 if the nodes are used up.
int32_t prefix_add(struct prefix_tree *t, int32_t parent, uint64_t salt, const int32_t *tokens);
void prefix_ref(struct prefix_tree *t, int32_t node);
void prefix_unref(struct prefix_tree *t, int32_t node);  // -1 is fine

void prefix_set_page(struct prefix_tree *t, int32_t node, int group, int32_t page);
void prefix_drop_page(struct prefix_tree *t, int32_t node, int group);
