// quotations.h - answers that quote: their sentences are told apart by what the text has, put back
// into its words where copying slipped, and into its order.
//
// A model that extracts names the most central sentence first, runs items of lists together that
// end without a stop, and now and then slips from one place of a sentence to another: what it then
// says looks like a quotation and is none. An answer in words of its own is left alone. Threads:
// one at a time.
#pragma once
#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"

struct splitter;

// Changes `answer` only if at least half of its words stand in whole sentences of `text`, word for
// word. Then a sentence that has a sentence's beginning and end, at least half of it together, but
// not its words becomes that sentence, or goes if that was said already; a quotation without a stop
// ends its line; and if nothing but quotations is left, they follow the order of the text (lines if
// there are several, else sentences). Returns how many sentences were put back into words of the
// text or went.
size_t quotations_restore(struct splitter *s, struct slice text, struct buf *answer);
