// routes_admin.c - /admin/*: keys and usage over HTTP, for who has an administrator's key.
//
// The same as `hearth keys` and `hearth usage`, in the shapes of their --json (docs/server.md). The
// ledger's database may take its time, so all of it runs on the patient workers. An unknown member
// of a new key is refused: a misspelled bound would be none.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/json.h"
#include "dialects/members.h"
#include "ledger/ledger.h"
#include "ledger/money.h"
#include "server/impl.h"

#define BOUND_MAX INT64_C(1000000000)  // of requests and tokens a minute
enum { CONCURRENCY_MAX = 1 << 20, AMOUNT_BYTES = 48 };

static void reply(struct exchange *x, int status, struct buf *body)
{
    exchange_reply(x, status, "application/json", buf_view(body));
    buf_release(body);
}

static void reply_error(struct exchange *x, const struct error *why)
{
    struct dialect_error err = {0};
    (void)dialect_refuse_error(&err, why);
    if (why->code == ERR_NOT_FOUND)
        (void)dialect_refuse(&err, PROBLEM_ROUTE, NULL, "%s", why->text);  // no model is meant
    exchange_refuse(x, &err);
}

// A new key

// A number of dollars, or its decimal text, since a double has no exact cents. Absent: *amount
// stays.
static bool read_amount(const json_t *o, const char *at, const char *name, int64_t *amount,
                        struct dialect_error *err)
{
    const json_t *v = json_object_get(o, name);
    struct member_path path = member_path(at, name, -1);
    char text[AMOUNT_BYTES] = "";
    struct error why = {0};
    if (!v || json_is_null(v))
        return true;
    double number = json_is_number(v) ? json_number_value(v) : 0;
    if (json_is_string(v) && json_string_length(v) < sizeof text)
        (void)snprintf(text, sizeof text, "%s", json_string_value(v));
    else if (json_is_number(v) && number >= 0 && number < 1e9)
        (void)snprintf(text, sizeof text, "%.12f", number);
    if (money_parse(slice_str(text), amount, &why))
        return true;
    return dialect_refuse(err, PROBLEM_REQUEST, path.text, "'%s' is not a number of dollars",
                          path.text);
}

static bool read_budgets(const json_t *o, struct ledger_key *k, struct dialect_error *err)
{
    const json_t *b = json_object_get(o, "budget_usd");
    k->budget_day = k->budget_month = k->budget_total = -1;
    if (!json_is_object(b))
        return read_amount(o, "", "budget_usd", &k->budget_total, err);
    return read_amount(b, "budget_usd", "day", &k->budget_day, err) &&
           read_amount(b, "budget_usd", "month", &k->budget_month, err) &&
           read_amount(b, "budget_usd", "total", &k->budget_total, err);
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

// A text with commas, or an array of texts without.
static bool read_models(const json_t *o, struct ledger_key *k, struct dialect_error *err)
{
    const json_t *list = json_object_get(o, "models");
    size_t n = 0;
    if (!json_is_array(list))
        return copy_text(o, "models", k->models, sizeof k->models, err);
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

static bool read_expiry(const json_t *o, struct ledger_key *k, struct dialect_error *err)
{
    struct slice text = {0};
    struct error why = {0};
    int64_t now = (int64_t)time(NULL);
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
    static const char *const known[] = {"name", "owner", "models",      "expires",    "budget_usd",
                                        "rpm",  "tpm",   "concurrency", "local_only", "admin"};
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

static bool read_key(const json_t *o, struct ledger_key *k, struct dialect_error *err)
{
    if (!known_members(o, err) || !copy_text(o, "name", k->name, sizeof k->name, err))
        return false;
    if (!k->name[0])
        return dialect_refuse(err, PROBLEM_REQUEST, "name", "'name' is missing");
    return copy_text(o, "owner", k->owner, sizeof k->owner, err) && read_models(o, k, err) &&
           read_expiry(o, k, err) && read_budgets(o, k, err) &&
           member_i64(o, "", "rpm", 0, BOUND_MAX, &k->requests_per_minute, err) &&
           member_i64(o, "", "tpm", 0, BOUND_MAX, &k->tokens_per_minute, err) &&
           member_int(o, "", "concurrency", 0, CONCURRENCY_MAX, &k->concurrency, err) &&
           member_bool(o, "", "local_only", &k->local_only, err) &&
           member_bool(o, "", "admin", &k->admin, err);
}

static void write_member(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, "%s\"%s\":", out->len && out->ptr[out->len - 1] != '{' ? "," : "", name);
    json_write_text(out, slice_str(text));
}

void routes_admin_create(struct exchange *x)
{
    struct ledger_key k = {0}, made;
    char secret[LEDGER_SECRET_BYTES];
    struct dialect_error err = {0};
    struct error why = {0};
    struct buf body = {0};
    if (!read_key(x->json, &k, &err)) {
        exchange_refuse(x, &err);
        return;
    }
    if (!ledger_key_create(x->server->options.ledger, &k, secret, &made, &why)) {
        reply_error(x, &why);
        return;
    }
    buf_char(&body, '{');
    write_member(&body, "id", made.id);
    write_member(&body, "key", secret);
    write_member(&body, "name", made.name);
    buf_char(&body, '}');
    reply(x, 201, &body);
    explicit_bzero(secret, sizeof secret);
}

// Lists

static void write_time(struct buf *out, const char *name, int64_t at_s)
{
    if (at_s)
        buf_printf(out, ",\"%s\":%" PRId64, name, at_s);
    else
        buf_printf(out, ",\"%s\":null", name);
}

static void write_money(struct buf *out, const char *name, int64_t amount)
{
    char text[MONEY_TEXT_BYTES];
    buf_printf(out, ",\"%s\":%s", name, amount < 0 ? "null" : money_text(amount, text));
}

static void write_key(struct buf *out, const struct ledger_key *k)
{
    char day[MONEY_TEXT_BYTES];
    buf_char(out, '{');
    write_member(out, "id", k->id);
    write_member(out, "name", k->name);
    write_member(out, "owner", k->owner);
    write_member(out, "hint", k->hint);
    write_member(out, "models", k->models);
    write_time(out, "created", k->created_s);
    write_time(out, "expires", k->expires_s);
    write_time(out, "revoked", k->revoked_s);
    buf_printf(out, ",\"budget_usd\":{\"day\":%s",
               k->budget_day < 0 ? "null" : money_text(k->budget_day, day));
    write_money(out, "month", k->budget_month);
    write_money(out, "total", k->budget_total);
    buf_printf(out,
               "},\"rpm\":%" PRId64 ",\"tpm\":%" PRId64
               ",\"concurrency\":%d,\"local_only\":%s,\"admin\":%s}",
               k->requests_per_minute, k->tokens_per_minute, k->concurrency,
               k->local_only ? "true" : "false", k->admin ? "true" : "false");
}

void routes_admin_keys(struct exchange *x)
{
    struct ledger_key *keys = NULL;
    size_t n = 0;
    struct error why = {0};
    struct buf body = {0};
    if (!ledger_keys(x->server->options.ledger, &keys, &n, &why)) {
        reply_error(x, &why);
        return;
    }
    buf_char(&body, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(&body, ',');
        write_key(&body, &keys[i]);
    }
    buf_char(&body, ']');
    free(keys);
    reply(x, 200, &body);
}

void routes_admin_revoke(struct exchange *x)
{
    struct error why = {0};
    struct buf body = {0};
    const char *id = arena_text(&x->arena, x->matched);
    if (!ledger_key_revoke(x->server->options.ledger, id, &why)) {
        reply_error(x, &why);
        return;
    }
    buf_char(&body, '{');
    write_member(&body, "id", id);
    buf_text_add(&body, ",\"revoked\":true}");
    reply(x, 200, &body);
}

// Usage

struct question {
    enum ledger_by by;
    int64_t since_s, until_s;
    const char *key_id;  // NULL: everybody's
};

static bool read_by(struct slice value, enum ledger_by *by)
{
    static const char *const names[] = {[LEDGER_BY_KEY] = "key",
                                        [LEDGER_BY_MODEL] = "model",
                                        [LEDGER_BY_DAY] = "day",
                                        [LEDGER_BY_PROVIDER] = "provider"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        *by = (enum ledger_by)i;
        if (slice_is(value, names[i]))
            return true;
    }
    return false;
}

static bool read_parameter(struct exchange *x, struct slice name, struct slice value,
                           struct question *q, struct dialect_error *err)
{
    int64_t now = (int64_t)time(NULL);
    struct error why = {0};
    if (slice_is(name, "by"))
        return read_by(value, &q->by) ||
               dialect_refuse(err, PROBLEM_REQUEST, "by",
                              "'by' is none of key, model, day, provider");
    if (slice_is(name, "since") || slice_is(name, "until"))
        return date_parse(value, now, -1, slice_is(name, "since") ? &q->since_s : &q->until_s,
                          &why) ||
               dialect_refuse(err, PROBLEM_REQUEST, NULL, "%s", why.text);
    if (slice_is(name, "key")) {
        q->key_id = arena_text(&x->arena, value);
        return true;
    }
    return dialect_refuse(err, PROBLEM_REQUEST, NULL, "there is no '%.*s' to ask for",
                          (int)(name.len < 60 ? name.len : 60), name.ptr);
}

// None of the values that are meant needs percent signs.
static bool read_question(struct exchange *x, struct question *q, struct dialect_error *err)
{
    struct slice rest = x->query;
    while (rest.len) {
        const char *end = memchr(rest.ptr, '&', rest.len);
        size_t n = end ? (size_t)(end - rest.ptr) : rest.len;
        const char *equals = memchr(rest.ptr, '=', n);
        size_t n_name = equals ? (size_t)(equals - rest.ptr) : n;
        if (n && !read_parameter(
                     x, slice_of(rest.ptr, n_name),
                     slice_of(rest.ptr + n_name + (equals ? 1 : 0), n - n_name - (equals ? 1 : 0)),
                     q, err))
            return false;
        rest = slice_sub(rest, n + 1, rest.len);
    }
    return true;
}

static void write_sum(struct buf *out, const struct ledger_sum *s)
{
    buf_char(out, '{');
    write_member(out, "by", s->by);
    buf_printf(out,
               ",\"requests\":%" PRId64 ",\"prompt_tokens\":%" PRId64 ",\"cached_tokens\":%" PRId64
               ",\"completion_tokens\":%" PRId64,
               s->requests, s->prompt_tokens, s->cached_tokens, s->completion_tokens);
    write_money(out, "cost_usd", s->requests && s->unpriced == s->requests ? -1 : s->cost);
    buf_printf(out,
               ",\"unpriced\":%" PRId64 ",\"estimated\":%" PRId64 ",\"bytes_sent\":%" PRId64 "}",
               s->unpriced, s->estimated, s->bytes_sent);
}

void routes_admin_usage(struct exchange *x)
{
    struct question q = {.by = LEDGER_BY_KEY};
    struct ledger_sum *sums = NULL;
    size_t n = 0;
    struct dialect_error err = {0};
    struct error why = {0};
    struct buf body = {0};
    if (!read_question(x, &q, &err)) {
        exchange_refuse(x, &err);
        return;
    }
    if (!ledger_usage_sum(x->server->options.ledger, q.by, q.since_s, q.until_s, q.key_id, &sums,
                          &n, &why)) {
        reply_error(x, &why);
        return;
    }
    buf_char(&body, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(&body, ',');
        write_sum(&body, &sums[i]);
    }
    buf_char(&body, ']');
    free(sums);
    reply(x, 200, &body);
}

void routes_admin_health(struct exchange *x)
{
    struct ledger_health h;
    struct buf body = {0};
    ledger_health(x->server->options.ledger, &h);
    buf_printf(&body,
               "{\"writable\":%s,\"waiting\":%" PRId64 ",\"committed\":%" PRId64
               ",\"commits\":%" PRId64 ",\"refused\":%" PRId64 ",\"late\":%" PRId64 "}",
               h.writable ? "true" : "false", h.waiting, h.committed, h.commits, h.refused, h.late);
    reply(x, 200, &body);
}
