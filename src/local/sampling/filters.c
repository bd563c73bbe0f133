#include "local/sampling/filters.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "local/sampling/sampler.h"

// Buckets of 1/64 nat down to 32 nats below the best; the last one holds all that is further down.
enum { BUCKETS = 2048, BUCKETS_PER_NAT = 64 };

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
    return expf(-key_distance(key));
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

static void count_buckets(struct histogram *h, const float *logits, int n, float max, float t,
                          bool with_mass)
{
    memset(h, 0, sizeof *h);
    for (int i = 0; i < n; i++) {
        float d = (max - logits[i]) / t;
        int b = bucket_of(d);
        if (d > 3.0e38f)  // forbidden, or as good as that
            continue;
        h->count[b]++;
        if (with_mass)
            h->mass[b] += (double)expf(-d);
    }
    for (int b = 0; b < BUCKETS; b++)
        h->total += h->mass[b];
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

static void gather(struct candidates *c, const float *logits, int n, float max, float t, int last)
{
    c->n = 0;
    for (int i = 0; i < n; i++) {
        float d = (max - logits[i]) / t;
        if (bucket_of(d) <= last && d <= 3.0e38f)
            c->keys[c->n++] = key_of(d, (uint32_t)i);
    }
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

void filters_apply(struct candidates *c, const float *logits, int n_vocab, float max,
                   const struct sampling *s)
{
    assert(s->temperature > 0 && n_vocab > 0);
    float t = s->temperature;
    bool by_k = s->top_k > 0 && s->top_k < n_vocab;
    bool by_p = s->top_p < 1 && !by_k;  // after top-k, top-p sees only what that left
    int last = BUCKETS - 1;
    double total = 0;
    size_t n_gathered = (size_t)n_vocab;
    if (by_k || by_p || s->min_p > 0) {
        struct histogram h;
        count_buckets(&h, logits, n_vocab, max, t, by_p);
        last = last_bucket(&h, s, by_k, by_p);
        total = h.total;
        n_gathered = 0;
        for (int b = 0; b <= last; b++)
            n_gathered += h.count[b];
    }
    reserve(c, n_gathered);
    gather(c, logits, n_vocab, max, t, last);
    if (by_k || s->top_p < 1 || s->min_p > 0)
        sort_keys(c);
    if (by_k)
        cut_top_k(c, (size_t)s->top_k);
    if (s->top_p < 1)
        cut_top_p(c, (double)s->top_p, by_p ? total : sum_weights(c));
    if (s->min_p > 0)
        cut_min_p(c, (double)s->min_p);
    if (s->typical_p < 1 && c->n > 1)
        cut_typical(c, logits, max, t, (double)s->typical_p);
    c->mass = sum_weights(c);
}
