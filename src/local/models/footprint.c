#include "local/models/footprint.h"

#include <assert.h>
#include <string.h>

#include "local/models/tensors.h"
#include "local/quantize/mix.h"

struct count {
    const struct model_file *file;  // or NULL
    const struct mix *mix;          // or NULL
    const struct model_facts *f;
    struct footprint *out;
    struct error *err;
};

static enum dtype mixed(const struct count *c, enum tensor_role role, int layer, int64_t cols)
{
    char name[80];
    tensor_gguf_name(role, layer, name, sizeof name);
    struct mix_tensor t = {.name = name,
                           .n_dims = tensor_is_vector(role) ? 1 : 2,
                           .cols = cols,
                           .n_layers = c->f->n_layers,
                           .n_experts = c->f->n_experts,
                           .heads_per_kv = c->f->n_heads / c->f->n_kv_heads,
                           .tied = c->f->tied};
    return mix_dtype(c->mix, &t);
}

// Bytes of one tensor (of an expert one of n_experts alike), 0 if the model has none.
static bool measure(struct count *c, enum tensor_role role, int layer, bool needed, uint64_t *bytes)
{
    struct tensor_view v;
    bool found = true;
    *bytes = 0;
    if (c->file) {
        if (!(needed ? tensor_need(c->file, c->f, role, layer, 0, &v, c->err)
                     : tensor_find(c->file, c->f, role, layer, 0, &v, &found, c->err)))
            return false;
        if (!found)
            return true;
        *bytes = tensor_view_bytes(&v);
    } else {
        if (!needed)
            return true;
        tensor_shape(c->f, role, &v.rows, &v.cols);
        v.dtype = mixed(c, role, layer, v.cols);
        bool whole = dtype_bytes(v.dtype, (uint64_t)v.cols, bytes);
        assert(whole);
        (void)whole;
        *bytes *= (uint64_t)v.rows;
    }
    uint64_t n = tensor_is_expert(role) ? (uint64_t)c->f->n_experts : 1;
    c->out->parameters += (uint64_t)v.rows * (uint64_t)v.cols * n;
    c->out->narrow |= !tensor_is_vector(role) && v.dtype != DTYPE_F32;
    return true;
}

static bool count_experts(struct count *c, int layer)
{
    const struct model_facts *f = c->f;
    for (enum tensor_role role = TENSOR_EXPERT_GATE; role <= TENSOR_EXPERT_DOWN; role++) {
        uint64_t bytes;
        if (!measure(c, role, layer, true, &bytes))
            return false;
        c->out->layer_bytes[layer] += bytes * (uint64_t)f->n_experts;
        c->out->layer_read[layer] += bytes * (uint64_t)f->n_experts_used;
    }
    return true;
}

static bool count_layer(struct count *c, int layer)
{
    for (enum tensor_role role = TENSOR_ATTN_NORM; role < TENSOR_ROLES; role++) {
        enum tensor_presence presence = tensor_presence(c->f, layer, role);
        uint64_t bytes;
        if (presence == TENSOR_ABSENT)
            continue;
        if (!measure(c, role, layer, presence == TENSOR_NEEDED, &bytes))
            return false;
        c->out->layer_bytes[layer] += bytes;
        c->out->layer_read[layer] += bytes;
    }
    return c->f->n_experts == 0 || c->f->dense[layer] || count_experts(c, layer);
}

static bool count_one(struct count *c, enum tensor_role role, uint64_t *sum)
{
    uint64_t bytes;
    if (!measure(c, role, 0, true, &bytes))
        return false;
    *sum += bytes;
    return true;
}

static bool count_ends(struct count *c)
{
    const struct model_facts *f = c->f;
    struct footprint *p = c->out;
    return count_one(c, TENSOR_TOKEN_EMBD, f->tied ? &p->output_bytes : &p->embd_bytes) &&
           (f->tied || count_one(c, TENSOR_OUTPUT, &p->output_bytes)) &&
           (!f->learned_positions || count_one(c, TENSOR_POSITION_EMBD, &p->embd_bytes)) &&
           count_one(c, TENSOR_OUTPUT_NORM, &p->output_bytes) &&
           (f->norm != NORM_LAYER || count_one(c, TENSOR_OUTPUT_NORM_BIAS, &p->output_bytes));
}

static bool count_all(struct count *c)
{
    *c->out = (struct footprint){.n_layers = c->f->n_layers};
    if (!count_ends(c))
        return false;
    c->out->bytes = c->out->embd_bytes + c->out->output_bytes;
    for (int i = 0; i < c->f->n_layers; i++) {
        if (!count_layer(c, i))
            return false;
        c->out->bytes += c->out->layer_bytes[i];
    }
    return true;
}

bool footprint_of_file(const struct model_file *file, const struct model_facts *f,
                       struct footprint *out, struct error *err)
{
    struct count c = {.file = file, .f = f, .out = out, .err = err};
    return count_all(&c);
}

void footprint_scale(struct footprint *p, uint64_t bytes)
{
    double factor = p->bytes ? (double)bytes / (double)p->bytes : 0;
    for (int i = 0; i < p->n_layers; i++) {
        p->layer_bytes[i] = (uint64_t)((double)p->layer_bytes[i] * factor);
        p->layer_read[i] = (uint64_t)((double)p->layer_read[i] * factor);
    }
    p->embd_bytes = (uint64_t)((double)p->embd_bytes * factor);
    p->output_bytes = (uint64_t)((double)p->output_bytes * factor);
    p->bytes = bytes;
}

void footprint_of_mix(const struct model_facts *f, const struct mix *mix, struct footprint *out)
{
    struct count c = {.mix = mix, .f = f, .out = out};
    bool ok = count_all(&c);  // facts alone cannot fail
    assert(ok);
    (void)ok;
}
