// tree.c - libyaml's events, checked and bounded, put together into a tree.
#include "config/tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"

struct anchor {
    const char *name;
    struct tree_node *node;  // NULL: it has not ended
};
struct items {  // of a list or map that has not ended
    struct tree_node *node;
    struct tree_node **items;
    size_t n, capacity;
    size_t anchor;  // its own place among the anchors, plus 1; 0: none
};
struct builder {
    const char *name;
    struct arena *arena;
    struct slice text;
    struct error *err;
    struct anchor anchors[TREE_MAX_ANCHORS];
    struct items open[TREE_MAX_DEPTH];
    size_t n_anchors, n_open, n_nodes, n_documents;
    struct tree_node *root;
};

bool tree_fault(const char *name, int line, int column, struct error *err, int code,
                const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *c = text; *c; c++)  // it may quote the file: an error is one line
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = '?';
    return error_set(err, (enum error_code)code, "%.100s, line %d, column %d: %s", name, line,
                     column, text);
}

bool tree_is_null(const struct tree_node *node)
{
    return node->kind == TREE_TEXT && node->plain &&
           (node->text.len == 0 || slice_is(node->text, "~") || slice_is(node->text, "null"));
}

static bool fault_at(struct builder *b, yaml_mark_t at, int code, const char *what)
{
    return tree_fault(b->name, (int)at.line + 1, (int)at.column + 1, b->err, code, "%s", what);
}

// Of bytes that are no text libyaml has no line, only how many come before.
static bool fault_at_byte(struct builder *b, size_t byte, const char *what)
{
    int line = 1, column = 1;
    for (size_t i = 0; i < byte && i < b->text.len; i++) {
        column += (b->text.ptr[i] & 0xC0) != 0x80;
        if (b->text.ptr[i] == '\n') {
            line++;
            column = 1;
        }
    }
    return tree_fault(b->name, line, column, b->err, ERR_FORMAT, "%s", what);
}

static bool yaml_fault(struct builder *b, const yaml_parser_t *p)
{
    const char *what = p->problem ? p->problem : "is no YAML";
    if (p->error == YAML_READER_ERROR)
        return fault_at_byte(b, p->problem_offset, what);
    return fault_at(b, p->problem_mark, p->error == YAML_MEMORY_ERROR ? ERR_MEMORY : ERR_FORMAT,
                    what);
}

static struct tree_node *new_node(struct builder *b, enum tree_kind kind, const yaml_event_t *e)
{
    if (++b->n_nodes > TREE_MAX_NODES) {
        (void)fault_at(b, e->start_mark, ERR_LIMIT, "too many values");
        return NULL;
    }
    struct tree_node *node = arena_new(b->arena, struct tree_node, 1);
    node->kind = kind;
    node->line = (int)e->start_mark.line + 1;
    node->column = (int)e->start_mark.column + 1;
    return node;
}

// An anchor that is told again means the later node from there on.
static bool add_anchor(struct builder *b, const yaml_char_t *name, struct tree_node *node,
                       yaml_mark_t at)
{
    if (!name)
        return true;
    if (b->n_anchors == TREE_MAX_ANCHORS)
        return fault_at(b, at, ERR_LIMIT, "too many anchors");
    b->anchors[b->n_anchors].name = arena_text(b->arena, slice_str((const char *)name));
    b->anchors[b->n_anchors++].node = node;
    return true;
}

static struct tree_node *find_anchor(struct builder *b, const yaml_event_t *e)
{
    const char *name = (const char *)e->data.alias.anchor;
    for (size_t i = b->n_anchors; i-- > 0;) {
        if (strcmp(b->anchors[i].name, name) != 0)
            continue;
        if (!b->anchors[i].node)
            (void)fault_at(b, e->start_mark, ERR_FORMAT, "an alias inside what it stands for");
        return b->anchors[i].node;
    }
    (void)fault_at(b, e->start_mark, ERR_FORMAT, "an alias of an anchor that is not there");
    return NULL;
}

static bool add_key(struct builder *b, struct items *in, const struct tree_node *key)
{
    if (key->kind != TREE_TEXT)
        return tree_fault(b->name, key->line, key->column, b->err, ERR_FORMAT,
                          "a member's name must be a text");
    return in->n / 2 < TREE_MAX_MEMBERS ||
           tree_fault(b->name, key->line, key->column, b->err, ERR_LIMIT,
                      "more than %d members in one map", TREE_MAX_MEMBERS);
}

// Where a finished or just begun node belongs.
static bool place(struct builder *b, struct tree_node *node)
{
    if (b->n_open == 0) {
        b->root = node;
        return true;
    }
    struct items *in = &b->open[b->n_open - 1];
    if (in->node->kind == TREE_MAP && in->n % 2 == 0 && !add_key(b, in, node))
        return false;
    memory_grow(in->items, in->capacity, in->n + 1);
    in->items[in->n++] = node;
    return true;
}

static bool read_scalar(struct builder *b, const yaml_event_t *e)
{
    struct slice text = {(const char *)e->data.scalar.value, e->data.scalar.length};
    if (e->data.scalar.tag)
        return fault_at(b, e->start_mark, ERR_FORMAT, "tags (!...) have no meaning here");
    if (text.len && memchr(text.ptr, 0, text.len))
        return fault_at(b, e->start_mark, ERR_FORMAT, "a text with a NUL in it");
    struct tree_node *node = new_node(b, TREE_TEXT, e);
    if (!node)
        return false;
    node->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text = slice_of(arena_text(b->arena, text), text.len);
    return add_anchor(b, e->data.scalar.anchor, node, e->start_mark) && place(b, node);
}

static bool begin(struct builder *b, enum tree_kind kind, const yaml_char_t *anchor,
                  const yaml_char_t *tag, const yaml_event_t *e)
{
    if (tag)
        return fault_at(b, e->start_mark, ERR_FORMAT, "tags (!...) have no meaning here");
    if (b->n_open == TREE_MAX_DEPTH)
        return fault_at(b, e->start_mark, ERR_LIMIT, "nested too deeply");
    struct tree_node *node = new_node(b, kind, e);
    if (!node || !place(b, node) || !add_anchor(b, anchor, NULL, e->start_mark))
        return false;
    b->open[b->n_open++] = (struct items){.node = node, .anchor = anchor ? b->n_anchors : 0};
    return true;
}

static int by_hash(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// Sorted by hash, so that a map of many members takes no time squared; hashes that are equal
// are looked at one by one.
static bool check_duplicates(struct builder *b, const struct items *in)
{
    size_t n = in->n / 2;
    bool ok = true;
    uint64_t *hashes = memory_array(uint64_t, n + 1);
    for (size_t i = 0; i < n; i++)
        hashes[i] = hash_bytes(in->items[2 * i]->text.ptr, in->items[2 * i]->text.len, 0);
    qsort(hashes, n, sizeof *hashes, by_hash);
    bool twice = false;
    for (size_t i = 1; i < n; i++)
        twice |= hashes[i] == hashes[i - 1];
    free(hashes);
    for (size_t i = 1; twice && ok && i < n; i++)
        for (size_t k = 0; ok && k < i; k++) {
            const struct tree_node *key = in->items[2 * i];
            if (slice_eq(key->text, in->items[2 * k]->text))
                ok = tree_fault(b->name, key->line, key->column, b->err, ERR_FORMAT,
                                "'%.60s' is here a second time, first in line %d", key->text.ptr,
                                in->items[2 * k]->line);
        }
    return ok;
}

static bool end(struct builder *b)
{
    struct items *in = &b->open[--b->n_open];
    bool ok = in->node->kind != TREE_MAP || check_duplicates(b, in);
    in->node->n = in->node->kind == TREE_MAP ? in->n / 2 : in->n;
    in->node->items = arena_new(b->arena, struct tree_node *, in->n);
    if (in->n)
        memcpy(in->node->items, in->items, in->n * sizeof *in->items);
    free(in->items);
    if (in->anchor)
        b->anchors[in->anchor - 1].node = in->node;
    return ok;
}

static bool take(struct builder *b, const yaml_event_t *e)
{
    struct tree_node *node;
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        return b->n_documents++ == 0 ||
               fault_at(b, e->start_mark, ERR_FORMAT, "a second document in one file");
    case YAML_ALIAS_EVENT: node = find_anchor(b, e); return node && place(b, node);
    case YAML_SCALAR_EVENT: return read_scalar(b, e);
    case YAML_SEQUENCE_START_EVENT:
        return begin(b, TREE_LIST, e->data.sequence_start.anchor, e->data.sequence_start.tag, e);
    case YAML_MAPPING_START_EVENT:
        return begin(b, TREE_MAP, e->data.mapping_start.anchor, e->data.mapping_start.tag, e);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return end(b);
    default: return true;
    }
}

bool tree_parse(struct slice text, const char *name, struct arena *a, struct tree_node **root,
                struct error *err)
{
    struct builder b = {.name = name, .arena = a, .text = text, .err = err};
    yaml_parser_t parser;
    bool ok = true, more = true;
    if (text.len > TREE_MAX_BYTES)
        return error_set(err, ERR_LIMIT, "%.100s: larger than %d bytes", name, TREE_MAX_BYTES);
    if (!yaml_parser_initialize(&parser))
        return error_set(err, ERR_MEMORY, "%.100s: no memory", name);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.ptr ? text.ptr : ""),
                                 text.len);
    while (ok && more) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            ok = yaml_fault(&b, &parser);
            break;
        }
        more = event.type != YAML_STREAM_END_EVENT;
        ok = take(&b, &event);
        yaml_event_delete(&event);
    }
    while (b.n_open)
        free(b.open[--b.n_open].items);
    yaml_parser_delete(&parser);
    *root = b.root;
    return ok;
}
