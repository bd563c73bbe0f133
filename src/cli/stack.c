#include "cli/stack.h"

#include <unistd.h>

#include "base/error.h"
#include "cli/command.h"
#include "gateway/gateway.h"
#include "providers/local.h"
#include "providers/provider.h"

static bool show_loading(void *self, const char *model, uint64_t done, uint64_t total)
{
    struct stack *st = self;
    (void)model;
    progress_show(&st->progress, "loading", (double)done / 1e6, (double)total / 1e6, "MB");
    return !interrupted();
}

bool stack_open(struct stack *st, const struct settings *s, struct error *err)
{
    struct local_options o = {.threads = s->threads,
                              .ctx = s->ctx,
                              .isa = s->isa,
                              .kv_type = s->kv,
                              .progress = show_loading,
                              .progress_self = st};
    *st = (struct stack){0};
    progress_init(&st->progress, s->quiet);
    st->local = provider_local_new(&o, err);
    if (!st->local)
        return false;
    st->gateway = gateway_new(st->local);
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
