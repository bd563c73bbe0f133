#include "ledger/schema.h"

#include <inttypes.h>

#include "base/error.h"
#include "ledger/sql.h"
#include "ledger/store.h"

// migrations[i] leads from version i to i + 1. What was released is never changed, only added to.
static const char *const migrations[SCHEMA_VERSION] = {
    "CREATE TABLE ledger_meta (only_row BIGINT PRIMARY KEY CHECK (only_row = 1), version BIGINT "
    "NOT NULL, keys_version BIGINT NOT NULL);\n"
    "INSERT INTO ledger_meta (only_row, version, keys_version) VALUES (1, 1, 0);\n"
    "CREATE TABLE ledger_keys (number BIGINT PRIMARY KEY, id TEXT NOT NULL UNIQUE, hash TEXT NOT "
    "NULL UNIQUE, hint TEXT NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL, models TEXT NOT "
    "NULL, created_s BIGINT NOT NULL, expires_s BIGINT NOT NULL, revoked_s BIGINT NOT NULL, "
    "budget_day BIGINT NOT NULL, budget_month BIGINT NOT NULL, budget_total BIGINT NOT NULL, "
    "requests_per_minute BIGINT NOT NULL, tokens_per_minute BIGINT NOT NULL, concurrency BIGINT "
    "NOT NULL, is_admin BIGINT NOT NULL, local_only BIGINT NOT NULL, changed BIGINT NOT NULL);\n"
    "CREATE TABLE ledger_usage (request_id TEXT PRIMARY KEY, key_number BIGINT NOT NULL, model "
    "TEXT NOT NULL, provider TEXT NOT NULL, served TEXT NOT NULL, at_s BIGINT NOT NULL, "
    "prompt_tokens BIGINT NOT NULL, cached_tokens BIGINT NOT NULL, cache_write_tokens BIGINT NOT "
    "NULL, completion_tokens BIGINT NOT NULL, reasoning_tokens BIGINT NOT NULL, picousd BIGINT NOT "
    "NULL, bytes_sent BIGINT NOT NULL, bytes_received BIGINT NOT NULL, first_ms BIGINT NOT NULL, "
    "total_ms BIGINT NOT NULL, estimated BIGINT NOT NULL, outcome TEXT NOT NULL);\n"
    "CREATE INDEX ledger_usage_at ON ledger_usage (at_s);\n"
    "CREATE TABLE ledger_spent (key_number BIGINT NOT NULL, kind BIGINT NOT NULL, period BIGINT "
    "NOT NULL, picousd BIGINT NOT NULL CHECK (picousd >= 0), PRIMARY KEY (key_number, kind, "
    "period));\n"
    "CREATE TABLE ledger_processes (id BIGINT PRIMARY KEY, boot TEXT NOT NULL, pid_space BIGINT "
    "NOT NULL, pid BIGINT NOT NULL, started BIGINT NOT NULL, expires_s BIGINT NOT NULL);\n"
    "CREATE TABLE ledger_leases (process BIGINT NOT NULL, key_number BIGINT NOT NULL, day BIGINT "
    "NOT NULL, month BIGINT NOT NULL, picousd BIGINT NOT NULL CHECK (picousd >= 0), wanted BIGINT "
    "NOT NULL, PRIMARY KEY (process, key_number, day));\n"
    "CREATE INDEX ledger_leases_key ON ledger_leases (key_number);\n",
    "ALTER TABLE ledger_keys ADD COLUMN priority BIGINT NOT NULL DEFAULT 0;\n"
    "ALTER TABLE ledger_keys ADD COLUMN weight BIGINT NOT NULL DEFAULT 1;\n"
    "ALTER TABLE ledger_keys ADD COLUMN share_prefixes BIGINT NOT NULL DEFAULT 0;\n",
};

struct found {
    int64_t ledgers, tables, version;
};

static void keep_tables(void *self, const struct store_value *row, int n)
{
    struct found *f = self;
    if (n == 2) {
        f->ledgers = row[0].number;
        f->tables = row[1].number;
    }
}

static void keep_version(void *self, const struct store_value *row, int n)
{
    struct found *f = self;
    if (n == 1 && !row[0].text)
        f->version = row[0].number;
}

static bool migrate(const struct store_ops *ops, struct store *s, bool make, bool *made,
                    struct error *err)
{
    struct found f = {0};
    if (!ops->run(s, ops->tables, NULL, 0, keep_tables, &f, err))
        return false;
    if (!f.ledgers && (f.tables || !make))
        return error_set(err, ERR_FORMAT, "this %s database is not a ledger of Hearth's",
                         ops->name);
    if (f.ledgers && !ops->run(s, SQL_VERSION, NULL, 0, keep_version, &f, err))
        return false;
    if (f.version > SCHEMA_VERSION)
        return error_set(err, ERR_FORMAT,
                         "the ledger is of version %" PRId64
                         ", written by a later Hearth; this one "
                         "knows up to %d",
                         f.version, SCHEMA_VERSION);
    if (f.version < 0 || (f.ledgers && f.version < 1))
        return error_set(err, ERR_FORMAT, "the ledger's version (%" PRId64 ") makes no sense",
                         f.version);
    for (int64_t v = f.version; v < SCHEMA_VERSION; v++) {
        struct store_value next = {.number = v + 1};
        if (!ops->script(s, migrations[v], err) ||
            !ops->run(s, SQL_SET_VERSION, &next, 1, NULL, NULL, err))
            return false;
    }
    *made = !f.ledgers;
    return true;
}

bool schema_prepare(const struct store_ops *ops, struct store *s, bool make, bool *made,
                    struct error *err)
{
    if (!ops->script(s, ops->alone, err))
        return false;
    if (migrate(ops, s, make, made, err) && ops->script(s, "COMMIT", err))
        return true;
    (void)ops->script(s, "ROLLBACK", NULL);
    return false;
}
