// bpe.h - merges of byte pair encoding, by rank (tokenizers) or by score (SentencePiece).
//
// A word is a list of symbols; the pair with the lowest rank, leftmost first, becomes one symbol
// until no pair has a rank. O(n log n) for any word (and near O(n) for a wall of one letter), O(n)
// memory. Threads: immutable once built;
// the work space belongs to a call.
// Source: Sennrich et al., arXiv:1508.07909; the order of merges is that of the two libraries.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpe_merge {
    uint64_t pair;  // left << 32 | right; free slots hold UINT64_MAX
    uint32_t rank;
    int32_t result;
};
struct bpe_merges {
    struct bpe_merge *slots;  // open addressing
    size_t n_slots, n;
    uint32_t max_rank;
};
// A pair that is already there keeps its place, with the new rank and result.
void bpe_merges_add(struct bpe_merges *m, int32_t left, int32_t right, uint32_t rank,
                    int32_t result);
const struct bpe_merge *bpe_merges_find(const struct bpe_merges *m, int32_t left, int32_t right);
void bpe_merges_release(struct bpe_merges *m);

struct bpe_symbol {
    int32_t id;
    uint32_t start, len;  // bytes of the word
    int32_t next;         // index, -1 at the end
    int32_t prev;
    bool frozen;  // never merged (user-defined pieces of SentencePiece)
};
// Pairs of one rank that wait, in the order of the word.
struct bpe_bucket {
    uint32_t rank;
    uint32_t *at;
    size_t n, head, capacity;
    bool sorted;
};
struct bpe_work {
    struct bpe_symbol *symbols;
    size_t n_symbols, capacity;
    uint64_t *heap;  // rank << 32 | index
    size_t n_heap, heap_capacity;
    // For long words only:
    struct bpe_bucket *buckets;
    size_t n_buckets, bucket_capacity;
    uint32_t *bucket_of;  // by rank: index + 1
    size_t n_ranks;
    uint64_t *ranks;  // a heap of rank << 32 | bucket, of the buckets that hold something
    size_t n_waiting, ranks_capacity;
};
void bpe_work_add(struct bpe_work *w, int32_t id, uint32_t start, uint32_t len, bool frozen);
// Merges in place: follow `next` from symbol 0 afterwards.
void bpe_merge_all(const struct bpe_merges *m, struct bpe_work *w);
void bpe_work_release(struct bpe_work *w);
