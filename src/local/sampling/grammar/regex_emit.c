// regex_emit.c - a tree of a regular expression as nodes of a program.
#include "base/error.h"
#include "base/memory.h"
#include "local/sampling/grammar/regex.h"

#include <stdlib.h>

// All but the last child of a concatenation, from its end: an array, as children know their next.
static uint32_t emit_cat(struct program *p, const struct regex *r, regex_chars *chars,
                         uint32_t next)
{
    const struct regex **list = NULL;
    size_t n = 0, capacity = 0;
    for (const struct regex *c = r->first; c; c = c->next) {
        memory_grow(list, capacity, n + 1);
        list[n++] = c;
    }
    while (n)
        next = regex_emit(p, list[--n], chars, next);
    free(list);
    return next;
}

static uint32_t emit_alt(struct program *p, const struct regex *r, regex_chars *chars,
                         uint32_t next)
{
    uint32_t *list = NULL;
    size_t n = 0, capacity = 0;
    for (const struct regex *c = r->first; c; c = c->next) {
        memory_grow(list, capacity, n + 1);
        list[n++] = regex_emit(p, c, chars, next);
    }
    uint32_t node = node_split(p, list, n);
    free(list);
    return node;
}

static uint32_t emit_repeat(struct program *p, const struct regex *r, regex_chars *chars,
                            uint32_t next)
{
    if (r->max == 0)
        return next;
    if (r->max == 1) {
        uint32_t once = regex_emit(p, r->first, chars, next);
        return r->min ? once : node_either(p, once, next);
    }
    if (r->max == REPEAT_NO_MAX && r->min <= 1) {
        uint32_t loop = node_loop(p), body = regex_emit(p, r->first, chars, loop);
        node_loop_set(p, loop, body, next);
        return r->min ? body : loop;
    }
    uint32_t rule = program_rule(p, "a repeated part");
    program_set(p, rule, regex_emit(p, r->first, chars, NODE_ID_END));
    return node_repeat(p, rule, r->min, r->max, next);
}

uint32_t regex_emit(struct program *p, const struct regex *r, regex_chars *chars, uint32_t next)
{
    if (p->overflow)
        return NODE_ID_FAIL;
    switch (r->kind) {
    case REGEX_SET: return chars(p, r->ranges, r->n, next);
    case REGEX_CAT: return emit_cat(p, r, chars, next);
    case REGEX_ALT: return emit_alt(p, r, chars, next);
    case REGEX_REPEAT: return emit_repeat(p, r, chars, next);
    case REGEX_CALL: return node_call(p, r->min, next);
    case REGEX_START:
    case REGEX_END: break;
    }
    return next;
}

static uint32_t plus(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static uint32_t times(uint32_t a, uint32_t b)
{
    uint64_t product = (uint64_t)a * b;
    return product > UINT32_MAX ? UINT32_MAX : (uint32_t)product;
}

void regex_lengths(const struct regex *r, uint32_t *min, uint32_t *max)
{
    uint32_t least, most;
    bool first = true;
    *min = *max = r->kind == REGEX_SET;
    for (const struct regex *c = r->first; c; c = c->next) {
        regex_lengths(c, &least, &most);
        if (r->kind == REGEX_REPEAT) {
            *min = times(least, r->min);
            *max = most ? times(most, r->max) : 0;
        } else if (r->kind == REGEX_CAT) {
            *min = plus(*min, least);
            *max = plus(*max, most);
        } else {
            *min = first || least < *min ? least : *min;
            *max = most > *max ? most : *max;
        }
        first = false;
    }
}

struct program *regex_compile(struct slice text, struct error *err)
{
    struct arena arena = {0};
    struct program *p = NULL;
    const struct regex *r = regex_read(text, false, &arena, err);
    if (r) {
        p = program_new();
        uint32_t rule = program_rule(p, "the expression");
        program_set(p, rule, regex_emit(p, r, node_chars, NODE_ID_END));
        if (!program_finish(p, rule, err)) {
            program_free(p);
            p = NULL;
        }
    }
    arena_release(&arena);
    return p;
}
