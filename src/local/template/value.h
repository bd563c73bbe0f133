// value.h - what a template computes with: Python's values, as far as chat templates can see them.
//
// Values live in the arena of one rendering and are never changed after they were made (the
// sandbox forbids it), except for namespaces, iterators and the small counters behind loops. A
// text knows which of its bytes came from the caller's values, through every operation.
// Failing functions do not return: run_fail() leaves the rendering (run.h).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "local/template/template.h"

struct run;
struct node;
struct scope;
struct args;

enum value_type {
    V_MISSING,  // not a value: an argument that was not given, a name that has none yet
    V_UNDEFINED,
    V_NONE,
    V_BOOL,
    V_INT,
    V_FLOAT,
    V_TEXT,
    V_LIST,
    V_TUPLE,
    V_DICT,
    V_VIEW,  // d.keys(), d.values(), d.items()
    V_RANGE,
    V_ITERATOR,
    V_NAMESPACE,
    V_MACRO,
    V_FUNCTION,
    V_METHOD,
    V_LOOP,
    V_CYCLER,
    V_JOINER,
    V_SECRET,  // a Python attribute that exists but that the sandbox does not show
};

struct value {
    enum value_type type;
    union {
        bool truth;
        int64_t integer;
        double real;
        const struct text *text;
        const struct list *list;  // V_LIST, V_TUPLE
        const struct dict *dict;
        struct dict *names;  // V_NAMESPACE
        const struct view *view;
        const struct range *range;
        const struct undefined *undefined;
        struct iterator *iterator;
        const struct macro *macro;
        const struct builtin *function;
        const struct method *method;
        struct loop *loop;
        struct cycler *cycler;
        struct joiner *joiner;
    };
};

// Valid UTF-8. marks: the bytes that came from the caller's values, ascending and disjoint.
struct text {
    const char *ptr;
    size_t len;
    size_t n_chars;
    const struct rendered_span *marks;
    size_t n_marks;
    bool markup;  // markupsafe's Markup: escapes what is joined to it
};

struct list {
    struct value *items;
    size_t n, capacity;
    bool grouped;  // a tuple of groupby: .grouper and .list
};

struct entry {
    struct value key, value;
};
struct dict {  // in the order of insertion
    struct entry *entries;
    size_t n, capacity;
    uint32_t *index;  // hash table of entry numbers + 1; NULL while small
    size_t index_size;
};

enum view_kind { VIEW_KEYS, VIEW_VALUES, VIEW_ITEMS };
struct view {
    enum view_kind kind;
    const struct dict *dict;
};

struct range {
    int64_t start, stop, step;
    size_t n;
};

// Item number i < n; sums may pass through values beyond 64 bits on their way to one within.
static inline int64_t range_item(const struct range *range, size_t i)
{
    return (int64_t)((uint64_t)range->start + i * (uint64_t)range->step);
}

// Why there is no value; the message is made when somebody wants to know.
struct undefined {
    const char *hint;     // the whole message, or NULL
    const char *of_type;  // "dict object", or NULL for a name that nobody set
    struct value name;
    bool security;
};

struct macro {
    const struct node *node;
    struct scope *scope;  // where it was defined
    const char *name;
};

struct method {
    struct value self;
    const struct builtin *builtin;
};

struct loop {
    struct iterator *items;
    size_t index0;
    int depth0;
    bool has_after, ended;
    bool known_length;
    size_t length;
    struct value before, current, after, last_changed;
    const struct node *node;  // of a recursive loop
    struct scope *scope;
};

struct cycler {
    struct list *items;
    size_t at;
};
struct joiner {
    struct value separator;
    bool used;
};

static inline struct value value_none(void)
{
    return (struct value){.type = V_NONE};
}
static inline struct value value_missing(void)
{
    return (struct value){.type = V_MISSING};
}
static inline struct value value_bool(bool truth)
{
    return (struct value){.type = V_BOOL, .truth = truth};
}
static inline struct value value_int(int64_t i)
{
    return (struct value){.type = V_INT, .integer = i};
}
static inline struct value value_real(double f)
{
    return (struct value){.type = V_FLOAT, .real = f};
}
static inline struct value value_text(const struct text *t)
{
    return (struct value){.type = V_TEXT, .text = t};
}
static inline struct value value_list(const struct list *l)
{
    return (struct value){.type = V_LIST, .list = l};
}
static inline struct value value_tuple(const struct list *l)
{
    return (struct value){.type = V_TUPLE, .list = l};
}
static inline struct value value_dict(const struct dict *d)
{
    return (struct value){.type = V_DICT, .dict = d};
}
static inline bool is_text(struct value v)
{
    return v.type == V_TEXT;
}
static inline struct slice text_slice(const struct text *t)
{
    return slice_of(t->ptr, t->len);
}

struct list *list_new(struct run *r, size_t capacity);
void list_add(struct run *r, struct list *l, struct value v);
struct value value_pair(struct run *r, struct value a, struct value b);  // a tuple of two

struct dict *dict_new(struct run *r);
void dict_set(struct run *r, struct dict *d, struct value key, struct value value);
// NULL if absent. Fails for keys that cannot be hashed.
const struct value *dict_get(struct run *r, const struct dict *d, struct value key);
const struct value *dict_get_name(const struct dict *d, struct slice name);

struct value value_undefined(struct run *r, struct value of, struct value name);
struct value value_undefined_name(struct run *r, struct slice name);
struct value value_undefined_hint(struct run *r, const char *hint);
_Noreturn void undefined_fail(struct run *r, struct value undefined);

const char *type_name(struct value v);         // as Python's type(v).__name__
const char *type_description(struct value v);  // as jinja2's object_type_repr
bool value_true(struct run *r, struct value v);
bool value_is_callable(struct value v);
// -1 where Python's len() would fail.
int64_t value_length(struct run *r, struct value v);
int64_t value_length_or_fail(struct run *r, struct value v);
// Booleans count as integers.
bool value_as_int(struct value v, int64_t *i);
bool value_as_real(struct value v, double *f);
bool value_is_number(struct value v);

// compare.c
bool value_equal(struct run *r, struct value a, struct value b);
bool value_same(struct value a, struct value b);  // Python's `is`
// One of < <= > >= as the tokens name them: '<', 'l', '>', 'g'. Fails for types without an order.
bool value_order(struct run *r, char op, struct value a, struct value b);
bool value_contains(struct run *r, struct value container, struct value item);
uint64_t value_hash(struct run *r, struct value v);  // fails if unhashable

// iterate.c: anything that Python's iter() takes; fails for the rest.
struct iterator {
    bool (*next)(struct run *r, struct iterator *it, struct value *out);
    struct value source;  // what it goes over
    struct iterator *inner;
    size_t at, at_char;
    const struct args *args;  // of filters that work item by item
    struct value extra;
    struct dict *seen;
    uint8_t mode;
    const char *type;  // "generator"
};
bool value_is_iterable(struct value v);
struct iterator *iterator_open(struct run *r, struct value v);
struct iterator *iterator_new(struct run *r, const char *type,
                              bool (*next)(struct run *, struct iterator *, struct value *));
bool iterator_next(struct run *r, struct iterator *it, struct value *out);
struct list *value_to_list(struct run *r, struct value v);  // always a fresh one
