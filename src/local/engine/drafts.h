// drafts.h - guesses tokens before a step, and learns from what came of them.
//
// A choice's guesses stand in its sequence after the tokens it has; the step computes their rows
// beside the others; the sampler then draws each place's token as it would have, and where it is
// the guessed one the next place's logits are there already. So texts, logprobs and ends are those
// without guesses, bit for bit: a row's result does not depend on its company, and the draw for a
// position only on seed, choice and position. Threads: the engine's.
#pragma once
#include "local/engine/draft_model.h"
#include "local/engine/job.h"
#include "local/engine/speculation.h"

struct scheduler;
struct scheduler_row_run;

// Sets how many tokens are guessed for each choice of the jobs (a list), and which, unless the
// draft model is to say that once the step is planned (draft_model_guess).
void drafts_propose(struct speculation *s, struct draft_model *d, struct job *jobs);
// A run with guesses was said as far as they were right.
void drafts_learn(struct speculation *s, struct choice *c, int n_guessed, int n_right);
// The step took so long; what it holds says whether that tells the cost of rows.
void drafts_measure(struct speculation *s, const struct scheduler *scheduler, int n_rows,
                    double seconds);
