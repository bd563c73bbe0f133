// cost.c - `hearth cost`: what local tokens cost, and from which volume on that is less than a
// vendor's price. Method: docs/cost.md.
#include "cli/cost.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/decimal.h"
#include "base/error.h"
#include "cli/commands.h"
#include "cli/stack.h"
#include "cli/loaded.h"
#include "config/config.h"
#include "gateway/prices.h"
#include "local/eval/bench.h"
#include "local/eval/power.h"
#include "providers/model_ref.h"

#define USD INT64_C(1000000000000)
enum { MONEY = 12, THOUSANDTHS = 3, MILLIONTHS = 6, YEAR_SECONDS = 31557600 };
enum {
    ASSUMED_WATTS = 100,
    ASSUMED_HARDWARE_USD = 1000,
    ASSUMED_YEARS = 4,
    BENCH_PROMPT = 512,
    BENCH_ANSWER = 32,
    BENCH_REPEATS = 3
};

// An amount from an option or from the configuration (negative: not stated). True if one of them
// states it. `err` is set if the option's is none.
static bool stated(const char *option, const char *text, double configured, int scale, int64_t max,
                   int64_t *out, struct error *err)
{
    if (!text) {
        if (configured < 0)
            return false;
        configured *= pow(10, scale);
        *out = configured < (double)max ? (int64_t)llround(configured) : max;
        return true;
    }
    if (!decimal_scaled(slice_str(text), scale, out, NULL) || *out < 0 || *out > max)
        error_set(err, ERR_USAGE, "--%s: '%.40s' is not a number from 0 to %" PRId64, option, text,
                  max / (int64_t)pow(10, scale));
    return true;
}

static void read_power(struct cost *c, const struct settings *s, const struct config_cost *f,
                       struct error *err)
{
    struct local_machine *m = &c->machine;
    const int64_t most = INT64_C(1000000000);
    m->busy_milliwatts = c->rented ? 0 : INT64_C(1000) * ASSUMED_WATTS;
    if (stated("watts", s->watts, f->watts, THOUSANDTHS, most, &m->busy_milliwatts, err))
        c->power = COST_STATED;
    m->idle_milliwatts = m->busy_milliwatts;
    if (stated("idle-watts", s->idle_watts, -1, THOUSANDTHS, most, &m->idle_milliwatts, err))
        c->idle = COST_STATED;
    m->kwh = 15 * (USD / 100);
    if (stated("kwh", s->kwh, f->usd_per_kwh, MONEY, 1000 * USD, &m->kwh, err))
        c->kwh = COST_STATED;
}

static void read_hardware(struct cost *c, const struct settings *s, const struct config_cost *f,
                          struct error *err)
{
    struct local_machine *m = &c->machine;
    int64_t years = INT64_C(1000000) * ASSUMED_YEARS;
    m->hardware = c->rented ? 0 : ASSUMED_HARDWARE_USD * USD;
    if (stated("hardware", s->hardware, f->hardware_usd, MONEY, 1000000 * USD, &m->hardware, err))
        c->hardware = COST_STATED;
    (void)stated("years", s->years, f->hardware_years, MILLIONTHS, INT64_C(1000000) * 100, &years,
                 err);
    m->life_seconds = years * (YEAR_SECONDS / 100) / 10000;
    if (m->life_seconds < 1 && !err->code)
        error_set(err, ERR_USAGE, "--years: a machine serves more than 0 years");
}

// Everything but speeds and prices.
static bool read_terms(struct cost *c, const struct settings *s, const struct config_cost *f,
                       struct error *err)
{
    c->rented =
        stated("hourly", s->hourly, f->usd_per_hour, MONEY, 1000000 * USD, &c->machine.hour, err);
    read_power(c, s, f, err);
    read_hardware(c, s, f, err);
    c->utilization = PART / 4;
    if (stated("utilization", s->utilization, f->utilization, MILLIONTHS, PART, &c->utilization,
               err))
        c->use = COST_STATED;
    c->read_part = PART / 5 * 4;
    (void)stated("input-share", s->input_share, -1, MILLIONTHS, PART, &c->read_part, err);
    if (c->utilization < 1 && !err->code)
        error_set(err, ERR_USAGE, "--utilization: a machine that never computes has no tokens");
    return !err->code;
}

static bool show_progress(void *self, const char *what, int done, int total)
{
    progress_show(self, what, done, total, "measurements");
    return !interrupted();
}

static int64_t thousandths(double tokens_per_s)
{
    return tokens_per_s * 1000 < 1 ? 1 : (int64_t)llround(tokens_per_s * 1000);
}

static bool measure(struct cost *c, const struct settings *s, struct error *err)
{
    struct loaded l = {0};
    struct power_reading power = {0};
    struct bench_result r;
    const char *model = s->words_given.n ? s->words_given.items[0] : NULL;
    struct bench_options o = {.prefill = {BENCH_PROMPT},
                              .n_prefill = 1,
                              .decode = c->sequences == 1 ? BENCH_ANSWER : 0,
                              .repeats = BENCH_REPEATS,
                              .threads = s->threads,
                              .kv_type = s->kv,
                              .batch = {c->sequences},
                              .n_batch = c->sequences > 1,
                              .progress = show_progress,
                              .progress_self = &l.progress};
    struct model_options m = {
        .ctx = bench_ctx(&o), .max_seqs = c->sequences, .max_wanted = c->sequences};
    bool ok = loaded_init(&l, model, s, m, false, err);
    struct power_meter *meter = ok ? power_meter_start(NULL) : NULL;
    ok = ok && bench_run(l.model, &o, &r, err);
    progress_clear(&l.progress);
    if (meter)
        power_meter_stop(meter, &power);
    loaded_release(&l);
    if (!ok)
        return false;
    c->speed_measured = true;
    c->speed.read = thousandths(r.prefill[0].tokens_per_s);
    c->speed.write =
        thousandths(c->sequences == 1 ? r.decode.tokens_per_s : r.batch[0].tokens_per_s);
    if (power.cpu && c->power == COST_ASSUMED && !c->rented) {
        bool idle_too = c->idle == COST_ASSUMED;
        c->machine.busy_milliwatts = thousandths(power.cpu_watts + power.gpu_watts);
        c->power = COST_MEASURED;
        if (idle_too)
            c->machine.idle_milliwatts = c->machine.busy_milliwatts;
    }
    return true;
}

static bool read_speeds(struct cost *c, const struct settings *s, struct error *err)
{
    const int64_t most = INT64_C(1000000000000);
    char *end;
    char path[MODEL_REF_BYTES];
    errno = 0;
    long n = strtol(s->batch_sizes, &end, 10);
    if (end == s->batch_sizes || *end || errno || n < 1 || n > 256)
        return error_set(err, ERR_USAGE, "--batch: '%.40s' is not a number from 1 to 256",
                         s->batch_sizes);
    c->sequences = (int)n;
    bool read = stated("prefill", s->prefill_speed, -1, THOUSANDTHS, most, &c->speed.read, err);
    bool write = stated("decode", s->decode_speed, -1, THOUSANDTHS, most, &c->speed.write, err);
    if (err->code)
        return false;
    if (read != write)
        return error_set(err, ERR_USAGE, "--prefill and --decode go together");
    if (read && (c->speed.read < 1 || c->speed.write < 1))
        return error_set(err, ERR_USAGE, "--prefill and --decode are more than 0 tokens a second");
    (void)snprintf(c->model, sizeof c->model, "%s",
                   s->words_given.n ? s->words_given.items[0] : "");
    if (!read && model_ref_path(c->model, path, err))
        model_ref_name(path, c->model, sizeof c->model);
    return read || (!err->code && measure(c, s, err));
}

static void add_rival(struct cost *c, const struct price *p)
{
    struct cost_rival *r = &c->rivals[c->n_rivals++];
    (void)snprintf(r->name, sizeof r->name, "%s/%s", p->provider, p->model);
    r->price = p;
    // Pico-dollars a token are millionths of those of a million.
    r->per_million = (struct token_price){.input = p->rates.input * 1000000,
                                          .output = p->rates.output * 1000000};
    r->even = local_break_even(&c->machine, &c->speed, c->read_part, r->per_million);
}

static bool named_rival(struct cost *c, const struct prices *all, const char *name,
                        struct error *err)
{
    const struct price *p = prices_named(all, name);
    if (!p)
        return error_set(err, ERR_NOT_FOUND,
                         "--against: no price of '%.100s' is known (see `hearth prices list`)",
                         name);
    if (c->n_rivals == COST_RIVALS_MAX)
        return error_set(err, ERR_LIMIT, "--against: more than %d models", COST_RIVALS_MAX);
    add_rival(c, p);
    return true;
}

// Of those that write, and whose price is in force.
static const struct price *cheapest(const struct prices *all, const char *provider,
                                    int64_t read_part)
{
    const struct price *best = NULL;
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < prices_count(all); i++) {
        const struct price *p = prices_at(all, i);
        int64_t mixed =
            token_price_mixed((struct token_price){p->rates.input, p->rates.output}, read_part);
        if (strcmp(p->provider, provider) != 0 || p->rates.output == 0 || mixed >= least ||
            prices_find(all, provider, p->model, NULL) != p)
            continue;
        least = mixed;
        best = p;
    }
    return best;
}

static bool find_rivals(struct cost *c, const struct prices *all, const struct text_list *names,
                        struct error *err)
{
    static const char *const usual[] = {"openai", "anthropic", "google"};
    for (size_t i = 0; i < names->n; i++)
        if (!named_rival(c, all, names->items[i], err))
            return false;
    for (size_t i = 0; !names->n && i < sizeof usual / sizeof *usual; i++) {
        const struct price *p = cheapest(all, usual[i], c->read_part);
        if (p)
            add_rival(c, p);
    }
    return true;
}

static bool write_chart(const struct cost *c, const char *path, struct error *err)
{
    struct buf svg = {0};
    bool to_stdout = strcmp(path, "-") == 0;
    cost_chart(c, &svg);
    FILE *f = to_stdout ? stdout : fopen(path, "we");
    bool ok = f && fwrite(buf_text(&svg), 1, svg.len, f) == svg.len;
    if (f && !to_stdout)
        ok = fclose(f) == 0 && ok;
    buf_release(&svg);
    return ok || error_set(err, ERR_IO, "--svg: write '%s': %s", path, strerror(errno));
}

static int run(struct settings *s)
{
    struct cost *c = calloc(1, sizeof *c);
    struct config f;
    struct error err = {0};
    struct prices *all = NULL;
    interrupt_catch();
    bool ok = !s->json || !s->svg || strcmp(s->svg, "-") != 0 ||
              error_set(&err, ERR_USAGE, "--svg - and --json both write to standard output");
    ok = ok && c && config_read(s->config, &f, &err);
    if (!ok) {
        free(c);
        return fail_error(&err);
    }
    ok = read_terms(c, s, &f.cost, &err) && (all = open_prices(&f, &err)) != NULL &&
         read_speeds(c, s, &err) && find_rivals(c, all, &s->rivals, &err) &&
         (!s->svg || write_chart(c, s->svg, &err));
    if (ok && s->json)
        cost_print_json(c);
    else if (ok && !(s->svg && strcmp(s->svg, "-") == 0))
        cost_print(c);
    prices_free(all);
    config_release(&f);
    free(c);
    return ok ? EXIT_DONE : fail_error(&err);
}

const struct command command_cost = {
    .name = "cost",
    .arguments = "[MODEL]",
    .summary = "what tokens cost on this machine, and when a vendor's cost less",
    .description =
        "Measures how fast a model reads and writes here, and prints what a million tokens cost "
        "at several utilizations, from power, the machine's price over its life or the price of a "
        "rented hour; and for vendors' models, from how many tokens a month on the machine costs "
        "less. Which model is as good is for you to judge.\n\n"
        "Power is measured where the machine tells it (RAPL, NVML), else state it with --watts: "
        "what is not stated is assumed, and said to be. The configuration's section `cost` states "
        "it once and for all, and may charge for local tokens in the books (docs/cost.md). With "
        "--prefill and --decode nothing is measured. --batch is how "
        "many texts are written at once (default 8).",
    .options = "watts idle-watts kwh hardware years hourly utilization rivals input-share prefill "
               "decode sequences svg json config threads pin isa kv quantize packed",
    .min_words = 0,
    .max_words = 1,
    .run = run,
};
