// builtins.h - tables of what templates can call by name: filters, tests, methods and globals.
#pragma once
#include <stddef.h>

#include "local/template/value.h"

#define PARAMS_MAX 6

// params: the names in their order, separated by commas; those from number `required` on may be
// left out (V_MISSING in the array). A name that starts with '/' takes no keyword. NULL: the
// function reads `rest`, the arguments as given, itself.
struct builtin {
    const char *name;
    struct value (*call)(struct run *r, struct value self, struct value *v,
                         const struct args *rest);
    const char *params;
    int required;
};

struct builtin_table {
    const struct builtin *rows;
    size_t n;
};
const struct builtin *builtin_find(const struct builtin_table *table, struct slice name);
const struct builtin *filter_find(struct slice name);
const struct builtin *test_find(struct slice name);
const struct builtin *global_find(struct slice name);

extern const struct builtin_table text_filters, list_filters, value_filters, item_filters;
extern const struct builtin_table all_tests, all_globals;
extern const struct builtin_table text_methods, list_methods, tuple_methods, dict_methods,
    number_methods, loop_methods, cycler_methods;

// How filters and methods read their arguments; `what` names them in the error.
int64_t arg_int(struct run *r, struct value v, int64_t otherwise);  // MISSING, None: otherwise
bool arg_bool(struct run *r, struct value v, bool otherwise);
const struct text *arg_text(struct run *r, struct value v);  // fails unless a text
const struct text *to_text(struct run *r, struct value v);   // str(v), but keeps a Markup
// The value at a dotted path such as "function.name" or 0, as jinja2's make_attrgetter.
struct value get_path(struct run *r, struct value of, struct value path, struct value otherwise);
struct value lower_if_text(struct run *r, struct value v);
