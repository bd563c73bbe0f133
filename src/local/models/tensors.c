#include "local/models/tensors.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "local/formats/model_file.h"
#include "local/models/facts.h"
#include "local/models/family.h"

// A number of the facts that a shape is made of.
enum dim {
    DIM_NONE,  // no such dimension: a vector
    DIM_EMBD,
    DIM_VOCAB,
    DIM_CTX,
    DIM_Q,
    DIM_KV,
    DIM_QKV,
    DIM_HEAD,
    DIM_FF,
    DIM_2FF,
    DIM_EXPERTS,
    DIM_EXPERT_FF,
    DIM_2EXPERT_FF,
};

// {l} is the layer, {e} the expert. Names in folders stand after one of hf_prefixes.
struct tensor_row {
    const char *gguf, *hf;
    enum dim rows, cols;
};
static const struct tensor_row table[TENSOR_ROLES] = {
    [TENSOR_TOKEN_EMBD] = {"token_embd.weight", "embed_tokens.weight", DIM_VOCAB, DIM_EMBD},
    [TENSOR_POSITION_EMBD] = {"position_embd.weight", NULL, DIM_CTX, DIM_EMBD},
    [TENSOR_OUTPUT_NORM] = {"output_norm.weight", "norm.weight", DIM_EMBD, DIM_NONE},
    [TENSOR_OUTPUT_NORM_BIAS] = {"output_norm.bias", "norm.bias", DIM_EMBD, DIM_NONE},
    [TENSOR_OUTPUT] = {"output.weight", "lm_head.weight", DIM_VOCAB, DIM_EMBD},
    [TENSOR_ATTN_NORM] = {"blk.{l}.attn_norm.weight", "layers.{l}.input_layernorm.weight", DIM_EMBD,
                          DIM_NONE},
    [TENSOR_ATTN_NORM_BIAS] = {"blk.{l}.attn_norm.bias", "layers.{l}.input_layernorm.bias",
                               DIM_EMBD, DIM_NONE},
    [TENSOR_Q] = {"blk.{l}.attn_q.weight", "layers.{l}.self_attn.q_proj.weight", DIM_Q, DIM_EMBD},
    [TENSOR_K] = {"blk.{l}.attn_k.weight", "layers.{l}.self_attn.k_proj.weight", DIM_KV, DIM_EMBD},
    [TENSOR_V] = {"blk.{l}.attn_v.weight", "layers.{l}.self_attn.v_proj.weight", DIM_KV, DIM_EMBD},
    [TENSOR_Q_BIAS] = {"blk.{l}.attn_q.bias", "layers.{l}.self_attn.q_proj.bias", DIM_Q, DIM_NONE},
    [TENSOR_K_BIAS] = {"blk.{l}.attn_k.bias", "layers.{l}.self_attn.k_proj.bias", DIM_KV, DIM_NONE},
    [TENSOR_V_BIAS] = {"blk.{l}.attn_v.bias", "layers.{l}.self_attn.v_proj.bias", DIM_KV, DIM_NONE},
    [TENSOR_QKV] = {"blk.{l}.attn_qkv.weight", "layers.{l}.self_attn.qkv_proj.weight", DIM_QKV,
                    DIM_EMBD},
    [TENSOR_QKV_BIAS] = {"blk.{l}.attn_qkv.bias", "layers.{l}.self_attn.qkv_proj.bias", DIM_QKV,
                         DIM_NONE},
    [TENSOR_O] = {"blk.{l}.attn_output.weight", "layers.{l}.self_attn.o_proj.weight", DIM_EMBD,
                  DIM_Q},
    [TENSOR_O_BIAS] = {"blk.{l}.attn_output.bias", "layers.{l}.self_attn.o_proj.bias", DIM_EMBD,
                       DIM_NONE},
    [TENSOR_Q_NORM] = {"blk.{l}.attn_q_norm.weight", "layers.{l}.self_attn.q_norm.weight", DIM_HEAD,
                       DIM_NONE},
    [TENSOR_K_NORM] = {"blk.{l}.attn_k_norm.weight", "layers.{l}.self_attn.k_norm.weight", DIM_HEAD,
                       DIM_NONE},
    [TENSOR_POST_ATTN_NORM] = {"blk.{l}.post_attention_norm.weight",
                               "layers.{l}.post_attention_layernorm.weight", DIM_EMBD, DIM_NONE},
    [TENSOR_FFN_NORM] = {"blk.{l}.ffn_norm.weight", "layers.{l}.post_attention_layernorm.weight",
                         DIM_EMBD, DIM_NONE},
    [TENSOR_FFN_NORM_BIAS] = {"blk.{l}.ffn_norm.bias", "layers.{l}.post_attention_layernorm.bias",
                              DIM_EMBD, DIM_NONE},
    [TENSOR_GATE] = {"blk.{l}.ffn_gate.weight", "layers.{l}.mlp.gate_proj.weight", DIM_FF,
                     DIM_EMBD},
    [TENSOR_UP] = {"blk.{l}.ffn_up.weight", "layers.{l}.mlp.up_proj.weight", DIM_FF, DIM_EMBD},
    [TENSOR_GATE_UP] = {"blk.{l}.ffn_up.weight", "layers.{l}.mlp.gate_up_proj.weight", DIM_2FF,
                        DIM_EMBD},
    [TENSOR_DOWN] = {"blk.{l}.ffn_down.weight", "layers.{l}.mlp.down_proj.weight", DIM_EMBD,
                     DIM_FF},
    [TENSOR_GATE_BIAS] = {"blk.{l}.ffn_gate.bias", "layers.{l}.mlp.gate_proj.bias", DIM_FF,
                          DIM_NONE},
    [TENSOR_UP_BIAS] = {"blk.{l}.ffn_up.bias", "layers.{l}.mlp.up_proj.bias", DIM_FF, DIM_NONE},
    [TENSOR_DOWN_BIAS] = {"blk.{l}.ffn_down.bias", "layers.{l}.mlp.down_proj.bias", DIM_EMBD,
                          DIM_NONE},
    [TENSOR_POST_FFN_NORM] = {"blk.{l}.post_ffw_norm.weight",
                              "layers.{l}.post_feedforward_layernorm.weight", DIM_EMBD, DIM_NONE},
    [TENSOR_ROUTER] = {"blk.{l}.ffn_gate_inp.weight", "layers.{l}.mlp.gate.weight", DIM_EXPERTS,
                       DIM_EMBD},
    [TENSOR_EXPERT_GATE] = {"blk.{l}.ffn_gate_exps.weight",
                            "layers.{l}.mlp.experts.{e}.gate_proj.weight", DIM_EXPERT_FF, DIM_EMBD},
    [TENSOR_EXPERT_UP] = {"blk.{l}.ffn_up_exps.weight", "layers.{l}.mlp.experts.{e}.up_proj.weight",
                          DIM_EXPERT_FF, DIM_EMBD},
    [TENSOR_EXPERT_DOWN] = {"blk.{l}.ffn_down_exps.weight",
                            "layers.{l}.mlp.experts.{e}.down_proj.weight", DIM_EMBD, DIM_EXPERT_FF},
    [TENSOR_EXPERT_GATE_UP] = {NULL, "layers.{l}.mlp.experts.gate_up_proj", DIM_2EXPERT_FF,
                               DIM_EMBD},
};
static const char expert_down_stacked[] = "layers.{l}.mlp.experts.down_proj";

// What stands before a name, by how the folder's model was wrapped when it was saved.
static const char *const hf_prefixes[] = {
    "model.",         "", "transformer.", "language_model.model.", "model.language_model.",
    "language_model."};
enum { N_PREFIXES = sizeof hf_prefixes / sizeof *hf_prefixes };

static int64_t dim_of(const struct model_facts *f, enum dim d)
{
    int64_t q = (int64_t)f->n_heads * f->head_dim, kv = (int64_t)f->n_kv_heads * f->head_dim;
    switch (d) {
    case DIM_NONE: return 1;
    case DIM_EMBD: return f->n_embd;
    case DIM_VOCAB: return f->n_vocab;
    case DIM_CTX: return f->ctx_train;
    case DIM_Q: return q;
    case DIM_KV: return kv;
    case DIM_QKV: return q + 2 * kv;
    case DIM_HEAD: return f->head_dim;
    case DIM_FF: return f->n_ff;
    case DIM_2FF: return 2 * (int64_t)f->n_ff;
    case DIM_EXPERTS: return f->n_experts;
    case DIM_EXPERT_FF: return f->n_expert_ff;
    case DIM_2EXPERT_FF: return 2 * (int64_t)f->n_expert_ff;
    }
    assert(false);
    return 0;
}

static enum tensor_presence when(bool needed, enum tensor_presence otherwise)
{
    return needed ? TENSOR_NEEDED : otherwise;
}

enum tensor_presence tensor_presence(const struct model_facts *f, int i, enum tensor_role role)
{
    bool experts = f->n_experts > 0 && !f->dense[i];
    switch (role) {
    case TENSOR_ATTN_NORM:
    case TENSOR_Q:
    case TENSOR_K:
    case TENSOR_V:
    case TENSOR_O:
    case TENSOR_FFN_NORM: return TENSOR_NEEDED;
    case TENSOR_ATTN_NORM_BIAS:
    case TENSOR_FFN_NORM_BIAS: return when(f->norm == NORM_LAYER, TENSOR_ABSENT);
    case TENSOR_Q_BIAS:
    case TENSOR_K_BIAS:
    case TENSOR_V_BIAS: return when(f->qkv_bias, TENSOR_OPTIONAL);
    case TENSOR_O_BIAS: return when(f->out_bias, TENSOR_OPTIONAL);
    case TENSOR_Q_NORM:
    case TENSOR_K_NORM: return when(f->qk_norm, TENSOR_ABSENT);
    case TENSOR_POST_ATTN_NORM:
    case TENSOR_POST_FFN_NORM: return when(f->post_norms, TENSOR_ABSENT);
    case TENSOR_GATE: return when(!experts && f->gated, TENSOR_ABSENT);
    case TENSOR_UP:
    case TENSOR_DOWN: return when(!experts, TENSOR_ABSENT);
    case TENSOR_GATE_BIAS:
        return experts || !f->gated ? TENSOR_ABSENT : when(f->mlp_bias, TENSOR_OPTIONAL);
    case TENSOR_UP_BIAS:
    case TENSOR_DOWN_BIAS: return experts ? TENSOR_ABSENT : when(f->mlp_bias, TENSOR_OPTIONAL);
    case TENSOR_ROUTER: return when(experts, TENSOR_ABSENT);
    default: return TENSOR_ABSENT;
    }
}

bool tensor_is_vector(enum tensor_role role)
{
    return table[role].cols == DIM_NONE;
}

bool tensor_is_expert(enum tensor_role role)
{
    return role >= TENSOR_EXPERT_GATE && role <= TENSOR_EXPERT_GATE_UP;
}

void tensor_shape(const struct model_facts *f, enum tensor_role role, int64_t *rows, int64_t *cols)
{
    bool vector = tensor_is_vector(role);
    *rows = vector ? 1 : dim_of(f, table[role].rows);
    *cols = dim_of(f, vector ? table[role].rows : table[role].cols);
}

static void expand(const char *pattern, int layer, int expert, char *out, size_t size)
{
    size_t n = 0;
    while (*pattern && n + 12 < size) {
        if (pattern[0] == '{' && pattern[1] && pattern[2] == '}') {
            n += (size_t)snprintf(out + n, size - n, "%d", pattern[1] == 'l' ? layer : expert);
            pattern += 3;
        } else {
            out[n++] = *pattern++;
        }
    }
    assert(*pattern == 0);
    out[n] = 0;
}

void tensor_gguf_name(enum tensor_role role, int layer, char *name, size_t size)
{
    assert(table[role].gguf);
    expand(table[role].gguf, layer, 0, name, size);
}

static const char *hf_pattern(const struct model_facts *f, enum tensor_role role)
{
    const char *const *own = f->family->hf_names;
    return own && own[role] ? own[role] : table[role].hf;
}

// The tensor of that name, or the codes of what is packed instead; false if there is neither.
static bool found_as(const struct model_file *file, const struct model_facts *f, const char *name,
                     struct tensor_view *v)
{
    v->tensor = model_file_find(file, name);
    v->packed.codes = v->tensor ? NULL : hf_quant_find(file, &f->quant, name);
    return v->tensor || v->packed.codes;
}

static bool hf_find(const struct model_file *file, const struct model_facts *f, const char *pattern,
                    int layer, int expert, struct tensor_view *v)
{
    char name[160];
    for (size_t i = 0; pattern && i < N_PREFIXES; i++) {
        size_t n = (size_t)snprintf(name, sizeof name, "%s", hf_prefixes[i]);
        expand(pattern, layer, expert, name + n, sizeof name - n);
        if (found_as(file, f, name, v))
            return true;
    }
    return false;
}

// Sets v->tensor or v->packed.codes.
static bool find(const struct model_file *file, const struct model_facts *f, enum tensor_role role,
                 int layer, int expert, struct tensor_view *v)
{
    v->whole = role;
    if (!model_file_gguf(file))
        return hf_find(file, f, hf_pattern(f, role), layer, expert, v);
    if (!table[role].gguf)
        return false;
    char name[96];
    tensor_gguf_name(role, layer, name, sizeof name);
    return found_as(file, f, name, v);
}

// "[3, 4]" of a file's tensor.
static void shape_text(const struct model_tensor *t, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "[");
    for (int i = 0; i < t->n_dims && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%" PRId64, i ? ", " : "", t->shape[i]);
    if (n < size)
        (void)snprintf(out + n, size - n, "]");
}

static bool shape_is(const struct model_tensor *t, int n_dims, const int64_t *shape)
{
    if (t->n_dims != n_dims)
        return false;
    for (int i = 0; i < n_dims; i++)
        if (t->shape[i] != shape[i])
            return false;
    return true;
}

// FP8 weights keep their scales in a tensor beside them: one number, one a row, or one for
// every block of 128 x 128.
static bool find_scale(const struct model_file *file, struct tensor_view *v, struct error *err)
{
    const struct model_tensor *t = v->tensor;
    char name[256];
    static const char *const endings[] = {"_scale_inv", "_scale"};
    for (int i = 0; i < 2 && !v->scale; i++) {
        (void)snprintf(name, sizeof name, "%s%s", t->name, endings[i]);
        v->scale = model_file_find(file, name);
    }
    const struct model_tensor *s = v->scale;
    if (!s)
        return true;
    int64_t n = 1;
    for (int i = 0; i < s->n_dims; i++)
        n *= s->shape[i];
    bool blocks = s->n_dims == 2 && s->shape[0] == (v->file_rows + 127) / 128 &&
                  s->shape[1] == (v->cols + 127) / 128;
    bool plain = s->dtype == DTYPE_F32 || s->dtype == DTYPE_BF16 || s->dtype == DTYPE_F16;
    if (plain && (n == 1 || (n == v->file_rows && s->shape[0] == n) || blocks))
        return true;
    char have[64];
    shape_text(s, have, sizeof have);
    return error_set(err, ERR_FORMAT,
                     "tensor '%s': shape %s does not fit the weight of %" PRId64 " x %" PRId64,
                     s->name, have, v->file_rows, v->cols);
}

// Checks the tensor's shape as [file_rows, cols], per expert if stacked, turned if transposed.
static bool check_shape(const struct model_file *file, const struct model_facts *f, bool vector,
                        struct tensor_view *v, struct error *err)
{
    const struct model_tensor *t = v->tensor;
    int64_t want[3];
    int n = 0;
    if (v->stacked)
        want[n++] = f->n_experts;
    if (!vector)
        want[n++] = v->transposed ? v->cols : v->file_rows;
    want[n++] = vector || !v->transposed ? v->cols : v->file_rows;
    if (!shape_is(t, n, want)) {
        char have[96], need[96];
        shape_text(t, have, sizeof have);
        struct model_tensor w = {.n_dims = n,
                                 .shape = {want[0], n > 1 ? want[1] : 0, n > 2 ? want[2] : 0}};
        shape_text(&w, need, sizeof need);
        return error_set(err, ERR_FORMAT, "%s: tensor '%s' has shape %s, expected %s",
                         model_file_path(file), t->name, have, need);
    }
    if (t->dtype != DTYPE_F8_E4M3)
        return true;
    v->dtype = DTYPE_BF16;
    if (!find_scale(file, v, err))
        return false;
    if (v->scale || f->quant.method == HF_QUANT_NONE)
        return true;
    return error_set(err, ERR_FORMAT, "%s: tensor '%s' has no scale ('%s_scale' is missing)",
                     model_file_path(file), t->name, t->name);
}

// Packed weights are never stacked, and [rows, cols] whatever the family stores otherwise.
static bool open_packed(const struct model_file *file, const struct model_facts *f, bool vector,
                        struct tensor_view *v, struct error *err)
{
    if (vector || v->stacked)
        return error_set(err, ERR_UNSUPPORTED,
                         "%s: tensor '%s': only single matrices can be packed",
                         model_file_path(file), v->packed.codes->name);
    v->transposed = false;
    if (!hf_quant_open(file, &f->quant, v->packed.codes, v->file_rows, v->cols, &v->packed, err))
        return false;
    v->dtype = v->packed.dtype;
    return true;
}

// Where a role hides inside another tensor: which one, and which rows of it.
struct part {
    enum tensor_role whole;
    int64_t first_row;
};
static bool part_of(const struct model_facts *f, enum tensor_role role, struct part *p)
{
    int64_t q = dim_of(f, DIM_Q), kv = dim_of(f, DIM_KV);
    switch (role) {
    case TENSOR_Q: *p = (struct part){TENSOR_QKV, 0}; return true;
    case TENSOR_K: *p = (struct part){TENSOR_QKV, q}; return true;
    case TENSOR_V: *p = (struct part){TENSOR_QKV, q + kv}; return true;
    case TENSOR_Q_BIAS: *p = (struct part){TENSOR_QKV_BIAS, 0}; return true;
    case TENSOR_K_BIAS: *p = (struct part){TENSOR_QKV_BIAS, q}; return true;
    case TENSOR_V_BIAS: *p = (struct part){TENSOR_QKV_BIAS, q + kv}; return true;
    case TENSOR_GATE: *p = (struct part){TENSOR_GATE_UP, 0}; return true;
    case TENSOR_UP: *p = (struct part){TENSOR_GATE_UP, f->n_ff}; return true;
    case TENSOR_EXPERT_GATE: *p = (struct part){TENSOR_EXPERT_GATE_UP, 0}; return true;
    case TENSOR_EXPERT_UP: *p = (struct part){TENSOR_EXPERT_GATE_UP, f->n_expert_ff}; return true;
    default: return false;
    }
}

// GGUF has no name of its own for gate and up in one: "ffn_up" without "ffn_gate" is both.
static bool is_fused_gate_up(const struct model_file *file, const struct model_facts *f, int layer)
{
    struct tensor_view ignored;
    return f->gated && model_file_gguf(file) && !find(file, f, TENSOR_GATE, layer, 0, &ignored);
}

bool tensor_find(const struct model_file *file, const struct model_facts *f, enum tensor_role role,
                 int layer, int expert, struct tensor_view *v, bool *found, struct error *err)
{
    bool vector = tensor_is_vector(role);
    *v = (struct tensor_view){.expert = expert, .transposed = f->transposed && !vector};
    bool fused_up = (role == TENSOR_GATE || role == TENSOR_UP) && is_fused_gate_up(file, f, layer);
    *found = !fused_up && find(file, f, role, layer, expert, v);
    struct part p;
    if (!*found && part_of(f, role, &p)) {
        *found = find(file, f, p.whole, layer, expert, v);
        v->first_row = p.first_row;
    }
    v->stacked =
        tensor_is_expert(role) && (model_file_gguf(file) || v->whole == TENSOR_EXPERT_GATE_UP);
    if (!*found && role == TENSOR_EXPERT_DOWN && !model_file_gguf(file)) {
        v->whole = role;
        *found = v->stacked = hf_find(file, f, expert_down_stacked, layer, 0, v);
    }
    if (!*found)
        return true;
    // Tables of embeddings and heads are stored row by row even where other matrices are not.
    if (role == TENSOR_TOKEN_EMBD || role == TENSOR_POSITION_EMBD || role == TENSOR_OUTPUT)
        v->transposed = false;
    tensor_shape(f, role, &v->rows, &v->cols);
    v->file_rows = vector ? 1 : dim_of(f, table[v->whole].rows);
    if (!v->tensor)
        return open_packed(file, f, vector, v, err);
    v->dtype = v->tensor->dtype;
    v->plus_one = f->norm_plus_one && vector;
    if (!vector)
        return check_shape(file, f, false, v, err);
    struct tensor_view all = *v;  // a part of a fused bias is checked as the whole
    all.cols = dim_of(f, table[v->whole].rows);
    return check_shape(file, f, true, &all, err);
}

// Codes of a weight that the config does not speak of; *codes is their tensor's name.
static bool is_packed_unsaid(const struct model_file *file, const char *name, const char **codes)
{
    for (int method = HF_QUANT_BITSANDBYTES; method <= HF_QUANT_COMPRESSED; method++) {
        struct hf_quant q = {.method = (enum hf_quant_method)method};
        const struct raw_tensor *t = hf_quant_find(file, &q, name);
        if (t) {
            *codes = t->name;
            return true;
        }
    }
    return false;
}

bool tensor_need(const struct model_file *file, const struct model_facts *f, enum tensor_role role,
                 int layer, int expert, struct tensor_view *view, struct error *err)
{
    bool found;
    if (!tensor_find(file, f, role, layer, expert, view, &found, err))
        return false;
    if (found)
        return true;
    char name[200], codes[220];
    bool gguf = model_file_gguf(file) != NULL;
    const char *pattern = gguf ? table[role].gguf : hf_pattern(f, role);
    for (size_t i = 0; pattern && i < (gguf ? 1 : N_PREFIXES); i++) {
        size_t n = (size_t)snprintf(name, sizeof name, "%s", gguf ? "" : hf_prefixes[i]);
        expand(pattern, layer, expert, name + n, sizeof name - n);
        const char *why = model_file_unreadable(file, name);
        if (why)
            return error_set(err, ERR_UNSUPPORTED, "%s: tensor '%s' has %s", model_file_path(file),
                             name, why);
        if (is_packed_unsaid(file, name, &why))
            return error_set(err, ERR_FORMAT,
                             "%s: tensor '%s' is missing; there is '%s', but config.json has no "
                             "quantization_config that tells how to read it",
                             model_file_path(file), name, why);
    }
    expand(pattern ? pattern : "?", layer, expert, name, sizeof name);
    hf_quant_codes_name(&f->quant, name, codes, sizeof codes);
    bool packed = strcmp(name, codes) != 0;
    return error_set(err, ERR_FORMAT, "%s: tensor '%s' is missing%s%s%s", model_file_path(file),
                     name, packed ? ", and so is '" : "", packed ? codes : "", packed ? "'" : "");
}
