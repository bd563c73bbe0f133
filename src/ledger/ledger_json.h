// ledger_json.h - keys and usage as JSON: the same for `hearth keys` and `usage` --json and
// /admin/*.
//
// Money is an exact decimal, which a double would not hold: -1 is null. Moments are RFC 3339 in
// UTC. Threads: pure functions.
#pragma once

struct buf;
struct ledger_key;
struct ledger_spent;
struct ledger_sum;

// Appends an object with all that may be known of a key: never its secret.
void ledger_key_json(struct buf *out, const struct ledger_key *k, const struct ledger_spent *spent);
// Appends a row of usage; its cost is null where all of it is unpriced, which is not 0.
void ledger_sum_json(struct buf *out, const struct ledger_sum *s);
