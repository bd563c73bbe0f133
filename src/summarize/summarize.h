// summarize.h - documents of any length to a faithful summary; an ordinary client of the gateway.
//
// Counts exact tokens; in one go if document, instructions and answer fit the context, else splits
// on structure, summarizes parts and merges hierarchically. Nothing is cut silently: what did not
// fit or failed is in `skipped`. Threads: one call, one thread.
// Design: docs/summarizing.md.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct document;
struct error;
struct caller;
struct gateway;

enum summary_style { STYLE_PARAGRAPH, STYLE_BULLETS, STYLE_OUTLINE };
// "paragraph", "bullets", "outline"; false for others.
bool summary_style_named(struct slice name, enum summary_style *style);
struct summary_options {
    const char *model;
    int words;  // 0: 150
    enum summary_style style;
    const char *ask;       // a question the summary should answer, or NULL
    const char *language;  // or NULL
    bool dry_run;          // plan only, no call
    // Who asks, for every call (gateway/caller.h); with n_parts, or without a request_id. NULL:
    // this machine's user.
    const struct caller *caller;
    // done of total calls; false cancels (ERR_CANCELLED). May be NULL.
    bool (*progress)(void *self, int done, int total, const char *what);
    void *progress_self;
    // More of what the model writes in the last call: a draft of the summary, whole characters.
    // `restart` first: forget what came so far. From the caller's thread, as progress. May be NULL.
    void (*draft)(void *self, struct slice more, bool restart);
    void *draft_self;
    // Asked before a call begins: whether it is its turn. Where `wait` is set, no call is running:
    // then it may take its time, and false with err ends the summary. NULL: it always is.
    bool (*turn)(void *self, bool wait, struct error *err);
    void *turn_self;
    int64_t *bytes_sent;  // that left this machine, set whether it succeeds or not. May be NULL
};
struct summary_part {   // what was left out, and why
    const char *where;  // "report.md, part 3 (bytes 4000-8000)"
    const char *why;
};
struct summary_source {
    int document;
    size_t start, end;
};
struct summary_sentence {
    struct slice text;
    const struct summary_source *sources;
    size_t n_sources;
};
struct summary {
    char *text;  // NULL on a dry run
    char *model;
    struct {
        int calls, levels, parts;
        int64_t prompt_tokens, completion_tokens;
    } plan;  // tokens: estimate
    struct {
        int parts, used;
        struct summary_part *skipped;
        size_t n_skipped;
    } coverage;
    struct {
        int64_t tokens;
    } * documents;  // one per document
    size_t n_documents;
    struct summary_sentence *sentences;
    size_t n_sentences;
    int mended;  // sentences that slipped while they quoted, over all calls (quotations.h)
    int64_t prompt_tokens, completion_tokens, bytes_sent;
    int64_t drafted_tokens, accepted_tokens;  // guessed ahead, and rightly
    int64_t cost_picousd;                     // -1: unknown
    bool local;
    double seconds;
    double first_token_s;  // until the last call began to write; negative: unknown
};
// NULL with err. A summary with n_skipped > 0 is incomplete: the caller's exit status says so.
struct summary *summarize(struct gateway *g, struct document *const *documents, size_t n_documents,
                          const struct summary_options *o, struct error *err);
void summary_free(struct summary *s);
