// mapping.h - a file mapped read-only, or read whole where it cannot be mapped.
//
// Threads: immutable after open. A file that shrinks under a mapping makes reads fault; the
// caller keeps model files in place while they are open, as every engine asks.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct buf;
struct error;

// Which file, and which state of it: equal stamps of a file mean equal contents, as far as the
// file system keeps times (every write moves `changed`, which programs cannot set).
struct file_stamp {
    uint64_t inode, bytes;
    int64_t modified_ns, changed_ns;
};
struct mapping {
    const unsigned char *ptr;
    size_t len;
    char *path;               // as it was opened
    struct file_stamp stamp;  // when it was opened
};

// Maps a regular file; an empty file gives len 0. False with err (ERR_IO).
bool mapping_open(struct mapping *m, const char *path, struct error *err);
void mapping_close(struct mapping *m);
// Whether the path still names the file that was opened, and nobody wrote to it since.
bool mapping_unchanged(const struct mapping *m);

// Reads a file (or standard input for "-") of at most max_bytes into out. False with err.
bool file_read(const char *path, size_t max_bytes, struct buf *out, struct error *err);
bool file_exists(const char *path);
bool file_is_folder(const char *path);
// Whether two paths are one file, however they are written; false if either is not there.
bool file_same(const char *a, const char *b);
