// decimal.h - decimal numbers as people and files write them, to whole counts of a small unit,
// without a binary float between.
//
// Threads: any; pure functions.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

// A number in JSON's grammar (-12.5e-3; no spaces, no "+", no leading zeros) times 10 to the power
// of scale, rounded to the nearest integer, halves away from zero. `exact`, which may be NULL, says
// whether nothing was rounded. False, with nothing written: no such number, or none that 64 bits
// hold.
bool decimal_scaled(struct slice text, int scale, int64_t *value, bool *exact);
