#include "gateway/charge.h"

#include <math.h>

#include "config/config.h"
#include "gateway/local_cost.h"
#include "gateway/prices.h"

#define USD INT64_C(1000000000000)
enum { THOUSAND = 1000, TOKENS = 1000000, YEAR_SECONDS = 31557600 };

// What is not stated counts as nothing: of a rented machine that is its power, say.
static int64_t whole(double value, int64_t unit)
{
    double n = value > 0 ? value * (double)unit : 0;
    return n < (double)INT64_MAX / 2 ? (int64_t)llround(n) : INT64_MAX / 2;
}

static int64_t at_least_one(int64_t n)
{
    return n > 0 ? n : 1;
}

static struct price_rates rates_of(const struct config_cost *f, const struct config_speed *s)
{
    struct local_machine m = {.busy_milliwatts = whole(f->watts, THOUSAND),
                              .kwh = whole(f->usd_per_kwh, USD),
                              .hardware = whole(f->hardware_usd, USD),
                              .life_seconds = whole(f->hardware_years, YEAR_SECONDS),
                              .hour = whole(f->usd_per_hour, USD)};
    struct local_speed speed = {.read = at_least_one(whole(s->prefill, THOUSAND)),
                                .write = at_least_one(whole(s->decode, THOUSAND))};
    m.idle_milliwatts = m.busy_milliwatts;
    struct token_price p = local_price(&m, &speed, at_least_one(whole(f->utilization, PART)));
    // A prompt's tokens that are found in the cache of prefixes are not computed.
    return (struct price_rates){.input = (p.input + TOKENS / 2) / TOKENS,
                                .output = (p.output + TOKENS / 2) / TOKENS,
                                .cache_write_5m = -1,
                                .cache_write_1h = -1,
                                .reasoning = -1};
}

void charge_local(struct prices *p, const struct config_cost *f)
{
    for (size_t i = 0; i < f->n_charge; i++) {
        struct price_rates r = rates_of(f, &f->charge[i]);
        prices_add_local(p, f->charge[i].model, &r);
    }
}
