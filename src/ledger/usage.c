// usage.c - sums over what was used, and what a key has spent; through the second connection, so
// that a long sum holds no settlement up.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "ledger/ledger_impl.h"
#include "ledger/money.h"
#include "ledger/sql.h"

#define SUMS(by, joined, group, order)                                                             \
    "SELECT " by ", count(*), CAST(sum(prompt_tokens) AS BIGINT), CAST(sum(cached_tokens) AS "     \
    "BIGINT), CAST(sum(completion_tokens) AS BIGINT), CAST(sum(bytes_sent) AS BIGINT), "           \
    "CAST(sum(CASE WHEN picousd > 0 THEN picousd ELSE 0 END) AS BIGINT), count(CASE WHEN picousd " \
    "< 0 THEN 1 END), CAST(sum(estimated) AS BIGINT) FROM ledger_usage u " joined                  \
    "WHERE u.at_s >= CAST($1 AS BIGINT) AND u.at_s < CAST($2 AS BIGINT) AND (CAST($3 AS BIGINT) "  \
    "< 0 OR u.key_number = CAST($3 AS BIGINT)) GROUP BY " group " ORDER BY " order                 \
    " LIMIT CAST($4 AS BIGINT)"
static const char *const sql_sums[] = {
    [LEDGER_BY_KEY] = SUMS("coalesce(k.name, ''), coalesce(k.id, '')",
                           "LEFT JOIN ledger_keys k ON k.number = u.key_number ", "k.name, k.id",
                           "8 DESC, 3 DESC, 2"),
    [LEDGER_BY_MODEL] = SUMS("u.model, ''", "", "u.model", "8 DESC, 3 DESC, 1"),
    [LEDGER_BY_DAY] = SUMS("u.at_s / 86400, ''", "", "u.at_s / 86400", "1"),
    [LEDGER_BY_PROVIDER] = SUMS("u.provider, ''", "", "u.provider", "8 DESC, 3 DESC, 1"),
    [LEDGER_BY_REQUEST] = SUMS("u.request_id, ''", "", "u.request_id", "1"),
};

struct sums {
    struct ledger_sum *items;
    size_t n, capacity;
    enum ledger_by by;
};

static void keep_sum(void *self, const struct store_value *row, int n)
{
    struct sums *all = self;
    if (n != 10)
        return;
    memory_grow(all->items, all->capacity, all->n + 1);
    struct ledger_sum *s = &all->items[all->n++];
    *s = (struct ledger_sum){.requests = row[2].number,
                             .prompt_tokens = row[3].number,
                             .cached_tokens = row[4].number,
                             .completion_tokens = row[5].number,
                             .bytes_sent = row[6].number,
                             .cost = row[7].number,
                             .unpriced = row[8].number,
                             .estimated = row[9].number};
    const char *name = row[0].text ? row[0].text : "", *id = row[1].text ? row[1].text : "";
    char day[DATE_TEXT_BYTES];
    if (all->by == LEDGER_BY_DAY)
        (void)snprintf(s->by, sizeof s->by, "%s", day_text(row[0].number, day));
    else if (all->by == LEDGER_BY_KEY && !*id)
        (void)snprintf(s->by, sizeof s->by, "no key");
    else if (all->by == LEDGER_BY_KEY)
        (void)snprintf(s->by, sizeof s->by, "%.*s (%s)",
                       (int)utf8_whole(name, strnlen(name, LEDGER_NAME_BYTES - 32)), name, id);
    else if (all->by == LEDGER_BY_REQUEST)
        (void)snprintf(s->by, sizeof s->by, "%.*s", (int)strcspn(name, "./"), name);
    else
        (void)snprintf(s->by, sizeof s->by, "%s", name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct ledger_sum *)a)->by, ((const struct ledger_sum *)b)->by);
}

static int by_cost(const void *a, const void *b)
{
    const struct ledger_sum *x = a, *y = b;
    return x->cost != y->cost ? (x->cost < y->cost) - (x->cost > y->cost) : strcmp(x->by, y->by);
}

static void add(struct ledger_sum *to, const struct ledger_sum *part)
{
    to->requests += part->requests;
    to->prompt_tokens += part->prompt_tokens;
    to->cached_tokens += part->cached_tokens;
    to->completion_tokens += part->completion_tokens;
    to->bytes_sent += part->bytes_sent;
    if (__builtin_add_overflow(to->cost, part->cost, &to->cost))
        to->cost = INT64_MAX;
    to->unpriced += part->unpriced;
    to->estimated += part->estimated;
}

// Parts of one request become one; no database orders them all alike, so that this does.
static void merge(struct sums *all)
{
    size_t n = 0;
    if (all->n)
        qsort(all->items, all->n, sizeof *all->items, by_name);
    for (size_t i = 0; i < all->n; i++)
        if (n && strcmp(all->items[n - 1].by, all->items[i].by) == 0)
            add(&all->items[n - 1], &all->items[i]);
        else
            all->items[n++] = all->items[i];
    all->n = n;
    if (n)
        qsort(all->items, n, sizeof *all->items, by_cost);
}

static void keep_number(void *self, const struct store_value *row, int n)
{
    if (n)
        *(int64_t *)self = row[0].number;
}

static bool key_number(struct ledger *l, struct store *s, const char *id, int64_t *number,
                       struct error *err)
{
    struct store_value v = {.text = id};
    *number = 0;
    if (!utf8_valid(id, strlen(id)))
        return error_set(err, ERR_NOT_FOUND, "there is no such key");
    if (!l->ops->run(s, sql_key_of_id, &v, 1, keep_number, number, err))
        return false;
    return *number > 0 || error_set(err, ERR_NOT_FOUND, "there is no key '%.40s'", id);
}

static bool sum(struct ledger *l, enum ledger_by by, int64_t since_s, int64_t until_s,
                const char *key_id, int64_t rows_max, struct ledger_sum **sums, size_t *n,
                struct error *err)
{
    struct sums all = {.by = by};
    int64_t number = -1;
    struct store *s = ledger_second(l, err);
    bool ok = s && (!key_id || key_number(l, s, key_id, &number, err));
    struct store_value v[] = {{.number = since_s},
                              {.number = until_s ? until_s : INT64_MAX},
                              {.number = number},
                              {.number = rows_max < INT64_MAX ? rows_max + 1 : rows_max}};
    ok = ok && l->ops->run(s, sql_sums[by], v, 4, keep_sum, &all, err);
    ledger_second_end(l);
    if (ok && all.n > (uint64_t)rows_max)
        ok = error_set(err, ERR_LIMIT, "there are more than %" PRId64 " requests in that time",
                       rows_max);
    if (!ok) {
        free(all.items);
        all = (struct sums){0};
    }
    if (by == LEDGER_BY_REQUEST)
        merge(&all);
    *sums = ok && !all.items ? memory_array(struct ledger_sum, 1) : all.items;
    *n = all.n;
    return ok;
}

bool ledger_usage_sum(struct ledger *l, enum ledger_by by, int64_t since_s, int64_t until_s,
                      const char *key_id, struct ledger_sum **sums, size_t *n, struct error *err)
{
    return sum(l, by, since_s, until_s, key_id, INT64_MAX, sums, n, err);
}

bool ledger_usage_requests(struct ledger *l, int64_t since_s, int64_t until_s, const char *key_id,
                           int64_t rows_max, struct ledger_sum **sums, size_t *n, struct error *err)
{
    return sum(l, LEDGER_BY_REQUEST, since_s, until_s, key_id, rows_max, sums, n, err);
}

static void keep_spent(void *self, const struct store_value *row, int n)
{
    struct ledger_spent *out = self;
    if (n == 7)
        *out = (struct ledger_spent){row[0].number, row[1].number, row[2].number, row[5].number};
}

bool ledger_spent(struct ledger *l, const char *key_id, struct ledger_spent *out, struct error *err)
{
    int64_t number = 0;
    pthread_mutex_lock(&l->lock);
    int64_t day = day_of(ledger_now_s(l));
    pthread_mutex_unlock(&l->lock);
    *out = (struct ledger_spent){0};
    struct store *s = ledger_second(l, err);
    bool ok = s && key_number(l, s, key_id, &number, err);
    struct store_value v[] = {
        {.number = number}, {.number = day}, {.number = month_of(day)}, {.number = l->process}};
    ok = ok && l->ops->run(s, sql_left, v, 4, keep_spent, out, err);
    ledger_second_end(l);
    return ok;
}
