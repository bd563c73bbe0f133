// part.h - an unfinished download: blobs/ID.part, and in ID.part.json which ranges of it are there.
//
// ID is "sha256-..." or "git-...", so that content is gone on with whatever name wanted it. The
// file has its full size from the start, which takes the disk space at once. Who writes holds an
// flock on the file itself: a killed process leaves no lock behind, and a rename takes it along.
// The record is written every second; data that is there but not recorded is fetched again. What
// has come is hashed from the front while the rest is on its way. Threads: one at a time.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "hub/ranges.h"
#include "hub/store.h"

struct digest;
struct error;

enum { PART_ID_BYTES = 72 };

struct part {
    const struct store *store;
    int fd;
    char id[PART_ID_BYTES];
    uint64_t bytes;
    struct ranges done;
    struct digest *digest;
    uint64_t n_hashed;
    int64_t recorded_ns;
    bool with_git, changed;  // changed: since the last record
};

enum part_found { PART_OPEN, PART_BUSY, PART_FAILED };
// PART_BUSY: another process writes it, or has just finished it: look for the blob, then try again.
// The store must outlive *p.
enum part_found part_open(struct part *p, const struct store *s, const char *id, uint64_t bytes,
                          bool with_git, struct error *err);
// Records what is there and gives the file back. A part that is not open is fine.
void part_close(struct part *p);
// Forgets everything that came. False with err if the disk has no room for a fresh file.
bool part_restart(struct part *p, struct error *err);
void part_discard(struct part *p);  // the same, and closes and removes it

bool part_write(struct part *p, uint64_t at, struct slice bytes, struct error *err);
// Writes the record if something changed and a second has passed, or at once.
void part_record(struct part *p, bool at_once);
bool part_is_whole(const struct part *p);
// Hashes up to max_bytes of what has come without a gap. False if nothing was left to do, or with
// err set (ERR_IO).
bool part_hash(struct part *p, uint64_t max_bytes, struct error *err);
// The hashes of the whole; part_hash has been through it. Once until part_restart.
void part_hashes(struct part *p, char sha256[65], char git[41]);
// Makes the blob sha256-... of a verified part, safe on disk, and closes it.
bool part_finish(struct part *p, const char *sha256, struct error *err);
// What the disk has already given to an unfinished download of this id.
uint64_t part_allocated(const struct store *s, const char *id, uint64_t bytes);

// Reads a record; false for one that does not fit, and *done is empty. For tests and fuzzing.
bool part_read_record(struct slice json, uint64_t bytes, struct ranges *done);
