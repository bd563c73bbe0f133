// added.h - added tokens: texts that become one id before anything else looks at them.
//
// Some are sought in the text as it came, some ("normalized") in the normalized text.
// Source: tokenizers, AddedVocabulary.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "local/tokenizer/trie.h"

struct error;

enum { ADDED_MAX = 1 << 16, ADDED_MAX_BYTES = 1 << 22 };
struct added_token {
    struct slice text;
    struct slice sought;  // the normalized text where normalized
    int32_t id;
    uint32_t order;  // of the file
    bool guarded;    // begins or ends texts or turns: like a special one, no value may forge it
    bool special, lstrip, rstrip, single_word, normalized;
};
struct added_tokens {
    struct arena text;
    struct added_token *items;
    size_t n, capacity;
    struct trie raw, normalized;  // values: index of the item
};
// Takes a copy of text; of several tokens with one id the last counts. False with err.
bool added_set(struct added_tokens *a, struct added_token token, const char *field,
               struct error *err);
// Once all are set: orders them, so that they can be found by id.
void added_sort(struct added_tokens *a);
// By id; NULL if it is not an added token.
const struct added_token *added_of(const struct added_tokens *a, int32_t id);
const struct added_token *added_find(const struct added_tokens *a, struct slice text);
// Builds the tries, once `sought` is filled (each at most SCANNED_MAX_BYTES, or left out).
void added_index(struct added_tokens *a);
void added_release(struct added_tokens *a);

struct added_match {
    size_t start, end;
    const struct added_token *token;
};
// What may match where: special tokens at all, and (tainted, may be NULL, one byte for each byte
// of the text) not in bytes that came from a value.
struct added_filter {
    bool special;
    const uint8_t *tainted;
    const uint16_t *classes;
};
// The next token at or after *from; *from moves behind what was looked at. `taken` is the end of
// the match before. False at the end of the text.
bool added_next(const struct added_tokens *a, const struct trie *t, struct slice text,
                const struct added_filter *filter, size_t *from, size_t taken,
                struct added_match *match);
