// keys.c - `hearth keys`: makes, lists and revokes the keys of those who may ask.
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/stack.h"
#include "ledger/ledger.h"
#include "ledger/ledger_json.h"
#include "ledger/money.h"

static bool read_budget(const char *option, const char *text, int64_t *out, struct error *err)
{
    *out = -1;
    return !text || money_parse(slice_str(text), out, err) || error_wrap(err, "%s", option);
}

static bool copy_text(char *out, size_t bytes, const char *option, const char *text,
                      struct error *err)
{
    int n = snprintf(out, bytes, "%s", text ? text : "");
    return (n >= 0 && (size_t)n < bytes) ||
           error_set(err, ERR_USAGE, "%s: longer than %zu bytes", option, bytes - 1);
}

static bool read_expiry(const char *text, int64_t *out, struct error *err)
{
    int64_t now_s = time(NULL);
    if (!text)
        return true;
    if (!date_parse(slice_str(text), now_s, 1, out, err))
        return error_wrap(err, "--expires");
    return *out > now_s || error_set(err, ERR_USAGE, "--expires: '%s' is past", text);
}

// An empty list would mean all models: who wants that leaves it out.
static bool check_models(const char *list, struct error *err)
{
    size_t n = list ? strlen(list) : 0;
    bool empty = list && (!n || list[0] == ',' || list[n - 1] == ',' || strstr(list, ",,"));
    return !empty || error_set(err, ERR_USAGE,
                               "--models: an empty name, or none; a key without --models may use "
                               "all");
}

static bool key_from(const struct settings *s, struct ledger_key *k, struct error *err)
{
    *k = (struct ledger_key){.requests_per_minute = s->requests_per_minute,
                             .tokens_per_minute = s->tokens_per_minute,
                             .concurrency = s->concurrency,
                             .admin = s->admin,
                             .local_only = s->local_only,
                             .priority = s->priority,
                             .weight = s->weight,
                             .share_prefixes = s->share_prefixes};
    if (!s->name || !*s->name)
        return error_set(err, ERR_USAGE, "a key needs a name: --name NAME");
    return copy_text(k->name, sizeof k->name, "--name", s->name, err) &&
           copy_text(k->owner, sizeof k->owner, "--owner", s->owner, err) &&
           check_models(s->key_models, err) &&
           copy_text(k->models, sizeof k->models, "--models", s->key_models, err) &&
           read_expiry(s->expires, &k->expires_s, err) &&
           read_budget("--budget", s->budget, &k->budget_total, err) &&
           read_budget("--budget-day", s->budget_day, &k->budget_day, err) &&
           read_budget("--budget-month", s->budget_month, &k->budget_month, err);
}

static void print_new(const struct settings *s, const struct ledger_key *k, const char *secret)
{
    if (!s->json) {
        (void)puts(secret);
        if (!s->quiet)
            (void)fprintf(stderr, "%s: the key is shown this once, only its hash is kept\n", k->id);
        return;
    }
    struct buf out = {0};
    json_t *o = json_object();
    json_object_set_new(o, "id", json_string(k->id));
    json_object_set_new(o, "key", json_string(secret));
    json_object_set_new(o, "name", json_string(k->name));
    json_write(&out, o, JSON_STYLE_SPACED);
    (void)puts(buf_text(&out));
    buf_release(&out);
    json_decref(o);
}

static bool create(const struct settings *s, struct ledger *l, struct error *err)
{
    struct ledger_key in, made;
    char secret[LEDGER_SECRET_BYTES];
    if (!key_from(s, &in, err) || !ledger_key_create(l, &in, secret, &made, err))
        return false;
    print_new(s, &made, secret);
    return true;
}

static void add_budget(struct buf *out, int64_t spent, int64_t budget, const char *period)
{
    char of[MONEY_TEXT_BYTES], is[MONEY_TEXT_BYTES];
    if (budget >= 0)
        buf_printf(out, "  $%s of $%s%s", money_shown(spent, is), money_shown(budget, of), period);
}

static void print_line(const struct ledger_key *k, const struct ledger_spent *spent)
{
    struct buf more = {0};
    char text[MONEY_TEXT_BYTES], day[DATE_TEXT_BYTES];
    bool bound = k->budget_day >= 0 || k->budget_month >= 0 || k->budget_total >= 0;
    if (k->revoked_s)
        buf_printf(&more, "  revoked %s", time_text(k->revoked_s, day));
    else if (k->expires_s)
        buf_printf(&more, "  %s %s", k->expires_s > time(NULL) ? "until" : "expired",
                   time_text(k->expires_s, day));
    if (!bound)
        buf_printf(&more, "  $%s", money_shown(spent->total, text));
    add_budget(&more, spent->day, k->budget_day, " a day");
    add_budget(&more, spent->month, k->budget_month, " a month");
    add_budget(&more, spent->total, k->budget_total, "");
    if (k->admin)
        buf_text_add(&more, "  admin");
    if (k->local_only)
        buf_text_add(&more, "  local-only");
    if (k->share_prefixes)
        buf_text_add(&more, "  shares prefixes");
    if (k->priority)
        buf_printf(&more, "  priority %d", k->priority);
    if (k->weight > 1)
        buf_printf(&more, "  weight %d", k->weight);
    if (k->models[0])
        buf_printf(&more, "  %s", k->models);
    (void)printf("%s  ...%s  %s%s%s%s%s\n", k->id, k->hint, k->name, k->owner[0] ? " (" : "",
                 k->owner, k->owner[0] ? ")" : "", buf_text(&more));
    buf_release(&more);
}

static bool list_all(const struct settings *s, struct ledger *l, const struct ledger_key *keys,
                     size_t n, struct buf *out, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        struct ledger_spent spent;
        if (!ledger_spent(l, keys[i].id, &spent, err))
            return false;
        if (!s->json)
            print_line(&keys[i], &spent);
        buf_text_add(out, i ? ",\n " : "");
        ledger_key_json(out, &keys[i], &spent);
    }
    return true;
}

static bool list(const struct settings *s, struct ledger *l, struct error *err)
{
    struct ledger_key *keys = NULL;
    struct buf out = {0};
    size_t n = 0;
    bool ok = ledger_keys(l, &keys, &n, err) && list_all(s, l, keys, n, &out, err);
    if (ok && s->json)
        (void)printf("[%s]\n", buf_text(&out));
    if (ok && !n && !s->json && !s->quiet)
        (void)fprintf(stderr, "no keys yet: `hearth keys create --name NAME` makes one\n");
    buf_release(&out);
    free(keys);
    return ok;
}

static bool do_it(const struct settings *s, struct ledger *l, struct error *err)
{
    const char *what = s->words_given.items[0];
    if (strcmp(what, "create") == 0)
        return create(s, l, err);
    if (strcmp(what, "list") == 0)
        return list(s, l, err);
    if (!ledger_key_revoke(l, s->words_given.items[1], err))
        return false;
    if (!s->quiet)
        (void)fprintf(stderr, "revoked %s\n", s->words_given.items[1]);
    return true;
}

// Before a ledger is opened: a mistyped word makes no database.
static bool check_words(const struct settings *s, struct error *err)
{
    const char *what = s->words_given.items[0];
    size_t more = s->words_given.n - 1;
    bool revoke = strcmp(what, "revoke") == 0;
    if (!revoke && strcmp(what, "create") != 0 && strcmp(what, "list") != 0)
        return error_set(err, ERR_USAGE, "'%.40s' is not create, list or revoke", what);
    if (revoke && !more)
        return error_set(err, ERR_USAGE, "revoke needs the ID of a key (see `hearth keys list`)");
    if (!revoke && more)
        return error_set(err, ERR_USAGE, "'%.40s' is one argument too many",
                         s->words_given.items[1]);
    struct ledger_key k;
    return strcmp(what, "create") != 0 || key_from(s, &k, err);
}

static int run(struct settings *s)
{
    struct error err = {0};
    if (!check_words(s, &err))
        return fail_error(&err);
    bool make = strcmp(s->words_given.items[0], "create") == 0;
    struct ledger *l = open_ledger(s, make, &err);
    bool ok = l && do_it(s, l, &err);
    ledger_close(l);
    return ok ? EXIT_DONE : fail_error(&err);
}

const struct command command_keys = {
    .name = "keys",
    .arguments = "create --name NAME | list | revoke ID",
    .summary = "keys for those who may ask, with their budgets",
    .description =
        "create makes a key and prints it this once; only its hash is kept. A key may have an "
        "owner, an end, a list of models, budgets in US dollars (in all, a day, a month; exact "
        "decimals as 12.50), and bounds on requests and tokens a minute and on requests at once. "
        "Without them it has no bound. Where requests to local models wait for each other, keys of "
        "a higher priority go first, and equals are served by their weights.\n\n"
        "list prints a line for each key that was ever made: its ID, its last four characters, its "
        "name, what was spent. revoke ends a key: every server that uses this ledger knows within "
        "a second.\n\n"
        "While no key was ever made, a server answers this machine's user without one; from then "
        "on everybody needs one.",
    .options = "name owner expires models budget budget-day budget-month rpm tpm concurrency "
               "priority weight share-prefixes local-only admin config ledger json",
    .min_words = 1,
    .max_words = 2,
    .run = run,
};
