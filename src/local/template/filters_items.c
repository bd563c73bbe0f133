// filters_items.c - map, select and reject: lazy, item by item.
#include "local/template/builtins.h"
#include "local/template/run.h"
#include "local/template/text.h"

#define FILTER(name)                                                                               \
    static struct value name(struct run *r, struct value self, struct value *v,                    \
                             const struct args *rest)

enum { SELECT = 0, REJECT = 1, BY_ATTRIBUTE = 2 };

static const struct args *args_after(struct run *r, const struct args *args, size_t n)
{
    struct args *rest = run_new(r, struct args, 1);
    *rest = *args;
    rest->items = args->n > n ? args->items + n : NULL;
    rest->n = args->n > n ? args->n - n : 0;
    return rest;
}

static struct value lazy(struct run *r, struct value self, const struct args *args,
                         bool (*next)(struct run *, struct iterator *, struct value *), int mode)
{
    struct iterator *it = iterator_new(r, "generator", next);
    it->source = self;
    it->args = args;
    it->mode = (uint8_t)mode;
    return (struct value){.type = V_ITERATOR, .iterator = it};
}

// The source is opened with the first item: what is not iterable fails there, as in Python.
static bool next_inner(struct run *r, struct iterator *it, struct value *out)
{
    if (!it->inner) {
        if (!value_true(r, it->source))
            return false;
        it->inner = iterator_open(r, it->source);
    }
    return iterator_next(r, it->inner, out);
}

static const struct value *keyword(const struct args *args, const char *name)
{
    for (size_t i = 0; i < args->n_keywords; i++)
        if (slice_is(args->keywords[i].name, name))
            return &args->keywords[i].value;
    return NULL;
}

static bool next_mapped(struct run *r, struct iterator *it, struct value *out)
{
    const struct args *args = it->args;
    struct value item;
    if (!next_inner(r, it, &item))
        return false;
    const struct value *attribute = args->n == 0 ? keyword(args, "attribute") : NULL;
    if (attribute) {
        const struct value *otherwise = keyword(args, "default");
        if (args->n_keywords > 1 + (otherwise != NULL))
            run_fail(r, ERR_FORMAT, "Unexpected keyword argument");
        *out = get_path(r, item, *attribute, otherwise ? *otherwise : value_missing());
        return true;
    }
    if (args->n == 0)
        run_fail(r, ERR_FORMAT, "map requires a filter argument");
    struct slice name = text_slice(arg_text(r, args->items[0]));
    *out = call_filter(r, name, item, args_after(r, args, 1));
    return true;
}

static bool next_selected(struct run *r, struct iterator *it, struct value *out)
{
    const struct args *args = it->args;
    size_t off = it->mode & BY_ATTRIBUTE ? 1 : 0;
    while (next_inner(r, it, out)) {
        if (args->n < off)
            run_fail(r, ERR_FORMAT, "Missing parameter for attribute name");
        struct value v = off ? get_path(r, *out, args->items[0], value_missing()) : *out;
        bool holds;
        if (args->n > off)
            holds = call_test(r, text_slice(arg_text(r, args->items[off])), v,
                              args_after(r, args, off + 1));
        else
            holds = value_true(r, v);
        if (holds != ((it->mode & REJECT) != 0))
            return true;
    }
    return false;
}

FILTER(filter_map)
{
    (void)v;
    return lazy(r, self, rest, next_mapped, 0);
}

FILTER(filter_select)
{
    (void)v;
    return lazy(r, self, rest, next_selected, SELECT);
}

FILTER(filter_reject)
{
    (void)v;
    return lazy(r, self, rest, next_selected, REJECT);
}

FILTER(filter_selectattr)
{
    (void)v;
    return lazy(r, self, rest, next_selected, SELECT | BY_ATTRIBUTE);
}

FILTER(filter_rejectattr)
{
    (void)v;
    return lazy(r, self, rest, next_selected, REJECT | BY_ATTRIBUTE);
}

static const struct builtin rows[] = {
    {"map", filter_map, NULL, 0},
    {"reject", filter_reject, NULL, 0},
    {"rejectattr", filter_rejectattr, NULL, 0},
    {"select", filter_select, NULL, 0},
    {"selectattr", filter_selectattr, NULL, 0},
};
const struct builtin_table item_filters = {rows, sizeof rows / sizeof *rows};
