#include "providers/fit.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/shown_bytes.h"
#include "base/system.h"
#include "local/backend/backend.h"
#include "local/engine/kv_plan.h"
#include "local/eval/probe.h"
#include "local/formats/gguf.h"
#include "local/formats/model_file.h"
#include "local/models/footprint.h"
#include "local/quantize/mix.h"

// Below it, caches and the meetings of threads decide about speed, not memory.
static const double read_bytes_least = 100e6;

void fit_machine_read(struct fit_machine *m, bool measure)
{
    *m = (struct fit_machine){.n_devices = 1};
    m->name[0] = "cpu";
    m->device[0].free_bytes = system_memory_available();
    if (measure)
        m->device[0].bytes_per_s = probe_read_gbytes_per_s(probe_cores()) * 1e9;
}

static uint64_t add_or_max(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

// Pages for one sequence of the context, as the engine would plan them with this memory left.
static bool plan_kv(const struct model_facts *f, const struct footprint *p,
                    const struct fit_wish *wish, uint64_t available, struct kv_facts *kv,
                    struct kv_plan *plan)
{
    struct error ignored;
    *kv = (struct kv_facts){.dtype = wish->kv_type != DTYPE_COUNT ? wish->kv_type
                                     : p->narrow                  ? DTYPE_F16
                                                                  : DTYPE_F32,
                            .ctx = wish->ctx ? wish->ctx : f->ctx_train,
                            .ctx_asked = wish->ctx > 0,
                            .max_rows = 512,
                            .max_seqs = 1,
                            .available = available};
    if (f->learned_positions && kv->ctx > f->ctx_train)
        kv->ctx = f->ctx_train;
    kv->n_groups = model_groups_of(f, kv->groups);
    return kv_plan_make(kv, plan, &ignored);
}

static uint64_t kv_of_layer(const struct kv_facts *kv, const struct kv_plan *plan, bool sliding)
{
    int g = sliding ? kv->n_groups - 1 : 0;
    struct kv_shape one = {.n_layers = 1,
                           .n_kv_heads = kv->groups[g].n_kv_heads,
                           .head_dim = kv->groups[g].head_dim,
                           .n_pages = plan->least_pages[g],
                           .dtype = kv->dtype};
    return (uint64_t)one.n_pages * kv_page_bytes(&one);
}

static void fill_layers(const struct model_facts *f, const struct footprint *p,
                        const struct kv_facts *kv, const struct kv_plan *plan,
                        struct placement_layer *layers)
{
    for (int i = 0; i < p->n_layers; i++)
        layers[i] = (struct placement_layer){.weights_bytes = p->layer_bytes[i],
                                             .kv_bytes = kv_of_layer(kv, plan, f->sliding[i]),
                                             .read_bytes = p->layer_read[i]};
    layers[0].weights_bytes += p->embd_bytes;
    layers[p->n_layers - 1].weights_bytes += p->output_bytes;
    layers[p->n_layers - 1].read_bytes += p->output_bytes;
}

static void place_layers(const struct placement_layer *layers, int n, const struct fit_machine *m,
                         struct fit_option *out)
{
    int device_of[LAYERS_MAX];
    double read = 0;
    out->fits = placement_make(layers, n, out->scratch_bytes, m->device, m->n_devices, device_of);
    if (!out->fits)
        return;
    for (int i = 0; i < n; i++) {
        out->n_layers_on[device_of[i]]++;
        read += (double)layers[i].read_bytes;
    }
    double seconds = placement_seconds(layers, n, m->device, device_of);
    if (seconds > 0 && read >= read_bytes_least)
        out->tokens_per_s = 1 / seconds;
}

void fit_place(const struct model_facts *f, const struct footprint *p, const struct fit_wish *wish,
               const struct fit_machine *m, struct fit_option *out)
{
    struct kv_facts kv;
    struct kv_plan plan;
    uint64_t free_bytes = 0;
    bool ok = plan_kv(f, p, wish, UINT64_MAX / 2, &kv, &plan);  // all that it would like
    assert(ok);
    struct model_options o = {.ctx = kv.ctx};
    out->weights_bytes = p->bytes;
    out->scratch_bytes = model_scratch_of(f, &o);
    out->kv_bytes = plan.least_bytes;
    out->ctx = out->ctx_wanted = plan.ctx;
    for (int i = 0; i < m->n_devices; i++) {
        uint64_t left = m->device[i].free_bytes;
        free_bytes =
            add_or_max(free_bytes, left - (left < out->scratch_bytes ? left : out->scratch_bytes));
    }
    if (free_bytes <= p->bytes || !plan_kv(f, p, wish, free_bytes - p->bytes, &kv, &plan))
        return;
    struct placement_layer *layers = memory_array(struct placement_layer, (size_t)p->n_layers);
    fill_layers(f, p, &kv, &plan, layers);
    place_layers(layers, p->n_layers, m, out);
    free(layers);
    if (!out->fits)
        return;
    out->kv_bytes = plan.least_bytes;
    out->ctx = plan.ctx;
}

// The type that most bytes of a model have.
static enum dtype main_type(const struct model_file *file)
{
    uint64_t bytes[DTYPE_COUNT] = {0};
    enum dtype most = DTYPE_F32;
    for (size_t i = 0; i < model_file_n_tensors(file); i++) {
        const struct model_tensor *t = model_file_tensor(file, i);
        bytes[t->dtype] += t->bytes;
        most = bytes[t->dtype] > bytes[most] ? t->dtype : most;
    }
    return most;
}

static const char *own_quant(const struct model_file *file)
{
    uint64_t file_type;
    const struct gguf *g = model_file_gguf(file);
    const struct mix *mix = NULL;
    if (g && gguf_get_u64(g, "general.file_type", &file_type))
        mix = mix_of_file_type(file_type);
    return mix ? mix->name : dtype_name(main_type(file));
}

void fit_add(struct fit_answer *a, const char *quant, bool estimated, const struct footprint *p)
{
    if (a->n_options == FIT_OPTIONS_MAX)
        return;
    struct fit_option *o = &a->options[a->n_options++];
    *o = (struct fit_option){.estimated = estimated};
    (void)snprintf(o->quant, sizeof o->quant, "%s", quant);
    fit_place(&a->facts, p, &a->wish, &a->machine, o);
}

static bool is_alternative(const struct mix *mix, const char *own)
{
    return mix->common && strcmp(mix->name, own) != 0;
}

void fit_add_mixes(struct fit_answer *a, const char *own)
{
    struct footprint *p = memory_array(struct footprint, 1);
    const struct mix *mix;
    for (size_t i = 0; (mix = mix_at(i)); i++) {
        if (!is_alternative(mix, own))
            continue;
        footprint_of_mix(&a->facts, mix, p);
        fit_add(a, mix->name, true, p);
    }
    free(p);
}

bool fit_file(struct fit_answer *a, const struct model_file *file, struct error *err)
{
    const char *own = "";
    bool ok = facts_read(file, &a->facts, err);
    a->n_options = 0;
    if (ok && !model_file_weights_error(file)) {
        struct footprint *p = memory_array(struct footprint, 1);
        own = own_quant(file);
        ok = footprint_of_file(file, &a->facts, p, err);
        if (ok)
            fit_add(a, own, false, p);
        free(p);
    }
    if (ok)
        fit_add_mixes(a, own);
    return ok;
}

static bool told(const struct fit_option *o, const struct fit_wish *wish,
                 const struct fit_machine *m, struct error *err)
{
    char context[96] = "";
    uint64_t free_bytes = 0;
    for (int i = 0; i < m->n_devices; i++)
        free_bytes = add_or_max(free_bytes, m->device[i].free_bytes);
    if (o->fits)
        return true;
    if (wish->ctx)  // else it would have shrunk
        (void)snprintf(context, sizeof context, " and %s for keys and values of %d tokens",
                       shown_bytes((double)o->kv_bytes).text, o->ctx);
    return error_set(err, ERR_MEMORY,
                     "needs %s of memory for weights and work%s, %s are free: `hearth fit MODEL` "
                     "says what fits",
                     shown_bytes((double)(o->weights_bytes + o->scratch_bytes)).text, context,
                     shown_bytes((double)free_bytes).text);
}

bool fit_check(const struct model_file *file, const struct fit_wish *wish,
               const struct fit_machine *m, uint64_t *needs, struct error *err)
{
    struct error ignored;
    struct fit_option o = {0};
    struct model_facts *f = memory_array(struct model_facts, 1);
    struct footprint *p = memory_array(struct footprint, 1);
    bool ok = true;
    bool known = facts_read(file, f, &ignored) && footprint_of_file(file, f, p, &ignored);
    if (known && wish->kv_type != DTYPE_COUNT)
        ok = kv_type_check(wish->kv_type, f->head_dim, err);
    if (known && ok) {
        if (wish->mix)
            footprint_of_mix(f, wish->mix, p);
        fit_place(f, p, wish, m, &o);
        ok = told(&o, wish, m, err);
        if (needs)  // without a wish the context shrinks
            *needs = o.weights_bytes + o.scratch_bytes + (wish->ctx ? o.kv_bytes : 0);
    }
    free(f);
    free(p);
    return ok;
}
