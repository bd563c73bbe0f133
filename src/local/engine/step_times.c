#include "local/engine/step_times.h"

#include <math.h>

// Reading the weights once costs about as much as so many rows; used until it was measured.
enum { WEIGHTS_ROWS = 8 };
static int bucket_of(double position)
{
    int b = 0;
    for (double end = 256; position >= end && b + 1 < POSITION_BUCKETS; end *= 2)
        b++;
    return b;
}

// The nearest price that was measured, of an earlier position if there is one.
static double price(const struct step_times *t, int bucket)
{
    for (int b = bucket; b >= 0; b--)
        if (t->prompt_row_s[b] > 0)
            return t->prompt_row_s[b];
    for (int b = bucket + 1; b < POSITION_BUCKETS; b++)
        if (t->prompt_row_s[b] > 0)
            return t->prompt_row_s[b];
    return 0;
}

static bool idle_known(const struct step_times *t)
{
    for (int b = 0; b < COST_BUCKETS; b++)
        if (t->idle.bucket[b].rows > 0)
            return true;
    return false;
}

double step_times_idle(const struct step_times *t, int n_rows)
{
    if (idle_known(t))
        return step_costs_of(&t->idle, n_rows);
    return price(t, 0) * (n_rows + WEIGHTS_ROWS);
}

double step_times_prompt_row(const struct step_times *t, int position)
{
    return price(t, bucket_of(position));
}

static void add_prompt(struct step_times *t, const struct step_work *w, double seconds)
{
    int bucket = bucket_of(w->positions / w->n_prompt);
    double *mean = &t->prompt_row_s[bucket], known = price(t, bucket);
    double whole = seconds / (w->n_decode + w->n_prompt), base = whole * w->n_decode;
    if (idle_known(t)) {
        base = step_times_idle(t, w->n_decode ? w->n_decode : 1);
        // What hardly shows beside the rest says nothing.
        if (known > 0 && w->n_prompt * known < base / 2)
            return;
    }
    double each = (seconds - base) / w->n_prompt, least = whole / 2;
    each = each > least ? each : least;
    if (*mean == 0) {
        *mean = each;
        return;
    }
    // A step that the system held up says nothing about its rows.
    double most = 2 * *mean;
    *mean += ((each < most ? each : most) - *mean) / 4;
}

void step_times_add(struct step_times *t, const struct step_work *w, double seconds)
{
    if (w->n_prompt)
        add_prompt(t, w, seconds);
    else if (w->n_decode)
        step_costs_add(&t->idle, w->n_decode, seconds);
}

double step_times_budget(const struct step_times *t, int n_decode, int n_prompts)
{
    double idle = step_times_idle(t, n_decode);
    if (!n_decode || !n_prompts || idle <= 0)
        return INFINITY;
    double budget = 3 * idle * n_prompts, most = STEP_MOST_S, least = 2 * idle;
    budget = budget < most ? budget : most;
    return budget > least ? budget : least;
}
