// fuzz_ledger.c - any bytes as amounts of money and dates, which keep their promises when they are
// read; and as a ledger's file, which is opened or refused, and whose keys and sums are read.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/folder_blob.h"
#include "base/error.h"
#include "base/log.h"
#include "ledger/ledger_impl.h"
#include "ledger/money.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static void texts(struct slice text)
{
    char out[MONEY_TEXT_BYTES], date[DATE_TEXT_BYTES];
    int64_t amount = -1, again = -1, at_s = -1;
    if (money_parse(text, &amount, NULL)) {
        check(amount >= 0 && amount <= MONEY_MAX);
        check(money_parse(slice_str(money_text(amount, out)), &again, NULL) && again == amount);
        check(money_parse(slice_str(money_shown(amount, out)), &again, NULL) && again == amount);
    }
    if (date_parse(text, 1800000000, 1, &at_s, NULL)) {
        check(at_s >= 0);
        if (memchr(text.ptr, '-', text.len))
            check(slice_is(text, day_text(day_of(at_s), date)));
    }
    if (date_parse(text, 1800000000, -1, &at_s, NULL))
        check(at_s >= 0);
}

static void read_all(struct ledger *l)
{
    struct ledger_key *keys, found;
    struct ledger_sum *sums;
    struct ledger_spent spent;
    size_t n;
    if (ledger_keys(l, &keys, &n, NULL)) {
        for (size_t i = 0; i < n; i++) {
            check(keys[i].number > 0 && memchr(keys[i].name, 0, sizeof keys[i].name));
            (void)ledger_spent(l, keys[i].id, &spent, NULL);
        }
        free(keys);
    }
    check(!ledger_key_find(l, "sk-hearth-guess", 15, &found, NULL));
    for (int by = LEDGER_BY_KEY; by <= LEDGER_BY_REQUEST; by++)
        if (ledger_usage_sum(l, (enum ledger_by)by, 0, 0, NULL, &sums, &n, NULL)) {
            for (size_t i = 0; i < n; i++)
                check(memchr(sums[i].by, 0, sizeof sums[i].by) != NULL);
            free(sums);
        }
}

static void file(const uint8_t *data, size_t size)
{
    char folder[64], where[128];
    struct error err = {0};
    check(folder_new(folder, sizeof folder) && folder_add(folder, "ledger.db", data, size));
    (void)snprintf(where, sizeof where, "sqlite:%s/ledger.db", folder);
    struct ledger *l =
        ledger_open_with(&(struct ledger_options){.where = where, .wait_ms = 1}, &err);
    if (l)
        read_all(l);
    else
        check(err.code != ERR_NONE && err.text[0]);
    ledger_close(l);
    folder_remove(folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    log_set_level(LOG_ERROR);
    if (size >= 16 && memcmp(data, "SQLite format 3", 16) == 0)
        file(data, size);
    else
        texts(slice_of((const char *)data, size));
    return 0;
}
