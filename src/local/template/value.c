#include "local/template/value.h"

#include <math.h>

#include "base/hash.h"
#include "local/template/builtins.h"
#include "local/template/run.h"
#include "local/template/text.h"

#define INDEX_FROM 8  // dicts up to this size are searched in order

static void *grow(struct run *r, void *old, size_t n, size_t *capacity, size_t size)
{
    size_t more = *capacity < 4 ? 4 : *capacity * 2;
    void *fresh = run_alloc(r, more, size);
    if (n)
        memcpy(fresh, old, n * size);
    *capacity = more;
    return fresh;
}

struct list *list_new(struct run *r, size_t capacity)
{
    struct list *l = run_new(r, struct list, 1);
    if (capacity)
        l->items = run_new(r, struct value, capacity);
    l->capacity = capacity;
    return l;
}

void list_add(struct run *r, struct list *l, struct value v)
{
    if (l->n == l->capacity)
        l->items = grow(r, l->items, l->n, &l->capacity, sizeof *l->items);
    l->items[l->n++] = v;
}

struct value value_pair(struct run *r, struct value a, struct value b)
{
    struct list *l = list_new(r, 2);
    list_add(r, l, a);
    list_add(r, l, b);
    return value_tuple(l);
}

struct dict *dict_new(struct run *r)
{
    return run_new(r, struct dict, 1);
}

static void index_put(struct dict *d, uint64_t hash, uint32_t entry)
{
    size_t i = hash & (d->index_size - 1);
    while (d->index[i])
        i = (i + 1) & (d->index_size - 1);
    d->index[i] = entry + 1;
}

static void index_build(struct run *r, struct dict *d)
{
    size_t size = 32;
    while (size < 4 * d->n)
        size *= 2;
    d->index = run_new(r, uint32_t, size);
    d->index_size = size;
    for (size_t i = 0; i < d->n; i++)
        index_put(d, value_hash(r, d->entries[i].key), (uint32_t)i);
}

static struct entry *dict_find(struct run *r, const struct dict *d, struct value key)
{
    uint64_t hash = value_hash(r, key);  // also says whether it can be a key at all
    if (!d->index) {
        for (size_t i = 0; i < d->n; i++)
            if (value_equal(r, d->entries[i].key, key))
                return d->entries + i;
        return NULL;
    }
    for (size_t i = hash & (d->index_size - 1); d->index[i]; i = (i + 1) & (d->index_size - 1)) {
        run_charge(r, 1);
        struct entry *e = d->entries + d->index[i] - 1;
        if (value_equal(r, e->key, key))
            return e;
    }
    return NULL;
}

void dict_set(struct run *r, struct dict *d, struct value key, struct value value)
{
    struct entry *old = dict_find(r, d, key);
    if (old) {
        old->value = value;
        return;
    }
    if (d->n == d->capacity)
        d->entries = grow(r, d->entries, d->n, &d->capacity, sizeof *d->entries);
    d->entries[d->n++] = (struct entry){key, value};
    if (d->index && d->n * 2 <= d->index_size)
        index_put(d, value_hash(r, key), (uint32_t)(d->n - 1));
    else if (d->n > INDEX_FROM)
        index_build(r, d);
}

const struct value *dict_get(struct run *r, const struct dict *d, struct value key)
{
    struct entry *e = dict_find(r, d, key);
    return e ? &e->value : NULL;
}

const struct value *dict_get_name(const struct dict *d, struct slice name)
{
    if (d->index) {
        uint64_t hash = hash_bytes(name.ptr, name.len, 0);
        size_t i = hash & (d->index_size - 1);
        for (; d->index[i]; i = (i + 1) & (d->index_size - 1)) {
            const struct entry *e = d->entries + d->index[i] - 1;
            if (is_text(e->key) && slice_eq(text_slice(e->key.text), name))
                return &e->value;
        }
        return NULL;
    }
    for (size_t i = 0; i < d->n; i++)
        if (is_text(d->entries[i].key) && slice_eq(text_slice(d->entries[i].key.text), name))
            return &d->entries[i].value;
    return NULL;
}

static struct value undefined_new(struct run *r, struct undefined u)
{
    struct undefined *copy = run_new(r, struct undefined, 1);
    *copy = u;
    return (struct value){.type = V_UNDEFINED, .undefined = copy};
}

struct value value_undefined(struct run *r, struct value of, struct value name)
{
    return undefined_new(r, (struct undefined){.of_type = type_description(of), .name = name});
}

struct value value_undefined_name(struct run *r, struct slice name)
{
    struct text *t = run_new(r, struct text, 1);
    *t =
        (struct text){.ptr = name.ptr, .len = name.len, .n_chars = count_chars(name.ptr, name.len)};
    return undefined_new(r, (struct undefined){.name = value_text(t)});
}

struct value value_undefined_hint(struct run *r, const char *hint)
{
    return undefined_new(r, (struct undefined){.hint = hint, .name = value_none()});
}

void undefined_fail(struct run *r, struct value v)
{
    const struct undefined *u = v.undefined;
    struct builder b = builder_new(r);
    if (u->hint) {
        builder_str(&b, u->hint);
    } else if (!u->of_type) {
        value_add_repr(&b, u->name);
        builder_str(&b, " is undefined");
    } else if (is_text(u->name)) {
        builder_printf(&b, "'%s' has no attribute ", u->of_type);
        value_add_repr(&b, u->name);
    } else {
        builder_printf(&b, "%s has no element ", u->of_type);
        value_add_repr(&b, u->name);
    }
    run_fail(r, ERR_FORMAT, "%.*s", (int)(b.len < 240 ? b.len : 240), b.ptr ? b.ptr : "");
}

const char *type_name(struct value v)
{
    switch (v.type) {
    case V_NONE: return "NoneType";
    case V_BOOL: return "bool";
    case V_INT: return "int";
    case V_FLOAT: return "float";
    case V_TEXT: return v.text->markup ? "Markup" : "str";
    case V_LIST: return "list";
    case V_TUPLE: return v.list->grouped ? "_GroupTuple" : "tuple";
    case V_DICT: return "dict";
    case V_VIEW:
        return v.view->kind == VIEW_KEYS     ? "dict_keys"
               : v.view->kind == VIEW_VALUES ? "dict_values"
                                             : "dict_items";
    case V_RANGE: return "range";
    case V_ITERATOR: return v.iterator->type;
    case V_NAMESPACE: return "TemplateNamespace";
    case V_MACRO: return "Macro";
    case V_FUNCTION: return "function";
    case V_METHOD: return "builtin_function_or_method";
    case V_LOOP: return "LoopContext";
    case V_CYCLER: return "Cycler";
    case V_JOINER: return "Joiner";
    default: return "Undefined";
    }
}

const char *type_description(struct value v)
{
    switch (v.type) {
    case V_NONE: return "None";
    case V_BOOL: return "bool object";
    case V_INT: return "int object";
    case V_FLOAT: return "float object";
    case V_TEXT: return v.text->markup ? "markupsafe.Markup object" : "str object";
    case V_LIST: return "list object";
    case V_TUPLE: return v.list->grouped ? "jinja2.filters._GroupTuple object" : "tuple object";
    case V_DICT: return "dict object";
    case V_VIEW:
        return v.view->kind == VIEW_KEYS     ? "dict_keys object"
               : v.view->kind == VIEW_VALUES ? "dict_values object"
                                             : "dict_items object";
    case V_RANGE: return "range object";
    case V_ITERATOR: return "generator object";
    case V_NAMESPACE: return "transformers.utils.chat_template_utils.TemplateNamespace object";
    case V_MACRO: return "jinja2.runtime.Macro object";
    case V_LOOP: return "jinja2.runtime.LoopContext object";
    case V_CYCLER: return "jinja2.utils.Cycler object";
    case V_JOINER: return "jinja2.utils.Joiner object";
    default: return "function object";
    }
}

int64_t value_length(struct run *r, struct value v)
{
    switch (v.type) {
    case V_UNDEFINED: return 0;
    case V_TEXT: return (int64_t)v.text->n_chars;
    case V_LIST:
    case V_TUPLE: return (int64_t)v.list->n;
    case V_DICT: return (int64_t)v.dict->n;
    case V_VIEW: return (int64_t)v.view->dict->n;
    case V_RANGE: return (int64_t)v.range->n;
    case V_LOOP: return loop_attribute(r, v.loop, slice_str("length")).integer;
    default: return -1;
    }
}

int64_t value_length_or_fail(struct run *r, struct value v)
{
    int64_t n = value_length(r, v);
    if (n < 0)
        run_fail(r, ERR_FORMAT, "object of type '%s' has no len()", type_name(v));
    return n;
}

bool value_true(struct run *r, struct value v)
{
    switch (v.type) {
    case V_MISSING:
    case V_UNDEFINED:
    case V_NONE: return false;
    case V_BOOL: return v.truth;
    case V_INT: return v.integer != 0;
    case V_FLOAT: return v.real != 0;
    case V_TEXT: return v.text->len != 0;
    default: break;
    }
    int64_t n = value_length(r, v);
    return n != 0;
}

bool value_is_callable(struct value v)
{
    return v.type == V_FUNCTION || v.type == V_METHOD || v.type == V_MACRO || v.type == V_LOOP ||
           v.type == V_JOINER || v.type == V_UNDEFINED;
}

bool value_as_int(struct value v, int64_t *i)
{
    if (v.type == V_INT)
        *i = v.integer;
    else if (v.type == V_BOOL)
        *i = v.truth;
    else
        return false;
    return true;
}

bool value_as_real(struct value v, double *f)
{
    int64_t i;
    if (v.type == V_FLOAT)
        *f = v.real;
    else if (value_as_int(v, &i))
        *f = (double)i;
    else
        return false;
    return true;
}

bool value_is_number(struct value v)
{
    return v.type == V_INT || v.type == V_FLOAT || v.type == V_BOOL;
}
