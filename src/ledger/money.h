// money.h - decimal US dollars to pico-dollars and back, and dates to seconds; integers only.
//
// Threads: pure functions.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct error;

enum { MONEY_TEXT_BYTES = 32, DATE_TEXT_BYTES = 32 };
#define PICO_PER_USD INT64_C(1000000000000)
// No single amount or sum of the ledger is larger: four million dollars.
#define MONEY_MAX INT64_C(4000000000000000000)

// "12", "12.50", "0.000001": no sign, no exponent, at most 12 decimals and MONEY_MAX. False with
// err (ERR_USAGE).
bool money_parse(struct slice text, int64_t *picousd, struct error *err);
// The shortest exact decimal: "12.5", "0.000000000001", "-3". Returns out.
const char *money_text(int64_t picousd, char out[MONEY_TEXT_BYTES]);
// The same with two decimals at least: "12.50".
const char *money_shown(int64_t picousd, char out[MONEY_TEXT_BYTES]);

// Days since 1970 (UTC) of a moment, and months since January 1970 of a day.
int64_t day_of(int64_t at_s);
int64_t month_of(int64_t day);
int64_t month_begins(int64_t month);                             // the day
const char *day_text(int64_t day, char out[DATE_TEXT_BYTES]);    // "2026-11-26"
const char *time_text(int64_t at_s, char out[DATE_TEXT_BYTES]);  // "2026-11-26 14:05"

// "2026-12-31" (its beginning, UTC), or "30d", "12h", "45m", "2w" before (sign -1) or after (sign
// 1) now. False with err (ERR_USAGE).
bool date_parse(struct slice text, int64_t now_s, int sign, int64_t *at_s, struct error *err);
