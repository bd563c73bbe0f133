// store_impl.h - what the files of hub/ share about the store's folders. Threads: as store.h.
#pragma once
#include "hub/store.h"

// root/..., cut never: every part of a path in the store has a bound (names.h).
void store_path(const struct store *s, char out[STORE_PATH_BYTES], const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// The folder of a name's files, and the file that is its manifest.
void store_files_path(const struct store *s, const struct manifest *m, char out[STORE_PATH_BYTES]);
void store_manifest_path(const struct store *s, const struct manifest *m,
                         char out[STORE_PATH_BYTES]);

// The manifest of exactly this name. False with err (ERR_IO: there is no such file);
// manifest_release is due in either case.
bool store_load(const struct store *s, const char *name, const char *quant, struct manifest *m,
                struct error *err);
bool store_prepare(const struct store *s, struct error *err);  // makes the folders
// Waits for the store's lock. A descriptor to close, which ends it; -1 with err.
int store_lock(const struct store *s, struct error *err);

bool store_has_blob(const struct store *s, const char *sha256, uint64_t bytes);
// Finds the blob that git's id stands for, by the link that store_name_git left.
bool store_find_git(const struct store *s, const char *git, uint64_t bytes, char sha256[65]);
void store_name_git(const struct store *s, const char *git, const char *sha256);

// Whether the name is free or of the same repository. False with err, which mentions --name.
bool store_check_name(const struct store *s, const char *name, const char *repo, struct error *err);

enum store_published { STORE_PUBLISHED, STORE_BLOBS_GONE, STORE_FAILED };
// Makes a name of blobs that are there. BLOBS_GONE: somebody removed one meanwhile; fetch again.
enum store_published store_publish(const struct store *s, const struct manifest *m,
                                   struct error *err);

// One line for a failed write: a full disk is told as such. False.
bool store_write_error(const char *what, const char *path, int error_number, struct error *err);
bool store_sync_folder(const char *path,
                       struct error *err);  // so that a rename survives power loss
