#include "local/engine/draft_model.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "local/backend/batch.h"
#include "local/engine/scheduler.h"

void draft_model_init(struct draft_model *d, const struct engine_model *m, struct scheduler *s)
{
    *d = (struct draft_model){.model = m, .scheduler = s};
    if (!m->draft.n_vocab)
        return;
    int max_rows = m->draft.max_rows;
    assert(max_rows >= m->max_seqs && m->window[m->draft.group] == 0);
    d->batch = batch_new(max_rows, m->max_seqs, m->draft.n_groups, s->pages_max);
    d->logits = memory_array(float, (size_t)m->max_seqs *(size_t)m->draft.n_vocab);
    d->row = memory_array(float, (size_t)m->n_vocab);
    d->said = memory_array(struct choice *, (size_t)m->max_seqs);
    d->lag_most = max_rows / m->max_seqs;
}

void draft_model_release(struct draft_model *d)
{
    batch_free(d->batch);
    free(d->logits);
    free(d->row);
    free(d->said);
}

// The page that holds a position of the sequence.
static struct page *page_at(const struct draft_model *d, const struct sequence *seq, int pos)
{
    int group = d->model->draft.group;
    int32_t page = scheduler_table(d->scheduler, group, seq->slot)[pos / PAGE_TOKENS];
    assert(page >= 0);
    return &d->scheduler->pool[group].pages[page];
}

// The first position from `pos` on that it does not know. A page may know less than the one after
// it, where that one was computed for another sequence.
static int unread_from(const struct draft_model *d, const struct sequence *seq, int pos)
{
    while (pos < seq->n_tokens) {
        // The last token's page may not be there yet.
        if (pos == seq->n_computed && pos % PAGE_TOKENS == 0)
            return pos;
        int n_drafted = page_at(d, seq, pos)->n_drafted;
        if (pos % PAGE_TOKENS >= n_drafted)
            return pos;
        pos += n_drafted - pos % PAGE_TOKENS;
    }
    return pos;
}

static int add_seq(struct draft_model *d, const struct sequence *seq)
{
    int b = batch_add_seq(d->batch, seq->final_len);
    int group = d->model->draft.group;
    for (int g = 0; g < d->batch->n_groups; g++)
        memcpy(batch_pages(d->batch, g, b), scheduler_table(d->scheduler, group, seq->slot),
               (size_t)seq->n_pages[group] * sizeof(int32_t));
    return b;
}

// The row of a position. It counts as known at once, so that who shares the page does not bring it
// too: within a batch all keys and values are stored before they are looked at.
static void add_row(struct draft_model *d, const struct sequence *seq, int b, int pos,
                    enum row_want want)
{
    batch_add_row(d->batch, b, seq->tokens[pos], pos, want);
    page_at(d, seq, pos)->n_drafted = pos % PAGE_TOKENS + 1;
}

static bool knows_tokens(const struct draft_model *d, const struct sequence *seq, int from)
{
    for (int i = from; i < seq->n_tokens; i++)
        if (seq->tokens[i] >= d->model->draft.n_vocab)
            return false;
    return true;
}

int draft_model_reach(struct draft_model *d, struct choice *c, int most)
{
    struct sequence *seq = &c->seq;
    int room = d->model->draft.ctx - seq->n_tokens;
    if (!d->batch || c->draft_model_lost || room <= 0)
        return 0;
    int from = unread_from(d, seq, 0), lag = 0;
    if (!knows_tokens(d, seq, from)) {
        c->draft_model_lost = true;
        return 0;
    }
    for (int pos = from; pos < seq->n_tokens && lag <= d->lag_most;
         pos = unread_from(d, seq, pos + 1))
        lag++;
    if (lag <= d->lag_most)
        return most < room ? most : room;
    if (d->batch->n_rows == d->batch->max_rows)
        return 0;  // others read first
    int b = add_seq(d, seq);
    for (int pos = from; pos < seq->n_computed && d->batch->n_rows < d->batch->max_rows;
         pos = unread_from(d, seq, pos + 1))
        add_row(d, seq, b, pos, WANT_NOTHING);
    return 0;
}

void draft_model_read(struct draft_model *d)
{
    if (!d->batch)
        return;
    if (d->batch->n_rows)
        d->model->ops->draft_forward(d->model->self, d->batch, d->logits);
    batch_clear(d->batch);
}

// A guess for each choice whose logits came: the draw of its place, from what the draft model
// thinks. What the sampler was told ends before the guesses; that is near enough.
static void draw(struct draft_model *d, int i)
{
    const float *logits = d->logits;
    int n_draft = d->model->draft.n_vocab, n_vocab = d->model->n_vocab;
    int n = n_draft < n_vocab ? n_draft : n_vocab;
    for (int k = 0; k < d->n_said; k++, logits += n_draft) {
        struct sequence *seq = &d->said[k]->seq;
        struct error err;
        memcpy(d->row, logits, (size_t)n * sizeof *d->row);
        for (int t = n; t < n_vocab; t++)
            d->row[t] = -INFINITY;
        const struct job *j = d->said[k]->job;
        const uint32_t *mask = constraint_mask_after(
            &d->said[k]->constraint, seq->tokens + seq->n_tokens, i, j->ends, j->n_ends);
        int32_t token =
            sampler_pick(d->said[k]->sampler, d->row, seq->n_tokens + i, mask, NULL, NULL, 0, &err);
        seq->tokens[seq->n_tokens + i] = token >= 0 ? token : 0;
    }
}

// The rows after which guess i comes: all that is unread, later the guess before.
static void add_rows(struct draft_model *d, struct choice *c, int i)
{
    const struct sequence *seq = &c->seq;
    int b = add_seq(d, seq), last = seq->n_tokens + i - 1;
    int from = i ? last : unread_from(d, seq, 0);
    if (from > last)
        from = last;  // known already, but its logits are wanted
    for (int pos = from; pos < last; pos = unread_from(d, seq, pos + 1))
        add_row(d, seq, b, pos, WANT_NOTHING);
    add_row(d, seq, b, last, WANT_LOGITS);
    d->said[d->n_said++] = c;
}

void draft_model_guess(struct draft_model *d, struct speculation *s)
{
    const struct scheduler *scheduler = d->scheduler;
    int n_guessed = 0;
    double start = clock_s();
    for (int i = 0; d->batch; i++) {
        batch_clear(d->batch);
        d->n_said = 0;
        for (int r = 0; r < scheduler->n_runs; r++) {
            struct choice *c = scheduler->runs[r].seq->owner;
            if (c->guess_kind == GUESS_MODEL && i < c->seq.n_draft)
                add_rows(d, c, i);
        }
        if (!d->n_said)
            break;
        d->model->ops->draft_forward(d->model->self, d->batch, d->logits);
        draw(d, i);
        n_guessed += d->n_said;
    }
    if (n_guessed)
        speculation_draft_cost(s, (clock_s() - start) / n_guessed);
}
