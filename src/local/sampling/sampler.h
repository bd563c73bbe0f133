// sampler.h - from a row of logits to a token.
//
// Randomness is counted, not consumed: the draw for a position comes from a generator keyed by
// (seed, choice, position), so that a text does not depend on what else ran, and speculation
// cannot change it. Threads: one sampler, one thread at a time.
//
// The stages, in transformers' order (GenerationMixin._get_logits_processor; presence and
// frequency, which it lacks, as in OpenAI's API, where vLLM has them): logit bias, repetition
// penalty, frequency and presence penalties, [logprobs are read here], mask, temperature, top-k,
// top-p, min-p, typical, draw. Each filter sees the probabilities the one before it left,
// renormalized; each keeps at least one token. Ties at a top-k or typical border stay, as there.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

struct logit_bias {
    int32_t token;
    float bias;
};

// Zero is not the default: start from sampling_defaults().
struct sampling {
    float temperature;  // 0: always the likeliest token
    int top_k;          // 0: all
    float top_p;        // 1: all
    float min_p;        // 0: off; relative to the likeliest
    float typical_p;    // 1: off (arXiv:2202.00666)
    float
        repetition_penalty;   // 1: off; divides positive, multiplies negative logits of seen tokens
    float presence_penalty;   // subtracted once from tokens generated before
    float frequency_penalty;  // subtracted for each time
    int penalty_last_n;       // how many tokens back penalties look; -1: all
    uint64_t seed;
    const struct logit_bias *logit_bias;  // borrowed
    size_t n_logit_bias;
};
void sampling_defaults(struct sampling *s);  // temperature 0.8, top_p 0.95, the rest off
bool sampling_check(const struct sampling *s, struct error *err);  // ranges; names the member

struct token_logprob {
    int32_t token;
    float logprob;
};

struct sampler;
// Working memory of a pick (some 16 bytes a token of the vocabulary where sampling is wide open).
// Samplers of one thread may share it; a sampler without one makes its own at the first pick.
struct sampler_scratch;
struct sampler_scratch *sampler_scratch_new(void);
void sampler_scratch_free(struct sampler_scratch *s);

// `choice` numbers the return sequences of one prompt.
struct sampler *sampler_new(const struct sampling *s, int n_vocab, int choice);
void sampler_free(struct sampler *s);
void sampler_share_scratch(struct sampler *s, struct sampler_scratch *scratch);  // borrowed
// Tells of a token that now stands in the sequence, so that penalties see it. Repetition counts
// the prompt too, presence and frequency only what was generated.
void sampler_accept(struct sampler *s, int32_t token, bool generated);
// logits [n_vocab] are changed in place (penalties, bias). `position` is the token's place in its
// sequence. mask: NULL, or one bit a token, 0 forbids. Returns the token, or -1 with err
// (ERR_NUMERIC for NaN, or when nothing is allowed). If n_top > 0, the chosen token's logprob
// (before mask, temperature and truncation, after bias and penalties) and the n_top likeliest are
// written, likeliest first; ties by lower id.
int32_t sampler_pick(struct sampler *s, float *logits, int64_t position, const uint32_t *mask,
                     struct token_logprob *chosen, struct token_logprob *top, int n_top,
                     struct error *err);
// What logits [n_vocab] say as they are: own->logprob of own->token, and the n_top likeliest,
// likeliest first. False with err (ERR_NUMERIC).
bool token_logprobs(const float *logits, int n_vocab, struct token_logprob *own,
                    struct token_logprob *top, int n_top, struct error *err);
