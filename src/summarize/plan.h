// plan.h - how documents become parts that fit a model's context, before anything is asked.
//
// Blocks become units (a paragraph, a list item; pieces of one that is too long), units are packed
// into parts of consecutive text, each counted exactly as the model will read it. What can never
// fit is told in `left_out`. Threads: one at a time.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "summarize/calls.h"
#include "summarize/summarize.h"

struct document;
struct error;
struct splitter;

struct budget {
    int ctx;          // of the model
    int margin;       // tokens kept free in every call
    double per_word;  // tokens per word, measured on the documents
    int words;        // of the final summary
    int final_room;   // tokens for it
    int part_words;   // of the summary of a part, and of merges that are not the last
    int part_room;
    int part_tokens;   // text of a part
    int merge_tokens;  // summaries that one merge takes in
};

struct plan_part {
    int document;
    size_t start, end;  // bytes of the source
    struct slice title, section, text;
    int64_t prompt_tokens;
};

struct plan {
    struct arena arena;
    struct budget budget;
    struct slice title;         // of the only document, else empty
    bool no_title, no_section;  // the context is too small for them
    bool direct;                // one call with one part
    struct plan_part *parts;
    size_t n_parts, parts_capacity;
    struct summary_part *left_out;
    size_t n_left_out, left_out_capacity;
    int64_t *document_tokens;  // one per document
    int64_t n_words, n_tokens;
};

// False with err; the plan is to be released either way.
bool plan_make(struct plan *p, const struct asker *c, struct splitter *s,
               struct document *const *documents, size_t n_documents,
               const struct summary_options *o, int ctx, struct error *err);
void plan_release(struct plan *p);
void plan_leave_out(struct plan *p, const char *where, const char *why);  // texts in the arena

// The prompt of a part or of a merge, but for its text and words.
struct prompt plan_prompt(const struct plan *p, const struct summary_options *o,
                          enum prompt_task task);
// Tokens that an answer of so many words may take.
int plan_room(const struct budget *b, int words);
