// price_table.h - a price table as a value: read from Hearth's format or LiteLLM's, written in
// Hearth's, looked into.
//
// Hearth's format is JSON: {"unit": "usd_per_million_tokens", "models": [{"provider", "model",
// "from", "source", "input", "output", "cache_read", "cache_write_5m", "cache_write_1h",
// "reasoning", "tiers": [{"above", and rates}], "batch", "flex", "priority":
// {rates}, "per_request" (USD), "context",
// "max_output", "abilities": ["tools", "schema", "vision", "reasoning"]}]}; provider, model, from,
// source, input and output must be there. Nothing in a file is trusted. Threads: read only once it
// is read.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "gateway/prices.h"

struct buf;
struct error;
struct json_t;

enum {
    PRICE_NAME_BYTES = 256,  // of a provider or model
    PRICE_SOURCE_BYTES = 512,
    PRICE_DAY_BYTES = 11,
    PRICE_TIERS_MAX = 8,
    PRICE_TOKENS_MAX = 1 << 30,  // of contexts, answers and the bounds of tiers
    PRICE_FILE_BYTES = 16 << 20,
};
#define PRICE_RATE_MAX INT64_C(1000000000000)        // a dollar a token
#define PRICE_REQUEST_MAX INT64_C(1000000000000000)  // a thousand dollars a request

struct price_table {
    struct price *items;  // by provider, model and day once it is sorted
    size_t n, capacity;
    size_t n_left_out;   // entries of LiteLLM's that are no model's price by tokens
    struct arena arena;  // the texts, tiers and services' rates
};

// Reads either format; `name` is what errors call the text. `day` is from when LiteLLM's prices,
// which have no dates, count. False with err (ERR_FORMAT names the entry, ERR_LIMIT); the table is
// to be released either way. Zero entries are no error.
bool price_table_read(struct price_table *t, struct slice text, const char *name, const char *day,
                      struct error *err);
void price_table_write(const struct price_table *t, struct buf *out);
void price_table_release(struct price_table *t);
// The entry in force on a day of exactly this name, or NULL.
const struct price *price_table_find(const struct price_table *t, const char *provider,
                                     const char *model, const char *day);

// "2026-11-26", a day that there is.
bool price_day_good(const char *day);
void price_day_today(char day[PRICE_DAY_BYTES]);  // UTC
// A provider's name as the table has it.
const char *price_provider(const char *name);
// Where a date at the end of a model's name begins ("-2024-08-06", "-20250929", "@20250929"); its
// length if there is none.
size_t price_undated(const char *model);

// For the readers: appends an entry whose texts are borrowed. False with err if it makes no sense.
bool price_table_add(struct price_table *t, const struct price *p, struct error *err);
bool price_table_read_litellm(struct price_table *t, const struct json_t *top, const char *day,
                              struct error *err);
