#include "local/engine/scheduler.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "local/engine/scheduler_impl.h"
#include "local/engine/seq_pages.h"

int scheduler_pages_needed(int n_tokens, int window, int max_rows)
{
    int all = (n_tokens + PAGE_TOKENS - 1) / PAGE_TOKENS;
    if (!window)
        return all;
    // What a chunk of max_rows sees, and a page more, as neither end need be a page's border.
    int seen = (window + max_rows + PAGE_TOKENS - 1) / PAGE_TOKENS + 1;
    return seen < all ? seen : all;
}

struct scheduler *scheduler_new(const struct scheduler_options *o)
{
    assert(o->n_groups > 0 && o->n_groups <= BATCH_GROUPS_MAX);
    assert(o->max_seqs > 0 && o->max_rows >= o->max_seqs && o->ctx > 0);
    assert(o->max_wanted >= o->max_seqs);
    struct scheduler *s = memory_new(1, sizeof *s);
    s->o = *o;
    s->pages_max = (o->ctx + PAGE_TOKENS - 1) / PAGE_TOKENS;
    int n_nodes = 0;
    for (int g = 0; g < o->n_groups; g++) {
        assert(o->n_pages[g] >= scheduler_pages_needed(o->ctx, o->window[g], o->max_rows));
        page_pool_init(&s->pool[g], o->n_pages[g]);
        n_nodes += o->n_pages[g];
    }
    // Nodes that lost their pages but not their children need room too.
    prefix_init(&s->prefix, n_nodes * 2 + s->pages_max);
    size_t n_seqs = (size_t)o->max_seqs, n_pages = (size_t)s->pages_max;
    size_t n_tables = (size_t)o->n_groups * n_seqs * n_pages;
    s->tables = memory_array(int32_t, n_tables);
    memset(s->tables, 0xff, n_tables * sizeof *s->tables);
    s->slots = memory_array(struct sequence *, n_seqs);
    s->planned = memory_array(int, n_seqs);
    s->order = memory_array(struct sequence *, n_seqs);
    s->chain = memory_array(int32_t, n_pages);
    s->runs = memory_array(struct scheduler_row_run, n_seqs);
    return s;
}

void scheduler_free(struct scheduler *s)
{
    if (!s)
        return;
    assert(s->n_running == 0 && s->n_waiting == 0);
    for (int g = 0; g < s->o.n_groups; g++)
        page_pool_release(&s->pool[g]);
    prefix_release(&s->prefix);
    free(s->tables);
    free(s->slots);
    free(s->planned);
    free(s->order);
    free(s->chain);
    free(s->runs);
    flows_release(&s->flows);
    free(s);
}

// Waiting, running, gone

void scheduler_wait(struct scheduler *s, struct sequence *seq)
{
    seq->state = SEQUENCE_WAITING;
    seq->slot = -1;
    seq->prev = s->waiting_last;
    seq->next = NULL;
    *(s->waiting_last ? &s->waiting_last->next : &s->waiting_first) = seq;
    s->waiting_last = seq;
    s->n_waiting++;
}

void scheduler_stop_waiting(struct scheduler *s, struct sequence *seq)
{
    *(seq->prev ? &seq->prev->next : &s->waiting_first) = seq->next;
    *(seq->next ? &seq->next->prev : &s->waiting_last) = seq->prev;
    seq->prev = seq->next = NULL;
    s->n_waiting--;
}

bool scheduler_take_slot(struct scheduler *s, struct sequence *seq)
{
    for (int i = 0; i < s->o.max_seqs; i++)
        if (!s->slots[i]) {
            s->slots[i] = seq;
            s->planned[i] = 0;
            seq->slot = i;
            seq->state = SEQUENCE_RUNNING;
            s->n_running++;
            s->flows.entries[seq->flow].n_running++;
            return true;
        }
    return false;
}

void scheduler_leave_slot(struct scheduler *s, struct sequence *seq)
{
    seq_pages_give_back(s, seq);
    seq->n_draft = 0;
    s->slots[seq->slot] = NULL;
    s->planned[seq->slot] = 0;
    seq->slot = -1;
    s->n_running--;
    s->flows.entries[seq->flow].n_running--;
}

void scheduler_preempt(struct scheduler *s, struct sequence *seq)
{
    scheduler_leave_slot(s, seq);
    scheduler_wait(s, seq);
    seq->n_preempted++;
    s->n_preemptions++;
}

static void enter(struct scheduler *s, struct sequence *seq)
{
    assert(seq->n_tokens > 0 && seq->n_tokens <= seq->final_len && seq->final_len <= s->o.ctx);
    assert(seq->weight >= 1 && seq->state == SEQUENCE_OUT);
    if (!seq->arrival)
        seq->arrival = ++s->arrivals << 16;  // room for the choices of one prompt
    seq->flow = flows_enter(&s->flows, seq->flow_id);
    seq->node = -1;
    seq->n_known = seq->n_computed = seq->n_draft = 0;
    memset(seq->first_page, 0, sizeof seq->first_page);
    memset(seq->n_pages, 0, sizeof seq->n_pages);
}

void scheduler_add(struct scheduler *s, struct sequence *seq)
{
    enter(s, seq);
    scheduler_wait(s, seq);
}

void scheduler_remove(struct scheduler *s, struct sequence *seq)
{
    if (seq->state == SEQUENCE_OUT)
        return;
    if (seq->state == SEQUENCE_RUNNING)
        scheduler_leave_slot(s, seq);
    else
        scheduler_stop_waiting(s, seq);
    flows_leave(&s->flows, seq->flow);
    seq->state = SEQUENCE_OUT;
    for (int i = 0; i < s->n_runs; i++)
        if (s->runs[i].seq == seq)
            s->runs[i].seq = NULL;
}

void scheduler_pause(struct scheduler *s, struct sequence *seq, bool paused)
{
    (void)s;
    seq->paused = paused;
}

void scheduler_emit(struct scheduler *s, struct batch *batch)
{
    assert(batch->max_rows >= s->o.max_rows && batch->max_seqs >= s->o.max_seqs &&
           batch->pages_max >= s->pages_max && batch->n_groups == s->o.n_groups);
    batch_clear(batch);
    for (int i = 0; i < s->n_runs; i++) {
        const struct scheduler_row_run *run = &s->runs[i];
        const struct sequence *seq = run->seq;
        int b = batch_add_seq(batch, seq->final_len);
        for (int g = 0; g < s->o.n_groups; g++)
            memcpy(batch_pages(batch, g, b) + seq->first_page[g],
                   scheduler_table(s, g, seq->slot) + seq->first_page[g],
                   (size_t)(seq->n_pages[g] - seq->first_page[g]) * sizeof(int32_t));
        for (int r = 0; r < run->n_rows; r++) {
            int pos = seq->n_computed + r;
            enum row_want want = WANT_NOTHING;
            if (r >= run->n_rows - run->n_logits)
                want = WANT_LOGITS;
            else if (r >= run->first_hidden && r < run->first_hidden + run->n_hidden)
                want = WANT_EMBEDDING;
            batch_add_row(batch, b, seq->tokens[pos], pos, want);
        }
    }
}

int scheduler_step(struct scheduler *s, struct batch *batch)
{
    int n_rows = scheduler_plan(s);
    scheduler_emit(s, batch);
    return n_rows;
}

static void count_computed(struct scheduler *s, struct sequence *seq, int n_rows)
{
    seq->n_computed += n_rows;
    seq_pages_remember(s, seq);
    seq_pages_leave_window(s, seq);
}

void scheduler_settle(struct scheduler *s)
{
    for (int i = 0; i < s->n_runs; i++) {
        struct sequence *seq = s->runs[i].seq;
        if (seq)  // else removed while the step was computed
            count_computed(s, seq, s->runs[i].n_rows - seq->n_draft);
    }
}

bool scheduler_append(struct scheduler *s, struct sequence *seq, int32_t token)
{
    assert(seq->n_tokens < seq->final_len);
    bool guessed = seq->n_draft > 0 && seq->tokens[seq->n_tokens] == token;
    seq->tokens[seq->n_tokens++] = token;
    if (guessed) {
        seq->n_draft--;
        count_computed(s, seq, 1);
    } else if (seq->n_draft) {
        seq->n_draft = 0;
        seq_pages_truncate(s, seq);
    }
    return guessed;
}

bool scheduler_fork(struct scheduler *s, const struct sequence *from, struct sequence *to,
                    struct page_copy *copies)
{
    assert(from->state == SEQUENCE_RUNNING && from->n_computed == from->n_tokens &&
           from->n_draft == 0 && to->n_tokens == from->n_tokens);
    enter(s, to);
    if (scheduler_take_slot(s, to) && seq_pages_share(s, from, to, copies)) {
        to->was_admitted = true;
        return true;
    }
    if (to->slot >= 0 && to->state == SEQUENCE_RUNNING)
        scheduler_leave_slot(s, to);
    flows_leave(&s->flows, to->flow);
    to->state = SEQUENCE_OUT;
    return false;
}
