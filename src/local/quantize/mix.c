#include "local/quantize/mix.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

// The same format everywhere but in the output.
#define EVENLY(type, wide)                                                                         \
    .base = (type), .output = (wide), .value = {(type), MIX_NONE, (type)},                         \
    .down = {(type), MIX_NONE, (type)}, .shared_value = DTYPE_COUNT, .attn_output = (type),        \
    .fused = (type)
static const struct mix mixes[] = {
    {.name = "q2_k",
     .file_type = 10,
     .common = true,
     .base = DTYPE_Q2_K,
     .output = DTYPE_Q6_K,
     .value = {DTYPE_Q3_K, MIX_NONE, DTYPE_Q3_K},
     .down = {DTYPE_Q3_K, MIX_NONE, DTYPE_Q3_K},
     .shared_value = DTYPE_Q4_K,
     .attn_output = DTYPE_Q3_K,
     .fused = DTYPE_Q2_K},
    {.name = "q3_k_s", .file_type = 11, .common = false, EVENLY(DTYPE_Q3_K, DTYPE_Q6_K)},
    {.name = "q3_k_m",
     .file_type = 12,
     .common = true,
     .base = DTYPE_Q3_K,
     .output = DTYPE_Q6_K,
     .value = {DTYPE_Q4_K, MIX_FIRST_2, DTYPE_Q5_K},
     .down = {DTYPE_Q4_K, MIX_FIRST_SIXTEENTH, DTYPE_Q5_K},
     .shared_value = DTYPE_COUNT,
     .attn_output = DTYPE_Q4_K,
     .fused = DTYPE_Q4_K},
    {.name = "q3_k_l",
     .file_type = 13,
     .common = false,
     .base = DTYPE_Q3_K,
     .output = DTYPE_Q6_K,
     .value = {DTYPE_Q5_K, MIX_NONE, DTYPE_Q5_K},
     .down = {DTYPE_Q5_K, MIX_NONE, DTYPE_Q5_K},
     .shared_value = DTYPE_COUNT,
     .attn_output = DTYPE_Q5_K,
     .fused = DTYPE_Q4_K},
    {.name = "mxfp4",
     .file_type = 38,
     .common = false,
     .only_experts = true,
     EVENLY(DTYPE_MXFP4, DTYPE_Q8_0)},
    {.name = "iq4_xs",
     .file_type = 30,
     .common = true,
     .base = DTYPE_IQ4_XS,
     .output = DTYPE_Q6_K,
     .value = {DTYPE_IQ4_XS, MIX_NONE, DTYPE_IQ4_XS},
     .down = {DTYPE_IQ4_XS, MIX_FIRST_EIGHTH, DTYPE_Q5_K},
     .shared_value = DTYPE_Q5_K,
     .attn_output = DTYPE_IQ4_XS,
     .fused = DTYPE_IQ4_XS},
    {.name = "iq4_nl",
     .file_type = 25,
     .common = false,
     .base = DTYPE_IQ4_NL,
     .output = DTYPE_Q6_K,
     .value = {DTYPE_IQ4_NL, MIX_NONE, DTYPE_IQ4_NL},
     .down = {DTYPE_IQ4_NL, MIX_FIRST_EIGHTH, DTYPE_Q5_K},
     .shared_value = DTYPE_Q5_K,
     .attn_output = DTYPE_IQ4_NL,
     .fused = DTYPE_IQ4_NL},
    {.name = "q4_0", .file_type = 2, .common = true, EVENLY(DTYPE_Q4_0, DTYPE_Q6_K)},
    {.name = "q4_k_s",
     .file_type = 14,
     .common = true,
     .base = DTYPE_Q4_K,
     .output = DTYPE_Q6_K,
     .value = {DTYPE_Q4_K, MIX_FIRST_4, DTYPE_Q5_K},
     .down = {DTYPE_Q4_K, MIX_FIRST_EIGHTH, DTYPE_Q5_K},
     .shared_value = DTYPE_COUNT,
     .attn_output = DTYPE_Q4_K,
     .fused = DTYPE_Q4_K},
    {.name = "q4_k_m",
     .file_type = 15,
     .common = true,
     .base = DTYPE_Q4_K,
     .output = DTYPE_Q6_K,
     .value = {DTYPE_Q4_K, MIX_SPREAD, DTYPE_Q6_K},
     .down = {DTYPE_Q4_K, MIX_SPREAD, DTYPE_Q6_K},
     .shared_value = DTYPE_COUNT,
     .attn_output = DTYPE_Q4_K,
     .fused = DTYPE_Q5_K},
    {.name = "q4_1", .file_type = 3, .common = false, EVENLY(DTYPE_Q4_1, DTYPE_Q6_K)},
    {.name = "q5_0", .file_type = 8, .common = false, EVENLY(DTYPE_Q5_0, DTYPE_Q6_K)},
    {.name = "q5_k_s", .file_type = 16, .common = false, EVENLY(DTYPE_Q5_K, DTYPE_Q6_K)},
    {.name = "q5_k_m",
     .file_type = 17,
     .common = true,
     .base = DTYPE_Q5_K,
     .output = DTYPE_Q6_K,
     .value = {DTYPE_Q5_K, MIX_SPREAD, DTYPE_Q6_K},
     .down = {DTYPE_Q5_K, MIX_SPREAD, DTYPE_Q6_K},
     .shared_value = DTYPE_COUNT,
     .attn_output = DTYPE_Q5_K,
     .fused = DTYPE_Q6_K},
    {.name = "q5_1", .file_type = 9, .common = false, EVENLY(DTYPE_Q5_1, DTYPE_Q6_K)},
    {.name = "q6_k", .file_type = 18, .common = true, EVENLY(DTYPE_Q6_K, DTYPE_Q6_K)},
    {.name = "q8_0", .file_type = 7, .common = true, EVENLY(DTYPE_Q8_0, DTYPE_Q8_0)},
    {.name = "f16", .file_type = 1, .common = true, EVENLY(DTYPE_F16, DTYPE_F16)},
    {.name = "bf16", .file_type = 32, .common = false, EVENLY(DTYPE_BF16, DTYPE_BF16)},
    {.name = "f32", .file_type = 0, .common = false, EVENLY(DTYPE_F32, DTYPE_F32)},
};
enum { N_MIXES = sizeof mixes / sizeof *mixes };

const struct mix *mix_at(size_t i)
{
    return i < N_MIXES ? &mixes[i] : NULL;
}

const struct mix *mix_find(const char *name)
{
    for (size_t i = 0; i < N_MIXES; i++)
        if (strcasecmp(mixes[i].name, name) == 0)
            return &mixes[i];
    return NULL;
}

const struct mix *mix_of_file_type(uint64_t file_type)
{
    for (size_t i = 0; i < N_MIXES; i++)
        if (mixes[i].file_type == file_type)
            return &mixes[i];
    return NULL;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

static int layer_of(const char *name)
{
    return strncmp(name, "blk.", 4) == 0 ? (int)strtol(name + 4, NULL, 10) : -1;
}

static bool gets_more(enum mix_layers some, int layer, int n_layers)
{
    int eighth = n_layers / 8;
    switch (some) {
    case MIX_NONE: return false;
    case MIX_FIRST_2: return layer < 2;
    case MIX_FIRST_4: return layer < 4;
    case MIX_FIRST_SIXTEENTH: return layer < n_layers / 16;
    case MIX_FIRST_EIGHTH: return layer < eighth;
    case MIX_SPREAD:
        return layer < eighth || layer >= 7 * n_layers / 8 || (layer - eighth) % 3 == 2;
    }
    return false;
}

static enum dtype by_rule(const struct mix_rule *r, int layer, int n_layers)
{
    return gets_more(r->some, layer, n_layers) ? r->more : r->usual;
}

// In a small mixture attention is little of the whole, so it is kept wide.
static bool in_small_mixture(const struct mix *m, const struct mix_tensor *t, enum dtype *type)
{
    if (t->n_experts != 8 || dtype_info(m->base)->block_len != 256)
        return false;
    if (ends_with(t->name, "attn_v.weight") || ends_with(t->name, "attn_k.weight"))
        *type = DTYPE_Q8_0;
    else if (ends_with(t->name, "attn_output.weight") && m->base != DTYPE_Q5_K &&
             m->base != DTYPE_Q6_K)
        *type = DTYPE_Q5_K;
    else
        return false;
    return true;
}

static enum dtype value(const struct mix *m, const struct mix_tensor *t, int layer)
{
    enum dtype type = by_rule(&m->value, layer, t->n_layers);
    if (t->heads_per_kv >= 4 && m->shared_value != DTYPE_COUNT)
        type = m->shared_value;
    // As llama.cpp does for the 70B shape, whose values are little beside the rest.
    bool large = t->n_layers == 80 && t->heads_per_kv == 8;
    return large && (type == DTYPE_Q3_K || type == DTYPE_Q4_K) ? DTYPE_Q5_K : type;
}

static enum dtype wanted(const struct mix *m, const struct mix_tensor *t)
{
    enum dtype type;
    int layer = layer_of(t->name);
    if (strcmp(t->name, "output.weight") == 0 ||
        (t->tied && strcmp(t->name, "token_embd.weight") == 0))
        return m->output;
    if (m->only_experts && !ends_with(t->name, "_exps.weight"))
        return DTYPE_Q8_0;
    if (in_small_mixture(m, t, &type))
        return type;
    if (ends_with(t->name, "attn_qkv.weight"))
        return m->fused;
    if (ends_with(t->name, "attn_output.weight"))
        return m->attn_output;
    if (ends_with(t->name, "attn_v.weight"))
        return value(m, t, layer);
    if (ends_with(t->name, "ffn_down.weight") || ends_with(t->name, "ffn_down_exps.weight"))
        return by_rule(&m->down, layer, t->n_layers);
    return m->base;
}

// What stands in for a format whose blocks do not divide the row.
static enum dtype narrower_blocks(enum dtype type)
{
    switch (type) {
    case DTYPE_Q2_K:
    case DTYPE_Q3_K:
    case DTYPE_IQ4_XS: return DTYPE_IQ4_NL;
    case DTYPE_Q4_K: return DTYPE_Q5_0;
    case DTYPE_Q5_K: return DTYPE_Q5_1;
    case DTYPE_Q6_K: return DTYPE_Q8_0;
    default: return DTYPE_F16;
    }
}

static bool stays_float(const struct mix_tensor *t)
{
    return t->n_dims < 2 || ends_with(t->name, "ffn_gate_inp.weight") ||
           strcmp(t->name, "position_embd.weight") == 0;
}

enum dtype mix_dtype(const struct mix *m, const struct mix_tensor *t)
{
    if (stays_float(t))
        return DTYPE_F32;
    enum dtype type = wanted(m, t);
    while (t->cols % dtype_info(type)->block_len != 0)
        type = narrower_blocks(type);
    return type;
}

enum dtype mix_dtype_with_zero(enum dtype type)
{
    return type == DTYPE_IQ4_NL || type == DTYPE_IQ4_XS ? DTYPE_Q4_0 : type;
}

bool mix_stands_in(const struct mix *m, const struct mix_tensor *t)
{
    return !stays_float(t) && t->cols % dtype_info(wanted(m, t))->block_len != 0;
}
