// schema_array.c - arrays: prefixItems one by one, then items, counted.
#include <stdlib.h>

#include "local/sampling/grammar/schema_impl.h"

// The schemas that item i must satisfy; those beyond all prefixes are one for all.
static void item_set(const struct schema_set *flat, size_t i, struct schema_set *out)
{
    for (size_t k = 0; k < flat->n; k++) {
        const json_t *schema = flat->items[k].schema;
        const json_t *prefix = json_object_get(schema, "prefixItems");
        const json_t *items = json_object_get(schema, "items");
        if (i < json_array_size(prefix))
            set_add(out, json_array_get(prefix, i), 0);
        else if (items)
            set_add(out, items, 0);
    }
}

static uint32_t item(struct schema_compiler *c, const struct schema_set *flat, size_t i,
                     uint32_t next)
{
    struct schema_set set = {0};
    item_set(flat, i, &set);
    uint32_t rule = schema_rule_of(c, &set);
    set_release(&set);
    return c->failed ? NODE_ID_FAIL : node_call(c->p, rule, next);
}

static size_t check(struct schema_compiler *c, const struct schema_set *flat, uint32_t max)
{
    size_t n_prefix = 0;
    for (size_t k = 0; k < flat->n; k++) {
        const json_t *schema = flat->items[k].schema;
        const json_t *prefix = json_object_get(schema, "prefixItems");
        const json_t *unique = json_object_get(schema, "uniqueItems");
        if (prefix && !json_is_array(prefix))
            schema_fail(c, schema, "prefixItems", "is not a list of schemas");
        if (json_is_array(json_object_get(schema, "items")))
            schema_fail(c, schema, "items", "a list is an old form of prefixItems");
        if (unique && !json_is_false(unique) && max > 1)
            schema_fail(c, schema, "uniqueItems", "cannot be compiled");
        if (json_array_size(prefix) > n_prefix)
            n_prefix = json_array_size(prefix);
    }
    return n_prefix;
}

static uint32_t less(uint32_t n, size_t by)
{
    return n == REPEAT_NO_MAX ? n : n > by ? n - (uint32_t)by : 0;
}

uint32_t schema_array(struct schema_compiler *c, const struct schema_set *flat, uint32_t next)
{
    uint32_t min, max;
    schema_bounds(c, flat, "minItems", "maxItems", &min, &max);
    size_t n_prefix = check(c, flat, max);
    if (c->failed || min > max)
        return NODE_ID_FAIL;
    struct program *p = c->p;
    uint32_t bare = node_byte(p, ']', ']', next), close = emit_space(&c->json, bare);
    // After the prefix (or a first item): commas and items.
    size_t n_single = n_prefix ? n_prefix : 1;
    uint32_t more = program_rule(p, "items");
    program_set(p, more,
                node_byte(p, ',', ',', emit_space(&c->json, item(c, flat, n_prefix, NODE_ID_END))));
    uint32_t after = node_repeat(p, more, less(min, n_single), less(max, n_single), close);
    for (size_t i = n_single; i-- > 0 && !c->failed;) {
        uint32_t one = i < max ? item(c, flat, i, after) : NODE_ID_FAIL;
        uint32_t end = i >= min ? (i ? close : bare) : NODE_ID_FAIL;
        if (i > 0)
            one = node_byte(p, ',', ',', emit_space(&c->json, one));
        after = node_either(p, one, end);
    }
    return node_byte(p, '[', '[', emit_space(&c->json, after));
}
