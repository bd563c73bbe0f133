// schema.h - the ledger's tables, and how older ones become these. Threads: one at a time.
#pragma once
#include <stdbool.h>

struct error;
struct store;
struct store_ops;

enum { SCHEMA_VERSION = 2 };

// Makes what is not there and migrates what is older, in one transaction that nobody else's runs
// beside. make false: a database without a ledger is an error too. False with err: ERR_FORMAT for
// a database that is no ledger, or of a later version; else the store's own. *made: there was none.
bool schema_prepare(const struct store_ops *ops, struct store *s, bool make, bool *made,
                    struct error *err);
