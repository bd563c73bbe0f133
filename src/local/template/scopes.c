// scopes.c - which names a scope sets before anybody could read them.
//
// Jinja compiles names to variables of scopes. A name that a scope sets, that is not read before
// in the same scope and that no scope around mentions, is a variable without a value from the
// scope's beginning: an inner loop or macro that reads it too early sees nothing, even where the
// caller gave a variable of that name. Everything else follows from looking names up outwards,
// so only these names are recorded (node.unset).
// Source: jinja2/idtracking.py, what VAR_LOAD_UNDEFINED stands for.
#include <stdlib.h>

#include "base/memory.h"
#include "local/template/parser.h"

struct symbols {
    const struct symbols *parent;
    size_t flags;  // where this scope's flags begin in parse.flags, one byte a name
    int *unset;
    size_t n_unset, capacity;
};

static void descend_list(struct parse *p, const struct symbols *s, const struct node_list *list);

static bool is_known(const struct parse *p, const struct symbols *s, int name)
{
    for (; s; s = s->parent)
        if (p->flags[s->flags + (size_t)name])
            return true;
    return false;
}

static void declare(struct parse *p, const struct symbols *s, int name)
{
    p->flags[s->flags + (size_t)name] = 1;
}

static void store(struct parse *p, struct symbols *s, int name, bool conditional)
{
    if (!is_known(p, s, name) && !conditional) {
        if (s->n_unset == s->capacity) {
            size_t capacity = s->capacity ? s->capacity * 2 : 8;
            int *unset = arena_new(p->arena, int, capacity);
            if (s->n_unset)
                memcpy(unset, s->unset, s->n_unset * sizeof *unset);
            s->unset = unset;
            s->capacity = capacity;
        }
        s->unset[s->n_unset++] = name;
    }
    declare(p, s, name);
}

static void declare_target(struct parse *p, struct symbols *s, const struct node *target)
{
    if (target->type == N_NAME)
        declare(p, s, target->name);
    for (size_t i = 0; i < target->items.n; i++)
        declare_target(p, s, target->items.items[i]);
}

static void store_target(struct parse *p, struct symbols *s, const struct node *target,
                         bool conditional)
{
    if (target->type == N_NAME)
        store(p, s, target->name, conditional);
    else if (target->type == N_NSREF && !is_known(p, s, target->name))
        declare(p, s, target->name);
    for (size_t i = 0; i < target->items.n; i++)
        store_target(p, s, target->items.items[i], conditional);
}

static void visit(struct parse *p, struct symbols *s, const struct node *n, bool conditional,
                  bool soft);

static void visit_list(struct parse *p, struct symbols *s, const struct node_list *list,
                       bool conditional, bool soft)
{
    for (size_t i = 0; i < list->n; i++)
        visit(p, s, list->items[i], conditional, soft);
}

// An unknown filter or test is an error at once, except where an "if" may keep it from being
// reached (soft).
static void check_builtin(struct parse *p, const struct node *n, bool soft)
{
    if (n->builtin || soft)
        return;
    parse_fail(p, n->line, "No %s named '%.*s'.", n->type == N_FILTER ? "filter" : "test",
               (int)n->text.len, n->text.ptr);
}

static void visit_expression(struct parse *p, struct symbols *s, const struct node *n, bool soft)
{
    if (n->type == N_COND)
        soft = true;
    if (n->type == N_NAME && !is_known(p, s, n->name))
        declare(p, s, n->name);
    if (n->type == N_FILTER || n->type == N_TEST)
        check_builtin(p, n, soft);
    const struct node *children[] = {n->a, n->b, n->c, n->d};
    for (size_t i = 0; i < 4; i++)
        if (children[i])
            visit_expression(p, s, children[i], soft);
    for (size_t i = 0; i < n->items.n; i++)
        visit_expression(p, s, n->items.items[i], soft);
    for (size_t i = 0; i < n->n_keywords; i++)
        visit_expression(p, s, n->keywords[i].value, soft);
}

// What a statement reads and sets in the scope it stands in; inner scopes come later.
static void visit(struct parse *p, struct symbols *s, const struct node *n, bool conditional,
                  bool soft)
{
    switch (n->type) {
    case N_OUTPUT: visit_expression(p, s, n->a, soft); break;
    case N_FOR: visit_expression(p, s, n->b, soft); break;
    case N_IF:
        visit_expression(p, s, n->a, true);
        visit_list(p, s, &n->body, true, true);
        visit_list(p, s, &n->otherwise, true, true);
        break;
    case N_SET:
        visit_expression(p, s, n->b, soft);
        store_target(p, s, n->a, conditional);
        break;
    case N_SET_BLOCK: store_target(p, s, n->a, conditional); break;
    case N_MACRO: store(p, s, n->name, conditional); break;
    case N_CALL_BLOCK:
    case N_FILTER_BLOCK: visit_expression(p, s, n->a, soft); break;
    case N_WITH:
        for (size_t i = 0; i < n->defaults.n; i++)
            visit_expression(p, s, n->defaults.items[i], soft);
        break;
    default: break;
    }
}

static struct symbols symbols_begin(struct parse *p, const struct symbols *parent)
{
    size_t n = p->template->n_names;
    struct symbols s = {.parent = parent, .flags = parent ? parent->flags + n : 0};
    memory_grow(p->flags, p->flags_capacity, s.flags + n);
    memset(p->flags + s.flags, 0, n);
    return s;
}

static void finish(struct parse *p, struct symbols *s, const struct node_list *body, int **unset,
                   size_t *n_unset)
{
    visit_list(p, s, body, false, false);
    *unset = s->unset;
    *n_unset = s->n_unset;
    descend_list(p, s, body);
}

// Whether the name is read anywhere inside.
static bool mentions(const struct node *n, int name);

static bool list_mentions(const struct node_list *list, int name)
{
    for (size_t i = 0; i < list->n; i++)
        if (mentions(list->items[i], name))
            return true;
    return false;
}

static bool mentions(const struct node *n, int name)
{
    if (!n || n->type == N_BLOCK)
        return false;
    if (n->type == N_NAME && n->name == name)
        return true;
    for (size_t i = 0; i < n->n_keywords; i++)
        if (mentions(n->keywords[i].value, name))
            return true;
    return mentions(n->a, name) || mentions(n->b, name) || mentions(n->c, name) ||
           mentions(n->d, name) || list_mentions(&n->items, name) ||
           list_mentions(&n->defaults, name) || list_mentions(&n->body, name) ||
           list_mentions(&n->otherwise, name);
}

static void macro_scope(struct parse *p, struct symbols *s, struct node *n)
{
    const struct template *t = p->template;
    const struct {
        int name;
        bool *used;
    } special[] = {{t->caller_name, &n->uses_caller},
                   {t->kwargs_name, &n->uses_kwargs},
                   {t->varargs_name, &n->uses_varargs}};
    for (size_t i = 0; i < n->items.n; i++)
        declare(p, s, n->items.items[i]->name);
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        int name = special[i].name;
        *special[i].used = list_mentions(&n->body, name);
        for (size_t j = 0; j < n->items.n; j++)
            if (n->items.items[j]->name == name)
                *special[i].used = false;
        if (*special[i].used)
            declare(p, s, name);
    }
    for (size_t i = 0; i < n->defaults.n; i++)
        visit_expression(p, s, n->defaults.items[i], false);
}

static void for_scopes(struct parse *p, const struct symbols *around, struct node *n)
{
    struct symbols test = symbols_begin(p, around);
    declare_target(p, &test, n->a);
    if (n->c)
        visit_expression(p, &test, n->c, false);
    struct symbols body = symbols_begin(p, around);
    declare(p, &body, p->template->loop_name);
    declare_target(p, &body, n->a);
    finish(p, &body, &n->body, &n->unset, &n->n_unset);
    struct symbols otherwise = symbols_begin(p, around);
    finish(p, &otherwise, &n->otherwise, &n->unset_otherwise, &n->n_unset_otherwise);
}

static void descend(struct parse *p, const struct symbols *around, struct node *n)
{
    if (n->type == N_IF) {
        descend_list(p, around, &n->body);
        descend_list(p, around, &n->otherwise);
        return;
    }
    if (n->type == N_FOR) {
        for_scopes(p, around, n);
        return;
    }
    bool inner = n->type == N_MACRO || n->type == N_CALL_BLOCK || n->type == N_FILTER_BLOCK ||
                 n->type == N_SET_BLOCK || n->type == N_WITH || n->type == N_BLOCK ||
                 n->type == N_SCOPE;
    if (!inner)
        return;
    struct symbols s = symbols_begin(p, around);
    if (n->type == N_BLOCK)
        s.parent = NULL;  // sees the template's variables, not the scopes it stands in
    if (n->type == N_MACRO || n->type == N_CALL_BLOCK)
        macro_scope(p, &s, n);
    if (n->type == N_SET_BLOCK && n->b)
        visit_expression(p, &s, n->b, false);
    if (n->type == N_WITH)
        for (size_t i = 0; i < n->items.n; i++)
            declare_target(p, &s, n->items.items[i]);
    finish(p, &s, &n->body, &n->unset, &n->n_unset);
}

static void descend_list(struct parse *p, const struct symbols *s, const struct node_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        descend(p, s, list->items[i]);
}

void analyze_scopes(struct parse *p)
{
    struct template *t = p->template;
    t->loop_name = template_name(t, slice_str("loop"));  // the last to get a number
    t->caller_name = template_name(t, slice_str("caller"));
    t->kwargs_name = template_name(t, slice_str("kwargs"));
    t->varargs_name = template_name(t, slice_str("varargs"));
    struct symbols s = symbols_begin(p, NULL);
    finish(p, &s, &t->body, &t->unset, &t->n_unset);
}
