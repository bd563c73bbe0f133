// tree.h - a YAML text as a tree of texts, lists and maps, each with its place.
//
// Over libyaml's events. What configuration files need not, and what only makes them long or
// deep, is refused: tags, several documents, anchors inside themselves; sizes are bounded before
// anything is kept. An alias is the node itself, not a copy, so a tree may share nodes, but has no
// cycle. Threads: read only once it is made.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct arena;
struct error;

enum {
    TREE_MAX_BYTES = 4 << 20,
    TREE_MAX_NODES = 250000,
    TREE_MAX_DEPTH = 12,
    TREE_MAX_MEMBERS = 4096,  // of one map
    TREE_MAX_ANCHORS = 64,
};
enum tree_kind { TREE_TEXT, TREE_LIST, TREE_MAP };
struct tree_node {
    enum tree_kind kind;
    bool plain;         // a text without quotes, which may be a number, true, false or null
    struct slice text;  // terminated, without NUL inside
    // Lists: n items. Maps: n keys, each with its value behind it.
    struct tree_node **items;
    size_t n;
    int line, column;  // from 1
};

// The tree lives in the arena; *root is NULL for a text without a value. False with err
// (ERR_FORMAT, ERR_LIMIT), which begins "NAME, line L, column C: ".
bool tree_parse(struct slice text, const char *name, struct arena *a, struct tree_node **root,
                struct error *err);
// Sets err as "NAME, line L, column C: ..." of a node, and returns false.
bool tree_fault(const char *name, int line, int column, struct error *err, int code,
                const char *format, ...) __attribute__((format(printf, 6, 7)));
// A plain text that stands for nothing: empty, "~" or "null".
bool tree_is_null(const struct tree_node *node);
