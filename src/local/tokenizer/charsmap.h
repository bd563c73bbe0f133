// charsmap.h - SentencePiece's precompiled normalization: a double-array trie and replacements.
//
// The blob is not trusted: every step is checked, so a broken one maps less, never reads outside.
// Source: sentencepiece, normalizer.cc; Darts-clone's unit format.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct error;
struct charsmap {
    const unsigned char *units;  // 4 bytes each, little endian
    size_t n_units;
    struct slice replacements;  // NUL after each
};
// The bytes stay the caller's. False with err.
bool charsmap_open(struct charsmap *m, struct slice blob, const char *field, struct error *err);
// Rule for a start of text: its length, 0 if none; the shortest or the longest there is.
size_t charsmap_find(const struct charsmap *m, struct slice text, bool longest,
                     struct slice *replacement);
