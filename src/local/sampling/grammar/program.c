#include "local/sampling/grammar/program.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/utf8.h"

struct program *program_new(void)
{
    struct program *p = memory_new(1, sizeof *p);
    memory_grow(p->nodes, p->nodes_capacity, 2);
    p->nodes[NODE_ID_END] = (struct node){.kind = NODE_END};
    p->nodes[NODE_ID_FAIL] = (struct node){.kind = NODE_SPLIT};
    p->n_nodes = 2;
    return p;
}

void program_free(struct program *p)
{
    if (!p)
        return;
    free(p->nodes);
    free(p->edges);
    free(p->targets);
    free(p->rules);
    arena_release(&p->names);
    free(p);
}

size_t program_bytes(const struct program *p)
{
    return sizeof *p + p->nodes_capacity * sizeof *p->nodes + p->edges_capacity * sizeof *p->edges +
           p->targets_capacity * sizeof *p->targets + p->rules_capacity * sizeof *p->rules +
           p->names.used_bytes;
}

uint32_t program_rule(struct program *p, const char *name)
{
    if (p->n_rules >= PROGRAM_RULES_MAX) {
        p->overflow = true;
        return 0;
    }
    memory_grow(p->rules, p->rules_capacity, p->n_rules + 1);
    p->rules[p->n_rules] = (struct rule){
        .name = name ? arena_text(&p->names, slice_str(name)) : NULL, .start = NODE_ID_FAIL};
    return (uint32_t)p->n_rules++;
}

void program_set(struct program *p, uint32_t rule, uint32_t start)
{
    p->rules[rule].start = start;
}

static bool has_room(struct program *p, size_t more)
{
    size_t used = p->n_nodes + p->n_edges + p->n_targets;
    p->overflow |= more > PROGRAM_NODES_MAX || used + more > PROGRAM_NODES_MAX;
    return !p->overflow;
}

static uint32_t add_node(struct program *p, struct node n)
{
    if (!has_room(p, 1))
        return NODE_ID_FAIL;
    memory_grow(p->nodes, p->nodes_capacity, p->n_nodes + 1);
    p->nodes[p->n_nodes] = n;
    return (uint32_t)p->n_nodes++;
}

uint32_t node_bytes(struct program *p, const struct byte_edge *edges, size_t n)
{
    if (n == 0 || !has_room(p, n + 1))
        return NODE_ID_FAIL;
    memory_grow(p->edges, p->edges_capacity, p->n_edges + n);
    memcpy(p->edges + p->n_edges, edges, n * sizeof *edges);
    uint32_t first = (uint32_t)p->n_edges;
    p->n_edges += n;
    return add_node(p, (struct node){.kind = NODE_BYTES, .first = first, .n = (uint32_t)n});
}

uint32_t node_byte(struct program *p, uint8_t low, uint8_t high, uint32_t next)
{
    struct byte_edge e = {low, high, next};
    return node_bytes(p, &e, 1);
}

uint32_t node_text(struct program *p, struct slice text, uint32_t next)
{
    for (size_t i = text.len; i-- > 0 && !p->overflow;)
        next = node_byte(p, (uint8_t)text.ptr[i], (uint8_t)text.ptr[i], next);
    return next;
}

uint32_t node_split(struct program *p, const uint32_t *targets, size_t n)
{
    if (n == 1)
        return targets[0];
    if (n == 0 || !has_room(p, n + 1))
        return NODE_ID_FAIL;
    memory_grow(p->targets, p->targets_capacity, p->n_targets + n);
    memcpy(p->targets + p->n_targets, targets, n * sizeof *targets);
    uint32_t first = (uint32_t)p->n_targets;
    p->n_targets += n;
    return add_node(p, (struct node){.kind = NODE_SPLIT, .first = first, .n = (uint32_t)n});
}

uint32_t node_either(struct program *p, uint32_t a, uint32_t b)
{
    uint32_t both[] = {a, b};
    return a == b ? a : node_split(p, both, 2);
}

uint32_t node_loop(struct program *p)
{
    uint32_t targets[] = {NODE_ID_FAIL, NODE_ID_FAIL};
    return node_split(p, targets, 2);
}

void node_loop_set(struct program *p, uint32_t loop, uint32_t again, uint32_t next)
{
    if (loop == NODE_ID_FAIL)
        return;  // there was no room
    uint32_t *targets = p->targets + p->nodes[loop].first;
    targets[0] = again;
    targets[1] = next;
}

uint32_t node_call(struct program *p, uint32_t rule, uint32_t next)
{
    return add_node(p, (struct node){.kind = NODE_CALL, .rule = rule, .next = next});
}

uint32_t node_repeat(struct program *p, uint32_t rule, uint32_t min, uint32_t max, uint32_t next)
{
    if (max == 0)
        return next;
    if (min == 0 && max == REPEAT_NO_MAX) {
        uint32_t loop = node_loop(p);
        node_loop_set(p, loop, node_call(p, rule, loop), next);
        return loop;
    }
    if (min == 1 && max == 1)
        return node_call(p, rule, next);
    return add_node(
        p, (struct node){.kind = NODE_REPEAT, .rule = rule, .next = next, .min = min, .max = max});
}

// UTF-8

struct edges {
    struct byte_edge *items;
    size_t n, capacity;
};

static void edge_add(struct edges *list, uint8_t low, uint8_t high, uint32_t next)
{
    memory_grow(list->items, list->capacity, list->n + 1);
    list->items[list->n++] = (struct byte_edge){low, high, next};
}

struct tails {  // nodes for 0 to 3 continuation bytes of any value; FAIL: not made yet
    uint32_t node[4];
};

static uint32_t tail(struct program *p, struct tails *t, int n)
{
    for (int i = 1; i <= n && i < 4; i++)
        if (t->node[i] == NODE_ID_FAIL)
            t->node[i] = node_byte(p, 0x80, 0xBF, t->node[i - 1]);
    return t->node[n < 4 ? n : 3];
}

// Bytes a[0..n) to b[0..n), each the same number of UTF-8 bytes, into edges of the first byte.
static void byte_ranges(struct program *p, struct edges *out, const uint8_t *a, const uint8_t *b,
                        int n, struct tails *t)
{
    static const uint8_t least[] = {0x80, 0x80, 0x80}, most[] = {0xBF, 0xBF, 0xBF};
    if (n == 1) {
        edge_add(out, a[0], b[0], t->node[0]);
        return;
    }
    size_t rest = (size_t)n - 1;
    if (a[0] == b[0]) {
        struct edges inner = {0};
        byte_ranges(p, &inner, a + 1, b + 1, n - 1, t);
        edge_add(out, a[0], a[0], node_bytes(p, inner.items, inner.n));
        free(inner.items);
        return;
    }
    uint8_t low = a[0], high = b[0];
    if (memcmp(a + 1, least, rest) != 0) {
        uint8_t end[4] = {a[0], 0xBF, 0xBF, 0xBF};
        byte_ranges(p, out, a, end, n, t);
        low++;
    }
    bool cut = memcmp(b + 1, most, rest) != 0;
    high -= cut;
    if (low <= high)
        edge_add(out, low, high, tail(p, t, n - 1));
    if (cut) {
        uint8_t start[4] = {b[0], 0x80, 0x80, 0x80};
        byte_ranges(p, out, start, b, n, t);
    }
}

static void code_range(struct program *p, struct edges *out, uint32_t low, uint32_t high,
                       struct tails *t)
{
    static const uint32_t last[] = {0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
    for (int i = 0; i < 4 && low <= high; i++) {
        uint32_t end = high < last[i] ? high : last[i];
        if (low > end)
            continue;
        char a[4], b[4];
        size_t n = utf8_encode(low, a);
        (void)utf8_encode(end, b);
        byte_ranges(p, out, (const uint8_t *)a, (const uint8_t *)b, (int)n, t);
        low = end + 1;
    }
}

uint32_t node_chars(struct program *p, const struct code_range *ranges, size_t n, uint32_t next)
{
    struct edges out = {0};
    struct tails t = {{next, NODE_ID_FAIL, NODE_ID_FAIL, NODE_ID_FAIL}};
    for (size_t i = 0; i < n && !p->overflow; i++) {
        uint32_t low = ranges[i].low, high = ranges[i].high;
        if (low < 0xD800)
            code_range(p, &out, low, high < 0xD7FF ? high : 0xD7FF, &t);
        if (high > 0xDFFF)
            code_range(p, &out, low > 0xE000 ? low : 0xE000, high, &t);
    }
    uint32_t node = node_bytes(p, out.items, out.n);
    free(out.items);
    return node;
}

// Texts that share their beginnings

static int compare(const void *a, const void *b)
{
    const struct slice *x = a, *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int c = n ? memcmp(x->ptr, y->ptr, n) : 0;
    return c ? c : (x->len > y->len) - (x->len < y->len);
}

// The texts agree in their first `depth` bytes. Recursion goes no deeper than the longest text's
// places where others part from it.
static uint32_t branch(struct program *p, const struct slice *texts, size_t n, size_t depth,
                       uint32_t next)
{
    const struct slice *last = &texts[n - 1];
    size_t common = depth;
    while (common < texts[0].len && texts[0].ptr[common] == last->ptr[common])
        common++;
    struct slice shared = slice_sub(texts[0], depth, common - depth);
    struct edges out = {0};
    bool ends = false;
    for (size_t i = 0, k; i < n && !p->overflow; i = k) {
        k = i + 1;
        if (texts[i].len == common) {
            ends = true;
            continue;
        }
        uint8_t byte = (uint8_t)texts[i].ptr[common];
        while (k < n && (uint8_t)texts[k].ptr[common] == byte)
            k++;
        edge_add(&out, byte, byte, branch(p, texts + i, k - i, common + 1, next));
    }
    uint32_t node = out.n ? node_bytes(p, out.items, out.n) : NODE_ID_FAIL;
    free(out.items);
    if (ends)
        node = node == NODE_ID_FAIL ? next : node_either(p, node, next);
    return node_text(p, shared, node);
}

uint32_t node_texts(struct program *p, struct slice *texts, size_t n, uint32_t next)
{
    if (n == 0)
        return NODE_ID_FAIL;
    qsort(texts, n, sizeof *texts, compare);
    return branch(p, texts, n, 0, next);
}
