// prices.c - `hearth prices`: what vendors' tokens cost, and where that was read.
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/places.h"
#include "cli/commands.h"
#include "cli/stack.h"
#include "config/config.h"
#include "gateway/prices.h"

enum { SHOWN_BYTES = 600 };

// "2.50" of pico-dollars a token, as dollars per million tokens; "-" if it is not told.
static const char *per_million(int64_t rate, char out[32])
{
    int n = snprintf(out, 32, "%" PRId64 ".%06" PRId64, rate / 1000000, rate % 1000000);
    if (rate < 0) {
        (void)snprintf(out, 32, "-");
        return out;
    }
    for (int zeros = 0; zeros < 4 && out[n - 1] == '0'; zeros++)
        out[--n] = 0;
    return out;
}

static json_t *rate_json(int64_t rate)
{
    return rate < 0 ? json_null() : json_real((double)rate / 1e6);
}

static void set_rates(json_t *o, const struct price_rates *r)
{
    json_object_set_new(o, "input", rate_json(r->input));
    json_object_set_new(o, "output", rate_json(r->output));
    json_object_set_new(o, "cache_read", rate_json(r->cache_read));
    json_object_set_new(o, "cache_write_5m", rate_json(r->cache_write_5m));
    json_object_set_new(o, "cache_write_1h", rate_json(r->cache_write_1h));
    json_object_set_new(o, "reasoning", rate_json(r->reasoning));
}

static json_t *count_json(int n)
{
    return n ? json_integer(n) : json_null();
}

static json_t *abilities_json(const struct price *p)
{
    json_t *list = json_array();
    if (p->tools)
        json_array_append_new(list, json_string("tools"));
    if (p->schema)
        json_array_append_new(list, json_string("schema"));
    if (p->vision)
        json_array_append_new(list, json_string("vision"));
    if (p->reasoning)
        json_array_append_new(list, json_string("reasoning"));
    return list;
}

static json_t *price_json(const struct price *p)
{
    json_t *o = json_object(), *tiers = json_array();
    for (size_t i = 0; i < p->n_tiers; i++) {
        json_t *tier = json_object();
        json_object_set_new(tier, "above", json_integer(p->tiers[i].above));
        set_rates(tier, &p->tiers[i].rates);
        json_array_append_new(tiers, tier);
    }
    json_object_set_new(o, "provider", json_string(p->provider));
    json_object_set_new(o, "model", json_string(p->model));
    json_object_set_new(o, "from", json_string(p->from));
    json_object_set_new(o, "source", json_string(p->source));
    set_rates(o, &p->rates);
    json_object_set_new(o, "tiers", tiers);
    for (int i = SERVICE_BATCH; i < CHAT_SERVICES; i++) {
        json_t *service = p->services[i] ? json_object() : json_null();
        if (p->services[i])
            set_rates(service, p->services[i]);
        json_object_set_new(o, chat_service_names[i], service);
    }
    json_object_set_new(o, "per_request", json_real((double)p->per_request / 1e12));
    json_object_set_new(o, "context", count_json(p->context));
    json_object_set_new(o, "max_output", count_json(p->max_output));
    json_object_set_new(o, "abilities", p->knows_abilities ? abilities_json(p) : json_null());
    return o;
}

// Whether a name has the filter in it, whatever the case.
static bool has(const char *name, const char *filter)
{
    size_t n = strlen(filter);
    for (; *name; name++)
        if (strncasecmp(name, filter, n) == 0)
            return true;
    return n == 0;
}

static void print_tiers(const struct price *p)
{
    char in[32], out[32];
    for (size_t i = 0; i < p->n_tiers; i++) {
        const struct price_rates *r = &p->tiers[i].rates;
        (void)printf("    above %-36" PRId64 " %10s %10s\n", p->tiers[i].above,
                     per_million(r->input, in), per_million(r->output, out));
    }
}

static void print_services(const struct price *p)
{
    char in[32], out[32];
    for (int i = SERVICE_BATCH; i < CHAT_SERVICES; i++)
        if (p->services[i])
            (void)printf("    %-40s %10s %10s\n", chat_service_names[i],
                         per_million(p->services[i]->input, in),
                         per_million(p->services[i]->output, out));
}

static void print_fee(const struct price *p)
{
    char fee[32];
    if (p->per_request > 0)
        (void)printf("    and %s a request\n", price_text(p->per_request, fee));
}

static int list(const struct prices *p, const char *filter, bool json)
{
    json_t *all = json_array();
    size_t n = 0;
    for (size_t i = 0; i < prices_count(p); i++) {
        const struct price *e = prices_at(p, i);
        char name[SHOWN_BYTES], in[32], out[32], read[32];
        (void)snprintf(name, sizeof name, "%s/%s", e->provider, e->model);
        if (filter && !has(name, filter))
            continue;
        if (json) {
            json_array_append_new(all, price_json(e));
            continue;
        }
        if (n++ == 0)
            (void)printf("%-44s %10s %10s %10s  %-10s\n", "USD per million tokens", "input",
                         "output", "cached", "from");
        (void)printf("%-44s %10s %10s %10s  %-10s\n", name, per_million(e->rates.input, in),
                     per_million(e->rates.output, out), per_million(e->rates.cache_read, read),
                     e->from);
        print_tiers(e);
        print_services(e);
        print_fee(e);
    }
    struct buf text = {0};
    json_write(&text, all, JSON_STYLE_SPACED);
    if (json)
        (void)puts(buf_text(&text));
    else if (!n)
        (void)fprintf(stderr, "no price%s%s\n", filter ? " of a model with " : "s",
                      filter ? filter : "");
    buf_release(&text);
    json_decref(all);
    return EXIT_DONE;
}

static int import(const struct settings *s, const struct config *c, const char *file)
{
    struct error err = {0};
    size_t n = 0, n_left_out = 0;
    char own[PLACE_BYTES] = "", left_out[80] = "";
    if (!prices_import(file, c->prices, &n, &n_left_out, &err))
        return fail_error(&err);
    if (!c->prices)
        (void)place_data("prices.json", own, NULL);
    if (n_left_out)
        (void)snprintf(left_out, sizeof left_out,
                       "; left out: %zu entries without a price by tokens", n_left_out);
    if (s->json)
        (void)printf("{\"models\": %zu, \"left_out\": %zu}\n", n, n_left_out);
    else if (!s->quiet)
        (void)printf("%zu models priced, in %s%s\n", n, c->prices ? c->prices : own, left_out);
    return EXIT_DONE;
}

static int act(const struct settings *s, const struct config *c)
{
    const struct text_list *w = &s->words_given;
    const char *verb = w->items[0], *word = w->n > 1 ? w->items[1] : NULL;
    struct error err = {0};
    if (strcmp(verb, "import") == 0 && word)
        return import(s, c, word);
    if (strcmp(verb, "import") == 0)
        return fail_text(EXIT_WRONG_USAGE, "something is missing: hearth prices import FILE");
    if (strcmp(verb, "list") != 0)
        return fail_text(EXIT_WRONG_USAGE, "'%s' is not list or import", verb);
    struct prices *p = open_prices(c, &err);
    int status = p ? list(p, word, s->json) : fail_error(&err);
    prices_free(p);
    return status;
}

static int run(struct settings *s)
{
    struct config c;
    struct error err = {0};
    if (!config_read(s->config, &c, &err))
        return fail_error(&err);
    int status = act(s, &c);
    config_release(&c);
    return status;
}

const struct command command_prices = {
    .name = "prices",
    .arguments = "list [FILTER] | import FILE",
    .summary = "what vendors' tokens cost",
    .description = "Prints the prices that costs are reckoned with, of models whose name has "
                   "FILTER in it: those that were imported, then those that ship with Hearth, each "
                   "from a day on. A price above a number of tokens counts for the whole of a "
                   "request whose prompt is longer. --json also tells where each was read, and "
                   "what else is known of the model.\n\n"
                   "`hearth prices import FILE` takes a table in LiteLLM's format "
                   "(model_prices_and_context_window.json), or in Hearth's, in place of what was "
                   "imported before. A model that no table names has no price: it is never taken "
                   "for free.",
    .options = "json config",
    .min_words = 1,
    .max_words = 2,
    .run = run,
};
