#include "cli/stack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mapping.h"
#include "base/system.h"
#include "cli/command.h"
#include "gateway/charge.h"
#include "gateway/egress.h"
#include "gateway/gateway.h"
#include "gateway/prices.h"
#include "ledger/ledger.h"
#include "local/engine/engine.h"
#include "local/eval/probe.h"
#include "providers/local.h"
#include "providers/model_list.h"
#include "providers/model_ref.h"
#include "providers/provider.h"
#include "providers/remote.h"

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

static bool open_local(struct stack *st, const struct settings *s, struct error *err)
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
    return read_speculate(s->speculate, &o.speculate, err) &&
           (st->local = provider_local_new(&o, err)) != NULL;
}

// Whether a reference may name what is not on this machine.
static bool may_leave(const struct config *c, const char *model)
{
    if (!model || !*model)
        model = getenv("HEARTH_MODEL");
    if (!model || !*model)
        model = c->default_model;
    if (!model || file_exists(model) || strncmp(model, "local/", 6) == 0)
        return false;
    for (size_t i = 0; i < c->n_routes; i++)
        if (strcmp(c->routes[i].name, model) == 0)
            return true;
    return strchr(model, '/');
}

struct ledger *open_ledger(const struct settings *s, bool make, struct error *err)
{
    struct config c = {0};
    if (s->ledger)
        return make ? ledger_open(s->ledger, err) : ledger_open_made(s->ledger, err);
    struct ledger *l = NULL;
    if (config_read(s->config, &c, err))
        l = make || !c.ledger ? ledger_open(c.ledger, err) : ledger_open_made(c.ledger, err);
    config_release(&c);
    return l;
}

// A name that is mistyped means a ledger without keys, which asks nobody for one.
static void tell_if_made(const struct stack *st, const struct settings *s)
{
    const char *made = st->ledger ? ledger_made(st->ledger) : NULL;
    if (made && (!s->quiet || s->ledger || st->config.ledger))
        (void)fprintf(stderr, "hearth: made a new ledger at %s (no keys in it yet)\n", made);
}

struct prices *open_prices(const struct config *c, struct error *err)
{
    struct prices *p = prices_open(c->prices, err);
    if (!p && c->prices)
        (void)config_wrap(c, c->prices_line, c->prices_column, err);
    if (p)
        charge_local(p, &c->cost);
    return p;
}

static bool open_books(struct stack *st, const struct settings *s, struct error *err)
{
    const struct config *c = &st->config;
    return (st->prices = open_prices(c, err)) != NULL &&
           (st->ledger = ledger_open(s->ledger ? s->ledger : c->ledger, err)) != NULL;
}

static bool open_outside(struct stack *st, struct error *err)
{
    return (st->egress = egress_open(st->config.egress_log, err)) != NULL &&
           (st->remotes = remotes_new(err)) != NULL;
}

static bool open_gateway(struct stack *st, const struct settings *s, bool for_others,
                         struct error *err)
{
    struct gateway_options o = {.local = st->local,
                                .config = &st->config,
                                .ledger = st->ledger,
                                .prices = st->prices,
                                .egress = st->egress,
                                .remotes = st->remotes,
                                .offline = s->offline,
                                .for_others = for_others};
    st->gateway = gateway_open(&o, err);
    return st->gateway;
}

static bool open_below(struct stack *st, const struct settings *s, bool books, bool outside,
                       struct error *err)
{
    *st = (struct stack){0};
    progress_init(&st->progress, s->quiet);
    if (!config_read(s->config, &st->config, err) || !open_local(st, s, err))
        return false;
    return (!books || open_books(st, s, err)) && (!outside || open_outside(st, err));
}

bool stack_open(struct stack *st, const struct settings *s, const char *model, struct error *err)
{
    struct config c;
    if (!config_read(s->config, &c, err)) {
        *st = (struct stack){0};
        return false;
    }
    bool outside = may_leave(&c, model);
    for (size_t i = 0; i < s->models.n; i++)
        outside = outside || may_leave(&c, s->models.items[i]);
    bool unnamed = !c.default_model, charged = c.cost.n_charge > 0;
    config_release(&c);
    outside = outside && !s->offline;
    if (!open_below(st, s, outside || charged, outside, err) || !open_gateway(st, s, false, err))
        return false;
    if (unnamed)
        tell_if_shipped(s, model);
    return true;
}

bool stack_open_server(struct stack *st, const struct settings *s, struct error *err)
{
    if (!open_below(st, s, true, !s->offline, err) || !open_gateway(st, s, true, err))
        return false;
    tell_if_made(st, s);
    st->allow_vendors = s->allow_vendors || st->config.allow_vendors;
    if (!s->models.n && !st->config.n_routes && !st->config.default_model)
        tell_if_shipped(s, NULL);
    return true;
}

static bool differs(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) != 0 : a != b;
}

// What is in force since the start, and not by an option.
static void tell_restart(const struct stack *st, const struct settings *s, const struct config *c)
{
    const struct {
        const char *name;
        bool changed;
    } members[] = {
        {"ledger", !s->ledger && differs(st->config.ledger, c->ledger)},
        {"server.host", !s->host && differs(st->config.host, c->host)},
        {"server.port", s->port < 0 && st->config.port != c->port},
    };
    struct buf names = {0};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (members[i].changed)
            buf_printf(&names, names.len ? ", %s" : "%s", members[i].name);
    if (names.len)
        log_warn("what has changed here counts from the next start on: %s", buf_text(&names));
    buf_release(&names);
}

// All that can fail comes first, so that a configuration counts as a whole or not at all.
bool stack_reload(struct stack *st, const struct settings *s, struct error *err)
{
    struct config c = {0};
    struct prices *prices = NULL;
    struct egress *egress = NULL;
    bool ok = config_read(s->config, &c, err) && (prices = open_prices(&c, err)) &&
              (!st->egress || (egress = egress_open(c.egress_log, err)));
    struct config told = c;
    if (!ok || !gateway_reload(st->gateway, &c, prices, egress, err)) {
        egress_close(egress);
        prices_free(prices);
        config_release(&c);
        return false;
    }
    tell_restart(st, s, &told);  // its texts are the gateway's now
    prices_free(st->prices);
    st->prices = prices;
    egress_close(st->egress);
    st->egress = egress;
    st->allow_vendors = s->allow_vendors || told.allow_vendors;
    return true;
}

void stack_close(struct stack *st)
{
    gateway_free(st->gateway);
    remotes_free(st->remotes);
    egress_close(st->egress);
    ledger_close(st->ledger);
    prices_free(st->prices);
    if (st->local)
        st->local->ops->free(st->local);
    config_release(&st->config);
    *st = (struct stack){0};
}

const char *model_option(const struct settings *s)
{
    return s->models.n ? s->models.items[s->models.n - 1] : NULL;
}
