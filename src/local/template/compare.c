// compare.c - equality, order, membership and hashes, as Python defines them.
#include <math.h>

#include "base/hash.h"
#include "local/template/run.h"
#include "local/template/text.h"
#include "local/template/value.h"

// -1, 0, 1; 2 if one is NaN. Exact even where an int64 does not fit a double.
static int compare_numbers(struct value a, struct value b)
{
    int64_t i, j;
    bool a_int = value_as_int(a, &i), b_int = value_as_int(b, &j);
    if (a_int && b_int)
        return i < j ? -1 : i > j;
    if (!a_int && !b_int)
        return isnan(a.real) || isnan(b.real) ? 2 : a.real < b.real ? -1 : a.real > b.real;
    if (b_int) {
        int c = compare_numbers(b, a);
        return c == 2 ? 2 : -c;
    }
    double f = b.real;
    if (isnan(f))
        return 2;
    if (f >= 9223372036854775808.0)
        return -1;
    if (f < -9223372036854775808.0)
        return 1;
    double whole = floor(f);
    int64_t k = (int64_t)whole;
    if (i != k)
        return i < k ? -1 : 1;
    return f > whole ? -1 : 0;
}

static bool lists_equal(struct run *r, const struct list *a, const struct list *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!value_equal(r, a->items[i], b->items[i]))
            return false;
    return true;
}

static bool dicts_equal(struct run *r, const struct dict *a, const struct dict *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct value *other = dict_get(r, b, a->entries[i].key);
        if (!other || !value_equal(r, a->entries[i].value, *other))
            return false;
    }
    return true;
}

static bool ranges_equal(const struct range *a, const struct range *b)
{
    return a->n == b->n &&
           (a->n == 0 || (a->start == b->start && (a->n == 1 || a->step == b->step)));
}

// The keys of two views; the values of two are never equal, as in Python.
static bool views_equal(struct run *r, const struct view *a, const struct view *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind || a->kind == VIEW_VALUES || a->dict->n != b->dict->n)
        return false;
    if (a->kind == VIEW_ITEMS)
        return dicts_equal(r, a->dict, b->dict);
    for (size_t i = 0; i < a->dict->n; i++)
        if (!dict_get(r, b->dict, a->dict->entries[i].key))
            return false;
    return true;
}

static bool equal_of_type(struct run *r, struct value a, struct value b)
{
    switch (a.type) {
    case V_MISSING:
    case V_UNDEFINED:
    case V_NONE: return true;
    case V_TEXT:
        if (a.text->len != b.text->len)
            return false;
        run_charge(r, a.text->len / 64);
        return a.text == b.text || text_equal(a.text, b.text);
    case V_LIST:
    case V_TUPLE: return a.list == b.list || lists_equal(r, a.list, b.list);
    case V_DICT: return a.dict == b.dict || dicts_equal(r, a.dict, b.dict);
    case V_RANGE: return ranges_equal(a.range, b.range);
    case V_VIEW: return views_equal(r, a.view, b.view);
    case V_METHOD:
        return a.method->builtin == b.method->builtin && value_same(a.method->self, b.method->self);
    default: return value_same(a, b);
    }
}

bool value_equal(struct run *r, struct value a, struct value b)
{
    if (value_is_number(a) && value_is_number(b))
        return compare_numbers(a, b) == 0;
    if (a.type != b.type)
        return false;
    run_charge(r, 1);
    run_enter(r);
    bool equal = equal_of_type(r, a, b);
    run_leave(r);
    return equal;
}

bool value_same(struct value a, struct value b)
{
    if (a.type != b.type)
        return false;
    switch (a.type) {
    case V_MISSING:
    case V_NONE: return true;
    case V_BOOL: return a.truth == b.truth;
    case V_INT: return a.integer == b.integer;  // Python shares small ones only
    case V_FLOAT: return a.real == b.real;
    case V_TEXT:  // Python shares literals and names
        return a.text == b.text || (a.text->len < 64 && text_equal(a.text, b.text));
    default: return a.list == b.list;  // any pointer of the union
    }
}

static bool ordered(char op, int c)
{
    switch (op) {
    case '<': return c == -1;
    case 'l': return c == -1 || c == 0;
    case '>': return c == 1;
    default: return c == 1 || c == 0;
    }
}

static _Noreturn void order_fail(struct run *r, char op, struct value a, struct value b)
{
    if (a.type == V_UNDEFINED)
        undefined_fail(r, a);
    if (b.type == V_UNDEFINED)
        undefined_fail(r, b);
    run_fail(r, ERR_FORMAT, "'%s' not supported between instances of '%s' and '%s'",
             op == '<'   ? "<"
             : op == 'l' ? "<="
             : op == '>' ? ">"
                         : ">=",
             type_name(a), type_name(b));
}

bool value_order(struct run *r, char op, struct value a, struct value b)
{
    run_charge(r, 1);
    if (value_is_number(a) && value_is_number(b))
        return ordered(op, compare_numbers(a, b));
    if (a.type != b.type)
        order_fail(r, op, a, b);
    if (a.type == V_TEXT) {  // UTF-8 sorts as its code points
        size_t n = a.text->len < b.text->len ? a.text->len : b.text->len;
        run_charge(r, n / 64);
        int c = n ? memcmp(a.text->ptr, b.text->ptr, n) : 0;
        if (c == 0)
            c = a.text->len < b.text->len ? -1 : a.text->len > b.text->len;
        return ordered(op, c < 0 ? -1 : c > 0);
    }
    if (a.type != V_LIST && a.type != V_TUPLE)
        order_fail(r, op, a, b);
    run_enter(r);
    size_t i = 0, n = a.list->n < b.list->n ? a.list->n : b.list->n;
    while (i < n && value_equal(r, a.list->items[i], b.list->items[i]))
        i++;
    bool result;
    if (i < n)
        result = value_order(r, op, a.list->items[i], b.list->items[i]);
    else
        result = ordered(op, a.list->n < b.list->n ? -1 : a.list->n > b.list->n);
    run_leave(r);
    return result;
}

bool value_contains(struct run *r, struct value in, struct value item)
{
    switch (in.type) {
    case V_TEXT:
        if (!is_text(item))
            run_fail(r, ERR_FORMAT, "'in <string>' requires string as left operand, not %s",
                     type_name(item));
        run_charge(r, 1 + in.text->len / 64);
        return text_find(in.text, text_slice(item.text), 0, in.text->len) != SIZE_MAX;
    case V_DICT: return dict_get(r, in.dict, item) != NULL;
    case V_VIEW:
        if (in.view->kind == VIEW_KEYS)
            return dict_get(r, in.view->dict, item) != NULL;
        break;
    default: break;
    }
    if (!value_is_iterable(in))
        run_fail(r, ERR_FORMAT, "argument of type '%s' is not iterable", type_name(in));
    struct iterator *it = iterator_open(r, in);
    struct value v;
    while (iterator_next(r, it, &v))
        if (value_equal(r, v, item))
            return true;
    return false;
}

uint64_t value_hash(struct run *r, struct value v)
{
    switch (v.type) {
    case V_BOOL: return hash_mix((uint64_t)v.truth);
    case V_INT: return hash_mix((uint64_t)v.integer);
    case V_FLOAT:
        if (v.real == floor(v.real) && fabs(v.real) < 9e18)
            return hash_mix((uint64_t)(int64_t)v.real);
        return hash_bytes(&v.real, sizeof v.real, 1);
    case V_TEXT: run_charge(r, v.text->len / 64); return hash_bytes(v.text->ptr, v.text->len, 0);
    case V_TUPLE: {
        uint64_t hash = 7;
        run_enter(r);
        for (size_t i = 0; i < v.list->n; i++)
            hash = hash_mix(hash ^ value_hash(r, v.list->items[i]));
        run_leave(r);
        return hash;
    }
    case V_LIST:
    case V_DICT:
    case V_NAMESPACE:
    case V_VIEW:
        if (v.type == V_VIEW && v.view->kind == VIEW_VALUES)
            return 5;
        run_fail(r, ERR_FORMAT, "unhashable type: '%s'", type_name(v));
    default: return (uint64_t)v.type;  // rare as keys: one chain each
    }
}
