// download_impl.h - a download in progress: its files (items) and its connections (slots).
// Threads: one.
#pragma once
#include "base/error.h"
#include "hub/download.h"
#include "hub/hub_impl.h"
#include "hub/part.h"

enum { SLOTS_MAX = 16, TRIES_MAX = 6 };

enum item_state {
    ITEM_WAITS,  // not begun, or another process has it
    ITEM_OPEN,   // its part is ours
    ITEM_DONE,   // its blob is there
};

struct item {
    struct download_file *wanted;
    enum item_state state;
    char id[PART_ID_BYTES];
    struct part part;
    char *location;  // where a redirect led, good for further ranges; NULL: ask the hub
    char etag[128];  // of the first answer that had one
    bool no_ranges;  // the server sends the whole file whatever is asked for
    bool busy;       // the part is another's
    int n_slots, n_failures, n_odd, n_changes, n_mismatches;
    int64_t not_before_ns, failed_ns;
};

struct slot {
    struct download *download;
    struct item *item;  // NULL: idle
    struct http_transfer *transfer;
    uint64_t at, to;  // what is still to come
    bool whole;       // asked without a range
    bool came;        // at least one byte
    int64_t started_ns;
    enum slot_verdict { SLOT_FINE, SLOT_START_OVER } verdict;
};

struct download {
    struct hub *hub;
    const struct store *store;
    const struct hub_repo *repo;
    const struct download_options *options;
    struct item *items;
    size_t n_items;
    struct slot slots[SLOTS_MAX];
    int n_slots;
    int64_t not_before_ns;  // the hub said: too many requests
    uint64_t n_received;
    bool failed;
    struct error err;  // of the failure
};

// Sets the failure that ends the download, wrapped with the file's name; only the first counts.
void download_fail(struct download *d, const struct item *it, const struct error *why);

// Opens the part, or finds that it is not needed. False if the download failed.
bool item_open(struct download *d, struct item *it);
// Everything that came is wrong, or cannot be trusted: forgets it and stops its slots.
void item_start_over(struct download *d, struct item *it);
// Hashes a little of what has come; at the end compares, and makes the blob. False: nothing to do.
bool item_verify(struct download *d, struct item *it);
void item_release(struct item *it);
// The next piece that no slot is at. False if there is none now.
bool item_next_piece(const struct download *d, const struct item *it, struct range *piece);

// Asks for a piece. False if the download failed.
bool slot_start(struct slot *s, struct item *it, struct range piece);
void slot_stop(struct slot *s);  // an idle one is fine
