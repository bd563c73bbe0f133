// words.h - where any of many exact texts stands in a text, in one pass (Aho and Corasick, 1975).
//
// Memory is some 20 bytes for each byte of the words at most; a pass takes time as the text is
// long, whatever the words are. Threads: read only once it is built.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct words;

struct words *words_new(void);
void words_free(struct words *w);  // NULL is fine
// Not empty; all are added before words_build, and searched after it. Of equal ones the first
// counts.
void words_add(struct words *w, struct slice word, uint32_t mark);
void words_build(struct words *w);
// Goes on with `state` (0 at first) by one byte; the length of the longest word that ends with it
// (0: none), and its mark.
size_t words_step(const struct words *w, uint32_t *state, unsigned char byte, uint32_t *mark);
