// scheduler.h - decides which rows the next step computes and which pages hold them.
//
// Pure bookkeeping: no clock, no tensors, no locks, no model. State in, batch out; so a test can
// run millions of steps (tests/simulation). It owns pages and page tables; a sequence belongs to
// its owner, who lends it between scheduler_add and scheduler_remove.
//
// A step: every sequence that generates brings one row, oldest first; then waiting sequences are
// admitted if their prompts fit; the rows and the time that are left (step_times.h) go to prompts,
// a quantum at a time to the flow that has had the least for its weight. Of prompts that begin
// alike only one is read, the others wait for its pages. Priority is strict. When pages run out,
// paused sequences and then the youngest of the lowest priority are preempted: they give back all
// pages and wait to be recomputed; so is, when slots run out, the youngest of a flow that has more
// than its share of them. The oldest is never preempted for others, so everything ends.
//
// Last come guessed tokens (drafts), in rows and pages that nobody else needs in this step. Their
// rows count only once scheduler_append has brought the same tokens; what was guessed wrongly gives
// its pages back at once, so that between two steps no sequence holds more than its tokens need.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "local/backend/batch.h"
#include "local/engine/flows.h"
#include "local/engine/page_pool.h"
#include "local/engine/prefix.h"
#include "local/engine/step_times.h"
#include "local/models/pooling.h"

enum sequence_state { SEQUENCE_OUT, SEQUENCE_WAITING, SEQUENCE_RUNNING };

struct sequence {
    // The owner's. Tokens are appended by scheduler_append, up to final_len.
    int32_t *tokens;
    int n_tokens;
    int final_len;  // prompt + max_tokens
    // Guessed tokens that stand after n_tokens, set anew before each step: at most final_len - 1 -
    // n_tokens. A step may take fewer, and none while tokens before them are not computed.
    int n_draft;
    // Not POOLING_NONE: nothing is appended, but hidden states of these tokens are wanted. Where
    // they are of tokens before the last, no page is taken that another has computed.
    enum pooling pooling;
    // Known tokens are scored: the logits of all tokens from n_scored on are wanted, and no page is
    // taken that another has computed beyond it. The owner moves n_scored on as they come.
    bool scores;
    int n_scored;
    uint64_t page_salt;  // pages are shared only between equal ones
    uint64_t flow_id;
    int weight;  // >= 1
    int priority;
    int64_t deadline;  // only compared; 0: none
    uint64_t arrival;  // 0: numbered by scheduler_add
    void *owner;
    // The scheduler's.
    enum sequence_state state;
    bool paused;
    // In this step: another computes the page that it would, or no more rows may want logits.
    bool deferred;
    int slot, flow;
    int n_computed;   // tokens whose keys and values are in pages
    int n_cached;     // of those of the prompt, found in the prefix cache
    int n_preempted;  // how often
    bool was_admitted;
    int32_t node;  // of the last page that the prefix tree knows
    int n_known;   // pages known to the tree
    int first_page[BATCH_GROUPS_MAX], n_pages[BATCH_GROUPS_MAX];  // held: [first_page, n_pages)
    struct sequence *prev, *next;                                 // waiting list
};

struct scheduler_options {
    int n_groups;
    int window[BATCH_GROUPS_MAX];   // 0: keeps everything
    int n_pages[BATCH_GROUPS_MAX];  // each at least scheduler_pages_needed(ctx)
    int max_rows, max_seqs, ctx;
    int max_wanted;  // rows of a step whose logits are wanted; at least max_seqs
    bool no_prefix_cache;
};
// Pages of a group that one sequence of n tokens may hold at once.
int scheduler_pages_needed(int n_tokens, int window, int max_rows);

struct scheduler_row_run {  // what the step computes of one sequence, in the batch's order
    struct sequence *seq;
    int n_rows;
    // The last so many rows want logits: those of n_scored tokens whose successors are known, and
    // at the text's end 1 and one for each guessed token.
    int n_logits, n_scored;
    int first_hidden, n_hidden;  // rows whose hidden states are wanted
};

struct scheduler {
    struct scheduler_options o;
    int pages_max;  // entries of a page table
    struct page_pool pool[BATCH_GROUPS_MAX];
    struct prefix_tree prefix;
    int32_t *tables;          // [n_groups][max_seqs][pages_max]
    struct sequence **slots;  // [max_seqs]
    int *planned;             // [max_seqs] rows of this step
    struct sequence **order;  // [max_seqs] running, oldest first
    int32_t *chain;           // [pages_max] scratch of admission
    int n_running, n_waiting;
    struct sequence *waiting_first, *waiting_last;
    struct flows flows;
    uint64_t arrivals;
    int rests;  // steps in which nobody is admitted, as nobody could be a moment ago
    struct step_times times;
    struct step_work work;           // of the step that was planned
    struct scheduler_row_run *runs;  // [max_seqs]
    int n_runs;
    int64_t n_preemptions;
};

struct scheduler *scheduler_new(const struct scheduler_options *o);
void scheduler_free(struct scheduler *s);  // of which all sequences were removed

void scheduler_add(struct scheduler *s, struct sequence *seq);
void scheduler_remove(struct scheduler *s, struct sequence *seq);
void scheduler_pause(struct scheduler *s, struct sequence *seq, bool paused);

// Decides the next step: s->runs says what it holds. Returns the number of rows. 0: nothing can be
// done now (no sequences, or all are paused). Guessed tokens may still change after it, but not
// their number.
int scheduler_plan(struct scheduler *s);
void scheduler_emit(struct scheduler *s, struct batch *batch);  // fills batch with it
int scheduler_step(struct scheduler *s, struct batch *batch);   // both
// What the step took: from then on prompts get as many rows as fit the time of a step. Without it
// they get as many as there are.
void scheduler_measured(struct scheduler *s, double seconds);
// After the step was computed: counts its rows, remembers full pages, gives back pages that left
// a window. Then the owner appends tokens, forks, removes.
void scheduler_settle(struct scheduler *s);
// The sequence goes on with this token. True if it is the one that was guessed for its place: then
// its row is computed already, and the run's next logits are those after it. False: all that is
// still guessed is dropped.
bool scheduler_append(struct scheduler *s, struct sequence *seq, int32_t token);

struct page_copy {
    int32_t from, to;
};
// Makes `to` (not yet added; the same tokens as `from`, all of them computed) run beside `from` on
// its pages. The last page, where it is partly filled, must be copied by the caller: copies
// [n_groups], from = -1 where there is nothing to copy. False if there is no slot or page: then
// scheduler_add(to) makes it wait and compute on its own.
bool scheduler_fork(struct scheduler *s, const struct sequence *from, struct sequence *to,
                    struct page_copy *copies);

static inline int32_t *scheduler_table(const struct scheduler *s, int group, int slot)
{
    return s->tables +
           ((size_t)group * (size_t)s->o.max_seqs + (size_t)slot) * (size_t)s->pages_max;
}
