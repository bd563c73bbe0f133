// quotations.h - answers that quote: their sentences are told apart by what the text has, put back
// into its words where copying slipped, and into its order.
//
// A model that extracts names the most central sentence first, runs items of lists together that
// end without a stop, and now and then slips from one place of a sentence to another: what it then
// says looks like a quotation and is none. An answer in words of its own is left alone. Threads:
// one at a time.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"

struct prompt;
struct quotations;
struct splitter;

struct quotations *quotations_new(void);
void quotations_free(struct quotations *q);
// Takes in the sentences of a text, which is borrowed: where they end, answers are cut.
void quotations_learn(struct quotations *q, struct splitter *s, struct slice text);

// Changes `answer` only if at least half of its words stand in whole sentences of the prompt's
// text, word for word. Then
// - a sentence that begins and ends as one of the text does, at least half of it, but has other
//   words between becomes that sentence;
// - what was said already goes, and what ends in the words of the instructions;
// - if nothing but quotations is left, they follow the order of the text (lines if there are
// several,
//   else sentences).
// In the last answer a quotation without a stop ends its line; before, models merge better what
// stands as they wrote it. Returns how many sentences had slipped: were put back into words of the
// text, or went though they had not been said.
size_t quotations_restore(struct quotations *q, struct splitter *s, const struct prompt *prompt,
                          bool last, struct buf *answer);
