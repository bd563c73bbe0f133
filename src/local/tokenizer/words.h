// words.h - matchers written by hand for the word expressions that most byte-level models share.
//
// Each covers the whole text: the next word starts where the last one ended. Linear in the text.
// Source: the expressions of GPT-2 and of cl100k (Llama 3, Qwen 2), as tokenizer.json files state
// them.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct word_rules {
    bool cl100k;         // one character of any kind may lead a word; newlines are apart
    bool any_case;       // contractions in capitals too
    bool contractions;   // 's 't 're 've 'm 'll 'd
    uint8_t max_digits;  // in one piece; 0: any number, with a leading space
};
// The rules that an expression states; false if it is none of the known ones.
bool word_rules_find(struct slice regex, struct word_rules *rules);
// End of the word that starts at `from` (< text.len).
size_t word_end(const struct word_rules *rules, const uint16_t *classes, struct slice text,
                size_t from);
// The last match of \s+$ that begins at or after from: true with its range.
bool trailing_spaces(const uint16_t *classes, struct slice text, size_t from, size_t *start,
                     size_t *end);
