// Sources: the repositories named here at huggingface.co and the config.json of the models they
// come from, looked up in November 2026 (names of files, licences, shapes). The sizes that the
// shapes give are within 0.5 % of those files whose size was known
// (tests/unit/providers/test_model_list.c).
#include "providers/model_list.h"

#include <stdlib.h>

#include "base/memory.h"
#include "local/models/footprint.h"
#include "local/quantize/mix.h"
#include "providers/fit.h"

static const double GB = 1e9;
enum { VOCAB_SMOL = 49152, VOCAB_QWEN = 151936, VOCAB_QWEN_LARGE = 152064 };

// Layers, width, heads, heads of keys and values, size of a head, feed-forward, vocabulary.
// Weakest first, as far as that can be said.
static const struct listed_model models[] = {
    {"HuggingFaceTB/SmolLM2-360M-Instruct-GGUF", "q8_0", "Apache-2.0", 8192, 32, 960, 15, 5, 64,
     2560, VOCAB_SMOL, .tied = true},
    {"Qwen/Qwen2.5-0.5B-Instruct-GGUF", "q4_k_m", "Apache-2.0", 32768, 24, 896, 14, 2, 64, 4864,
     VOCAB_QWEN, .qkv_bias = true, .tied = true, .repeated = true},
    {"HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF", "q4_k_m", "Apache-2.0", 8192, 24, 2048, 32, 32, 64,
     8192, VOCAB_SMOL, .tied = true},
    {"Qwen/Qwen2.5-1.5B-Instruct-GGUF", "q4_k_m", "Apache-2.0", 32768, 28, 1536, 12, 2, 128, 8960,
     VOCAB_QWEN, .qkv_bias = true, .tied = true, .repeated = true},
    {"Qwen/Qwen3-1.7B-GGUF", "q8_0", "Apache-2.0", 40960, 28, 2048, 16, 8, 128, 6144, VOCAB_QWEN,
     .qk_norm = true, .tied = true, .thinks = true},
    {"Qwen/Qwen3-4B-GGUF", "q4_k_m", "Apache-2.0", 40960, 36, 2560, 32, 8, 128, 9728, VOCAB_QWEN,
     .qk_norm = true, .tied = true, .thinks = true},
    {"Qwen/Qwen2.5-7B-Instruct-GGUF", "q4_k_m", "Apache-2.0", 32768, 28, 3584, 28, 4, 128, 18944,
     VOCAB_QWEN_LARGE, .qkv_bias = true},
    {"Qwen/Qwen3-8B-GGUF", "q4_k_m", "Apache-2.0", 40960, 36, 4096, 32, 8, 128, 12288, VOCAB_QWEN,
     .qk_norm = true, .thinks = true},
    {"Qwen/Qwen2.5-14B-Instruct-GGUF", "q4_k_m", "Apache-2.0", 32768, 48, 5120, 40, 8, 128, 13824,
     VOCAB_QWEN_LARGE, .qkv_bias = true},
    {"Qwen/Qwen3-14B-GGUF", "q4_k_m", "Apache-2.0", 40960, 40, 5120, 40, 8, 128, 17408, VOCAB_QWEN,
     .qk_norm = true, .thinks = true},
    {"Qwen/Qwen3-30B-A3B-GGUF", "q4_k_m", "Apache-2.0", 40960, 48, 2048, 32, 4, 128, 0, VOCAB_QWEN,
     .n_experts = 128, .n_experts_used = 8, .n_expert_ff = 768, .qk_norm = true, .thinks = true},
    {"Qwen/Qwen3-32B-GGUF", "q4_k_m", "Apache-2.0", 40960, 64, 5120, 64, 8, 128, 25600, VOCAB_QWEN,
     .qk_norm = true, .thinks = true},
};

const struct listed_model *listed_model_at(size_t i)
{
    return i < sizeof models / sizeof *models ? &models[i] : NULL;
}

void listed_model_facts(const struct listed_model *m, struct model_facts *f)
{
    *f = (struct model_facts){.n_layers = m->n_layers,
                              .n_embd = m->n_embd,
                              .n_heads = m->n_heads,
                              .n_kv_heads = m->n_kv_heads,
                              .head_dim = m->head_dim,
                              .n_ff = m->n_ff,
                              .n_vocab = m->n_vocab,
                              .ctx_train = m->ctx,
                              .norm = NORM_RMS,
                              .gated = true,
                              .qkv_bias = m->qkv_bias,
                              .qk_norm = m->qk_norm,
                              .tied = m->tied && !m->repeated,
                              .n_experts = m->n_experts,
                              .n_experts_used = m->n_experts_used,
                              .n_expert_ff = m->n_expert_ff};
}

uint64_t listed_model_parameters(const struct listed_model *m, const struct footprint *p)
{
    return p->parameters - (m->repeated ? (uint64_t)m->n_vocab * (uint64_t)m->n_embd : 0);
}

static bool is_easy(const struct listed_model *m, uint64_t free_bytes, int n_cores)
{
    struct model_facts *f = memory_array(struct model_facts, 1);
    struct footprint *p = memory_array(struct footprint, 1);
    double speed = n_cores < 6 ? n_cores * 10 * GB : 60 * GB;
    struct fit_machine half = {.n_devices = 1,
                               .device = {{.free_bytes = free_bytes / 2, .bytes_per_s = speed}}};
    struct fit_wish wish = {.ctx = m->ctx < LISTED_CTX ? m->ctx : LISTED_CTX,
                            .kv_type = DTYPE_COUNT};
    struct fit_option o = {0};
    listed_model_facts(m, f);
    footprint_of_mix(f, mix_find(m->quant), p);
    fit_place(f, p, &wish, &half, &o);
    free(f);
    free(p);
    return o.fits && o.tokens_per_s >= 5;
}

const struct listed_model *listed_model_suggest(uint64_t free_bytes, int n_cores)
{
    const struct listed_model *best = NULL, *m;
    for (size_t i = 0; (m = listed_model_at(i)); i++)
        if (!m->thinks && is_easy(m, free_bytes, n_cores))
            best = m;
    return best;
}
