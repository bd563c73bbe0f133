#include "local/sampling/filters.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "local/sampling/sampler.h"
#include "local/sampling/weights.h"

// Buckets of 1/64 nat down to 32 nats below the best; the last one holds all that is further down.
enum { BUCKETS = 2048, BUCKETS_PER_NAT = 64 };
enum { REACH_BLOCK = 32, BUCKET_MANY = 1024 };
#define FURTHEST 3.0e38f  // beyond it is forbidden, or as good as that

int32_t candidate_id(uint64_t key)
{
    return (int32_t)(uint32_t)key;
}

static float key_distance(uint64_t key)
{
    uint32_t bits = (uint32_t)(key >> 32);
    float d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

double candidate_weight(uint64_t key)
{
    return (double)exp_lanes(floats_of(-key_distance(key)))[0];
}

// Floats that are not negative order as their bits do.
static uint64_t key_of(float distance, uint32_t id)
{
    uint32_t bits;
    memcpy(&bits, &distance, sizeof bits);
    return (uint64_t)bits << 32 | id;
}

static int bucket_of(float distance)
{
    float b = distance * BUCKETS_PER_NAT;
    return b < (float)(BUCKETS - 1) ? (int)b : BUCKETS - 1;
}

static void reserve(struct candidates *c, size_t n)
{
    if (n <= c->capacity)
        return;
    c->keys = memory_resize(c->keys, n, sizeof *c->keys);
    c->spare = memory_resize(c->spare, n, sizeof *c->spare);
    c->capacity = n;
}

void candidates_release(struct candidates *c)
{
    free(c->keys);
    free(c->spare);
    *c = (struct candidates){0};
}

static void sort_few(uint64_t *keys, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t key = keys[i];
        size_t j = i;
        for (; j > 0 && keys[j - 1] > key; j--)
            keys[j] = keys[j - 1];
        keys[j] = key;
    }
}

static int compare_keys(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// Radix sort by the distance's four bytes. It is stable, so keys that come in the order of their
// ids leave ties so.
static void sort_keys(struct candidates *c)
{
    if (c->n <= 32) {
        sort_few(c->keys, c->n);
        return;
    }
    for (int shift = 32; shift < 64; shift += 8) {
        size_t start[256] = {0}, sum = 0;
        for (size_t i = 0; i < c->n; i++)
            start[c->keys[i] >> shift & 255]++;
        for (int b = 0; b < 256; b++) {
            size_t count = start[b];
            start[b] = sum;
            sum += count;
        }
        for (size_t i = 0; i < c->n; i++)
            c->spare[start[c->keys[i] >> shift & 255]++] = c->keys[i];
        uint64_t *t = c->keys;
        c->keys = c->spare;
        c->spare = t;
    }
}

struct histogram {
    uint32_t count[BUCKETS];
    double mass[BUCKETS];
    double total;
};

double weights_sum(const float *logits, int n, float max, float t)
{
    float w[WEIGHT_BLOCK];
    double sum = 0;
    for (int i = 0; i < n; i += WEIGHT_BLOCK)
        sum += weights_of(logits + i, n - i < WEIGHT_BLOCK ? n - i : WEIGHT_BLOCK, max, t, w);
    return sum;
}

// The last bucket in which a survivor of top-k, top-p or min-p can be.
static int last_bucket(const struct histogram *h, const struct sampling *s, bool by_k, bool by_p)
{
    int last = BUCKETS - 1;
    // After top-k, top-p needs the mass of all that top-k left, also of what min-p will remove.
    if (s->min_p > 0 && !(by_k && s->top_p < 1)) {
        int b = bucket_of(-logf(s->min_p)) + 1;  // one more: rounding may not lose the border
        last = b < last ? b : last;
    }
    uint64_t n = 0;
    double mass = 0, enough = ((double)s->top_p + 1e-6) * h->total;
    for (int b = 0; b < last; b++) {
        n += h->count[b];
        mass += h->mass[b];
        if ((by_k && n >= (uint64_t)s->top_k) || (by_p && mass >= enough))
            return b;
    }
    return last;
}

// No survivor of top-k is further down: so many blocks have a token that is as near.
static float reach_of_top_k(const float *logits, int n, float max, float t, int k)
{
    uint32_t count[BUCKETS] = {0};
    for (int i = 0; i + REACH_BLOCK <= n; i += REACH_BLOCK) {
        floats most = floats_load(logits + i);
        for (int j = WEIGHT_LANES; j < REACH_BLOCK; j += WEIGHT_LANES) {
            floats x = floats_load(logits + i + j);
            most = floats_choose(x > most, x, most);
        }
        float a = most[0] > most[1] ? most[0] : most[1], b = most[2] > most[3] ? most[2] : most[3];
        count[bucket_of((max - (a > b ? a : b)) / t)]++;
    }
    uint32_t found = 0;
    for (int b = 0; b < BUCKETS - 1; b++) {
        found += count[b];
        if (found >= (uint32_t)k)
            return (float)(b + 1) / BUCKETS_PER_NAT;
    }
    return FURTHEST;
}

// No survivor of top-p is further down: even if all n were just there, they would not have half of
// the mass that top-p drops.
static float reach_of_top_p(double top_p, int n, double total)
{
    double dropped = (1 - top_p - 1e-6) * total / 2;
    if (dropped <= 0)
        return FURTHEST;
    double reach = log((double)n / dropped);
    return reach > 0 ? (float)reach : 0;
}

static float reach_of_min_p(float min_p)
{
    return min_p > 0 ? -logf(min_p) + 2.0f / BUCKETS_PER_NAT : FURTHEST;
}

static void gather_one(struct candidates *c, struct histogram *h, float d, float weight, int id)
{
    int b = bucket_of(d);
    c->keys[c->n++] = key_of(d, (uint32_t)id);
    h->count[b]++;
    h->mass[b] += (double)weight;
}

// Everything that is at most `reach` below the best.
static void gather(struct candidates *c, struct histogram *h, const float *logits, int n, float max,
                   float t, float reach)
{
    c->n = 0;
    int i = 0;
    for (; i + WEIGHT_LANES <= n; i += WEIGHT_LANES) {
        floats d = (max - floats_load(logits + i)) / t;
        masks near = d <= reach;
        if (!(near[0] | near[1] | near[2] | near[3]))
            continue;
        floats w = exp_lanes(-d);
        for (int k = 0; k < WEIGHT_LANES; k++)
            if (near[k])
                gather_one(c, h, d[k], w[k], i + k);
    }
    for (; i < n; i++) {
        float d = (max - logits[i]) / t;
        if (d <= reach)
            gather_one(c, h, d, exp_lanes(floats_of(-d))[0], i);
    }
}

static void cut_buckets(struct candidates *c, int last)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        if (bucket_of(key_distance(c->keys[i])) <= last)
            c->keys[n++] = c->keys[i];
    c->n = n;
}

static double sum_weights(const struct candidates *c)
{
    double sum = 0;
    for (size_t i = 0; i < c->n; i++)
        sum += candidate_weight(c->keys[i]);
    return sum;
}

static void cut_top_k(struct candidates *c, size_t k)
{
    if (c->n <= k)
        return;
    size_t n = k;
    uint64_t border = c->keys[k - 1] >> 32;
    while (n < c->n && c->keys[n] >> 32 == border)
        n++;
    c->n = n;
}

// Keeps a token while the mass before it is less than p of the total.
static void cut_top_p(struct candidates *c, double p, double total)
{
    double before = 0;
    size_t n = 0;
    do
        before += candidate_weight(c->keys[n++]);
    while (n < c->n && before < p * total);
    c->n = n;
}

static void cut_min_p(struct candidates *c, double min_p)
{
    size_t n = 1;
    while (n < c->n && candidate_weight(c->keys[n]) >= min_p)
        n++;
    c->n = n;
}

// Keeps the tokens whose surprise is nearest to the entropy, up to `mass` of probability.
// Source: Meister et al., "Locally Typical Sampling", arXiv:2202.00666.
static void cut_typical(struct candidates *c, const float *logits, float max, float t, double mass)
{
    double sum = sum_weights(c), log_sum = log(sum), entropy = 0;
    for (size_t i = 0; i < c->n; i++) {
        double log_p = -(double)key_distance(c->keys[i]) - log_sum;
        entropy -= exp(log_p) * log_p;
    }
    for (size_t i = 0; i < c->n; i++) {
        double surprise = (double)key_distance(c->keys[i]) + log_sum;
        c->keys[i] = key_of((float)fabs(surprise - entropy), (uint32_t)c->keys[i]);
    }
    sort_keys(c);
    double cumulated = 0;
    size_t n = 0;
    while (n < c->n && (n == 0 || cumulated < mass * sum)) {
        float d = (max - logits[candidate_id(c->keys[n])]) / t;
        cumulated += (double)expf(-d);
        n++;
    }
    uint64_t border = c->keys[n - 1] >> 32;
    while (n < c->n && c->keys[n] >> 32 == border)
        n++;
    c->n = n;
    for (size_t i = 0; i < n; i++) {  // back from the shift to the distance
        int32_t id = candidate_id(c->keys[i]);
        c->keys[i] = key_of((max - logits[id]) / t, (uint32_t)id);
    }
}

static bool filters_by_k(const struct sampling *s, int n_vocab)
{
    return s->top_k > 0 && s->top_k < n_vocab;
}

// All that may survive, in the order of ids. *h counts it, and has the mass of all where top-p
// needs it.
static void gather_near(struct candidates *c, struct histogram *h, const float *logits, int n_vocab,
                        float max, const struct sampling *s)
{
    assert(s->temperature > 0 && n_vocab > 0);
    float t = s->temperature, reach = FURTHEST;
    bool by_k = filters_by_k(s, n_vocab);
    bool by_p = s->top_p < 1 && !by_k;  // after top-k, top-p sees only what that left
    double total = by_p ? weights_sum(logits, n_vocab, max, t) : 0;
    if (by_k)
        reach = reach_of_top_k(logits, n_vocab, max, t, s->top_k);
    if (by_p)
        reach = reach_of_top_p((double)s->top_p, n_vocab, total);
    if (!(by_k && s->top_p < 1))
        reach = fminf(reach, reach_of_min_p(s->min_p));
    *h = (struct histogram){.total = total};
    reserve(c, (size_t)n_vocab);
    gather(c, h, logits, n_vocab, max, t, reach);
}

static void cut(struct candidates *c, const struct histogram *h, const float *logits, int n_vocab,
                float max, const struct sampling *s)
{
    float t = s->temperature;
    bool by_k = filters_by_k(s, n_vocab), by_p = s->top_p < 1 && !by_k;
    cut_buckets(c, last_bucket(h, s, by_k, by_p));
    if (by_k || s->top_p < 1 || s->min_p > 0)
        sort_keys(c);
    if (by_k)
        cut_top_k(c, (size_t)s->top_k);
    if (s->top_p < 1)
        cut_top_p(c, (double)s->top_p, by_p ? h->total : sum_weights(c));
    if (s->min_p > 0)
        cut_min_p(c, (double)s->min_p);
    if (s->typical_p < 1 && c->n > 1)
        cut_typical(c, logits, max, t, (double)s->typical_p);
    c->mass = sum_weights(c);
}

void filters_apply(struct candidates *c, const float *logits, int n_vocab, float max,
                   const struct sampling *s)
{
    struct histogram h;
    gather_near(c, &h, logits, n_vocab, max, s);
    cut(c, &h, logits, n_vocab, max, s);
}

// The candidates of one bucket, in order, in the spare list; how many.
static size_t sort_bucket(struct candidates *c, int bucket)
{
    struct candidates one = {.keys = c->spare};
    for (size_t i = 0; i < c->n; i++)
        if (bucket_of(key_distance(c->keys[i])) == bucket)
            one.keys[one.n++] = c->keys[i];
    qsort(one.keys, one.n, sizeof *one.keys, compare_keys);
    return one.n;
}

// The candidate of a sorted list at which the walked mass passes `wanted`; the last if none does.
static int32_t walk(const uint64_t *keys, size_t n, double wanted)
{
    double walked = 0;
    for (size_t i = 0; i < n; i++) {
        walked += candidate_weight(keys[i]);
        if (walked > wanted)
            return candidate_id(keys[i]);
    }
    return candidate_id(keys[n - 1]);
}

// A draw from what top-p leaves of many: only the bucket where p cuts and that of the draw are
// sorted. -1 if one of them holds too many, as of logits that are all alike; c is as it was then.
static int32_t draw_by_buckets(struct candidates *c, const struct histogram *h, double p, double u)
{
    double enough = p * h->total, before = 0, within = 0;
    int border = 0, last = BUCKETS - 1;
    while (!h->count[last])
        last--;
    while (border < last && before + h->mass[border] < enough)
        before += h->mass[border++];
    if (h->count[border] > BUCKET_MANY)
        return -1;
    size_t n = sort_bucket(c, border), kept = 0;
    while (kept < n && (kept == 0 || before + within < enough))
        within += candidate_weight(c->spare[kept++]);
    double wanted = u * (before + within), walked = 0;
    int b = 0;
    while (b < border && walked + h->mass[b] <= wanted)
        walked += h->mass[b++];
    if (h->count[b] > BUCKET_MANY)
        return -1;
    if (b < border)
        kept = sort_bucket(c, b);
    return walk(c->spare, kept, wanted - walked);
}

int32_t filters_draw(struct candidates *c, const float *logits, int n_vocab, float max,
                     const struct sampling *s, double u)
{
    enum { MANY = 512 };
    struct histogram h;
    gather_near(c, &h, logits, n_vocab, max, s);
    bool only_p = s->top_p < 1 && s->min_p <= 0 && s->typical_p >= 1 && !filters_by_k(s, n_vocab);
    int32_t drawn = only_p && c->n > MANY ? draw_by_buckets(c, &h, (double)s->top_p, u) : -1;
    if (drawn >= 0)
        return drawn;
    cut(c, &h, logits, n_vocab, max, s);
    return walk(c->keys, c->n, u * c->mass);
}
