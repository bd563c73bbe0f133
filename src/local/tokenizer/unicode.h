// unicode.h - what the tokenizers need to know of characters.
//
// Classes come from our own table (unicode_tables.c), because the libraries the models were made
// with know a newer Unicode in some places and an older one in others; normal forms are ICU's,
// with the characters excepted that the library does not know yet.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct buf;

enum char_class {
    CHAR_LETTER = 1 << 0,         // \p{L}
    CHAR_NUMBER = 1 << 1,         // \p{N}
    CHAR_SPACE = 1 << 2,          // White_Space
    CHAR_MARK = 1 << 3,           // \p{M}
    CHAR_PUNCT = 1 << 4,          // \p{P}
    CHAR_SYMBOL = 1 << 5,         // \p{S}
    CHAR_UPPER = 1 << 6,          // \p{Lu}, \p{Lt}
    CHAR_LOWER = 1 << 7,          // \p{Ll}
    CHAR_BERT_PUNCT = 1 << 8,     // Punctuation and BertPreTokenizer: an older Unicode, and ASCII
    CHAR_NUMERIC = 1 << 9,        // Digits
    CHAR_WORD = 1 << 10,          // \w of the pre-tokenizer Whitespace
    CHAR_BERT_MARK = 1 << 11,     // BertNormalizer's accents
    CHAR_COMBINING = 1 << 12,     // StripAccents
    CHAR_BERT_CONTROL = 1 << 13,  // BertNormalizer's clean_text removes it
    CHAR_NEWER = 1 << 14,         // assigned after Unicode 14, unknown to PCRE2 10.42
    CHAR_INERT = 1 << 15,         // the library does not decompose, reorder or compose it, ICU does
};
struct char_range {
    uint32_t first, last;
    uint16_t classes;
};
extern const struct char_range char_ranges[];
extern const int n_char_ranges;
extern const uint32_t char_lower[][2];
extern const int n_char_lower;
extern const uint32_t char_newer[][3];
extern const int n_char_newer;

// Classes of every code point, spread out for speed. Freed with free().
uint16_t *char_classes_new(void);

// Appends what lower case makes of c (Rust's char::to_lowercase: no context).
void char_to_lower(uint32_t c, struct buf *out);

// Copies text with every CHAR_NEWER replaced by an older character of its kind and length, for a
// regex engine with older tables. False, and nothing copied, if there is none.
bool char_stand_ins(struct slice text, const uint16_t *classes, struct buf *out);

enum normal_form { FORM_NFC, FORM_NFD, FORM_NFKC, FORM_NFKD };
// Appends text (valid UTF-8) in a normal form. Long runs are cut where no cut can be seen.
void normalize_form(enum normal_form form, struct slice text, const uint16_t *classes,
                    struct buf *out);
// Length of the piece at the start of text that normalizes on its own.
size_t normal_chunk(enum normal_form form, struct slice text, const uint16_t *classes);

// Reads text as Python does with errors="replace": appends it with one U+FFFD for each maximal
// part of a broken character. False, and nothing appended, if it was valid all along.
bool utf8_repair(struct slice text, struct buf *out);
// How many of the bytes at the start are one broken character (WHATWG's maximal subpart), >= 1.
size_t utf8_broken(const char *p, size_t len);
