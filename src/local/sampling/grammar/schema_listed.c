// schema_listed.c - whether a value is among those of an `enum`, by hash: lists may be long, and
// each of their values may be looked for in several of them.
//
// All lists of a schema share one table. Hashes only find candidates; schema_equal decides.
#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"
#include "local/sampling/grammar/schema_impl.h"

bool schema_equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) {
        if (json_is_integer(a) && json_is_integer(b))
            return json_integer_value(a) == json_integer_value(b);
        return json_number_value(a) == json_number_value(b);
    }
    if (json_typeof(a) != json_typeof(b))
        return false;
    if (json_is_array(a)) {
        bool equal = json_array_size(a) == json_array_size(b);
        for (size_t i = 0; equal && i < json_array_size(a); i++)
            equal = schema_equal(json_array_get(a, i), json_array_get(b, i));
        return equal;
    }
    if (json_is_object(a)) {
        const char *key;
        json_t *value;
        bool equal = json_object_size(a) == json_object_size(b);
        json_object_foreach((json_t *)a, key, value)
        {
            const json_t *other = json_object_get(b, key);
            equal = equal && other && schema_equal(value, other);
        }
        return equal;
    }
    return json_equal(a, b);
}

// The same for what is equal: numbers by their doubles, members in any order. *n counts values.
static uint64_t value_hash(const json_t *v, size_t *n)
{
    const char *key;
    json_t *member;
    uint64_t hash = (uint64_t)json_typeof(v) + 1;
    double number = json_number_value(v);
    ++*n;
    if (json_is_number(v)) {
        number = number == 0 ? 0 : number;  // -0 is 0
        return hash_bytes(&number, sizeof number, 7);
    }
    if (json_is_string(v))
        return hash_bytes(json_string_value(v), json_string_length(v), 8);
    for (size_t i = 0; i < json_array_size(v); i++)
        hash = hash_mix(hash ^ value_hash(json_array_get(v, i), n));
    json_object_foreach((json_t *)v, key, member) hash +=
        hash_mix(hash_bytes(key, strlen(key), 9) ^ value_hash(member, n));
    return hash;
}

static uint64_t slot_hash(const json_t *list, uint64_t hash)
{
    return hash_mix((uint64_t)(uintptr_t)list ^ hash);
}

static void put(struct schema_listed *t, struct schema_listed_value v)
{
    size_t at = v.hash & (t->n_slots - 1);
    while (t->slots[at].list)
        at = (at + 1) & (t->n_slots - 1);
    t->slots[at] = v;
}

static void add(struct schema_listed *t, struct schema_listed_value v)
{
    if (++t->n * 2 > t->n_slots) {
        struct schema_listed old = *t;
        t->n_slots = old.n_slots ? old.n_slots * 2 : 64;
        t->slots = memory_array(struct schema_listed_value, t->n_slots);
        for (size_t i = 0; i < old.n_slots; i++)
            if (old.slots[i].list)
                put(t, old.slots[i]);
        free(old.slots);
    }
    put(t, v);
}

// Whether the schema's list has a value equal to `value`; NULL as a value is the list itself.
static bool find(struct schema_compiler *c, const json_t *schema, const json_t *value,
                 uint64_t hash)
{
    const struct schema_listed *t = &c->listed;
    const json_t *list = json_object_get(schema, "enum");
    for (size_t at = hash & (t->n_slots - 1); t->n_slots && t->slots[at].list;
         at = (at + 1) & (t->n_slots - 1)) {
        const struct schema_listed_value *v = &t->slots[at];
        if (!schema_works(c, schema, "enum", 1))
            return false;
        if (v->hash == hash && v->list == list && !v->value == !value &&
            (!value || schema_equal(v->value, value)))
            return true;
    }
    return false;
}

bool schema_lists(struct schema_compiler *c, const json_t *schema, const json_t *value)
{
    const json_t *list = json_object_get(schema, "enum");
    size_t n = 0;
    uint64_t of_list = slot_hash(list, 0);
    if (!find(c, schema, NULL, of_list)) {
        for (size_t i = 0; i < json_array_size(list) && !c->failed; i++) {
            const json_t *one = json_array_get(list, i);
            uint64_t hash = slot_hash(list, value_hash(one, &n));
            if (!find(c, schema, one, hash))
                add(&c->listed, (struct schema_listed_value){list, one, hash});
        }
        add(&c->listed, (struct schema_listed_value){list, NULL, of_list});
    }
    uint64_t hash = slot_hash(list, value_hash(value, &n));
    return schema_works(c, schema, "enum", n) && find(c, schema, value, hash);
}
