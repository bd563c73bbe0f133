// parser.h - tokens to nodes. Internal to parse.c (statements) and parse_expression.c.
#pragma once
#include "local/template/ast.h"
#include "local/template/lexer.h"

void parse_template(struct parse *p);  // all of it: fills p->template
// scopes.c: what names mean where; also reports filters and tests nobody knows.
void analyze_scopes(struct parse *p);

// Helpers of both files.
const struct token *token_now(const struct parse *p);
const struct token *token_take(struct parse *p);
bool token_is(const struct parse *p, char op);
bool token_is_name(const struct parse *p, const char *name);
bool token_skip(struct parse *p, char op);
bool token_skip_name(struct parse *p, const char *name);
void token_expect(struct parse *p, char op);
struct slice token_expect_name(struct parse *p);
int parse_known_name(struct parse *p, const struct token *t);  // its number
_Noreturn void token_fail(struct parse *p);
void parse_enter(struct parse *p);  // bounds the parser's own recursion
void parse_leave(struct parse *p);

struct node *node_new(struct parse *p, enum node_type type, int line);
struct node *node_over(struct parse *p, enum node_type type, int line, struct node *a,
                       struct node *b);
void node_add(struct parse *p, struct node_list *list, struct node *n);
void node_add_item(struct parse *p, struct node *parent, struct node *child);

struct node *parse_expression(struct parse *p);
// Several with commas between them are a tuple. end_name: a name that ends it, or NULL.
struct node *parse_tuple(struct parse *p, bool with_if, const char *end_name, bool in_brackets);
struct node *parse_target(struct parse *p, const char *end_name, bool with_namespace);
struct node *parse_filters(struct parse *p, struct node *on, bool first_is_here);
