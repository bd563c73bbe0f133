// pattern.h - what splits or replaces text: a literal, a regular expression, or a class of
// characters.
//
// The expressions that most models publish have matchers written by hand, linear in the text;
// the others run on PCRE2, translated from the dialect of the library's engine (Oniguruma, Ruby
// syntax), under limits that end in ERR_LIMIT. Threads: immutable; a matcher belongs to one call.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct error;
struct pattern;

// NULL with err naming field: an expression that does not compile or is not supported.
struct pattern *pattern_new_regex(struct slice source, const char *field, struct error *err);
struct pattern *pattern_new_text(struct slice text, const char *field);
// One character of any of these classes (enum char_class).
struct pattern *pattern_new_class(uint16_t classes, const char *field);
void pattern_free(struct pattern *p);
// True if the pattern is the text of one byte.
bool pattern_is_byte(const struct pattern *p, char *byte);

// State of one tokenizer call, shared by all its patterns. Zero it, set classes.
struct matcher {
    const uint16_t *classes;
    void *match_data, *context;  // PCRE2's, made when needed
    int64_t deadline_ns;         // CPU time of this thread that expressions may use
    unsigned n_matches;
};
void matcher_release(struct matcher *m);

// The text to match against instead of `text`, byte for byte as long: itself, or a copy in
// `shadow` in which PCRE2 knows every character. Ask once, then search in what is returned.
struct buf;
struct slice pattern_text(const struct pattern *p, const struct matcher *m, struct slice text,
                          struct buf *shadow);

struct match {
    size_t start, end;
};
// The first match that starts at or after from. 1 found, 0 none, -1 err. Text is valid UTF-8.
int pattern_next(const struct pattern *p, struct matcher *m, struct slice text, size_t from,
                 struct match *found, struct error *err);
