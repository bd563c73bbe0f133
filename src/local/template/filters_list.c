// filters_list.c - filters over whole sequences: sorting, joining, grouping, summing.
#include "local/template/builtins.h"
#include "local/template/run.h"
#include "local/template/text.h"

#define FILTER(name)                                                                               \
    static struct value name(struct run *r, struct value self, struct value *v,                    \
                             const struct args *rest)

FILTER(filter_length)
{
    (void)v;
    (void)rest;
    return value_int(value_length_or_fail(r, self));
}

FILTER(filter_join)
{
    (void)rest;
    struct iterator *it = iterator_open(r, self);
    struct builder b = builder_new(r);
    const struct text *between =
        v[0].type == V_MISSING ? text_str(r, "").text : value_str(r, v[0]).text;
    struct value item;
    for (bool first = true; iterator_next(r, it, &item); first = false) {
        if (!first)
            builder_text(&b, between);
        value_add_str(&b, get_path(r, item, v[1], value_missing()));
    }
    return builder_value(&b);
}

FILTER(filter_first)
{
    (void)v;
    (void)rest;
    struct value item;
    if (iterator_next(r, iterator_open(r, self), &item))
        return item;
    return value_undefined_hint(r, "No first item, sequence was empty.");
}

static bool is_reversible(struct value v)
{
    return v.type == V_LIST || v.type == V_TUPLE || v.type == V_TEXT || v.type == V_DICT ||
           v.type == V_VIEW || v.type == V_RANGE || v.type == V_UNDEFINED;
}

FILTER(filter_last)
{
    (void)v;
    (void)rest;
    if (self.type == V_UNDEFINED)
        return value_undefined_hint(r, "No last item, sequence was empty.");
    if (!is_reversible(self))
        run_fail(r, ERR_FORMAT, "'%s' object is not reversible", type_name(self));
    if (self.type == V_TEXT && self.text->len) {
        size_t n;
        text_code_before(self.text, self.text->len, &n);
        return text_part(r, self.text, self.text->len - n, self.text->len);
    }
    struct list *all = value_to_list(r, self);
    if (all->n == 0)
        return value_undefined_hint(r, "No last item, sequence was empty.");
    return all->items[all->n - 1];
}

FILTER(filter_list)
{
    (void)v;
    (void)rest;
    return value_list(value_to_list(r, self));
}

static bool next_backwards(struct run *r, struct iterator *it, struct value *out)
{
    (void)r;
    if (it->at == 0)
        return false;
    *out = it->source.list->items[--it->at];
    return true;
}

FILTER(filter_reverse)
{
    (void)v;
    (void)rest;
    if (is_text(self))
        return get_slice(r, self, value_none(), value_none(), value_int(-1));
    struct list *all = value_to_list(r, self);
    if (!is_reversible(self)) {
        for (size_t i = 0; i < all->n / 2; i++) {
            struct value other = all->items[all->n - 1 - i];
            all->items[all->n - 1 - i] = all->items[i];
            all->items[i] = other;
        }
        return value_list(all);
    }
    struct iterator *it = iterator_new(r, "list_reverseiterator", next_backwards);
    it->source = value_list(all);
    it->at = all->n;
    return (struct value){.type = V_ITERATOR, .iterator = it};
}

struct keyed {
    struct value key, value;
};

// Stable merge sort, as Python's: `reverse` keeps equal items in their order, too.
static void sort_keyed(struct run *r, struct keyed *a, struct keyed *scratch, size_t n,
                       bool reverse)
{
    if (n < 2)
        return;
    size_t half = n / 2, i = 0, j = half, k = 0;
    sort_keyed(r, a, scratch, half, reverse);
    sort_keyed(r, a + half, scratch, n - half, reverse);
    while (i < half || j < n) {
        bool right = i == half;
        if (!right && j < n)
            right = reverse ? value_order(r, '<', a[i].key, a[j].key)
                            : value_order(r, '<', a[j].key, a[i].key);
        scratch[k++] = right ? a[j++] : a[i++];
    }
    memcpy(a, scratch, n * sizeof *a);
}

static struct value sort_key(struct run *r, struct value v, bool case_sensitive)
{
    return case_sensitive ? v : lower_if_text(r, v);
}

// "a,b.c": a list of what is at each path.
static struct value multi_key(struct run *r, struct value item, struct value paths,
                              bool case_sensitive)
{
    struct list *keys = list_new(r, 1);
    if (!is_text(paths)) {
        struct value v = get_path(r, item, paths, value_missing());
        list_add(r, keys, sort_key(r, v, case_sensitive));
        return value_list(keys);
    }
    const struct text *t = paths.text;
    for (size_t from = 0; from <= t->len;) {
        size_t to = text_find(t, slice_str(","), from, t->len);
        if (to == SIZE_MAX)
            to = t->len;
        struct value v = get_path(r, item, text_part(r, t, from, to), value_missing());
        list_add(r, keys, sort_key(r, v, case_sensitive));
        from = to + 1;
    }
    return value_list(keys);
}

static struct value sorted(struct run *r, struct keyed *items, size_t n, bool reverse)
{
    struct list *out = list_new(r, n);
    sort_keyed(r, items, run_new(r, struct keyed, n), n, reverse);
    for (size_t i = 0; i < n; i++)
        list_add(r, out, items[i].value);
    return value_list(out);
}

FILTER(filter_sort)
{
    (void)rest;
    struct list *all = value_to_list(r, self);
    struct keyed *items = run_new(r, struct keyed, all->n);
    bool case_sensitive = arg_bool(r, v[1], false);
    for (size_t i = 0; i < all->n; i++)
        items[i] = (struct keyed){multi_key(r, all->items[i], v[2], case_sensitive), all->items[i]};
    return sorted(r, items, all->n, arg_bool(r, v[0], false));
}

FILTER(filter_dictsort)
{
    (void)rest;
    bool case_sensitive = arg_bool(r, v[0], false), by_value = false;
    if (v[1].type != V_MISSING) {
        const struct text *by = arg_text(r, v[1]);
        by_value = slice_is(text_slice(by), "value");
        if (!by_value && !slice_is(text_slice(by), "key"))
            run_fail(r, ERR_FORMAT, "You can only sort by either \"key\" or \"value\"");
    }
    if (self.type == V_UNDEFINED)
        undefined_fail(r, self);
    if (self.type != V_DICT)
        run_fail(r, ERR_FORMAT, "'%s' object has no attribute 'items'", type_name(self));
    const struct dict *d = self.dict;
    struct keyed *items = run_new(r, struct keyed, d->n);
    for (size_t i = 0; i < d->n; i++) {
        struct value key = by_value ? d->entries[i].value : d->entries[i].key;
        items[i] = (struct keyed){sort_key(r, key, case_sensitive),
                                  value_pair(r, d->entries[i].key, d->entries[i].value)};
    }
    return sorted(r, items, d->n, arg_bool(r, v[2], false));
}

static struct value extreme(struct run *r, struct value self, struct value *v, char op)
{
    struct iterator *it = iterator_open(r, self);
    bool case_sensitive = arg_bool(r, v[0], false), any = false;
    struct value item, best = value_missing(), best_key = value_missing();
    while (iterator_next(r, it, &item)) {
        struct value key = get_path(r, item, v[1], value_missing());
        key = sort_key(r, key, case_sensitive);
        if (!any || value_order(r, op, key, best_key)) {
            best = item;
            best_key = key;
        }
        any = true;
    }
    return any ? best : value_undefined_hint(r, "No aggregated item, sequence was empty.");
}

FILTER(filter_min)
{
    (void)rest;
    return extreme(r, self, v, '<');
}

FILTER(filter_max)
{
    (void)rest;
    return extreme(r, self, v, '>');
}

FILTER(filter_sum)
{
    (void)rest;
    struct iterator *it = iterator_open(r, self);
    struct value total = v[1].type == V_MISSING ? value_int(0) : v[1], item;
    if (is_text(total))
        run_fail(r, ERR_FORMAT, "sum() can't sum strings [use ''.join(seq) instead]");
    while (iterator_next(r, it, &item))
        total = operate(r, '+', total, get_path(r, item, v[0], value_missing()));
    return total;
}

FILTER(filter_batch)
{
    (void)rest;
    struct list *all = value_to_list(r, self), *out = list_new(r, 0), *row = NULL;
    int64_t n = arg_int(r, v[0], 0);
    for (size_t i = 0; i < all->n; i++) {
        if (!row || (int64_t)row->n == n) {
            row = list_new(r, 0);
            list_add(r, out, value_list(row));
        }
        list_add(r, row, all->items[i]);
    }
    bool fill = row && v[1].type != V_MISSING && v[1].type != V_NONE;
    while (fill && (int64_t)row->n < n) {
        run_charge(r, 1);
        list_add(r, row, v[1]);
    }
    struct value rows = value_list(out);
    struct iterator *it = iterator_new(r, "generator", iterator_open(r, rows)->next);
    it->source = rows;
    return (struct value){.type = V_ITERATOR, .iterator = it};
}

FILTER(filter_slice)
{
    (void)rest;
    struct list *all = value_to_list(r, self), *out = list_new(r, 0);
    int64_t n = arg_int(r, v[0], 0);
    if (n == 0)
        run_fail(r, ERR_FORMAT, "integer division or modulo by zero");
    size_t slices = n < 0 ? 0 : (size_t)n, at = 0;
    bool fill = v[1].type != V_MISSING && v[1].type != V_NONE;
    for (size_t k = 0; k < slices; k++) {
        struct list *column = list_new(r, 0);
        size_t size = all->n / slices + (k < all->n % slices);
        run_charge(r, 1);
        for (size_t i = 0; i < size; i++)
            list_add(r, column, all->items[at++]);
        if (fill && k >= all->n % slices)
            list_add(r, column, v[1]);
        list_add(r, out, value_list(column));
    }
    struct value columns = value_list(out);
    struct iterator *it = iterator_new(r, "generator", iterator_open(r, columns)->next);
    it->source = columns;
    return (struct value){.type = V_ITERATOR, .iterator = it};
}

FILTER(filter_groupby)
{
    (void)rest;
    struct list *all = value_to_list(r, self), *out = list_new(r, 0), *group = NULL;
    struct keyed *items = run_new(r, struct keyed, all->n);
    bool case_sensitive = arg_bool(r, v[2], false);
    for (size_t i = 0; i < all->n; i++) {
        struct value key = get_path(r, all->items[i], v[0], v[1]);
        items[i] = (struct keyed){sort_key(r, key, case_sensitive), all->items[i]};
    }
    sort_keyed(r, items, run_new(r, struct keyed, all->n), all->n, false);
    for (size_t i = 0; i < all->n; i++) {
        if (!group || !value_equal(r, items[i - 1].key, items[i].key)) {
            group = list_new(r, 0);
            struct value key = get_path(r, items[i].value, v[0], v[1]);
            struct value pair = value_pair(r, key, value_list(group));
            ((struct list *)pair.list)->grouped = true;  // fresh: nobody else has it
            list_add(r, out, pair);
        }
        list_add(r, group, items[i].value);
    }
    return value_list(out);
}

static bool next_unique(struct run *r, struct iterator *it, struct value *out)
{
    while (iterator_next(r, it->inner, out)) {
        struct value key = get_path(r, *out, it->extra, value_missing());
        key = sort_key(r, key, it->mode != 0);
        size_t n = it->seen->n;
        dict_set(r, it->seen, key, value_none());
        if (it->seen->n > n)
            return true;
    }
    return false;
}

FILTER(filter_unique)
{
    (void)rest;
    struct iterator *it = iterator_new(r, "generator", next_unique);
    it->inner = iterator_open(r, self);
    it->mode = arg_bool(r, v[0], false);
    it->extra = v[1];
    it->seen = dict_new(r);
    return (struct value){.type = V_ITERATOR, .iterator = it};
}

FILTER(filter_items)
{
    (void)v;
    (void)rest;
    struct view *view = run_new(r, struct view, 1);
    view->kind = VIEW_ITEMS;
    if (self.type == V_UNDEFINED)
        view->dict = dict_new(r);
    else if (self.type == V_DICT)
        view->dict = self.dict;
    else
        run_fail(r, ERR_FORMAT, "Can only get item pairs from a mapping.");
    struct value items = {.type = V_VIEW, .view = view};
    struct iterator *it = iterator_new(r, "generator", iterator_open(r, items)->next);
    it->source = items;
    return (struct value){.type = V_ITERATOR, .iterator = it};
}

static const struct builtin rows[] = {
    {"batch", filter_batch, "linecount,fill_with", 1},
    {"count", filter_length, "", 0},
    {"dictsort", filter_dictsort, "case_sensitive,by,reverse", 0},
    {"first", filter_first, "", 0},
    {"groupby", filter_groupby, "attribute,default,case_sensitive", 1},
    {"items", filter_items, "", 0},
    {"join", filter_join, "d,attribute", 0},
    {"last", filter_last, "", 0},
    {"length", filter_length, "", 0},
    {"list", filter_list, "", 0},
    {"max", filter_max, "case_sensitive,attribute", 0},
    {"min", filter_min, "case_sensitive,attribute", 0},
    {"reverse", filter_reverse, "", 0},
    {"slice", filter_slice, "slices,fill_with", 1},
    {"sort", filter_sort, "reverse,case_sensitive,attribute", 0},
    {"sum", filter_sum, "attribute,start", 0},
    {"unique", filter_unique, "case_sensitive,attribute", 0},
};
const struct builtin_table list_filters = {rows, sizeof rows / sizeof *rows};
