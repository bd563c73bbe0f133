// access.c - a.name, a[key] and a[start:stop:step].
//
// As in jinja2, a.name looks for Python's attribute first and for the key then, a[key] the other
// way round. What exists in Python but is kept from templates (everything that changes a list or
// a dict, every name with two underscores in front) is an undefined value that fails when used.
#include <stdio.h>

#include "local/template/builtins.h"
#include "local/template/run.h"
#include "local/template/text.h"

static const struct builtin_table *methods_of(struct value v, struct slice name)
{
    switch (v.type) {
    case V_TEXT: return &text_methods;
    case V_LIST: return &list_methods;
    case V_TUPLE: return &tuple_methods;
    case V_DICT: return &dict_methods;
    case V_BOOL:
    case V_INT:
    case V_FLOAT: return &number_methods;
    case V_CYCLER: return &cycler_methods;
    case V_FUNCTION:
        return slice_is(name, "fromkeys") && slice_is(slice_str(v.function->name), "dict")
                   ? &dict_methods
                   : NULL;
    default: return NULL;
    }
}

static bool is_mutator(struct value of, struct slice name)
{
    static const char *const of_dicts[] = {"clear", "pop", "popitem", "setdefault", "update"};
    static const char *const of_lists[] = {"append", "clear",  "extend",  "insert",
                                           "pop",    "remove", "reverse", "sort"};
    for (size_t i = 0; of.type == V_DICT && i < sizeof of_dicts / sizeof *of_dicts; i++)
        if (slice_is(name, of_dicts[i]))
            return true;
    for (size_t i = 0; of.type == V_LIST && i < sizeof of_lists / sizeof *of_lists; i++)
        if (slice_is(name, of_lists[i]))
            return true;
    return false;
}

static struct value unsafe(struct run *r, struct value of, struct slice name)
{
    struct builder b = builder_new(r);
    builder_printf(&b, "access to attribute '%.*s' of '%s' object is unsafe.",
                   (int)(name.len < 80 ? name.len : 80), name.ptr, type_name(of));
    builder_add(&b, "", 1);
    return value_undefined_hint(r, b.ptr);
}

// Python's attributes of the values there are. V_MISSING if there is none of that name.
static struct value python_attribute(struct run *r, struct value of, struct slice name)
{
    static const char *const everywhere[] = {"__class__", "__dict__", "__init__", "__doc__",
                                             "__len__",   "__str__",  "__eq__",   "__repr__"};
    if (of.type == V_LOOP)
        return loop_attribute(r, of.loop, name);
    if (of.type == V_NAMESPACE) {
        const struct value *v = dict_get_name(of.names, name);
        return v ? *v : value_missing();
    }
    if (of.type == V_TUPLE && of.list->grouped) {
        if (slice_is(name, "grouper"))
            return of.list->items[0];
        if (slice_is(name, "list"))
            return of.list->items[1];
    }
    if (value_is_number(of)) {
        int64_t i;
        bool whole = value_as_int(of, &i);
        if (slice_is(name, "real") || (whole && slice_is(name, "numerator")))
            return whole ? value_int(i) : of;
        if (slice_is(name, "imag"))
            return whole ? value_int(0) : value_real(0);
        if (whole && slice_is(name, "denominator"))
            return value_int(1);
    }
    if (of.type == V_MACRO && slice_is(name, "name"))
        return text_str(r, of.macro->name);
    if (is_mutator(of, name))
        return unsafe(r, of, name);
    for (size_t i = 0; i < sizeof everywhere / sizeof *everywhere; i++)
        if (slice_is(name, everywhere[i]))
            return unsafe(r, of, name);
    const struct builtin_table *table = methods_of(of, name);
    const struct builtin *found = table ? builtin_find(table, name) : NULL;
    if (!found)
        return value_missing();
    if (of.type == V_CYCLER && slice_is(name, "current"))
        return found->call(r, of, NULL, NULL);
    struct method *m = run_new(r, struct method, 1);
    *m = (struct method){of, found};
    return (struct value){.type = V_METHOD, .method = m};
}

// of[key] as Python has it; V_MISSING where it would raise.
static struct value python_item(struct run *r, struct value of, struct value key)
{
    int64_t i;
    int64_t n = of.type == V_DICT || of.type == V_VIEW ? -1 : value_length(r, of);
    if (of.type == V_DICT) {
        if (key.type == V_LIST || key.type == V_DICT)  // not hashable: as absent
            return value_missing();
        const struct value *v = dict_get(r, of.dict, key);
        return v ? *v : value_missing();
    }
    if (n < 0 || of.type == V_LOOP || !value_as_int(key, &i))
        return value_missing();
    if (i < 0)
        i += n;
    if (i < 0 || i >= n)
        return value_missing();
    if (of.type == V_RANGE)
        return value_int(range_item(of.range, (size_t)i));
    if (of.type != V_TEXT)
        return of.list->items[i];
    size_t from = text_offset(r, of.text, (size_t)i), len;
    text_code(of.text, from, &len);
    return text_part(r, of.text, from, from + len);
}

struct value get_attribute(struct run *r, struct value of, struct value name)
{
    if (of.type == V_UNDEFINED && !slice_starts(text_slice(name.text), slice_str("__")))
        undefined_fail(r, of);
    struct value v = python_attribute(r, of, text_slice(name.text));
    if (v.type == V_MISSING && of.type == V_UNDEFINED)
        undefined_fail(r, of);
    if (v.type == V_MISSING && of.type != V_NAMESPACE)
        v = python_item(r, of, name);
    return v.type == V_MISSING ? value_undefined(r, of, name) : v;
}

struct value get_item(struct run *r, struct value of, struct value key)
{
    if (of.type == V_UNDEFINED)
        undefined_fail(r, of);
    struct value v = python_item(r, of, key);
    if (v.type == V_MISSING && is_text(key))
        v = python_attribute(r, of, text_slice(key.text));
    return v.type == V_MISSING ? value_undefined(r, of, key) : v;
}

static int64_t slice_bound(struct run *r, struct value v, int64_t n, int64_t step,
                           int64_t otherwise)
{
    int64_t i;
    if (v.type == V_NONE)
        return otherwise;
    if (!value_as_int(v, &i))
        run_fail(r, ERR_FORMAT,
                 "slice indices must be integers or None or have an __index__ method");
    if (i < 0)
        i = i < -n ? (step < 0 ? -1 : 0) : i + n;
    else if (i >= n)
        i = step < 0 ? n - 1 : n;
    return i;
}

static struct value slice_text(struct run *r, const struct text *t, int64_t from, int64_t step,
                               int64_t count)
{
    if (count == 0)
        return text_as_markup(r, text_str(r, "").text, t->markup);
    if (step == 1) {
        size_t start = text_offset(r, t, (size_t)from);
        const struct text rest = {
            .ptr = t->ptr + start, .len = t->len - start, .n_chars = t->n_chars - (size_t)from};
        return text_part(r, t, start, start + text_offset(r, &rest, (size_t)count));
    }
    run_charge(r, (size_t)count);
    struct builder b = builder_new(r);
    size_t at = text_offset(r, t, (size_t)from), len;
    for (int64_t i = 0; i < count; i++) {
        text_code(t, at, &len);
        builder_part(&b, t, at, at + len);
        if (i + 1 == count)
            break;
        for (int64_t k = 0; k < step; k++) {
            text_code(t, at, &len);
            at += len;
        }
        for (int64_t k = 0; k > step; k--) {
            text_code_before(t, at, &len);
            at -= len;
        }
    }
    return text_as_markup(r, builder_value(&b).text, t->markup);
}

static struct value slice_range(struct run *r, const struct range *of, int64_t from, int64_t step,
                                int64_t count)
{
    struct range *part = run_new(r, struct range, 1);
    part->start = range_item(of, (size_t)from);
    part->step = (int64_t)((uint64_t)of->step * (uint64_t)step);
    part->n = (size_t)count;
    part->stop = range_item(part, (size_t)count);
    return (struct value){.type = V_RANGE, .range = part};
}

struct value get_slice(struct run *r, struct value of, struct value start, struct value stop,
                       struct value step_value)
{
    if (of.type == V_UNDEFINED)
        undefined_fail(r, of);
    if (of.type == V_DICT)
        run_fail(r, ERR_FORMAT, "unhashable type: 'slice'");
    if (of.type != V_TEXT && of.type != V_LIST && of.type != V_TUPLE && of.type != V_RANGE)
        run_fail(r, ERR_FORMAT, "'%s' object is not subscriptable", type_name(of));
    int64_t n = value_length(r, of), step = 1;
    if (step_value.type != V_NONE && !value_as_int(step_value, &step))
        run_fail(r, ERR_FORMAT,
                 "slice indices must be integers or None or have an __index__ method");
    if (step == 0)
        run_fail(r, ERR_FORMAT, "slice step cannot be zero");
    if (step > n + 1 || step < -n - 1)  // as good as any larger one, and cannot overflow
        step = step > 0 ? n + 1 : -n - 1;
    int64_t from = slice_bound(r, start, n, step, step < 0 ? n - 1 : 0);
    int64_t to = slice_bound(r, stop, n, step, step < 0 ? -1 : n);
    int64_t count = 0;
    if (step > 0 && from < to)
        count = (to - from - 1) / step + 1;
    else if (step < 0 && from > to)
        count = (from - to - 1) / -step + 1;
    if (of.type == V_TEXT)
        return slice_text(r, of.text, from, step, count);
    if (of.type == V_RANGE)
        return slice_range(r, of.range, from, step, count);
    run_charge(r, (size_t)count);
    struct list *l = list_new(r, (size_t)count);
    for (int64_t i = 0; i < count; i++)
        list_add(r, l, of.list->items[from + i * step]);
    return of.type == V_LIST ? value_list(l) : value_tuple(l);
}
