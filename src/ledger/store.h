// store.h - what the ledger asks of a database: SQL with few differences between two of them.
//
// Statements are written once, for both (sql.h); values are numbers of 64 bits and texts,
// never NULL. A store is one connection. Threads: one at a time for a store.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct error;
struct store;

enum { STORE_VALUES = 24, STORE_ROWS = 64, STORE_ABI = 1 };
struct store_value {
    int64_t number;
    const char *text;  // NULL: a number
};
// A row of an answer; texts live during the call.
typedef void (*store_row_fn)(void *self, const struct store_value *row, int n);

struct store_ops {
    const char *name;
    bool one_machine;      // everybody who uses it runs on this kernel
    const char *begin;     // a transaction that writes
    const char *alone;     // the same, with nobody else's beside it
    const char *tables;    // a row: whether ledger_meta is there, how many tables there are in all
    const char *lock_key;  // $1; NULL where `begin` locks everything
    const char *now;       // a row: seconds, the same for all who use it; NULL: the kernel's
    // NULL with err: ERR_IO, ERR_BUSY, ERR_FORMAT (no such database). make: where it is not there,
    // if that is ours to do. Texts of errors name no password.
    struct store *(*open)(const char *where, bool make, int wait_ms, struct error *err);
    void (*close)(struct store *s);  // NULL is fine
    // Whether the connection still leads to the database that was opened; else close it.
    bool (*usable)(struct store *s);
    // Statements without values and answers. False with err, as all that follow: ERR_BUSY (locked),
    // ERR_IO (gone, disk full), ERR_FORMAT (damaged), ERR_INTERNAL.
    bool (*script)(struct store *s, const char *sql, struct error *err);
    // One statement; $1... are `in`. It is prepared once: the text must live as long as the store,
    // and stay the same. `row` may be NULL.
    bool (*run)(struct store *s, const char *sql, const struct store_value *in, int n_in,
                store_row_fn row, void *self, struct error *err);
    // The same statement for each of at most STORE_ROWS rows of n_in values, with as few round
    // trips as there can be; had_row: whether it was answered with a row.
    bool (*run_each)(struct store *s, const char *sql, const struct store_value *in, int n_in,
                     int n_rows, bool *had_row, struct error *err);
    // Whether somebody else may have written since it was last asked; cheap.
    bool (*changed)(struct store *s, bool *yes, struct error *err);
};

extern const struct store_ops store_sqlite;
// What the shared object of PostgreSQL's store exports, by this name: NULL for another ABI.
const struct store_ops *hearth_store_postgres(int abi);
