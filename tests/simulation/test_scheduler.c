// test_scheduler.c - the scheduler without a model: random arrivals, cancels, pauses and forks,
// with everything it promises checked after every step.
//
// Instead of keys and values the pages hold, for each position, a hash of all tokens up to there.
// A row may be computed only if every position that its window sees holds the hash of its own
// sequence's tokens: a page shared wrongly, given away too early, not copied or not refilled shows
// at once. Guessed tokens are right or wrong by chance; what was guessed wrongly may leave no page
// and no position behind. Everything is seeded, so a failure repeats. `make simulation` runs a
// million steps; HEARTH_SIMULATION=N multiplies those of each test by N.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/memory.h"
#include "local/engine/scheduler.h"

enum { CTX = 640, REQUESTS_MAX = 48, STALLED = 20000, STARVED = 3000 };

// A sanitizer looks for other mistakes than wrong plans, and finds them in fewer steps.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SHARE = 4 };
#else
enum { SHARE = 1 };
#endif

struct request {
    struct sequence seq;
    int32_t tokens[CTX];
    uint64_t history[CTX + 1];  // hash of salt and the first i tokens
    uint64_t id;
    bool used, to_fork;
    int64_t arrived_at;
    int64_t idle;  // steps since it had a row, of those in which it was not paused
};

struct simulation {
    struct scheduler_options o;
    struct scheduler *s;
    struct batch *batch;
    uint64_t *kv[BATCH_GROUPS_MAX];  // [n_pages][PAGE_TOKENS]
    struct request requests[REQUESTS_MAX];
    uint64_t random, n_ids;
    int64_t step, finished, cancelled, forks, refused_forks, cached, sequences, longest_wait;
    int64_t longest_idle;
    int64_t guessed, accepted, deferred, scored;
    bool timed;  // steps take time, as a machine with other work would have it
    bool alike;  // prompts come several at once and have long beginnings in common
};

static uint64_t next_random(struct simulation *m)
{
    return hash_mix(m->random++);
}

static int below(struct simulation *m, int n)
{
    return (int)(next_random(m) % (uint64_t)n);
}

static void set_token(struct request *r, int i, int32_t token)
{
    r->tokens[i] = token;
    r->history[i + 1] = hash_mix(r->history[i] ^ (uint64_t)(uint32_t)token);
}

static void arrive(struct simulation *m)
{
    struct request *r = m->requests;
    while (r < m->requests + REQUESTS_MAX && r->used)
        r++;
    if (r == m->requests + REQUESTS_MAX)
        return;
    *r = (struct request){.used = true, .id = ++m->n_ids, .arrived_at = m->step};
    int n = below(m, 4) ? 1 + below(m, 200) : 1 + below(m, CTX - 40);
    int room = CTX - n;
    struct sequence *seq = &r->seq;
    seq->tokens = r->tokens;
    seq->n_tokens = n;
    seq->final_len = n + 1 + below(m, room < 150 ? room : 150);
    seq->page_salt = (uint64_t)below(m, 2);
    seq->flow_id = (uint64_t)below(m, 5);
    seq->weight = 1 + below(m, 3);
    seq->priority = below(m, 8) == 0;
    seq->deadline = below(m, 3) ? 0 : m->step + below(m, 1000);
    seq->owner = r;
    r->to_fork = below(m, 6) == 0;
    seq->scores = n > 1 && below(m, 6) == 0;
    r->history[0] = hash_mix(seq->page_salt + 1000);
    // Few different beginnings, so that prefixes meet; they part at different places.
    uint64_t kind = next_random(m) % 3;
    int same = m->alike ? n - below(m, 70) : below(m, n + 1);
    if (m->alike)
        kind = (uint64_t)m->step / 16;
    for (int i = 0; i < n; i++)
        set_token(r, i,
                  (int32_t)(hash_mix(kind * 7919 + (uint64_t)i + (i > same ? r->id : 0)) & 63));
    m->sequences++;
    scheduler_add(m->s, seq);
}

static void end(struct simulation *m, struct request *r)
{
    scheduler_remove(m->s, &r->seq);
    r->used = false;
}

static void finish(struct simulation *m, struct request *r)
{
    assert_false(r->seq.scores);
    if (m->step - r->arrived_at > m->longest_wait)
        m->longest_wait = m->step - r->arrived_at;
    m->cached += r->seq.n_cached;
    m->finished++;
    end(m, r);
}

static void fork_choices(struct simulation *m, struct request *from)
{
    from->to_fork = false;
    for (int k = 1; k <= 2; k++) {
        struct request *r = m->requests;
        while (r < m->requests + REQUESTS_MAX && r->used)
            r++;
        if (r == m->requests + REQUESTS_MAX)
            return;
        *r = *from;
        r->id = ++m->n_ids;
        r->seq = (struct sequence){
            .tokens = r->tokens,
            .n_tokens = from->seq.n_tokens,
            .final_len = from->seq.final_len,
            .page_salt = from->seq.page_salt,
            .flow_id = from->seq.flow_id,
            .weight = from->seq.weight,
            .priority = from->seq.priority,
            .arrival = from->seq.arrival + (uint64_t)k,
            .owner = r,
        };
        m->sequences++;
        struct page_copy copies[BATCH_GROUPS_MAX];
        if (!scheduler_fork(m->s, &from->seq, &r->seq, copies)) {
            m->refused_forks++;
            scheduler_add(m->s, &r->seq);
            continue;
        }
        m->forks++;
        for (int g = 0; g < m->o.n_groups; g++)
            if (copies[g].from >= 0)
                memcpy(m->kv[g] + copies[g].to * PAGE_TOKENS,
                       m->kv[g] + copies[g].from * PAGE_TOKENS, PAGE_TOKENS * sizeof **m->kv);
        set_token(r, r->seq.n_tokens, (int32_t)(hash_mix(r->id) & 63));
        assert_false(scheduler_append(m->s, &r->seq, r->tokens[r->seq.n_tokens]));
        if (r->seq.n_tokens == r->seq.final_len)
            finish(m, r);
    }
}

// Every reference is accounted for, and a page has two owners only if it is full in both.
static void check_pages(const struct simulation *m)
{
    const struct scheduler *s = m->s;
    static int32_t holders[BATCH_GROUPS_MAX][4096];
    memset(holders, 0, sizeof holders);
    for (int slot = 0; slot < s->o.max_seqs; slot++) {
        const struct sequence *seq = s->slots[slot];
        for (int g = 0; g < s->o.n_groups; g++) {
            if (seq)  // nothing is left of what was guessed
                assert_int_equal(seq->n_pages[g],
                                 (seq->n_computed + PAGE_TOKENS - 1) / PAGE_TOKENS);
            for (int i = 0; i < s->pages_max; i++) {
                int32_t page = scheduler_table(s, g, slot)[i];
                bool held = seq && i >= seq->first_page[g] && i < seq->n_pages[g];
                assert_true(held == (page >= 0));
                if (!held)
                    continue;
                holders[g][page]++;
                if (s->pool[g].pages[page].refs > 1)
                    assert_true((i + 1) * PAGE_TOKENS <= seq->n_computed);
            }
        }
    }
    for (int g = 0; g < s->o.n_groups; g++) {
        const struct page_pool *p = &s->pool[g];
        int32_t n_cached = 0, n_free = 0;
        for (int32_t i = 0; i < p->n_pages; i++) {
            assert_int_equal(p->pages[i].refs, holders[g][i]);
            if (p->pages[i].refs == 0)
                *(p->pages[i].node >= 0 ? &n_cached : &n_free) += 1;
            if (p->pages[i].node >= 0)
                assert_int_equal(s->prefix.nodes[p->pages[i].node].page[g], i);
        }
        assert_int_equal(n_cached, p->n_cached);
        assert_int_equal(n_free, p->n_free);
        int32_t walked = 0, last = -1;
        for (int32_t i = p->oldest; i >= 0; i = p->pages[i].next, walked++) {
            assert_int_equal(p->pages[i].prev, last);
            last = i;
        }
        assert_int_equal(last, p->newest);
        assert_int_equal(walked, p->n_cached);
    }
    assert_true(s->prefix.n_used <= s->prefix.n_nodes);
}

// Each flow's counts are those of its sequences.
static void check_flows(const struct simulation *m)
{
    const struct flows *f = &m->s->flows;
    for (size_t i = 0; i < f->n; i++) {
        int n_running = 0, n_sequences = 0;
        for (const struct request *r = m->requests; r < m->requests + REQUESTS_MAX; r++) {
            if (!r->used || r->seq.flow != (int)i)
                continue;
            assert_true(r->seq.flow_id == f->entries[i].id);
            n_sequences++;
            n_running += r->seq.state == SEQUENCE_RUNNING;
        }
        assert_int_equal(n_running, f->entries[i].n_running);
        assert_int_equal(n_sequences, f->entries[i].n_sequences);
    }
}

static void compute(struct simulation *m)
{
    const struct batch *b = m->batch;
    int row = 0, n_wanted = 0;
    assert_true(b->n_rows <= m->o.max_rows && b->n_seqs <= m->o.max_seqs);
    assert_int_equal(b->n_seqs, m->s->n_runs);
    for (int i = 0; i < b->n_seqs; i++) {
        const struct scheduler_row_run *run = &m->s->runs[i];
        const struct request *r = run->seq->owner;
        assert_false(r->seq.paused);
        int wanted_from = r->seq.scores ? r->seq.n_scored : r->seq.n_tokens - 1;
        int n_drawn = run->n_logits - run->n_scored;
        assert_true(n_drawn == 0 || n_drawn == 1 + r->seq.n_draft);
        assert_true(r->seq.n_computed <= wanted_from);  // what is to be told is computed
        assert_true(run->n_scored == 0 || r->seq.scores);
        assert_int_equal(r->seq.n_cached > wanted_from && r->seq.scores, 0);
        n_wanted += run->n_logits;
        for (int k = 0; k < run->n_rows; k++, row++) {
            int pos = batch_pos(b)[row];
            assert_int_equal(batch_seq(b)[row], i);
            assert_int_equal(pos, r->seq.n_computed + k);
            assert_int_equal(batch_token(b)[row], r->tokens[pos]);
            bool wanted = pos >= wanted_from;
            assert_true(pos < r->seq.n_tokens + r->seq.n_draft);
            assert_int_equal(batch_want(b)[row], wanted ? WANT_LOGITS : WANT_NOTHING);
            assert_int_equal(run->n_logits >= run->n_rows - k, wanted);
            for (int g = 0; g < m->o.n_groups; g++) {
                const int32_t *pages = batch_pages(b, g, i);
                int32_t page = pages[pos / PAGE_TOKENS];
                assert_true(page >= 0 && page < m->o.n_pages[g]);
                assert_int_equal(m->s->pool[g].pages[page].refs, 1);  // written: nobody else's
                m->kv[g][page * PAGE_TOKENS + pos % PAGE_TOKENS] = r->history[pos + 1];
                int window = m->o.window[g], first = window ? pos - window + 1 : 0;
                for (int q = first > 0 ? first : 0; q <= pos; q++) {
                    page = pages[q / PAGE_TOKENS];
                    assert_true(page >= 0);
                    if (m->kv[g][page * PAGE_TOKENS + q % PAGE_TOKENS] != r->history[q + 1])
                        fail_msg("step %lld: position %d of %d is another text's",
                                 (long long)m->step, q, pos);
                }
            }
        }
    }
    assert_int_equal(row, b->n_rows);
    assert_true(n_wanted <= m->o.max_wanted);
}

static int32_t true_token(const struct request *r, int at)
{
    return (int32_t)(hash_mix(r->history[at]) & 63);
}

// Guesses of random lengths, each token right or wrong by chance.
static void guess(struct simulation *m)
{
    for (struct request *r = m->requests; r < m->requests + REQUESTS_MAX; r++) {
        if (!r->used || r->to_fork)
            continue;
        int room = r->seq.final_len - 1 - r->seq.n_tokens, n = below(m, 3) ? below(m, 24) : 0;
        r->seq.n_draft = n < room ? n : room;
        for (int i = 0; i < r->seq.n_draft; i++) {
            int at = r->seq.n_tokens + i;
            set_token(r, at, below(m, 8) ? true_token(r, at) : below(m, 64));
        }
    }
}

// One token for each row of logits, as long as they were guessed rightly.
static void say(struct simulation *m, struct request *r, int n_logits)
{
    m->guessed += n_logits - 1;
    for (int i = 0; i < n_logits; i++) {
        int at = r->seq.n_tokens;
        assert_int_equal(r->seq.n_computed, at);
        int32_t token = true_token(r, at);
        bool right = i + 1 < n_logits && r->tokens[at] == token;
        assert_int_equal(scheduler_append(m->s, &r->seq, token), right);
        set_token(r, at, token);
        m->accepted += right;
        if (r->seq.n_tokens == r->seq.final_len || (token == 5 && below(m, 4) == 0)) {
            finish(m, r);
            return;
        }
        if (!right)
            return;
    }
}

static void settle(struct simulation *m)
{
    struct scheduler_row_run runs[64];
    int n = m->s->n_runs;
    memcpy(runs, m->s->runs, (size_t)n * sizeof *runs);
    scheduler_settle(m->s);
    for (int i = 0; i < n; i++) {
        struct request *r = runs[i].seq->owner;
        r->seq.n_scored += runs[i].n_scored;
        m->scored += runs[i].n_scored;
        if (r->seq.scores)
            r->seq.scores = r->seq.n_scored + 1 < r->seq.n_tokens;
        if (runs[i].n_logits == runs[i].n_scored)
            continue;
        if (r->to_fork)
            fork_choices(m, r);
        say(m, r, runs[i].n_logits - runs[i].n_scored);
    }
}

static void disturb(struct simulation *m, int arrivals_per_100)
{
    if (below(m, 100) < arrivals_per_100) {
        arrive(m);
        while (below(m, 5) < (m->alike ? 4 : 1))  // at once, and perhaps beginning alike
            arrive(m);
    }
    struct request *r = &m->requests[below(m, REQUESTS_MAX)];
    if (r->used && below(m, 400) == 0) {
        m->cancelled++;
        end(m, r);
    } else if (r->used && below(m, 30) == 0) {
        scheduler_pause(m->s, &r->seq, !r->seq.paused);
    }
}

static int count_used(const struct simulation *m)
{
    int n = 0;
    for (int i = 0; i < REQUESTS_MAX; i++)
        n += m->requests[i].used;
    return n;
}

// Nobody who could go on is forgotten: between two rows of a sequence lies a bounded number of
// steps, in which others were served.
static void check_progress(struct simulation *m)
{
    for (int i = 0; i < m->s->n_runs; i++)
        if (m->s->runs[i].seq)
            ((struct request *)m->s->runs[i].seq->owner)->idle = -1;
    for (struct request *r = m->requests; r < m->requests + REQUESTS_MAX; r++) {
        if (!r->used)
            continue;
        r->idle += !r->seq.paused;
        if (!r->seq.priority && r->idle > m->longest_idle)
            m->longest_idle = r->idle;
    }
    assert_true(m->longest_idle < STARVED);
}

// Rows cost time, and sometimes somebody else has the machine. However little time a prompt's rows
// are given, some of them are in each step as long as there are any.
static void measure(struct simulation *m, int n_rows)
{
    const struct step_work *w = &m->s->work;
    double seconds = (4 + n_rows + 1e-3 * w->positions) * 5e-3 * (1 + 0.3 * below(m, 4));
    bool prompts_wait = false;
    for (int i = 0; i < m->o.max_seqs; i++) {
        const struct sequence *seq = m->s->slots[i];
        if (!seq)
            continue;
        m->deferred += seq->deferred;
        prompts_wait |= !seq->paused && !seq->deferred && seq->n_tokens - seq->n_computed > 1;
    }
    assert_int_equal(w->n_decode + w->n_prompt, n_rows);
    assert_true(w->n_prompt > 0 || !prompts_wait || w->n_decode == m->o.max_rows);
    if (n_rows)
        scheduler_measured(m->s, below(m, 50) ? seconds : 20 * seconds);
}

static void one_step(struct simulation *m, bool check)
{
    m->step++;
    guess(m);
    int n = scheduler_step(m->s, m->batch);
    if (m->timed)
        measure(m, n);
    if (!n) {  // only if nobody could have run
        for (int i = 0; i < REQUESTS_MAX; i++)
            assert_false(m->requests[i].used && !m->requests[i].seq.paused);
    }
    compute(m);
    settle(m);
    if (check) {
        check_pages(m);
        check_flows(m);
        check_progress(m);
    }
}

static int64_t steps_of(int64_t steps)
{
    const char *times = getenv("HEARTH_SIMULATION");
    long n = times ? strtol(times, NULL, 10) : 1;
    return steps / SHARE * (n > 1 ? n : 1);
}

enum way { UNTIMED, TIMED, ALIKE };

static void simulate(const struct scheduler_options *o, uint64_t seed, int64_t steps, int arrivals,
                     enum way way)
{
    struct simulation *m = memory_new(1, sizeof *m);
    m->o = *o;
    m->timed = way != UNTIMED;
    m->alike = way == ALIKE;
    m->s = scheduler_new(o);
    m->random = seed << 32;
    m->batch = batch_new(o->max_rows, o->max_seqs, o->n_groups, m->s->pages_max);
    for (int g = 0; g < o->n_groups; g++)
        m->kv[g] = memory_array(uint64_t, (size_t)o->n_pages[g] * PAGE_TOKENS);
    while (m->step < steps_of(steps)) {
        disturb(m, arrivals);
        one_step(m, true);
    }
    // Nothing new: all that is left must end, and within a bounded time.
    for (int i = 0; i < REQUESTS_MAX; i++)
        if (m->requests[i].used)
            scheduler_pause(m->s, &m->requests[i].seq, false);
    for (int64_t i = 0; count_used(m); i++) {
        assert_true(i < STALLED);
        one_step(m, true);
    }
    assert_int_equal(m->finished + m->cancelled, m->sequences);
    assert_int_equal(m->s->n_running + m->s->n_waiting, 0);
    assert_true(m->longest_wait < STALLED);
    print_message("%lld steps: %lld finished, %lld preemptions, %lld cached tokens, %lld forks "
                  "(%lld refused), %lld of %lld guesses right, %lld deferred, longest %lld steps, "
                  "%lld without a row\n",
                  (long long)m->step, (long long)m->finished, (long long)m->s->n_preemptions,
                  (long long)m->cached, (long long)m->forks, (long long)m->refused_forks,
                  (long long)m->accepted, (long long)m->guessed, (long long)m->deferred,
                  (long long)m->longest_wait, (long long)m->longest_idle);
    assert_true(m->accepted > 0 && m->accepted < m->guessed);
    if (!o->no_prefix_cache)
        assert_true(m->cached > 0);
    assert_true(m->forks > 0 && m->scored > 0);
    if (way == ALIKE)
        assert_true(m->deferred > 0);
    for (int g = 0; g < o->n_groups; g++)
        free(m->kv[g]);
    batch_free(m->batch);
    scheduler_free(m->s);
    free(m);
}

static void enough_pages(void **state)
{
    (void)state;
    struct scheduler_options o = {.n_groups = 1,
                                  .n_pages = {200},
                                  .max_rows = 96,
                                  .max_seqs = 12,
                                  .max_wanted = 12 + 20,
                                  .ctx = CTX};
    simulate(&o, 1, 15000, 20, TIMED);
}

static void too_few_pages(void **state)
{
    (void)state;
    struct scheduler_options o = {.n_groups = 1,
                                  .n_pages = {14},
                                  .max_rows = 64,
                                  .max_seqs = 16,
                                  .max_wanted = 16 + 20,
                                  .ctx = CTX};
    simulate(&o, 2, 20000, 10, UNTIMED);
}

static void full_attention_beside_a_sliding_window(void **state)
{
    (void)state;
    struct scheduler_options o = {.n_groups = 2,
                                  .window = {0, 100},
                                  .n_pages = {30, 17},
                                  .max_rows = 80,
                                  .max_seqs = 10,
                                  .max_wanted = 10 + 20,
                                  .ctx = CTX};
    simulate(&o, 3, 20000, 10, TIMED);
}

static void nothing_but_a_sliding_window(void **state)
{
    (void)state;
    struct scheduler_options o = {.n_groups = 1,
                                  .window = {64},
                                  .n_pages = {9},
                                  .max_rows = 33,
                                  .max_seqs = 7,
                                  .max_wanted = 7 + 20,
                                  .ctx = CTX};
    simulate(&o, 4, 15000, 6, TIMED);
}

static void without_a_prefix_cache(void **state)
{
    (void)state;
    struct scheduler_options o = {.n_groups = 1,
                                  .n_pages = {20},
                                  .max_rows = 64,
                                  .max_seqs = 64,
                                  .max_wanted = 64 + 20,
                                  .ctx = CTX,
                                  .no_prefix_cache = true};
    simulate(&o, 5, 10000, 8, UNTIMED);
}

static void prompts_that_begin_alike(void **state)
{
    (void)state;
    struct scheduler_options o = {.n_groups = 2,
                                  .window = {0, 150},
                                  .n_pages = {60, 40},
                                  .max_rows = 128,
                                  .max_seqs = 12,
                                  .max_wanted = 12 + 20,
                                  .ctx = CTX};
    simulate(&o, 7, 8000, 3, ALIKE);
}

static void too_few_slots(void **state)
{
    (void)state;
    struct scheduler_options o = {.n_groups = 1,
                                  .n_pages = {60},
                                  .max_rows = 64,
                                  .max_seqs = 4,
                                  .max_wanted = 4 + 20,
                                  .ctx = CTX};
    simulate(&o, 6, 20000, 6, TIMED);
}

// No more rows may want logits than there are sequences: prompts whose tokens are all scored get
// what others leave, and one row at least.
static void as_few_logits_as_sequences(void **state)
{
    (void)state;
    struct scheduler_options o = {.n_groups = 2,
                                  .window = {0, 100},
                                  .n_pages = {30, 17},
                                  .max_rows = 80,
                                  .max_seqs = 10,
                                  .max_wanted = 10,
                                  .ctx = CTX};
    simulate(&o, 8, 20000, 6, TIMED);
}

// Two flows with much to do and weights 1 and 3 share the rows of prompts as 1 to 3.
static void rows_of_prompts_follow_the_weights(void **state)
{
    (void)state;
    enum { N = 8, ROWS = 128 };
    struct scheduler_options o = {.n_groups = 1,
                                  .n_pages = {100},
                                  .max_rows = ROWS,
                                  .max_seqs = N,
                                  .max_wanted = N + 20,
                                  .ctx = CTX};
    struct scheduler *s = scheduler_new(&o);
    struct batch *b = batch_new(ROWS, N, 1, s->pages_max);
    static int32_t tokens[N][CTX];
    struct sequence seqs[N] = {0};
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < CTX; k++)
            tokens[i][k] = i * 1000 + k;
        seqs[i] = (struct sequence){.tokens = tokens[i],
                                    .n_tokens = CTX - 10,
                                    .final_len = CTX,
                                    .flow_id = (uint64_t)(i % 2),
                                    .weight = i % 2 ? 3 : 1};
        scheduler_add(s, &seqs[i]);
    }
    int rows[2] = {0};
    for (int step = 0; step < 16; step++) {
        scheduler_step(s, b);
        for (int i = 0; i < s->n_runs; i++)
            rows[s->runs[i].seq->flow_id] += s->runs[i].n_rows;
        scheduler_settle(s);
    }
    assert_int_equal(rows[0] + rows[1], 16 * ROWS);
    assert_in_range(rows[1], 3 * rows[0] - 3 * 128, 3 * rows[0] + 3 * 128);
    for (int i = 0; i < N; i++)
        scheduler_remove(s, &seqs[i]);
    batch_free(b);
    scheduler_free(s);
}

static void rows_of_priority_come_first(void **state)
{
    (void)state;
    struct scheduler_options o = {.n_groups = 1,
                                  .n_pages = {40},
                                  .max_rows = 64,
                                  .max_seqs = 4,
                                  .max_wanted = 4 + 20,
                                  .ctx = CTX};
    struct scheduler *s = scheduler_new(&o);
    struct batch *b = batch_new(64, 4, 1, s->pages_max);
    static int32_t tokens[2][CTX];
    struct sequence a = {.tokens = tokens[0], .n_tokens = 300, .final_len = 310, .weight = 1};
    struct sequence urgent = {
        .tokens = tokens[1], .n_tokens = 100, .final_len = 110, .weight = 1, .priority = 1};
    for (int i = 0; i < 100; i++)
        tokens[1][i] = i;
    scheduler_add(s, &a);
    scheduler_step(s, b);
    scheduler_settle(s);
    scheduler_add(s, &urgent);
    scheduler_step(s, b);
    assert_int_equal(s->n_runs, 1);
    assert_ptr_equal(s->runs[0].seq, &urgent);
    scheduler_remove(s, &a);
    scheduler_remove(s, &urgent);
    batch_free(b);
    scheduler_free(s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(enough_pages),
        cmocka_unit_test(too_few_pages),
        cmocka_unit_test(full_attention_beside_a_sliding_window),
        cmocka_unit_test(nothing_but_a_sliding_window),
        cmocka_unit_test(without_a_prefix_cache),
        cmocka_unit_test(too_few_slots),
        cmocka_unit_test(as_few_logits_as_sequences),
        cmocka_unit_test(prompts_that_begin_alike),
        cmocka_unit_test(rows_of_prompts_follow_the_weights),
        cmocka_unit_test(rows_of_priority_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
