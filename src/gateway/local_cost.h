// local_cost.h - what tokens of a model on this machine cost, and from which volume on that is less
// than a vendor's price.
//
// Integers only, saturating: money in pico-dollars, power in milliwatts, speeds in thousandths of a
// token a second, parts in millionths (PART). Pure functions; threads: any.
// Method: docs/cost.md.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { PART = 1000000, MONTH_SECONDS = 2629800 };  // a twelfth of 365.25 days

struct local_machine {  // nothing negative
    int64_t busy_milliwatts, idle_milliwatts;
    int64_t kwh;                     // the price of a kilowatt-hour
    int64_t hardware, life_seconds;  // its price, and how long it serves; 0 s: it costs nothing
    int64_t hour;                    // the price of an hour of a rented machine
};
struct local_speed {  // above 0
    int64_t read, write;
};
struct token_price {  // of a million tokens
    int64_t input, output;
};

int64_t local_hour_fixed(const struct local_machine *m);  // of an hour without any work
int64_t local_hour_more(const struct local_machine *m);   // what an hour of work adds
// Of a million tokens where the machine computes that part of all hours (1 to PART).
struct token_price local_price(const struct local_machine *m, const struct local_speed *s,
                               int64_t utilization);
// Of a million tokens of which that part is read and the rest is written.
int64_t token_price_mixed(struct token_price p, int64_t read_part);
// Tokens a month of such a mix that it computes if it never waits.
int64_t local_capacity(const struct local_speed *s, int64_t read_part);
// What n tokens of the mix in a month cost here; n is at most the capacity.
int64_t local_month(const struct local_machine *m, const struct local_speed *s, int64_t read_part,
                    int64_t n_tokens);
struct break_even {
    bool reached;         // within what the machine can compute
    int64_t tokens;       // a month, from which on it costs less here
    int64_t utilization;  // that this takes
};
struct break_even local_break_even(const struct local_machine *m, const struct local_speed *s,
                                   int64_t read_part, struct token_price vendor);
