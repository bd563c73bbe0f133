// schema_value.c - whether a value that stands in a schema (enum, const) satisfies other keywords,
// and whether two schemas can be satisfied at once.
#include <math.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "local/sampling/grammar/schema_impl.h"

enum { DEPTH_MAX = 64 };

static unsigned type_of(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_NULL: return TYPE_NULL;
    case JSON_TRUE:
    case JSON_FALSE: return TYPE_BOOLEAN;
    case JSON_INTEGER: return TYPE_INTEGER;
    case JSON_REAL:
        return floor(json_real_value(v)) == json_real_value(v) ? TYPE_INTEGER : TYPE_FRACTION;
    case JSON_STRING: return TYPE_STRING;
    case JSON_ARRAY: return TYPE_ARRAY;
    case JSON_OBJECT: return TYPE_OBJECT;
    }
    return 0;
}

static bool accepts(struct schema_compiler *c, const json_t *schema, uint64_t done,
                    const json_t *value, int depth);

static bool number_fits(const json_t *schema, const json_t *value)
{
    double x = json_number_value(value), bound;
    if (json_get_f64(schema, "minimum", &bound) && x < bound)
        return false;
    if (json_get_f64(schema, "maximum", &bound) && x > bound)
        return false;
    if (json_get_f64(schema, "exclusiveMinimum", &bound) && x <= bound)
        return false;
    if (json_get_f64(schema, "exclusiveMaximum", &bound) && x >= bound)
        return false;
    return !json_get_f64(schema, "multipleOf", &bound) || fmod(x, bound) == 0;
}

static size_t characters(struct slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
    return n;
}

static bool count_fits(struct schema_compiler *c, const json_t *schema, const char *min_key,
                       const char *max_key, size_t n)
{
    uint32_t bound;
    if (schema_count(c, schema, min_key, &bound) && n < bound)
        return false;
    return !schema_count(c, schema, max_key, &bound) || n <= bound;
}

static bool array_fits(struct schema_compiler *c, const json_t *schema, const json_t *value,
                       int depth)
{
    const json_t *prefix = json_object_get(schema, "prefixItems");
    const json_t *items = json_object_get(schema, "items");
    size_t n = json_array_size(value);
    if (!count_fits(c, schema, "minItems", "maxItems", n))
        return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *own = i < json_array_size(prefix) ? json_array_get(prefix, i) : items;
        if (own && !accepts(c, own, 0, json_array_get(value, i), depth + 1))
            return false;
    }
    if (json_is_true(json_object_get(schema, "uniqueItems")))
        for (size_t i = 0; i < n; i++)
            for (size_t k = i + 1; k < n; k++)
                if (schema_equal(json_array_get(value, i), json_array_get(value, k)))
                    return false;
    return true;
}

static bool name_fits(struct schema_compiler *c, const json_t *schema, const char *name, int depth)
{
    const json_t *names = json_object_get(schema, "propertyNames");
    json_t *text = names ? json_string(name) : NULL;
    bool fits = !names || accepts(c, names, 0, text, depth + 1);
    json_decref(text);
    return fits;
}

static bool patterns_fit(struct schema_compiler *c, const json_t *schema, const char *name,
                         const json_t *member, int depth, bool *matches)
{
    const char *pattern;
    json_t *own;
    *matches = false;
    json_object_foreach((json_t *)json_object_get(schema, "patternProperties"), pattern, own)
    {
        const struct nfa *nfa = schema_pattern(c, schema, "patternProperties", pattern);
        if (!nfa || !schema_matches(c, schema, nfa, slice_str(name)))
            continue;
        *matches = true;
        if (!accepts(c, own, 0, member, depth + 1))
            return false;
    }
    return !c->failed;
}

static bool object_fits(struct schema_compiler *c, const json_t *schema, const json_t *value,
                        int depth)
{
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *others = json_object_get(schema, "additionalProperties");
    const json_t *required = json_object_get(schema, "required");
    others = others ? others : json_object_get(schema, "unevaluatedProperties");
    const char *key;
    json_t *member;
    if (!count_fits(c, schema, "minProperties", "maxProperties", json_object_size(value)))
        return false;
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));
        if (name && !json_object_get(value, name))
            return false;
    }
    json_object_foreach((json_t *)value, key, member)
    {
        const json_t *own = json_object_get(properties, key);
        bool matches;
        if (!name_fits(c, schema, key, depth) ||
            !patterns_fit(c, schema, key, member, depth, &matches))
            return false;
        own = own || matches ? own : others;
        if (own && !accepts(c, own, 0, member, depth + 1))
            return false;
    }
    return true;
}

static int n_accepting(struct schema_compiler *c, const json_t *list, const json_t *value,
                       int depth)
{
    int n = 0;
    for (size_t i = 0; i < json_array_size(list) && !c->failed; i++)
        n += accepts(c, json_array_get(list, i), 0, value, depth + 1);
    return n;
}

static bool values_fit(struct schema_compiler *c, const json_t *schema, const json_t *value)
{
    const json_t *list = json_object_get(schema, "enum"), *one = json_object_get(schema, "const");
    return (!list || schema_lists(c, schema, value)) && (!one || schema_equal(one, value));
}

static bool accepts(struct schema_compiler *c, const json_t *schema, uint64_t done,
                    const json_t *value, int depth)
{
    if (!json_is_object(schema))
        return json_is_true(schema);
    if (!schema_works(c, schema, "enum", 2))
        return false;
    if (depth > DEPTH_MAX) {
        schema_fail(c, schema, "enum", "values lie too deep in schemas");
        return false;
    }
    struct schema_item item = {schema, done};
    struct schema_set one = {.items = &item, .n = 1};
    if (c->failed || !(schema_types(c, &one) & type_of(value)) || !values_fit(c, schema, value))
        return false;
    if (json_is_number(value) && !number_fits(schema, value))
        return false;
    if (json_is_string(value) &&
        (!count_fits(c, schema, "minLength", "maxLength", characters(json_slice(value))) ||
         !schema_text_fits(c, schema, json_slice(value))))
        return false;
    if (json_is_array(value) && !array_fits(c, schema, value, depth))
        return false;
    if (json_is_object(value) && !object_fits(c, schema, value, depth))
        return false;
    const json_t *all = json_object_get(schema, "allOf"), *any = json_object_get(schema, "anyOf");
    const json_t *exactly = json_object_get(schema, "oneOf");
    if (n_accepting(c, all, value, depth) != (int)json_array_size(all))
        return false;
    if (any && !(done & DONE_ANY_OF) && n_accepting(c, any, value, depth) == 0)
        return false;
    if (exactly && !(done & DONE_ONE_OF) && n_accepting(c, exactly, value, depth) != 1)
        return false;
    if (json_object_get(schema, "$ref")) {
        const json_t *target = schema_resolve(c, schema);
        return target && accepts(c, target, 0, value, depth + 1);
    }
    return true;
}

bool schema_accepts(struct schema_compiler *c, const struct schema_set *s, const json_t *value)
{
    for (size_t i = 0; i < s->n; i++)
        if (!accepts(c, s->items[i].schema, s->items[i].done, value, 0))
            return false;
    return !c->failed;
}

// Disjoint schemas

static bool disjoint(struct schema_compiler *c, const json_t *a, const json_t *b, int depth);

static const json_t *list_of_values(const json_t *schema, json_t **made)
{
    json_t *value = json_object_get(schema, "const");
    *made = value ? json_pack("[O]", value) : NULL;
    return value ? *made : json_object_get(schema, "enum");
}

// All values that one of the flat sets lists are refused by the other.
static bool values_apart(struct schema_compiler *c, const struct schema_set *a,
                         const struct schema_set *b)
{
    for (size_t i = 0; i < a->n; i++) {
        json_t *made;
        const json_t *list = list_of_values(a->items[i].schema, &made);
        bool apart = list != NULL;
        for (size_t k = 0; apart && k < json_array_size(list); k++)
            apart = !schema_accepts(c, b, json_array_get(list, k)) ||
                    !schema_accepts(c, a, json_array_get(list, k));
        json_decref(made);
        if (apart)
            return true;
    }
    return false;
}

static bool requires(const struct schema_set *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++) {
        const json_t *list = json_object_get(s->items[i].schema, "required");
        for (size_t k = 0; k < json_array_size(list); k++) {
            const char *one = json_string_value(json_array_get(list, k));
            if (one && strcmp(one, name) == 0)
                return true;
        }
    }
    return false;
}

static bool forbids(const struct schema_set *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++) {
        const json_t *schema = s->items[i].schema;
        const json_t *own = json_object_get(json_object_get(schema, "properties"), name);
        const json_t *others = json_object_get(schema, "additionalProperties");
        if (json_is_false(own) || (!own && json_is_false(others)))
            return true;
    }
    return false;
}

static const json_t *property(const struct schema_set *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++) {
        const json_t *own =
            json_object_get(json_object_get(s->items[i].schema, "properties"), name);
        if (own)
            return own;
    }
    return NULL;
}

// Both are objects only: a member that one must have keeps them apart.
static bool members_apart(struct schema_compiler *c, const struct schema_set *a,
                          const struct schema_set *b, int depth)
{
    for (size_t i = 0; i < a->n; i++) {
        const json_t *list = json_object_get(a->items[i].schema, "required");
        for (size_t k = 0; k < json_array_size(list); k++) {
            const char *name = json_string_value(json_array_get(list, k));
            if (!name)
                continue;
            if (forbids(b, name))
                return true;
            const json_t *in_a = property(a, name), *in_b = property(b, name);
            if (in_a && in_b && requires(b, name) && disjoint(c, in_a, in_b, depth + 1))
                return true;
        }
    }
    return false;
}

static bool disjoint(struct schema_compiler *c, const json_t *a, const json_t *b, int depth)
{
    struct schema_set one = {0}, two = {0}, flat_a = {0}, flat_b = {0};
    set_add(&one, a, 0);
    set_add(&two, b, 0);
    bool apart = depth <= DEPTH_MAX;
    if (apart && schema_flatten(c, &one, &flat_a) && schema_flatten(c, &two, &flat_b)) {
        unsigned types = schema_types(c, &flat_a) & schema_types(c, &flat_b);
        apart = types == 0 || values_apart(c, &flat_a, &flat_b) ||
                values_apart(c, &flat_b, &flat_a) ||
                (types == TYPE_OBJECT && (members_apart(c, &flat_a, &flat_b, depth) ||
                                          members_apart(c, &flat_b, &flat_a, depth)));
    }
    set_release(&one);
    set_release(&two);
    set_release(&flat_a);
    set_release(&flat_b);
    return apart && !c->failed;
}

bool schema_disjoint(struct schema_compiler *c, const json_t *a, const json_t *b)
{
    return disjoint(c, a, b, 0);
}
