// usage.c - `hearth usage`: what was asked for and what it cost, out of the ledger.
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/shown_bytes.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/stack.h"
#include "ledger/ledger.h"
#include "ledger/ledger_json.h"
#include "ledger/money.h"

enum { NAME_BYTES = 64 };  // of a name in the table; --json and --csv have all of it

static bool read_by(const char *text, enum ledger_by *by, struct error *err)
{
    static const char *const names[] = {[LEDGER_BY_KEY] = "key",
                                        [LEDGER_BY_MODEL] = "model",
                                        [LEDGER_BY_DAY] = "day",
                                        [LEDGER_BY_PROVIDER] = "provider",
                                        [LEDGER_BY_REQUEST] = "request"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i]) == 0) {
            *by = (enum ledger_by)i;
            return true;
        }
    return error_set(err, ERR_USAGE, "--by: '%.40s' is not key, model, day, provider or request",
                     text);
}

// A date as the end of a time means that whole day.
static bool read_times(const struct settings *s, int64_t *since_s, int64_t *until_s,
                       struct error *err)
{
    int64_t now_s = time(NULL);
    *since_s = *until_s = 0;
    if (s->since && !date_parse(slice_str(s->since), now_s, -1, since_s, err))
        return error_wrap(err, "--since");
    if (s->until && !date_parse(slice_str(s->until), now_s, -1, until_s, err))
        return error_wrap(err, "--until");
    if (s->until && strchr(s->until, '-'))
        *until_s += 86400;
    return true;
}

// "null" (JSON) or nothing where everything is unpriced: that is not 0.
static const char *cost_text(const struct ledger_sum *s, const char *unpriced,
                             char out[MONEY_TEXT_BYTES])
{
    return s->unpriced == s->requests ? unpriced : money_text(s->cost, out);
}

static void print_json(const struct ledger_sum *sums, size_t n)
{
    struct buf out = {0};
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_text_add(&out, ",\n ");
        ledger_sum_json(&out, &sums[i]);
    }
    (void)printf("[%s]\n", buf_text(&out));
    buf_release(&out);
}

static void print_csv_text(const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        (void)fputs(text, stdout);
        return;
    }
    (void)putchar('"');
    for (const char *p = text; *p; p++) {
        if (*p == '"')
            (void)putchar('"');
        (void)putchar(*p);
    }
    (void)putchar('"');
}

static void print_csv(const struct ledger_sum *sums, size_t n)
{
    char cost[MONEY_TEXT_BYTES];
    (void)puts("by,requests,prompt_tokens,cached_tokens,completion_tokens,cost_usd,unpriced,"
               "estimated,bytes_sent");
    for (size_t i = 0; i < n; i++) {
        const struct ledger_sum *s = &sums[i];
        print_csv_text(s->by);
        (void)printf(",%lld,%lld,%lld,%lld,%s,%lld,%lld,%lld\n", (long long)s->requests,
                     (long long)s->prompt_tokens, (long long)s->cached_tokens,
                     (long long)s->completion_tokens, cost_text(s, "", cost),
                     (long long)s->unpriced, (long long)s->estimated, (long long)s->bytes_sent);
    }
}

// Control characters of a name that a client chose do not reach a terminal, nor does all of one
// that is longer than others.
static void print_name(const char *text, int width)
{
    size_t len = strlen(text), shown = utf8_whole(text, len > NAME_BYTES ? NAME_BYTES - 3 : len);
    int n = 0;
    for (const char *p = text; p < text + shown; p++) {
        (void)putchar((unsigned char)*p < 0x20 || *p == 0x7F ? '?' : *p);
        n += ((unsigned char)*p & 0xC0) != 0x80;
    }
    if (shown < len)
        n += printf("...");
    (void)printf("%*s", width > n ? width - n : 0, "");
}

static void print_table(const struct ledger_sum *sums, size_t n, const char *by)
{
    int width = (int)strlen(by);
    char cost[MONEY_TEXT_BYTES];
    for (size_t i = 0; i < n; i++)
        width = (int)strlen(sums[i].by) > width ? (int)strlen(sums[i].by) : width;
    width = width > NAME_BYTES ? NAME_BYTES : width;
    (void)printf("%-*s  %9s %13s %13s %13s %9s  %s\n", width, by, "requests", "prompt", "cached",
                 "completion", "sent", "cost");
    for (size_t i = 0; i < n; i++) {
        const struct ledger_sum *s = &sums[i];
        print_name(s->by, width);
        (void)printf("  %9lld %13lld %13lld %13lld %9s  %s%s", (long long)s->requests,
                     (long long)s->prompt_tokens, (long long)s->cached_tokens,
                     (long long)s->completion_tokens, shown_bytes((double)s->bytes_sent).text,
                     s->unpriced == s->requests ? "" : "$", cost_text(s, "unpriced", cost));
        if (s->unpriced && s->unpriced < s->requests)
            (void)printf(" and %lld unpriced", (long long)s->unpriced);
        if (s->estimated)
            (void)printf(" (%lld estimated)", (long long)s->estimated);
        (void)putchar('\n');
    }
}

static bool show(const struct settings *s, enum ledger_by by, int64_t since_s, int64_t until_s,
                 struct error *err)
{
    struct ledger_sum *sums = NULL;
    size_t n;
    struct ledger *l = open_ledger(s, false, err);
    bool ok = l && ledger_usage_sum(l, by, since_s, until_s, s->key, &sums, &n, err);
    ledger_close(l);
    if (!ok)
        return false;
    if (s->json)
        print_json(sums, n);
    else if (s->csv)
        print_csv(sums, n);
    else if (n)
        print_table(sums, n, s->by);
    else if (!s->quiet)
        (void)fprintf(stderr, "nothing was used in that time\n");
    free(sums);
    return true;
}

static int run(struct settings *s)
{
    struct error err = {0};
    enum ledger_by by = LEDGER_BY_MODEL;
    int64_t since_s, until_s;
    bool ok = read_by(s->by, &by, &err) && read_times(s, &since_s, &until_s, &err);
    if (ok && s->json && s->csv)
        ok = error_set(&err, ERR_USAGE, "--json and --csv do not go together");
    ok = ok && show(s, by, since_s, until_s, &err);
    return ok ? EXIT_DONE : fail_error(&err);
}

const struct command command_usage = {
    .name = "usage",
    .arguments = "",
    .summary = "what was used and what it cost, by key, model, day, provider or request",
    .description =
        "Adds up the ledger: requests, tokens (cached ones are part of the prompt's), bytes that "
        "left this machine, and cost in US dollars, the most expensive first (days in order). "
        "Requests whose price is not known are counted as unpriced, never as free; those whose "
        "tokens the vendor did not tell are counted as estimated. --by request has a line for "
        "each, by "
        "its id (`request` in a server's log), with all calls of a summary.\n\n"
        "--json prints a list of {\"by\", \"requests\", \"prompt_tokens\", \"cached_tokens\", "
        "\"completion_tokens\", \"cost_usd\", \"unpriced\"}; cost_usd is an exact decimal, or null "
        "where everything is unpriced.",
    .options = "by since until key config ledger json csv",
    .min_words = 0,
    .max_words = 0,
    .run = run,
};
