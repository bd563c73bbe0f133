// charset.h - sets of code points, as ascending ranges that do not touch.
#pragma once
#include "local/sampling/grammar/program.h"

enum { CODE_MAX = 0x10FFFF };

struct charset {
    struct code_range *ranges;
    size_t n, capacity;
};
void charset_add(struct charset *s, uint32_t low, uint32_t high);  // in any order
void charset_add_all(struct charset *s, const struct code_range *ranges, size_t n);
void charset_sort(struct charset *s);    // makes the ranges as they should be
void charset_negate(struct charset *s);  // of a sorted one
void charset_release(struct charset *s);
