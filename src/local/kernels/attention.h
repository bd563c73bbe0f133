// attention.h - attention of some queries of one sequence that share a KV head.
//
// K and V are read page by page, once for all queries of a task. The result of a query is defined
// by its position alone: pages are taken in ascending order, in segments of ATTENTION_SEGMENT
// pages that count from the text's beginning. Each segment begins a softmax of its own (the
// largest score, the sum of weights, the weighted sum of V), and these parts are merged in
// ascending order. So segments may be computed by several threads, and the bits are those of one.
// Threads: pure functions; scratch and parts belong to the caller.
// Source: PagedAttention, arXiv:2309.06180; online softmax, arXiv:1805.02867; splitting over keys,
// Flash-Decoding (crfm.stanford.edu/2023/10/12/flashdecoding.html).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "local/kernels/kv_page.h"

enum {
    ATTENTION_QUERIES = 96,
    ATTENTION_SEGMENT = 8,
    SEGMENT_TOKENS = ATTENTION_SEGMENT * KV_PAGE
};

struct attention_task {
    int n_queries;  // 1..ATTENTION_QUERIES
    const float *q[ATTENTION_QUERIES];
    float *out[ATTENTION_QUERIES];
    int32_t pos[ATTENTION_QUERIES];  // sees positions <= pos
    float sink[ATTENTION_QUERIES];   // used if has_sinks
    const int32_t *pages;            // page numbers of the sequence
    const uint8_t *k, *v;            // of page 0, as kv_page.h describes
    size_t page_bytes;               // from page to page
    enum dtype dtype;                // of K and V
    int head_dim;
    float scale, softcap;  // softcap 0: none
    int window;            // 0: all; else positions > pos - window
    bool has_sinks;
};

// The segments that some query sees: first..last.
struct segment_range {
    int first, last;
};
static inline int attention_first_seen(const struct attention_task *t, int query)
{
    int first = t->window > 0 ? t->pos[query] + 1 - t->window : 0;
    return first > 0 ? first : 0;
}
static inline struct segment_range attention_segments(const struct attention_task *t)
{
    struct segment_range r = {INT32_MAX, 0};
    for (int i = 0; i < t->n_queries; i++) {
        int first = attention_first_seen(t, i) / SEGMENT_TOKENS, last = t->pos[i] / SEGMENT_TOKENS;
        r.first = first < r.first ? first : r.first;
        r.last = last > r.last ? last : r.last;
    }
    return r;
}
static inline bool attention_sees(const struct attention_task *t, int query, int segment)
{
    return attention_first_seen(t, query) / SEGMENT_TOKENS <= segment &&
           segment <= t->pos[query] / SEGMENT_TOKENS;
}

// Floats of a part: largest score, sum of weights, weighted sum of V; in units of the table's own.
static inline size_t attention_part_floats(int head_dim)
{
    return (size_t)head_dim + 2;
}
// Floats of scratch.
static inline size_t attention_scratch(int head_dim)
{
    size_t n = (size_t)head_dim, page = (n > KV_PAGE ? n : KV_PAGE) * KV_PAGE;
    return ATTENTION_QUERIES * (3 * n + KV_PAGE + 4) + page + 64;
}

struct attention_kernels {
    // Everything: all segments, merged, to out.
    void (*all)(const struct attention_task *t, float *scratch);
    // One segment: parts[n_queries] of it; those of queries that do not see it stay unwritten.
    void (*part)(const struct attention_task *t, int segment, float *parts, float *scratch);
    // Segments r.first..r.last to out; parts [segment - r.first][n_queries]. q, K, V are not read.
    void (*merge)(const struct attention_task *t, const float *parts, struct segment_range r,
                  float *scratch);
};
