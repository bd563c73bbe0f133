// gbnf.h - grammars as llama.cpp writes them, to programs.
//
// Rules "name ::= ..." of literals, classes, '.', names, groups, '|', * + ? {m} {m,} {m,n}, and
// comments; the text starts at `root`. Characters are code points. Refused: left recursion (as
// there), a rule twice, and tokens by their name or id (<think>, <[1000]>). Errors name the line.
// Threads: any.
// Source: github.com/ggml-org/llama.cpp/blob/master/grammars/README.md
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct error;
struct program;

// NULL with err. A finished program.
struct program *gbnf_compile(struct slice text, struct error *err);
// Adds its rules to a program that is not finished yet; *rule is its root. False with err.
bool gbnf_add(struct program *p, struct slice text, uint32_t *rule, struct error *err);
