// seq_pages.h - the pages of one sequence: found again, taken, remembered, shared, given back.
// Internal to the scheduler (scheduler.c decides, this keeps the tables).
#pragma once
#include <stdbool.h>

#include "local/engine/scheduler.h"

// Page tables of the slot must be empty. Finds the longest computed prefix of the sequence's tokens
// (but those of which something is wanted, as the last one's logits), takes references to its pages
// and sets n_computed.
void seq_pages_match(struct scheduler *s, struct sequence *seq);
// Of a running sequence with no rows in this step yet, at a page's border: takes the pages that
// others have computed since, if there are more than it has.
void seq_pages_catch_up(struct scheduler *s, struct sequence *seq);

// Takes the pages that positions up to (not including) `end` need in group g. False when there is
// no page; what was taken so far stays, it will be needed.
bool seq_pages_extend(struct scheduler *s, struct sequence *seq, int group, int end);

// Pages group g must still take until `end` positions are computed.
int seq_pages_missing(const struct scheduler *s, const struct sequence *seq, int group, int end);

void seq_pages_remember(struct scheduler *s, struct sequence *seq);  // full pages, in the tree
void seq_pages_leave_window(struct scheduler *s, struct sequence *seq);
// Gives back the pages after those that the computed tokens need, which only drafts have seen, and
// forgets what a draft model knows of positions after them.
void seq_pages_truncate(struct scheduler *s, struct sequence *seq);
void seq_pages_give_back(struct scheduler *s, struct sequence *seq);  // all; n_computed = 0
bool seq_pages_share(struct scheduler *s, const struct sequence *from, struct sequence *to,
                     struct page_copy *copies);
