#include "local/engine/seq_pages.h"

#include <assert.h>

#include "local/engine/scheduler_impl.h"

static int pages_for(int n_tokens)
{
    return (n_tokens + PAGE_TOKENS - 1) / PAGE_TOKENS;
}

// The first page that a row at position `pos` still looks at.
static int first_needed(int window, int pos)
{
    int first = window ? pos - window + 1 : 0;
    return first > 0 ? first / PAGE_TOKENS : 0;
}

// A page of group g, perhaps by making the tree forget one; -1 if all are held.
static int32_t take(struct scheduler *s, int g)
{
    int32_t evicted, page = page_pool_take(&s->pool[g], &evicted);
    if (evicted >= 0)
        prefix_drop_page(&s->prefix, evicted, g);
    return page;
}

// Follows the tokens through the tree into s->chain, up to what the sequence must compute itself.
// Returns the number of pages of the longest prefix of which every group still has what its window
// can see.
static int longest_match(struct scheduler *s, const struct sequence *seq)
{
    int run[BATCH_GROUPS_MAX] = {0};  // pages in a row, up to here, that the group has
    int best = 0;
    int32_t node = -1;
    int most = scheduler_first_wanted(seq) / PAGE_TOKENS;
    for (int i = 0; i < most; i++) {
        node = prefix_find(&s->prefix, node, seq->page_salt, seq->tokens + i * PAGE_TOKENS);
        if (node < 0)
            break;
        s->chain[i] = node;
        bool whole = true;
        for (int g = 0; g < s->o.n_groups; g++) {
            run[g] = s->prefix.nodes[node].page[g] >= 0 ? run[g] + 1 : 0;
            int needed = i + 1 - first_needed(s->o.window[g], (i + 1) * PAGE_TOKENS);
            whole &= run[g] >= needed;
        }
        if (whole)
            best = i + 1;
    }
    return best;
}

void seq_pages_match(struct scheduler *s, struct sequence *seq)
{
    seq->n_computed = seq->n_known = 0;
    seq->node = -1;
    int n = s->o.no_prefix_cache ? 0 : longest_match(s, seq);
    for (int g = 0; g < s->o.n_groups; g++) {
        int32_t *table = scheduler_table(s, g, seq->slot);
        seq->first_page[g] = first_needed(s->o.window[g], n * PAGE_TOKENS);
        seq->n_pages[g] = n;
        if (seq->first_page[g] > n)
            seq->first_page[g] = n;
        for (int i = seq->first_page[g]; i < n; i++) {
            table[i] = s->prefix.nodes[s->chain[i]].page[g];
            page_pool_ref(&s->pool[g], table[i]);
        }
    }
    if (!n)
        return;
    seq->node = s->chain[n - 1];
    seq->n_known = n;
    seq->n_computed = n * PAGE_TOKENS;
    prefix_ref(&s->prefix, seq->node);
}

void seq_pages_catch_up(struct scheduler *s, struct sequence *seq)
{
    int start = seq->n_computed;
    if (s->o.no_prefix_cache || seq->n_known < 0 || start != seq->n_known * PAGE_TOKENS ||
        start + PAGE_TOKENS > scheduler_first_wanted(seq) ||
        prefix_find(&s->prefix, seq->node, seq->page_salt, seq->tokens + start) < 0 ||
        longest_match(s, seq) * PAGE_TOKENS <= start)
        return;
    // What it holds is in the tree, so nothing of it is lost.
    seq_pages_give_back(s, seq);
    seq_pages_match(s, seq);
    if (!seq->n_preempted)
        seq->n_cached += seq->n_computed - start;
}

bool seq_pages_extend(struct scheduler *s, struct sequence *seq, int g, int end)
{
    int32_t *table = scheduler_table(s, g, seq->slot);
    int n = pages_for(end);
    assert(n <= s->pages_max);
    while (seq->n_pages[g] < n) {
        int32_t page = take(s, g);
        if (page < 0)
            return false;
        table[seq->n_pages[g]++] = page;
    }
    return true;
}

int seq_pages_missing(const struct scheduler *s, const struct sequence *seq, int g, int end)
{
    int held = seq->n_pages[g] - seq->first_page[g];
    int all = pages_for(end) - seq->first_page[g];
    int most = scheduler_pages_needed(end, s->o.window[g], s->o.max_rows);
    int need = all < most ? all : most;
    return need > held ? need - held : 0;
}

void seq_pages_remember(struct scheduler *s, struct sequence *seq)
{
    while (!s->o.no_prefix_cache && seq->n_known >= 0 &&
           (seq->n_known + 1) * PAGE_TOKENS <= seq->n_computed) {
        int i = seq->n_known;
        int32_t node = prefix_add(&s->prefix, seq->node, seq->page_salt,
                                  seq->tokens + (size_t)i * PAGE_TOKENS);
        if (node < 0) {
            seq->n_known = -1;  // no room to remember: what follows would hang in the air
            return;
        }
        for (int g = 0; g < s->o.n_groups; g++) {
            int32_t page = scheduler_table(s, g, seq->slot)[i];
            // Another sequence may have computed the same page first; then ours stays unknown.
            if (i >= seq->first_page[g] && s->prefix.nodes[node].page[g] < 0 &&
                s->pool[g].pages[page].node < 0) {
                prefix_set_page(&s->prefix, node, g, page);
                s->pool[g].pages[page].node = node;
            }
        }
        prefix_unref(&s->prefix, seq->node);
        seq->node = node;
        seq->n_known++;
    }
}

void seq_pages_leave_window(struct scheduler *s, struct sequence *seq)
{
    for (int g = 0; g < s->o.n_groups; g++) {
        int first = first_needed(s->o.window[g], seq->n_computed);
        int32_t *table = scheduler_table(s, g, seq->slot);
        for (; seq->first_page[g] < first && seq->first_page[g] < seq->n_pages[g];
             seq->first_page[g]++) {
            page_pool_unref(&s->pool[g], table[seq->first_page[g]]);
            table[seq->first_page[g]] = -1;
        }
    }
}

void seq_pages_truncate(struct scheduler *s, struct sequence *seq)
{
    int n = pages_for(seq->n_computed);
    for (int g = 0; g < s->o.n_groups; g++) {
        int32_t *table = scheduler_table(s, g, seq->slot);
        while (seq->n_pages[g] > n && seq->n_pages[g] > seq->first_page[g]) {
            int i = --seq->n_pages[g];
            assert(s->pool[g].pages[table[i]].refs == 1 && s->pool[g].pages[table[i]].node < 0);
            page_pool_unref(&s->pool[g], table[i]);
            table[i] = -1;
        }
        int kept = seq->n_computed % PAGE_TOKENS;  // of the last page, where it is partly filled
        if (kept && n > seq->first_page[g]) {
            int32_t *n_drafted = &s->pool[g].pages[table[n - 1]].n_drafted;
            *n_drafted = *n_drafted < kept ? *n_drafted : kept;
        }
    }
}

// From the end, so that of what stays cached the beginnings, which more texts share, go last.
void seq_pages_give_back(struct scheduler *s, struct sequence *seq)
{
    for (int g = 0; g < s->o.n_groups; g++) {
        int32_t *table = scheduler_table(s, g, seq->slot);
        for (int i = seq->n_pages[g] - 1; i >= seq->first_page[g]; i--) {
            page_pool_unref(&s->pool[g], table[i]);
            table[i] = -1;
        }
        seq->first_page[g] = seq->n_pages[g] = 0;
    }
    prefix_unref(&s->prefix, seq->node);
    seq->node = -1;
    seq->n_known = seq->n_computed = 0;
}

bool seq_pages_share(struct scheduler *s, const struct sequence *from, struct sequence *to,
                     struct page_copy *copies)
{
    bool partial = from->n_computed % PAGE_TOKENS != 0;
    for (int g = 0; g < s->o.n_groups; g++)
        if (partial && page_pool_available(&s->pool[g]) < 1)
            return false;
    int full = from->n_computed / PAGE_TOKENS;
    for (int g = 0; g < s->o.n_groups; g++) {
        const int32_t *old = scheduler_table(s, g, from->slot);
        int32_t *table = scheduler_table(s, g, to->slot);
        assert(from->n_pages[g] == full + partial);
        to->first_page[g] = from->first_page[g];
        to->n_pages[g] = from->n_pages[g];
        for (int i = from->first_page[g]; i < full; i++) {
            table[i] = old[i];
            page_pool_ref(&s->pool[g], table[i]);
        }
        copies[g] = (struct page_copy){-1, -1};
        if (partial) {
            table[full] = take(s, g);
            copies[g] = (struct page_copy){old[full], table[full]};
            s->pool[g].pages[table[full]].n_drafted = s->pool[g].pages[old[full]].n_drafted;
        }
    }
    to->n_computed = from->n_computed;
    to->n_known = from->n_known;
    to->node = from->node;
    prefix_ref(&s->prefix, to->node);
    return true;
}
