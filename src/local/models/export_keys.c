#include "local/models/export_keys.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "local/formats/gguf_write.h"
#include "local/models/family.h"
#include "local/quantize/mix.h"

struct keys {
    struct gguf_writer *w;
    const struct model_facts *f;
    char text[128];
};

static const char *key(struct keys *k, const char *name)
{
    (void)snprintf(k->text, sizeof k->text, "%s.%s", k->f->family->arch, name);
    return k->text;
}

static void u32(struct keys *k, const char *name, int value)
{
    gguf_write_u32(k->w, key(k, name), (uint32_t)value);
}

static void f32(struct keys *k, const char *name, double value)
{
    gguf_write_f32(k->w, key(k, name), (float)value);
}

static void text(struct keys *k, const char *name, const char *value)
{
    gguf_write_text(k->w, key(k, name), slice_str(value));
}

static void sizes(struct keys *k)
{
    const struct model_facts *f = k->f;
    u32(k, "vocab_size", f->n_vocab);
    u32(k, "context_length", f->ctx_train);
    u32(k, "embedding_length", f->n_embd);
    u32(k, "block_count", f->n_layers);
    u32(k, "feed_forward_length", f->n_ff);
    u32(k, "attention.head_count", f->n_heads);
    u32(k, "attention.head_count_kv", f->n_kv_heads);
    u32(k, "attention.key_length", f->head_dim);
    u32(k, "attention.value_length", f->head_dim);
    f32(k,
        f->norm == NORM_RMS ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon",
        (double)f->norm_eps);
    if (fabsf(f->attn_scale * sqrtf((float)f->head_dim) - 1) > 1e-6f)
        f32(k, "attention.scale", (double)f->attn_scale);
    if (f->n_experts == 0)
        return;
    u32(k, "expert_count", f->n_experts);
    u32(k, "expert_used_count", f->n_experts_used);
    u32(k, "expert_feed_forward_length", f->n_expert_ff);
    gguf_write_bool(k->w, key(k, "expert_weights_norm"), f->moe_renormalize);
}

// A file of the same family, read without any of the optional keys, would have these.
static void differences(struct keys *k)
{
    const struct model_facts *f = k->f;
    bool softcaps = f->attn_softcap > 0 || f->logit_softcap > 0 || f->post_norms;
    if (softcaps) {
        f32(k, "attn_logit_softcapping", (double)f->attn_softcap);
        f32(k, "final_logit_softcapping", (double)f->logit_softcap);
    }
    enum activation usual = f->post_norms || f->norm == NORM_LAYER ? ACT_GELU_TANH : ACT_SILU;
    static const char *const acts[] = {[ACT_SILU] = "silu",
                                       [ACT_GELU_TANH] = "gelu_pytorch_tanh",
                                       [ACT_GELU_ERF] = "gelu",
                                       [ACT_RELU] = "relu",
                                       [ACT_RELU2] = "relu2"};
    if (f->act != usual)
        text(k, "hidden_activation", acts[f->act]);
}

// The pattern p for which layer i slides unless (i + 1) % p == 0; 0 if there is none.
static int pattern_of(const struct model_facts *f)
{
    for (int p = 1; p <= f->n_layers + 1; p++) {
        bool fits = true;
        for (int i = 0; i < f->n_layers; i++)
            fits &= f->sliding[i] == ((i + 1) % p != 0);
        if (fits)
            return p;
    }
    return 0;
}

static void windows(struct keys *k)
{
    const struct model_facts *f = k->f;
    if (f->window == 0)
        return;
    u32(k, "attention.sliding_window", f->window);
    int pattern = pattern_of(f);
    if (pattern)
        u32(k, "attention.sliding_window_pattern", pattern);
    else
        gguf_write_array(k->w, key(k, "attention.sliding_window_pattern"), GGUF_BOOL, f->sliding,
                         (size_t)f->n_layers);
}

static void yarn(struct keys *k, const struct rope_facts *r)
{
    text(k, "rope.scaling.type", "yarn");
    f32(k, "rope.scaling.factor", r->factor);
    f32(k, "rope.scaling.yarn_beta_fast", r->beta_fast);
    f32(k, "rope.scaling.yarn_beta_slow", r->beta_slow);
    // The reader multiplies by the usual magnitude.
    double usual = r->factor > 1 ? 0.1 * log(r->factor) + 1 : 1;
    if (fabs(r->attention_factor / usual - 1) > 1e-6)
        f32(k, "rope.scaling.attn_factor", r->attention_factor / usual);
    if (!r->truncate)
        gguf_write_bool(k->w, key(k, "rope.scaling.yarn_truncate"), false);
}

static void rope(struct keys *k)
{
    const struct rope_facts *r = &k->f->rope[0];
    u32(k, "rope.dimension_count", r->n_dims);
    f32(k, "rope.freq_base", r->base);
    if (k->f->local_rope)
        f32(k, "rope.freq_base_swa", k->f->rope[1].base);
    if (r->scaling == ROPE_LINEAR) {
        text(k, "rope.scaling.type", "linear");
        f32(k, "rope.scaling.factor", r->factor);
    } else if (r->scaling == ROPE_YARN) {
        yarn(k, r);
    } else if (r->scaling == ROPE_FACTORS) {
        text(k, "rope.scaling.type", "longrope");
        f32(k, "rope.scaling.attn_factor", r->attention_factor);
    } else if (r->scaling == ROPE_DYNAMIC) {
        f32(k, "rope.scaling.dynamic_factor", r->factor);
    }
    // Llama 3's scaling is all in the tensor rope_freqs.
    if (r->scaling == ROPE_YARN || r->scaling == ROPE_FACTORS)
        u32(k, "rope.scaling.original_context_length", r->original_ctx);
}

void export_keys(struct gguf_writer *w, const struct model_facts *f, const char *name)
{
    struct keys k = {.w = w, .f = f};
    gguf_write_text(w, "general.architecture", slice_str(f->family->arch));
    gguf_write_text(w, "general.name", slice_str(name));
    sizes(&k);
    differences(&k);
    windows(&k);
    if (!f->learned_positions)
        rope(&k);
}

void export_type_keys(struct gguf_writer *w, const struct mix *mix)
{
    gguf_write_u32(w, "general.file_type", mix->file_type);
    if (dtype_info(mix->base)->block_len > 1)
        gguf_write_u32(w, "general.quantization_version", 2);
}
