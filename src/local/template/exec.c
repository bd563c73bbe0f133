// exec.c - statements: what they print goes to r->out.
#include "local/template/run.h"
#include "local/template/text.h"

struct scope *scope_new(struct run *r, struct scope *parent, const struct node *of)
{
    struct scope *s = run_new(r, struct scope, 1);
    s->parent = parent;
    if (of)
        for (size_t i = 0; i < of->n_unset; i++)
            scope_set(r, s, of->unset[i], value_missing());
    return s;
}

void scope_set(struct run *r, struct scope *s, int name, struct value v)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->bindings[i].name == name) {
            s->bindings[i].value = v;
            return;
        }
    }
    if (s->n == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 4;
        struct binding *fresh = run_new(r, struct binding, capacity);
        if (s->n)
            memcpy(fresh, s->bindings, s->n * sizeof *fresh);
        s->bindings = fresh;
        s->capacity = capacity;
    }
    s->bindings[s->n++] = (struct binding){name, v};
}

static struct value scope_find(struct run *r, struct scope *s, int name)
{
    const struct node as_read = {.type = N_NAME, .line = r->line, .name = name};
    return eval(r, s, &as_read);
}

static void check_namespaces(struct run *r, struct scope *s, const struct node *target)
{
    if (target->type == N_NSREF && scope_find(r, s, target->name).type != V_NAMESPACE)
        run_fail(r, ERR_FORMAT, "cannot assign attribute on non-namespace object");
    for (size_t i = 0; i < target->items.n; i++)
        check_namespaces(r, s, target->items.items[i]);
}

static void assign_attribute(struct run *r, struct scope *s, const struct node *target,
                             struct value v)
{
    struct value namespace = scope_find(r, s, target->name);
    if (namespace.type != V_NAMESPACE)
        run_fail(r, ERR_FORMAT, "cannot assign attribute on non-namespace object");
    if (target->text.len && target->text.ptr[0] == '_')
        run_fail(r, ERR_FORMAT,
                 "Chat templates cannot store underscore-prefixed attributes on a namespace, but "
                 "got '%.*s'. Please rename the attribute.",
                 (int)target->text.len, target->text.ptr);
    dict_set(r, namespace.names, text_new(r, target->text), v);
}

void assign_target(struct run *r, struct scope *s, const struct node *target, struct value v)
{
    if (target->type == N_NAME) {
        scope_set(r, s, target->name, v);
        return;
    }
    if (target->type == N_NSREF) {
        assign_attribute(r, s, target, v);
        return;
    }
    if (!value_is_iterable(v))
        run_fail(r, ERR_FORMAT, "cannot unpack non-iterable %s object", type_name(v));
    struct iterator *it = iterator_open(r, v);
    struct list *items = list_new(r, target->items.n);
    struct value item;
    while (items->n <= target->items.n && iterator_next(r, it, &item))
        list_add(r, items, item);
    if (items->n > target->items.n)
        run_fail(r, ERR_FORMAT, "too many values to unpack (expected %zu)", target->items.n);
    if (items->n < target->items.n)
        run_fail(r, ERR_FORMAT, "not enough values to unpack (expected %zu, got %zu)",
                 target->items.n, items->n);
    for (size_t i = 0; i < items->n; i++)
        assign_target(r, s, target->items.items[i], items->items[i]);
}

enum flow exec_captured(struct run *r, struct scope *s, const struct node_list *body,
                        struct value *text)
{
    struct builder captured = builder_new(r), *outer = r->out;
    r->out = &captured;
    enum flow flow = exec_body(r, s, body);
    r->out = outer;
    *text = builder_value(&captured);
    return flow;
}

static struct loop *loop_new(struct run *r, struct scope *s, const struct node *n,
                             struct value items, int depth0)
{
    struct loop *loop = run_new(r, struct loop, 1);
    loop->node = n;
    loop->scope = s;
    loop->depth0 = depth0;
    loop->items = iterator_open(r, items);
    loop->index0 = SIZE_MAX;  // before the first
    int64_t length = items.type == V_ITERATOR || items.type == V_LOOP ? -1 : value_length(r, items);
    loop->known_length = length >= 0;
    loop->length = length >= 0 ? (size_t)length : 0;
    return loop;
}

// The items that the loop's own "if" lets through; evaluated as the loop asks for them.
static bool next_filtered(struct run *r, struct iterator *it, struct value *out)
{
    struct loop *loop = it->extra.loop;
    const struct node *n = loop->node;
    int line = r->line;
    while (iterator_next(r, it->inner, out)) {
        struct scope *test = scope_new(r, loop->scope, NULL);
        assign_target(r, test, n->a, *out);
        r->line = n->c->line;
        bool holds = value_true(r, eval(r, test, n->c));
        r->line = line;
        if (holds)
            return true;
    }
    return false;
}

static enum flow exec_loop(struct run *r, struct scope *s, const struct node *n, struct value items,
                           int depth0)
{
    if (n->c) {
        struct loop *around = run_new(r, struct loop, 1);
        *around = (struct loop){.node = n, .scope = s};
        struct iterator *it = iterator_new(r, "generator", next_filtered);
        it->inner = iterator_open(r, items);
        it->extra = (struct value){.type = V_LOOP, .loop = around};
        items = (struct value){.type = V_ITERATOR, .iterator = it};
    }
    struct loop *loop = loop_new(r, s, n, items, depth0);
    bool any = false;
    struct value item;
    enum flow flow = FLOW_NEXT;
    while (flow != FLOW_BREAK) {
        r->line = n->line;
        if (!loop_next(r, loop, &item))
            break;
        struct scope *inner = scope_new(r, s, n);
        scope_set(r, inner, r->template->loop_name, (struct value){.type = V_LOOP, .loop = loop});
        assign_target(r, inner, n->a, item);
        flow = exec_body(r, inner, &n->body);
        any |= flow == FLOW_NEXT;
    }
    // As in jinja2, a round left by break or continue does not count.
    if (!any && n->otherwise.n) {
        struct scope *inner = scope_new(r, s, NULL);
        for (size_t i = 0; i < n->n_unset_otherwise; i++)
            scope_set(r, inner, n->unset_otherwise[i], value_missing());
        return exec_body(r, inner, &n->otherwise);
    }
    return FLOW_NEXT;
}

struct value exec_loop_again(struct run *r, struct loop *loop, struct value items)
{
    if (++r->depth > r->max_depth)
        run_fail(r, ERR_LIMIT, "recursion is deeper than %d", r->max_depth);
    struct builder text = builder_new(r), *outer = r->out;
    int line = r->line;
    r->out = &text;
    exec_loop(r, loop->scope, loop->node, items, loop->depth0 + 1);
    r->out = outer;
    r->line = line;
    r->depth--;
    return builder_value(&text);
}

static enum flow exec_if(struct run *r, struct scope *s, const struct node *n)
{
    while (!value_true(r, eval(r, s, n->a))) {
        if (n->otherwise.n != 1 || n->otherwise.items[0]->type != N_IF)
            return exec_body(r, s, &n->otherwise);
        n = n->otherwise.items[0];
        r->line = n->line;
    }
    return exec_body(r, s, &n->body);
}

static void exec_set(struct run *r, struct scope *s, const struct node *n)
{
    check_namespaces(r, s, n->a);
    assign_target(r, s, n->a, eval(r, s, n->b));
}

// Puts v in front of the filters: {% filter a|b %} and {% set x | a %}.
static struct value through_filters(struct run *r, struct scope *s, const struct node *filters,
                                    struct value v)
{
    struct node *filter = run_new(r, struct node, 1);
    *filter = *filters;
    if (filters->a)
        v = through_filters(r, s, filters->a, v);
    filter->a = run_new(r, struct node, 1);
    *filter->a = (struct node){.type = N_CONST, .line = filters->line, .value = v};
    return eval(r, s, filter);
}

static enum flow exec_set_block(struct run *r, struct scope *s, const struct node *n)
{
    struct scope *inner = scope_new(r, s, n);
    struct value v;
    enum flow flow = exec_captured(r, inner, &n->body, &v);
    if (flow != FLOW_NEXT)  // a break in it leaves before anything is set
        return flow;
    r->line = n->line;
    if (n->b)
        v = through_filters(r, inner, n->b, v);
    assign_target(r, s, n->a, v);
    return FLOW_NEXT;
}

// What a filter or call block gives is written as it is, so it must be a text.
static void write_text(struct run *r, struct value v)
{
    if (!is_text(v))
        run_fail(r, ERR_FORMAT, "sequence item: expected str instance, %s found", type_name(v));
    builder_text(r->out, v.text);
}

static enum flow exec_filter_block(struct run *r, struct scope *s, const struct node *n)
{
    struct scope *inner = scope_new(r, s, n);
    struct value v;
    enum flow flow = exec_captured(r, inner, &n->body, &v);
    r->line = n->line;
    if (flow == FLOW_NEXT)
        write_text(r, through_filters(r, inner, n->a, v));
    return flow;
}

static enum flow exec_with(struct run *r, struct scope *s, const struct node *n)
{
    struct scope *inner = scope_new(r, s, n);
    for (size_t i = 0; i < n->items.n; i++)
        assign_target(r, inner, n->items.items[i], eval(r, s, n->defaults.items[i]));
    return exec_body(r, inner, &n->body);
}

static struct value macro_value(struct run *r, struct scope *s, const struct node *n)
{
    struct macro *m = run_new(r, struct macro, 1);
    struct builder name = builder_new(r);
    builder_add(&name, n->text.ptr, n->text.len);
    builder_add(&name, "", 1);
    *m = (struct macro){n, s, name.ptr};
    return (struct value){.type = V_MACRO, .macro = m};
}

static void exec_call_block(struct run *r, struct scope *s, const struct node *n)
{
    struct node *call = run_new(r, struct node, 2), *caller = call + 1;
    *call = *n->a;
    *caller = (struct node){.type = N_CONST, .line = n->line, .value = macro_value(r, s, n)};
    struct keyword_node *keywords = run_new(r, struct keyword_node, call->n_keywords + 1);
    if (call->n_keywords)
        memcpy(keywords, call->keywords, call->n_keywords * sizeof *keywords);
    keywords[call->n_keywords++] = (struct keyword_node){slice_str("caller"), caller};
    call->keywords = keywords;
    write_text(r, eval(r, s, call));
}

static enum flow exec_one(struct run *r, struct scope *s, const struct node *n)
{
    switch (n->type) {
    case N_DATA: builder_text(r->out, n->value.text); break;
    case N_OUTPUT:
        r->line = n->a->line;
        value_add_str(r->out, eval(r, s, n->a));
        break;
    case N_FOR: return exec_loop(r, s, n, eval(r, s, n->b), 0);
    case N_IF: return exec_if(r, s, n);
    case N_SET: exec_set(r, s, n); break;
    case N_SET_BLOCK: return exec_set_block(r, s, n);
    case N_MACRO: scope_set(r, s, n->name, macro_value(r, s, n)); break;
    case N_CALL_BLOCK: exec_call_block(r, s, n); break;
    case N_FILTER_BLOCK: return exec_filter_block(r, s, n);
    case N_WITH: return exec_with(r, s, n);
    case N_BLOCK: {
        struct scope *inner = scope_new(r, s, n);
        inner->opaque = true;
        exec_body(r, inner, &n->body);
        break;
    }
    case N_SCOPE: exec_body(r, scope_new(r, s, n), &n->body); break;
    case N_BREAK: return FLOW_BREAK;
    case N_CONTINUE: return FLOW_CONTINUE;
    default: break;
    }
    return FLOW_NEXT;
}

enum flow exec_body(struct run *r, struct scope *s, const struct node_list *body)
{
    enum flow flow = FLOW_NEXT;
    run_enter(r);
    for (size_t i = 0; i < body->n && flow == FLOW_NEXT; i++) {
        r->line = body->items[i]->line;
        run_charge(r, 1);
        flow = exec_one(r, s, body->items[i]);
    }
    run_leave(r);
    return flow;
}
