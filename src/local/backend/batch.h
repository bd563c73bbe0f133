// batch.h - what one forward pass computes: rows of tokens from several sequences, and where
// their keys and values live. Flat: one block without pointers, so that it can be sent to a
// device or another rank as it is.
//
// Row r has a token, a sequence (index into this batch), a position, and what is wanted of it.
// Rows of one sequence stand together, in ascending positions. Each layer group (layers that
// share page tables: full attention, sliding window) has its own table of pages.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { PAGE_TOKENS = 64, BATCH_GROUPS_MAX = 2 };

// WANT_EMBEDDING: its normed hidden state, by model_hidden() after the pass; of any number of rows.
enum row_want { WANT_NOTHING, WANT_LOGITS, WANT_HIDDEN, WANT_EMBEDDING };

struct batch {
    // capacities, fixed at batch_new
    int32_t max_rows, max_seqs, n_groups, pages_max;
    // contents
    int32_t n_rows, n_seqs;
    int32_t data[];
};

size_t batch_bytes(int max_rows, int max_seqs, int n_groups, int pages_max);
struct batch *batch_new(int max_rows, int max_seqs, int n_groups, int pages_max);
void batch_free(struct batch *b);
void batch_clear(struct batch *b);

// [max_rows] each
static inline int32_t *batch_token(const struct batch *b)
{
    return (int32_t *)b->data;
}
static inline int32_t *batch_pos(const struct batch *b)
{
    return batch_token(b) + b->max_rows;
}
static inline int32_t *batch_seq(const struct batch *b)
{
    return batch_pos(b) + b->max_rows;
}
static inline int32_t *batch_want(const struct batch *b)
{
    return batch_seq(b) + b->max_rows;
}
// [max_seqs]: prompt + max_tokens of the sequence, which fixes rope scalings that depend on length
static inline int32_t *batch_final_len(const struct batch *b)
{
    return batch_want(b) + b->max_rows;
}
// [pages_max]: page numbers of a sequence in a group; entry i holds positions i*PAGE_TOKENS..; -1
// none
static inline int32_t *batch_pages(const struct batch *b, int group, int seq)
{
    return batch_final_len(b) + b->max_seqs +
           ((size_t)group * (size_t)b->max_seqs + (size_t)seq) * (size_t)b->pages_max;
}

// Appends; asserts that there is room. Returns the index.
int batch_add_seq(struct batch *b, int final_len);
int batch_add_row(struct batch *b, int seq, int32_t token, int32_t pos, enum row_want want);
