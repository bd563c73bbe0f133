// run.h - the state of one rendering: memory, bounds, names; and leaving it when something fails.
//
// Everything a rendering allocates is in its arena, so failing is a longjmp to template_render,
// which frees it all. No function between may hold anything that needs freeing.
#pragma once
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "local/template/ast.h"
#include "local/template/value.h"

struct builder;

struct binding {
    int name;
    struct value value;
};
struct scope {
    struct scope *parent;
    struct binding *bindings;
    size_t n, capacity;
    bool opaque;  // of {% block %}: sees the top level's names only
};

struct run {
    const struct template *template;
    struct arena arena;
    jmp_buf failed;
    struct error *err;
    uint64_t steps, max_steps;
    size_t max_output, max_memory;
    size_t looked;         // memory: as much as was used when more was looked for
    int depth, max_depth;  // macro calls and recursive loops
    int nesting;           // C calls: expressions in statements in macros ...
    int64_t now;
    int line;
    struct value *context;  // the caller's variables, by name number
    struct scope *top;
    struct builder *out;
};

struct keyword {
    struct slice name;
    struct value value;
};
struct args {
    struct value *items;
    size_t n;
    struct keyword *keywords;
    size_t n_keywords;
};

#define NESTING_MAX 2500  // of C calls; each takes well under 1 KiB of stack

_Noreturn void run_fail(struct run *r, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void *run_alloc(struct run *r, size_t n, size_t size);
#define run_new(r, type, n) ((type *)run_alloc((r), (n), sizeof(type)))

// Work that is not a step of its own: bytes copied, items compared.
void run_charge(struct run *r, size_t steps);
void run_enter(struct run *r);  // deeper by one C call that may recurse
static inline void run_leave(struct run *r)
{
    r->nesting--;
}

// eval.c
struct value eval(struct run *r, struct scope *s, const struct node *n);
// access.c
struct value get_attribute(struct run *r, struct value of, struct value name);  // a.name
struct value get_item(struct run *r, struct value of, struct value key);        // a[key]
struct value get_slice(struct run *r, struct value of, struct value start, struct value stop,
                       struct value step);
// exec.c: writes what the statements print to r->out.
enum flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE };
enum flow exec_body(struct run *r, struct scope *s, const struct node_list *body);
enum flow exec_captured(struct run *r, struct scope *s, const struct node_list *body,
                        struct value *text);
struct scope *scope_new(struct run *r, struct scope *parent, const struct node *of);
void scope_set(struct run *r, struct scope *s, int name, struct value v);
struct value exec_loop_again(struct run *r, struct loop *loop, struct value items);
void assign_target(struct run *r, struct scope *s, const struct node *target, struct value v);
// call.c
struct value call_value(struct run *r, struct value callee, const struct args *args);
struct value call_filter(struct run *r, struct slice name, struct value on,
                         const struct args *args);
bool call_test(struct run *r, struct slice name, struct value on, const struct args *args);
// operate.c: op is one of + - * / % and 'f' for //, 'p' for **.
struct value operate(struct run *r, char op, struct value a, struct value b);
struct value negate(struct run *r, struct value v);
// loop.c
struct value loop_attribute(struct run *r, struct loop *loop, struct slice name);
bool loop_next(struct run *r, struct loop *loop, struct value *out);
