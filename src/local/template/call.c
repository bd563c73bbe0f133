// call.c - calling macros, functions, methods, filters and tests; binding their arguments.
#include "local/template/builtins.h"
#include "local/template/run.h"
#include "local/template/text.h"

const struct builtin *builtin_find(const struct builtin_table *table, struct slice name)
{
    for (size_t i = 0; i < table->n; i++)
        if (slice_is(name, table->rows[i].name))
            return table->rows + i;
    return NULL;
}

const struct builtin *filter_find(struct slice name)
{
    static const struct builtin_table *const tables[] = {&text_filters, &list_filters,
                                                         &value_filters, &item_filters};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const struct builtin *found = builtin_find(tables[i], name);
        if (found)
            return found;
    }
    return NULL;
}

const struct builtin *test_find(struct slice name)
{
    return builtin_find(&all_tests, name);
}

const struct builtin *global_find(struct slice name)
{
    return builtin_find(&all_globals, name);
}

// Name number i of a list such as "width,first"; an empty slice after the last one.
static struct slice param_name(const char *params, size_t i)
{
    const char *p = params;
    for (; i > 0; i--) {
        p = strchr(p, ',');
        if (!p)
            return slice_of("", 0);
        p++;
    }
    return slice_of(p, strcspn(p, ","));
}

static size_t param_count(const char *params)
{
    size_t n = params[0] != 0;
    for (const char *p = params; *p; p++)
        n += *p == ',';
    return n;
}

static void bind(struct run *r, const struct builtin *b, const struct args *args,
                 struct value *values)
{
    size_t n = param_count(b->params);
    if (args->n > n)
        run_fail(r, ERR_FORMAT, "%s() takes at most %zu arguments (%zu given)", b->name, n,
                 args->n);
    for (size_t i = 0; i < n; i++)
        values[i] = i < args->n ? args->items[i] : value_missing();
    for (size_t k = 0; k < args->n_keywords; k++) {
        struct slice name = args->keywords[k].name;
        size_t i = 0;
        while (i < n && !slice_eq(param_name(b->params, i), name))
            i++;
        if (i == n)
            run_fail(r, ERR_FORMAT, "%s() got an unexpected keyword argument '%.*s'", b->name,
                     (int)name.len, name.ptr);
        if (values[i].type != V_MISSING)
            run_fail(r, ERR_FORMAT, "%s() got multiple values for argument '%.*s'", b->name,
                     (int)name.len, name.ptr);
        values[i] = args->keywords[k].value;
    }
    for (size_t i = 0; i < (size_t)b->required; i++) {
        struct slice name = param_name(b->params, i);
        if (name.len && name.ptr[0] == '/')
            name = slice_sub(name, 1, name.len);
        if (values[i].type == V_MISSING)
            run_fail(r, ERR_FORMAT, "%s() missing 1 required positional argument: '%.*s'", b->name,
                     (int)name.len, name.ptr);
    }
}

static struct value call_builtin(struct run *r, const struct builtin *b, struct value self,
                                 const struct args *args)
{
    struct value values[PARAMS_MAX];
    run_enter(r);
    if (b->params)
        bind(r, b, args, values);
    struct value result = b->call(r, self, values, args);
    run_leave(r);
    return result;
}

static bool take_keyword(const struct args *args, bool *taken, struct slice name, struct value *out)
{
    for (size_t i = 0; i < args->n_keywords; i++) {
        if (!taken[i] && slice_eq(args->keywords[i].name, name)) {
            taken[i] = true;
            *out = args->keywords[i].value;
            return true;
        }
    }
    return false;
}

// The parameters of a macro that were given; the others stay without a value until their
// defaults are evaluated, which may mention the ones before.
static void bind_parameters(struct run *r, struct scope *s, const struct node *n,
                            const struct args *args, bool *taken)
{
    for (size_t i = 0; i < n->items.n; i++) {
        int name = n->items.items[i]->name;
        struct value v = value_missing();
        if (i < args->n)
            v = args->items[i];
        else
            take_keyword(args, taken, r->template->names[name], &v);
        scope_set(r, s, name, v);
    }
}

static void bind_defaults(struct run *r, struct scope *s, const struct node *n)
{
    size_t first_default = n->items.n - n->defaults.n;
    for (size_t i = 0; i < n->items.n; i++) {
        int name = n->items.items[i]->name;
        if (s->bindings[i].value.type != V_MISSING)
            continue;
        if (i >= first_default) {
            scope_set(r, s, name, eval(r, s, n->defaults.items[i - first_default]));
            continue;
        }
        struct builder hint = builder_new(r);
        struct slice text = r->template->names[name];
        builder_str(&hint, "parameter '");
        builder_add(&hint, text.ptr, text.len);
        builder_str(&hint, "' was not provided");
        builder_add(&hint, "", 1);
        scope_set(r, s, name, value_undefined_hint(r, hint.ptr));
    }
}

static void bind_rest(struct run *r, struct scope *s, const struct macro *m,
                      const struct args *args, bool *taken)
{
    const struct node *n = m->node;
    const struct template *t = r->template;
    if (n->uses_caller) {
        struct value caller;
        if (!take_keyword(args, taken, slice_str("caller"), &caller))
            caller = value_undefined_hint(r, "No caller defined");
        scope_set(r, s, t->caller_name, caller);
    }
    if (n->uses_kwargs) {
        struct dict *kwargs = dict_new(r);
        for (size_t i = 0; i < args->n_keywords; i++)
            if (!taken[i])
                dict_set(r, kwargs, text_new(r, args->keywords[i].name), args->keywords[i].value);
        scope_set(r, s, t->kwargs_name, value_dict(kwargs));
    }
    for (size_t i = 0; !n->uses_kwargs && i < args->n_keywords; i++)
        if (!taken[i])
            run_fail(r, ERR_FORMAT, "macro '%s' takes no keyword argument '%.*s'", m->name,
                     (int)args->keywords[i].name.len, args->keywords[i].name.ptr);
    if (n->uses_varargs) {
        struct list *more = list_new(r, 0);
        for (size_t i = n->items.n; i < args->n; i++)
            list_add(r, more, args->items[i]);
        scope_set(r, s, t->varargs_name, value_tuple(more));
    } else if (args->n > n->items.n) {
        run_fail(r, ERR_FORMAT, "macro '%s' takes not more than %zu argument(s)", m->name,
                 n->items.n);
    }
}

static struct value call_macro(struct run *r, const struct macro *m, const struct args *args)
{
    const struct node *n = m->node;
    int line = r->line;
    if (++r->depth > r->max_depth)
        run_fail(r, ERR_LIMIT, "recursion is deeper than %d", r->max_depth);
    struct scope *s = scope_new(r, m->scope, NULL);
    bool *taken = run_new(r, bool, args->n_keywords + 1);
    bind_parameters(r, s, n, args, taken);
    bind_rest(r, s, m, args, taken);
    bind_defaults(r, s, n);
    for (size_t i = 0; i < n->n_unset; i++)
        scope_set(r, s, n->unset[i], value_missing());
    struct value text;
    exec_captured(r, s, &n->body, &text);
    r->depth--;
    r->line = line;
    return text;
}

static struct value call_loop(struct run *r, struct loop *loop, const struct args *args)
{
    if (!loop->node->recursive)
        run_fail(r, ERR_FORMAT,
                 "The loop must have the 'recursive' marker to be called recursively.");
    if (args->n != 1 || args->n_keywords)
        run_fail(r, ERR_FORMAT, "loop() takes one argument");
    return exec_loop_again(r, loop, args->items[0]);
}

static struct value call_joiner(struct run *r, struct joiner *j)
{
    if (!j->used) {
        j->used = true;
        return text_str(r, "");
    }
    return j->separator;
}

struct value call_value(struct run *r, struct value callee, const struct args *args)
{
    switch (callee.type) {
    case V_FUNCTION: return call_builtin(r, callee.function, value_missing(), args);
    case V_METHOD: return call_builtin(r, callee.method->builtin, callee.method->self, args);
    case V_MACRO: return call_macro(r, callee.macro, args);
    case V_LOOP: return call_loop(r, callee.loop, args);
    case V_JOINER: return call_joiner(r, callee.joiner);
    case V_UNDEFINED: undefined_fail(r, callee);
    default: run_fail(r, ERR_FORMAT, "'%s' object is not callable", type_name(callee));
    }
}

struct value call_filter(struct run *r, struct slice name, struct value on, const struct args *args)
{
    const struct builtin *b = filter_find(name);
    if (!b)
        run_fail(r, ERR_FORMAT, "No filter named '%.*s' found.", (int)name.len, name.ptr);
    return call_builtin(r, b, on, args);
}

bool call_test(struct run *r, struct slice name, struct value on, const struct args *args)
{
    const struct builtin *b = test_find(name);
    if (!b)
        run_fail(r, ERR_FORMAT, "No test named '%.*s' found.", (int)name.len, name.ptr);
    return value_true(r, call_builtin(r, b, on, args));
}

int64_t arg_int(struct run *r, struct value v, int64_t otherwise)
{
    int64_t i;
    if (v.type == V_MISSING || v.type == V_NONE)
        return otherwise;
    if (v.type == V_UNDEFINED)
        undefined_fail(r, v);
    if (!value_as_int(v, &i))
        run_fail(r, ERR_FORMAT, "'%s' object cannot be interpreted as an integer", type_name(v));
    return i;
}

bool arg_bool(struct run *r, struct value v, bool otherwise)
{
    return v.type == V_MISSING ? otherwise : value_true(r, v);
}

const struct text *arg_text(struct run *r, struct value v)
{
    if (v.type == V_UNDEFINED)
        undefined_fail(r, v);
    if (!is_text(v))
        run_fail(r, ERR_FORMAT, "expected str instance, %s found", type_name(v));
    return v.text;
}

const struct text *to_text(struct run *r, struct value v)
{
    return is_text(v) ? v.text : value_str(r, v).text;
}

// "a.0.b" goes over a, 0 and b.
struct value get_path(struct run *r, struct value of, struct value path, struct value otherwise)
{
    if (path.type == V_MISSING || path.type == V_NONE)
        return of;
    if (!is_text(path)) {
        struct value v = get_item(r, of, path);
        return v.type == V_UNDEFINED && otherwise.type != V_MISSING && otherwise.type != V_NONE
                   ? otherwise
                   : v;
    }
    const struct text *t = path.text;
    for (size_t from = 0; from <= t->len;) {
        size_t to = from;
        int64_t number = 0;
        bool digits = true;
        for (; to < t->len && t->ptr[to] != '.'; to++) {
            digits &= t->ptr[to] >= '0' && t->ptr[to] <= '9' && to - from < 18;
            if (digits)
                number = number * 10 + (t->ptr[to] - '0');
        }
        struct value part = text_part(r, t, from, to);
        if (digits && to > from)
            part = value_int(number);
        of = get_item(r, of, part);
        if (of.type == V_UNDEFINED && otherwise.type != V_MISSING && otherwise.type != V_NONE)
            of = otherwise;
        from = to + 1;
    }
    return of;
}

struct value lower_if_text(struct run *r, struct value v)
{
    if (!is_text(v))
        return v;
    struct builder b = builder_new(r);
    unicode_add_case(&b, v.text, 0, v.text->len, CASE_LOWER);
    return builder_value(&b);
}
