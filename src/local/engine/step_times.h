// step_times.h - what a step will take, from what steps took, and what it may take.
//
// Pure numbers: no clock. Steps without prompts tell what the sequences that generate cost by
// themselves (the idle step); what a step with rows of prompts takes beyond that is theirs. A
// prompt's row costs more the further it stands in its text, so its price is kept by position.
// Nothing measured yet: everything is free, and the first step tells. Nothing here can change a
// text, only in how many pieces its prompt is read. Threads: the engine's.
#pragma once
#include "local/engine/speculation.h"

enum { POSITION_BUCKETS = 16 };  // below 256, 512, 1024 ...

struct step_work {     // what a step holds
    int n_decode;      // rows of sequences that generate, with their guesses
    int n_prompt;      // rows of prompts
    double positions;  // of the rows of prompts, added up
};
struct step_times {
    struct step_costs idle;                 // by rows
    double prompt_row_s[POSITION_BUCKETS];  // of one row of a prompt; 0: not measured
};

void step_times_add(struct step_times *t, const struct step_work *w, double seconds);
// Of a step of so many rows of sequences that generate, and nothing else. 0: nothing is known.
double step_times_idle(const struct step_times *t, int n_rows);
double step_times_prompt_row(const struct step_times *t, int position);  // 0: nothing is known

// Seconds that a step may take in which n_decode sequences generate and n_prompts are to be read:
// three idle steps for each of the latter, at most STEP_MOST_S. Prompts get half of the time in any
// case. Infinite where nobody who generates has to wait for it, or nothing is known.
#define STEP_MOST_S 0.7
double step_times_budget(const struct step_times *t, int n_decode, int n_prompts);
