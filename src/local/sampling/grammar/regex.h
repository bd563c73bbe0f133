// regex.h - regular expressions: read to a tree, written as nodes of a program.
//
// The dialect is what ECMA-262, PCRE2 and Python's re agree on: literals, '.' (no line ends),
// classes, \d \w \s (of ASCII) and their complements, \t \n \r \f \v \0 \cX \xHH \uHHHH \u{H},
// groups (also
// (?:...) and named ones), '|', * + ? {m} {m,} {m,n}, lazy or not (which changes no language), and
// ^ and $ at the ends of an alternative. Characters are code points. Refused by name:
// backreferences, look-around, \b, \p{...}, flags, possessive quantifiers, anchors elsewhere.
// Threads: a tree is immutable.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "local/sampling/grammar/program.h"

struct charset;
struct error;

enum { REGEX_DEPTH_MAX = 200, REGEX_BYTES_MAX = 1 << 16 };

// START and END are gone when reading is done; CALL is of grammars: rule `min` of a program.
enum regex_kind {
    REGEX_SET,
    REGEX_CAT,
    REGEX_ALT,
    REGEX_REPEAT,
    REGEX_CALL,
    REGEX_START,
    REGEX_END
};
struct regex {
    enum regex_kind kind;
    const struct code_range *ranges;  // SET: n of them, sorted
    size_t n;
    struct regex *first, *last;  // children; CAT without: the empty text, ALT without: nothing
    struct regex *next;          // of the parent's children
    uint32_t min, max;           // REPEAT
};

// The tree, in the arena, or NULL with err. search: the text may have more before and after, where
// it is not anchored; else ^ and $ say what is so anyway.
struct regex *regex_read(struct slice text, bool search, struct arena *a, struct error *err);

// For other readers of such trees (gbnf.c). regex_set sorts and releases the set.
struct regex *regex_new(struct arena *a, enum regex_kind kind);
void regex_append(struct regex *parent, struct regex *child);
struct regex *regex_set(struct arena *a, struct charset *s);

// Writes a set of characters as nodes: node_chars, or emit_chars inside of JSON strings.
typedef uint32_t regex_chars(struct program *p, const struct code_range *ranges, size_t n,
                             uint32_t next);
uint32_t regex_emit(struct program *p, const struct regex *r, regex_chars *chars, uint32_t next);
// Characters of the shortest and the longest text (UINT32_MAX: no bound).
void regex_lengths(const struct regex *r, uint32_t *min, uint32_t *max);

// A text that the expression matches as a whole. A finished program, or NULL with err.
struct program *regex_compile(struct slice text, struct error *err);
