// test_prices.c - what tokens cost: tables read exactly, looked into by day and name, requests
// priced by whole tiers, bounds that nothing exceeds, and LiteLLM's tables taken over.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mapping.h"
#include "base/places.h"
#include "gateway/price_table.h"
#include "gateway/prices.h"
#include "../../support/temp_folder.h"

#define ENTRY(members)                                                                             \
    "{\"unit\":\"usd_per_million_tokens\",\"models\":[{\"provider\":\"v\",\"model\":\"m\","        \
    "\"from\":\"2026-01-01\",\"source\":\"s\"" members "}]}"

static void read_table(struct price_table *t, const char *text)
{
    struct error err = {0};
    if (!price_table_read(t, slice_str(text), "t.json", "2026-11-26", &err))
        fail_msg("%s", err.text);
}

static void refused(const char *text, const char *why)
{
    struct price_table t;
    struct error err = {0};
    assert_false(price_table_read(&t, slice_str(text), "t.json", "2026-11-26", &err));
    if (!strstr(err.text, why))
        fail_msg("'%s' is not in '%s'", why, err.text);
    assert_int_equal(err.code, ERR_FORMAT);
    price_table_release(&t);
}

static void numbers_are_read_to_the_last_pico_dollar(void **state)
{
    struct price_table t;
    (void)state;
    read_table(
        &t, ENTRY(",\"input\":0.123457,\"output\":1e1,\"cache_read\":0.003625,\"cache_write_5m\":"
                  "3.125,\"cache_write_1h\":4,\"reasoning\":0,\"per_request\":0.000000000001,"
                  "\"context\":1000000,\"max_output\":64000,\"abilities\":[\"tools\",\"vision\"]"));
    assert_int_equal(t.n, 1);
    const struct price *p = &t.items[0];
    assert_int_equal(p->rates.input, 123457);
    assert_int_equal(p->rates.output, 10000000);
    assert_int_equal(p->rates.cache_read, 3625);
    assert_int_equal(p->rates.cache_write_5m, 3125000);
    assert_int_equal(p->rates.cache_write_1h, 4000000);
    assert_int_equal(p->rates.reasoning, 0);
    assert_int_equal(p->per_request, 1);
    assert_int_equal(p->context, 1000000);
    assert_int_equal(p->max_output, 64000);
    assert_true(p->knows_abilities && p->tools && p->vision && !p->schema && !p->reasoning);
    price_table_release(&t);
}

static void what_makes_no_sense_is_refused_by_name(void **state)
{
    (void)state;
    refused("[", "JSON, line 1");
    refused("[]", "no object");
    refused("{}", "neither a list 'models' nor LiteLLM's");
    refused("{\"models\":[]}", "'unit' must be");
    refused(ENTRY(",\"input\":1"), "v/m: a price is from 0");
    refused(ENTRY(",\"input\":-1,\"output\":1"), "a price is from 0");
    refused(ENTRY(",\"input\":\"1\",\"output\":1"), "a price is from 0");
    refused(ENTRY(",\"input\":0.0000001,\"output\":1"), "a price is from 0");  // finer than a pico
    refused(ENTRY(",\"input\":1000001,\"output\":1"), "a price is from 0");
    refused(ENTRY(",\"input\":1,\"output\":1,\"cache_read\":null"), "a price is from 0");
    refused(ENTRY(",\"input\":1,\"output\":1,\"ouptut\":1"), "'ouptut' is no member");
    refused(ENTRY(",\"input\":1,\"output\":1,\"abilities\":[\"magic\"]"),
            "'abilities' is no member");
    refused(ENTRY(",\"input\":1,\"output\":1,\"per_request\":-1"), "per_request");
    refused(ENTRY(",\"input\":1,\"output\":1,\"context\":1.5"), "numbers of tokens");
    refused(ENTRY(",\"input\":1,\"output\":1,\"context\":99999999999"), "numbers of tokens");
    refused(ENTRY(",\"input\":1,\"output\":1,\"tiers\":[{\"above\":2},{\"above\":2}]"), "'tiers'");
    refused(ENTRY(",\"input\":1,\"output\":1,\"tiers\":[{\"above\":0}]"), "'tiers'");
    refused(ENTRY(",\"input\":1,\"output\":1,\"tiers\":[1,2,3,4,5,6,7,8,9]"), "'tiers'");
    refused("{\"unit\":\"usd_per_million_tokens\",\"models\":[1]}", "models[0] is no object");
    refused("{\"unit\":\"usd_per_million_tokens\",\"models\":[{\"provider\":\"v\",\"model\":"
            "\"a\\u001b[2J\","
            "\"from\":\"2026-01-01\",\"source\":\"s\",\"input\":1,\"output\":1}]}",
            "letters without spaces");
    refused("{\"unit\":\"usd_per_million_tokens\",\"models\":[{\"provider\":\"v\",\"model\":\"m\","
            "\"from\":\"2026-02-30\",\"source\":\"s\",\"input\":1,\"output\":1}]}",
            "'from' is a day");
    refused(
        "{\"unit\":\"usd_per_million_tokens\",\"models\":["
        "{\"provider\":\"v\",\"model\":\"m\",\"from\":\"2026-01-01\",\"source\":\"s\",\"input\":1,"
        "\"output\":1},{\"provider\":\"v\",\"model\":\"m\",\"from\":\"2026-01-01\",\"source\":"
        "\"s\","
        "\"input\":2,\"output\":1}]}",
        "two prices from 2026-01-01");
}

static int64_t cost(const struct price *p, int64_t prompt, int64_t cached, int64_t answer)
{
    struct chat_usage u = {
        .prompt_tokens = prompt, .cached_tokens = cached, .completion_tokens = answer};
    return price_of(p, &u);
}

static void a_request_above_a_tier_is_wholly_at_its_prices(void **state)
{
    struct price_table t;
    (void)state;
    read_table(
        &t, ENTRY(",\"input\":1.25,\"output\":10,\"cache_read\":0.125,\"tiers\":[{\"above\":200000,"
                  "\"input\":2.5,\"output\":15,\"cache_read\":0.25}]"));
    const struct price *p = &t.items[0];
    assert_int_equal(cost(p, 199999, 0, 10), 199999 * 1250000LL + 10 * 10000000LL);
    assert_int_equal(cost(p, 200000, 0, 10), 200000 * 1250000LL + 10 * 10000000LL);
    assert_int_equal(cost(p, 200001, 0, 10), 200001 * 2500000LL + 10 * 15000000LL);
    // A plan's calls are priced by what each of them reads.
    assert_int_equal(price_of_calls(p, 2, 400000, 10), 400000 * 1250000LL + 10 * 10000000LL);
    assert_int_equal(price_of_calls(p, 2, 400001, 10), 400001 * 2500000LL + 10 * 15000000LL);
    assert_int_equal(price_of_calls(p, 0, 400001, 10), 0);
    // Cached tokens count to the length.
    assert_int_equal(cost(p, 200001, 200000, 0), 2500000LL + 200000 * 250000LL);
    price_table_release(&t);
}

// What a vendor says that it answered by, at any length; where the table does not know it, as
// usual.
static void services_have_their_prices(void **state)
{
    struct price_table t;
    (void)state;
    read_table(&t, ENTRY(",\"input\":2,\"output\":10,\"cache_read\":0.2,\"tiers\":[{\"above\":50,"
                         "\"input\":4,\"output\":20}],\"batch\":{\"input\":1,\"output\":5},"
                         "\"priority\":{\"input\":3.5,\"output\":17,\"cache_read\":0.35}"));
    const struct price *p = &t.items[0];
    struct chat_usage u = {.prompt_tokens = 100, .cached_tokens = 40, .completion_tokens = 10};
    static const int64_t costs[CHAT_SERVICES] = {60 * 4 + 40 * 4 + 10 * 20, 100 * 1 + 10 * 5,
                                                 60 * 4 + 40 * 4 + 10 * 20, 210 + 14 + 170};
    for (int i = 0; i < CHAT_SERVICES; i++) {
        u.service = (enum chat_service)i;
        assert_int_equal(price_of(p, &u), costs[i] * 1000000);
        assert_int_equal(price_tells(p, &u), i != SERVICE_FLEX);
    }
    price_table_release(&t);
    refused(ENTRY(",\"input\":1,\"output\":1,\"flex\":{\"input\":1}"), "'flex'");
    refused(ENTRY(",\"input\":1,\"output\":1,\"batch\":7"), "'batch'");
    refused(ENTRY(",\"input\":1,\"output\":1,\"batch\":{\"inputs\":7}"), "'inputs'");
}

static void every_kind_of_token_has_its_price(void **state)
{
    struct price_table t;
    (void)state;
    read_table(&t, ENTRY(",\"input\":2,\"output\":10,\"cache_read\":0.2,\"cache_write_5m\":2.5,"
                         "\"cache_write_1h\":4,\"reasoning\":20,\"per_request\":0.001"));
    struct chat_usage u = {.prompt_tokens = 100,
                           .cached_tokens = 40,
                           .cache_write_5m_tokens = 30,
                           .cache_write_1h_tokens = 20,
                           .completion_tokens = 9,
                           .reasoning_tokens = 4};
    assert_int_equal(price_of(&t.items[0], &u), 10 * 2000000LL + 40 * 200000 + 30 * 2500000LL +
                                                    20 * 4000000LL + 5 * 10000000LL +
                                                    4 * 20000000LL + 1000000000LL);
    price_table_release(&t);
    read_table(&t, ENTRY(",\"input\":2,\"output\":10"));  // what is not told is as input and output
    assert_int_equal(price_of(&t.items[0], &u), 100 * 2000000LL + 9 * 10000000LL);
    price_table_release(&t);
}

static void impossible_usage_costs_no_more_than_its_totals(void **state)
{
    struct price_table t;
    (void)state;
    read_table(&t, ENTRY(",\"input\":2,\"output\":10,\"cache_read\":1,\"reasoning\":5"));
    struct chat_usage u = {
        .prompt_tokens = 10, .cached_tokens = 1000, .completion_tokens = -5, .reasoning_tokens = 7};
    assert_int_equal(price_of(&t.items[0], &u), 10 * 1000000LL);
    u = (struct chat_usage){.prompt_tokens = INT64_MAX, .completion_tokens = INT64_MAX};
    assert_int_equal(price_of(&t.items[0], &u), INT64_MAX);
    assert_int_equal(price_bound(&t.items[0], INT64_MAX, INT64_MAX, INT64_MAX), INT64_MAX);
    u = (struct chat_usage){.prompt_tokens = -1, .cached_tokens = -1};
    assert_int_equal(price_of(&t.items[0], &u), 0);
    price_table_release(&t);
}

static uint64_t random_state;
static int64_t any(int64_t below)
{
    random_state = hash_mix(random_state + 1);
    return (int64_t)(random_state % (uint64_t)below);
}

static struct price_rates any_rates(void)
{
    struct price_rates r = {.input = any(100),
                            .output = any(100),
                            .cache_read = any(100) - 1,
                            .cache_write_5m = any(100) - 1,
                            .cache_write_1h = any(100) - 1,
                            .reasoning = any(100) - 1};
    return r;
}

// Tiers may be cheaper than the base price, and cache prices dearer than the input's: the bound
// must not take the dearest tier for granted.
static void no_request_within_its_bound_costs_more(void **state)
{
    (void)state;
    for (int i = 0; i < 200000; i++) {
        struct price_tier tiers[3];
        struct price p = {.rates = any_rates(),
                          .tiers = tiers,
                          .n_tiers = (size_t)any(4),
                          .per_request = any(50)};
        int64_t above = 0;
        for (size_t k = 0; k < p.n_tiers; k++)
            tiers[k] = (struct price_tier){.above = above += 1 + any(30), .rates = any_rates()};
        int64_t prompt = any(100), answer = any(100), n = 1 + any(3);
        struct chat_usage u = {.prompt_tokens = any(prompt * n + 1),
                               .completion_tokens = any(answer * n + 1),
                               .cached_tokens = any(120),
                               .cache_write_5m_tokens = any(120),
                               .cache_write_1h_tokens = any(120),
                               .reasoning_tokens = any(120)};
        assert_true(price_of(&p, &u) <= price_bound(&p, prompt, answer, n));
        assert_true(price_guess(&p, prompt, answer) <= price_bound(&p, prompt, answer, 1));
    }
}

static void the_bound_is_reached(void **state)
{
    struct price_table t;
    (void)state;
    read_table(&t, ENTRY(",\"input\":2,\"output\":10,\"cache_write_1h\":4,\"reasoning\":20"));
    struct chat_usage u = {.prompt_tokens = 7,
                           .cache_write_1h_tokens = 7,
                           .completion_tokens = 3,
                           .reasoning_tokens = 3};
    assert_int_equal(price_bound(&t.items[0], 7, 3, 1), price_of(&t.items[0], &u));
    price_table_release(&t);
}

static void days_and_dates_in_names(void **state)
{
    struct price_table t;
    (void)state;
    read_table(&t, "{\"unit\":\"usd_per_million_tokens\",\"models\":["
                   "{\"provider\":\"v\",\"model\":\"m\",\"from\":\"2026-10-07\",\"source\":\"s\","
                   "\"input\":1,\"output\":1},"
                   "{\"provider\":\"v\",\"model\":\"m\",\"from\":\"2026-09-29\",\"source\":\"s\","
                   "\"input\":2,\"output\":1},"
                   "{\"provider\":\"v\",\"model\":\"m2\",\"from\":\"2026-01-01\",\"source\":\"s\","
                   "\"input\":3,\"output\":1}]}");
    assert_null(price_table_find(&t, "v", "m", "2026-09-28"));
    assert_int_equal(price_table_find(&t, "v", "m", "2026-09-29")->rates.input, 2000000);
    assert_int_equal(price_table_find(&t, "v", "m", "2026-10-06")->rates.input, 2000000);
    assert_int_equal(price_table_find(&t, "v", "m", "2026-10-07")->rates.input, 1000000);
    assert_int_equal(price_table_find(&t, "v", "m2", "2099-12-31")->rates.input, 3000000);
    assert_null(price_table_find(&t, "v", "m3", "2026-11-26"));
    assert_null(price_table_find(&t, "w", "m", "2026-11-26"));
    price_table_release(&t);
    assert_int_equal(price_undated("gpt-4o-2024-08-06"), 6);
    assert_int_equal(price_undated("claude-sonnet-4-5-20250929"), 17);
    assert_int_equal(price_undated("claude-opus-4@20250514"), 13);
    assert_int_equal(price_undated("gpt-4o"), 6);
    assert_int_equal(price_undated("mistral-large-2512"), 18);
    assert_int_equal(price_undated("-2024-08-06"), 11);
    assert_true(price_day_good("2024-02-29") && !price_day_good("2026-13-01") &&
                !price_day_good("2026-1-01") && !price_day_good("") &&
                !price_day_good("2026-01-00"));
}

static void the_shipped_table_prices_what_it_names(void **state)
{
    char home[256];
    struct error err = {0};
    (void)state;
    assert_true(temp_home(home, sizeof home));
    struct prices *p = prices_open(NULL, &err);
    if (!p)
        fail_msg("%s", err.text);
    const struct price *f = prices_find(p, "openai", "gpt-4o-2024-08-06", "2026-11-26");
    assert_non_null(f);
    assert_string_equal(f->model, "gpt-4o");
    assert_int_equal(f->rates.input, 2500000);
    f = prices_find(p, "openai", "gpt-4o-2024-05-13", "2026-11-26");  // it has a price of its own
    assert_int_equal(f->rates.input, 5000000);
    f = prices_find(p, "gemini", "gemini-2.5-pro", "2026-11-26");
    assert_non_null(f);
    assert_int_equal(f->tiers[0].above, 200000);
    assert_null(prices_find(p, "openai", "gpt-99", NULL));
    assert_ptr_equal(prices_named(p, "openai/gpt-4o-2024-08-06"),
                     prices_find(p, "openai", "gpt-4o", NULL));
    assert_non_null(prices_named(p, "groq/openai/gpt-oss-20b"));
    assert_null(prices_named(p, "gpt-4o"));
    assert_null(prices_find(p, "nobody", "gpt-4o", NULL));
    f = prices_find(p, "anthropic", "claude-sonnet-5-5", "2026-10-06");
    assert_int_equal(f->rates.cache_read, 200000);
    f = prices_find(p, "anthropic", "claude-sonnet-5-5", "2026-10-07");
    assert_int_equal(f->rates.cache_read, 100000);
    for (size_t i = 0; i < prices_count(p); i++) {  // nothing in it is free, and all is sourced
        f = prices_at(p, i);
        assert_true(f->rates.input > 0);
        assert_true(strncmp(f->source, "https://", 8) == 0 ||
                    strncmp(f->source, "litellm-", 8) == 0);  // a file of that package
    }
    prices_free(p);
    temp_remove(home);
}

static const char litellm[] =
    "{\"sample_spec\":{\"litellm_provider\":\"one "
    "of\",\"input_cost_per_token\":0.0,\"max_tokens\":\"text\"},"
    "\"gpt-4o\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\",\"input_cost_per_token\":2.5e-"
    "06,"
    "\"output_cost_per_token\":1e-05,\"cache_read_input_token_cost\":1.25e-06,\"max_input_tokens\":"
    "128000,\"input_cost_per_token_batches\":1.25e-06,\"output_cost_per_token_batches\":5e-06,"
    "\"input_cost_per_token_flex\":1e-06,"
    "\"max_output_tokens\":\"16384\",\"supports_function_calling\":true,\"supports_vision\":true},"
    "\"openai/"
    "gpt-4o\":{\"litellm_provider\":\"openai\",\"input_cost_per_token\":9,\"output_cost_per_"
    "token\":9},"
    "\"gemini/"
    "gemini-2.5-pro\":{\"litellm_provider\":\"gemini\",\"mode\":\"chat\",\"input_cost_per_token\":"
    "1.25e-06,"
    "\"output_cost_per_token\":1e-05,\"input_cost_per_token_above_200k_tokens\":2.5e-06,"
    "\"output_cost_per_token_above_200k_tokens\":1.5e-05,\"cache_read_input_token_cost\":1.25e-07,"
    "\"max_input_tokens\":1048576,\"source\":\"https://x/y\"},"
    "\"claude-x\":{\"litellm_provider\":\"anthropic\",\"mode\":\"chat\",\"input_cost_per_token\":"
    "3e-06,"
    "\"output_cost_per_token\":1.5e-05,\"cache_creation_input_token_cost\":3.75e-06,"
    "\"cache_creation_input_token_cost_above_1hr\":6e-06},"
    "\"dashscope/qwen\":{\"litellm_provider\":\"dashscope\",\"mode\":\"chat\",\"tiered_pricing\":["
    "{\"range\":[0,32000.0],\"input_cost_per_token\":1e-06,\"output_cost_per_token\":2e-06},"
    "{\"range\":[32000.0,128000.0],\"input_cost_per_token\":3e-06,\"output_cost_per_token\":4e-06}]"
    "},"
    "\"e\":{\"litellm_provider\":\"openai\",\"mode\":\"embedding\",\"input_cost_per_token\":2."
    "0000000000000002e-08},"
    "\"half\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\",\"input_cost_per_token\":1e-06},"
    "\"free\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\",\"input_cost_per_token\":0.0,"
    "\"output_cost_per_token\":0},"
    "\"odd\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\",\"input_cost_per_token\":-1,"
    "\"output_cost_per_token\":1},"
    "\"dall-e\":{\"litellm_provider\":\"openai\",\"mode\":\"image_generation\",\"input_cost_per_"
    "token\":1e-06,"
    "\"output_cost_per_token\":1e-06},"
    "\"a b\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\",\"input_cost_per_token\":1e-06,"
    "\"output_cost_per_token\":1e-06}}";

static void litellms_table_is_taken_over(void **state)
{
    struct price_table t, again;
    struct buf written = {0};
    (void)state;
    read_table(&t, litellm);
    assert_int_equal(t.n, 5);
    const struct price *p = price_table_find(&t, "openai", "gpt-4o", "2026-11-26");
    assert_int_equal(p->rates.input, 2500000);
    assert_int_equal(p->rates.cache_read, 1250000);
    assert_non_null(p->services[SERVICE_BATCH]);
    assert_int_equal(p->services[SERVICE_BATCH]->output, 5000000);
    assert_null(p->services[SERVICE_FLEX]);  // half a price is none
    assert_int_equal(p->context, 128000);
    assert_int_equal(p->max_output, 0);
    assert_true(p->knows_abilities && p->tools && p->vision && !p->schema);
    assert_string_equal(p->source, "litellm");
    p = price_table_find(&t, "google", "gemini-2.5-pro", "2026-11-26");
    assert_int_equal(p->n_tiers, 1);
    assert_int_equal(p->tiers[0].above, 200000);
    assert_int_equal(p->tiers[0].rates.input, 2500000);
    assert_int_equal(p->tiers[0].rates.cache_read, 125000);  // not told: as below
    assert_false(p->knows_abilities);
    assert_string_equal(p->source, "https://x/y");
    p = price_table_find(&t, "anthropic", "claude-x", "2026-11-26");
    assert_int_equal(p->rates.cache_write_1h, 6000000);
    p = price_table_find(&t, "dashscope", "qwen", "2026-11-26");
    assert_int_equal(p->rates.output, 2000000);
    assert_int_equal(p->tiers[0].above, 32000);
    p = price_table_find(&t, "openai", "e", "2026-11-26");
    assert_int_equal(p->rates.input, 20000);
    assert_null(price_table_find(&t, "openai", "e", "2026-11-25"));
    price_table_write(&t, &written);
    read_table(&again, buf_text(&written));
    struct buf twice = {0};
    price_table_write(&again, &twice);
    assert_string_equal(buf_text(&written), buf_text(&twice));
    buf_release(&written);
    buf_release(&twice);
    price_table_release(&t);
    price_table_release(&again);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void what_was_imported_comes_before_what_ships(void **state)
{
    char home[256], from[300], own[300], deep[300];
    struct error err = {0};
    size_t n = 0;
    (void)state;
    assert_true(temp_home(home, sizeof home));
    (void)snprintf(from, sizeof from, "%s/in.json", home);
    (void)snprintf(own, sizeof own, "%s/prices.json", home);
    (void)snprintf(deep, sizeof deep, "%s/a/b/p.json", home);
    write_text(from, "{\"gpt-4o\":{\"litellm_provider\":\"openai\",\"input_cost_per_token\":7e-06,"
                     "\"output_cost_per_token\":8e-06}}");
    assert_true(prices_import(from, NULL, &n, NULL, &err));
    assert_int_equal(n, 1);
    assert_true(prices_import(from, deep, NULL, NULL, &err));
    assert_true(file_exists(own) && file_exists(deep));
    struct prices *p = prices_open(NULL, &err);
    assert_int_equal(prices_find(p, "openai", "gpt-4o", NULL)->rates.input, 7000000);
    assert_int_equal(prices_find(p, "openai", "gpt-4o-2024-08-06", NULL)->rates.input, 7000000);
    // Before the import, what ships counts.
    assert_int_equal(prices_find(p, "openai", "gpt-4o", "2026-09-01")->rates.input, 2500000);
    assert_non_null(prices_find(p, "openai", "gpt-4o-mini", NULL));
    write_text(from, "{\"gpt-4o\":{\"litellm_provider\":\"openai\",\"input_cost_per_token\":9e-06,"
                     "\"output_cost_per_token\":8e-06}}");
    assert_true(prices_import(from, NULL, NULL, NULL, &err));
    struct prices *by = prices_open(NULL, &err);
    assert_non_null(by);
    assert_int_equal(prices_find(by, "openai", "gpt-4o", NULL)->rates.input, 9000000);
    prices_free(by);
    assert_ptr_equal(prices_hold(p), p);  // who holds the one from before sees nothing of it
    prices_free(p);
    assert_int_equal(prices_find(p, "openai", "gpt-4o", NULL)->rates.input, 7000000);
    prices_free(p);
    write_text(from, "{\"x\":{\"litellm_provider\":\"openai\"}}");
    assert_false(prices_import(from, NULL, NULL, NULL, &err));  // nothing in it: the old one stays
    assert_non_null(strstr(err.text, "no model with a price"));
    write_text(own, "{\"unit\":");
    assert_null(prices_open(NULL, &err));
    assert_non_null(strstr(err.text, "prices.json"));
    assert_null(prices_open("/nonexistent/p.json", &err));
    assert_int_equal(err.code, ERR_IO);
    temp_remove(home);
}

static void money_is_shown_for_people(void **state)
{
    char out[32];
    (void)state;
    assert_string_equal(price_text(12300000000, out), "$0.0123");
    assert_string_equal(price_text(0, out), "$0.00");
    assert_string_equal(price_text(1, out), "<$0.000001");
    assert_string_equal(price_text(1000000, out), "$0.000001");
    assert_string_equal(price_text(1500000, out), "$0.000002");
    assert_string_equal(price_text(1999999500000, out), "$2.00");
    assert_string_equal(price_text(12500000000000, out), "$12.50");
    assert_string_equal(price_text(-1, out), "unknown");
    assert_string_equal(price_text(INT64_MAX, out), "$9223372.036855");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(numbers_are_read_to_the_last_pico_dollar),
    cmocka_unit_test(what_makes_no_sense_is_refused_by_name),
    cmocka_unit_test(a_request_above_a_tier_is_wholly_at_its_prices),
    cmocka_unit_test(services_have_their_prices),
    cmocka_unit_test(every_kind_of_token_has_its_price),
    cmocka_unit_test(impossible_usage_costs_no_more_than_its_totals),
    cmocka_unit_test(no_request_within_its_bound_costs_more),
    cmocka_unit_test(the_bound_is_reached),
    cmocka_unit_test(days_and_dates_in_names),
    cmocka_unit_test(the_shipped_table_prices_what_it_names),
    cmocka_unit_test(litellms_table_is_taken_over),
    cmocka_unit_test(what_was_imported_comes_before_what_ships),
    cmocka_unit_test(money_is_shown_for_people),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
