// manifest.h - what a name in the store is: repository, commit, files. A JSON file each.
//
// A manifest is data from outside like any other: every word of it is checked when it is read.
// Threads: never changes after it was read or made.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "hub/hub.h"
#include "hub/names.h"

struct buf;
struct error;

struct manifest_file {
    const char *path;
    uint64_t bytes;
    char sha256[65];
    char git[41];  // "" for files that the hub knows by their SHA-256
};

struct manifest {
    char name[NAME_BYTES];
    char quant[HUB_QUANT_BYTES];  // "" for a checkout
    char repo[HUB_REPO_BYTES], revision[HUB_REPO_BYTES], commit[65];
    char pulled[21];  // 2026-11-25T18:15:40Z
    struct manifest_file *files;
    size_t n_files;
    struct arena memory;
};

enum { MANIFEST_MAX_BYTES = 32 << 20, MANIFEST_SHOWN_BYTES = NAME_BYTES + HUB_QUANT_BYTES };

// Fills *m from the text of a manifest; name and quant are the caller's, since they are the file's
// own name. False with err (ERR_FORMAT); manifest_release is due in either case.
bool manifest_read(struct manifest *m, struct slice json, struct error *err);
void manifest_write(const struct manifest *m, struct buf *out);
void manifest_release(struct manifest *m);

// "name:quant", or "name": what stands for it as MODEL.
void manifest_shown(const struct manifest *m, char out[MANIFEST_SHOWN_BYTES]);
uint64_t manifest_bytes(const struct manifest *m);
bool manifest_is_gguf(const struct manifest *m);
// Whether both are the same files of the same commit of the same repository.
bool manifest_same(const struct manifest *a, const struct manifest *b);
