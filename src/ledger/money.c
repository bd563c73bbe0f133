#include "ledger/money.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"

enum { DECIMALS = 12, DAY_S = 86400 };

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool wrong_money(struct slice text, const char *why, struct error *err)
{
    return error_set(err, ERR_USAGE, "'%.*s' is no amount of dollars: %s",
                     (int)(text.len < 40 ? text.len : 40), text.ptr, why);
}

bool money_parse(struct slice text, int64_t *picousd, struct error *err)
{
    int64_t sum = 0;
    size_t at = 0, decimals = 0;
    while (at < text.len && digit(text.ptr[at])) {
        sum = sum * 10 + (text.ptr[at++] - '0');
        if (sum > MONEY_MAX / PICO_PER_USD)
            return wrong_money(text, "more than 4000000", err);
    }
    if (at == 0)
        return wrong_money(text, "write it as 12 or 12.50", err);
    sum *= PICO_PER_USD;
    if (at < text.len && text.ptr[at] == '.') {
        int64_t unit = PICO_PER_USD;
        for (at++; at < text.len && digit(text.ptr[at]); at++, decimals++) {
            unit /= 10;
            if (unit == 0)
                return wrong_money(text, "more than 12 decimals", err);
            sum += unit * (text.ptr[at] - '0');
        }
        if (decimals == 0)
            return wrong_money(text, "write it as 12 or 12.50", err);
    }
    if (at < text.len)
        return wrong_money(text, "write it as 12 or 12.50", err);
    if (sum > MONEY_MAX)
        return wrong_money(text, "more than 4000000", err);
    *picousd = sum;
    return true;
}

static const char *write_money(int64_t picousd, int least, char out[MONEY_TEXT_BYTES])
{
    uint64_t size = picousd < 0 ? -(uint64_t)picousd : (uint64_t)picousd;
    int n = snprintf(out, MONEY_TEXT_BYTES, "%s%" PRIu64 ".%012" PRIu64, picousd < 0 ? "-" : "",
                     size / PICO_PER_USD, size % PICO_PER_USD);
    int kept = DECIMALS;
    while (kept > least && out[n - 1] == '0') {
        out[--n] = 0;
        kept--;
    }
    if (kept == 0)
        out[n - 1] = 0;
    return out;
}

const char *money_text(int64_t picousd, char out[MONEY_TEXT_BYTES])
{
    return write_money(picousd, 0, out);
}

const char *money_shown(int64_t picousd, char out[MONEY_TEXT_BYTES])
{
    return write_money(picousd, 2, out);
}

int64_t day_of(int64_t at_s)
{
    return at_s >= 0 ? at_s / DAY_S : -((-at_s + DAY_S - 1) / DAY_S);
}

// The civil calendar in years that begin with March, so that the odd day comes last.
// Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", 2013.
static void civil_of(int64_t day, int64_t *year, int *month, int *date)
{
    int64_t z = day + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    *date = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = yoe + era * 400 + (*month <= 2);
}

static int64_t day_of_civil(int64_t year, int month, int date)
{
    int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
    int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + date - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

int64_t month_of(int64_t day)
{
    int64_t year;
    int month, date;
    civil_of(day, &year, &month, &date);
    return (year - 1970) * 12 + month - 1;
}

int64_t month_begins(int64_t month)
{
    int64_t year = 1970 + (month >= 0 ? month / 12 : -((-month + 11) / 12));
    return day_of_civil(year, (int)(month - (year - 1970) * 12) + 1, 1);
}

const char *day_text(int64_t day, char out[DATE_TEXT_BYTES])
{
    int64_t year;
    int month, date;
    civil_of(day, &year, &month, &date);
    (void)snprintf(out, DATE_TEXT_BYTES, "%04" PRId64 "-%02d-%02d", year, month, date);
    return out;
}

const char *time_text(int64_t at_s, char out[DATE_TEXT_BYTES])
{
    int64_t in_day = at_s - day_of(at_s) * DAY_S;
    (void)day_text(day_of(at_s), out);
    size_t n = strlen(out);
    (void)snprintf(out + n, DATE_TEXT_BYTES - n, " %02d:%02d", (int)(in_day / 3600),
                   (int)(in_day / 60 % 60));
    return out;
}

static bool read_number(struct slice text, size_t *at, size_t digits_max, int64_t *out)
{
    size_t first = *at;
    int64_t n = 0;
    while (*at < text.len && *at - first < digits_max && digit(text.ptr[*at]))
        n = n * 10 + (text.ptr[(*at)++] - '0');
    *out = n;
    return *at > first;
}

static int64_t unit_s(char c)
{
    switch (c) {
    case 'm': return 60;
    case 'h': return 3600;
    case 'd': return DAY_S;
    case 'w': return 7 * DAY_S;
    default: return 0;
    }
}

bool date_parse(struct slice text, int64_t now_s, int sign, int64_t *at_s, struct error *err)
{
    int64_t year, month, date, n;
    size_t at = 0;
    if (text.len == 10 && read_number(text, &at, 4, &year) && at == 4 && text.ptr[at++] == '-' &&
        read_number(text, &at, 2, &month) && at == 7 && text.ptr[at++] == '-' &&
        read_number(text, &at, 2, &date) && at == 10 && year >= 1970 && month >= 1 && month <= 12 &&
        date >= 1) {
        int64_t day = day_of_civil(year, (int)month, (int)date);
        char again[DATE_TEXT_BYTES];
        if (slice_is(text, day_text(day, again))) {  // else there is no such day in that month
            *at_s = day * DAY_S;
            return true;
        }
    }
    at = 0;
    if (read_number(text, &at, 6, &n) && at + 1 == text.len && unit_s(text.ptr[at])) {
        int64_t moment = now_s + sign * n * unit_s(text.ptr[at]);
        *at_s = moment > 0 ? moment : 0;
        return true;
    }
    return error_set(err, ERR_USAGE, "'%.*s' is no date: write 2026-12-31, or 30d, 12h, 2w",
                     (int)(text.len < 40 ? text.len : 40), text.ptr);
}
