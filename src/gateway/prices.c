// prices.c - the shipped and the user's table together, and what requests cost by them.
#include "gateway/prices.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "base/places.h"
#include "gateway/price_table.h"

static const char table_name[] = "prices.json", local_provider[] = "local";

struct prices {
    struct price_table user, shipped;
    struct price *local;  // what the machine costs
    size_t n_local, local_capacity;
    atomic_int n_holds;
};

static bool read_file(struct price_table *t, const char *path, struct error *err)
{
    struct buf text = {0};
    char today[PRICE_DAY_BYTES];
    price_day_today(today);
    bool ok = file_read(path, PRICE_FILE_BYTES, &text, err) &&
              price_table_read(t, buf_view(&text), path, today, err);
    buf_release(&text);
    return ok;
}

struct prices *prices_open(const char *path, struct error *err)
{
    struct prices *p = memory_array(struct prices, 1);
    char shipped[PLACE_BYTES], own[PLACE_BYTES];
    bool ok = true;
    atomic_init(&p->n_holds, 1);
    if (place_shipped(table_name, shipped))
        ok = read_file(&p->shipped, shipped, err);
    else
        log_warn("no price table ships with this binary: vendors' models are unpriced until "
                 "`hearth prices import`");
    if (ok && path)
        ok = read_file(&p->user, path, err);
    else if (ok && place_data(table_name, own, NULL) && file_exists(own))
        ok = read_file(&p->user, own, err);
    if (ok)
        return p;
    prices_free(p);
    return NULL;
}

struct prices *prices_hold(struct prices *p)
{
    if (p)
        atomic_fetch_add(&p->n_holds, 1);
    return p;
}

void prices_free(struct prices *p)
{
    if (!p || atomic_fetch_sub(&p->n_holds, 1) != 1)
        return;
    price_table_release(&p->user);
    price_table_release(&p->shipped);
    for (size_t i = 0; i < p->n_local; i++)
        free((char *)p->local[i].model);
    free(p->local);
    free(p);
}

static const struct price *find_exact(const struct prices *p, const char *provider,
                                      const char *model, const char *day)
{
    const struct price *found = price_table_find(&p->user, provider, model, day);
    return found ? found : price_table_find(&p->shipped, provider, model, day);
}

const struct price *prices_find(const struct prices *p, const char *provider, const char *model,
                                const char *day)
{
    char today[PRICE_DAY_BYTES], undated[PRICE_NAME_BYTES];
    if (!day) {
        price_day_today(today);
        day = today;
    }
    provider = price_provider(provider);
    const struct price *found = find_exact(p, provider, model, day);
    size_t n = price_undated(model);
    if (found || n == strlen(model) || n >= sizeof undated)
        return found;
    (void)snprintf(undated, sizeof undated, "%.*s", (int)n, model);
    return find_exact(p, provider, undated, day);
}

const struct price *prices_named(const struct prices *p, const char *reference)
{
    char provider[PRICE_NAME_BYTES];
    const char *slash = strchr(reference, '/');
    if (!slash || slash - reference >= PRICE_NAME_BYTES)
        return NULL;
    (void)snprintf(provider, sizeof provider, "%.*s", (int)(slash - reference), reference);
    const struct price *found = prices_find(p, provider, slash + 1, NULL);
    return found || strcmp(provider, local_provider) != 0 ? found : prices_local(p, slash + 1);
}

const struct price *prices_local(const struct prices *p, const char *name)
{
    const struct price *any = NULL;
    size_t n = strlen(local_provider);
    if (strncmp(name, local_provider, n) == 0 && name[n] == '/')
        name += n + 1;
    for (size_t i = 0; i < p->n_local; i++) {
        if (strcmp(p->local[i].model, name) == 0)
            return &p->local[i];
        if (!any && strcmp(p->local[i].model, "*") == 0)
            any = &p->local[i];
    }
    return any;
}

void prices_add_local(struct prices *p, const char *name, const struct price_rates *rates)
{
    memory_grow(p->local, p->local_capacity, p->n_local + 1);
    p->local[p->n_local++] = (struct price){.provider = local_provider,
                                            .model = memory_text(name),
                                            .rates = *rates,
                                            .from = "",
                                            .source = "the configuration"};
}

size_t prices_count(const struct prices *p)
{
    return p->user.n + p->shipped.n;
}

const struct price *prices_at(const struct prices *p, size_t i)
{
    return i < p->user.n ? &p->user.items[i] : &p->shipped.items[i - p->user.n];
}

static int64_t add(int64_t a, int64_t b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

static int64_t times(int64_t n, int64_t rate)
{
    int64_t product;
    return __builtin_mul_overflow(n, rate, &product) ? INT64_MAX : product;
}

static int64_t clamp(int64_t n, int64_t most)
{
    return n < 0 ? 0 : n > most ? most : n;
}

// Every rate told: what a tier or a service does not say of input and output is as in the base
// price.
static struct price_rates whole_rates(struct price_rates r, const struct price *p)
{
    r.input = r.input < 0 ? p->rates.input : r.input;
    r.output = r.output < 0 ? p->rates.output : r.output;
    r.cache_read = r.cache_read < 0 ? r.input : r.cache_read;
    r.cache_write_5m = r.cache_write_5m < 0 ? r.input : r.cache_write_5m;
    r.cache_write_1h = r.cache_write_1h < 0 ? r.input : r.cache_write_1h;
    r.reasoning = r.reasoning < 0 ? r.output : r.reasoning;
    return r;
}

static struct price_rates rates_at(const struct price *p, size_t tier)
{
    return whole_rates(tier ? p->tiers[tier - 1].rates : p->rates, p);
}

// Which rates a prompt of so many tokens has: 0 is the base price, else the tier behind it.
static size_t tier_of(const struct price *p, int64_t prompt_tokens)
{
    size_t tier = 0;
    while (tier < p->n_tiers && prompt_tokens > p->tiers[tier].above)
        tier++;
    return tier;
}

bool price_tells(const struct price *p, const struct chat_usage *u)
{
    return u->service == SERVICE_USUAL || p->services[u->service];
}

int64_t price_of(const struct price *p, const struct chat_usage *u)
{
    int64_t prompt = clamp(u->prompt_tokens, INT64_MAX), left = prompt;
    const struct price_rates *service = p->services[u->service];
    struct price_rates r = service ? whole_rates(*service, p) : rates_at(p, tier_of(p, prompt));
    // A part of the prompt is never more than the prompt, whatever a vendor says.
    int64_t read = clamp(u->cached_tokens, left);
    left -= read;
    int64_t write_5m = clamp(u->cache_write_5m_tokens, left);
    left -= write_5m;
    int64_t write_1h = clamp(u->cache_write_1h_tokens, left);
    left -= write_1h;
    int64_t answer = clamp(u->completion_tokens, INT64_MAX);
    int64_t thoughts = clamp(u->reasoning_tokens, answer);
    int64_t cost = add(times(left, r.input), times(read, r.cache_read));
    cost = add(cost, times(write_5m, r.cache_write_5m));
    cost = add(cost, times(write_1h, r.cache_write_1h));
    cost = add(cost, times(answer - thoughts, r.output));
    cost = add(cost, times(thoughts, r.reasoning));
    return add(cost, p->per_request);
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t price_bound(const struct price *p, int64_t prompt_tokens, int64_t answer_tokens,
                    int64_t n_choices)
{
    int64_t n = clamp(n_choices, INT64_MAX);
    int64_t prompt = times(clamp(prompt_tokens, INT64_MAX), n);
    int64_t answer = times(clamp(answer_tokens, INT64_MAX), n);
    int64_t dearest_in = 0, dearest_out = 0;
    for (size_t tier = 0; tier <= tier_of(p, prompt); tier++) {
        struct price_rates r = rates_at(p, tier);
        int64_t writes = most(r.cache_write_5m, r.cache_write_1h);
        dearest_in = most(dearest_in, most(most(r.input, r.cache_read), writes));
        dearest_out = most(dearest_out, most(r.output, r.reasoning));
    }
    return add(add(times(prompt, dearest_in), times(answer, dearest_out)),
               times(p->per_request, n));
}

int64_t price_guess(const struct price *p, int64_t prompt_tokens, int64_t answer_tokens)
{
    struct chat_usage u = {.prompt_tokens = prompt_tokens, .completion_tokens = answer_tokens};
    return price_of(p, &u);
}

int64_t price_of_calls(const struct price *p, int64_t n_calls, int64_t prompt_tokens,
                       int64_t answer_tokens)
{
    if (n_calls <= 0)
        return 0;
    int64_t prompt = clamp(prompt_tokens, INT64_MAX), answer = clamp(answer_tokens, INT64_MAX);
    struct price_rates r = rates_at(p, tier_of(p, prompt / n_calls + (prompt % n_calls > 0)));
    return add(add(times(prompt, r.input), times(answer, r.output)),
               times(n_calls, p->per_request));
}

const char *price_text(int64_t picousd, char out[32])
{
    if (picousd < 0) {
        (void)snprintf(out, 32, "unknown");
        return out;
    }
    if (picousd > 0 && picousd < 1000000) {
        (void)snprintf(out, 32, "<$0.000001");
        return out;
    }
    int64_t micros = picousd / 1000000 + (picousd % 1000000 >= 500000);
    int n = snprintf(out, 32, "$%" PRId64 ".%06" PRId64, micros / 1000000, micros % 1000000);
    for (int zeros = 0; zeros < 4 && out[n - 1] == '0'; zeros++)
        out[--n] = 0;
    return out;
}

// mkdir -p of everything before the last slash.
static bool make_folders(const char *path, struct error *err)
{
    char folder[PLACE_BYTES];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
        if (mkdir(folder, 0777) != 0 && errno != EEXIST)
            return error_set(err, ERR_IO, "make folder '%s': %s", folder, strerror(errno));
    }
    return true;
}

static bool write_file(const char *path, struct slice text, struct error *err)
{
    char fresh[PLACE_BYTES + 32];
    (void)snprintf(fresh, sizeof fresh, "%s.%ld.new", path, (long)getpid());
    FILE *f = fopen(fresh, "we");
    if (!f)
        return error_set(err, ERR_IO, "write '%s': %s", fresh, strerror(errno));
    bool ok =
        fwrite(text.ptr, 1, text.len, f) == text.len && fflush(f) == 0 && fsync(fileno(f)) == 0;
    ok = fclose(f) == 0 && ok;
    ok = ok && rename(fresh, path) == 0;
    if (ok)
        return true;
    error_set(err, ERR_IO, "write '%s': %s", path, strerror(errno));
    (void)unlink(fresh);
    return false;
}

bool prices_import(const char *from, const char *path, size_t *n_models, size_t *n_left_out,
                   struct error *err)
{
    struct price_table t = {0};
    struct buf text = {0};
    char own[PLACE_BYTES];
    if (!path) {
        if (!place_data(table_name, own, err))
            return false;
        path = own;
    }
    bool ok = strlen(path) < PLACE_BYTES || error_set(err, ERR_LIMIT, "'%.40s...': too long", path);
    ok = ok && read_file(&t, from, err) &&
         (t.n || error_set(err, ERR_FORMAT, "'%s' has no model with a price", from));
    if (ok) {
        price_table_write(&t, &text);
        ok = make_folders(path, err) && write_file(path, buf_view(&text), err);
    }
    if (ok && n_models)
        *n_models = t.n;
    if (ok && n_left_out)
        *n_left_out = t.n_left_out;
    buf_release(&text);
    price_table_release(&t);
    return ok;
}
