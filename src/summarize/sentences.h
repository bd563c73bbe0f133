// sentences.h - what is done with sentences of summaries: repeated ones dropped, long answers cut
// at whole ones, and each traced to where in the documents it seems to come from.
//
// Threads: one at a time.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

struct arena;
struct document;
struct splitter;
struct summary_sentence;

// The same sentence is said once, whatever its case and spaces; across texts where they share
// `seen`.
struct sentence_set {
    uint64_t *hashes;  // an open table, 0 is free
    size_t n, capacity;
};
void sentence_set_release(struct sentence_set *seen);
// Appends text without sentences that were seen before; lines stay lines.
void sentences_without_repeats(struct splitter *s, struct slice text, struct sentence_set *seen,
                               struct buf *out);
// Drops what follows the last whole sentence; all of it stays if there is none.
void sentences_cut_whole(struct splitter *s, struct buf *text);

// The sentences of a summary, each with the blocks it most likely comes from: the block that holds
// it word for word, else those that share most of its words, else none.
struct summary_sentence *sentences_trace(struct splitter *s, struct slice summary,
                                         struct document *const *documents, size_t n_documents,
                                         struct arena *a, size_t *n);
