// finish.c - makes a built program fit to be run: program_finish.
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "local/sampling/grammar/program.h"

static const char *rule_name(const struct program *p, uint32_t rule)
{
    return p->rules[rule].name ? p->rules[rule].name : "(part of the grammar)";
}

// For each node, those whose facts follow from its own: lists one after another.
struct dependents {
    uint32_t *first;  // [n_nodes + 1]
    uint32_t *nodes;
};

// Calls visit for each node that `node` depends on.
static void each_needed(const struct program *p, uint32_t node, struct dependents *d,
                        void (*visit)(struct dependents *d, uint32_t needed, uint32_t node))
{
    const struct node *n = &p->nodes[node];
    for (uint32_t i = 0; i < n->n; i++)
        visit(d, n->kind == NODE_BYTES ? p->edges[n->first + i].next : p->targets[n->first + i],
              node);
    if (n->kind == NODE_CALL || n->kind == NODE_REPEAT) {
        visit(d, n->next, node);
        visit(d, p->rules[n->rule].start, node);
    }
}

static void count_one(struct dependents *d, uint32_t needed, uint32_t node)
{
    (void)node;
    d->first[needed + 1]++;
}

static void list_one(struct dependents *d, uint32_t needed, uint32_t node)
{
    d->nodes[d->first[needed]++] = node;
}

static void dependents_init(struct dependents *d, const struct program *p)
{
    d->first = memory_array(uint32_t, p->n_nodes + 2);
    for (uint32_t i = 0; i < p->n_nodes; i++)
        each_needed(p, i, d, count_one);
    for (size_t i = 1; i <= p->n_nodes; i++)
        d->first[i] += d->first[i - 1];
    d->nodes = memory_array(uint32_t, d->first[p->n_nodes] + 1);
    for (uint32_t i = 0; i < p->n_nodes; i++)
        each_needed(p, i, d, list_one);
    memmove(d->first + 1, d->first, p->n_nodes * sizeof *d->first);
    d->first[0] = 0;
}

// Makes known what follows from what is known, in time linear in the program.
static void fixpoint(const struct program *p, bool *known,
                     bool (*holds)(const struct program *p, const bool *known, uint32_t node))
{
    struct dependents d;
    uint32_t *work = memory_array(uint32_t, p->n_nodes + 1);
    size_t n = 0;
    dependents_init(&d, p);
    for (uint32_t i = 0; i < p->n_nodes; i++)
        if (!known[i] && holds(p, known, i)) {
            known[i] = true;
            work[n++] = i;
        }
    while (n) {
        uint32_t node = work[--n];
        for (uint32_t i = d.first[node]; i < d.first[node + 1]; i++) {
            uint32_t more = d.nodes[i];
            if (known[more] || !holds(p, known, more))
                continue;
            known[more] = true;
            work[n++] = more;
        }
    }
    free(d.first);
    free(d.nodes);
    free(work);
}

static bool any_target(const struct program *p, const bool *known, const struct node *n)
{
    for (uint32_t i = 0; i < n->n; i++)
        if (known[p->targets[n->first + i]])
            return true;
    return false;
}

// An END can be reached.
static bool can_end(const struct program *p, const bool *known, uint32_t node)
{
    const struct node *n = &p->nodes[node];
    switch (n->kind) {
    case NODE_END: return true;
    case NODE_BYTES:
        for (uint32_t i = 0; i < n->n; i++)
            if (known[p->edges[n->first + i].next])
                return true;
        return false;
    case NODE_SPLIT: return any_target(p, known, n);
    case NODE_CALL: return known[n->next] && known[p->rules[n->rule].start];
    case NODE_REPEAT: return known[n->next] && (n->min == 0 || known[p->rules[n->rule].start]);
    }
    return false;
}

// An END can be reached without a byte.
static bool is_nullable(const struct program *p, const bool *known, uint32_t node)
{
    const struct node *n = &p->nodes[node];
    switch (n->kind) {
    case NODE_END: return true;
    case NODE_BYTES: return false;
    case NODE_SPLIT: return any_target(p, known, n);
    case NODE_CALL: return known[n->next] && known[p->rules[n->rule].start];
    case NODE_REPEAT: return known[n->next] && (n->min == 0 || known[p->rules[n->rule].start]);
    }
    return false;
}

static void drop_dead(struct program *p, const bool *alive)
{
    for (uint32_t i = 0; i < p->n_nodes; i++) {
        struct node *n = &p->nodes[i];
        uint32_t kept = 0;
        if (n->kind == NODE_BYTES) {
            for (uint32_t k = 0; k < n->n; k++)
                if (alive[p->edges[n->first + k].next])
                    p->edges[n->first + kept++] = p->edges[n->first + k];
            n->n = kept;
        } else if (n->kind == NODE_SPLIT) {
            for (uint32_t k = 0; k < n->n; k++)
                if (alive[p->targets[n->first + k]])
                    p->targets[n->first + kept++] = p->targets[n->first + k];
            n->n = kept;
        } else if (n->kind == NODE_REPEAT && alive[i] && !alive[p->rules[n->rule].start]) {
            // Only none of it is left: a split with one target.
            uint32_t next = n->next;
            memory_grow(p->targets, p->targets_capacity, p->n_targets + 1);
            p->targets[p->n_targets] = next;
            *n = (struct node){.kind = NODE_SPLIT, .first = (uint32_t)p->n_targets++, .n = 1};
        }
    }
}

static void find_nullable(struct program *p, bool *known)
{
    memset(known, 0, p->n_nodes * sizeof *known);
    fixpoint(p, known, is_nullable);
    for (size_t r = 0; r < p->n_rules; r++)
        p->rules[r].nullable = known[p->rules[r].start];
    // Of something that may be empty, none is as good as some.
    for (uint32_t i = 0; i < p->n_nodes; i++)
        if (p->nodes[i].kind == NODE_REPEAT && p->rules[p->nodes[i].rule].nullable)
            p->nodes[i].min = 0;
}

// Which rules a rule may enter before its first byte, walked depth first.
struct walk {
    const struct program *p;
    uint32_t *stack;  // nodes
    size_t n, capacity;
    uint32_t *seen;  // by node: rule + 1 that last came by
};

static void walk_push(struct walk *w, uint32_t node, uint32_t rule)
{
    if (w->seen[node] == rule + 1)
        return;
    w->seen[node] = rule + 1;
    memory_grow(w->stack, w->capacity, w->n + 1);
    w->stack[w->n++] = node;
}

// Calls found[]: rules entered at the front of `rule`. Returns how many.
static size_t fronts(struct walk *w, uint32_t rule, uint32_t **found, size_t *capacity)
{
    size_t n_found = 0;
    walk_push(w, w->p->rules[rule].start, rule);
    while (w->n) {
        const struct node *n = &w->p->nodes[w->stack[--w->n]];
        if (n->kind == NODE_SPLIT)
            for (uint32_t i = 0; i < n->n; i++)
                walk_push(w, w->p->targets[n->first + i], rule);
        if (n->kind != NODE_CALL && n->kind != NODE_REPEAT)
            continue;
        memory_grow(*found, *capacity, n_found + 1);
        (*found)[n_found++] = n->rule;
        if (w->p->rules[n->rule].nullable || (n->kind == NODE_REPEAT && n->min == 0))
            walk_push(w, n->next, rule);
    }
    return n_found;
}

enum colour { WHITE, GREY, BLACK };

struct visit {
    uint32_t rule;
    uint32_t *fronts;
    size_t n, at;
};

// Depth first without recursion. A grey rule met again is left recursion.
static bool visit_from(struct walk *w, uint8_t *colour, uint32_t root, struct error *err)
{
    struct visit *path = NULL;
    size_t n = 0, capacity = 0;
    bool ok = true;
    uint32_t next = root;
    for (bool enter = true; ok && (enter || n);) {
        if (enter) {
            size_t room = 0;
            memory_grow(path, capacity, n + 1);
            path[n] = (struct visit){.rule = next};
            path[n].n = fronts(w, next, &path[n].fronts, &room);
            colour[next] = GREY;
            n++;
        }
        struct visit *top = &path[n - 1];
        enter = false;
        if (top->at == top->n) {
            colour[top->rule] = BLACK;
            free(top->fronts);
            n--;
            continue;
        }
        next = top->fronts[top->at++];
        enter = colour[next] == WHITE;
        if (colour[next] == GREY)
            ok = error_set(err, ERR_UNSUPPORTED,
                           "%s begins with itself (left recursion), which cannot be followed",
                           rule_name(w->p, next));
    }
    while (n)
        free(path[--n].fronts);
    free(path);
    return ok;
}

static bool check_left_recursion(const struct program *p, struct error *err)
{
    struct walk w = {.p = p, .seen = memory_array(uint32_t, p->n_nodes)};
    uint8_t *colour = memory_array(uint8_t, p->n_rules + 1);
    bool ok = true;
    for (uint32_t r = 0; ok && r < p->n_rules; r++)
        if (colour[r] == WHITE)
            ok = visit_from(&w, colour, r, err);
    free(w.stack);
    free(w.seen);
    free(colour);
    return ok;
}

static void find_classes(struct program *p)
{
    bool begins[257] = {true};
    for (size_t i = 0; i < p->n_edges; i++) {
        begins[p->edges[i].low] = true;
        begins[p->edges[i].high + 1] = true;
    }
    int class = -1;
    for (int b = 0; b < 256; b++) {
        class += begins[b];
        p->class_of[b] = (uint8_t) class;
    }
    p->n_classes = class + 1;
}

// Inlining: a small rule that calls nothing, in the place of its call.

enum { INLINE_MOST = 24, INLINE_ROUNDS = 3 };

// The nodes of such a rule, in order of discovery; 0 if it is not one.
static size_t leaf_nodes(const struct program *p, uint32_t start, uint32_t *list)
{
    size_t n = 1;
    list[0] = start;
    for (size_t i = 0; i < n; i++) {
        const struct node *node = &p->nodes[list[i]];
        if (node->kind == NODE_CALL || node->kind == NODE_REPEAT)
            return 0;
        for (uint32_t k = 0; k < node->n; k++) {
            uint32_t to = node->kind == NODE_SPLIT ? p->targets[node->first + k]
                                                   : p->edges[node->first + k].next;
            size_t at = 0;
            while (at < n && list[at] != to)
                at++;
            if (at == n && n == INLINE_MOST)
                return 0;
            if (at == n)
                list[n++] = to;
        }
    }
    return n;
}

static uint32_t copied(const uint32_t *list, const uint32_t *copy, size_t n, uint32_t node)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == node)
            return copy[i];
    return NODE_ID_FAIL;
}

// The rule's nodes again, with `next` for END. FAIL where there is no room.
static uint32_t copy_leaf(struct program *p, const uint32_t *list, size_t n, uint32_t next)
{
    uint32_t copy[INLINE_MOST];
    for (size_t i = 0; i < n; i++) {
        struct node node = p->nodes[list[i]];
        if (node.kind == NODE_END) {
            copy[i] = next;
        } else if (node.n == 0) {
            copy[i] = NODE_ID_FAIL;
        } else if (node.kind == NODE_BYTES) {
            struct byte_edge edges[256];
            if (node.n > 256)
                return NODE_ID_FAIL;
            memcpy(edges, p->edges + node.first, node.n * sizeof *edges);
            copy[i] = node_bytes(p, edges, node.n);
        } else {
            uint32_t targets[256];
            if (node.n > 256)
                return NODE_ID_FAIL;
            memcpy(targets, p->targets + node.first, node.n * sizeof *targets);
            copy[i] = node.n == 1 ? node_loop(p) : node_split(p, targets, node.n);
        }
    }
    for (size_t i = 0; i < n && !p->overflow; i++) {
        const struct node *from = &p->nodes[list[i]], *to = &p->nodes[copy[i]];
        if (from->kind == NODE_BYTES && from->n)
            for (uint32_t k = 0; k < from->n; k++)
                p->edges[to->first + k].next =
                    copied(list, copy, n, p->edges[from->first + k].next);
        if (from->kind == NODE_SPLIT)
            for (uint32_t k = 0; k < from->n; k++)
                p->targets[to->first + k] = copied(list, copy, n, p->targets[from->first + k]);
    }
    return p->overflow ? NODE_ID_FAIL : copied(list, copy, n, list[0]);
}

static void inline_leaves(struct program *p)
{
    uint32_t list[INLINE_MOST];
    size_t n_before = p->n_nodes;
    for (uint32_t i = 0; i < n_before; i++) {
        if (p->nodes[i].kind != NODE_CALL)
            continue;
        size_t n = leaf_nodes(p, p->rules[p->nodes[i].rule].start, list);
        size_t used = p->n_nodes + p->n_edges + p->n_targets;
        if (!n || used > PROGRAM_NODES_MAX / 2)
            continue;
        uint32_t start = copy_leaf(p, list, n, p->nodes[i].next);
        if (start == NODE_ID_FAIL)
            continue;
        memory_grow(p->targets, p->targets_capacity, p->n_targets + 1);
        p->targets[p->n_targets] = start;
        p->nodes[i] = (struct node){.kind = NODE_SPLIT, .first = (uint32_t)p->n_targets++, .n = 1};
    }
}

bool program_finish(struct program *p, uint32_t root, struct error *err)
{
    if (p->overflow)
        return error_set(err, ERR_LIMIT, "the grammar is too large (more than %d nodes)",
                         PROGRAM_NODES_MAX);
    p->root = root;
    bool *known = memory_array(bool, p->n_nodes);
    fixpoint(p, known, can_end);
    bool ok = known[p->rules[root].start] ||
              error_set(err, ERR_UNSUPPORTED, "no text of finite length fits the grammar");
    if (ok) {
        drop_dead(p, known);
        find_nullable(p, known);
        ok = check_left_recursion(p, err);
    }
    free(known);
    for (int i = 0; ok && i < INLINE_ROUNDS; i++)
        inline_leaves(p);
    find_classes(p);
    return ok;
}
