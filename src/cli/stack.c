#include "cli/stack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/system.h"
#include "cli/command.h"
#include "gateway/gateway.h"
#include "local/engine/engine.h"
#include "local/eval/probe.h"
#include "providers/local.h"
#include "providers/model_list.h"
#include "providers/model_ref.h"
#include "providers/provider.h"

static bool show_loading(void *self, const char *model, uint64_t done, uint64_t total)
{
    struct stack *st = self;
    (void)model;
    progress_show(&st->progress, "loading", (double)done / 1e6, (double)total / 1e6, "MB");
    return !interrupted();
}

// The model in the box is a sample: whoever meets it should know, and know a better one that this
// machine could hold.
static void tell_if_shipped(const struct settings *s, const char *model)
{
    char path[MODEL_REF_BYTES], name[128];
    if (s->quiet || !model_ref_unnamed(model) || !model_ref_shipped(path))
        return;
    model_ref_name(path, name, sizeof name);
    const struct listed_model *better =
        listed_model_suggest(system_memory_available(), probe_cores());
    (void)fprintf(stderr,
                  "hearth: using %s, the small model in the box, which only picks out sentences; ",
                  name);
    if (better)
        (void)fprintf(stderr, "a better one that fits this machine: hearth pull %s:%s\n",
                      better->repo, better->quant);
    else
        (void)fprintf(stderr, "`hearth fit` lists better ones\n");
}

// off, auto, or so many tokens at a time.
static bool read_speculate(const char *text, int *out, struct error *err)
{
    *out = SPECULATE_AUTO;
    if (!text || strcmp(text, "auto") == 0)
        return true;
    *out = SPECULATE_OFF;
    if (strcmp(text, "off") == 0)
        return true;
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (end == text || *end || errno || n < 1 || n > SPECULATE_MOST)
        return error_set(err, ERR_USAGE, "--speculate: '%s' is not auto, off, or from 1 to %d",
                         text, SPECULATE_MOST);
    *out = (int)n;
    return true;
}

bool stack_open(struct stack *st, const struct settings *s, const char *model, struct error *err)
{
    struct local_options o = {.threads = s->threads,
                              .ctx = s->ctx,
                              .max_seqs = s->max_seqs,
                              .queue_max = s->queue_max,
                              .models_memory = (uint64_t)s->models_memory,
                              .tool_format = s->tool_format,
                              .pooling = s->pooling,
                              .pin = s->pin,
                              .isa = s->isa,
                              .kv_type = s->kv,
                              .quantize = s->quantize,
                              .packed = s->packed,
                              .draft = s->draft,
                              .progress = show_loading,
                              .progress_self = st};
    *st = (struct stack){0};
    if (!read_speculate(s->speculate, &o.speculate, err))
        return false;
    progress_init(&st->progress, s->quiet);
    st->local = provider_local_new(&o, err);
    if (!st->local)
        return false;
    st->gateway = gateway_new(st->local);
    tell_if_shipped(s, model);
    return true;
}

void stack_close(struct stack *st)
{
    gateway_free(st->gateway);
    if (st->local)
        st->local->ops->free(st->local);
    *st = (struct stack){0};
}

const char *model_option(const struct settings *s)
{
    return s->models.n ? s->models.items[s->models.n - 1] : NULL;
}
