// stops.h - finds stop strings in text that arrives in pieces, and says how much may be shown.
//
// The stop that is complete first wins, of several that end together the longest, so that the
// result does not depend on how the text was cut into tokens. Text that may be the beginning of a
// stop is held back. One Knuth-Morris-Pratt automaton a string: linear time whatever the text.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct stop_pattern {
    struct slice text;  // own copy
    size_t *fallback;   // [len] length of the longest border of the first i + 1 bytes
};
struct stop_set {  // shared by the choices of a request; immutable
    struct stop_pattern *patterns;
    size_t n;
};
void stop_set_init(struct stop_set *s, const struct slice *stops, size_t n);  // none empty
void stop_set_release(struct stop_set *s);

struct stop_matcher {
    const struct stop_set *set;
    size_t *matched;  // [n] bytes of each pattern that the text now ends with
};
void stop_matcher_init(struct stop_matcher *m, const struct stop_set *set);
void stop_matcher_release(struct stop_matcher *m);

// Reads more text. Returns true if a stop became complete: then *length is its length and *end how
// many bytes of `more` belong to it or stand before it. The matcher is then of no more use.
bool stop_matcher_read(struct stop_matcher *m, struct slice more, size_t *end, size_t *length);
// How many of the last bytes read may be the beginning of a stop.
size_t stop_matcher_held(const struct stop_matcher *m);
