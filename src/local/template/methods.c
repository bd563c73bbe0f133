// methods.c - methods of lists, tuples, dicts and numbers; none changes anything.
#include <math.h>

#include "local/template/builtins.h"
#include "local/template/run.h"
#include "local/template/text.h"

#define METHOD(name)                                                                               \
    static struct value name(struct run *r, struct value self, struct value *v,                    \
                             const struct args *rest)

METHOD(list_index)
{
    (void)rest;
    int64_t n = (int64_t)self.list->n, from = arg_int(r, v[1], 0), to = arg_int(r, v[2], n);
    from = from < 0 ? (from + n < 0 ? 0 : from + n) : from;
    to = to < 0 ? to + n : to > n ? n : to;
    for (int64_t i = from; i < to; i++)
        if (value_equal(r, self.list->items[i], v[0]))
            return value_int(i);
    struct builder b = builder_new(r);
    value_add_repr(&b, v[0]);
    run_fail(r, ERR_FORMAT, "%.*s is not in list", (int)(b.len < 100 ? b.len : 100), b.ptr);
}

METHOD(list_count)
{
    (void)rest;
    int64_t n = 0;
    for (size_t i = 0; i < self.list->n; i++)
        n += value_equal(r, self.list->items[i], v[0]);
    return value_int(n);
}

METHOD(list_copy)
{
    (void)v;
    (void)rest;
    return value_list(value_to_list(r, self));
}

static struct value view_of(struct run *r, struct value self, enum view_kind kind)
{
    struct view *view = run_new(r, struct view, 1);
    *view = (struct view){kind, self.dict};
    return (struct value){.type = V_VIEW, .view = view};
}

METHOD(dict_keys)
{
    (void)v;
    (void)rest;
    return view_of(r, self, VIEW_KEYS);
}

METHOD(dict_values)
{
    (void)v;
    (void)rest;
    return view_of(r, self, VIEW_VALUES);
}

METHOD(dict_items)
{
    (void)v;
    (void)rest;
    return view_of(r, self, VIEW_ITEMS);
}

METHOD(dict_method_get)
{
    (void)rest;
    const struct value *found = dict_get(r, self.dict, v[0]);
    return found ? *found : v[1].type == V_MISSING ? value_none() : v[1];
}

METHOD(dict_copy)
{
    (void)r;
    (void)v;
    (void)rest;
    return self;  // it never changes
}

METHOD(dict_fromkeys)
{
    (void)self;
    (void)rest;
    struct dict *d = dict_new(r);
    struct iterator *it = iterator_open(r, v[0]);
    struct value key;
    while (iterator_next(r, it, &key))
        dict_set(r, d, key, v[1].type == V_MISSING ? value_none() : v[1]);
    return value_dict(d);
}

METHOD(number_bit_length)
{
    (void)v;
    (void)rest;
    int64_t i = 0, bits = 0;
    if (!value_as_int(self, &i))
        run_fail(r, ERR_FORMAT, "'float' object has no attribute 'bit_length'");
    for (uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i; u; u >>= 1)
        bits++;
    return value_int(bits);
}

METHOD(number_is_integer)
{
    (void)v;
    (void)rest;
    if (self.type != V_FLOAT)
        run_fail(r, ERR_FORMAT, "'int' object has no attribute 'is_integer'");
    return value_bool(self.real == floor(self.real) && !isinf(self.real));
}

static const struct builtin list_rows[] = {
    {"copy", list_copy, "", 0},
    {"count", list_count, "/value", 1},
    {"index", list_index, "/value,/start,/stop", 1},
};
const struct builtin_table list_methods = {list_rows, sizeof list_rows / sizeof *list_rows};

static const struct builtin tuple_rows[] = {
    {"count", list_count, "/value", 1},
    {"index", list_index, "/value,/start,/stop", 1},
};
const struct builtin_table tuple_methods = {tuple_rows, sizeof tuple_rows / sizeof *tuple_rows};

static const struct builtin dict_rows[] = {
    {"copy", dict_copy, "", 0},
    {"fromkeys", dict_fromkeys, "/iterable,/value", 1},
    {"get", dict_method_get, "/key,/default", 1},
    {"items", dict_items, "", 0},
    {"keys", dict_keys, "", 0},
    {"values", dict_values, "", 0},
};
const struct builtin_table dict_methods = {dict_rows, sizeof dict_rows / sizeof *dict_rows};

static const struct builtin number_rows[] = {
    {"bit_length", number_bit_length, "", 0},
    {"is_integer", number_is_integer, "", 0},
};
const struct builtin_table number_methods = {number_rows, sizeof number_rows / sizeof *number_rows};
