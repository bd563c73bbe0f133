// routes_admin.c - /admin/*: keys and usage over HTTP, for who has an administrator's key.
//
// The same as `hearth keys` and `hearth usage`, in the shapes of their --json (docs/server.md). The
// ledger's database may take its time, so all of it runs on the patient workers.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/json.h"
#include "ledger/ledger.h"
#include "ledger/ledger_json.h"
#include "server/admin_read.h"
#include "server/impl.h"

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
    if (!admin_read_key(x->json, (int64_t)time(NULL), &k, &err)) {
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

static bool write_keys(struct ledger *l, struct buf *out, struct error *err)
{
    struct ledger_key *keys = NULL;
    size_t n = 0;
    bool ok = ledger_keys(l, &keys, &n, err);
    buf_char(out, '[');
    for (size_t i = 0; ok && i < n; i++) {
        struct ledger_spent spent;
        ok = ledger_spent(l, keys[i].id, &spent, err);
        if (i)
            buf_text_add(out, ", ");
        if (ok)
            ledger_key_json(out, &keys[i], &spent);
    }
    buf_char(out, ']');
    free(keys);
    return ok;
}

void routes_admin_keys(struct exchange *x)
{
    struct error why = {0};
    struct buf body = {0};
    if (write_keys(x->server->options.ledger, &body, &why)) {
        reply(x, 200, &body);
        return;
    }
    buf_release(&body);
    reply_error(x, &why);
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

// Of requests the most expensive, as many as may be; their number has no bound of its own.
static bool ask_usage(struct ledger *l, const struct admin_question *q, struct ledger_sum **sums,
                      size_t *n, struct error *why)
{
    const char *key_id = q->key_id[0] ? q->key_id : NULL;
    if (q->by != LEDGER_BY_REQUEST)
        return ledger_usage_sum(l, q->by, q->since_s, q->until_s, key_id, sums, n, why);
    if (!ledger_usage_requests(l, q->since_s, q->until_s, key_id, ADMIN_ROWS_MAX, sums, n, why)) {
        if (why->code == ERR_LIMIT)
            (void)error_set(why, ERR_LIMIT,
                            "there are more than %d requests in that time: ask for a shorter one "
                            "with 'since' and 'until', or for those of one 'key'",
                            ADMIN_ROWS_MAX);
        return false;
    }
    *n = *n < (size_t)q->limit ? *n : (size_t)q->limit;
    return true;
}

void routes_admin_usage(struct exchange *x)
{
    struct admin_question q;
    struct ledger_sum *sums = NULL;
    size_t n = 0;
    struct dialect_error err = {0};
    struct error why = {0};
    struct buf body = {0};
    if (!admin_read_question(x->query, (int64_t)time(NULL), &q, &err)) {
        exchange_refuse(x, &err);
        return;
    }
    if (!ask_usage(x->server->options.ledger, &q, &sums, &n, &why)) {
        reply_error(x, &why);
        return;
    }
    buf_char(&body, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_text_add(&body, ", ");
        ledger_sum_json(&body, &sums[i]);
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
