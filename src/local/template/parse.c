// parse.c - the statements of a template.
#include "local/template/parser.h"

#include <assert.h>

#include "local/template/text.h"

#define PARSE_DEPTH_MAX 400  // each level of an expression takes about a dozen C calls
#define NAMES_MAX 4096

static void parse_body(struct parse *p, struct node_list *body, const char *const *ends);

const struct token *token_now(const struct parse *p)
{
    return p->tokens + p->at;
}

const struct token *token_take(struct parse *p)
{
    const struct token *t = token_now(p);
    if (t->type != T_END)
        p->at++;
    return t;
}

bool token_is(const struct parse *p, char op)
{
    const struct token *t = token_now(p);
    return t->type == T_OPERATOR && t->op == op;
}

bool token_is_name(const struct parse *p, const char *name)
{
    const struct token *t = token_now(p);
    return t->type == T_NAME && slice_is(t->text, name);
}

bool token_skip(struct parse *p, char op)
{
    bool is = token_is(p, op);
    if (is)
        p->at++;
    return is;
}

bool token_skip_name(struct parse *p, const char *name)
{
    bool is = token_is_name(p, name);
    if (is)
        p->at++;
    return is;
}

static const char *describe(const struct token *t)
{
    switch (t->type) {
    case T_DATA: return "template data / text";
    case T_TEXT: return "string";
    case T_INT: return "integer";
    case T_FLOAT: return "float";
    case T_OUTPUT_BEGIN: return "begin of print statement";
    case T_OUTPUT_END: return "end of print statement";
    case T_BLOCK_BEGIN: return "begin of statement block";
    case T_BLOCK_END: return "end of statement block";
    case T_END: return "end of template";
    default: return NULL;
    }
}

void token_fail(struct parse *p)
{
    const struct token *t = token_now(p);
    const char *what = describe(t);
    if (what)
        parse_fail(p, t->line, "unexpected '%s'", what);
    parse_fail(p, t->line, "unexpected '%.*s'", (int)t->text.len, t->text.ptr);
}

static _Noreturn void expected_fail(struct parse *p, const char *expected)
{
    const struct token *t = token_now(p);
    const char *what = describe(t);
    if (t->type == T_END)
        parse_fail(p, t->line, "unexpected end of template, expected '%s'.", expected);
    if (what)
        parse_fail(p, t->line, "expected token '%s', got '%s'", expected, what);
    parse_fail(p, t->line, "expected token '%s', got '%.*s'", expected, (int)t->text.len,
               t->text.ptr);
}

void token_expect(struct parse *p, char op)
{
    static const struct {
        char op;
        const char *text;
    } spelled[] = {{'f', "//"}, {'p', "**"}, {'a', "="}};
    char one[2] = {op, 0};
    const char *text = one;
    for (size_t i = 0; i < sizeof spelled / sizeof *spelled; i++)
        if (spelled[i].op == op)
            text = spelled[i].text;
    if (!token_skip(p, op))
        expected_fail(p, text);
}

static void token_expect_is_name(struct parse *p)
{
    if (token_now(p)->type != T_NAME)
        expected_fail(p, "name");
}

struct slice token_expect_name(struct parse *p)
{
    token_expect_is_name(p);
    return token_take(p)->text;
}

int parse_known_name(struct parse *p, const struct token *t)
{
    if (p->template->n_names >= NAMES_MAX - 4)  // a few more come from scopes.c
        parse_fail(p, t->line, "too many names");
    return template_name(p->template, t->text);
}

void parse_enter(struct parse *p)
{
    if (++p->depth > PARSE_DEPTH_MAX)
        parse_fail(p, token_now(p)->line, "nested too deeply");
}

void parse_leave(struct parse *p)
{
    p->depth--;
}

struct node *node_new(struct parse *p, enum node_type type, int line)
{
    struct node *n = arena_new(p->arena, struct node, 1);
    n->type = (uint8_t)type;
    n->line = line;
    n->name = -1;
    return n;
}

static void raise_over(struct parse *p, struct node *n, const struct node *child)
{
    if (child && child->height >= n->height)
        n->height = child->height + 1;
    if (n->height > HEIGHT_MAX)
        parse_fail(p, n->line, "the expression is too deep");
}

struct node *node_over(struct parse *p, enum node_type type, int line, struct node *a,
                       struct node *b)
{
    struct node *n = node_new(p, type, line);
    n->a = a;
    n->b = b;
    raise_over(p, n, a);
    raise_over(p, n, b);
    return n;
}

void node_add(struct parse *p, struct node_list *list, struct node *n)
{
    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 4;
        struct node **items = arena_new(p->arena, struct node *, capacity);
        if (list->n)
            memcpy(items, list->items, list->n * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->n++] = n;
}

void node_add_item(struct parse *p, struct node *parent, struct node *child)
{
    raise_over(p, parent, child);
    node_add(p, &parent->items, child);
}

static void expect_block_end(struct parse *p)
{
    token_skip(p, ':');  // as Python's, for no reason
    if (token_now(p)->type != T_BLOCK_END)
        expected_fail(p, "end of statement block");
    token_take(p);
}

// The body of a statement up to one of the tags `ends`, whose name is left at the cursor.
static void parse_statements(struct parse *p, struct node_list *body, const char *const *ends)
{
    expect_block_end(p);
    parse_body(p, body, ends);
    if (token_now(p)->type == T_END)
        parse_fail(p, token_now(p)->line,
                   "Unexpected end of template. Jinja was looking for the following tags: '%s'.",
                   ends[0]);
}

static void parse_until(struct parse *p, struct node_list *body, const char *end)
{
    const char *const ends[] = {end, NULL};
    parse_statements(p, body, ends);
    token_take(p);
}

// The same where a break cannot leave a loop that stands around it.
static void parse_function(struct parse *p, struct node_list *body, const char *end)
{
    int loops = p->loops;
    p->loops = 0;
    parse_until(p, body, end);
    p->loops = loops;
}

static struct node *parse_for(struct parse *p)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    struct node *n = node_new(p, N_FOR, token_take(p)->line);
    n->a = parse_target(p, "in", false);
    if (!token_skip_name(p, "in"))
        expected_fail(p, "in");
    n->b = parse_tuple(p, false, "recursive", false);
    if (token_skip_name(p, "if"))
        n->c = parse_expression(p);
    n->recursive = token_skip_name(p, "recursive");
    p->loops++;
    parse_statements(p, &n->body, ends);
    p->loops--;
    if (slice_is(token_take(p)->text, "else"))
        parse_until(p, &n->otherwise, "endfor");
    return n;
}

static struct node *parse_if(struct parse *p)
{
    static const char *const ends[] = {"endif", "elif", "else", NULL};
    struct node *first = node_new(p, N_IF, token_take(p)->line), *n = first;
    int depth = p->depth;
    for (;;) {
        n->a = parse_tuple(p, false, NULL, false);
        parse_statements(p, &n->body, ends);
        const struct token *t = token_take(p);
        if (slice_is(t->text, "elif")) {
            struct node *next = node_new(p, N_IF, token_now(p)->line);
            parse_enter(p);  // each stands inside the one before
            node_add(p, &n->otherwise, next);
            n = next;
            continue;
        }
        if (slice_is(t->text, "else"))
            parse_until(p, &n->otherwise, "endif");
        p->depth = depth;
        return first;
    }
}

static struct node *parse_set(struct parse *p)
{
    struct node *n = node_new(p, N_SET, token_take(p)->line);
    n->a = parse_target(p, NULL, true);
    if (token_skip(p, 'a')) {
        n->b = parse_tuple(p, true, NULL, false);
        return n;
    }
    n->type = N_SET_BLOCK;
    n->b = parse_filters(p, NULL, false);
    parse_until(p, &n->body, "endset");
    return n;
}

// (a, b=1): names to n->items, defaults (of the last ones) to n->defaults.
static void parse_signature(struct parse *p, struct node *n)
{
    token_expect(p, '(');
    while (!token_is(p, ')')) {
        if (n->items.n)
            token_expect(p, ',');
        struct node *arg = node_new(p, N_NAME, token_now(p)->line);
        token_expect_is_name(p);
        arg->name = parse_known_name(p, token_take(p));
        for (size_t i = 0; i < n->items.n; i++)
            if (n->items.items[i]->name == arg->name)
                parse_fail(p, arg->line, "two parameters of one name");
        if (token_skip(p, 'a'))
            node_add(p, &n->defaults, parse_expression(p));
        else if (n->defaults.n)
            parse_fail(p, arg->line, "non-default argument follows default argument");
        node_add(p, &n->items, arg);
    }
    token_expect(p, ')');
}

static struct node *parse_macro(struct parse *p)
{
    struct node *n = node_new(p, N_MACRO, token_take(p)->line);
    token_expect_is_name(p);
    const struct token *name = token_take(p);
    n->text = name->text;
    n->name = parse_known_name(p, name);
    parse_signature(p, n);
    parse_function(p, &n->body, "endmacro");
    return n;
}

static struct node *parse_call_block(struct parse *p)
{
    struct node *n = node_new(p, N_CALL_BLOCK, token_take(p)->line);
    if (token_is(p, '('))
        parse_signature(p, n);
    n->a = parse_expression(p);
    if (n->a->type != N_CALL)
        parse_fail(p, n->line, "expected call");
    parse_function(p, &n->body, "endcall");
    return n;
}

static struct node *parse_filter_block(struct parse *p)
{
    struct node *n = node_new(p, N_FILTER_BLOCK, token_take(p)->line);
    n->a = parse_filters(p, NULL, true);
    parse_until(p, &n->body, "endfilter");
    return n;
}

static struct node *parse_with(struct parse *p)
{
    struct node *n = node_new(p, N_WITH, token_take(p)->line);
    while (token_now(p)->type != T_BLOCK_END) {
        if (n->items.n)
            token_expect(p, ',');
        node_add(p, &n->items, parse_target(p, NULL, false));
        token_expect(p, 'a');
        node_add(p, &n->defaults, parse_expression(p));
    }
    parse_until(p, &n->body, "endwith");
    return n;
}

static struct node *parse_block(struct parse *p)
{
    struct node *n = node_new(p, N_BLOCK, token_take(p)->line);
    n->text = token_expect_name(p);
    if (token_is_name(p, "scoped") || token_is_name(p, "required"))
        parse_fail(p, n->line, "scoped and required blocks are not supported");
    parse_function(p, &n->body, "endblock");
    if (token_now(p)->type == T_NAME && slice_eq(token_now(p)->text, n->text))
        token_take(p);
    return n;
}

static struct node *parse_autoescape(struct parse *p)
{
    struct node *n = node_new(p, N_SCOPE, token_take(p)->line);
    struct node *on = parse_expression(p);
    if (on->type != N_CONST || on->value.type != V_BOOL || on->value.truth)
        parse_fail(p, n->line, "autoescape is not supported");
    parse_until(p, &n->body, "endautoescape");
    return n;
}

static struct node *parse_generation(struct parse *p)
{
    struct node *n = node_new(p, N_SCOPE, token_take(p)->line);
    parse_function(p, &n->body, "endgeneration");
    return n;
}

static struct node *parse_break(struct parse *p)
{
    const struct token *t = token_take(p);
    if (p->loops == 0 && !p->stray)
        p->stray = t;
    return node_new(p, slice_is(t->text, "break") ? N_BREAK : N_CONTINUE, t->line);
}

static struct node *parse_unsupported(struct parse *p)
{
    const struct token *t = token_now(p);
    parse_fail(p, t->line, "'%.*s' of other templates is not supported", (int)t->text.len,
               t->text.ptr);
}

static const struct {
    const char *name;
    struct node *(*parse)(struct parse *p);
} statements[] = {
    {"for", parse_for},
    {"if", parse_if},
    {"set", parse_set},
    {"macro", parse_macro},
    {"call", parse_call_block},
    {"filter", parse_filter_block},
    {"with", parse_with},
    {"block", parse_block},
    {"autoescape", parse_autoescape},
    {"generation", parse_generation},
    {"break", parse_break},
    {"continue", parse_break},
    {"include", parse_unsupported},
    {"import", parse_unsupported},
    {"from", parse_unsupported},
    {"extends", parse_unsupported},
};

// {% print a, b %} writes each; every other statement is one node.
static void parse_statement(struct parse *p, struct node_list *body)
{
    const struct token *t = token_now(p);
    if (t->type != T_NAME)
        parse_fail(p, t->line, "tag name expected");
    if (slice_is(t->text, "print")) {
        token_take(p);
        for (bool first = true; token_now(p)->type != T_BLOCK_END; first = false) {
            if (!first)
                token_expect(p, ',');
            int line = token_now(p)->line;
            node_add(p, body, node_over(p, N_OUTPUT, line, parse_expression(p), NULL));
        }
        return;
    }
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (slice_is(t->text, statements[i].name)) {
            parse_enter(p);
            node_add(p, body, statements[i].parse(p));
            parse_leave(p);
            return;
        }
    }
    parse_fail(p, t->line, "Encountered unknown tag '%.*s'.", (int)t->text.len, t->text.ptr);
}

static bool at_end_tag(const struct parse *p, const char *const *ends)
{
    for (; ends && *ends; ends++)
        if (token_is_name(p, *ends))
            return true;
    return false;
}

static void parse_data(struct parse *p, struct node_list *body)
{
    const struct token *t = token_take(p);
    struct node *n = node_new(p, N_DATA, t->line);
    struct text *data = arena_new(p->arena, struct text, 1);
    *data = (struct text){
        .ptr = t->text.ptr, .len = t->text.len, .n_chars = count_chars(t->text.ptr, t->text.len)};
    n->value = value_text(data);
    node_add(p, body, n);
}

static void parse_body(struct parse *p, struct node_list *body, const char *const *ends)
{
    for (;;) {
        const struct token *t = token_now(p);
        switch (t->type) {
        case T_DATA: parse_data(p, body); break;
        case T_OUTPUT_BEGIN: {
            token_take(p);
            int line = token_now(p)->line;
            struct node *n = node_over(p, N_OUTPUT, line, parse_tuple(p, true, NULL, false), NULL);
            node_add(p, body, n);
            if (token_now(p)->type != T_OUTPUT_END)
                expected_fail(p, "end of print statement");
            token_take(p);
            break;
        }
        case T_BLOCK_BEGIN:
            token_take(p);
            if (at_end_tag(p, ends))
                return;
            parse_statement(p, body);
            if (token_now(p)->type != T_BLOCK_END)
                expected_fail(p, "end of statement block");
            token_take(p);
            break;
        default: return;
        }
    }
}

int template_name(struct template *t, struct slice name)
{
    for (size_t i = 0; i < t->n_names; i++)
        if (slice_eq(t->names[i], name))
            return (int)i;
    assert(t->n_names < NAMES_MAX);
    if (t->n_names == t->names_capacity) {
        size_t capacity = t->names_capacity ? t->names_capacity * 2 : 32;
        struct slice *names = arena_new(&t->arena, struct slice, capacity);
        if (t->n_names)
            memcpy(names, t->names, t->n_names * sizeof *names);
        t->names = names;
        t->names_capacity = capacity;
    }
    t->names[t->n_names] = name;
    return (int)t->n_names++;
}

void parse_template(struct parse *p)
{
    parse_body(p, &p->template->body, NULL);
    analyze_scopes(p);
    if (p->stray)  // last, as Python's compiler finds it
        parse_fail(p, p->stray->line, "'%.*s' outside loop", (int)p->stray->text.len,
                   p->stray->text.ptr);
}
