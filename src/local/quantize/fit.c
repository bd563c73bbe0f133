#include "local/quantize/fit.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "local/quantize/round.h"

enum {
    ROUNDS = 4,    // of improving; most blocks stop earlier
    WAYS_MAX = 64  // that a search begins from
};

// One group's sums. Those over x and w alone stay, those with the levels l follow each rounding.
struct group {
    const float *x, *w;
    struct plain_sums p;
    struct group_sums s;
    double d, m;  // what it would like: x is about d * l - m
};

// The state of a block under way; kept as a whole when it is the best so far. Blocks are many, and
// mostly shorter than the longest: only what a block has of `level` is set and copied.
struct state {
    float d, dmin;
    int scale[GROUPS_MAX], min[GROUPS_MAX];
    double error;
    float level[BLOCK_MAX];
};

struct fit {
    const struct format *f;
    int n_groups;
    struct rounding r;
    round_group_fn round;
    round_starts_fn round_starts;
    struct group group[GROUPS_MAX];
};

static float level_at(const struct format *f, int i)
{
    return (float)(f->levels ? f->levels[i] : f->first + i);
}

// Index of the level nearest to v.
static int nearest_level(const struct format *f, float v)
{
    int i = 0;
    if (!f->levels) {
        float steps = floorf(v - (float)f->first + 0.5f);
        return !(steps > 0) ? 0 : steps < (float)f->n_levels ? (int)steps : f->n_levels - 1;
    }
    while (i + 1 < f->n_levels && v * 2 >= level_at(f, i) + level_at(f, i + 1))
        i++;
    return i;
}

// Levels for (x + m) / d, and the sums that go with them.
static void round_to(const struct fit *t, struct group *g, double d, double m, float *level)
{
    t->round(&t->r, g->x, g->w, round_inverse(d), (float)m, level, &g->s);
}

// Of reading the rounded group back as d * l - m.
static double error_of(const struct group *g, double d, double m)
{
    return g->p.wxx + d * (d * g->s.wll - 2 * g->s.wxl) + m * (m * g->p.w + 2 * g->p.wx) -
           2 * d * m * g->s.wl;
}

// The scale (and min) that fit the levels of the last rounding best.
static void best_for_levels(const struct fit *t, const struct group *g, double *d, double *m)
{
    if (t->f->has_min) {
        double det = g->p.w * g->s.wll - g->s.wl * g->s.wl;
        if (det > g->p.w * g->s.wll * 1e-9) {
            *d = (g->p.w * g->s.wxl - g->p.wx * g->s.wl) / det;
            *m = (g->s.wl * *d - g->p.wx) / g->p.w;
            if (*m >= 0 || !t->f->min_hi)
                return;
        }
    }
    *m = 0;
    *d = g->s.wll > 0 ? g->s.wxl / g->s.wll : 0;
}

struct ways {  // to round a group; only the first n are set
    int n;
    double d[WAYS_MAX], m[WAYS_MAX];
};

static void add_way(struct ways *all, double d, double m)
{
    assert(all->n < WAYS_MAX);
    all->d[all->n] = d;
    all->m[all->n++] = m;
}

// The best of all, each with the scale (and min) that fit its levels best.
static void try_ways(const struct fit *t, struct group *g, struct ways *all, double *best)
{
    while (all->n % STARTS)  // the last once more
        add_way(all, all->d[all->n - 1], all->m[all->n - 1]);
    for (int from = 0; from < all->n; from += STARTS) {
        struct starts s;
        memcpy(s.d, all->d + from, sizeof s.d);
        memcpy(s.m, all->m + from, sizeof s.m);
        t->round_starts(&t->r, &g->p, g->x, g->w, &s);
        for (int i = 0; i < STARTS; i++)
            if (s.error[i] < *best) {
                *best = s.error[i];
                g->d = s.d[i];
                g->m = s.m[i];
            }
    }
}

// From there scale and levels follow each other while that helps.
static void follow(const struct fit *t, struct group *g, double *best)
{
    float level[GROUP_MAX];
    double d = g->d, m = g->m;
    for (int i = 0; i < ROUNDS; i++) {
        round_to(t, g, d, m, level);
        best_for_levels(t, g, &d, &m);
        double error = error_of(g, d, m);
        if (!(error < *best))
            return;
        *best = error;
        g->d = d;
        g->m = m;
    }
}

// Where the farthest value lands, as a share of the farthest level: above 1 it is cut off.
static const float reaches[] = {1.0f, 0.9f,  0.93f, 0.96f, 0.98f, 1.02f, 1.04f, 1.07f,
                                1.1f, 1.14f, 1.18f, 1.22f, 1.27f, 1.33f, 1.4f,  1.5f};
enum { N_REACHES = sizeof reaches / sizeof *reaches };

static void like_scale(const struct fit *t, struct group *g)
{
    float far = 0;
    for (int i = 0; i < t->f->group_len; i++)
        far = fabsf(g->x[i]) > fabsf(far) ? g->x[i] : far;
    double best = g->p.wxx;
    struct ways all;
    all.n = 0;
    g->d = g->m = 0;
    for (int side = 0; side < 2; side++) {
        float end = side ? t->r.hi : t->r.lo;
        if (t->r.lo == -t->r.hi && end * far < 0)
            continue;  // its twin with a negative scale
        for (int i = 0; far != 0 && i < N_REACHES; i++)
            add_way(&all, (double)far / ((double)end * (double)reaches[i]), 0);
    }
    try_ways(t, g, &all, &best);
    follow(t, g, &best);
}

// How far the ends of the range move inwards, in steps of the unmoved scale.
static const float insets[] = {0, -0.4f, -0.2f, 0.2f, 0.4f, 0.7f, 1.1f};
enum { N_INSETS = sizeof insets / sizeof *insets };

static void like_scale_and_min(const struct fit *t, struct group *g)
{
    double low = (double)g->x[0], high = low;
    for (int i = 1; i < t->f->group_len; i++) {
        low = fmin(low, (double)g->x[i]);
        high = fmax(high, (double)g->x[i]);
    }
    if (t->f->min_hi && low > 0)
        low = 0;
    double best = INFINITY, step = (high - low) / (double)t->r.hi;
    struct ways all;
    all.n = 0;
    g->d = 0;
    g->m = -low;
    if (!(step > 0))
        return;
    for (int a = 0; a < N_INSETS; a++)
        for (int b = 0; b < N_INSETS; b++) {
            double from = low + (double)insets[a] * step, to = high - (double)insets[b] * step;
            if (to > from)
                add_way(&all, (to - from) / (double)t->r.hi, t->f->min_hi && from > 0 ? 0 : -from);
        }
    try_ways(t, g, &all, &best);
    follow(t, g, &best);
}

// The nearest number that the file can hold.
static float storable(const struct fit *t, double v)
{
    if (t->f->power_of_two)  // the nearest by ratio; improve() looks at its neighbours
        return v > 0 ? ldexpf(1, (int)fmin(fmax(round(log2(v)), -128), 126)) : 0;
    return f16_to_f32(f32_to_f16((float)fmin(fmax(v, -65504), 65504)));
}

static int clamp_round(double v, int lo, int hi)
{
    return v <= lo ? lo : v >= hi ? hi : (int)lrint(v);
}

// Which of several candidates for d lets whole-numbered scales come nearest to the wishes; cost is
// what a wrong scale costs with the levels as they are.
static double shared_scale(const double *wish, const double *cost, int n, int lo, int hi)
{
    double far = 0, best = INFINITY, found = 0;
    for (int g = 0; g < n; g++)
        far = fabs(wish[g]) > fabs(far) ? wish[g] : far;
    for (int side = 0; far != 0 && side < 2; side++) {
        int end = side ? hi : lo;
        for (int i = 0; end != 0 && i < 24; i++) {
            double d = far / (end * (1.04 - 0.02 * i)), error = 0;
            for (int g = 0; g < n; g++) {
                double miss = wish[g] - d * clamp_round(wish[g] / d, lo, hi);
                error += cost[g] * miss * miss;
            }
            if (error < best) {
                best = error;
                found = d;
            }
        }
    }
    return found;
}

static void start_block(struct fit *t, struct state *s)
{
    const struct format *f = t->f;
    double wish_d[GROUPS_MAX], cost_d[GROUPS_MAX], wish_m[GROUPS_MAX], cost_m[GROUPS_MAX];
    float level[GROUP_MAX];
    for (int i = 0; i < t->n_groups; i++) {
        struct group *g = &t->group[i];
        sum_group(f->group_len, g->x, g->w, &g->p);
        if (f->has_min)
            like_scale_and_min(t, g);
        else
            like_scale(t, g);
        round_to(t, g, g->d, g->m, level);
        wish_d[i] = g->d;
        cost_d[i] = g->s.wll;
        wish_m[i] = g->m;
        cost_m[i] = g->p.w;
    }
    bool own = f->scale_hi != 0, own_min = f->min_hi != 0;
    s->d = storable(t, own ? shared_scale(wish_d, cost_d, t->n_groups, f->scale_lo, f->scale_hi)
                           : t->group[0].d);
    s->dmin = storable(t, own_min ? shared_scale(wish_m, cost_m, t->n_groups, 0, f->min_hi)
                                  : t->group[0].m);
    for (int i = 0; i < t->n_groups; i++) {
        double d = (double)s->d, dmin = (double)s->dmin;
        s->scale[i] = !own ? 1 : d != 0 ? clamp_round(wish_d[i] / d, f->scale_lo, f->scale_hi) : 0;
        s->min[i] = !own_min ? 1 : dmin != 0 ? clamp_round(wish_m[i] / dmin, 0, f->min_hi) : 0;
    }
    s->error = INFINITY;
}

// The best min for the levels of the last rounding with scale d.
static int min_for(const struct fit *t, const struct group *g, const struct state *s, double d,
                   int otherwise)
{
    if (!t->f->min_hi || s->dmin == 0)
        return otherwise;
    return clamp_round((g->s.wl * d - g->p.wx) / (g->p.w * (double)s->dmin), 0, t->f->min_hi);
}

struct choice {
    int scale, min;
    double error;
    struct group_sums sums;
    float level[GROUP_MAX];
};

// tries[0] is the best so far, tries[1] room for another.
static void consider(const struct fit *t, struct group *g, const struct state *s, int scale,
                     int min, struct choice *tries[2])
{
    double d = (double)s->d * scale;
    for (int pass = 0; pass < 2; pass++) {
        struct choice *c = tries[1];
        double m = (double)s->dmin * min;
        round_to(t, g, d, m, c->level);
        c->scale = scale;
        c->min = min;
        c->error = error_of(g, d, m);
        c->sums = g->s;
        if (c->error < tries[0]->error) {
            tries[1] = tries[0];
            tries[0] = c;
        }
        min = min_for(t, g, s, d, c->min);
        if (min == c->min)
            return;
    }
}

// Each group's scale and min anew, among the neighbours of what it has, for the block's d and dmin.
static void choose_groups(struct fit *t, struct state *s)
{
    const struct format *f = t->f;
    s->error = 0;
    for (int i = 0; i < t->n_groups; i++) {
        struct group *g = &t->group[i];
        struct choice room[2], *tries[2] = {&room[0], &room[1]};
        room[0].error = INFINITY;
        int around = f->scale_hi ? 1 : 0;
        for (int k = -around; k <= around; k++) {
            int scale = s->scale[i] + k;
            if (!around || (scale >= f->scale_lo && scale <= f->scale_hi))
                consider(t, g, s, scale, s->min[i], tries);
        }
        struct choice *best = tries[0];
        if (!(best->error < INFINITY))  // values so large that sums are no numbers
            *best = (struct choice){.error = INFINITY};
        s->scale[i] = best->scale;
        s->min[i] = best->min;
        s->error += best->error;
        g->s = best->sums;
        memcpy(s->level + i * f->group_len, best->level, sizeof(float) * (size_t)f->group_len);
    }
}

// The block's d and dmin that fit levels, scales and mins best.
static void best_for_groups(const struct fit *t, struct state *s)
{
    double a = 0, b = 0, c = 0, x = 0, y = 0;
    for (int i = 0; i < t->n_groups; i++) {
        const struct group *g = &t->group[i];
        double scale = s->scale[i], min = s->min[i];
        a += scale * scale * g->s.wll;
        b -= scale * min * g->s.wl;
        c += min * min * g->p.w;
        x += scale * g->s.wxl;
        y -= min * g->p.wx;
    }
    double det = a * c - b * b;
    if (!t->f->has_min) {
        s->d = storable(t, a > 0 ? x / a : 0);
    } else if (det > a * c * 1e-9) {
        s->d = storable(t, (x * c - b * y) / det);
        s->dmin = storable(t, (a * y - b * x) / det);
    }
}

static void improve(struct fit *t, struct state *s, struct state *best)
{
    for (int i = 0; i < ROUNDS; i++) {
        choose_groups(t, s);
        if (!(s->error < best->error))
            return;
        memcpy(best, s, offsetof(struct state, level) + sizeof(float) * (size_t)t->f->block_len);
        best_for_groups(t, s);
    }
}

static void give(const struct format *f, const struct state *s, struct block *out)
{
    out->d = s->d;
    out->dmin = f->has_min ? s->dmin : 0;
    memcpy(out->scale, s->scale, sizeof out->scale);
    memcpy(out->min, s->min, sizeof out->min);
    for (int i = 0; i < f->block_len; i++) {
        int index = f->levels ? nearest_level(f, s->level[i]) : (int)s->level[i] - f->first;
        out->code[i] = f->codes ? f->codes[index] : (uint8_t)index;
    }
}

static void prepare_rounding(struct fit *t)
{
    const struct format *f = t->f;
    t->round = round_group_best();
    t->round_starts = round_starts_best();
    t->r.has_min = f->has_min;
    t->r.min_positive = f->min_hi != 0;
    t->r.n = f->group_len;
    t->r.n_mids = 0;
    t->r.lo = level_at(f, 0);
    t->r.hi = level_at(f, f->n_levels - 1);
    for (int i = 1; f->levels && i < f->n_levels; i++) {
        float below = level_at(f, i - 1), here = level_at(f, i);
        t->r.mids[t->r.n_mids] = (below + here) / 2;
        t->r.steps[t->r.n_mids++] = here - below;
    }
}

void fit_block(const struct format *f, const float *x, const float *w, struct block *out)
{
    struct fit t;
    struct state s, best;
    t.f = f;
    t.n_groups = f->block_len / f->group_len;
    memset(&s, 0, offsetof(struct state, level));
    memset(&best, 0, offsetof(struct state, level));
    best.error = INFINITY;
    assert(t.n_groups <= GROUPS_MAX && f->group_len <= GROUP_MAX);
    prepare_rounding(&t);
    for (int i = 0; i < t.n_groups; i++) {
        t.group[i].x = x + i * f->group_len;
        t.group[i].w = w + i * f->group_len;
    }
    start_block(&t, &s);
    float d = s.d;
    improve(&t, &s, &best);
    for (int k = -1; f->power_of_two && d > 0 && k <= 1; k += 2) {
        s.d = k < 0 ? d / 2 : d * 2;
        improve(&t, &s, &best);
    }
    if (!(best.error < INFINITY))
        memset(best.level, 0, sizeof best.level);
    give(f, &best, out);
}

uint8_t fit_code(const struct format *f, const struct block *b, int group, float x, float *value)
{
    float d = b->d * (float)b->scale[group], m = b->dmin * (float)b->min[group];
    int i = nearest_level(f, (x + m) * round_inverse((double)d));
    *value = d * level_at(f, i) - m;
    return f->codes ? f->codes[i] : (uint8_t)i;
}
