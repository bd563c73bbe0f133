// store_postgres.c - the ledger in PostgreSQL, for several servers with one truth: a shared object,
// hearth-postgres.so, that is loaded when it is asked for. Nothing else of Hearth needs libpq.
//
// Waiting is bounded everywhere: to connect, for a lock, for a statement, for a network that no
// longer answers. What libpq says of a failed connection names host and user, never a password.
#include <libpq-fe.h>
#include <stdio.h>

#include "base/error.h"
#include "base/memory.h"
#include "ledger/store.h"

enum { PREPARED_MAX = 64, NUMBER_BYTES = 24, TYPE_INT8 = 20, TYPE_INT4 = 23 };

struct store {
    PGconn *db;
    const char *prepared[PREPARED_MAX];
    int n_prepared;
};

static bool one_line(enum error_code code, const char *text, struct error *err)
{
    error_set(err, code, "ledger in PostgreSQL: %.*s", (int)strcspn(text, "\n"), text);
    return false;
}

// SQLSTATE's first two letters are its class.
static bool told(struct store *s, const PGresult *r, struct error *err)
{
    const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    const char *text = r ? PQresultErrorMessage(r) : PQerrorMessage(s->db);
    enum error_code code = ERR_IO;
    if (state && (strncmp(state, "40", 2) == 0 || strncmp(state, "55", 2) == 0 ||
                  strcmp(state, "57014") == 0))
        code = ERR_BUSY;  // serialization, deadlock, lock not available; too slow
    else if (state && strncmp(state, "XX", 2) == 0)
        code = ERR_FORMAT;
    else if (state && (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0 ||
                       strncmp(state, "42", 2) == 0))
        code = ERR_INTERNAL;
    return one_line(code, text && *text ? text : "the connection is lost", err);
}

static bool ended_well(const PGresult *r)
{
    ExecStatusType status = PQresultStatus(r);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static bool script(struct store *s, const char *sql, struct error *err)
{
    PGresult *r = PQexec(s->db, sql);
    // A COMMIT of a transaction that failed before is answered with ROLLBACK, which is no error.
    bool ok = ended_well(r) && (strcmp(sql, "COMMIT") != 0 || strcmp(PQcmdStatus(r), sql) == 0);
    if (!ok)
        told(s, ended_well(r) ? NULL : r, err);
    PQclear(r);
    return ok;
}

static bool prepare(struct store *s, const char *sql, char name[NUMBER_BYTES], struct error *err)
{
    int i = 0;
    while (i < s->n_prepared && s->prepared[i] != sql)
        i++;
    (void)snprintf(name, NUMBER_BYTES, "hearth_%d", i);
    if (i < s->n_prepared)
        return true;
    if (i == PREPARED_MAX)
        return error_set(err, ERR_INTERNAL, "too many statements");
    PGresult *r = PQprepare(s->db, name, sql, 0, NULL);
    bool ok = ended_well(r) || told(s, r, err);
    PQclear(r);
    if (ok)
        s->prepared[s->n_prepared++] = sql;
    return ok;
}

static void hand_rows(const PGresult *r, store_row_fn row, void *self)
{
    int n = PQnfields(r) < STORE_VALUES ? PQnfields(r) : STORE_VALUES;
    for (int i = 0; i < PQntuples(r); i++) {
        struct store_value v[STORE_VALUES] = {0};
        for (int k = 0; k < n; k++) {
            const char *text = PQgetvalue(r, i, k);
            if (PQftype(r, k) == TYPE_INT8 || PQftype(r, k) == TYPE_INT4)
                v[k].number = strtoll(text, NULL, 10);
            else
                v[k].text = text;
        }
        row(self, v, n);
    }
}

struct written {
    char numbers[STORE_VALUES][NUMBER_BYTES];
    const char *texts[STORE_VALUES];
};

static void write_values(struct written *out, const struct store_value *in, int n_in)
{
    for (int i = 0; i < n_in; i++) {
        (void)snprintf(out->numbers[i], NUMBER_BYTES, "%lld", (long long)in[i].number);
        out->texts[i] = in[i].text ? in[i].text : out->numbers[i];
    }
}

static bool run(struct store *s, const char *sql, const struct store_value *in, int n_in,
                store_row_fn row, void *self, struct error *err)
{
    char name[NUMBER_BYTES];
    struct written v;
    if (!prepare(s, sql, name, err))
        return false;
    write_values(&v, in, n_in);
    PGresult *r = PQexecPrepared(s->db, name, n_in, v.texts, NULL, NULL, 0);
    bool ok = ended_well(r) || told(s, r, err);
    if (ok && row)
        hand_rows(r, row, self);
    PQclear(r);
    return ok;
}

// Each statement that was sent has an answer, then NULL; after all of them comes the mark.
static bool take_answers(struct store *s, int n_sent, bool *had_row, struct error *err)
{
    bool ok = true;
    for (int i = 0; i < n_sent; i++) {
        PGresult *r = PQgetResult(s->db);
        if (ok && !ended_well(r))
            ok = told(s, r, err);
        had_row[i] = ok && PQntuples(r) > 0;
        PQclear(r);
        PQclear(PQgetResult(s->db));
    }
    PGresult *mark = PQgetResult(s->db);
    if (ok && PQresultStatus(mark) != PGRES_PIPELINE_SYNC)
        ok = told(s, NULL, err);
    PQclear(mark);
    return ok;
}

// All statements of a group are sent before their answers are read; STORE_ROWS of them with their
// answers fit what both sides' sockets hold, so that neither waits for the other.
static bool run_each(struct store *s, const char *sql, const struct store_value *in, int n_in,
                     int n_rows, bool *had_row, struct error *err)
{
    char name[NUMBER_BYTES];
    int n_sent = 0;
    if (!prepare(s, sql, name, err))
        return false;
    if (!PQenterPipelineMode(s->db))
        return told(s, NULL, err);
    for (; n_sent < n_rows; n_sent++) {
        struct written v;
        write_values(&v, in + (ptrdiff_t)n_sent * n_in, n_in);
        if (!PQsendQueryPrepared(s->db, name, n_in, v.texts, NULL, NULL, 0))
            break;
    }
    bool ok = PQpipelineSync(s->db) && n_sent == n_rows;
    if (!ok)
        told(s, NULL, err);
    ok = take_answers(s, n_sent, had_row, ok ? err : NULL) && ok;
    return PQexitPipelineMode(s->db) && ok;
}

static bool changed(struct store *s, bool *yes, struct error *err)
{
    (void)s;
    (void)err;
    *yes = true;  // the look itself is one small query
    return true;
}

static bool usable(struct store *s)
{
    return PQstatus(s->db) == CONNECTION_OK && PQpipelineStatus(s->db) == PQ_PIPELINE_OFF;
}

static void store_close(struct store *s)
{
    if (!s)
        return;
    PQfinish(s->db);
    free(s);
}

static void be_silent(void *self, const PGresult *notice)
{
    (void)self;
    (void)notice;
}

static bool begin_session(struct store *s, int wait_ms, struct error *err)
{
    char set[256];
    const char *encoding = PQparameterStatus(s->db, "server_encoding");
    if (!encoding || strcmp(encoding, "UTF8") != 0)
        return error_set(err, ERR_UNSUPPORTED,
                         "ledger in PostgreSQL: the database's encoding is %s, it must be UTF8",
                         encoding ? encoding : "unknown");
    if (PQserverVersion(s->db) < 90500)
        return error_set(err, ERR_UNSUPPORTED, "ledger in PostgreSQL: needs 9.5 or later");
    (void)snprintf(set, sizeof set,
                   "SET client_encoding = 'UTF8'; SET statement_timeout = 30000; SET lock_timeout "
                   "= %d; SET default_transaction_isolation = 'read committed'",
                   wait_ms);
    return script(s, set, err);
}

// An address that is not understood is not repeated, nor is one whose host holds an "@": then a
// part of its password would be told.
static bool understood(const char *where, struct error *err)
{
    PQconninfoOption *all = PQconninfoParse(where, NULL);
    bool ok = all != NULL;
    for (PQconninfoOption *o = all; o && o->keyword; o++)
        if (o->val && strchr(o->val, '@') && strcmp(o->keyword, "password") != 0)
            ok = false;
    PQconninfoFree(all);
    return ok || error_set(err, ERR_USAGE,
                           "ledger in PostgreSQL: its address is not understood (write special "
                           "characters of a password as %%40, or give it in PGPASSWORD)");
}

static struct store *store_open(const char *where, bool make, int wait_ms, struct error *err)
{
    // What the address says itself counts more than these: it is expanded last.
    const char *const names[] = {
        "connect_timeout",  "tcp_user_timeout", "keepalives_idle", "keepalives_interval",
        "keepalives_count", "application_name", "dbname",          NULL};
    const char *const values[] = {"5", "10000", "10", "5", "3", "hearth", where, NULL};
    (void)make;
    if (!understood(where, err))
        return NULL;
    struct store *s = memory_array(struct store, 1);
    s->db = PQconnectdbParams(names, values, 1);
    bool ok = PQstatus(s->db) == CONNECTION_OK || one_line(ERR_IO, PQerrorMessage(s->db), err);
    if (ok) {
        (void)PQsetNoticeReceiver(s->db, be_silent, NULL);
        ok = begin_session(s, wait_ms, err);
    }
    if (!ok) {
        store_close(s);
        return NULL;
    }
    return s;
}

static const struct store_ops store_postgres = {
    .name = "PostgreSQL",
    .begin = "BEGIN",
    .alone = "BEGIN; SELECT pg_advisory_xact_lock(7521962890)",
    .tables = "SELECT CASE WHEN to_regclass('ledger_meta') IS NULL THEN 0 ELSE 1 END, 0",
    .lock_key = "SELECT number FROM ledger_keys WHERE number = $1 FOR UPDATE",
    .now = "SELECT CAST(floor(extract(epoch FROM clock_timestamp())) AS BIGINT)",
    .open = store_open,
    .close = store_close,
    .usable = usable,
    .script = script,
    .run = run,
    .run_each = run_each,
    .changed = changed,
};

__attribute__((visibility("default"))) const struct store_ops *hearth_store_postgres(int abi)
{
    return abi == STORE_ABI ? &store_postgres : NULL;
}
