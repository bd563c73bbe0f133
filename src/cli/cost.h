// cost.h - what `hearth cost` reckons with, and how it is shown (cost_print.c, cost_chart.c).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "gateway/local_cost.h"

struct buf;
struct price;

enum { COST_RIVALS_MAX = 16 };
enum cost_origin { COST_ASSUMED, COST_STATED, COST_MEASURED };

struct cost_rival {
    char name[600];
    const struct price *price;
    struct token_price per_million;
    struct break_even even;
};
struct cost {
    char model[256];
    struct local_machine machine;
    enum cost_origin power, idle, kwh, hardware, use;
    bool rented;
    struct local_speed speed;
    bool speed_measured;
    int sequences;        // texts at once while it was measured
    int64_t utilization;  // of PART
    int64_t read_part;
    struct cost_rival rivals[COST_RIVALS_MAX];
    size_t n_rivals;
};

void cost_print(const struct cost *c);
void cost_print_json(const struct cost *c);
// A picture without anything from outside, for light and dark pages.
void cost_chart(const struct cost *c, struct buf *svg);
