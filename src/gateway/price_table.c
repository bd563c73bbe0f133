// price_table.c - Hearth's own format of prices, and looking into tables.
#include "gateway/price_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/decimal.h"
#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"

enum { MODELS_MAX = 100000 };

bool price_day_good(const char *day)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (strlen(day) != PRICE_DAY_BYTES - 1)
        return false;
    for (int i = 0; i < PRICE_DAY_BYTES - 1; i++)
        if (i == 4 || i == 7 ? day[i] != '-' : day[i] < '0' || day[i] > '9')
            return false;
    int month = (day[5] - '0') * 10 + day[6] - '0', of_month = (day[8] - '0') * 10 + day[9] - '0';
    return month >= 1 && month <= 12 && of_month >= 1 && of_month <= days[month - 1];
}

void price_day_today(char day[PRICE_DAY_BYTES])
{
    struct tm utc;
    time_t now = time(NULL);
    (void)gmtime_r(&now, &utc);
    if (strftime(day, PRICE_DAY_BYTES, "%Y-%m-%d", &utc) == 0)
        (void)snprintf(day, PRICE_DAY_BYTES, "9999-12-31");  // a clock beyond that year
}

const char *price_provider(const char *name)
{
    return strcmp(name, "gemini") == 0 ? "google" : name;
}

size_t price_undated(const char *model)
{
    static const char *const shapes[] = {"-dddd-dd-dd", "-dddddddd", "@dddddddd", "@dddd-dd-dd"};
    size_t n = strlen(model);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        size_t len = strlen(shapes[i]), k = 0;
        if (n <= len)
            continue;
        for (const char *p = model + n - len; k < len; k++)
            if (shapes[i][k] == 'd' ? p[k] < '0' || p[k] > '9' : p[k] != shapes[i][k])
                break;
        if (k == len)
            return n - len;
    }
    return n;
}

static int compare_names(const struct price *a, const char *provider, const char *model)
{
    int by_provider = strcmp(a->provider, provider);
    return by_provider ? by_provider : strcmp(a->model, model);
}

static int compare(const void *a, const void *b)
{
    const struct price *x = a, *y = b;
    int names = compare_names(x, y->provider, y->model);
    return names ? names : strcmp(x->from, y->from);
}

const struct price *price_table_find(const struct price_table *t, const char *provider,
                                     const char *model, const char *day)
{
    size_t low = 0, high = t->n;
    while (low < high) {  // the first entry that begins after that day, or is of a later name
        size_t middle = low + (high - low) / 2;
        const struct price *p = &t->items[middle];
        int names = compare_names(p, provider, model);
        if (names < 0 || (names == 0 && strcmp(p->from, day) <= 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && compare_names(&t->items[low - 1], provider, model) == 0 ? &t->items[low - 1]
                                                                              : NULL;
}

void price_table_release(struct price_table *t)
{
    free(t->items);
    arena_release(&t->arena);
    *t = (struct price_table){0};
}

static bool rate_good(int64_t rate, bool needed)
{
    return rate <= PRICE_RATE_MAX && rate >= (needed ? 0 : -1);
}

static bool rates_good(const struct price_rates *r, bool needed)
{
    return rate_good(r->input, needed) && rate_good(r->output, needed) &&
           rate_good(r->cache_read, false) && rate_good(r->cache_write_5m, false) &&
           rate_good(r->cache_write_1h, false) && rate_good(r->reasoning, false);
}

// Names are printed on terminals, and compared: nothing in them may be invisible.
static bool text_good(const char *text, size_t max)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] <= 0x20 || (unsigned char)text[i] >= 0x7F)
            return false;
    return n > 0 && n < max;
}

static bool tiers_good(const struct price *p)
{
    bool good = p->n_tiers <= PRICE_TIERS_MAX;
    for (size_t i = 0; good && i < p->n_tiers; i++)
        good = rates_good(&p->tiers[i].rates, false) && p->tiers[i].above > 0 &&
               p->tiers[i].above <= PRICE_TOKENS_MAX &&
               (i == 0 || p->tiers[i - 1].above < p->tiers[i].above);
    return good;
}

static bool services_good(const struct price *p)
{
    bool good = true;
    for (int i = SERVICE_BATCH; i < CHAT_SERVICES; i++)
        good = good && (!p->services[i] || rates_good(p->services[i], true));
    return good;
}

bool price_table_add(struct price_table *t, const struct price *p, struct error *err)
{
    const char *what = NULL;
    if (!text_good(p->provider, PRICE_NAME_BYTES) || !text_good(p->model, PRICE_NAME_BYTES))
        return error_set(err, ERR_FORMAT,
                         "the names of a provider and a model are up to %d letters without spaces",
                         PRICE_NAME_BYTES - 1);
    if (!price_day_good(p->from))
        what = "'from' is a day, as \"2026-11-26\"";
    else if (!text_good(p->source, PRICE_SOURCE_BYTES))
        what = "'source' says where the price was read, without spaces";
    else if (!rates_good(&p->rates, true))
        what = "a price is from 0 to a million dollars per million tokens";
    else if (!services_good(p))
        what = "'batch', 'flex' and 'priority' have 'input' and 'output', and prices as the rest";
    else if (!tiers_good(p))
        what = "'tiers' are at most 8, by 'above', ascending, with prices as the rest";
    else if (p->per_request < 0 || p->per_request > PRICE_REQUEST_MAX)
        what = "'per_request' is from 0 to a thousand dollars";
    else if (p->context < 0 || p->max_output < 0)
        what = "'context' and 'max_output' are numbers of tokens";
    else if (t->n >= MODELS_MAX)
        what = "a price table has at most 100000 models";
    if (what)
        return error_set(err, ERR_FORMAT, "%s/%.100s: %s", p->provider, p->model, what);
    struct price kept = *p;
    struct price_tier *tiers = arena_new(&t->arena, struct price_tier, p->n_tiers + 1);
    for (size_t i = 0; i < p->n_tiers; i++)
        tiers[i] = p->tiers[i];
    kept.tiers = tiers;
    for (int i = SERVICE_BATCH; i < CHAT_SERVICES; i++)
        if (p->services[i]) {
            struct price_rates *rates = arena_new(&t->arena, struct price_rates, 1);
            *rates = *p->services[i];
            kept.services[i] = rates;
        }
    kept.provider = arena_text(&t->arena, slice_str(p->provider));
    kept.model = arena_text(&t->arena, slice_str(p->model));
    kept.from = arena_text(&t->arena, slice_str(p->from));
    kept.source = arena_text(&t->arena, slice_str(p->source));
    memory_grow(t->items, t->capacity, t->n + 1);
    t->items[t->n++] = kept;
    return true;
}

// A member that is a number, times 10 to the power of scale, without rounding. -2: it is no such
// number; `absent` if it is not there.
static int64_t number(const json_t *object, const char *member, int scale, int64_t absent)
{
    const json_t *v = json_object_get(object, member);
    struct slice text;
    int64_t value;
    bool exact;
    if (!v)
        return absent;
    if (!json_number_text(v, &text) || !decimal_scaled(text, scale, &value, &exact) || !exact ||
        value < 0)
        return -2;
    return value;
}

static void read_rates(const json_t *o, struct price_rates *r)
{
    *r = (struct price_rates){
        .input = number(o, "input", 6, -1),
        .output = number(o, "output", 6, -1),
        .cache_read = number(o, "cache_read", 6, -1),
        .cache_write_5m = number(o, "cache_write_5m", 6, -1),
        .cache_write_1h = number(o, "cache_write_1h", 6, -1),
        .reasoning = number(o, "reasoning", 6, -1),
    };
}

static bool only_members(const json_t *object, const char *const *names, const char **strange)
{
    json_t *o = (json_t *)object;  // jansson's iterators take no const
    for (void *i = json_object_iter(o); i; i = json_object_iter_next(o, i)) {
        size_t k = 0;
        while (names[k] && strcmp(names[k], json_object_iter_key(i)) != 0)
            k++;
        if (!names[k]) {
            *strange = json_object_iter_key(i);
            return false;
        }
    }
    return true;
}

#define RATE_NAMES "input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "reasoning"

static bool read_tiers(const json_t *o, struct price_tier tiers[PRICE_TIERS_MAX], size_t *n,
                       const char **strange)
{
    static const char *const names[] = {"above", RATE_NAMES, NULL};
    const json_t *list = json_object_get(o, "tiers");
    size_t size = json_array_size(list);
    if (list && (!json_is_array(list) || size > PRICE_TIERS_MAX)) {
        *strange = "tiers";
        return false;
    }
    for (*n = 0; *n < size; ++*n) {
        const json_t *tier = json_array_get(list, *n);
        if (!only_members(tier, names, strange))
            return false;
        tiers[*n].above = number(tier, "above", 0, -1);
        read_rates(tier, &tiers[*n].rates);
    }
    return true;
}

static bool read_services(const json_t *o, struct price_rates rates[CHAT_SERVICES], struct price *p,
                          const char **strange)
{
    static const char *const names[] = {RATE_NAMES, NULL};
    for (int i = SERVICE_BATCH; i < CHAT_SERVICES; i++) {
        const json_t *v = json_object_get(o, chat_service_names[i]);
        *strange = chat_service_names[i];
        if (v && (!json_is_object(v) || !only_members(v, names, strange)))
            return false;
        read_rates(v, &rates[i]);
        p->services[i] = v ? &rates[i] : NULL;
    }
    return true;
}

static bool read_abilities(const json_t *o, struct price *p, const char **strange)
{
    const json_t *list = json_object_get(o, "abilities"), *item;
    size_t i;
    p->knows_abilities = list != NULL;
    *strange = "abilities";
    if (list && !json_is_array(list))
        return false;
    json_array_foreach(list, i, item)
    {
        const char *name = json_is_string(item) ? json_string_value(item) : "";
        bool *flag = strcmp(name, "tools") == 0       ? &p->tools
                     : strcmp(name, "schema") == 0    ? &p->schema
                     : strcmp(name, "vision") == 0    ? &p->vision
                     : strcmp(name, "reasoning") == 0 ? &p->reasoning
                                                      : NULL;
        if (!flag)
            return false;
        *flag = true;
    }
    return true;
}

static const char *text_member(const json_t *o, const char *name)
{
    const char *text = json_get_text(o, name);
    return text ? text : "";
}

static int tokens(int64_t n)
{
    return n > PRICE_TOKENS_MAX ? -1 : (int)n;
}

static bool read_model(struct price_table *t, const json_t *o, size_t i, struct error *err)
{
    static const char *const names[] = {
        "provider", "model",    "from",        "source",  RATE_NAMES,   "tiers",     "batch",
        "flex",     "priority", "per_request", "context", "max_output", "abilities", NULL};
    struct price_tier tiers[PRICE_TIERS_MAX];
    struct price_rates services[CHAT_SERVICES];
    struct price p = {.tiers = tiers};
    const char *strange = NULL;
    if (!json_is_object(o))
        return error_set(err, ERR_FORMAT, "models[%zu] is no object", i);
    if (!only_members(o, names, &strange) || !read_tiers(o, tiers, &p.n_tiers, &strange) ||
        !read_services(o, services, &p, &strange) || !read_abilities(o, &p, &strange))
        return error_set(err, ERR_FORMAT, "models[%zu]: '%.40s' is no member of a price, or wrong",
                         i, strange);
    p.provider = text_member(o, "provider");
    p.model = text_member(o, "model");
    p.from = text_member(o, "from");
    p.source = text_member(o, "source");
    read_rates(o, &p.rates);
    p.per_request = number(o, "per_request", 12, 0);
    p.context = tokens(number(o, "context", 0, 0));
    p.max_output = tokens(number(o, "max_output", 0, 0));
    return price_table_add(t, &p, err) || error_wrap(err, "models[%zu]", i);
}

static bool read_own(struct price_table *t, const json_t *top, struct error *err)
{
    static const char *const names[] = {"unit", "models", "about", NULL};
    const json_t *models = json_object_get(top, "models");
    const char *strange = NULL;
    if (!only_members(top, names, &strange))
        return error_set(err, ERR_FORMAT, "'%.40s' is no member of a price table", strange);
    if (strcmp(text_member(top, "unit"), "usd_per_million_tokens") != 0)
        return error_set(err, ERR_FORMAT, "'unit' must be usd_per_million_tokens");
    for (size_t i = 0; i < json_array_size(models); i++)
        if (!read_model(t, json_array_get(models, i), i, err))
            return false;
    return true;
}

bool price_table_read(struct price_table *t, struct slice text, const char *name, const char *day,
                      struct error *err)
{
    bool ok = false;
    *t = (struct price_table){0};
    json_t *top = json_parse_exact(text, err);
    if (!top)
        return error_wrap(err, "'%s'", name);
    if (!json_is_object(top))
        error_set(err, ERR_FORMAT, "no object");
    else if (json_is_array(json_object_get(top, "models")))
        ok = read_own(t, top, err);
    else
        ok = price_table_read_litellm(t, top, day, err);
    if (ok && t->n)
        qsort(t->items, t->n, sizeof *t->items, compare);
    for (size_t i = 1; ok && i < t->n; i++)
        if (compare(&t->items[i - 1], &t->items[i]) == 0)
            ok = error_set(err, ERR_FORMAT, "%s/%.100s has two prices from %s",
                           t->items[i].provider, t->items[i].model, t->items[i].from);
    json_decref(top);
    return ok || error_wrap(err, "'%s' is no price table", name);
}

// A number with a point in it, where `value` counts its 10^-digits.
static void write_number(struct buf *out, const char *name, int64_t value, int digits)
{
    char text[40];
    int n = snprintf(text, sizeof text, "%0*" PRId64, digits + 1, value);
    if (value < 0)
        return;
    while (digits > 0 && text[n - 1] == '0') {
        n--;
        digits--;
    }
    buf_printf(out, ", \"%s\": %.*s%s%.*s", name, n - digits, text, digits ? "." : "", digits,
               text + n - digits);
}

static void write_rates(struct buf *out, const struct price_rates *r)
{
    write_number(out, "input", r->input, 6);
    write_number(out, "output", r->output, 6);
    write_number(out, "cache_read", r->cache_read, 6);
    write_number(out, "cache_write_5m", r->cache_write_5m, 6);
    write_number(out, "cache_write_1h", r->cache_write_1h, 6);
    write_number(out, "reasoning", r->reasoning, 6);
}

static void write_abilities(struct buf *out, const struct price *p)
{
    const char *const names[] = {"tools", "schema", "vision", "reasoning"};
    const bool has[] = {p->tools, p->schema, p->vision, p->reasoning};
    bool first = true;
    buf_text_add(out, ", \"abilities\": [");
    for (size_t i = 0; i < sizeof has / sizeof *has; i++) {
        if (has[i])
            buf_printf(out, "%s\"%s\"", first ? "" : ", ", names[i]);
        first = first && !has[i];
    }
    buf_char(out, ']');
}

static void write_text(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, "\"%s\": ", name);
    json_write_text(out, slice_str(text));
}

static void write_model(struct buf *out, const struct price *p)
{
    buf_char(out, '{');
    write_text(out, "provider", p->provider);
    buf_text_add(out, ", ");
    write_text(out, "model", p->model);
    buf_text_add(out, ", ");
    write_text(out, "from", p->from);
    buf_text_add(out, ", ");
    write_text(out, "source", p->source);
    write_rates(out, &p->rates);
    for (size_t i = 0; i < p->n_tiers; i++) {
        buf_printf(out, "%s{\"above\": %" PRId64, i ? ", " : ", \"tiers\": [", p->tiers[i].above);
        write_rates(out, &p->tiers[i].rates);
        buf_text_add(out, i + 1 == p->n_tiers ? "}]" : "}");
    }
    for (int i = SERVICE_BATCH; i < CHAT_SERVICES; i++)
        if (p->services[i]) {
            struct buf rates = {0};
            write_rates(&rates, p->services[i]);
            buf_printf(out, ", \"%s\": {%s}", chat_service_names[i],
                       buf_text(&rates) + strlen(", "));
            buf_release(&rates);
        }
    if (p->per_request)
        write_number(out, "per_request", p->per_request, 12);
    if (p->context)
        write_number(out, "context", p->context, 0);
    if (p->max_output)
        write_number(out, "max_output", p->max_output, 0);
    if (p->knows_abilities)
        write_abilities(out, p);
    buf_char(out, '}');
}

void price_table_write(const struct price_table *t, struct buf *out)
{
    buf_text_add(out, "{\"unit\": \"usd_per_million_tokens\", \"models\": [");
    for (size_t i = 0; i < t->n; i++) {
        buf_text_add(out, i ? ",\n" : "\n");
        write_model(out, &t->items[i]);
    }
    buf_text_add(out, "\n]}\n");
}
