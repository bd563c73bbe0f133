#include "gateway/local_cost.h"

__extension__ typedef unsigned __int128 wide;

enum { SECONDS_PER_HOUR = 3600, MILLION = 1000000, THOUSAND = 1000 };

// a * b / c, rounded to the nearest; INT64_MAX where that is too large. Nothing is negative.
static int64_t ratio(int64_t a, int64_t b, int64_t c)
{
    if (c <= 0)
        return a && b ? INT64_MAX : 0;
    wide product = (wide)a * (wide)b, rounded = (product + (wide)c / 2) / (wide)c;
    return rounded > INT64_MAX ? INT64_MAX : (int64_t)rounded;
}

static int64_t add(int64_t a, int64_t b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

static int64_t power_hour(int64_t milliwatts, int64_t kwh)
{
    return ratio(milliwatts, kwh, MILLION);  // a kilowatt is a million milliwatts
}

int64_t local_hour_fixed(const struct local_machine *m)
{
    int64_t hardware = m->life_seconds ? ratio(m->hardware, SECONDS_PER_HOUR, m->life_seconds) : 0;
    return add(add(m->hour, hardware), power_hour(m->idle_milliwatts, m->kwh));
}

int64_t local_hour_more(const struct local_machine *m)
{
    int64_t more = m->busy_milliwatts - m->idle_milliwatts;
    return more > 0 ? power_hour(more, m->kwh) : 0;
}

// Millionths of a second that a million tokens take.
static int64_t micros_per_million(int64_t speed)
{
    return ratio((int64_t)MILLION * MILLION, THOUSAND, speed);
}

static int64_t mixed_micros(const struct local_speed *s, int64_t read_part)
{
    return add(ratio(micros_per_million(s->read), read_part, PART),
               ratio(micros_per_million(s->write), PART - read_part, PART));
}

// What so many millionths of a second of an hour's price cost.
static int64_t hour_share(int64_t hour, int64_t micros)
{
    return ratio(hour, micros, (int64_t)SECONDS_PER_HOUR * MILLION);
}

struct token_price local_price(const struct local_machine *m, const struct local_speed *s,
                               int64_t utilization)
{
    int64_t hour = add(ratio(local_hour_fixed(m), PART, utilization), local_hour_more(m));
    return (struct token_price){.input = hour_share(hour, micros_per_million(s->read)),
                                .output = hour_share(hour, micros_per_million(s->write))};
}

int64_t token_price_mixed(struct token_price p, int64_t read_part)
{
    return add(ratio(p.input, read_part, PART), ratio(p.output, PART - read_part, PART));
}

int64_t local_capacity(const struct local_speed *s, int64_t read_part)
{
    return ratio((int64_t)MONTH_SECONDS * MILLION, MILLION, mixed_micros(s, read_part));
}

static int64_t month_fixed(const struct local_machine *m)
{
    return ratio(local_hour_fixed(m), MONTH_SECONDS, SECONDS_PER_HOUR);
}

static int64_t more_per_million(const struct local_machine *m, const struct local_speed *s,
                                int64_t read_part)
{
    return hour_share(local_hour_more(m), mixed_micros(s, read_part));
}

int64_t local_month(const struct local_machine *m, const struct local_speed *s, int64_t read_part,
                    int64_t n_tokens)
{
    return add(month_fixed(m), ratio(more_per_million(m, s, read_part), n_tokens, MILLION));
}

struct break_even local_break_even(const struct local_machine *m, const struct local_speed *s,
                                   int64_t read_part, struct token_price vendor)
{
    struct break_even e = {0};
    int64_t gain = token_price_mixed(vendor, read_part) - more_per_million(m, s, read_part);
    int64_t capacity = local_capacity(s, read_part);
    if (gain <= 0)
        return e;
    e.tokens = ratio(month_fixed(m), MILLION, gain);
    e.utilization = ratio(e.tokens, PART, capacity);
    e.reached = e.tokens <= capacity;
    return e;
}
