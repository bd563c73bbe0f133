// fuzz_admin.c - any bytes as what an administrator asks for: after a line, JSON of a new key;
// before it, the query of a question about usage.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "dialects/dialect.h"
#include "ledger/money.h"
#include "server/admin_read.h"

#define NOW INT64_C(1795000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static bool bounded(int64_t amount)
{
    return amount >= -1 && amount <= MONEY_MAX;
}

static void check_key(const struct ledger_key *k)
{
    check(k->name[0] && memchr(k->name, 0, sizeof k->name) &&
          memchr(k->owner, 0, sizeof k->owner) && memchr(k->models, 0, sizeof k->models));
    check(bounded(k->budget_day) && bounded(k->budget_month) && bounded(k->budget_total));
    check(k->requests_per_minute >= 0 && k->tokens_per_minute >= 0 && k->concurrency >= 0);
    check(!k->expires_s || k->expires_s >= NOW);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *line = size ? memchr(data, '\n', size) : NULL;
    size_t n = line ? (size_t)(line - (const char *)data) : size;
    struct admin_question q;
    struct dialect_error err = {0};
    if (admin_read_question(slice_of((const char *)data, n), NOW, &q, &err))
        check(q.by <= LEDGER_BY_REQUEST && memchr(q.key_id, 0, sizeof q.key_id) &&
              (q.by == LEDGER_BY_REQUEST ? q.limit > 0 && q.limit <= ADMIN_LINES_MAX : !q.limit));
    else
        check(err.text[0] != 0);
    json_t *o = line ? json_parse(slice_of(line + 1, size - n - 1), NULL) : NULL;
    struct ledger_key *k = calloc(1, sizeof *k);
    check(k != NULL);
    err.text[0] = 0;
    if (json_is_object(o) && admin_read_key(o, NOW, k, &err))
        check_key(k);
    else if (json_is_object(o))
        check(err.text[0] != 0);
    free(k);
    json_decref(o);
    return 0;
}
