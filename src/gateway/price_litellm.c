// price_litellm.c - tables in LiteLLM's format (model_prices_and_context_window.json): an object
// with a member for each model, prices in USD a token.
//
// Only what is billed by tokens is taken; entries without a price, and those where every price is
// 0, which that table has for models whose price nobody knows, are left out: unknown is not free.
// Prices finer than a pico-dollar a token, which come from arithmetic in floats, are rounded.
// Source: github.com/BerriAI/litellm, model_prices_and_context_window.json
#include <stdio.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "base/error.h"
#include "base/json.h"
#include "gateway/price_table.h"

static const char *const modes[] = {"chat", "completion", "responses", "embedding"};

// Dollars to pico-dollars. -1 if it is not there, or null; -2 if it is no price.
static int64_t dollars(const json_t *o, const char *member)
{
    const json_t *v = json_object_get(o, member);
    struct slice text;
    int64_t value;
    if (!v || json_is_null(v))
        return -1;
    return json_number_text(v, &text) && decimal_scaled(text, 12, &value, NULL) && value >= 0
               ? value
               : -2;
}

// Tokens, or 0: the file also has texts there.
static int64_t tokens(const json_t *v)
{
    struct slice text;
    int64_t value;
    bool good = json_number_text(v, &text) && decimal_scaled(text, 0, &value, NULL) && value > 0 &&
                value <= PRICE_TOKENS_MAX;
    return good ? value : 0;
}

// The members of a tier have "_above_200k_tokens" behind the names of the usual ones.
static void read_rates(const json_t *o, const char *behind, struct price_rates *r)
{
    static const char *const names[] = {"input_cost_per_token",
                                        "output_cost_per_token",
                                        "cache_read_input_token_cost",
                                        "cache_creation_input_token_cost",
                                        "cache_creation_input_token_cost_above_1hr",
                                        "output_cost_per_reasoning_token"};
    int64_t *const rates[] = {&r->input,          &r->output,         &r->cache_read,
                              &r->cache_write_5m, &r->cache_write_1h, &r->reasoning};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char member[128];
        (void)snprintf(member, sizeof member, "%s%s", names[i], behind);
        *rates[i] = dollars(o, member);
    }
}

static bool rates_told(const struct price_rates *r)
{
    return r->input != -1 || r->output != -1;
}

static int compare_tiers(const void *a, const void *b)
{
    const struct price_tier *x = a, *y = b;
    return (x->above > y->above) - (x->above < y->above);
}

// "input_cost_per_token_above_200k_tokens": 200000; 0 for other members.
static int64_t tier_of(const char *member)
{
    static const char start[] = "input_cost_per_token_above_";
    size_t len = sizeof start - 1;
    char *end;
    if (strncmp(member, start, len) != 0 || member[len] < '0' || member[len] > '9')
        return 0;
    long long thousands = strtoll(member + len, &end, 10);
    return strcmp(end, "k_tokens") == 0 && thousands > 0 && thousands <= PRICE_TOKENS_MAX / 1000
               ? thousands * 1000
               : 0;
}

// What a tier does not tell is as below it.
static void fill_from(struct price_rates *r, const struct price_rates *below)
{
    int64_t *const rates[] = {&r->input,          &r->output,         &r->cache_read,
                              &r->cache_write_5m, &r->cache_write_1h, &r->reasoning};
    const int64_t from[] = {below->input,          below->output,         below->cache_read,
                            below->cache_write_5m, below->cache_write_1h, below->reasoning};
    for (size_t i = 0; i < sizeof from / sizeof *from; i++)
        if (*rates[i] == -1)
            *rates[i] = from[i];
}

static bool add_tier(struct price *p, struct price_tier *tiers, int64_t above)
{
    if (p->n_tiers == PRICE_TIERS_MAX)
        return false;
    tiers[p->n_tiers++].above = above;
    return true;
}

static bool read_tiers(const json_t *o, struct price *p, struct price_tier *tiers)
{
    json_t *object = (json_t *)o;  // jansson's iterators take no const
    for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i)) {
        int64_t above = tier_of(json_object_iter_key(i));
        char behind[64];
        if (!above)
            continue;
        (void)snprintf(behind, sizeof behind, "_above_%lldk_tokens", (long long)above / 1000);
        if (!add_tier(p, tiers, above))
            return false;
        read_rates(o, behind, &tiers[p->n_tiers - 1].rates);
    }
    return true;
}

// "tiered_pricing": [{"range": [0, 32000], prices}]: the first is the usual price.
static bool read_ranges(const json_t *o, struct price *p, struct price_tier *tiers)
{
    const json_t *list = json_object_get(o, "tiered_pricing"), *range;
    size_t i;
    json_array_foreach(list, i, range)
    {
        int64_t above = tokens(json_array_get(json_object_get(range, "range"), 0));
        struct price_rates r;
        read_rates(range, "", &r);
        if (!rates_told(&r))
            return false;
        if (above == 0)
            p->rates = r;
        else if (!add_tier(p, tiers, above))
            return false;
        else
            tiers[p->n_tiers - 1].rates = r;
    }
    return true;
}

static void read_services(const json_t *o, struct price_rates rates[CHAT_SERVICES], struct price *p)
{
    static const char *const behind[CHAT_SERVICES] = {"", "_batches", "_flex", "_priority"};
    for (int i = SERVICE_BATCH; i < CHAT_SERVICES; i++) {
        read_rates(o, behind[i], &rates[i]);
        if (rates[i].output == -1 && p->rates.output == 0)
            rates[i].output = 0;  // embeddings
        p->services[i] = rates[i].input >= 0 && rates[i].output >= 0 ? &rates[i] : NULL;
    }
}

static bool flag(const json_t *o, const char *member)
{
    return json_is_true(json_object_get(o, member));
}

static void read_abilities(const json_t *o, struct price *p)
{
    json_t *object = (json_t *)o;
    for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i))
        if (strncmp(json_object_iter_key(i), "supports_", 9) == 0)
            p->knows_abilities = true;
    p->tools = flag(o, "supports_function_calling") || flag(o, "supports_tool_choice");
    p->schema = flag(o, "supports_response_schema");
    p->vision = flag(o, "supports_vision");
    p->reasoning = flag(o, "supports_reasoning");
}

static const char *provider_of(const char *name)
{
    static const char *const same[][2] = {{"text-completion-openai", "openai"},
                                          {"cohere_chat", "cohere"},
                                          {"codestral", "mistral"},
                                          {"text-completion-codestral", "mistral"}};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (strcmp(name, same[i][0]) == 0)
            return same[i][1];
    return price_provider(name);
}

static bool has_mode(const json_t *o)
{
    const char *mode = json_get_text(o, "mode");
    if (!mode)
        return true;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(mode, modes[i]) == 0)
            return true;
    return false;
}

// False: nothing in it that is a price by tokens.
static bool read_entry(const char *key, const json_t *o, const char *day, struct price *p,
                       struct price_tier *tiers, struct price_rates services[CHAT_SERVICES])
{
    const char *provider = json_get_text(o, "litellm_provider");
    const char *source = json_get_text(o, "source");
    if (!provider || !has_mode(o))
        return false;
    size_t len = strlen(provider);
    bool within = strncmp(key, provider, len) == 0 && key[len] == '/';
    *p = (struct price){.tiers = tiers,
                        .provider = provider_of(provider),
                        .model = within ? key + len + 1 : key,
                        .from = day,
                        .source =
                            source && !strpbrk(source, " \t\n") && *source ? source : "litellm"};
    read_rates(o, "", &p->rates);
    if (!read_ranges(o, p, tiers) || !read_tiers(o, p, tiers))
        return false;
    if (p->rates.input < 0 || p->rates.output == -2 ||
        (p->rates.output == -1 &&
         strcmp(json_get_text(o, "mode") ? json_get_text(o, "mode") : "", "embedding") != 0))
        return false;
    p->rates.output = p->rates.output < 0 ? 0 : p->rates.output;
    read_services(o, services, p);
    qsort(tiers, p->n_tiers, sizeof *tiers, compare_tiers);
    for (size_t i = 0; i < p->n_tiers; i++)
        fill_from(&tiers[i].rates, i ? &tiers[i - 1].rates : &p->rates);
    p->per_request = dollars(o, "input_cost_per_request");
    p->per_request = p->per_request == -1 ? 0 : p->per_request;
    p->context = (int)tokens(json_object_get(o, "max_input_tokens"));
    p->max_output = (int)tokens(json_object_get(o, "max_output_tokens"));
    read_abilities(o, p);
    return p->rates.input > 0 || p->rates.output > 0 || p->per_request > 0;
}

// Whether the same name was taken already: "gpt-4o" and "openai/gpt-4o" are one model.
static bool known(const struct json_t *seen, const struct price *p, char name[2 * PRICE_NAME_BYTES])
{
    (void)snprintf(name, (size_t)2 * PRICE_NAME_BYTES, "%.255s/%.255s", p->provider, p->model);
    return json_object_get(seen, name) != NULL;
}

bool price_table_read_litellm(struct price_table *t, const struct json_t *top, const char *day,
                              struct error *err)
{
    json_t *object = (json_t *)top, *seen = json_object();
    bool any = false;
    for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i)) {
        struct price_tier tiers[PRICE_TIERS_MAX];
        struct price_rates services[CHAT_SERVICES];
        struct price p;
        char name[2 * PRICE_NAME_BYTES];
        const char *key = json_object_iter_key(i);
        any = any || json_get_text(json_object_iter_value(i), "litellm_provider");
        // An entry that makes no sense is left out as one without a price is: the table is another
        // program's, of thousands of models.
        if (strcmp(key, "sample_spec") == 0)
            continue;
        if (!read_entry(key, json_object_iter_value(i), day, &p, tiers, services))
            t->n_left_out++;
        else if (!known(seen, &p, name) && price_table_add(t, &p, NULL))
            json_object_set_new_nocheck(seen, name, json_true());
        else
            t->n_left_out += !known(seen, &p, name);
    }
    json_decref(seen);
    return any ||
           error_set(err, ERR_FORMAT, "it has neither a list 'models' nor LiteLLM's entries");
}
