// schema_impl.h - what the files of the schema compiler share; nobody else includes it.
//
// A rule of the program stands for a set of schemas that a value must satisfy all at once: so
// `allOf`, $ref beside other keywords, and branches of `anyOf` need no merging of schemas. schema.c
// makes sets and rules, the other files the text of one type for one set.
#pragma once
#include <stdbool.h>

#include "base/arena.h"
#include "base/json.h"
#include "local/sampling/grammar/json_text.h"
#include "local/sampling/grammar/nfa.h"
#include "local/sampling/grammar/program.h"

struct error;

enum {
    DONE_ANY_OF = 1,
    DONE_ONE_OF = 2,
    DONE_PARTS = 4,  // $ref and allOf
    BARE_TEXT = 8,   // strings that satisfy the set stand between tags as they are
};
struct schema_item {
    const json_t *schema;  // an object; in sets that are not flat also true and false
    uint64_t done;         // keywords that were dealt with elsewhere
};
struct schema_set {
    struct schema_item *items;
    size_t n, capacity;
};
struct schema_rule {
    struct schema_set set;
    uint32_t rule;
};

struct schema_text {  // a pattern or format, read
    struct slice source;
    bool search;
    const struct regex *tree;
    struct nfa *nfa;  // NULL: too large, or not needed yet
    bool tried;       // to make it
};

// The values of lists (`enum`) that were looked at: open addressing, free where list is NULL.
struct schema_listed_value {
    const json_t *list, *value;  // value NULL: the list itself
    uint64_t hash;
};
struct schema_listed {
    struct schema_listed_value *slots;
    size_t n, n_slots;
};

struct schema_compiler {
    struct program *p;
    struct json_text json;
    const json_t *root;
    struct error *err;
    bool failed;
    struct arena arena;
    struct schema_rule *rules;
    size_t n_rules, rules_capacity, n_compiled;
    uint32_t *slots;  // of rules by their sets
    size_t n_slots;
    struct schema_text *texts;
    size_t n_texts, texts_capacity;
    struct schema_listed listed;
};

enum schema_type {
    TYPE_NULL = 1,
    TYPE_BOOLEAN = 2,
    TYPE_INTEGER = 4,
    TYPE_FRACTION = 8,  // numbers written as no integer
    TYPE_STRING = 16,
    TYPE_ARRAY = 32,
    TYPE_OBJECT = 64,
    TYPE_ALL = 127
};

void set_add(struct schema_set *s, const json_t *schema, uint64_t done);
void set_release(struct schema_set *s);
// The rule of a value that satisfies all of the set (copied); compiled later.
uint32_t schema_rule_of(struct schema_compiler *c, const struct schema_set *s);
// The set with $ref and allOf followed: objects only. False if nothing can satisfy it, or on
// failure.
bool schema_flatten(struct schema_compiler *c, const struct schema_set *s, struct schema_set *flat);
// The schema that a $ref of `at` names, or NULL after schema_fail.
const json_t *schema_resolve(struct schema_compiler *c, const json_t *at);
// Notes the first failure; returns NODE_ID_FAIL.
uint32_t schema_fail(struct schema_compiler *c, const json_t *at, const char *keyword,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));
// Counts looks at schemas and values, which bounds the time that the schemas of a program take,
// whatever their form. False after schema_fail, once there were too many.
bool schema_works(struct schema_compiler *c, const json_t *at, const char *keyword, size_t n);
unsigned schema_types(struct schema_compiler *c, const struct schema_set *flat);

// Nodes of values of one type that satisfy a flat set.
uint32_t schema_number(struct schema_compiler *c, const struct schema_set *flat, bool integer,
                       uint32_t next);
uint32_t schema_string(struct schema_compiler *c, const struct schema_set *flat, uint32_t next);
uint32_t schema_array(struct schema_compiler *c, const struct schema_set *flat, uint32_t next);
uint32_t schema_object(struct schema_compiler *c, const struct schema_set *flat, uint32_t next);

// Objects' members by their names.
struct member {
    const char *name;
    bool required;
};
struct members {
    struct member *items;
    size_t n, capacity;
    json_t *index;  // name -> place + 1
};
// Adds those that schemas name, in order.
void schema_members(struct schema_compiler *c, const struct schema_set *flat, struct members *m);
void members_release(struct members *m);
// The schemas that the member must satisfy.
void schema_member_set(struct schema_compiler *c, const struct schema_set *flat, const char *name,
                       struct schema_set *out);
// How many members there must be, where that can be told without knowing their names; false after
// schema_fail. others: there may be members without a name here.
bool schema_member_counts(struct schema_compiler *c, const struct schema_set *flat,
                          const struct members *m, bool others, uint32_t *min, uint32_t *max);

// schema_notation.c: what loose and tagged notations write otherwise.
bool set_is_bare(const struct schema_set *s);  // strings of it stand between tags
uint32_t schema_raw_string(struct schema_compiler *c, const struct schema_set *flat, bool bare,
                           uint32_t next);
// The text of a value of a schema (enum, const) or of a member's name; false after schema_fail.
bool schema_notation_of(struct schema_compiler *c, const json_t *at, const json_t *value, bool bare,
                        struct buf *out);
bool schema_notation_of_name(struct schema_compiler *c, const json_t *at, const char *name,
                             struct buf *out);
// Members between tags, of a set that must be an object.
struct schema_tags;
uint32_t schema_tagged(struct schema_compiler *c, const struct schema_set *set,
                       const struct schema_tags *tags);

// What strings of a set must match besides their length.
struct schema_languages {
    struct language list[LANGUAGES_MAX];
    const struct regex *trees[LANGUAGES_MAX];
    size_t n;
    uint32_t min, max;
};
// Adds the set's patterns, formats and lengths. `nfas`: also list, else only trees. False on
// failure.
bool schema_languages(struct schema_compiler *c, const struct schema_set *flat, bool nfas,
                      struct schema_languages *out);
// The automaton of a pattern (searched for, as the keyword wants it), or NULL on failure.
const struct nfa *schema_pattern(struct schema_compiler *c, const json_t *at, const char *keyword,
                                 const char *pattern);
// nfa_matches and nfa_product of the languages, counted as work.
bool schema_matches(struct schema_compiler *c, const json_t *at, const struct nfa *nfa,
                    struct slice text);
bool schema_product(struct schema_compiler *c, const json_t *at, const char *keyword,
                    const struct schema_languages *all, regex_chars *chars, uint32_t next,
                    uint32_t *node);
// Whether a string satisfies the schema's pattern and format.
bool schema_text_fits(struct schema_compiler *c, const json_t *schema, struct slice text);
// The expression of a format, or NULL.
const char *schema_format(const char *name);
// Whether any text is of this format.
bool schema_format_is_any(const char *name);

// The rule of the names of members that are not `names` and satisfy `schemas`' propertyNames, and
// match the patterns of bits set in `which` and none of the others; after the first quote.
struct schema_names {
    const char *const *names;
    size_t n_names;
    const struct nfa *patterns[LANGUAGES_MAX];
    size_t n_patterns;
};
uint32_t schema_other_names(struct schema_compiler *c, const struct schema_set *flat,
                            const struct schema_names *names, unsigned which);

// A keyword's value as a count; false if absent. A wrong one is a failure.
bool schema_count(struct schema_compiler *c, const json_t *schema, const char *keyword,
                  uint32_t *value);
// Largest of the minima and smallest of the maxima over a set. max: REPEAT_NO_MAX if there is none.
void schema_bounds(struct schema_compiler *c, const struct schema_set *flat, const char *min_key,
                   const char *max_key, uint32_t *min, uint32_t *max);

// Whether a value satisfies all of a set. On failure false, and the compiler has failed.
bool schema_accepts(struct schema_compiler *c, const struct schema_set *s, const json_t *value);
bool schema_equal(const json_t *a, const json_t *b);  // as JSON Schema compares
// Whether one of the schema's `enum` equals the value.
bool schema_lists(struct schema_compiler *c, const json_t *schema, const json_t *value);
// No value can satisfy both (and the compiler can tell).
bool schema_disjoint(struct schema_compiler *c, const json_t *a, const json_t *b);
