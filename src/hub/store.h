// store.h - the models on this machine: names, the files that they stand for, and where they are.
//
// docs/hub.md describes the folders. Reading needs no lock: a name appears by a rename, and
// only when all its files are there. Whoever writes names holds the store's lock, an flock that
// ends with its process. Threads: a struct store never changes after store_open; calls that write
// may run in several processes at once.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/manifest.h"

struct error;

enum { STORE_ROOT_BYTES = 3000, STORE_PATH_BYTES = 4096 };

struct store {
    char root[STORE_ROOT_BYTES];
};

// Finds where the store is, from HEARTH_HOME, XDG_DATA_HOME and HOME; makes nothing. False with err
// if none of them says, or it is too long.
bool store_open(struct store *s, struct error *err);

struct manifest_list {
    struct manifest *items;  // sorted by name and quantization
    size_t n, capacity, n_broken;
};
// Every name; a manifest that cannot be read is a warning in the log. An absent store is empty.
void store_list(const struct store *s, struct manifest_list *list);
void manifest_list_release(struct manifest_list *list);
// Another number whenever a name came or went, without reading any: a look at a few folders.
uint64_t store_mark(const struct store *s);

// What "name" or "name:quant" stands for, without case. False with err: ERR_NOT_FOUND if nothing is
// called so, ERR_UNSUPPORTED if it is there in other or several quantizations, ERR_FORMAT;
// manifest_release is due in either case.
bool store_find(const struct store *s, const char *reference, struct manifest *m,
                struct error *err);
// Whether owner/name is a repository that was pulled; then how to write it, in `shown`.
bool store_has_repo(const struct store *s, const char *repo, char shown[MANIFEST_SHOWN_BYTES]);
// What the engine opens: the (first) GGUF file, or the checkout's folder. False with err if a file
// of it is missing or has another size.
bool store_model_path(const struct store *s, const struct manifest *m, char path[STORE_PATH_BYTES],
                      struct error *err);
// The reverse: the name that a path of store_model_path belongs to. False for any other path.
bool store_name_of_path(const struct store *s, const char *path, char shown[MANIFEST_SHOWN_BYTES]);

// Removes a name, its files and the blobs that no other name uses, whose bytes are added to *freed.
bool store_remove(const struct store *s, const struct manifest *m, uint64_t *freed,
                  struct error *err);
