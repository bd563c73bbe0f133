// pull.h - a model of a hub into the local store, in two steps: what would be done, and doing it.
//
// Threads: one at a time. docs/hub.md says what users see.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/download.h"
#include "hub/hub.h"
#include "hub/store.h"

struct pull {
    const struct store *store;
    struct hub *hub;
    struct hub_repo repo;
    struct hub_choice choice;
    struct download_file *files;  // choice.n_files
    char name[NAME_BYTES];
    uint64_t n_missing, n_received;  // bytes
};

// Asks the hub what there is and chooses; name NULL: the repository's. Nothing is written. False
// with err; pull_release is due in either case. Hub and store must outlive *p.
bool pull_plan(struct pull *p, struct hub *h, const struct store *s,
               const struct hub_reference *ref, const char *revision, const char *name,
               struct error *err);
// Downloads what is missing and gives it its name; *m is what the name is then, for the caller to
// release in either case. ERR_CANCELLED where progress said so; the next pull goes on from there.
bool pull_run(struct pull *p, const struct download_options *o, struct manifest *m,
              struct error *err);
void pull_release(struct pull *p);
