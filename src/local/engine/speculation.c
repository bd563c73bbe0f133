#include "local/engine/speculation.h"

#include <math.h>
#include <stddef.h>

enum { WAIT_LEAST = 8, WAIT_MOST = 256, TRIAL = 2 };
// What a step without guesses costs changes as texts grow: one in so many is without.
enum { MEASURE_EACH = 100 };
// A row more than was ever measured is taken to cost this much of a step, until it is measured.
static const double UNKNOWN_ROW = 0.1;
static const double WORTH_IT = 1.02;  // estimates are not that exact
static const float PRIOR = 3;         // guesses that what others had counts for
// What is left of old counts after each new guess: some 16 of them count, or some 200.
static const float FADES = 0.94f, FADES_SLOWLY = 0.995f;

enum guess_kind guess_kind_of(int n_agreed)
{
    static const int least[] = {3, 4, 6, 10, 20};
    int kind = GUESS_LOOKUP;
    while (kind < 5 && n_agreed >= least[kind])
        kind++;
    return (enum guess_kind)kind;
}

static int bucket_of(int n_rows)
{
    int b = 0;
    while (b + 1 < COST_BUCKETS && 1 << b < n_rows)
        b++;
    return b;
}

void step_costs_add(struct step_costs *c, int n_rows, double seconds)
{
    int b = bucket_of(n_rows);
    double *rows = &c->bucket[b].rows, *mean = &c->bucket[b].seconds;
    if (*rows == 0) {
        *rows = n_rows;
        *mean = seconds;
        return;
    }
    // A step that the system held up says nothing about its rows.
    double most = 2 * *mean;
    *rows += (n_rows - *rows) / 8;
    *mean += ((seconds < most ? seconds : most) - *mean) / 8;
}

// Straight lines between what was measured.
double step_costs_of(const struct step_costs *c, double n_rows)
{
    int below = -1, above = -1, next = -1;  // buckets; next: the one before `below`
    for (int b = 0; b < COST_BUCKETS; b++) {
        if (c->bucket[b].rows == 0)
            continue;
        if (c->bucket[b].rows <= n_rows) {
            next = below;
            below = b;
        } else if (above < 0) {
            above = b;
        }
    }
    if (below < 0 && above < 0)
        return 1 + UNKNOWN_ROW * (n_rows - 1);
    if (below < 0)
        return c->bucket[above].seconds;
    double rows = c->bucket[below].rows, seconds = c->bucket[below].seconds, slope;
    if (above < 0) {
        slope = UNKNOWN_ROW * seconds / rows;
        if (next >= 0)
            slope = (seconds - c->bucket[next].seconds) / (rows - c->bucket[next].rows);
    } else {
        slope = (c->bucket[above].seconds - seconds) / (c->bucket[above].rows - rows);
    }
    return seconds + (slope > 0 ? slope : 0) * (n_rows - rows);
}

void speculation_measure(struct speculation *s, int n_seqs, int n_rows, double seconds)
{
    int b = bucket_of(n_seqs);
    step_costs_add(&s->costs[b], n_rows, seconds);
    s->n_guessing[b] = n_rows > n_seqs ? s->n_guessing[b] + 1 : 0;
}

void speculation_begin(struct speculation *s, int n_seqs)
{
    int b = bucket_of(n_seqs);
    s->rows = s->tokens = n_seqs;
    s->n_seqs = n_seqs;
    s->measuring = s->costs[b].bucket[b].rows == 0 || s->n_guessing[b] >= MEASURE_EACH;
}

float speculation_chance(const struct speculation *s, const struct pace *p, enum guess_kind kind)
{
    static const float at_first[GUESS_KINDS] = {0.4f, 0.5f, 0.6f, 0.7f, 0.8f, 0.9f, 0.7f};
    const struct odds *all = &s->odds[kind], *own = &p->odds[kind];
    float others = (all->right + PRIOR * at_first[kind]) / (all->tried + PRIOR);
    return (own->right + PRIOR * others) / (own->tried + PRIOR);
}

int speculation_length(struct speculation *s, struct pace *p, enum guess_kind kind, int most)
{
    const struct step_costs *costs = &s->costs[bucket_of(s->n_seqs)];
    if (most <= 0 || s->measuring)
        return 0;
    double right = (double)speculation_chance(s, p, kind),
           each = kind == GUESS_MODEL ? s->model_s : 0;
    double best_rate = WORTH_IT * s->tokens / step_costs_of(costs, s->rows);
    double more = 0, best_more = 0, reached = 1;
    int best = 0;
    for (int k = 1; k <= most; k++) {
        reached *= right;
        more += reached;
        double rate = (s->tokens + more) / (step_costs_of(costs, s->rows + k) + k * each);
        if (rate > best_rate) {
            best_rate = rate;
            best_more = more;
            best = k;
        }
    }
    if (!best && ++p->passed[kind] > p->wait[kind] + WAIT_LEAST)
        best = TRIAL < most ? TRIAL : most;
    if (best)
        p->passed[kind] = 0;
    s->rows += best;
    s->tokens += best_more;
    return best;
}

static void count(struct odds *o, int n_right, bool wrong, float fades)
{
    float rest = powf(fades, (float)(n_right + wrong));
    o->tried = o->tried * rest + (float)(n_right + wrong);
    o->right = o->right * rest + (float)n_right;
}

void speculation_draft_cost(struct speculation *s, double seconds)
{
    double most = 2 * s->model_s;
    if (s->model_s == 0)
        s->model_s = seconds;
    else
        s->model_s += ((seconds < most ? seconds : most) - s->model_s) / 8;
}

void speculation_learn(struct speculation *s, struct pace *p, enum guess_kind kind, int n_guessed,
                       int n_right)
{
    if (!n_guessed)
        return;
    bool wrong = n_right < n_guessed;
    count(&p->odds[kind], n_right, wrong, FADES);
    count(&s->odds[kind], n_right, wrong, FADES_SLOWLY);
    int wait = n_right ? p->wait[kind] / 2 : p->wait[kind] * 2 + 1;
    p->wait[kind] = wait < WAIT_MOST ? wait : WAIT_MOST;
}
