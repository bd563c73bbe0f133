// folder_blob.h - a folder of small files out of one run of bytes, for tests and fuzz targets.
//
// "=== name" lines begin a file; what stands before the next such line is its content. Names
// other than plain ones are left out. All in this header: fuzz targets link nothing else.
#pragma once
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A new empty folder, in memory where the system has such a place. path holds at least 64 bytes.
static inline bool folder_new(char *path, size_t path_bytes)
{
    const char *where = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(path, path_bytes, "%s/hearth-folder-XXXXXX", where);
    return mkdtemp(path) != NULL;
}

static inline void folder_clear(const char *path)
{
    DIR *d = opendir(path);
    const struct dirent *e;
    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.')
            (void)unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        (void)closedir(d);
}

static inline void folder_remove(const char *path)
{
    folder_clear(path);
    (void)rmdir(path);
}

static inline bool folder_add(const char *folder, const char *name, const void *bytes, size_t len)
{
    char path[4352];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && (len == 0 || write(fd, bytes, len) == (ssize_t)len);
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

static inline const char *folder_next_mark(const char *p, const char *end)
{
    for (; end - p > 4; p++)
        if (memcmp(p, "\n=== ", 5) == 0)
            return p;
    return end;
}

static inline void folder_fill(const char *folder, const char *blob, size_t len)
{
    const char *p = blob, *end = blob + len;
    if (len < 4 || memcmp(blob, "=== ", 4) != 0)
        return;
    for (int n_files = 0; p < end && n_files < 16; n_files++) {
        char name[64] = "";
        p += 4;
        const char *line = memchr(p, '\n', (size_t)(end - p));
        size_t name_len = line ? (size_t)(line - p) : (size_t)(end - p);
        const char *content = line ? line + 1 : end, *stop = folder_next_mark(content, end);
        if (line && line + 4 < end && memcmp(line, "\n=== ", 5) == 0)
            stop = line;  // an empty file: the mark follows its name at once
        if (stop < content)
            content = stop;
        if (name_len > 0 && name_len < sizeof name) {
            memcpy(name, p, name_len);
            if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == name_len &&
                name[0] != '.')
                (void)folder_add(folder, name, content, (size_t)(stop - content));
        }
        p = stop < end ? stop + 1 : end;
    }
}
