#include "local/engine/drafts.h"

static bool generates(const struct choice *c)
{
    const struct sequence *seq = &c->seq;
    return c->begun && !c->finished && c->n_generated && seq->state == SEQUENCE_RUNNING &&
           !seq->paused && seq->n_tokens - seq->n_computed == 1;
}

static bool reads_prompt(const struct choice *c)
{
    const struct sequence *seq = &c->seq;
    return c->begun && !c->finished && seq->state == SEQUENCE_RUNNING && !seq->paused &&
           seq->n_tokens - seq->n_computed > 1;
}

// Rows that are computed anyway; 0 if prompts are read: then there is no row to spare.
static int rows_without(const struct job *jobs)
{
    int n = 0;
    for (const struct job *j = jobs; j; j = j->next)
        for (int i = 0; i < j->n_choices; i++) {
            if (reads_prompt(&j->choices[i]))
                return 0;
            n += generates(&j->choices[i]);
        }
    return n;
}

// What ends the text is not worth a row: after it comes nothing.
static int up_to_the_end(const struct choice *c, int n)
{
    for (int i = 0; i < n; i++)
        if (job_is_end(c->job, c->seq.tokens[c->seq.n_tokens + i]))
            return i;
    return n;
}

// How many tokens to guess where there is a guess of this kind.
static int length(struct speculation *s, struct choice *c, enum guess_kind kind, int most,
                  bool may_spare)
{
    int asked = c->job->speculate;
    if (asked > 0)
        return asked < most ? asked : most;
    return may_spare ? speculation_length(s, &c->pace, kind, most) : 0;
}

static bool propose_lookup(struct speculation *s, struct choice *c, enum guess_kind kind, int most,
                           bool may_spare)
{
    struct sequence *seq = &c->seq;
    int n = length(s, c, kind, most, may_spare);
    if (!n)
        return false;
    c->guess_kind = kind;
    lookup_guess(&c->lookup, seq->tokens, seq->n_tokens, n);
    const int32_t *guesses = seq->tokens + seq->n_tokens;
    seq->n_draft = constraint_fits(&c->constraint, guesses, up_to_the_end(c, n));
    return true;
}

static bool propose_model(struct speculation *s, struct draft_model *d, struct choice *c, int most,
                          bool may_spare)
{
    int n = length(s, c, GUESS_MODEL, most, may_spare);
    if (!n)
        return false;
    c->guess_kind = GUESS_MODEL;
    c->seq.n_draft = draft_model_reach(d, c, n);
    return true;
}

static void propose(struct speculation *s, struct draft_model *d, struct choice *c, int most,
                    bool may_spare)
{
    struct sequence *seq = &c->seq;
    int room = seq->final_len - 1 - seq->n_tokens;
    most = most < room ? most : room;
    if (most <= 0)
        return;
    choice_reserve(c, most);
    if (!c->lookup.head)  // not before: those who wait need none
        lookup_init(&c->lookup, seq->final_len);
    int agreed = lookup_find(&c->lookup, seq->tokens, seq->n_tokens);
    enum guess_kind kind = guess_kind_of(agreed);
    bool model = d->batch && !c->draft_model_lost;
    // What stood before costs nothing to guess, but a draft model may know better.
    if (model && (!agreed || speculation_chance(s, &c->pace, GUESS_MODEL) >
                                 speculation_chance(s, &c->pace, kind)))
        if (propose_model(s, d, c, most, may_spare))
            return;
    if (agreed)
        (void)propose_lookup(s, c, kind, most, may_spare);
}

void drafts_propose(struct speculation *s, struct draft_model *d, struct job *jobs)
{
    int n_rows = rows_without(jobs);
    speculation_begin(s, n_rows);
    for (struct job *j = jobs; j; j = j->next) {
        int spare = j->spare_room;
        for (int i = 0; i < j->n_choices; i++) {
            struct choice *c = &j->choices[i];
            c->seq.n_draft = 0;
            if (j->speculate == SPECULATE_OFF || !generates(c))
                continue;
            propose(s, d, c, spare < DRAFT_MOST ? spare : DRAFT_MOST, n_rows > 0);
            spare -= c->seq.n_draft;
        }
    }
    draft_model_read(d);
}

void drafts_learn(struct speculation *s, struct choice *c, int n_guessed, int n_right)
{
    c->job->drafted_tokens += (size_t)n_guessed;
    c->job->accepted_tokens += (size_t)n_right;
    // Where the text ended, what was guessed beyond was not wrong.
    speculation_learn(s, &c->pace, c->guess_kind, c->finished ? n_right : n_guessed, n_right);
}

void drafts_measure(struct speculation *s, const struct scheduler *scheduler, int n_rows,
                    double seconds)
{
    int n_logits = 0;
    for (int i = 0; i < scheduler->n_runs; i++)
        n_logits += scheduler->runs[i].n_logits - scheduler->runs[i].n_scored;
    if (n_logits == n_rows)
        speculation_measure(s, scheduler->n_runs, n_rows, seconds);
}
