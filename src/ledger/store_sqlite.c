// store_sqlite.c - the ledger in one file (SQLite, WAL). Everybody who uses it is on this machine.
//
// synchronous=NORMAL: what is committed survives the end of any process at once; a loss of power
// may take the last commits with it, never the file. A file that is removed or replaced under a
// connection is noticed before and after each transaction: nothing is written where nobody reads.
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "ledger/store.h"

enum { PREPARED_MAX = 64 };

struct prepared {
    const char *sql;
    sqlite3_stmt *statement;
    int places[STORE_VALUES];  // of $1...: SQLite numbers them by where they stand first
};
struct store {
    sqlite3 *db;
    char *path;
    dev_t device;
    ino_t inode;
    int64_t seen_version;
    bool gone, damaged;
    struct prepared prepared[PREPARED_MAX];
    int n_prepared;
};

static bool told(struct store *s, int code, struct error *err)
{
    switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(err, ERR_BUSY, "ledger '%s': somebody else has it locked", s->path);
    case SQLITE_FULL: return error_set(err, ERR_IO, "ledger '%s': the disk is full", s->path);
    case SQLITE_NOTADB:
        s->damaged = true;
        return error_set(err, ERR_FORMAT, "'%s' is not a ledger: no SQLite database", s->path);
    case SQLITE_CORRUPT:
        s->damaged = true;
        return error_set(err, ERR_FORMAT, "ledger '%s' is damaged: %s", s->path,
                         sqlite3_errmsg(s->db));
    case SQLITE_CONSTRAINT:
    case SQLITE_ERROR:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
        return error_set(err, ERR_INTERNAL, "ledger '%s': %s", s->path, sqlite3_errmsg(s->db));
    default: return error_set(err, ERR_IO, "ledger '%s': %s", s->path, sqlite3_errmsg(s->db));
    }
}

static bool same_file(struct store *s)
{
    struct stat st;
    if (stat(s->path, &st) != 0 || st.st_dev != s->device || st.st_ino != s->inode)
        s->gone = true;
    return !s->gone;
}

static bool script(struct store *s, const char *sql, struct error *err)
{
    int code;
    bool ends = strcmp(sql, "ROLLBACK") == 0;
    if (!ends && !same_file(s))
        return error_set(err, ERR_IO, "ledger '%s' is gone", s->path);
    code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    if (code != SQLITE_OK && !(ends && sqlite3_get_autocommit(s->db)))
        return told(s, code, err);
    if (strcmp(sql, "COMMIT") == 0 && !same_file(s))
        return error_set(err, ERR_IO, "ledger '%s' is gone", s->path);
    return true;
}

static struct prepared *prepare(struct store *s, const char *sql, struct error *err)
{
    for (int i = 0; i < s->n_prepared; i++)
        if (s->prepared[i].sql == sql)
            return &s->prepared[i];
    struct prepared *p = &s->prepared[s->n_prepared];
    int code =
        s->n_prepared < PREPARED_MAX
            ? sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &p->statement, NULL)
            : SQLITE_TOOBIG;
    if (code != SQLITE_OK) {
        told(s, code, err);
        return NULL;
    }
    for (int i = 0; i < STORE_VALUES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "$%d", i + 1);
        p->places[i] = sqlite3_bind_parameter_index(p->statement, name);
    }
    p->sql = sql;
    s->n_prepared++;
    return p;
}

static void bind(const struct prepared *p, const struct store_value *in, int n_in)
{
    for (int i = 0; i < n_in; i++) {
        if (p->places[i] && in[i].text)
            (void)sqlite3_bind_text(p->statement, p->places[i], in[i].text, -1, SQLITE_STATIC);
        else if (p->places[i])
            (void)sqlite3_bind_int64(p->statement, p->places[i], in[i].number);
    }
}

static void hand_row(sqlite3_stmt *statement, store_row_fn row, void *self)
{
    struct store_value v[STORE_VALUES] = {0};
    int n = sqlite3_column_count(statement);
    n = n < STORE_VALUES ? n : STORE_VALUES;
    for (int i = 0; i < n; i++) {
        if (sqlite3_column_type(statement, i) == SQLITE_INTEGER)
            v[i].number = sqlite3_column_int64(statement, i);
        else if (!(v[i].text = (const char *)sqlite3_column_text(statement, i)))
            v[i].text = "";
    }
    row(self, v, n);
}

static bool run(struct store *s, const char *sql, const struct store_value *in, int n_in,
                store_row_fn row, void *self, struct error *err)
{
    int code;
    struct prepared *p = prepare(s, sql, err);
    if (!p)
        return false;
    sqlite3_stmt *statement = p->statement;
    bind(p, in, n_in);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        if (row)
            hand_row(statement, row, self);
    bool ok = code == SQLITE_DONE || told(s, code, err);
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    return ok;
}

static void keep_had_row(void *self, const struct store_value *row, int n)
{
    (void)row;
    (void)n;
    *(bool *)self = true;
}

static bool run_each(struct store *s, const char *sql, const struct store_value *in, int n_in,
                     int n_rows, bool *had_row, struct error *err)
{
    for (int i = 0; i < n_rows; i++) {
        had_row[i] = false;
        if (!run(s, sql, in + (ptrdiff_t)i * n_in, n_in, keep_had_row, &had_row[i], err))
            return false;
    }
    return true;
}

static void keep_number(void *self, const struct store_value *row, int n)
{
    if (n)
        *(int64_t *)self = row[0].number;
}

static bool changed(struct store *s, bool *yes, struct error *err)
{
    int64_t version = 0;
    if (!same_file(s))
        return error_set(err, ERR_IO, "ledger '%s' is gone", s->path);
    if (!run(s, "PRAGMA data_version", NULL, 0, keep_number, &version, err))
        return false;
    *yes = version != s->seen_version;
    s->seen_version = version;
    return true;
}

static bool usable(struct store *s)
{
    return same_file(s) && !s->damaged;
}

static void store_close(struct store *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->n_prepared; i++)
        (void)sqlite3_finalize(s->prepared[i].statement);
    (void)sqlite3_close(s->db);
    free(s->path);
    free(s);
}

// Only its user may read a ledger; SQLite gives the files beside it the same rights. A file that is
// there is never opened but by SQLite: closing any descriptor of it would drop the locks of this
// process's other connections.
static bool find_file(struct store *s, bool make, struct error *err)
{
    struct stat st;
    if (make) {
        int fd = open(s->path, O_RDWR | O_CLOEXEC | O_CREAT | O_EXCL, 0600);
        if (fd >= 0)
            (void)close(fd);
        else if (errno != EEXIST)
            return error_set(err, ERR_IO, "make ledger '%s': %s", s->path, strerror(errno));
    }
    if (stat(s->path, &st) != 0)
        return error_set(err, ERR_IO, "open ledger '%s': %s", s->path, strerror(errno));
    s->device = st.st_dev;
    s->inode = st.st_ino;
    return S_ISREG(st.st_mode) || error_set(err, ERR_FORMAT, "ledger '%s' is not a file", s->path);
}

static void keep_wal(void *self, const struct store_value *row, int n)
{
    *(bool *)self = n && row[0].text && strcmp(row[0].text, "wal") == 0;
}

// The change to WAL needs the file alone and does not wait by itself.
static bool use_wal(struct store *s, int wait_ms, struct error *err)
{
    for (int waited = 0;; waited += 10) {
        bool wal = false;
        if (run(s, "PRAGMA journal_mode=WAL", NULL, 0, keep_wal, &wal, err))
            return wal ||
                   error_set(err, ERR_UNSUPPORTED,
                             "ledger '%s': its file system has no shared memory for WAL", s->path);
        if (s->damaged || waited >= wait_ms)
            return false;
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

static struct store *store_open(const char *where, bool make, int wait_ms, struct error *err)
{
    struct store *s = memory_array(struct store, 1);
    s->path = memory_text(where);
    if (!find_file(s, make, err)) {
        store_close(s);
        return NULL;
    }
    int code = sqlite3_open_v2(where, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    bool ok = code == SQLITE_OK || told(s, code, err);
    if (ok) {
        (void)sqlite3_extended_result_codes(s->db, 1);
        (void)sqlite3_busy_timeout(s->db, wait_ms);
        ok = use_wal(s, wait_ms, err) && script(s, "PRAGMA synchronous=NORMAL", err) &&
             script(s, "PRAGMA trusted_schema=OFF", err) &&
             script(s, "PRAGMA cell_size_check=ON", err);
    }
    if (!ok) {
        store_close(s);
        return NULL;
    }
    return s;
}

const struct store_ops store_sqlite = {
    .name = "sqlite",
    .one_machine = true,
    .begin = "BEGIN IMMEDIATE",
    .alone = "BEGIN IMMEDIATE",
    .tables = "SELECT count(CASE WHEN name = 'ledger_meta' THEN 1 END), count(*) FROM "
              "sqlite_schema WHERE type = 'table'",
    .open = store_open,
    .close = store_close,
    .usable = usable,
    .script = script,
    .run = run,
    .run_each = run_each,
    .changed = changed,
};
