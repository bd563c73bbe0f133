// sql.h - every statement of the ledger, for both databases: what is here both understand alike.
//
// Numbers get a type where nothing else gives them one (CAST). Money never overflows: what would be
// more than MONEY_MAX stays there. Tables: schema.c. Kinds of budgets: 0 day, 1 month, 2 total.
#pragma once

#define SQL_VERSION "SELECT version FROM ledger_meta"
#define SQL_SET_VERSION "UPDATE ledger_meta SET version = $1"

// Keys. Every change gets the next number, so that who has read up to one reads only what is newer.
#define KEY_COLUMNS                                                                                \
    "number, id, hash, hint, name, owner, models, created_s, expires_s, revoked_s, budget_day, "   \
    "budget_month, budget_total, requests_per_minute, tokens_per_minute, concurrency, is_admin, "  \
    "local_only, priority, weight, share_prefixes, changed"
static const char sql_keys_change[] =
    "UPDATE ledger_meta SET keys_version = keys_version + 1 RETURNING keys_version";
static const char sql_key_number[] = "SELECT coalesce(max(number) + 1, 0) FROM ledger_keys";
static const char sql_key_insert[] =
    "INSERT INTO ledger_keys (" KEY_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "
    "$11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)";
static const char sql_key_revoke[] =
    "UPDATE ledger_keys SET revoked_s = CASE WHEN revoked_s > 0 THEN revoked_s ELSE CAST($2 AS "
    "BIGINT) END, changed = $3 WHERE id = $1 RETURNING number";
static const char sql_keys_since[] =
    "SELECT " KEY_COLUMNS " FROM ledger_keys WHERE changed > $1 ORDER BY number";
static const char sql_key_of_id[] = "SELECT number FROM ledger_keys WHERE id = $1";

// What a look at the database brings: whether keys changed, and whether others wait for what this
// process has leased.
static const char sql_poll[] =
    "SELECT keys_version, (SELECT count(*) FROM ledger_leases WHERE process = $1 AND wanted = 1) "
    "FROM ledger_meta";
static const char sql_wanted[] =
    "SELECT key_number, day FROM ledger_leases WHERE process = $1 AND wanted = 1";

// Usage. A request that is there already brings no row.
static const char sql_usage_insert[] =
    "INSERT INTO ledger_usage (request_id, key_number, model, provider, served, at_s, "
    "prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens, "
    "picousd, bytes_sent, bytes_received, first_ms, total_ms, estimated, outcome) VALUES ($1, $2, "
    "$3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) ON CONFLICT "
    "(request_id) DO NOTHING RETURNING key_number";
// $1 key, $2 day, $3 month, $4 what was spent, $5 MONEY_MAX.
static const char sql_spend[] =
    "INSERT INTO ledger_spent (key_number, kind, period, picousd) VALUES "
    "(CAST($1 AS BIGINT), 0, CAST($2 AS BIGINT), CAST($4 AS BIGINT)), "
    "(CAST($1 AS BIGINT), 1, CAST($3 AS BIGINT), CAST($4 AS BIGINT)), "
    "(CAST($1 AS BIGINT), 2, 0, CAST($4 AS BIGINT)) "
    "ON CONFLICT (key_number, kind, period) DO UPDATE SET picousd = CASE WHEN ledger_spent.picousd "
    "> CAST($5 AS BIGINT) - excluded.picousd THEN CAST($5 AS BIGINT) ELSE ledger_spent.picousd + "
    "excluded.picousd END";

// Leases. $1 process, $2 key, $3 day.
static const char sql_lease_less[] =
    "UPDATE ledger_leases SET picousd = CASE WHEN picousd > CAST($4 AS BIGINT) THEN picousd - "
    "CAST($4 AS BIGINT) ELSE 0 END, wanted = 0 WHERE process = $1 AND key_number = $2 AND day = $3 "
    "RETURNING picousd";
static const char sql_lease_more[] =
    "INSERT INTO ledger_leases (process, key_number, day, month, picousd, wanted) SELECT id, "
    "CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS BIGINT), CAST($5 AS BIGINT), 0 FROM "
    "ledger_processes WHERE id = $1 ON CONFLICT (process, key_number, day) DO UPDATE SET picousd = "
    "ledger_leases.picousd + excluded.picousd RETURNING picousd";
static const char sql_lease_drop[] =
    "DELETE FROM ledger_leases WHERE process = $1 AND key_number = $2 AND day = $3 AND picousd = 0";
static const char sql_leases_of[] =
    "SELECT key_number, day, picousd FROM ledger_leases WHERE process = $1";
static const char sql_lease_want[] =
    "UPDATE ledger_leases SET wanted = 1 WHERE key_number = $1 AND process <> $2 AND picousd > 0";
// $1 key, $2 day, $3 month, $4 process: spent in the three, leased in the three, leased by others.
static const char sql_left[] =
    "SELECT "
    "coalesce((SELECT picousd FROM ledger_spent WHERE key_number = $1 AND kind = 0 AND period = "
    "$2), 0), "
    "coalesce((SELECT picousd FROM ledger_spent WHERE key_number = $1 AND kind = 1 AND period = "
    "$3), 0), "
    "coalesce((SELECT picousd FROM ledger_spent WHERE key_number = $1 AND kind = 2 AND period = "
    "0), 0), "
    "coalesce((SELECT CAST(sum(picousd) AS BIGINT) FROM ledger_leases WHERE key_number = $1 AND "
    "day = $2), 0), "
    "coalesce((SELECT CAST(sum(picousd) AS BIGINT) FROM ledger_leases WHERE key_number = $1 AND "
    "month = $3), 0), "
    "coalesce((SELECT CAST(sum(picousd) AS BIGINT) FROM ledger_leases WHERE key_number = $1), 0), "
    "coalesce((SELECT CAST(sum(picousd) AS BIGINT) FROM ledger_leases WHERE key_number = $1 AND "
    "process <> $4), 0)";

// Processes that lease. $1 process.
static const char sql_process_insert[] =
    "INSERT INTO ledger_processes (id, boot, pid_space, pid, started, expires_s) VALUES ($1, $2, "
    "$3, $4, $5, $6) ON CONFLICT (id) DO UPDATE SET expires_s = excluded.expires_s";
static const char sql_process_renew[] =
    "UPDATE ledger_processes SET expires_s = $2 WHERE id = $1 RETURNING id";
static const char sql_processes[] =
    "SELECT id, boot, pid_space, pid, started, expires_s FROM ledger_processes WHERE id <> $1";
static const char sql_process_leases_delete[] = "DELETE FROM ledger_leases WHERE process = $1";
static const char sql_process_delete[] = "DELETE FROM ledger_processes WHERE id = $1";
static const char sql_leases_of_nobody[] =
    "DELETE FROM ledger_leases WHERE process NOT IN (SELECT id FROM ledger_processes)";
