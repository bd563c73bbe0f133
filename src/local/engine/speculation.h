// speculation.h - how many tokens are worth guessing: from what guesses were worth so far, and from
// what steps of so many rows cost. Pure numbers: no clock, no tokens, no model.
//
// A guess is right with a probability that depends on its kind: a lookup by how many tokens agreed,
// or a draft model. With probability p a draft of k tokens brings (1 - p^k) * p / (1 - p) tokens
// more; it is made if, added to what the step does for others, it brings more tokens a second.
// A kind that does not pay is left alone, and tried again after a while, each time a longer one.
// Nothing here can change a text, only how fast it comes. Threads: the engine's.
// Source: the expected gain is that of Leviathan et al., arXiv:2211.17192, section 3.
#pragma once
#include <stdbool.h>

enum { DRAFT_MOST = 32 };  // tokens guessed for one sequence in one step
enum { COST_BUCKETS = 12 };

enum guess_kind { GUESS_LOOKUP, GUESS_MODEL = GUESS_LOOKUP + 6, GUESS_KINDS };
enum guess_kind guess_kind_of(int n_agreed);  // of a lookup

struct odds {  // counts in which old guesses fade
    float tried, right;
};
struct step_costs {  // seconds of a step by its rows, in buckets that double
    struct {
        double rows, seconds;  // means that follow; rows 0: not measured yet
    } bucket[COST_BUCKETS];
};
struct speculation {  // of an engine
    // By the sequences of a step, in buckets that double: rows of one sequence share its keys and
    // values, so they cost less than as many of different ones.
    struct step_costs costs[COST_BUCKETS];
    int n_guessing[COST_BUCKETS];   // steps since one without guesses was measured
    bool measuring;                 // the step that is being planned is to be without guesses
    struct odds odds[GUESS_KINDS];  // what a new sequence begins with
    double model_s;                 // that the draft model takes for a token
    int n_seqs;
    double rows, tokens;  // of the step that is being planned, as far as it is known
};
struct pace {  // of a sequence
    struct odds odds[GUESS_KINDS];
    int passed[GUESS_KINDS], wait[GUESS_KINDS];  // chances not taken; how many to let pass
};

// A step of so many rows, of n_seqs sequences, took so long.
void speculation_measure(struct speculation *s, int n_seqs, int n_rows, double seconds);
void step_costs_add(struct step_costs *c, int n_rows, double seconds);
double step_costs_of(const struct step_costs *c, double n_rows);  // 1 and upwards where unknown

// The probability that a guess of this kind is right.
float speculation_chance(const struct speculation *s, const struct pace *p, enum guess_kind kind);
// A step begins of so many sequences that would bring a row each.
void speculation_begin(struct speculation *s, int n_seqs);
// How many tokens, at most `most`, to guess now for a sequence that has a guess of this kind.
int speculation_length(struct speculation *s, struct pace *p, enum guess_kind kind, int most);
void speculation_draft_cost(struct speculation *s, double seconds);  // of a guess of the model's
// Of n_guessed tokens the first n_right were right.
void speculation_learn(struct speculation *s, struct pace *p, enum guess_kind kind, int n_guessed,
                       int n_right);
