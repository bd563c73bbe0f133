// raw_text.h - texts as they stand between marks: any characters but NUL, and without some texts
// in them, which would end them.
//
// No such text may begin with an end of itself, so that what follows a text can be told from it.
// Threads: immutable once made.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "local/sampling/grammar/nfa.h"

enum { RAW_TEXT_ENDS_MAX = 8 };

struct raw_text;
// ends [n] are copied; empty ones are none. At most RAW_TEXT_ENDS_MAX.
struct raw_text *raw_text_new(const struct slice *ends, size_t n);
void raw_text_free(struct raw_text *r);  // NULL is fine

// The language of what cannot stand there: texts with NUL or an end in them.
const struct nfa *raw_text_broken(const struct raw_text *r);
// And of more: texts with NUL or the first character of an end in them.
const struct nfa *raw_text_unplain(const struct raw_text *r);
uint32_t raw_text_emit(struct program *p, const struct raw_text *r, uint32_t next);
// The same of min to max characters: so that counting them stays cheap, without the first two
// characters of an end, or even the first.
uint32_t raw_text_sized(struct program *p, const struct raw_text *r, uint32_t min, uint32_t max,
                        uint32_t next);
// The same, where the first character is none of `not_first`, a class as regex.h reads it.
uint32_t raw_text_begun(struct program *p, const struct raw_text *r, const char *not_first,
                        uint32_t next);
