#include "cli/loaded.h"

#include "base/error.h"
#include "cli/command.h"
#include "local/backend/backend.h"
#include "local/formats/model_file.h"
#include "local/models/convert.h"
#include "local/tokenizer/tokenizer.h"
#include "providers/fit.h"
#include "providers/model_ref.h"

static bool show_loading(void *self, uint64_t done, uint64_t total)
{
    progress_show(self, "loading", (double)done / 1e6, (double)total / 1e6, "MB");
    return !interrupted();
}

bool loaded_init(struct loaded *l, const char *reference, const struct settings *s,
                 struct model_options o, bool with_tokenizer, struct error *err)
{
    char path[MODEL_REF_BYTES];
    struct cpu_options cpu = {.threads = s->threads, .isa = s->isa};
    *l = (struct loaded){0};
    progress_init(&l->progress, s->quiet);
    o.threads = s->threads;
    o.progress = show_loading;
    o.progress_self = &l->progress;
    if (!pin_from_name(s->pin, &cpu.pin, err) || !packed_options_read(s->packed, &o.packed, err) ||
        !convert_mix(s->quantize, &o.mix, err) || !model_ref_path(reference, path, err))
        return false;
    if (!(l->file = model_file_open(path, MODEL_ALL, err)))
        return false;
    struct fit_machine machine;
    struct fit_wish wish = {.ctx = o.ctx, .mix = o.mix};
    fit_machine_read(&machine, false);
    if (!kv_type_from_name(s->kv, &wish.kv_type, err))
        return false;
    if (!fit_check(l->file, &wish, &machine, NULL, err))
        return false;
    if (with_tokenizer && !(l->tokenizer = tokenizer_open(l->file, err)))
        return false;
    if (!(l->backend = backend_cpu_new(&cpu, err)))
        return false;
    l->model = model_load(l->file, l->backend, &o, err);
    progress_clear(&l->progress);
    return l->model != NULL;
}

void loaded_release(struct loaded *l)
{
    model_free(l->model);
    backend_free(l->backend);
    tokenizer_close(l->tokenizer);
    model_file_close(l->file);
}
