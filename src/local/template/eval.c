// eval.c - the value of an expression.
//
// Errors name the line of the statement, as jinja2 does, or of the {{ }} that the expression
// stands in: the operator that ended it where it spans several.
#include "local/template/builtins.h"
#include "local/template/run.h"
#include "local/template/text.h"

static struct value eval_name(struct run *r, struct scope *s, const struct node *n)
{
    for (; s; s = s->opaque ? r->top : s->parent) {
        for (size_t i = s->n; i-- > 0;) {
            if (s->bindings[i].name != n->name)
                continue;
            if (s->bindings[i].value.type != V_MISSING)
                return s->bindings[i].value;
            return value_undefined_name(r, r->template->names[n->name]);
        }
    }
    if (r->context[n->name].type != V_MISSING)
        return r->context[n->name];
    struct slice name = r->template->names[n->name];
    const struct builtin *global = global_find(name);
    if (global)
        return (struct value){.type = V_FUNCTION, .function = global};
    return value_undefined_name(r, name);
}

static struct list *eval_items(struct run *r, struct scope *s, const struct node *n)
{
    struct list *l = list_new(r, n->items.n);
    for (size_t i = 0; i < n->items.n; i++)
        list_add(r, l, eval(r, s, n->items.items[i]));
    return l;
}

static struct value eval_dict(struct run *r, struct scope *s, const struct node *n)
{
    struct dict *d = dict_new(r);
    for (size_t i = 0; i + 1 < n->items.n; i += 2) {
        struct value key = eval(r, s, n->items.items[i]);
        dict_set(r, d, key, eval(r, s, n->items.items[i + 1]));
    }
    return value_dict(d);
}

static void add_keyword(struct run *r, struct args *args, struct slice name, struct value v)
{
    for (size_t i = 0; i < args->n_keywords; i++)
        if (slice_eq(args->keywords[i].name, name))
            run_fail(r, ERR_FORMAT, "got multiple values for keyword argument '%.*s'",
                     (int)name.len, name.ptr);
    args->keywords[args->n_keywords++] = (struct keyword){name, v};
}

// The arguments of a call, filter or test: items, then *b; keywords, then **c.
static struct args *eval_args(struct run *r, struct scope *s, const struct node *n)
{
    struct args *args = run_new(r, struct args, 1);
    struct list *items = eval_items(r, s, n);
    struct value spread = n->b ? eval(r, s, n->b) : value_missing();
    if (n->b) {
        struct list *more = value_to_list(r, spread);
        for (size_t i = 0; i < more->n; i++)
            list_add(r, items, more->items[i]);
    }
    args->items = items->items;
    args->n = items->n;
    size_t n_keywords = n->n_keywords;
    struct value named = value_missing();
    args->keywords = run_new(r, struct keyword, n_keywords + 1);
    for (size_t i = 0; i < n->n_keywords; i++)
        add_keyword(r, args, n->keywords[i].name, eval(r, s, n->keywords[i].value));
    if (n->c) {
        named = eval(r, s, n->c);
        if (named.type != V_DICT)
            run_fail(r, ERR_FORMAT, "argument after ** must be a mapping, not %s",
                     type_name(named));
        struct keyword *all = run_new(r, struct keyword, n_keywords + named.dict->n + 1);
        memcpy(all, args->keywords, n_keywords * sizeof *all);
        args->keywords = all;
        for (size_t i = 0; i < named.dict->n; i++) {
            const struct entry *e = named.dict->entries + i;
            if (!is_text(e->key))
                run_fail(r, ERR_FORMAT, "keywords must be strings");
            add_keyword(r, args, text_slice(e->key.text), e->value);
        }
    }
    return args;
}

static struct value eval_call(struct run *r, struct scope *s, const struct node *n)
{
    struct value callee = eval(r, s, n->a);
    struct args *args = eval_args(r, s, n);
    return call_value(r, callee, args);
}

static struct value eval_filter(struct run *r, struct scope *s, const struct node *n)
{
    struct value on = n->a ? eval(r, s, n->a) : value_missing();
    struct args *args = eval_args(r, s, n);
    return call_filter(r, n->text, on, args);
}

static struct value eval_compare(struct run *r, struct scope *s, const struct node *n)
{
    struct value left = eval(r, s, n->a);
    for (size_t i = 0; i < n->items.n; i++) {
        struct value right = eval(r, s, n->items.items[i]);
        bool holds;
        switch (n->ops[i]) {
        case '=': holds = value_equal(r, left, right); break;
        case '!': holds = !value_equal(r, left, right); break;
        case 'n': holds = value_contains(r, right, left); break;
        case 'o': holds = !value_contains(r, right, left); break;
        default: holds = value_order(r, n->ops[i], left, right);
        }
        if (!holds)
            return value_bool(false);
        left = right;
    }
    return value_bool(true);
}

static struct value eval_concat(struct run *r, struct scope *s, const struct node *n)
{
    struct list *items = eval_items(r, s, n);
    struct builder b = builder_new(r);
    for (size_t i = 0; i < items->n; i++)
        value_add_str(&b, items->items[i]);
    return builder_value(&b);
}

static struct value eval_slice(struct run *r, struct scope *s, const struct node *n)
{
    struct value of = eval(r, s, n->a);
    struct value start = n->b ? eval(r, s, n->b) : value_none();
    struct value stop = n->c ? eval(r, s, n->c) : value_none();
    struct value step = n->d ? eval(r, s, n->d) : value_none();
    return get_slice(r, of, start, stop, step);
}

static struct value eval_condition(struct run *r, struct scope *s, const struct node *n)
{
    if (value_true(r, eval(r, s, n->a)))
        return eval(r, s, n->b);
    if (n->c)
        return eval(r, s, n->c);
    return value_undefined_hint(r, "the inline if-expression evaluated to false and no else "
                                   "section was defined.");
}

static struct value eval_attribute(struct run *r, struct scope *s, const struct node *n)
{
    struct value of = eval(r, s, n->a);
    return get_attribute(r, of, n->value);
}

static struct value eval_pair(struct run *r, struct scope *s, const struct node *n)
{
    struct value a = eval(r, s, n->a);
    if (n->type == N_AND || n->type == N_OR)
        return value_true(r, a) == (n->type == N_AND) ? eval(r, s, n->b) : a;
    struct value b = eval(r, s, n->b);
    return n->type == N_ITEM ? get_item(r, a, b) : operate(r, n->op, a, b);
}

static struct value eval_sign(struct run *r, struct scope *s, const struct node *n)
{
    struct value v = eval(r, s, n->a);
    int64_t i;
    if (n->type == N_NEG)
        return negate(r, v);
    if (v.type == V_UNDEFINED)
        undefined_fail(r, v);
    if (!value_is_number(v))
        run_fail(r, ERR_FORMAT, "bad operand type for unary +: '%s'", type_name(v));
    return value_as_int(v, &i) ? value_int(i) : v;
}

static struct value eval_node(struct run *r, struct scope *s, const struct node *n)
{
    switch (n->type) {
    case N_CONST: return n->value;
    case N_NAME: return eval_name(r, s, n);
    case N_LIST: return value_list(eval_items(r, s, n));
    case N_TUPLE: return value_tuple(eval_items(r, s, n));
    case N_DICT: return eval_dict(r, s, n);
    case N_ATTR: return eval_attribute(r, s, n);
    case N_SLICE: return eval_slice(r, s, n);
    case N_CALL: return eval_call(r, s, n);
    case N_FILTER: return eval_filter(r, s, n);
    case N_TEST: {
        struct value on = eval(r, s, n->a);
        struct args *args = eval_args(r, s, n);
        return value_bool(call_test(r, n->text, on, args));
    }
    case N_NOT: return value_bool(!value_true(r, eval(r, s, n->a)));
    case N_NEG:
    case N_POS: return eval_sign(r, s, n);
    case N_ITEM:
    case N_BINARY:
    case N_AND:
    case N_OR: return eval_pair(r, s, n);
    case N_COMPARE: return eval_compare(r, s, n);
    case N_CONCAT: return eval_concat(r, s, n);
    case N_COND: return eval_condition(r, s, n);
    default: return value_missing();  // targets and statements are never evaluated
    }
}

struct value eval(struct run *r, struct scope *s, const struct node *n)
{
    run_charge(r, 1);
    run_enter(r);
    struct value v = eval_node(r, s, n);
    run_leave(r);
    return v;
}
