// program.h - a grammar compiled to a network of byte automata that call each other.
//
// A rule is a start node; nodes lead by bytes, without bytes, or through another rule to further
// nodes, and END returns from the rule. What regular parts need counted repetition for is a call
// that counts, so a{1,100000} is two nodes. Front ends build backwards: every function that makes
// a node takes the node that follows it. program_finish drops what cannot end (so that whoever is
// at a node can always reach an end), puts small rules in the place of their calls, and refuses
// left recursion. Threads: one while it is built; immutable once finished.
// Source: recursive transition networks, Woods, CACM 13 (1970).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"

struct error;

enum {
    PROGRAM_NODES_MAX = 400000,  // with edges and targets; beyond, finishing fails (ERR_LIMIT)
    PROGRAM_RULES_MAX = 50000,
    REPEAT_MAX = 1000000  // of a bound; REPEAT_NO_MAX: none
};
#define REPEAT_NO_MAX UINT32_MAX

enum node_kind { NODE_BYTES, NODE_SPLIT, NODE_CALL, NODE_REPEAT, NODE_END };
enum { NODE_ID_END = 0, NODE_ID_FAIL = 1 };  // every program's first nodes

struct node {
    enum node_kind kind;
    uint32_t first, n;  // BYTES: of edges; SPLIT: of targets
    uint32_t rule, next;
    uint32_t min, max;  // REPEAT
};
struct byte_edge {
    uint8_t low, high;
    uint32_t next;
};
struct rule {
    const char *name;  // as the user knows it, or NULL
    uint32_t start;
    bool nullable;
};

struct program {
    struct node *nodes;
    struct byte_edge *edges;
    uint32_t *targets;
    struct rule *rules;
    size_t n_nodes, n_edges, n_targets, n_rules;
    size_t nodes_capacity, edges_capacity, targets_capacity, rules_capacity;
    uint32_t root;
    bool overflow;
    size_t work;  // that went into it, as the front end counts it
    // After program_finish: bytes that no edge tells apart are of one class.
    uint8_t class_of[256];
    int n_classes;
    struct arena names;  // that rules point to
};

struct program *program_new(void);
void program_free(struct program *p);
size_t program_bytes(const struct program *p);  // of memory

// A rule whose start is set later. `name` (may be NULL) is copied.
uint32_t program_rule(struct program *p, const char *name);
void program_set(struct program *p, uint32_t rule, uint32_t start);

uint32_t node_bytes(struct program *p, const struct byte_edge *edges, size_t n);
uint32_t node_byte(struct program *p, uint8_t low, uint8_t high, uint32_t next);
uint32_t node_text(struct program *p, struct slice text, uint32_t next);
uint32_t node_split(struct program *p, const uint32_t *targets, size_t n);  // 0: FAIL
uint32_t node_either(struct program *p, uint32_t a, uint32_t b);
uint32_t node_loop(struct program *p);  // a split of two that node_loop_set completes
void node_loop_set(struct program *p, uint32_t loop, uint32_t again, uint32_t next);
uint32_t node_call(struct program *p, uint32_t rule, uint32_t next);
// rule min to max times.
uint32_t node_repeat(struct program *p, uint32_t rule, uint32_t min, uint32_t max, uint32_t next);

// Code points low..high, each list ascending and disjoint, as UTF-8; surrogates are left out.
struct code_range {
    uint32_t low, high;
};
uint32_t node_chars(struct program *p, const struct code_range *ranges, size_t n, uint32_t next);

// One of some texts, which are sorted (in place) and share their beginnings.
uint32_t node_texts(struct program *p, struct slice *texts, size_t n, uint32_t next);

// False with err: too large, left recursion, or nothing matches.
bool program_finish(struct program *p, uint32_t root, struct error *err);
