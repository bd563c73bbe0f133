// breaks.h - where text may be divided: at sentences, words, and never inside a character as
// readers see it (a grapheme cluster).
//
// Threads: one splitter, one thread. Source: unicode.org/reports/tr29, by ICU.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct error;
struct splitter;

enum break_kind { BREAK_SENTENCE, BREAK_WORD, BREAK_CHARACTER, BREAK_KINDS };

struct splitter *splitter_new(struct error *err);  // NULL with err
void splitter_free(struct splitter *s);

// Walks the sentences of a text; lines end sentences too. False at the end. *at starts at 0.
bool splitter_next(struct splitter *s, struct slice text, size_t *at, struct slice *sentence);
// The last place of that kind in 1..limit where the text may be divided, 0 if there is none.
size_t splitter_before(struct splitter *s, struct slice text, enum break_kind kind, size_t limit);
// Bytes of the first character, however many code points it is made of.
size_t splitter_character(struct splitter *s, struct slice text);

// Counts tokens of a piece of text. False with err.
typedef bool count_fn(void *self, struct slice text, int64_t *n, struct error *err);
// Bytes of the longest beginning of text (nearly) that has at most max_tokens and ends at a
// sentence, else at a word, else between characters; 0 if not even one character fits. False only
// if counting failed. Looks at a bounded number of bytes, whatever the text's length.
bool splitter_prefix(struct splitter *s, struct slice text, int64_t max_tokens, count_fn *count,
                     void *self, size_t *bytes, struct error *err);
