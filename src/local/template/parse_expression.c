// parse_expression.c - expressions by recursive descent, one function a level of precedence:
// if-else, or, and, not, comparisons, + -, ~, * / // %, **, signs, postfix, filters and tests.
#include "local/template/parser.h"

#include <errno.h>
#include <stdlib.h>

#include "local/template/builtins.h"
#include "local/template/text.h"

static struct node *parse_unary(struct parse *p, bool with_filter);

static struct slice without_underscores(struct parse *p, struct slice s)
{
    char *out = arena_alloc(p->arena, s.len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] != '_')
            out[n++] = s.ptr[i];
    return slice_of(out, n);
}

static struct value parse_number(struct parse *p, const struct token *t)
{
    const char *text = without_underscores(p, t->text).ptr;
    if (t->type == T_FLOAT)
        return value_real(strtod(text, NULL));
    int base = 10;
    if (text[0] == '0' && text[1]) {
        char kind = (char)(text[1] | 0x20);
        base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 10;
        if (base != 10)
            text += 2;
    }
    errno = 0;
    long long i = strtoll(text, NULL, base);
    if (errno)
        parse_fail(p, t->line, "integer beyond 64 bits");
    return value_int(i);
}

static struct node *parse_const(struct parse *p, int line, struct value v)
{
    struct node *n = node_new(p, N_CONST, line);
    n->value = v;
    return n;
}

static const struct text *text_of(struct parse *p, struct slice bytes)
{
    struct text *t = arena_new(p->arena, struct text, 1);
    *t = (struct text){
        .ptr = bytes.ptr, .len = bytes.len, .n_chars = count_chars(bytes.ptr, bytes.len)};
    return t;
}

// Strings beside each other are one.
static struct node *parse_strings(struct parse *p)
{
    const struct token *first = token_now(p);
    size_t len = 0, from = p->at;
    while (token_now(p)->type == T_TEXT)
        len += token_take(p)->text.len;
    char *all = arena_alloc(p->arena, len + 1, 1);
    size_t at = 0;
    for (size_t i = from; i < p->at; i++) {
        memcpy(all + at, p->tokens[i].text.ptr, p->tokens[i].text.len);
        at += p->tokens[i].text.len;
    }
    return parse_const(p, first->line, value_text(text_of(p, slice_of(all, len))));
}

static struct node *parse_list(struct parse *p)
{
    struct node *n = node_new(p, N_LIST, token_take(p)->line);
    while (!token_is(p, ']')) {
        if (n->items.n)
            token_expect(p, ',');
        if (token_is(p, ']'))
            break;
        node_add_item(p, n, parse_expression(p));
    }
    token_expect(p, ']');
    return n;
}

static struct node *parse_dict(struct parse *p)
{
    struct node *n = node_new(p, N_DICT, token_take(p)->line);
    while (!token_is(p, '}')) {
        if (n->items.n)
            token_expect(p, ',');
        if (token_is(p, '}'))
            break;
        node_add_item(p, n, parse_expression(p));
        token_expect(p, ':');
        node_add_item(p, n, parse_expression(p));
    }
    token_expect(p, '}');
    return n;
}

static struct node *parse_name(struct parse *p, bool with_namespace)
{
    const struct token *t = token_take(p);
    if (slice_is(t->text, "true") || slice_is(t->text, "True"))
        return parse_const(p, t->line, value_bool(true));
    if (slice_is(t->text, "false") || slice_is(t->text, "False"))
        return parse_const(p, t->line, value_bool(false));
    if (slice_is(t->text, "none") || slice_is(t->text, "None"))
        return parse_const(p, t->line, value_none());
    struct node *n = node_new(p, N_NAME, t->line);
    n->name = parse_known_name(p, t);
    if (with_namespace && token_skip(p, '.')) {
        n->type = N_NSREF;
        n->text = token_expect_name(p);
    }
    return n;
}

static struct node *parse_primary(struct parse *p, bool with_namespace)
{
    const struct token *t = token_now(p);
    switch (t->type) {
    case T_NAME: return parse_name(p, with_namespace);
    case T_TEXT: return parse_strings(p);
    case T_INT:
    case T_FLOAT: token_take(p); return parse_const(p, t->line, parse_number(p, t));
    default: break;
    }
    if (token_is(p, '[') || token_is(p, '{') || token_is(p, '(')) {
        struct node *n;
        parse_enter(p);
        if (token_is(p, '[')) {
            n = parse_list(p);
        } else if (token_is(p, '{')) {
            n = parse_dict(p);
        } else {
            token_take(p);
            n = parse_tuple(p, true, NULL, true);
            token_expect(p, ')');
        }
        parse_leave(p);
        return n;
    }
    token_fail(p);
}

// (a, b, name=c, *d, **e) into the lists of n.
static void parse_arguments(struct parse *p, struct node *n)
{
    int line = token_now(p)->line;
    parse_enter(p);
    token_expect(p, '(');
    struct keyword_node *keywords = NULL;
    size_t capacity = 0;
    for (bool first = true; !token_is(p, ')'); first = false) {
        if (!first) {
            token_expect(p, ',');
            if (token_is(p, ')'))
                break;
        }
        const struct token *next = p->tokens + p->at + 1;  // the last token is T_END
        bool keyword = token_now(p)->type == T_NAME && next->type == T_OPERATOR && next->op == 'a';
        bool star = token_is(p, '*') || token_is(p, 'p');
        if (n->c || (n->b && !keyword && !token_is(p, 'p')) || (n->n_keywords && !keyword && !star))
            parse_fail(p, line, "invalid syntax for function call expression");
        if (token_skip(p, '*')) {
            n->b = parse_expression(p);
        } else if (token_skip(p, 'p')) {
            n->c = parse_expression(p);
        } else if (keyword) {
            struct slice name = token_take(p)->text;
            token_take(p);
            if (n->n_keywords == capacity) {
                capacity = capacity ? capacity * 2 : 4;
                keywords = arena_new(p->arena, struct keyword_node, capacity);
                if (n->n_keywords)
                    memcpy(keywords, n->keywords, n->n_keywords * sizeof *keywords);
                n->keywords = keywords;
            }
            n->keywords[n->n_keywords++] = (struct keyword_node){name, parse_expression(p)};
        } else {
            node_add_item(p, n, parse_expression(p));
        }
    }
    token_expect(p, ')');
    parse_leave(p);
}

static struct node *parse_call(struct parse *p, struct node *on)
{
    struct node *n = node_over(p, N_CALL, token_now(p)->line, on, NULL);
    parse_arguments(p, n);
    return n;
}

// What is in a[...] up to a comma: an expression or a slice.
static struct node *parse_subscribed(struct parse *p)
{
    int line = token_now(p)->line;
    struct node *start = token_is(p, ':') ? NULL : parse_expression(p);
    if (!token_skip(p, ':'))
        return start;
    struct node *n = node_new(p, N_SLICE, line);
    n->b = start;
    if (!token_is(p, ':') && !token_is(p, ']') && !token_is(p, ','))
        n->c = parse_expression(p);
    if (token_skip(p, ':') && !token_is(p, ']') && !token_is(p, ','))
        n->d = parse_expression(p);
    return n;
}

static struct node *parse_subscript(struct parse *p, struct node *on)
{
    const struct token *t = token_take(p);
    if (t->op == '.') {
        const struct token *name = token_take(p);
        if (name->type == T_NAME) {
            struct node *n = node_over(p, N_ATTR, t->line, on, NULL);
            n->text = name->text;
            n->value = value_text(text_of(p, name->text));
            return n;
        }
        if (name->type != T_INT)
            parse_fail(p, name->line, "expected name or number");
        return node_over(p, N_ITEM, t->line, on, parse_const(p, t->line, parse_number(p, name)));
    }
    parse_enter(p);
    struct node *tuple = node_new(p, N_TUPLE, t->line);
    while (!token_is(p, ']')) {
        if (tuple->items.n)
            token_expect(p, ',');
        node_add_item(p, tuple, parse_subscribed(p));
    }
    token_expect(p, ']');
    parse_leave(p);
    struct node *key = tuple->items.n == 1 ? tuple->items.items[0] : tuple;
    if (key->type == N_SLICE) {
        key->a = on;
        key->height = (key->height > on->height ? key->height : on->height) + 1;
        if (key->height > HEIGHT_MAX)
            parse_fail(p, t->line, "the expression is too deep");
        return key;
    }
    for (size_t i = 0; key == tuple && i < tuple->items.n; i++)
        if (tuple->items.items[i]->type == N_SLICE)
            parse_fail(p, t->line, "a slice beside other subscripts is not supported");
    return node_over(p, N_ITEM, t->line, on, key);
}

static struct node *parse_postfix(struct parse *p, struct node *n)
{
    for (;;) {
        if (token_is(p, '.') || token_is(p, '['))
            n = parse_subscript(p, n);
        else if (token_is(p, '('))
            n = parse_call(p, n);
        else
            return n;
    }
}

static struct slice dotted_name(struct parse *p)
{
    struct slice name = token_expect_name(p);
    while (token_skip(p, '.')) {
        struct slice more = token_expect_name(p);
        char *both =
            arena_printf(p->arena, "%.*s.%.*s", (int)name.len, name.ptr, (int)more.len, more.ptr);
        name = slice_str(both);
    }
    return name;
}

struct node *parse_filters(struct parse *p, struct node *on, bool first_is_here)
{
    while (token_is(p, '|') || first_is_here) {
        if (!first_is_here)
            token_take(p);
        first_is_here = false;
        struct node *n = node_over(p, N_FILTER, token_now(p)->line, on, NULL);
        n->text = dotted_name(p);
        n->builtin = filter_find(n->text);
        if (token_is(p, '('))
            parse_arguments(p, n);
        on = n;
    }
    return on;
}

static struct node *parse_test(struct parse *p, struct node *on)
{
    int line = token_take(p)->line;  // "is"
    bool negated = token_skip_name(p, "not");
    struct node *n = node_over(p, N_TEST, line, on, NULL);
    n->text = dotted_name(p);
    n->builtin = test_find(n->text);
    enum token_type t = token_now(p)->type;
    if (token_is(p, '(')) {
        parse_arguments(p, n);
    } else if ((t == T_NAME || t == T_TEXT || t == T_INT || t == T_FLOAT || token_is(p, '[') ||
                token_is(p, '{')) &&
               !token_is_name(p, "else") && !token_is_name(p, "or") && !token_is_name(p, "and")) {
        if (token_is_name(p, "is"))
            parse_fail(p, line, "You cannot chain multiple tests with is");
        node_add_item(p, n, parse_postfix(p, parse_primary(p, false)));
    }
    return negated ? node_over(p, N_NOT, line, n, NULL) : n;
}

static struct node *parse_unary(struct parse *p, bool with_filter)
{
    int line = token_now(p)->line;
    struct node *n;
    if (token_is(p, '-') || token_is(p, '+')) {
        enum node_type type = token_take(p)->op == '-' ? N_NEG : N_POS;
        parse_enter(p);
        n = node_over(p, type, line, parse_unary(p, false), NULL);
        parse_leave(p);
    } else {
        n = parse_primary(p, false);
    }
    n = parse_postfix(p, n);
    while (with_filter) {
        if (token_is(p, '|'))
            n = parse_filters(p, n, false);
        else if (token_is_name(p, "is"))
            n = parse_test(p, n);
        else if (token_is(p, '('))
            n = parse_call(p, n);
        else
            break;
    }
    return n;
}

static struct node *binary(struct parse *p, int line, char op, struct node *a, struct node *b)
{
    struct node *n = node_over(p, N_BINARY, line, a, b);
    n->op = op;
    return n;
}

static struct node *parse_power(struct parse *p)
{
    int line = token_now(p)->line;
    struct node *left = parse_unary(p, true);
    while (token_skip(p, 'p')) {
        left = binary(p, line, 'p', left, parse_unary(p, true));
        line = token_now(p)->line;
    }
    return left;
}

static struct node *parse_product(struct parse *p)
{
    int line = token_now(p)->line;
    struct node *left = parse_power(p);
    while (token_is(p, '*') || token_is(p, '/') || token_is(p, 'f') || token_is(p, '%')) {
        char op = token_take(p)->op;
        left = binary(p, line, op, left, parse_power(p));
        line = token_now(p)->line;
    }
    return left;
}

static struct node *parse_concat(struct parse *p)
{
    int line = token_now(p)->line;
    struct node *first = parse_product(p);
    if (!token_is(p, '~'))
        return first;
    struct node *n = node_new(p, N_CONCAT, line);
    node_add_item(p, n, first);
    while (token_skip(p, '~'))
        node_add_item(p, n, parse_product(p));
    return n;
}

static struct node *parse_sum(struct parse *p)
{
    int line = token_now(p)->line;
    struct node *left = parse_concat(p);
    while (token_is(p, '+') || token_is(p, '-')) {
        char op = token_take(p)->op;
        left = binary(p, line, op, left, parse_concat(p));
        line = token_now(p)->line;
    }
    return left;
}

// The operator of a comparison at the cursor, taken; 0 if there is none.
static char take_comparison(struct parse *p)
{
    static const char ops[] = "=!<l>g";
    const struct token *next = token_now(p)->type == T_END ? token_now(p) : token_now(p) + 1;
    for (size_t i = 0; ops[i]; i++)
        if (token_skip(p, ops[i]))
            return ops[i];
    if (token_skip_name(p, "in"))
        return 'n';
    if (token_is_name(p, "not") && next->type == T_NAME && slice_is(next->text, "in")) {
        p->at += 2;
        return 'o';
    }
    return 0;
}

static struct node *parse_compare(struct parse *p)
{
    int line = token_now(p)->line;
    struct node *first = parse_sum(p), *n = NULL;
    char op, *ops = NULL;
    size_t capacity = 0;
    while ((op = take_comparison(p)) != 0) {
        if (!n)
            n = node_over(p, N_COMPARE, line, first, NULL);
        if (n->items.n == capacity) {
            capacity = capacity ? capacity * 2 : 4;
            char *more = arena_alloc(p->arena, capacity, 1);
            if (ops)
                memcpy(more, ops, n->items.n);
            n->ops = ops = more;
        }
        ops[n->items.n] = op;
        node_add_item(p, n, parse_sum(p));
        n->line = token_now(p)->line;
    }
    return n ? n : first;
}

static struct node *parse_not(struct parse *p)
{
    int line = token_now(p)->line;
    if (!token_skip_name(p, "not"))
        return parse_compare(p);
    parse_enter(p);
    struct node *n = node_over(p, N_NOT, line, parse_not(p), NULL);
    parse_leave(p);
    return n;
}

static struct node *parse_and(struct parse *p)
{
    int line = token_now(p)->line;
    struct node *left = parse_not(p);
    while (token_skip_name(p, "and")) {
        left = node_over(p, N_AND, line, left, parse_not(p));
        line = token_now(p)->line;
    }
    return left;
}

static struct node *parse_or(struct parse *p)
{
    int line = token_now(p)->line;
    struct node *left = parse_and(p);
    while (token_skip_name(p, "or")) {
        left = node_over(p, N_OR, line, left, parse_and(p));
        line = token_now(p)->line;
    }
    return left;
}

struct node *parse_expression(struct parse *p)
{
    int line = token_now(p)->line;
    parse_enter(p);
    struct node *n = parse_or(p);
    while (token_skip_name(p, "if")) {
        struct node *test = parse_or(p);
        struct node *cond = node_over(p, N_COND, line, test, n);
        if (token_skip_name(p, "else")) {
            cond->c = parse_expression(p);
            if (cond->c->height >= cond->height)
                cond->height = cond->c->height + 1;
        }
        n = cond;
        line = token_now(p)->line;
    }
    parse_leave(p);
    return n;
}

static bool is_tuple_end(const struct parse *p, const char *end_name)
{
    enum token_type t = token_now(p)->type;
    return t == T_OUTPUT_END || t == T_BLOCK_END || token_is(p, ')') ||
           (end_name && token_is_name(p, end_name));
}

struct node *parse_tuple(struct parse *p, bool with_if, const char *end_name, bool in_brackets)
{
    struct node *n = node_new(p, N_TUPLE, token_now(p)->line);
    bool is_tuple = false;
    for (;;) {
        if (n->items.n)
            token_expect(p, ',');
        if (is_tuple_end(p, end_name))
            break;
        node_add_item(p, n, with_if ? parse_expression(p) : parse_or(p));
        if (!token_is(p, ','))
            break;
        is_tuple = true;
        n->line = token_now(p)->line;
    }
    if (!is_tuple && n->items.n)
        return n->items.items[0];
    if (!is_tuple && !in_brackets)
        parse_fail(p, token_now(p)->line, "Expected an expression");
    return n;
}

// Targets are what can stand left of "=": names, tuples of them, ns.name.
static void check_target(struct parse *p, const struct node *n)
{
    bool ok = n->type == N_NAME || n->type == N_NSREF || n->type == N_TUPLE || n->type == N_LIST;
    if (!ok)
        parse_fail(p, n->line, "can't assign to this");
    for (size_t i = 0; i < n->items.n; i++)
        check_target(p, n->items.items[i]);
}

struct node *parse_target(struct parse *p, const char *end_name, bool with_namespace)
{
    struct node *n = node_new(p, N_TUPLE, token_now(p)->line);
    bool is_tuple = false;
    for (;;) {
        if (n->items.n)
            token_expect(p, ',');
        if (is_tuple_end(p, end_name))
            break;
        node_add_item(p, n, parse_primary(p, with_namespace));
        if (!token_is(p, ','))
            break;
        is_tuple = true;
    }
    if (!is_tuple && n->items.n == 0)
        parse_fail(p, token_now(p)->line, "Expected an expression");
    struct node *target = is_tuple ? n : n->items.items[0];
    check_target(p, target);
    return target;
}
