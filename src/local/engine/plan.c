// plan.c - the scheduler's decision: who gets rows of the next step, and how many (scheduler.h).
#include <assert.h>
#include <math.h>
#include <string.h>

#include "local/engine/scheduler_impl.h"
#include "local/engine/seq_pages.h"

// Rows a flow gets of prompt work before another flow's turn may come.
enum { QUANTUM = 64 };
// Rows of prompts that a step takes whatever the time, so that none stands still.
enum { ROWS_LEAST = 4 };
// Steps between two looks at a queue from which nobody could be admitted.
enum { RESTS = 8 };

static int remaining(const struct sequence *seq)
{
    return scheduler_remaining(seq);
}

// Orders

// Who keeps its pages when there are too few: a strict order of all running sequences.
static bool is_senior(const struct sequence *a, const struct sequence *b)
{
    if (a->paused != b->paused)
        return b->paused;
    if (a->priority != b->priority)
        return a->priority > b->priority;
    return a->arrival < b->arrival;
}

// Whose prompt is next.
static bool is_next(const struct scheduler *s, const struct sequence *a, const struct sequence *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    uint64_t served_a = s->flows.entries[a->flow].served,
             served_b = s->flows.entries[b->flow].served;
    if (a->flow != b->flow && served_a != served_b)
        return served_a < served_b;
    // Who has no deadline is not overtaken by those who have one and came later.
    if (a->deadline && b->deadline && a->deadline != b->deadline && a->flow == b->flow)
        return a->deadline < b->deadline;
    return a->arrival < b->arrival;
}

static void charge(struct scheduler *s, const struct sequence *seq, int n_rows)
{
    flows_charge(&s->flows, seq->flow, n_rows, seq->weight);
}

// Pages and slots, for those who generate

// The most junior running sequence; NULL if there is none.
static struct sequence *most_junior(const struct scheduler *s)
{
    struct sequence *junior = NULL;
    for (int i = 0; i < s->o.max_seqs; i++)
        if (s->slots[i] && (!junior || is_senior(junior, s->slots[i])))
            junior = s->slots[i];
    return junior;
}

// Pages for n more rows, if need be at the cost of juniors. False if seq itself had to go.
static bool make_room(struct scheduler *s, struct sequence *seq, int n_rows)
{
    for (int g = 0; g < s->o.n_groups; g++)
        while (!seq_pages_extend(s, seq, g, seq->n_computed + n_rows)) {
            struct sequence *junior = most_junior(s);
            scheduler_preempt(s, junior);
            if (junior == seq)
                return false;
        }
    return true;
}

static int sort_running(struct scheduler *s)
{
    int n = 0;
    for (int i = 0; i < s->o.max_seqs; i++) {
        struct sequence *seq = s->slots[i];
        if (!seq)
            continue;
        int at = n++;
        for (; at > 0 && is_senior(seq, s->order[at - 1]); at--)
            s->order[at] = s->order[at - 1];
        s->order[at] = seq;
    }
    return n;
}

static int plan_decode(struct scheduler *s, int budget)
{
    int n = sort_running(s);
    for (int i = 0; i < n && budget > 0; i++) {
        struct sequence *seq = s->order[i];
        if (seq->state != SEQUENCE_RUNNING || seq->paused || remaining(seq) != 1)
            continue;  // or preempted a moment ago
        if (!make_room(s, seq, 1))
            continue;
        s->planned[seq->slot] = 1;
        charge(s, seq, 1);
        budget--;
    }
    return budget;
}

// Whether the sequence, which has a slot and what the cache had for it, can have pages for the
// tokens it knows and the next one, without those promised to prompts that are being computed, and
// leaving a page to each neighbour to grow into.
static bool fits(const struct scheduler *s, const struct sequence *seq)
{
    for (int g = 0; g < s->o.n_groups; g++) {
        int end = seq->n_tokens < seq->final_len ? seq->n_tokens + 1 : seq->n_tokens;
        int need = seq_pages_missing(s, seq, g, end);
        for (int i = 0; i < s->o.max_seqs; i++) {
            const struct sequence *other = s->slots[i];
            if (!other || other == seq)
                continue;
            need +=
                1 + (remaining(other) > 1 ? seq_pages_missing(s, other, g, other->n_tokens) : 0);
        }
        bool alone = s->n_running == 1;
        if (!alone && need > page_pool_available(&s->pool[g]))
            return false;
        assert(!alone || need <= page_pool_available(&s->pool[g]));
    }
    return true;
}

static bool preempt_paused(struct scheduler *s)
{
    struct sequence *junior = most_junior(s);
    if (!junior || !junior->paused)
        return false;
    scheduler_preempt(s, junior);
    return true;
}

static bool preempt_lesser(struct scheduler *s, const struct sequence *seq)
{
    struct sequence *junior = most_junior(s);
    if (!junior || junior == seq || junior->priority >= seq->priority)
        return false;
    scheduler_preempt(s, junior);
    return true;
}

// Whether v's flow, which was served more, has even without v as many slots for its weight as that
// of seq would have with one more. Then the reverse can never hold of the two.
static bool has_more_than_its_share(const struct scheduler *s, const struct sequence *v,
                                    const struct sequence *seq)
{
    const struct flow_entry *theirs = &s->flows.entries[v->flow];
    const struct flow_entry *ours = &s->flows.entries[seq->flow];
    return v->flow != seq->flow && v->priority <= seq->priority && theirs->served > ours->served &&
           (int64_t)(theirs->n_running - 1) * seq->weight >=
               (int64_t)(ours->n_running + 1) * v->weight;
}

static bool preempt_hog(struct scheduler *s, const struct sequence *seq)
{
    struct sequence *junior = NULL;
    for (int i = 0; i < s->o.max_seqs; i++) {
        struct sequence *v = s->slots[i];
        if (v && has_more_than_its_share(s, v, seq) && (!junior || is_senior(junior, v)))
            junior = v;
    }
    if (!junior)
        return false;
    scheduler_preempt(s, junior);
    return true;
}

static bool admit(struct scheduler *s, struct sequence *seq)
{
    scheduler_stop_waiting(s, seq);
    while (!scheduler_take_slot(s, seq))
        if (!preempt_paused(s) && !preempt_lesser(s, seq) && !preempt_hog(s, seq)) {
            scheduler_wait(s, seq);
            return false;
        }
    seq_pages_match(s, seq);
    while (!fits(s, seq))
        if (!preempt_paused(s) && !preempt_lesser(s, seq)) {
            scheduler_leave_slot(s, seq);
            scheduler_wait(s, seq);
            return false;
        }
    if (!seq->was_admitted)
        seq->n_cached = seq->n_computed;
    seq->was_admitted = true;
    return true;
}

// Looking through a long queue costs time, so after nobody could be admitted it rests for a few
// steps, as long as others generate meanwhile.
static void admit_waiting(struct scheduler *s, bool others_run)
{
    if (others_run && s->n_running == s->o.max_seqs && s->rests > 0) {
        s->rests--;
        return;
    }
    while (s->n_waiting) {
        struct sequence *best = NULL;
        for (struct sequence *w = s->waiting_first; w; w = w->next)
            if (!w->paused && (!best || is_next(s, w, best)))
                best = w;
        if (!best || !admit(s, best)) {
            s->rests = RESTS;
            return;
        }
    }
}

// Prompts

static bool reads(const struct scheduler *s, const struct sequence *seq)
{
    return seq && !seq->paused && !seq->deferred && s->planned[seq->slot] < remaining(seq);
}

// Whether another sequence is computing the page that this one, at a page's border, would begin.
// Of those at the same place only the one furthest ahead does not wait, so one always goes on.
static bool should_defer(const struct scheduler *s, const struct sequence *seq)
{
    int start = seq->n_computed, end = start + PAGE_TOKENS;
    if (s->o.no_prefix_cache || s->planned[seq->slot] || seq->n_known < 0 ||
        start != seq->n_known * PAGE_TOKENS || end > scheduler_first_wanted(seq))
        return false;
    for (int i = 0; i < s->o.max_seqs; i++) {
        const struct sequence *other = s->slots[i];
        if (!other || other == seq || other->paused || other->priority < seq->priority)
            continue;
        bool ahead = other->n_computed > start || s->planned[i];
        if (ahead && other->node == seq->node && other->n_known == seq->n_known &&
            other->page_salt == seq->page_salt && other->n_tokens >= end &&
            memcmp(other->tokens + start, seq->tokens + start, PAGE_TOKENS * sizeof *seq->tokens) ==
                0)
            return true;
    }
    return false;
}

static struct sequence *next_prompt(struct scheduler *s)
{
    for (;;) {
        struct sequence *best = NULL;
        for (int i = 0; i < s->o.max_seqs; i++)
            if (reads(s, s->slots[i]) && (!best || is_next(s, s->slots[i], best)))
                best = s->slots[i];
        if (!best)
            return NULL;
        if (!s->planned[best->slot])
            seq_pages_catch_up(s, best);
        if (!should_defer(s, best))
            return best;
        best->deferred = true;
    }
}

static int count_prompts(const struct scheduler *s)
{
    int n = s->n_waiting;
    for (int i = 0; i < s->o.max_seqs; i++)
        n += reads(s, s->slots[i]);
    return n;
}

// How many of n rows from `position` on the time that is left allows; at least so many.
static int rows_in_time(const struct scheduler *s, int n, int position, double seconds, int least)
{
    double each = step_times_prompt_row(&s->times, position);
    if (isinf(seconds) || each <= 0)
        return n;
    double fit = seconds > 0 ? floor(seconds / each) : 0;
    fit = fit > least ? fit : least;
    return fit < n ? (int)fit : n;
}

// How many of n rows of the sequence from `position` on want logits.
static int rows_wanted(const struct sequence *seq, int position, int n)
{
    int first = scheduler_first_wanted(seq);
    if (seq->pooling || position + n <= first)
        return 0;
    return position + n - (position > first ? position : first);
}

// How many of n rows from `position` on may be planned while `spare` rows may want logits beside
// the one that is kept for every running sequence: at least that one.
static int rows_with_logits(const struct sequence *seq, int position, int n, int spare)
{
    if (!seq->scores)
        return n;
    int more = rows_wanted(seq, position, n) - spare;
    n = more > 0 ? n - more : n;
    return n > 0 || position > seq->n_computed ? n : 1;
}

static int plan_prompts(struct scheduler *s, int budget)
{
    int n_decode = s->o.max_rows - budget, n_rows = 0, spare = s->o.max_wanted - s->n_running;
    for (int i = 0; i < s->o.max_seqs; i++)
        if (s->slots[i])
            s->slots[i]->deferred = false;
    double seconds = step_times_budget(&s->times, n_decode, count_prompts(s));
    seconds -= step_times_idle(&s->times, n_decode);
    while (budget > 0) {
        struct sequence *best = next_prompt(s);
        if (!best)
            break;
        int planned = s->planned[best->slot], n = remaining(best) - planned;
        int position = best->n_computed + planned;
        n = n < QUANTUM ? n : QUANTUM;
        n = n < budget ? n : budget;
        n = rows_with_logits(best, position, n, spare);
        if (n <= 0) {
            best->deferred = true;  // until the next step
            continue;
        }
        n = rows_in_time(s, n, position, seconds, ROWS_LEAST - n_rows);
        if (n <= 0)
            break;
        if (!make_room(s, best, planned + n))
            continue;
        s->planned[best->slot] = planned + n;
        charge(s, best, n);
        budget -= n;
        n_rows += n;
        if (best->scores)
            spare -= rows_wanted(best, position, n);
        spare = spare > 0 ? spare : 0;
        seconds -= n * step_times_prompt_row(&s->times, position);
    }
    return budget;
}

// Guesses

// How many of n guessed tokens find pages, without anybody having to go for them.
static int drafts_with_pages(struct scheduler *s, const struct sequence *seq, int n)
{
    for (int g = 0; g < s->o.n_groups; g++) {
        int held = seq->n_pages[g] * PAGE_TOKENS;
        int more = page_pool_available(&s->pool[g]) * PAGE_TOKENS;
        if (n > held + more - seq->n_tokens)
            n = held + more - seq->n_tokens;
    }
    return n;
}

static void plan_drafts(struct scheduler *s, int budget)
{
    int n_running = sort_running(s), wanted = s->o.max_wanted;
    for (int i = 0; i < n_running; i++) {
        const struct sequence *seq = s->order[i];
        wanted -= rows_wanted(seq, seq->n_computed, s->planned[seq->slot]);
    }
    for (int i = 0; i < n_running; i++) {
        struct sequence *seq = s->order[i];
        int *planned = &s->planned[seq->slot], n = seq->n_draft;
        assert(n == 0 || seq->n_tokens + n < seq->final_len);
        seq->n_draft = 0;
        if (!*planned || *planned != remaining(seq))
            continue;
        n = n < budget ? n : budget;
        n = n < wanted ? n : wanted;
        n = drafts_with_pages(s, seq, n);
        if (n <= 0)
            continue;
        for (int g = 0; g < s->o.n_groups; g++)
            (void)seq_pages_extend(s, seq, g, seq->n_tokens + n);
        seq->n_draft = n;
        *planned += n;
        charge(s, seq, n);
        budget -= n;
        wanted -= n;
    }
}

static void count_work(struct step_work *w, const struct sequence *seq, int n_rows)
{
    if (remaining(seq) == 1) {
        w->n_decode += n_rows;
        return;
    }
    n_rows -= seq->n_draft;
    w->n_decode += seq->n_draft;
    w->n_prompt += n_rows;
    w->positions += n_rows * (seq->n_computed + 0.5 * n_rows);
}

// What is wanted of n rows of the sequence.
static struct scheduler_row_run run_of(struct sequence *seq, int n)
{
    struct scheduler_row_run run = {.seq = seq, .n_rows = n};
    bool last = n >= remaining(seq);
    switch (seq->pooling) {
    case POOLING_NONE:
        run.n_logits = rows_wanted(seq, seq->n_computed, n);
        run.n_scored = run.n_logits - (last ? 1 + seq->n_draft : 0);
        break;
    case POOLING_MEAN: run.n_hidden = n; break;
    case POOLING_CLS: run.n_hidden = seq->n_computed == 0; break;
    case POOLING_LAST:
        run.first_hidden = n - 1;
        run.n_hidden = last;
        break;
    }
    return run;
}

int scheduler_plan(struct scheduler *s)
{
    memset(s->planned, 0, (size_t)s->o.max_seqs * sizeof *s->planned);
    s->n_runs = 0;
    int n_rows = 0, budget = plan_decode(s, s->o.max_rows);
    if (budget > 0) {
        admit_waiting(s, budget < s->o.max_rows);
        budget = plan_prompts(s, budget);
    }
    plan_drafts(s, budget);
    s->work = (struct step_work){0};
    for (int i = 0; i < s->o.max_seqs; i++) {
        if (!s->planned[i])
            continue;
        struct sequence *seq = s->slots[i];
        count_work(&s->work, seq, s->planned[i]);
        s->runs[s->n_runs++] = run_of(seq, s->planned[i]);
        n_rows += s->planned[i];
    }
    return n_rows;
}

void scheduler_measured(struct scheduler *s, double seconds)
{
    step_times_add(&s->times, &s->work, seconds);
}
