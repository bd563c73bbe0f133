// prices.h - what tokens cost, and what vendors' models can do: data with dates and sources.
//
// Money is int64 pico-dollars (1e-12 USD); 1 USD per million tokens is 1,000,000 a token. A table
// is the file that ships with Hearth (share/hearth/prices.json), with what the user imported before
// it. An entry counts from its date on. A model that no entry names is unpriced, never free.
// Tables are counted by who holds them and do not change: another one is another struct prices.
// Threads: any.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chat/chat.h"

struct error;
struct prices;

struct price_rates {  // pico-dollars a token; -1: not told, then what is said beside it counts
    int64_t input, output;
    int64_t cache_read;                      // -1: input
    int64_t cache_write_5m, cache_write_1h;  // -1: input
    int64_t reasoning;                       // -1: output
};
struct price_tier {
    int64_t above;  // prompts longer than this are wholly at these rates
    struct price_rates rates;
};
struct price {
    const char *provider, *model;  // of the table
    struct price_rates rates;
    const struct price_tier *tiers;  // by `above`, ascending
    size_t n_tiers;
    // Of the vendor's other services, without tiers; NULL: not told.
    const struct price_rates *services[CHAT_SERVICES];
    int64_t per_request;      // 0: none
    int context, max_output;  // tokens; 0: not known
    bool knows_abilities;     // else nothing is known about these
    bool tools, schema, vision, reasoning;
    const char *from, *source;  // "2026-10-01"; where it was read
};

// The shipped table with the user's before it (prices.json in Hearth's data folder, or `path`).
// NULL with err: a file that is no price table, with its place.
struct prices *prices_open(const char *path, struct error *err);
struct prices *prices_hold(struct prices *p);  // the same; NULL is fine
// Gives one hold back, prices_open's or prices_hold's; with the last, entries are gone. NULL is
// fine.
void prices_free(struct prices *p);
// The entry in force on a day ("2026-11-26"; NULL: today) of a vendor's model: its exact name, else
// the name without a date at its end. NULL: unpriced.
const struct price *prices_find(const struct prices *p, const char *provider, const char *model,
                                const char *day);
// The same of a reference, "openai/gpt-4o", "local/qwen"; NULL too if it has no vendor.
const struct price *prices_named(const struct prices *p, const char *reference);
// Of a model on this machine, by its name ("local/qwen:q8_0" or without "local/"), where no table
// has an entry of the provider "local" for it: what was added for it, else for "*". NULL: it costs
// nothing in the books.
const struct price *prices_local(const struct prices *p, const char *name);
// The first of a name counts. Before others see the prices.
void prices_add_local(struct prices *p, const char *name, const struct price_rates *rates);
// All entries, the user's first, each table by provider, model and day.
size_t prices_count(const struct prices *p);
const struct price *prices_at(const struct prices *p, size_t i);
// What an answer cost. Exact: integers only; saturates at INT64_MAX. By the usual rates where those
// of its service are not told: then price_tells is false.
bool price_tells(const struct price *p, const struct chat_usage *u);
int64_t price_of(const struct price *p, const struct chat_usage *u);
// The most that a request can cost with so many prompt tokens at most and so many of answer, times
// n choices: the dearest of the rates that may apply to n such prompts, since not every vendor
// reads a prompt once for all of its choices.
int64_t price_bound(const struct price *p, int64_t prompt_tokens, int64_t answer_tokens,
                    int64_t n_choices);
// What a request with nothing in a cache would cost: for routing by price.
int64_t price_guess(const struct price *p, int64_t prompt_tokens, int64_t answer_tokens);

// What so many requests would cost together that share the tokens evenly: for plans.
int64_t price_of_calls(const struct price *p, int64_t n_calls, int64_t prompt_tokens,
                       int64_t answer_tokens);

// Reads a table in LiteLLM's format (model_prices_and_context_window.json), or in Hearth's own,
// into the user's file (path NULL: the default), replaced as a whole. Numbers are read as decimals,
// never as floats. LiteLLM's prices have no dates: they count from today on.
// Of LiteLLM's entries those that are no price by tokens are left out. Both counts may be NULL.
bool prices_import(const char *from, const char *path, size_t *n_models, size_t *n_left_out,
                   struct error *err);
// "$0.0123": pico-dollars for people; 0.000001 USD at least is told; "unknown" for what is
// negative. Returns out.
const char *price_text(int64_t picousd, char out[32]);
