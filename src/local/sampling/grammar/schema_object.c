// schema_object.c - objects: named members in the schema's order, then others.
//
// After a comma a member must follow, so a place in the list of names has three nodes: a member
// follows here or later; a comma or the end; and, before the first, the end.
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/sampling/grammar/schema_impl.h"

enum { NAMES_MAX = 10000 };

struct member {
    const char *name;
    bool required;
};
struct members {
    struct member *items;
    size_t n, capacity;
    json_t *index;  // name -> place + 1
};

static struct member *member_of(struct members *m, const char *name)
{
    json_t *known = json_object_get(m->index, name);
    if (known)
        return &m->items[json_integer_value(known) - 1];
    memory_grow(m->items, m->capacity, m->n + 1);
    m->items[m->n] = (struct member){.name = name};
    json_object_set_new_nocheck(m->index, name, json_integer((json_int_t)++m->n));
    return &m->items[m->n - 1];
}

static void find_members(struct schema_compiler *c, const struct schema_set *flat,
                         struct members *m)
{
    for (size_t i = 0; i < flat->n && !c->failed; i++) {
        const json_t *schema = flat->items[i].schema, *all = json_object_get(schema, "properties");
        const char *name;
        json_t *value;
        if (all && !json_is_object(all))
            schema_fail(c, schema, "properties", "is not an object");
        json_object_foreach((json_t *)all, name, value)
        {
            (void)value;
            (void)member_of(m, name);
        }
        if (m->n > NAMES_MAX)
            schema_fail(c, schema, "properties", "more than %d names", NAMES_MAX);
    }
    for (size_t i = 0; i < flat->n && !c->failed; i++) {
        const json_t *schema = flat->items[i].schema, *names = json_object_get(schema, "required");
        if (names && !json_is_array(names))
            schema_fail(c, schema, "required", "is not a list of names");
        for (size_t k = 0; k < json_array_size(names); k++) {
            const json_t *name = json_array_get(names, k);
            if (json_is_string(name))
                member_of(m, json_string_value(name))->required = true;
            else
                schema_fail(c, schema, "required", "is not a list of names");
        }
        if (m->n > NAMES_MAX)
            schema_fail(c, schema, "required", "more than %d names", NAMES_MAX);
    }
}

static const json_t *others_of(struct schema_compiler *c, const json_t *schema)
{
    const json_t *more = json_object_get(schema, "additionalProperties");
    const json_t *rest = json_object_get(schema, "unevaluatedProperties");
    if (rest && (json_object_get(schema, "$ref") || json_object_get(schema, "allOf") ||
                 json_object_get(schema, "anyOf") || json_object_get(schema, "oneOf")))
        schema_fail(c, schema, "unevaluatedProperties",
                    "cannot be compiled beside $ref, allOf, anyOf or oneOf");
    return more ? more : rest;
}

// The schemas that the member must satisfy.
static void member_set(struct schema_compiler *c, const struct schema_set *flat, const char *name,
                       struct schema_set *out)
{
    for (size_t i = 0; i < flat->n; i++) {
        const json_t *schema = flat->items[i].schema;
        const json_t *own = json_object_get(json_object_get(schema, "properties"), name);
        const json_t *others = others_of(c, schema);
        if (own)
            set_add(out, own, 0);
        else if (others)
            set_add(out, others, 0);
    }
}

static uint32_t member_value(struct schema_compiler *c, const struct schema_set *flat,
                             const char *name, uint32_t next)
{
    struct schema_set set = {0};
    struct buf key = {0};
    member_set(c, flat, name, &set);
    uint32_t rule = schema_rule_of(c, &set);
    set_release(&set);
    json_write_text(&key, slice_str(name));
    uint32_t node = c->failed ? NODE_ID_FAIL
                              : node_text(c->p, buf_view(&key),
                                          emit_colon(&c->json, node_call(c->p, rule, next)));
    buf_release(&key);
    return node;
}

// Other members

// What others must satisfy; false if there are none. Where nothing speaks of them they are left
// out, unless nothing speaks of members at all.
static bool find_others(struct schema_compiler *c, const struct schema_set *flat,
                        struct schema_set *out)
{
    bool told = false, named = false;
    for (size_t i = 0; i < flat->n; i++) {
        const json_t *schema = flat->items[i].schema, *others = others_of(c, schema);
        named |= json_object_get(schema, "properties") != NULL;
        told |= others != NULL;
        if (others)
            set_add(out, others, 0);
        if (json_is_false(others))
            return false;
    }
    return told || !named;
}

// The rest of a name, of which some bytes were read, that is none of names [n], sorted: they agree
// in their first `depth` characters' bytes.
struct name_tree {
    struct schema_compiler *c;
    uint32_t *codes;  // of all names, one after another
    size_t *first;    // [n + 1]
    size_t n;
};

static uint32_t other_name(const struct name_tree *t, size_t from, size_t to, size_t depth)
{
    struct program *p = t->c->p;
    uint32_t any[2] = {NODE_ID_FAIL, NODE_ID_FAIL};
    struct code_range *free_codes = memory_array(struct code_range, to - from + 2);
    uint32_t *targets = memory_array(uint32_t, to - from + 2), next_free = 0;
    size_t n_free = 0, n = 0;
    bool is_name = false;
    for (size_t i = from, k; i < to; i = k) {
        k = i + 1;
        if (t->first[i + 1] - t->first[i] == depth) {
            is_name = true;
            continue;
        }
        uint32_t code = t->codes[t->first[i] + depth];
        while (k < to && t->codes[t->first[k] + depth] == code)
            k++;
        if (code > next_free)
            free_codes[n_free++] = (struct code_range){next_free, code - 1};
        next_free = code + 1;
        struct code_range one = {code, code};
        targets[n++] = emit_chars(p, &one, 1, other_name(t, i, k, depth + 1));
    }
    free_codes[n_free++] = (struct code_range){next_free, 0x10FFFF};
    any[0] = emit_chars(p, free_codes, n_free, emit_string_rest(&t->c->json, NODE_ID_END));
    if (!is_name)
        any[1] = node_byte(p, '"', '"', NODE_ID_END);
    targets[n++] = any[0];
    targets[n++] = any[1];
    uint32_t node = node_split(p, targets, n);
    free(targets);
    free(free_codes);
    return node;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

// The rule of a name (after its first quote) that is none of the members'.
static uint32_t other_names(struct schema_compiler *c, const struct members *m)
{
    struct member *sorted = memory_array(struct member, m->n + 1);
    struct name_tree t = {.c = c, .n = m->n, .first = memory_array(size_t, m->n + 1)};
    size_t n_codes = 0, capacity = 0;
    if (m->n)
        memcpy(sorted, m->items, m->n * sizeof *sorted);
    qsort(sorted, m->n, sizeof *sorted, compare_names);
    for (size_t i = 0; i < m->n; i++) {
        const char *name = sorted[i].name;
        size_t len = strlen(name);
        if (len > 200) {
            len = 0;
            c->failed = !error_set(c->err, ERR_LIMIT,
                                   "schema: \"%.40s...\": the name is too long "
                                   "beside additional properties",
                                   name);
        }
        t.first[i] = n_codes;
        for (size_t at = 0, step; at < len; at += step) {
            uint32_t code;
            step = utf8_decode(name + at, len - at, &code);
            memory_grow(t.codes, capacity, n_codes + 1);
            t.codes[n_codes++] = step ? code : 0xFFFD;
            step = step ? step : 1;
        }
        t.first[i + 1] = n_codes;
    }
    uint32_t rule = program_rule(c->p, "name");
    program_set(c->p, rule,
                m->n ? other_name(&t, 0, m->n, 0) : emit_string_rest(&c->json, NODE_ID_END));
    free(sorted);
    free(t.codes);
    free(t.first);
    return rule;
}

// A rule of one other member.
static uint32_t other_member(struct schema_compiler *c, const struct members *m,
                             const struct schema_set *others)
{
    uint32_t names = other_names(c, m), value = schema_rule_of(c, others);
    uint32_t rule = program_rule(c->p, "member");
    if (c->failed)
        return rule;
    uint32_t rest = emit_colon(&c->json, node_call(c->p, value, NODE_ID_END));
    program_set(c->p, rule, node_byte(c->p, '"', '"', node_call(c->p, names, rest)));
    return rule;
}

// Counting members, where it can be done without knowing which names there were.
static bool check_counts(struct schema_compiler *c, const struct schema_set *flat,
                         const struct members *m, bool others, uint32_t *min, uint32_t *max)
{
    size_t n_required = 0;
    schema_bounds(c, flat, "minProperties", "maxProperties", min, max);
    for (size_t i = 0; i < m->n; i++)
        n_required += m->items[i].required;
    const json_t *at = flat->n ? flat->items[0].schema : c->root;
    for (size_t i = 0; i < flat->n; i++)
        if (json_object_get(flat->items[i].schema, "minProperties") ||
            json_object_get(flat->items[i].schema, "maxProperties"))
            at = flat->items[i].schema;
    if (*min <= n_required)
        *min = 0;
    if (*max >= m->n && !others)
        *max = REPEAT_NO_MAX;
    if (*min > 1)
        schema_fail(c, at, "minProperties", "more than 1 cannot be compiled but by `required`");
    if (*max != REPEAT_NO_MAX && m->n)
        schema_fail(c, at, "maxProperties", "cannot be compiled beside named properties");
    return !c->failed;
}

uint32_t schema_object(struct schema_compiler *c, const struct schema_set *flat, uint32_t next)
{
    struct members m = {.index = json_object()};
    struct schema_set others = {0};
    uint32_t min = 0, max = REPEAT_NO_MAX, node = NODE_ID_FAIL;
    find_members(c, flat, &m);
    bool more = find_others(c, flat, &others);
    if (!c->failed && check_counts(c, flat, &m, more, &min, &max) && (max > 0 || !m.n)) {
        struct program *p = c->p;
        uint32_t bare = node_byte(p, '}', '}', next), close = emit_space(&c->json, bare);
        // after: a comma or the end; here: a member follows; at_end: none need follow
        uint32_t after = close, here = NODE_ID_FAIL;
        if (more && max > 0) {
            uint32_t other = other_member(c, &m, &others), again = program_rule(p, "members");
            program_set(
                p, again,
                node_byte(p, ',', ',', emit_space(&c->json, node_call(p, other, NODE_ID_END))));
            after = node_repeat(p, again, 0, max == REPEAT_NO_MAX ? max : max - 1, close);
            here = node_call(p, other, after);
        }
        bool at_end = true;
        for (size_t i = m.n; i-- > 0 && !c->failed;) {
            const struct member *one = &m.items[i];
            uint32_t value = member_value(c, flat, one->name, after);
            here = one->required ? value : node_either(p, value, here);
            at_end &= !one->required;
            uint32_t comma = node_byte(p, ',', ',', emit_space(&c->json, here));
            after = at_end ? node_either(p, comma, close) : comma;
        }
        node = at_end && min == 0 ? node_either(p, here, bare) : here;
        node = node_byte(p, '{', '{', emit_space(&c->json, node));
    }
    json_decref(m.index);
    free(m.items);
    set_release(&others);
    return c->failed ? NODE_ID_FAIL : node;
}
