// ast.h - a parsed template: nodes in the template's arena, immutable once parsed.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "local/template/value.h"

enum node_type {
    // expressions
    N_CONST,    // value
    N_NAME,     // name
    N_LIST,     // items
    N_TUPLE,    // items
    N_DICT,     // items: key, value, key, value ...
    N_ATTR,     // a.text
    N_ITEM,     // a[b]
    N_SLICE,    // a[b:c:d]
    N_CALL,     // a(items, keywords, *b, **c)
    N_FILTER,   // a|text(items ...); a is NULL at the head of a filter block
    N_TEST,     // a is text(items ...)
    N_NOT,      // a
    N_NEG,      // a
    N_POS,      // a
    N_BINARY,   // a op b
    N_AND,      // a, b
    N_OR,       // a, b
    N_COMPARE,  // a, then items with ops
    N_CONCAT,   // items
    N_COND,     // b if a else c (c may be NULL)
    N_NSREF,    // name.text as a target
    // statements
    N_DATA,          // value: the text between tags
    N_OUTPUT,        // a
    N_FOR,           // a in b if c: body, otherwise
    N_IF,            // a: body, otherwise (an elif is an N_IF alone in it)
    N_SET,           // a = b
    N_SET_BLOCK,     // a = body, filtered by b
    N_MACRO,         // name(items = defaults): body
    N_CALL_BLOCK,    // a: the call; items = defaults: caller's parameters; body
    N_FILTER_BLOCK,  // a: filters; body
    N_WITH,          // items = defaults: body
    N_BLOCK,         // body
    N_SCOPE,         // body: {% generation %}, {% autoescape false %}
    N_BREAK,
    N_CONTINUE,
};

struct node_list {
    struct node **items;
    size_t n, capacity;
};

struct keyword_node {
    struct slice name;
    struct node *value;
};

struct node {
    uint8_t type;
    bool recursive;    // N_FOR
    bool uses_caller;  // N_MACRO, N_CALL_BLOCK
    bool uses_kwargs, uses_varargs;
    char op;          // N_BINARY
    const char *ops;  // N_COMPARE: = ! < l > g i n (in), o (not in)
    int line, height;
    int name;
    struct slice text;
    const struct builtin *builtin;  // of N_FILTER and N_TEST; NULL: fails when it is reached
    struct value value;
    struct node *a, *b, *c, *d;
    struct node_list items, defaults, body, otherwise;
    struct keyword_node *keywords;
    size_t n_keywords;
    // Names that have no value when the scope begins although the caller may have given one,
    // since the scope sets them first (scopes.c). Two lists: of the body and of `otherwise`.
    int *unset, *unset_otherwise;
    size_t n_unset, n_unset_otherwise;
};

struct template
{
    struct arena arena;
    struct node_list body;
    struct slice *names;  // by number
    size_t n_names, names_capacity;
    int *unset;
    size_t n_unset;
    int loop_name, caller_name, kwargs_name, varargs_name;
};

#define HEIGHT_MAX 500  // of an expression, in operators; Python stops at 200 brackets

int template_name(struct template *t, struct slice name);
