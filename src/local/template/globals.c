// globals.c - the functions that every template knows.
#include "local/template/builtins.h"
#include "local/template/run.h"
#include "local/template/text.h"

#define RANGE_MAX 100000  // jinja2's sandbox

#define GLOBAL(name)                                                                               \
    static struct value name(struct run *r, struct value self, struct value *v,                    \
                             const struct args *rest)

GLOBAL(global_raise_exception)
{
    (void)self;
    (void)rest;
    struct builder b = builder_new(r);
    value_add_str(&b, v[0]);
    run_fail(r, ERR_FORMAT, "%.*s", (int)(b.len < 240 ? b.len : 240), b.ptr ? b.ptr : "");
}

GLOBAL(global_strftime_now)
{
    (void)self;
    (void)rest;
    struct builder b = builder_new(r);
    add_strftime(&b, arg_text(r, v[0]), r->now);
    return builder_value(&b);
}

GLOBAL(global_range)
{
    (void)self;
    (void)v;
    int64_t start = 0, stop, step = 1;
    if (rest->n < 1 || rest->n > 3 || rest->n_keywords)
        run_fail(r, ERR_FORMAT, "range expected 1 to 3 arguments, got %zu", rest->n);
    for (size_t i = 0; i < rest->n; i++)
        if (rest->items[i].type == V_NONE)
            run_fail(r, ERR_FORMAT, "'NoneType' object cannot be interpreted as an integer");
    stop = arg_int(r, rest->items[rest->n > 1], 0);
    if (rest->n > 1)
        start = arg_int(r, rest->items[0], 0);
    if (rest->n > 2)
        step = arg_int(r, rest->items[2], 1);
    if (step == 0)
        run_fail(r, ERR_FORMAT, "range() arg 3 must not be zero");
    uint64_t span = 0, stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    if (step > 0 ? start < stop : start > stop)
        span = step > 0 ? (uint64_t)stop - (uint64_t)start : (uint64_t)start - (uint64_t)stop;
    uint64_t n = span ? (span - 1) / stride + 1 : 0;
    if (n > RANGE_MAX)
        run_fail(r, ERR_LIMIT,
                 "Range too big. The sandbox blocks ranges larger than "
                 "MAX_RANGE (100000).");
    struct range *range = run_new(r, struct range, 1);
    *range = (struct range){start, stop, step, (size_t)n};
    return (struct value){.type = V_RANGE, .range = range};
}

// From a dict or pairs, then keywords.
static struct dict *dict_from(struct run *r, const struct args *args, const char *what)
{
    struct dict *d = dict_new(r);
    if (args->n > 1)
        run_fail(r, ERR_FORMAT, "%s expected at most 1 argument, got %zu", what, args->n);
    struct value from = args->n ? args->items[0] : value_undefined_hint(r, "");
    if (from.type == V_DICT) {
        for (size_t i = 0; i < from.dict->n; i++)
            dict_set(r, d, from.dict->entries[i].key, from.dict->entries[i].value);
    } else {
        struct iterator *it = iterator_open(r, from);
        struct value pair;
        while (iterator_next(r, it, &pair)) {
            const struct list *both = value_to_list(r, pair);
            if (both->n != 2)
                run_fail(r, ERR_FORMAT,
                         "dictionary update sequence element has length %zu; 2 is required",
                         both->n);
            dict_set(r, d, both->items[0], both->items[1]);
        }
    }
    for (size_t i = 0; i < args->n_keywords; i++)
        dict_set(r, d, text_new(r, args->keywords[i].name), args->keywords[i].value);
    return d;
}

GLOBAL(global_dict)
{
    (void)self;
    (void)v;
    return value_dict(dict_from(r, rest, "dict"));
}

GLOBAL(global_namespace)
{
    (void)self;
    (void)v;
    struct dict *names = dict_from(r, rest, "dict");
    for (size_t i = 0; i < names->n; i++) {
        struct value key = names->entries[i].key;
        if (is_text(key) && key.text->len && key.text->ptr[0] == '_')
            run_fail(r, ERR_FORMAT,
                     "Chat templates cannot store underscore-prefixed attributes on a namespace, "
                     "but got '%.*s'. Please rename the attribute.",
                     (int)(key.text->len < 60 ? key.text->len : 60), key.text->ptr);
    }
    return (struct value){.type = V_NAMESPACE, .names = names};
}

GLOBAL(global_joiner)
{
    (void)self;
    (void)rest;
    struct joiner *j = run_new(r, struct joiner, 1);
    j->separator = v[0].type == V_MISSING ? text_str(r, ", ") : v[0];
    return (struct value){.type = V_JOINER, .joiner = j};
}

GLOBAL(global_cycler)
{
    (void)self;
    (void)v;
    if (rest->n == 0)
        run_fail(r, ERR_FORMAT, "at least one item has to be provided");
    struct cycler *c = run_new(r, struct cycler, 1);
    c->items = list_new(r, rest->n);
    for (size_t i = 0; i < rest->n; i++)
        list_add(r, c->items, rest->items[i]);
    return (struct value){.type = V_CYCLER, .cycler = c};
}

static struct value cycler_current(struct run *r, struct value self, struct value *v,
                                   const struct args *rest)
{
    (void)r;
    (void)v;
    (void)rest;
    return self.cycler->items->items[self.cycler->at];
}

static struct value cycler_next(struct run *r, struct value self, struct value *v,
                                const struct args *rest)
{
    struct value now = cycler_current(r, self, v, rest);
    self.cycler->at = (self.cycler->at + 1) % self.cycler->items->n;
    return now;
}

static struct value cycler_reset(struct run *r, struct value self, struct value *v,
                                 const struct args *rest)
{
    (void)r;
    (void)v;
    (void)rest;
    self.cycler->at = 0;
    return value_none();
}

static const struct builtin cycler_rows[] = {
    {"current", cycler_current, "", 0},  // read without a call (access.c)
    {"next", cycler_next, "", 0},
    {"reset", cycler_reset, "", 0},
};
const struct builtin_table cycler_methods = {cycler_rows, sizeof cycler_rows / sizeof *cycler_rows};

static const struct builtin rows[] = {
    {"cycler", global_cycler, NULL, 0},
    {"dict", global_dict, NULL, 0},
    {"joiner", global_joiner, "sep", 0},
    {"namespace", global_namespace, NULL, 0},
    {"raise_exception", global_raise_exception, "message", 1},
    {"range", global_range, NULL, 0},
    {"strftime_now", global_strftime_now, "format", 1},
};
const struct builtin_table all_globals = {rows, sizeof rows / sizeof *rows};
