// rope.c - inverse frequencies of the rotary embedding under every scaling in use.
//
// Single precision, in transformers' order of operations (modeling_rope_utils.py), since a
// difference in the last bit of a frequency is multiplied by the position.
// Sources: linear (kaiokendev), dynamic NTK (bloc97, emozilla), YaRN arXiv:2309.00071,
// LongRoPE arXiv:2402.13753, Llama 3.1's model card.
#include <assert.h>
#include <math.h>

#include "local/models/facts.h"

static const double two_pi = 6.283185307179586;

bool rope_depends_on_length(const struct rope_facts *r)
{
    return r->scaling == ROPE_DYNAMIC || r->scaling == ROPE_FACTORS;
}

static void llama3(const struct rope_facts *r, float *inv_freq)
{
    float low = (float)(r->original_ctx / r->low_freq_factor);
    float high = (float)(r->original_ctx / r->high_freq_factor);
    for (int i = 0; i < r->n_dims / 2; i++) {
        float wavelength = (float)two_pi / inv_freq[i];
        if (wavelength < high)
            continue;
        float divided = inv_freq[i] / (float)r->factor;
        if (wavelength > low) {
            inv_freq[i] = divided;
            continue;
        }
        float smooth = ((float)r->original_ctx / wavelength - (float)r->low_freq_factor) /
                       (float)(r->high_freq_factor - r->low_freq_factor);
        inv_freq[i] = (1 - smooth) * inv_freq[i] / (float)r->factor + smooth * inv_freq[i];
    }
}

// The dimension that turns `rotations` times within the trained length.
static double yarn_dim(const struct rope_facts *r, double rotations)
{
    return r->n_dims * log(r->original_ctx / (rotations * two_pi)) / (2 * log(r->base));
}

static void yarn(const struct rope_facts *r, float *inv_freq)
{
    double low = yarn_dim(r, r->beta_fast), high = yarn_dim(r, r->beta_slow);
    if (r->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, r->n_dims - 1);
    if (low == high)
        high += 0.001;
    for (int i = 0; i < r->n_dims / 2; i++) {
        float ramp = ((float)i - (float)low) / (float)(high - low);
        float keep = 1.0f - fminf(fmaxf(ramp, 0), 1);
        float whole = powf((float)r->base, (float)(2 * i) / (float)r->n_dims);
        inv_freq[i] = 1.0f / ((float)r->factor * whole) * (1 - keep) + 1.0f / whole * keep;
    }
}

void rope_frequencies(const struct rope_facts *r, int ctx_train, int final_len, float *inv_freq,
                      float *scale)
{
    int n = r->n_dims / 2;
    double base = r->base;
    assert(n <= ROPE_FREQS_MAX);
    if (r->scaling == ROPE_DYNAMIC && final_len > ctx_train && r->n_dims > 2)
        base *= pow(r->factor * final_len / ctx_train - (r->factor - 1),
                    (double)r->n_dims / (r->n_dims - 2));
    const float *factors = final_len > r->original_ctx ? r->long_factors : r->short_factors;
    for (int i = 0; i < n; i++) {
        float power = powf((float)base, (float)(2 * i) / (float)r->n_dims);
        inv_freq[i] = 1.0f / (r->scaling == ROPE_FACTORS ? factors[i] * power : power);
        if (r->scaling == ROPE_LINEAR)
            inv_freq[i] /= (float)r->factor;
    }
    if (r->scaling == ROPE_LLAMA3)
        llama3(r, inv_freq);
    if (r->scaling == ROPE_YARN)
        yarn(r, inv_freq);
    *scale = (float)r->attention_factor;
}
