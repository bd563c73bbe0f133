#include "providers/local_impl.h"

#include <stdio.h>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "local/backend/backend.h"
#include "local/formats/model_file.h"
#include "local/models/convert.h"
#include "local/models/model.h"
#include "local/template/template.h"
#include "providers/fit.h"

struct loading {
    const struct local_options *o;
    const char *name;
};

static bool on_progress(void *self, uint64_t done, uint64_t total)
{
    const struct loading *l = self;
    return l->o->progress(l->o->progress_self, l->name, done, total);
}

static float config_number(const json_t *config, const char *key, float otherwise)
{
    double value = 0;
    return json_get_f64(config, key, &value) ? (float)value : otherwise;
}

// generation_config.json, as transformers reads it: once it speaks of sampling, what it does not
// name is off; do_sample false means the likeliest token.
static void read_defaults(struct local_model *m)
{
    static const char *const members[] = {"temperature", "top_p", "top_k", "min_p", "typical_p"};
    const json_t *config = model_file_generation_config(m->file);
    struct sampling *s = &m->sampling;
    bool speaks = false, sample = true;
    sampling_defaults(s);
    if (!config)
        return;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        speaks |= json_is_number(json_object_get(config, members[i]));
    if (speaks) {
        s->temperature = config_number(config, "temperature", 1);
        s->top_p = config_number(config, "top_p", 1);
        s->top_k = (int)config_number(config, "top_k", 0);
        s->min_p = config_number(config, "min_p", 0);
        s->typical_p = config_number(config, "typical_p", 1);
    }
    s->repetition_penalty = config_number(config, "repetition_penalty", 1);
    if (json_get_bool(config, "do_sample", &sample) && !sample)
        s->temperature = 0;
    struct error err = {0};
    if (!sampling_check(s, &err)) {
        log_warn("%s: generation_config.json: %s; Hearth's defaults are used", m->name, err.text);
        sampling_defaults(s);
    }
}

static bool open_template(struct local_model *m, const struct local_options *o, struct error *err)
{
    struct slice source = model_file_chat_template(m->file, NULL);
    if (source.len == 0)
        return true;  // local_prompt says so, if it matters
    local_marks_find(m, source, o);
    m->chat_template = template_open(source, err);
    return m->chat_template || error_wrap(err, "chat template");
}

// What does not fit is told before it is loaded, not by the system when it ends the process.
static bool check_memory(const struct local_model *m, const struct local_options *o,
                         uint64_t room_bytes, uint64_t *needs, struct error *err)
{
    struct fit_machine machine;
    struct fit_wish wish = {.ctx = o->ctx};
    if (!kv_type_from_name(o->kv_type, &wish.kv_type, err) ||
        !convert_mix(o->quantize, &wish.mix, err))
        return false;
    fit_machine_read(&machine, false);
    if (machine.device[0].free_bytes > room_bytes)
        machine.device[0].free_bytes = room_bytes;
    return fit_check(m->file, &wish, &machine, needs, err);
}

static uint64_t bytes_of(const struct local_model *m)
{
    struct engine_stats s;
    engine_stats(m->engine, &s);
    uint64_t draft = m->draft.model ? model_weight_bytes(m->draft.model) : 0;
    return model_weight_bytes(m->model) + draft + s.kv_bytes;
}

// Keys and values get what the weights left of the room.
static uint64_t room_for_pages(const struct local_model *m, uint64_t room_bytes)
{
    uint64_t weights = model_weight_bytes(m->model);
    if (m->draft.model)
        weights += model_weight_bytes(m->draft.model);
    return room_bytes == UINT64_MAX ? 0 : room_bytes > weights ? room_bytes - weights : 1;
}

static bool open_engine(struct local_model *m, const struct local_options *o, uint64_t room_bytes,
                        struct error *err)
{
    struct loading loading = {.o = o, .name = m->name};
    struct model_options mo = {.ctx = o->ctx,
                               .max_seqs = o->max_seqs,
                               .threads = o->threads,
                               .progress = o->progress ? on_progress : NULL,
                               .progress_self = &loading};
    struct engine_options eo = {.ctx = o->ctx, .max_seqs = o->max_seqs, .queue_max = o->queue_max};
    struct cpu_options co = {.threads = o->threads, .isa = o->isa};
    if (!pin_from_name(o->pin, &co.pin, err) || !kv_type_from_name(o->kv_type, &eo.kv_dtype, err) ||
        !convert_mix(o->quantize, &mo.mix, err) || !packed_options_read(o->packed, &mo.packed, err))
        return false;
    m->backend = backend_cpu_new(&co, err);
    if (!m->backend)
        return false;
    m->model = model_load(m->file, m->backend, &mo, err);
    if (!m->model)
        return false;
    if (o->draft && !local_draft_open(m, o, err))
        return false;
    eo.draft = m->draft.model;
    eo.room_bytes = room_for_pages(m, room_bytes);
    m->engine = engine_new(m->model, m->tokenizer, &eo, err);
    return m->engine != NULL;
}

struct local_model *local_model_open(const char *path, const char *real,
                                     const struct local_options *o, uint64_t room_bytes,
                                     uint64_t *needs, struct error *err)
{
    struct local_model *m = memory_array(struct local_model, 1);
    (void)snprintf(m->real, sizeof m->real, "%s", real);
    model_ref_name(path, m->name, sizeof m->name);
    enum pooling pooling = POOLING_NONE;
    struct error unknown;
    (void)pooling_from_name(o->pooling, &pooling, &unknown);  // provider_local_new has seen it
    m->speculate = o->speculate;
    m->grammars = local_grammars_new();
    m->file = model_file_open(path, MODEL_ALL, err);
    if (m->file && check_memory(m, o, room_bytes, needs, err) &&
        (m->tokenizer = tokenizer_open(m->file, err)) != NULL && open_template(m, o, err) &&
        open_engine(m, o, room_bytes, err)) {
        read_defaults(m);
        local_embed_choose(m, pooling);
        m->bytes = bytes_of(m);
        (void)snprintf(m->description, sizeof m->description, "%s, %.0f MB, %s", m->name,
                       (double)model_weight_bytes(m->model) / 1e6,
                       m->backend->ops->describe(m->backend));
        return m;
    }
    (void)error_wrap(err, "model '%s'", m->name);
    local_model_close(m);
    return NULL;
}

void local_model_close(struct local_model *m)
{
    if (!m)
        return;
    if (m->engine)
        engine_free(m->engine);
    local_grammars_free(m->grammars);
    local_draft_close(&m->draft);
    if (m->model)
        model_free(m->model);
    backend_free(m->backend);
    template_close(m->chat_template);
    local_marks_release(m);
    tokenizer_close(m->tokenizer);
    model_file_close(m->file);
    free(m);
}
