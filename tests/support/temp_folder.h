// temp_folder.h - a folder with subfolders that is removed whole, for tests that write a store.
#pragma once
#include <ftw.h>
#include <stdio.h>

#include "folder_blob.h"

static inline int temp_remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

// HEARTH_HOME is the new folder from then on.
static inline bool temp_home(char *path, size_t path_bytes)
{
    return folder_new(path, path_bytes) && setenv("HEARTH_HOME", path, 1) == 0;
}

static inline void temp_remove(const char *path)
{
    (void)nftw(path, temp_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
