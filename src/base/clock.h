// clock.h - time that only goes forward, for durations and deadlines.
#pragma once
#include <stdint.h>

int64_t clock_ns(void);  // CLOCK_MONOTONIC
double clock_s(void);    // the same in seconds
