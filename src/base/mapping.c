#include "base/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/memory.h"

static int64_t ns_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct file_stamp stamp_of(const struct stat *st)
{
    return (struct file_stamp){.inode = (uint64_t)st->st_ino,
                               .bytes = (uint64_t)st->st_size,
                               .modified_ns = ns_of(st->st_mtim),
                               .changed_ns = ns_of(st->st_ctim)};
}

bool mapping_open(struct mapping *m, const char *path, struct error *err)
{
    bool ok = false;
    struct stat st;
    *m = (struct mapping){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not make us wait
    if (fd < 0)
        return error_set(err, ERR_IO, "open '%s': %s", path, strerror(errno));
    if (fstat(fd, &st) != 0) {
        error_set(err, ERR_IO, "stat '%s': %s", path, strerror(errno));
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        error_set(err, ERR_IO, "open '%s': not a regular file", path);
        goto out;
    }
    if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            error_set(err, ERR_IO, "map '%s': %s", path, strerror(errno));
            goto out;
        }
        *m = (struct mapping){.ptr = p, .len = (size_t)st.st_size};
    }
    m->stamp = stamp_of(&st);
    m->path = memory_text(path);
    ok = true;
out:
    (void)close(fd);  // the mapping outlives the descriptor
    return ok;
}

void mapping_close(struct mapping *m)
{
    if (m->ptr)
        (void)munmap((void *)m->ptr, m->len);
    free(m->path);
    *m = (struct mapping){0};
}

bool mapping_unchanged(const struct mapping *m)
{
    struct stat st;
    if (stat(m->path, &st) != 0)
        return false;
    struct file_stamp now = stamp_of(&st);
    return now.inode == m->stamp.inode && now.bytes == m->stamp.bytes &&
           now.modified_ns == m->stamp.modified_ns && now.changed_ns == m->stamp.changed_ns;
}

bool file_read(const char *path, size_t max_bytes, struct buf *out, struct error *err)
{
    bool standard = strcmp(path, "-") == 0, ok = false;
    const char *name = standard ? "standard input" : path;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, ERR_IO, "open '%s': %s", name, strerror(errno));
    char chunk[65536];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            error_set(err, ERR_IO, "read '%s': %s", name, strerror(errno));
            goto out;
        }
        if (n == 0)
            break;
        if ((size_t)n > max_bytes || out->len > max_bytes - (size_t)n) {
            error_set(err, ERR_LIMIT, "read '%s': larger than %zu bytes", name, max_bytes);
            goto out;
        }
        buf_add(out, chunk, (size_t)n);
    }
    ok = true;
out:
    if (!standard)
        (void)close(fd);
    return ok;
}

bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool file_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool file_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}
