// planned_cost.h - what a plan of a vendor's calls would cost.
#pragma once
#include <stdint.h>

struct settings;
struct summary;

// Pico-dollars by the price tables; -1: no price is known.
int64_t planned_cost(const struct settings *s, const struct summary *plan);
