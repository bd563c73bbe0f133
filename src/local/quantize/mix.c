#include "local/quantize/mix.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PLAIN(name, file_type, type)                                                               \
    {                                                                                              \
        name, file_type, type, type, type, type, false                                             \
    }
static const struct mix mixes[] = {
    {"q4_0", 2, DTYPE_Q4_0, DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_0, false},
    {"q4_k_s", 14, DTYPE_Q4_K, DTYPE_Q6_K, DTYPE_Q5_K, DTYPE_Q4_K, true},
    {"q4_k_m", 15, DTYPE_Q4_K, DTYPE_Q6_K, DTYPE_Q6_K, DTYPE_Q5_K, false},
    {"q5_k_m", 17, DTYPE_Q5_K, DTYPE_Q6_K, DTYPE_Q6_K, DTYPE_Q6_K, false},
    PLAIN("q6_k", 18, DTYPE_Q6_K),
    PLAIN("q8_0", 7, DTYPE_Q8_0),
    PLAIN("f16", 1, DTYPE_F16),
    PLAIN("bf16", 32, DTYPE_BF16),
    PLAIN("f32", 0, DTYPE_F32),
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

static bool wants_more(const struct mix *m, int layer, int n_layers)
{
    int eighth = n_layers / 8;
    if (layer < eighth)
        return true;
    return !m->more_at_start && (layer >= 7 * n_layers / 8 || (layer - eighth) % 3 == 2);
}

// In a small mixture attention is little of the whole, so it is kept wide.
static bool in_small_mixture(const struct mix *m, const struct mix_tensor *t, enum dtype *type)
{
    if (t->n_experts != 8 || dtype_info(m->base)->block_len != 256)
        return false;
    if (ends_with(t->name, "attn_v.weight") || ends_with(t->name, "attn_k.weight"))
        *type = DTYPE_Q8_0;
    else if (ends_with(t->name, "attn_output.weight") && m->base == DTYPE_Q4_K)
        *type = DTYPE_Q5_K;
    else
        return false;
    return true;
}

static enum dtype wanted(const struct mix *m, const struct mix_tensor *t)
{
    enum dtype type;
    int layer = layer_of(t->name);
    if (strcmp(t->name, "output.weight") == 0 ||
        (t->tied && strcmp(t->name, "token_embd.weight") == 0))
        return m->output;
    if (in_small_mixture(m, t, &type))
        return type;
    if (ends_with(t->name, "attn_qkv.weight"))
        return m->fused;
    if (ends_with(t->name, "attn_v.weight")) {
        bool more = m->more_at_start ? layer < 4 : wants_more(m, layer, t->n_layers);
        return more ? m->more : m->base;
    }
    if (ends_with(t->name, "ffn_down.weight") || ends_with(t->name, "ffn_down_exps.weight"))
        return wants_more(m, layer, t->n_layers) ? m->more : m->base;
    return m->base;
}

// What stands in for a format whose blocks do not divide the row.
static enum dtype narrower_blocks(enum dtype type)
{
    switch (type) {
    case DTYPE_Q4_K: return DTYPE_Q5_0;
    case DTYPE_Q5_K: return DTYPE_Q5_1;
    case DTYPE_Q6_K: return DTYPE_Q8_0;
    default: return DTYPE_F16;
    }
}

enum dtype mix_dtype(const struct mix *m, const struct mix_tensor *t)
{
    if (t->n_dims < 2 || ends_with(t->name, "ffn_gate_inp.weight") ||
        strcmp(t->name, "position_embd.weight") == 0)
        return DTYPE_F32;
    enum dtype type = wanted(m, t);
    while (t->cols % dtype_info(type)->block_len != 0)
        type = narrower_blocks(type);
    return type;
}
