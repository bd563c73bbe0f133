#include "local/sampling/sampler.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "local/sampling/filters.h"
#include "local/sampling/weights.h"

struct sampler_scratch {
    struct candidates candidates;
};

struct sampler {
    struct sampling options;
    struct logit_bias *bias;
    int n_vocab, choice;
    struct sampler_scratch *scratch;
    bool own_scratch;
    // What penalties look at; all NULL when there are none.
    bool penalties;
    int32_t *history;  // tokens, ~token where it was not generated; a ring when last_n is bounded
    size_t n_history, history_capacity;
    int32_t *n_seen, *n_generated;  // [n_vocab] within the window
};

void sampling_defaults(struct sampling *s)
{
    *s = (struct sampling){
        .temperature = 0.8f,
        .top_p = 0.95f,
        .typical_p = 1,
        .repetition_penalty = 1,
        .penalty_last_n = -1,
    };
}

static bool in_range(const char *name, float value, float low, float high, struct error *err)
{
    if (value >= low && value <= high)  // false for NaN
        return true;
    return error_set(err, ERR_USAGE, "%s: %g is not between %g and %g", name, (double)value,
                     (double)low, (double)high);
}

bool sampling_check(const struct sampling *s, struct error *err)
{
    if (!in_range("temperature", s->temperature, 0, 100, err) ||
        !in_range("top_p", s->top_p, 0, 1, err) || !in_range("min_p", s->min_p, 0, 1, err) ||
        !in_range("typical_p", s->typical_p, 0, 1, err) ||
        !in_range("repetition_penalty", s->repetition_penalty, 0.01f, 100, err) ||
        !in_range("presence_penalty", s->presence_penalty, -100, 100, err) ||
        !in_range("frequency_penalty", s->frequency_penalty, -100, 100, err))
        return false;
    if (s->top_k < 0)
        return error_set(err, ERR_USAGE, "top_k: %d is negative", s->top_k);
    if (s->penalty_last_n < -1)
        return error_set(err, ERR_USAGE, "penalty_last_n: %d is less than -1", s->penalty_last_n);
    for (size_t i = 0; i < s->n_logit_bias; i++) {
        const struct logit_bias *b = &s->logit_bias[i];
        if (b->token < 0)
            return error_set(err, ERR_USAGE, "logit_bias: %" PRId32 " is not a token", b->token);
        if (!(b->bias <= 1e6f && (b->bias >= -1e6f || b->bias == -INFINITY)))
            return error_set(err, ERR_USAGE, "logit_bias: %g for token %" PRId32 " is out of range",
                             (double)b->bias, b->token);
    }
    return true;
}

struct sampler_scratch *sampler_scratch_new(void)
{
    return memory_new(1, sizeof(struct sampler_scratch));
}

void sampler_scratch_free(struct sampler_scratch *s)
{
    if (s)
        candidates_release(&s->candidates);
    free(s);
}

struct sampler *sampler_new(const struct sampling *s, int n_vocab, int choice)
{
    assert(n_vocab > 0);
    struct sampler *sampler = memory_new(1, sizeof *sampler);
    sampler->options = *s;
    sampler->n_vocab = n_vocab;
    sampler->choice = choice;
    sampler->penalties =
        s->penalty_last_n != 0 &&
        (s->repetition_penalty != 1 || s->presence_penalty != 0 || s->frequency_penalty != 0);
    if (sampler->penalties) {
        sampler->n_seen = memory_array(int32_t, (size_t)n_vocab);
        sampler->n_generated = memory_array(int32_t, (size_t)n_vocab);
    }
    if (s->n_logit_bias) {
        sampler->bias = memory_array(struct logit_bias, s->n_logit_bias);
        memcpy(sampler->bias, s->logit_bias, s->n_logit_bias * sizeof *s->logit_bias);
    }
    return sampler;
}

void sampler_free(struct sampler *s)
{
    if (!s)
        return;
    if (s->own_scratch)
        sampler_scratch_free(s->scratch);
    free(s->bias);
    free(s->history);
    free(s->n_seen);
    free(s->n_generated);
    free(s);
}

void sampler_share_scratch(struct sampler *s, struct sampler_scratch *scratch)
{
    if (s->own_scratch)
        sampler_scratch_free(s->scratch);
    s->scratch = scratch;
    s->own_scratch = false;
}

static void count(struct sampler *s, int32_t entry, int32_t by)
{
    int32_t token = entry < 0 ? ~entry : entry;
    s->n_seen[token] += by;
    if (entry >= 0)
        s->n_generated[token] += by;
}

void sampler_accept(struct sampler *s, int32_t token, bool generated)
{
    if (!s->penalties || token < 0 || token >= s->n_vocab)
        return;
    int32_t entry = generated ? token : ~token;
    count(s, entry, 1);
    if (s->options.penalty_last_n <= 0)
        return;  // -1: nothing ever leaves the window, counts are enough
    size_t last_n = (size_t)s->options.penalty_last_n, at = s->n_history % last_n;
    if (s->n_history >= last_n)
        count(s, s->history[at], -1);
    else
        memory_grow(s->history, s->history_capacity, s->n_history + 1);
    s->history[at] = entry;
    s->n_history++;
}

static void apply_penalties(const struct sampler *s, float *logits)
{
    const struct sampling *o = &s->options;
    for (int i = 0; i < s->n_vocab; i++) {
        if (!s->n_seen[i])
            continue;
        float x = logits[i];
        x = x < 0 ? x * o->repetition_penalty : x / o->repetition_penalty;
        if (s->n_generated[i])
            x -= o->presence_penalty + o->frequency_penalty * (float)s->n_generated[i];
        logits[i] = x;
    }
}

static void apply_bias(const struct sampler *s, float *logits)
{
    for (size_t i = 0; i < s->options.n_logit_bias; i++)
        if (s->bias[i].token >= 0 && s->bias[i].token < s->n_vocab)
            logits[s->bias[i].token] += s->bias[i].bias;
}

static void apply_mask(float *logits, int n, const uint32_t *mask)
{
    for (int i = 0; i < n; i += 32) {  // most words are all ones or all zeros
        uint32_t allowed = mask[i / 32];
        int last = n - i < 32 ? n - i : 32;
        if (allowed == UINT32_MAX)
            continue;
        for (int k = 0; k < last; k++)
            if (!allowed || !(allowed >> k & 1))
                logits[i + k] = -INFINITY;
    }
}

// The largest logit; *bad if one is NaN or +infinity.
static float largest(const float *logits, int n, bool *bad)
{
    const floats infinity = {INFINITY, INFINITY, INFINITY, INFINITY};
    floats most = -infinity;
    masks finite = {-1, -1, -1, -1};
    int i = 0;
    for (; i + 4 <= n; i += 4) {
        floats x = floats_load(logits + i);
        most = floats_choose(x > most, x, most);
        finite &= x < infinity;  // false for NaN too
    }
    float max = -INFINITY;
    *bad = !(finite[0] && finite[1] && finite[2] && finite[3]);
    for (int k = 0; k < 4; k++)
        max = most[k] > max ? most[k] : max;
    for (; i < n; i++) {
        *bad |= !(logits[i] < INFINITY);
        max = logits[i] > max ? logits[i] : max;
    }
    return max;
}

// The likeliest token, ties by lower id; -1 with err if there is no number to go by.
static int32_t likeliest(const float *logits, int n, struct error *err)
{
    bool bad;
    float max = largest(logits, n, &bad);
    int32_t i = 0;
    if (bad) {
        while (logits[i] < INFINITY)
            i++;
        error_set(err, ERR_NUMERIC, "the logit of token %" PRId32 " is %g", i, (double)logits[i]);
        return -1;
    }
    if (max == -INFINITY) {
        error_set(err, ERR_NUMERIC, "no token is allowed here");
        return -1;
    }
    while (logits[i] != max)
        i++;
    return i;
}

static double log_sum_exp(const float *logits, int n, float max)
{
    return (double)max + log(weights_sum(logits, n, max, 1));
}

static void find_top(const float *logits, int n, double log_sum, struct token_logprob *top,
                     int n_top)
{
    int found = 0;
    for (int i = 0; i < n; i++) {
        if (found == n_top && !(logits[i] > top[found - 1].logprob))
            continue;
        int at = found < n_top ? found++ : found - 1;
        for (; at > 0 && logits[i] > top[at - 1].logprob; at--)
            top[at] = top[at - 1];
        top[at] = (struct token_logprob){i, logits[i]};
    }
    for (int i = 0; i < found; i++)
        top[i].logprob = (float)((double)top[i].logprob - log_sum);
    for (int i = found; i < n_top; i++)
        top[i] = (struct token_logprob){-1, -INFINITY};
}

// In [0, 1), from nothing but its key.
static double draw(const struct sampler *s, int64_t position)
{
    uint64_t x = hash_mix(s->options.seed);
    x = hash_mix(x + (uint64_t)s->choice);
    x = hash_mix(x + (uint64_t)position);
    return (double)(x >> 11) * 0x1p-53;
}

static bool is_filtered(const struct sampling *o, int n_vocab)
{
    return (o->top_k > 0 && o->top_k < n_vocab) || o->top_p < 1 || o->min_p > 0 || o->typical_p < 1;
}

// The token at `wanted` of a block's weights; the last that has any if rounding left none there.
static int32_t draw_within(const float *w, int n, double wanted)
{
    double walked = 0;
    int32_t last = -1;
    for (int i = 0; i < n; i++) {
        if (w[i] <= 0)
            continue;
        last = i;
        walked += (double)w[i];
        if (walked > wanted)
            break;
    }
    return last;
}

// Sampling from everything needs neither sorting nor a list.
static int32_t draw_from_all(const float *logits, int n, int32_t best, float t, double u)
{
    float max = logits[best], w[WEIGHT_BLOCK];
    double wanted = u * weights_sum(logits, n, max, t), walked = 0;
    for (int i = 0; i < n; i += WEIGHT_BLOCK) {
        int in_block = n - i < WEIGHT_BLOCK ? n - i : WEIGHT_BLOCK;
        double block = weights_of(logits + i, in_block, max, t, w);
        if (walked + block > wanted)
            return i + draw_within(w, in_block, wanted - walked);
        walked += block;
    }
    return best;
}

static int32_t choose(struct sampler *s, const float *logits, int32_t best, int64_t position)
{
    const struct sampling *o = &s->options;
    if (o->temperature == 0)
        return best;
    double u = draw(s, position);
    if (!is_filtered(o, s->n_vocab))
        return draw_from_all(logits, s->n_vocab, best, o->temperature, u);
    if (!s->scratch) {
        s->scratch = sampler_scratch_new();
        s->own_scratch = true;
    }
    return filters_draw(&s->scratch->candidates, logits, s->n_vocab, logits[best], o, u);
}

int32_t sampler_pick(struct sampler *s, float *logits, int64_t position, const uint32_t *mask,
                     struct token_logprob *chosen, struct token_logprob *top, int n_top,
                     struct error *err)
{
    apply_bias(s, logits);
    if (s->penalties)
        apply_penalties(s, logits);
    int32_t best = likeliest(logits, s->n_vocab, err);
    if (best < 0)
        return -1;
    double log_sum = 0;
    if (chosen || n_top > 0) {
        log_sum = log_sum_exp(logits, s->n_vocab, logits[best]);
        if (n_top > 0)
            find_top(logits, s->n_vocab, log_sum, top, n_top);
    }
    if (mask) {
        apply_mask(logits, s->n_vocab, mask);
        best = likeliest(logits, s->n_vocab, err);
        if (best < 0)
            return -1;
    }
    int32_t token = choose(s, logits, best, position);
    if (chosen)
        *chosen = (struct token_logprob){token, (float)((double)logits[token] - log_sum)};
    return token;
}

bool token_logprobs(const float *logits, int n_vocab, struct token_logprob *own,
                    struct token_logprob *top, int n_top, struct error *err)
{
    int32_t best = likeliest(logits, n_vocab, err);
    if (best < 0)
        return false;
    double log_sum = log_sum_exp(logits, n_vocab, logits[best]);
    own->logprob = (float)((double)logits[own->token] - log_sum);
    if (n_top > 0)
        find_top(logits, n_vocab, log_sum, top, n_top);
    return true;
}
