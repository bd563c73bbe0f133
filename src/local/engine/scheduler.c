#include "local/engine/scheduler.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "local/engine/seq_pages.h"

// Rows a flow gets of prompt work before another flow's turn may come.
enum { QUANTUM = 64, WEIGHT_ONE = 65536 };

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
    free(s->flows);
    free(s);
}

// Flows

static int flow_enter(struct scheduler *s, uint64_t id)
{
    int found = -1, unused = -1;
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < s->n_flows; i++) {
        const struct scheduler_flow *f = &s->flows[i];
        if (!f->n_sequences)
            unused = (int)i;
        else if (f->id == id)
            found = (int)i;
        else if (f->served < least)
            least = f->served;
    }
    if (found < 0) {
        if (unused < 0) {
            memory_grow(s->flows, s->flows_capacity, s->n_flows + 1);
            unused = (int)s->n_flows++;
        }
        found = unused;
        // Whoever was away has no claim to what others were served meanwhile.
        s->flows[found] = (struct scheduler_flow){id, least == UINT64_MAX ? 0 : least, 0};
    }
    s->flows[found].n_sequences++;
    return found;
}

static void charge(struct scheduler *s, const struct sequence *seq, int n_rows)
{
    s->flows[seq->flow].served += (uint64_t)n_rows * WEIGHT_ONE / (uint64_t)seq->weight;
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
    uint64_t served_a = s->flows[a->flow].served, served_b = s->flows[b->flow].served;
    if (a->flow != b->flow && served_a != served_b)
        return served_a < served_b;
    if (a->deadline != b->deadline && a->flow == b->flow)
        return a->deadline && (!b->deadline || a->deadline < b->deadline);
    return a->arrival < b->arrival;
}

static int remaining(const struct sequence *seq)
{
    return seq->n_tokens - seq->n_computed;
}

// Waiting, running, gone

static void wait_for_slot(struct scheduler *s, struct sequence *seq)
{
    seq->state = SEQUENCE_WAITING;
    seq->slot = -1;
    seq->prev = s->waiting_last;
    seq->next = NULL;
    *(s->waiting_last ? &s->waiting_last->next : &s->waiting_first) = seq;
    s->waiting_last = seq;
    s->n_waiting++;
}

static void stop_waiting(struct scheduler *s, struct sequence *seq)
{
    *(seq->prev ? &seq->prev->next : &s->waiting_first) = seq->next;
    *(seq->next ? &seq->next->prev : &s->waiting_last) = seq->prev;
    seq->prev = seq->next = NULL;
    s->n_waiting--;
}

static bool take_slot(struct scheduler *s, struct sequence *seq)
{
    for (int i = 0; i < s->o.max_seqs; i++)
        if (!s->slots[i]) {
            s->slots[i] = seq;
            s->planned[i] = 0;
            seq->slot = i;
            seq->state = SEQUENCE_RUNNING;
            s->n_running++;
            return true;
        }
    return false;
}

static void leave_slot(struct scheduler *s, struct sequence *seq)
{
    seq_pages_give_back(s, seq);
    seq->n_draft = 0;
    s->slots[seq->slot] = NULL;
    s->planned[seq->slot] = 0;
    seq->slot = -1;
    s->n_running--;
}

static void preempt(struct scheduler *s, struct sequence *seq)
{
    leave_slot(s, seq);
    wait_for_slot(s, seq);
    seq->n_preempted++;
    s->n_preemptions++;
}

static void enter(struct scheduler *s, struct sequence *seq)
{
    assert(seq->n_tokens > 0 && seq->n_tokens <= seq->final_len && seq->final_len <= s->o.ctx);
    assert(seq->weight >= 1 && seq->state == SEQUENCE_OUT);
    if (!seq->arrival)
        seq->arrival = ++s->arrivals << 16;  // room for the choices of one prompt
    seq->flow = flow_enter(s, seq->flow_id);
    seq->node = -1;
    seq->n_known = seq->n_computed = seq->n_draft = 0;
    memset(seq->first_page, 0, sizeof seq->first_page);
    memset(seq->n_pages, 0, sizeof seq->n_pages);
}

void scheduler_add(struct scheduler *s, struct sequence *seq)
{
    enter(s, seq);
    wait_for_slot(s, seq);
}

void scheduler_remove(struct scheduler *s, struct sequence *seq)
{
    if (seq->state == SEQUENCE_OUT)
        return;
    if (seq->state == SEQUENCE_RUNNING)
        leave_slot(s, seq);
    else
        stop_waiting(s, seq);
    s->flows[seq->flow].n_sequences--;
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

// A step

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
            preempt(s, junior);
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
    preempt(s, junior);
    return true;
}

static bool admit(struct scheduler *s, struct sequence *seq)
{
    stop_waiting(s, seq);
    while (!take_slot(s, seq))
        if (!preempt_paused(s)) {
            wait_for_slot(s, seq);
            return false;
        }
    seq_pages_match(s, seq);
    while (!fits(s, seq))
        if (!preempt_paused(s)) {
            leave_slot(s, seq);
            wait_for_slot(s, seq);
            return false;
        }
    if (!seq->was_admitted)
        seq->n_cached = seq->n_computed;
    seq->was_admitted = true;
    return true;
}

static void admit_waiting(struct scheduler *s)
{
    while (s->n_waiting) {
        struct sequence *best = NULL;
        for (struct sequence *w = s->waiting_first; w; w = w->next)
            if (!w->paused && (!best || is_next(s, w, best)))
                best = w;
        if (!best || !admit(s, best))
            return;
    }
}

static int plan_prompts(struct scheduler *s, int budget)
{
    while (budget > 0) {
        struct sequence *best = NULL;
        for (int i = 0; i < s->o.max_seqs; i++) {
            struct sequence *seq = s->slots[i];
            if (seq && !seq->paused && s->planned[i] < remaining(seq) &&
                (!best || is_next(s, seq, best)))
                best = seq;
        }
        if (!best)
            break;
        int planned = s->planned[best->slot], n = remaining(best) - planned;
        n = n < QUANTUM ? n : QUANTUM;
        n = n < budget ? n : budget;
        if (!make_room(s, best, planned + n))
            continue;
        s->planned[best->slot] = planned + n;
        charge(s, best, n);
        budget -= n;
    }
    return budget;
}

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
    for (int i = 0; i < n_running; i++)
        wanted -= s->planned[s->order[i]->slot] == remaining(s->order[i]);
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

int scheduler_plan(struct scheduler *s)
{
    memset(s->planned, 0, (size_t)s->o.max_seqs * sizeof *s->planned);
    s->n_runs = 0;
    int n_rows = 0, budget = plan_decode(s, s->o.max_rows);
    if (budget > 0) {
        admit_waiting(s);
        budget = plan_prompts(s, budget);
    }
    plan_drafts(s, budget);
    for (int i = 0; i < s->o.max_seqs; i++) {
        if (!s->planned[i])
            continue;
        struct sequence *seq = s->slots[i];
        bool wants = s->planned[i] >= remaining(seq);
        s->runs[s->n_runs++] =
            (struct scheduler_row_run){seq, s->planned[i], wants ? 1 + seq->n_draft : 0};
        n_rows += s->planned[i];
    }
    return n_rows;
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
            bool wanted = r >= run->n_rows - run->n_logits;
            batch_add_row(batch, b, seq->tokens[pos], pos, wanted ? WANT_LOGITS : WANT_NOTHING);
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
    if (take_slot(s, to) && seq_pages_share(s, from, to, copies)) {
        to->was_admitted = true;
        return true;
    }
    if (to->slot >= 0 && to->state == SEQUENCE_RUNNING)
        leave_slot(s, to);
    s->flows[to->flow].n_sequences--;
    to->state = SEQUENCE_OUT;
    return false;
}
