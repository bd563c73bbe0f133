// download.h - files of a repository into blobs of the store: in ranges over several connections,
// going on where an earlier try was cut, each verified before it is a blob.
//
// One thread does it all: it moves the transfers on, writes, hashes and keeps the records, so that
// no lock is needed. Two processes may want the same file: one fetches it, the other waits and uses
// it. Whatever ends a download (an error, an interrupt, kill -9), the next goes on from there.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/hub.h"
#include "hub/store.h"

enum download_stage { DOWNLOAD_FETCHING, DOWNLOAD_VERIFYING, DOWNLOAD_WAITING };
struct download_progress {
    enum download_stage stage;  // waiting: for another process that fetches the same
    uint64_t n_done, n_total;   // bytes of the stage; all files together
};

struct download_options {
    int n_connections;  // 0: 4
    // Called several times a second; false ends the download with ERR_CANCELLED. May be NULL.
    bool (*progress)(void *self, const struct download_progress *p);
    void *progress_self;
};

// One file that is wanted, and the blob that it is.
struct download_file {
    const struct hub_file *file;
    char sha256[65];  // "" until it is known
};

// Fills in what is in the store already, and returns how many bytes are not.
uint64_t download_missing(const struct store *s, struct download_file *files, size_t n);
// How many bytes the disk must still give for what is missing.
uint64_t download_space(const struct store *s, const struct download_file *files, size_t n);
// False with err. *n_received grows by the bytes that came over the net.
bool download_run(struct hub *h, const struct store *s, const struct hub_repo *r,
                  struct download_file *files, size_t n, const struct download_options *o,
                  uint64_t *n_received, struct error *err);
