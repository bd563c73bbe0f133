#include "ledger/ledger_json.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "ledger/ledger.h"
#include "ledger/money.h"

static void add_money(struct buf *out, const char *name, int64_t picousd)
{
    char text[MONEY_TEXT_BYTES];
    buf_printf(out, ", \"%s\": %s", name, picousd < 0 ? "null" : money_text(picousd, text));
}

static void add_time(struct buf *out, const char *name, int64_t at_s)
{
    char day[DATE_TEXT_BYTES];
    int64_t in_day = at_s - day_of(at_s) * 86400;
    if (!at_s)
        buf_printf(out, ", \"%s\": null", name);
    else
        buf_printf(out, ", \"%s\": \"%sT%02d:%02d:%02dZ\"", name, day_text(day_of(at_s), day),
                   (int)(in_day / 3600), (int)(in_day / 60 % 60), (int)(in_day % 60));
}

static void add_text(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, ", \"%s\": ", name);
    json_write_text(out, slice_str(text));
}

static void add_models(struct buf *out, const char *models)
{
    buf_text_add(out, ", \"models\": [");
    for (const char *p = models; *p;) {
        size_t n = strcspn(p, ",");
        if (p != models)
            buf_text_add(out, ", ");
        json_write_text(out, slice_of(p, n));
        p += n + (p[n] == ',');
    }
    buf_char(out, ']');
}

void ledger_key_json(struct buf *out, const struct ledger_key *k, const struct ledger_spent *spent)
{
    buf_text_add(out, "{\"id\": ");
    json_write_text(out, slice_str(k->id));
    add_text(out, "name", k->name);
    add_text(out, "owner", k->owner);
    add_text(out, "hint", k->hint);
    add_models(out, k->models);
    add_time(out, "created", k->created_s);
    add_time(out, "expires", k->expires_s);
    add_time(out, "revoked", k->revoked_s);
    add_money(out, "budget_usd", k->budget_total);
    add_money(out, "budget_day_usd", k->budget_day);
    add_money(out, "budget_month_usd", k->budget_month);
    add_money(out, "spent_usd", spent->total);
    add_money(out, "spent_day_usd", spent->day);
    add_money(out, "spent_month_usd", spent->month);
    buf_printf(out, ", \"rpm\": %lld, \"tpm\": %lld, \"concurrency\": %d",
               (long long)k->requests_per_minute, (long long)k->tokens_per_minute, k->concurrency);
    buf_printf(out, ", \"priority\": %d, \"weight\": %d, \"share_prefixes\": %s", k->priority,
               k->weight, k->share_prefixes ? "true" : "false");
    buf_printf(out, ", \"local_only\": %s, \"admin\": %s}", k->local_only ? "true" : "false",
               k->admin ? "true" : "false");
}

void ledger_sum_json(struct buf *out, const struct ledger_sum *s)
{
    buf_text_add(out, "{\"by\": ");
    json_write_text(out, slice_str(s->by));
    buf_printf(out,
               ", \"requests\": %" PRId64 ", \"prompt_tokens\": %" PRId64
               ", \"cached_tokens\": %" PRId64 ", \"completion_tokens\": %" PRId64,
               s->requests, s->prompt_tokens, s->cached_tokens, s->completion_tokens);
    add_money(out, "cost_usd", s->unpriced == s->requests ? -1 : s->cost);
    buf_printf(out, ", \"unpriced\": %" PRId64 "}", s->unpriced);
}
