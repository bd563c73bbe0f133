#include "local/sampling/grammar/schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "local/sampling/grammar/schema_impl.h"

enum { SCHEMA_RULES_MAX = 20000, FLAT_MAX = 1000, WORK_MAX = 2000000 };

// Failures

// Appends the JSON pointer of `sought` below `at`; false if it is not there.
static bool find_path(const json_t *at, const json_t *sought, struct buf *path)
{
    if (at == sought)
        return true;
    size_t before = path->len;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)at, key, value)
    {
        buf_printf(path, "/%s", key);
        if (find_path(value, sought, path))
            return true;
        path->len = before;
    }
    for (size_t i = 0; i < json_array_size(at); i++) {
        buf_printf(path, "/%zu", i);
        if (find_path(json_array_get(at, i), sought, path))
            return true;
        path->len = before;
    }
    return false;
}

static void set_failure(struct schema_compiler *c, const json_t *at, const char *keyword,
                        const char *why, enum error_code code)
{
    struct buf path = {.max_bytes = 1 << 20};
    buf_char(&path, '#');
    (void)find_path(c->root, at, &path);
    const char *shown = buf_text(&path);
    (void)error_set(c->err, code, "schema: \"%s\" at %s%s: %s", keyword, path.len > 90 ? "..." : "",
                    path.len > 90 ? shown + path.len - 90 : shown, why);
    c->failed = true;
    buf_release(&path);
}

uint32_t schema_fail(struct schema_compiler *c, const json_t *at, const char *keyword,
                     const char *format, ...)
{
    if (c->failed)
        return NODE_ID_FAIL;
    char why[128];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, sizeof why, format, args);
    va_end(args);
    set_failure(c, at, keyword, why, ERR_UNSUPPORTED);
    return NODE_ID_FAIL;
}

bool schema_works(struct schema_compiler *c, const json_t *at, const char *keyword, size_t n)
{
    c->p->work += n;
    if (c->p->work > WORK_MAX && !c->failed)
        set_failure(c, at, keyword, "the schema takes too long to compile", ERR_LIMIT);
    return !c->failed;
}

// Sets

void set_add(struct schema_set *s, const json_t *schema, uint64_t done)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->items[i].schema == schema && s->items[i].done == done)
            return;
    memory_grow(s->items, s->capacity, s->n + 1);
    s->items[s->n++] = (struct schema_item){schema, done};
}

void set_release(struct schema_set *s)
{
    free(s->items);
    *s = (struct schema_set){0};
}

static uint64_t set_hash(const struct schema_set *s)
{
    return hash_bytes(s->items, s->n * sizeof *s->items, 3);
}

static void put_rule(struct schema_compiler *c, uint32_t index)
{
    size_t at = set_hash(&c->rules[index].set) & (c->n_slots - 1);
    while (c->slots[at])
        at = (at + 1) & (c->n_slots - 1);
    c->slots[at] = index + 1;
}

static void grow_slots(struct schema_compiler *c)
{
    if (c->n_rules * 2 < c->n_slots)
        return;
    free(c->slots);
    c->n_slots = c->n_slots ? c->n_slots * 2 : 64;
    c->slots = memory_array(uint32_t, c->n_slots);
    for (uint32_t i = 0; i < c->n_rules; i++)
        put_rule(c, i);
}

uint32_t schema_rule_of(struct schema_compiler *c, const struct schema_set *s)
{
    grow_slots(c);
    size_t at = set_hash(s) & (c->n_slots - 1);
    for (; c->slots[at]; at = (at + 1) & (c->n_slots - 1)) {
        const struct schema_rule *r = &c->rules[c->slots[at] - 1];
        if (r->set.n == s->n &&
            (s->n == 0 || memcmp(r->set.items, s->items, s->n * sizeof *s->items) == 0))
            return r->rule;
    }
    if (c->n_rules >= SCHEMA_RULES_MAX || c->p->overflow) {
        if (!c->failed)
            (void)error_set(c->err, ERR_LIMIT, "schema: too large (more than %d parts)",
                            SCHEMA_RULES_MAX);
        c->failed = true;
        return 0;
    }
    memory_grow(c->rules, c->rules_capacity, c->n_rules + 1);
    struct schema_rule *r = &c->rules[c->n_rules];
    *r = (struct schema_rule){.rule = program_rule(c->p, "the schema")};
    memory_grow(r->set.items, r->set.capacity, s->n);
    if (s->n)
        memcpy(r->set.items, s->items, s->n * sizeof *s->items);
    r->set.n = s->n;
    put_rule(c, (uint32_t)c->n_rules++);
    return c->rules[c->n_rules - 1].rule;
}

// Keywords

static bool listed(const char *const *names, const char *name)
{
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static bool check_keywords(struct schema_compiler *c, const json_t *schema)
{
    static const char *const known[] = {"type",
                                        "enum",
                                        "const",
                                        "properties",
                                        "required",
                                        "additionalProperties",
                                        "patternProperties",
                                        "propertyNames",
                                        "minProperties",
                                        "maxProperties",
                                        "items",
                                        "prefixItems",
                                        "minItems",
                                        "maxItems",
                                        "uniqueItems",
                                        "minLength",
                                        "maxLength",
                                        "pattern",
                                        "format",
                                        "minimum",
                                        "maximum",
                                        "exclusiveMinimum",
                                        "exclusiveMaximum",
                                        "multipleOf",
                                        "anyOf",
                                        "oneOf",
                                        "allOf",
                                        "$ref",
                                        "$defs",
                                        "definitions",
                                        "title",
                                        "description",
                                        "default",
                                        "example",
                                        "examples",
                                        "$comment",
                                        "$schema",
                                        "$id",
                                        "$anchor",
                                        "deprecated",
                                        "readOnly",
                                        "writeOnly",
                                        "discriminator",
                                        "contentEncoding",
                                        "contentMediaType",
                                        "contentSchema",
                                        "unevaluatedProperties",
                                        NULL};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)schema, key, value)
    {
        (void)value;
        if (!listed(known, key) && strncmp(key, "x-", 2) != 0) {
            schema_fail(c, schema, key, "this keyword cannot be compiled");
            return false;
        }
    }
    return true;
}

// $ref

static const json_t *find_anchor(struct schema_compiler *c, const json_t *at, const char *name,
                                 int depth)
{
    const char *key;
    json_t *value;
    const json_t *found = NULL;
    const char *anchor = json_get_text(at, "$anchor");
    if (anchor && strcmp(anchor, name) == 0)
        return at;
    if (depth > 200 || !schema_works(c, at, "$anchor", 1))
        return NULL;
    json_object_foreach((json_t *)at, key, value)
    {
        if (!found)
            found = find_anchor(c, value, name, depth + 1);
    }
    for (size_t i = 0; !found && i < json_array_size(at); i++)
        found = find_anchor(c, json_array_get(at, i), name, depth + 1);
    return found;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// One part of a JSON pointer in a fragment: %25, ~0 and ~1 undone.
static char *pointer_part(struct arena *a, const char *p, size_t len)
{
    char *out = arena_text(a, slice_of(p, len));
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char ch = p[i];
        if (ch == '%' && i + 2 < len && hex_value(p[i + 1]) >= 0 && hex_value(p[i + 2]) >= 0) {
            ch = (char)(hex_value(p[i + 1]) * 16 + hex_value(p[i + 2]));
            i += 2;
        }
        bool tilde = n > 0 && out[n - 1] == '~' && (ch == '0' || ch == '1');
        if (tilde)
            out[n - 1] = ch == '0' ? '~' : '/';
        else
            out[n++] = ch;
    }
    out[n] = 0;
    return out;
}

static const json_t *follow_pointer(struct schema_compiler *c, const char *p)
{
    const json_t *at = c->root;
    while (at && *p == '/') {
        size_t len = strcspn(p + 1, "/");
        const char *part = pointer_part(&c->arena, p + 1, len);
        if (json_is_array(at)) {
            char *end;
            unsigned long i = strtoul(part, &end, 10);
            at = *part && !*end ? json_array_get(at, i) : NULL;
        } else {
            at = json_object_get(at, part);
        }
        p += len + 1;
    }
    return at && !*p ? at : NULL;
}

const json_t *schema_resolve(struct schema_compiler *c, const json_t *at)
{
    const char *ref = json_get_text(at, "$ref");
    const json_t *found = NULL;
    if (!ref || *ref != '#') {
        schema_fail(c, at, "$ref", "only references within the schema (\"#...\") can be followed");
        return NULL;
    }
    if (!ref[1] || ref[1] == '/')
        found = follow_pointer(c, ref + 1);
    else
        found = find_anchor(c, c->root, ref + 1, 0);
    if (!found)
        schema_fail(c, at, "$ref", "'%.60s' is not there", ref);
    return found;
}

// What a set says of itself

// Adds what an object's $ref and allOf add.
static void add_parts(struct schema_compiler *c, const json_t *schema, struct schema_set *to)
{
    const json_t *all = json_object_get(schema, "allOf");
    if (json_object_get(schema, "$ref")) {
        const json_t *target = schema_resolve(c, schema);
        if (target)
            set_add(to, target, 0);
    }
    if (all && (!json_is_array(all) || json_array_size(all) == 0))
        schema_fail(c, schema, "allOf", "is not a list of schemas");
    for (size_t i = 0; i < json_array_size(all); i++)
        set_add(to, json_array_get(all, i), 0);
}

bool schema_flatten(struct schema_compiler *c, const struct schema_set *s, struct schema_set *flat)
{
    struct schema_set queue = {0};
    bool possible = true;
    for (size_t i = 0; i < s->n; i++)
        set_add(&queue, s->items[i].schema, s->items[i].done);
    for (size_t i = 0; i < queue.n && possible && !c->failed; i++) {
        struct schema_item item = queue.items[i];
        // What is already in a set is looked for one by one.
        if (!schema_works(c, item.schema, "allOf",
                          1 + queue.n / 16 + json_object_size(item.schema)))
            break;
        if (json_is_true(item.schema))
            continue;
        if (json_is_false(item.schema)) {
            possible = false;
        } else if (!json_is_object(item.schema)) {
            set_failure(c, item.schema, "schema", "is neither an object nor true or false",
                        ERR_FORMAT);
        } else if (queue.n > FLAT_MAX) {
            schema_fail(c, item.schema, "allOf", "more than %d schemas at once", FLAT_MAX);
        } else if (check_keywords(c, item.schema)) {
            set_add(flat, item.schema, item.done | DONE_PARTS);
            if (!(item.done & DONE_PARTS))
                add_parts(c, item.schema, &queue);
        }
    }
    set_release(&queue);
    return possible && !c->failed;
}

static unsigned type_named(struct schema_compiler *c, const json_t *schema, const json_t *name)
{
    static const struct {
        const char *name;
        unsigned bits;
    } types[] = {{"null", TYPE_NULL},       {"boolean", TYPE_BOOLEAN},
                 {"integer", TYPE_INTEGER}, {"number", TYPE_INTEGER | TYPE_FRACTION},
                 {"string", TYPE_STRING},   {"array", TYPE_ARRAY},
                 {"object", TYPE_OBJECT}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (json_is_string(name) && strcmp(json_string_value(name), types[i].name) == 0)
            return types[i].bits;
    schema_fail(c, schema, "type", "is no type of JSON");
    return 0;
}

unsigned schema_types(struct schema_compiler *c, const struct schema_set *flat)
{
    unsigned all = TYPE_ALL;
    for (size_t i = 0; i < flat->n; i++) {
        const json_t *schema = flat->items[i].schema, *type = json_object_get(schema, "type");
        unsigned own = type ? 0 : TYPE_ALL;
        if (type && !json_is_array(type))
            own = type_named(c, schema, type);
        for (size_t k = 0; k < json_array_size(type); k++)
            own |= type_named(c, schema, json_array_get(type, k));
        all &= own;
    }
    return all;
}

bool schema_count(struct schema_compiler *c, const json_t *schema, const char *keyword,
                  uint32_t *value)
{
    const json_t *v = json_object_get(schema, keyword);
    int64_t n;
    if (!v)
        return false;
    if (!json_get_i64(schema, keyword, &n) || n < 0) {
        schema_fail(c, schema, keyword, "is no count");
        return false;
    }
    if (n > REPEAT_MAX) {
        schema_fail(c, schema, keyword, "is more than %d", REPEAT_MAX);
        return false;
    }
    *value = (uint32_t)n;
    return true;
}

void schema_bounds(struct schema_compiler *c, const struct schema_set *flat, const char *min_key,
                   const char *max_key, uint32_t *min, uint32_t *max)
{
    *min = 0;
    *max = REPEAT_NO_MAX;
    for (size_t i = 0; i < flat->n; i++) {
        uint32_t value;
        if (schema_count(c, flat->items[i].schema, min_key, &value) && value > *min)
            *min = value;
        if (schema_count(c, flat->items[i].schema, max_key, &value) && value < *max)
            *max = value;
    }
}

// Rules

// Another rule for the flat set with one branch taken; its branches then are dealt with. A branch
// that comes back to the rule itself adds no value.
static uint32_t with_branch(struct schema_compiler *c, const struct schema_set *flat, size_t item,
                            uint64_t done, const json_t *branch)
{
    uint32_t own = c->rules[c->n_compiled - 1].rule;
    struct schema_set set = {0};
    if (!schema_works(c, branch, "anyOf", flat->n * (1 + flat->n / 16)))
        return NODE_ID_FAIL;
    for (size_t i = 0; i < flat->n; i++)
        set_add(&set, flat->items[i].schema, flat->items[i].done | (i == item ? done : 0));
    set_add(&set, branch, 0);
    uint32_t rule = schema_rule_of(c, &set);
    set_release(&set);
    return c->failed || rule == own ? NODE_ID_FAIL : node_call(c->p, rule, NODE_ID_END);
}

static bool check_one_of(struct schema_compiler *c, const json_t *schema, const json_t *list)
{
    size_t n = json_array_size(list);
    if (n > 200) {
        schema_fail(c, schema, "oneOf", "has more than 200 branches");
        return false;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++)
            if (!schema_disjoint(c, json_array_get(list, i), json_array_get(list, k))) {
                schema_fail(c, schema, "oneOf",
                            "branches %zu and %zu may both hold, and it cannot be compiled so "
                            "that only one does (anyOf can)",
                            i, k);
                return false;
            }
    return true;
}

// True if the set has branches to choose from: *node then is the choice.
static bool branches(struct schema_compiler *c, const struct schema_set *flat, uint32_t *node)
{
    for (size_t i = 0; i < flat->n; i++) {
        const struct schema_item *item = &flat->items[i];
        const json_t *any = json_object_get(item->schema, "anyOf");
        const json_t *one = json_object_get(item->schema, "oneOf");
        bool is_any = any && !(item->done & DONE_ANY_OF);
        bool is_one = one && !(item->done & DONE_ONE_OF);
        const json_t *list = is_any ? any : one;
        if (!is_any && !is_one)
            continue;
        size_t n = json_array_size(list);
        *node = NODE_ID_FAIL;
        if (n == 0)
            schema_fail(c, item->schema, is_any ? "anyOf" : "oneOf", "is not a list of schemas");
        if (!n || (!is_any && !check_one_of(c, item->schema, list)))
            return true;
        uint32_t *targets = memory_array(uint32_t, n);
        for (size_t k = 0; k < n; k++)
            targets[k] = with_branch(c, flat, i, is_any ? DONE_ANY_OF : DONE_ONE_OF,
                                     json_array_get(list, k));
        *node = node_split(c->p, targets, n);
        free(targets);
        return true;
    }
    return false;
}

// The first list of values in the set, as enum or const; NULL if there is none.
static json_t *values_of(struct schema_compiler *c, const struct schema_set *flat)
{
    for (size_t i = 0; i < flat->n; i++) {
        const json_t *schema = flat->items[i].schema, *list = json_object_get(schema, "enum");
        json_t *value = json_object_get(schema, "const");
        if (value)
            return json_pack("[O]", value);
        if (list && !json_is_array(list))
            schema_fail(c, schema, "enum", "is not a list");
        else if (list)
            return json_incref((json_t *)list);
    }
    return NULL;
}

static uint32_t value_texts(struct schema_compiler *c, const struct schema_set *flat,
                            const json_t *values)
{
    struct slice *texts = memory_array(struct slice, json_array_size(values) + 1);
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(values) && !c->failed; i++) {
        const json_t *value = json_array_get(values, i);
        if (!schema_accepts(c, flat, value))
            continue;
        struct buf text = {0};
        if (schema_notation_of(c, flat->items[0].schema, value, set_is_bare(flat), &text))
            texts[n++] = slice_of(arena_text(&c->arena, buf_view(&text)), text.len);
        buf_release(&text);
    }
    uint32_t node = node_texts(c->p, texts, n, NODE_ID_END);
    free(texts);
    return node;
}

static uint32_t value_of_types(struct schema_compiler *c, const struct schema_set *flat)
{
    unsigned types = schema_types(c, flat);
    uint32_t any[8];
    size_t n = 0;
    if (types & TYPE_OBJECT)
        any[n++] = schema_object(c, flat, NODE_ID_END);
    if (types & TYPE_ARRAY)
        any[n++] = schema_array(c, flat, NODE_ID_END);
    if (types & TYPE_STRING)
        any[n++] = schema_string(c, flat, NODE_ID_END);
    if (types & (TYPE_INTEGER | TYPE_FRACTION))
        any[n++] = schema_number(c, flat, !(types & TYPE_FRACTION), NODE_ID_END);
    if (types & TYPE_BOOLEAN) {
        any[n++] = node_text(c->p, slice_str("true"), NODE_ID_END);
        any[n++] = node_text(c->p, slice_str("false"), NODE_ID_END);
    }
    if (types & TYPE_NULL)
        any[n++] = node_text(c->p, slice_str("null"), NODE_ID_END);
    return node_split(c->p, any, n);
}

static uint32_t compile_set(struct schema_compiler *c, const struct schema_set *set)
{
    struct schema_set flat = {0};
    uint32_t node = NODE_ID_FAIL;
    if (schema_flatten(c, set, &flat) && !branches(c, &flat, &node) && !c->failed) {
        json_t *values = values_of(c, &flat);
        if (values)
            node = value_texts(c, &flat, values);
        else if (flat.n == 0)
            node = emit_value(&c->json, NODE_ID_END);
        else
            node = value_of_types(c, &flat);
        json_decref(values);
    }
    set_release(&flat);
    return node;
}

static void compiler_release(struct schema_compiler *c)
{
    for (size_t i = 0; i < c->n_rules; i++)
        set_release(&c->rules[i].set);
    for (size_t i = 0; i < c->n_texts; i++)
        nfa_free(c->texts[i].nfa);
    free(c->texts);
    free(c->listed.slots);
    free(c->rules);
    free(c->slots);
    arena_release(&c->arena);
}

// Rules that a rule needs come after it in the list: nothing recurses however deep schemas are.
static bool compile_rules(struct schema_compiler *c)
{
    while (c->n_compiled < c->n_rules && !c->failed && !c->p->overflow) {
        struct schema_rule r = c->rules[c->n_compiled++];
        program_set(c->p, r.rule, compile_set(c, &r.set));
    }
    return !c->failed;
}

bool schema_add(struct json_text *json, const json_t *schema, const struct schema_tags *tags,
                uint32_t *rule, struct error *err)
{
    struct schema_compiler c = {.root = schema, .err = err, .p = json->p, .json = *json};
    struct schema_set set = {0};
    set_add(&set, schema, 0);
    if (tags) {
        *rule = program_rule(c.p, "the arguments");
        uint32_t node = schema_tagged(&c, &set, tags);
        program_set(c.p, *rule, node);
    } else {
        *rule = schema_rule_of(&c, &set);
    }
    set_release(&set);
    bool ok = compile_rules(&c);
    *json = c.json;  // with the parts that it made, for the next
    compiler_release(&c);
    return ok;
}

// Why no value satisfies the schema, where one keyword says so: the first such that is found. Depth
// is bounded by the reader of JSON.
static void name_impossible(struct schema_compiler *c, const json_t *at)
{
    static const char *const bounds[][2] = {{"minimum", "maximum"},
                                            {"minLength", "maxLength"},
                                            {"minItems", "maxItems"},
                                            {"minProperties", "maxProperties"}};
    const json_t *list = json_object_get(at, "enum");
    const char *key;
    json_t *value;
    if (json_is_array(list) && json_array_size(list) == 0)
        schema_fail(c, at, "enum", "an empty list allows no value");
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        double least, most;
        if (json_get_f64(at, bounds[i][0], &least) && json_get_f64(at, bounds[i][1], &most) &&
            least > most)
            schema_fail(c, at, bounds[i][0], "is above \"%s\": no value fits", bounds[i][1]);
    }
    json_object_foreach((json_t *)at, key, value)
    {
        if (!c->failed)
            name_impossible(c, value);
    }
    for (size_t i = 0; !c->failed && i < json_array_size(at); i++)
        name_impossible(c, json_array_get(at, i));
}

struct program *schema_compile(const json_t *schema, struct error *err)
{
    struct json_text json = {.p = program_new()};
    uint32_t root;
    bool ok = schema_add(&json, schema, NULL, &root, err);
    if (ok && program_finish(json.p, root, err))
        return json.p;
    if (ok)
        (void)error_wrap(err, "schema");
    if (ok && err->code == ERR_UNSUPPORTED) {
        struct schema_compiler c = {.root = schema, .err = err, .p = json.p};
        name_impossible(&c, schema);
    }
    program_free(json.p);
    return NULL;
}
