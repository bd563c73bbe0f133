// cost_print.c - the table and the JSON of `hearth cost`.
#include <inttypes.h>

#include "base/buf.h"
#include "base/json.h"
#include "cli/cost.h"
#include "gateway/prices.h"

static const char *const origins[] = {"assumed", "stated", "measured"};

static double usd(int64_t picousd)
{
    return (double)picousd / 1e12;
}

// The utilizations that are shown; the one that was asked for is among them.
static int utilizations(const struct cost *c, int64_t out[8])
{
    static const int64_t usual[] = {PART / 100 * 5, PART / 10, PART / 4, PART / 2, PART};
    int n = 0;
    bool placed = false;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        if (!placed && c->utilization <= usual[i]) {
            placed = true;
            if (c->utilization < usual[i])
                out[n++] = c->utilization;
        }
        out[n++] = usual[i];
    }
    return n;
}

static void print_machine(const struct cost *c)
{
    const struct local_machine *m = &c->machine;
    (void)printf("machine: ");
    if (c->rented)
        (void)printf("rented at $%.4g an hour", usd(m->hour));
    if (!c->rented || c->hardware == COST_STATED)
        (void)printf("%s$%.6g over %.3g years (%s)", c->rented ? ", " : "", usd(m->hardware),
                     (double)m->life_seconds / 31557600.0, origins[c->hardware]);
    if (!c->rented || c->power == COST_STATED) {
        (void)printf(", %.4g W (%s)", (double)m->busy_milliwatts * 1e-3, origins[c->power]);
        if (c->idle == COST_STATED)
            (void)printf(", idle %.4g W", (double)m->idle_milliwatts * 1e-3);
        (void)printf(" at $%.4g a kWh (%s)", usd(m->kwh), origins[c->kwh]);
    }
    (void)printf("\n         $%.4g an hour, %.4g more while it computes\n",
                 usd(local_hour_fixed(m)), usd(local_hour_more(m)));
    (void)printf("speed:   reads %.1f, writes %.1f tokens a second ", (double)c->speed.read * 1e-3,
                 (double)c->speed.write * 1e-3);
    if (c->speed_measured)
        (void)printf("(measured, %d text%s at once)\n", c->sequences, c->sequences > 1 ? "s" : "");
    else
        (void)printf("(stated)\n");
}

static void print_local(const struct cost *c)
{
    int64_t shown[8];
    int n = utilizations(c, shown);
    (void)printf("\n%-44s %12s %12s %12s\n", c->model[0] ? c->model : "this machine", "input",
                 "output", "mixed");
    for (int i = 0; i < n; i++) {
        struct token_price p = local_price(&c->machine, &c->speed, shown[i]);
        char label[80];
        (void)snprintf(label, sizeof label, "  computing %.4g %% of all hours%s",
                       (double)shown[i] * 100 / PART,
                       shown[i] != c->utilization ? ""
                       : c->use == COST_STATED    ? " *"
                                                  : " * (assumed)");
        (void)printf("%-44s %12.4f %12.4f %12.4f\n", label, usd(p.input), usd(p.output),
                     usd(token_price_mixed(p, c->read_part)));
    }
}

static void print_rivals(const struct cost *c)
{
    int64_t capacity = local_capacity(&c->speed, c->read_part);
    for (size_t i = 0; i < c->n_rivals; i++) {
        const struct cost_rival *r = &c->rivals[i];
        (void)printf("%-44s %12.4f %12.4f %12.4f\n", r->name, usd(r->per_million.input),
                     usd(r->per_million.output),
                     usd(token_price_mixed(r->per_million, c->read_part)));
    }
    (void)printf("USD per million tokens; mixed: %.4g %% of them are read. Vendors' prices without "
                 "caches, of short prompts.\n\n",
                 (double)c->read_part * 100 / PART);
    (void)printf("This machine computes up to %.4g million tokens a month.\n",
                 (double)capacity * 1e-6);
    for (size_t i = 0; i < c->n_rivals; i++) {
        const struct cost_rival *r = &c->rivals[i];
        if (r->even.reached)
            (void)printf("It costs less than %s from %.4g million a month on (computing %.2g %% of "
                         "all hours).\n",
                         r->name, (double)r->even.tokens * 1e-6,
                         (double)r->even.utilization * 100 / PART);
        else
            (void)printf("It never costs less than %s, even if it never waits.\n", r->name);
    }
}

void cost_print(const struct cost *c)
{
    print_machine(c);
    print_local(c);
    print_rivals(c);
}

static json_t *machine_json(const struct cost *c)
{
    const struct local_machine *m = &c->machine;
    json_t *o = json_object();
    json_object_set_new(o, "watts", json_real((double)m->busy_milliwatts * 1e-3));
    json_object_set_new(o, "watts_are", json_string(origins[c->power]));
    json_object_set_new(o, "idle_watts", json_real((double)m->idle_milliwatts * 1e-3));
    json_object_set_new(o, "idle_watts_are", json_string(origins[c->idle]));
    json_object_set_new(o, "usd_per_kwh", json_real(usd(m->kwh)));
    json_object_set_new(o, "usd_per_kwh_is", json_string(origins[c->kwh]));
    json_object_set_new(o, "hardware_usd", json_real(usd(m->hardware)));
    json_object_set_new(o, "hardware_usd_is", json_string(origins[c->hardware]));
    json_object_set_new(o, "hardware_years", json_real((double)m->life_seconds / 31557600.0));
    json_object_set_new(o, "usd_per_hour", json_real(usd(m->hour)));
    json_object_set_new(o, "cost_per_hour_usd", json_real(usd(local_hour_fixed(m))));
    json_object_set_new(o, "cost_per_busy_hour_usd",
                        json_real(usd(local_hour_fixed(m)) + usd(local_hour_more(m))));
    return o;
}

static void set_prices(const struct cost *c, json_t *o, struct token_price p)
{
    json_object_set_new(o, "input_usd", json_real(usd(p.input)));
    json_object_set_new(o, "output_usd", json_real(usd(p.output)));
    json_object_set_new(o, "mixed_usd", json_real(usd(token_price_mixed(p, c->read_part))));
}

static json_t *local_json(const struct cost *c)
{
    int64_t shown[8];
    int n = utilizations(c, shown);
    json_t *list = json_array();
    for (int i = 0; i < n; i++) {
        json_t *o = json_object();
        json_object_set_new(o, "utilization", json_real((double)shown[i] / PART));
        set_prices(c, o, local_price(&c->machine, &c->speed, shown[i]));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *rivals_json(const struct cost *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->n_rivals; i++) {
        const struct cost_rival *r = &c->rivals[i];
        json_t *o = json_object();
        json_object_set_new(o, "model", json_string(r->name));
        json_object_set_new(o, "from", json_string(r->price->from));
        json_object_set_new(o, "source", json_string(r->price->source));
        set_prices(c, o, r->per_million);
        json_object_set_new(o, "break_even_tokens_per_month",
                            r->even.reached ? json_integer(r->even.tokens) : json_null());
        json_object_set_new(o, "break_even_utilization",
                            r->even.reached ? json_real((double)r->even.utilization / PART)
                                            : json_null());
        json_array_append_new(list, o);
    }
    return list;
}

void cost_print_json(const struct cost *c)
{
    json_t *o = json_object(), *speed = json_object();
    struct buf out = {0};
    json_object_set_new(speed, "prefill_tokens_per_s", json_real((double)c->speed.read * 1e-3));
    json_object_set_new(speed, "decode_tokens_per_s", json_real((double)c->speed.write * 1e-3));
    json_object_set_new(speed, "measured", json_boolean(c->speed_measured));
    json_object_set_new(speed, "sequences",
                        c->speed_measured ? json_integer(c->sequences) : json_null());
    json_object_set_new(o, "model", c->model[0] ? json_string(c->model) : json_null());
    json_object_set_new(o, "machine", machine_json(c));
    json_object_set_new(o, "speed", speed);
    json_object_set_new(o, "input_share", json_real((double)c->read_part / PART));
    json_object_set_new(o, "utilization", json_real((double)c->utilization / PART));
    json_object_set_new(o, "local", local_json(c));
    json_object_set_new(o, "capacity_tokens_per_month",
                        json_integer(local_capacity(&c->speed, c->read_part)));
    json_object_set_new(o, "vendors", rivals_json(c));
    json_write(&out, o, JSON_STYLE_SPACED);
    (void)puts(buf_text(&out));
    buf_release(&out);
    json_decref(o);
}
