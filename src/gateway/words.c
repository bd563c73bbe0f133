#include "gateway/words.h"

#include <stdlib.h>

#include "base/memory.h"

struct word_node {
    uint32_t child, sibling;  // the first child, and the next one of the same parent; 0: none
    uint32_t shorter;         // the longest proper end of this that a word begins with
    uint32_t length;          // of the longest word that this ends with; 0: none
    uint32_t mark;
    unsigned char byte;
};
struct words {
    struct word_node *nodes;  // 0 is the root
    size_t n, capacity;
    uint32_t root[256];  // its children, since most bytes are looked up there
};

struct words *words_new(void)
{
    struct words *w = memory_array(struct words, 1);
    memory_grow(w->nodes, w->capacity, 1);
    w->nodes[w->n++] = (struct word_node){0};
    return w;
}

void words_free(struct words *w)
{
    if (!w)
        return;
    free(w->nodes);
    free(w);
}

static uint32_t child_of(const struct words *w, uint32_t node, unsigned char byte)
{
    if (node == 0)
        return w->root[byte];
    uint32_t c = w->nodes[node].child;
    while (c && w->nodes[c].byte != byte)
        c = w->nodes[c].sibling;
    return c;
}

static uint32_t add_child(struct words *w, uint32_t parent, unsigned char byte)
{
    memory_grow(w->nodes, w->capacity, w->n + 1);
    uint32_t c = (uint32_t)w->n++;
    w->nodes[c] = (struct word_node){.sibling = w->nodes[parent].child, .byte = byte};
    w->nodes[parent].child = c;
    if (parent == 0)
        w->root[byte] = c;
    return c;
}

void words_add(struct words *w, struct slice word, uint32_t mark)
{
    uint32_t at = 0;
    for (size_t i = 0; i < word.len; i++) {
        unsigned char byte = (unsigned char)word.ptr[i];
        uint32_t next = child_of(w, at, byte);
        at = next ? next : add_child(w, at, byte);
    }
    if (w->nodes[at].length)
        return;
    w->nodes[at].length = (uint32_t)word.len;
    w->nodes[at].mark = mark;
}

// Where a byte leads from a node whose `shorter` is known, as all of those above it.
static uint32_t next_of(const struct words *w, uint32_t node, unsigned char byte)
{
    for (;;) {
        uint32_t c = child_of(w, node, byte);
        if (c || node == 0)
            return c;
        node = w->nodes[node].shorter;
    }
}

// Breadth first: a node's `shorter` is less deep than itself.
void words_build(struct words *w)
{
    uint32_t *queue = memory_array(uint32_t, w->n);
    size_t n = 1;
    for (size_t i = 0; i < n; i++) {
        uint32_t parent = queue[i];
        for (uint32_t c = w->nodes[parent].child; c; c = w->nodes[c].sibling) {
            struct word_node *node = &w->nodes[c];
            node->shorter = parent ? next_of(w, w->nodes[parent].shorter, node->byte) : 0;
            if (!node->length) {
                node->length = w->nodes[node->shorter].length;
                node->mark = w->nodes[node->shorter].mark;
            }
            queue[n++] = c;
        }
    }
    free(queue);
}

size_t words_step(const struct words *w, uint32_t *state, unsigned char byte, uint32_t *mark)
{
    *state = next_of(w, *state, byte);
    *mark = w->nodes[*state].mark;
    return w->nodes[*state].length;
}
