#include "server/admin_read.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "dialects/dialect.h"
#include "dialects/members.h"
#include "ledger/money.h"

#define BOUND_MAX INT64_C(1000000000)  // of requests and tokens a minute
enum { CONCURRENCY_MAX = 1 << 20, AMOUNT_BYTES = 48, DAY_S = 86400 };

// A number of dollars, or its decimal text, since a double has no exact cents. Absent: *amount
// stays.
static bool read_amount(const json_t *o, const char *name, int64_t *amount,
                        struct dialect_error *err)
{
    const json_t *v = json_object_get(o, name);
    char text[AMOUNT_BYTES] = "";
    struct error why = {0};
    if (!v || json_is_null(v))
        return true;
    double number = json_is_number(v) ? json_number_value(v) : 0;
    if (json_is_string(v) && json_string_length(v) < sizeof text)
        (void)snprintf(text, sizeof text, "%s", json_string_value(v));
    else if (json_is_number(v) && (number == 0 || number >= 1e-12) && number < 1e9)
        (void)snprintf(text, sizeof text, "%.12f", number);
    if (money_parse(slice_str(text), amount, &why))
        return true;
    return dialect_refuse(err, PROBLEM_REQUEST, name, "'%s' is not a number of dollars", name);
}

static bool read_budgets(const json_t *o, struct ledger_key *k, struct dialect_error *err)
{
    k->budget_day = k->budget_month = k->budget_total = -1;
    return read_amount(o, "budget_usd", &k->budget_total, err) &&
           read_amount(o, "budget_day_usd", &k->budget_day, err) &&
           read_amount(o, "budget_month_usd", &k->budget_month, err);
}

static bool copy_text(const json_t *o, const char *name, char *out, size_t out_bytes,
                      struct dialect_error *err)
{
    struct slice text = {0};
    if (!member_text(o, "", name, &text, err))
        return false;
    if (text.len >= out_bytes)
        return dialect_refuse(err, PROBLEM_REQUEST, name, "'%s' has more than %zu bytes", name,
                              out_bytes - 1);
    if (text.len && strlen(text.ptr) != text.len)
        return dialect_refuse(err, PROBLEM_REQUEST, name, "'%s' has a NUL inside", name);
    (void)snprintf(out, out_bytes, "%s", text.len ? text.ptr : "");
    return true;
}

static bool no_names(struct dialect_error *err)
{
    return dialect_refuse(
        err, PROBLEM_REQUEST, "models",
        "'models' has an empty name, or none; a key without 'models' may use all");
}

static bool has_empty_name(const char *list)
{
    size_t n = strlen(list);
    return !n || list[0] == ',' || list[n - 1] == ',' || strstr(list, ",,");
}

// A text with commas, or an array of texts without. Left out (or null): all. An empty list would be
// kept as the same, so it is refused.
static bool read_models(const json_t *o, struct ledger_key *k, struct dialect_error *err)
{
    const json_t *list = json_object_get(o, "models");
    size_t n = 0;
    if (!json_is_array(list))
        return copy_text(o, "models", k->models, sizeof k->models, err) &&
               (!json_is_string(list) || !has_empty_name(k->models) || no_names(err));
    if (json_array_size(list) == 0)
        return no_names(err);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        struct member_path path = member_path("models", "", (int)i);
        const char *text = json_is_string(v) ? json_string_value(v) : "";
        if (!*text || strlen(text) != json_string_length(v) || strchr(text, ','))
            return dialect_refuse(err, PROBLEM_REQUEST, path.text, "'%s' is not a model's name",
                                  path.text);
        size_t len = strlen(text);
        if (n + len + 2 > sizeof k->models)
            return dialect_refuse(err, PROBLEM_REQUEST, "models", "'models' is too long");
        n += (size_t)snprintf(k->models + n, sizeof k->models - n, n ? ",%s" : "%s", text);
    }
    return true;
}

static bool read_expiry(const json_t *o, int64_t now, struct ledger_key *k,
                        struct dialect_error *err)
{
    struct slice text = {0};
    struct error why = {0};
    if (json_is_integer(json_object_get(o, "expires")))
        return member_i64(o, "", "expires", now, INT64_C(1) << 40, &k->expires_s, err);
    if (!member_text(o, "", "expires", &text, err))
        return false;
    if (!text.ptr || (date_parse(text, now, 1, &k->expires_s, &why) && k->expires_s > now))
        return true;
    return dialect_refuse(err, PROBLEM_REQUEST, "expires",
                          "'expires' is not a later date (2027-01-31) or time from now (30d)");
}

static bool known_members(const json_t *o, struct dialect_error *err)
{
    static const char *const known[] = {
        "name",       "owner",          "models",           "expires",
        "budget_usd", "budget_day_usd", "budget_month_usd", "rpm",
        "tpm",        "concurrency",    "local_only",       "admin",
        "priority",   "weight",         "share_prefixes"};
    const char *name;
    const json_t *v;
    json_object_foreach((json_t *)o, name, v)
    {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found = found || strcmp(known[i], name) == 0;
        if (!found)
            return dialect_refuse(err, PROBLEM_REQUEST, NULL, "a key has no '%.60s'", name);
    }
    return true;
}

bool admin_read_key(const json_t *o, int64_t now_s, struct ledger_key *k, struct dialect_error *err)
{
    if (!known_members(o, err) || !copy_text(o, "name", k->name, sizeof k->name, err))
        return false;
    if (!k->name[0])
        return dialect_refuse(err, PROBLEM_REQUEST, "name", "'name' is missing");
    return copy_text(o, "owner", k->owner, sizeof k->owner, err) && read_models(o, k, err) &&
           read_expiry(o, now_s, k, err) && read_budgets(o, k, err) &&
           member_i64(o, "", "rpm", 1, BOUND_MAX, &k->requests_per_minute, err) &&
           member_i64(o, "", "tpm", 1, BOUND_MAX, &k->tokens_per_minute, err) &&
           member_int(o, "", "concurrency", 1, CONCURRENCY_MAX, &k->concurrency, err) &&
           member_int(o, "", "priority", -LEDGER_PRIORITY_MAX, LEDGER_PRIORITY_MAX, &k->priority,
                      err) &&
           member_int(o, "", "weight", 1, LEDGER_WEIGHT_MAX, &k->weight, err) &&
           member_bool(o, "", "share_prefixes", &k->share_prefixes, err) &&
           member_bool(o, "", "local_only", &k->local_only, err) &&
           member_bool(o, "", "admin", &k->admin, err);
}

static bool read_by(struct slice value, enum ledger_by *by)
{
    static const char *const names[] = {[LEDGER_BY_KEY] = "key",
                                        [LEDGER_BY_MODEL] = "model",
                                        [LEDGER_BY_DAY] = "day",
                                        [LEDGER_BY_PROVIDER] = "provider",
                                        [LEDGER_BY_REQUEST] = "request"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        *by = (enum ledger_by)i;
        if (slice_is(value, names[i]))
            return true;
    }
    return false;
}

// The day of an end that is a date is included.
static bool read_moment(struct slice value, int64_t now, bool is_end, int64_t *at_s,
                        struct dialect_error *err)
{
    struct error why = {0};
    if (!date_parse(value, now, -1, at_s, &why))
        return dialect_refuse(err, PROBLEM_REQUEST, NULL, "%s", why.text);
    if (is_end && memchr(value.ptr, '-', value.len))
        *at_s += DAY_S;
    return true;
}

static bool read_limit(struct slice value, int *limit, struct dialect_error *err)
{
    int64_t n = 0;
    for (size_t i = 0; i < value.len && n <= ADMIN_LINES_MAX; i++) {
        bool is_digit = value.ptr[i] >= '0' && value.ptr[i] <= '9';
        n = is_digit ? n * 10 + (value.ptr[i] - '0') : INT64_C(1) << 40;
    }
    *limit = (int)(n <= ADMIN_LINES_MAX ? n : 0);
    return *limit > 0 || dialect_refuse(err, PROBLEM_REQUEST, "limit",
                                        "'limit' is no number from 1 to %d", ADMIN_LINES_MAX);
}

static bool read_parameter(struct slice name, struct slice value, int64_t now,
                           struct admin_question *q, struct dialect_error *err)
{
    if (slice_is(name, "by"))
        return read_by(value, &q->by) ||
               dialect_refuse(err, PROBLEM_REQUEST, "by",
                              "'by' is none of key, model, day, provider, request");
    if (slice_is(name, "since"))
        return read_moment(value, now, false, &q->since_s, err);
    if (slice_is(name, "until"))
        return read_moment(value, now, true, &q->until_s, err);
    if (slice_is(name, "limit"))
        return read_limit(value, &q->limit, err);
    if (slice_is(name, "key") && value.len < sizeof q->key_id) {
        (void)snprintf(q->key_id, sizeof q->key_id, "%.*s", (int)value.len, value.ptr);
        return value.len || dialect_refuse(err, PROBLEM_REQUEST, "key", "'key' is empty");
    }
    return dialect_refuse(err, PROBLEM_REQUEST, NULL, "there is no '%.*s' to ask for",
                          (int)(name.len < 60 ? name.len : 60), name.ptr);
}

// None of the values that are meant needs percent signs.
bool admin_read_question(struct slice query, int64_t now_s, struct admin_question *q,
                         struct dialect_error *err)
{
    struct slice rest = query;
    *q = (struct admin_question){.by = LEDGER_BY_KEY};
    while (rest.len) {
        const char *end = memchr(rest.ptr, '&', rest.len);
        size_t n = end ? (size_t)(end - rest.ptr) : rest.len;
        struct slice part = slice_of(rest.ptr, n);
        const char *equals = memchr(part.ptr, '=', n);
        size_t n_name = equals ? (size_t)(equals - part.ptr) : n;
        struct slice value = slice_sub(part, n_name + (equals ? 1 : 0), n);
        if (n && !read_parameter(slice_of(part.ptr, n_name), value, now_s, q, err))
            return false;
        rest = slice_sub(rest, n + 1, rest.len);
    }
    if (q->limit && q->by != LEDGER_BY_REQUEST)
        return dialect_refuse(err, PROBLEM_REQUEST, "limit", "'limit' goes with by=request only");
    if (q->by == LEDGER_BY_REQUEST && !q->limit)
        q->limit = ADMIN_LINES;
    return true;
}
