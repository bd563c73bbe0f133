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

enum { NAMES_MAX = 10000, PATTERNS_MAX = 4 };

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

void members_release(struct members *m)
{
    json_decref(m->index);
    free(m->items);
}

void schema_members(struct schema_compiler *c, const struct schema_set *flat, struct members *m)
{
    *m = (struct members){.index = json_object()};
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

// Adds the patternProperties of one schema that a name matches, or those whose bits are set in
// `which` (patterns numbered over the whole set, *at of them before). True if there is one.
static bool add_matching(struct schema_compiler *c, const json_t *schema, const char *name,
                         unsigned which, size_t *at, struct schema_set *out)
{
    const char *pattern;
    json_t *value;
    bool any = false;
    json_object_foreach((json_t *)json_object_get(schema, "patternProperties"), pattern, value)
    {
        bool matches = which >> *at & 1;
        ++*at;
        if (name && !c->failed) {
            const struct nfa *nfa = schema_pattern(c, schema, "patternProperties", pattern);
            matches = nfa && schema_matches(c, schema, nfa, slice_str(name));
        }
        if (matches)
            set_add(out, value, 0);
        any |= matches;
    }
    return any;
}

// False if no schema of the set's propertyNames forbids the name.
static bool is_forbidden(struct schema_compiler *c, const json_t *schema, const char *name)
{
    const json_t *names = json_object_get(schema, "propertyNames");
    struct schema_set one = {0};
    if (!names)
        return false;
    json_t *text = json_string(name);
    set_add(&one, names, 0);
    bool forbidden = !schema_accepts(c, &one, text);
    set_release(&one);
    json_decref(text);
    return forbidden;
}

void schema_member_set(struct schema_compiler *c, const struct schema_set *flat, const char *name,
                       struct schema_set *out)
{
    size_t at = 0;
    for (size_t i = 0; i < flat->n && !c->failed; i++) {
        const json_t *schema = flat->items[i].schema;
        const json_t *own = json_object_get(json_object_get(schema, "properties"), name);
        const json_t *others = others_of(c, schema);
        bool matches = add_matching(c, schema, name, 0, &at, out);
        if (own)
            set_add(out, own, 0);
        else if (others && !matches)
            set_add(out, others, 0);
        if (is_forbidden(c, schema, name))
            set_add(out, json_false(), 0);
    }
}

static uint32_t member_value(struct schema_compiler *c, const struct schema_set *flat,
                             const char *name, uint32_t next)
{
    struct schema_set set = {0};
    struct buf key = {0};
    schema_member_set(c, flat, name, &set);
    uint32_t rule = schema_rule_of(c, &set);
    set_release(&set);
    bool ok = schema_notation_of_name(c, flat->items[0].schema, name, &key);
    uint32_t node = !ok || c->failed ? NODE_ID_FAIL
                                     : node_text(c->p, buf_view(&key),
                                                 emit_colon(&c->json, node_call(c->p, rule, next)));
    buf_release(&key);
    return node;
}

// Other members

// What other members must satisfy that match the patterns of `which` and no others; false if there
// are none. Where nothing speaks of them they are left out, unless nothing speaks of members at
// all.
static bool find_others(struct schema_compiler *c, const struct schema_set *flat, unsigned which,
                        struct schema_set *out)
{
    bool told = which != 0, named = false;
    size_t at = 0;
    for (size_t i = 0; i < flat->n; i++) {
        const json_t *schema = flat->items[i].schema, *others = others_of(c, schema);
        named |= json_object_get(schema, "properties") != NULL;
        named |= json_object_get(schema, "patternProperties") != NULL;
        told |= others != NULL;
        if (add_matching(c, schema, NULL, which, &at, out))
            continue;
        if (others)
            set_add(out, others, 0);
        if (json_is_false(others))
            return false;
    }
    return told || !named;
}

static bool find_patterns(struct schema_compiler *c, const struct schema_set *flat,
                          struct schema_names *names)
{
    for (size_t i = 0; i < flat->n && !c->failed; i++) {
        const json_t *schema = flat->items[i].schema;
        const json_t *all = json_object_get(schema, "patternProperties");
        const char *pattern;
        json_t *value;
        if (all && !json_is_object(all))
            schema_fail(c, schema, "patternProperties", "is not an object");
        json_object_foreach((json_t *)all, pattern, value)
        {
            (void)value;
            if (c->failed)
                break;
            if (names->n_patterns == PATTERNS_MAX)
                schema_fail(c, schema, "patternProperties", "more than %d patterns", PATTERNS_MAX);
            else
                names->patterns[names->n_patterns++] =
                    schema_pattern(c, schema, "patternProperties", pattern);
        }
    }
    return !c->failed;
}

// A node of any other member, or FAIL if there is none.
static uint32_t other_member(struct schema_compiler *c, const struct schema_set *flat,
                             const struct members *m)
{
    struct schema_names names = {0};
    uint32_t any[1 << PATTERNS_MAX];
    size_t n = 0;
    const char **list = memory_array(const char *, m->n + 1);
    for (size_t i = 0; i < m->n; i++)
        list[i] = m->items[i].name;
    names.names = list;
    names.n_names = m->n;
    bool ok = find_patterns(c, flat, &names);
    for (unsigned which = 0; ok && !c->failed && which < 1u << names.n_patterns; which++) {
        struct schema_set others = {0};
        if (find_others(c, flat, which, &others)) {
            uint32_t rule = schema_other_names(c, flat, &names, which);
            uint32_t value = schema_rule_of(c, &others);
            if (!c->failed)
                any[n++] = node_call(c->p, rule,
                                     emit_colon(&c->json, node_call(c->p, value, NODE_ID_END)));
        }
        set_release(&others);
    }
    free(list);
    if (c->failed || !n)
        return NODE_ID_FAIL;
    struct slice quote = json_is_loose(&c->json) ? c->json.quote : slice_str("\"");
    return node_text(c->p, quote, node_split(c->p, any, n));
}

bool schema_member_counts(struct schema_compiler *c, const struct schema_set *flat,
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

// Adds the names that a schema of names lists; false if it lists none.
static bool add_listed(struct schema_compiler *c, const json_t *names, struct members *m)
{
    const json_t *list = json_object_get(names, "enum"), *one = json_object_get(names, "const");
    for (size_t k = 0; k < json_array_size(list); k++)
        if (json_is_string(json_array_get(list, k)))
            (void)member_of(m, json_string_value(json_array_get(list, k)));
    if (json_is_string(one))
        (void)member_of(m, json_string_value(one));
    if (m->n > NAMES_MAX)
        schema_fail(c, names, "enum", "more than %d names", NAMES_MAX);
    return list || one;
}

// Members named by a propertyNames that lists them are members like others, and the only ones.
static bool listed_names(struct schema_compiler *c, const struct schema_set *flat,
                         struct members *m)
{
    bool listed = false;
    for (size_t i = 0; i < flat->n && !c->failed; i++) {
        const json_t *names = json_object_get(flat->items[i].schema, "propertyNames");
        struct schema_set one = {0}, whole = {0};
        if (!names)
            continue;
        set_add(&one, names, 0);
        if (schema_flatten(c, &one, &whole))
            for (size_t k = 0; k < whole.n && !c->failed; k++)
                listed |= add_listed(c, whole.items[k].schema, m);
        set_release(&one);
        set_release(&whole);
    }
    return listed;
}

// What stands between the braces. other: a node of another member, or FAIL.
static uint32_t members_node(struct schema_compiler *c, const struct schema_set *flat,
                             const struct members *m, uint32_t other, uint32_t min, uint32_t max,
                             uint32_t next)
{
    struct program *p = c->p;
    uint32_t bare = node_byte(p, '}', '}', next), close = emit_space(&c->json, bare);
    // after: a comma or the end; here: a member follows; at_end: none need follow
    uint32_t after = close, here = NODE_ID_FAIL;
    if (other != NODE_ID_FAIL && max > 0) {
        uint32_t one = program_rule(p, "member"), again = program_rule(p, "members");
        program_set(p, one, other);
        program_set(p, again,
                    node_byte(p, ',', ',', emit_space(&c->json, node_call(p, one, NODE_ID_END))));
        after = node_repeat(p, again, 0, max == REPEAT_NO_MAX ? max : max - 1, close);
        here = node_call(p, one, after);
    }
    bool at_end = true;
    for (size_t i = m->n; i-- > 0 && !c->failed;) {
        uint32_t value = member_value(c, flat, m->items[i].name, after);
        here = m->items[i].required ? value : node_either(p, value, here);
        at_end &= !m->items[i].required;
        uint32_t comma = node_byte(p, ',', ',', emit_space(&c->json, here));
        after = at_end ? node_either(p, comma, close) : comma;
    }
    return at_end && min == 0 ? node_either(p, here, bare) : here;
}

uint32_t schema_object(struct schema_compiler *c, const struct schema_set *flat, uint32_t next)
{
    struct members m;
    uint32_t min = 0, max = REPEAT_NO_MAX, node = NODE_ID_FAIL, other = NODE_ID_FAIL;
    schema_members(c, flat, &m);
    if (!listed_names(c, flat, &m) && !c->failed)
        other = other_member(c, flat, &m);
    if (!c->failed && schema_member_counts(c, flat, &m, other != NODE_ID_FAIL, &min, &max)) {
        node = members_node(c, flat, &m, other, min, max, next);
        node = node_byte(c->p, '{', '{', emit_space(&c->json, node));
    }
    members_release(&m);
    return c->failed ? NODE_ID_FAIL : node;
}
