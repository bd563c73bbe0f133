// packed_writer.c - a file of packed weights while it is written.
//
// Bytes gather in a buffer and go out in whole chunks, which lets the page cache hold them on huge
// pages; each is summed on its way. write() tells of a full disk; a mapping would end the process.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "local/formats/model_file.h"
#include "local/models/packed_impl.h"

struct packed_writer {
    const struct packed_plan *plan;
    char temp[PACKED_PATH_BYTES], path[PACKED_PATH_BYTES];
    int fd;
    unsigned char *buffer;
    size_t capacity, used;
    uint64_t written;  // bytes of the file before the buffer's first
    uint64_t *sums;
};

// The lock says that this process writes the file, until it or its descriptor ends.
static bool open_locked(struct packed_writer *w, struct error *err)
{
    struct stat ours, there;
    w->fd = open(w->temp, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (w->fd < 0)
        return error_set(err, ERR_IO, "write '%s': %s", w->temp, strerror(errno));
    if (flock(w->fd, LOCK_EX | LOCK_NB) != 0)
        return error_set(err, ERR_IO, "write '%s': another process does", w->temp);
    // Who held the lock before may have renamed or removed the file that was opened.
    if (fstat(w->fd, &ours) != 0 || !S_ISREG(ours.st_mode) || lstat(w->temp, &there) != 0 ||
        ours.st_ino != there.st_ino || ours.st_dev != there.st_dev)
        return error_set(err, ERR_IO, "write '%s': another process did", w->temp);
    return true;
}

static bool reserve(const struct packed_writer *w, struct error *err)
{
    off_t bytes = (off_t)packed_file_bytes(&w->plan->shape);
    if (ftruncate(w->fd, 0) != 0 || fchmod(w->fd, 0600) != 0)
        return error_set(err, ERR_IO, "write '%s': %s", w->temp, strerror(errno));
    if (fallocate(w->fd, 0, 0, bytes) != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
        return error_set(err, ERR_IO, "write '%s': %s", w->temp, strerror(errno));
    return true;
}

struct packed_writer *packed_writer_new(const struct packed_options *o,
                                        const struct packed_plan *plan, struct error *err)
{
    if (!packed_make_room(o, plan, err))
        return NULL;
    struct packed_writer *w = memory_array(struct packed_writer, 1);
    w->plan = plan;
    packed_path(o, plan, packed_temp_ending, w->temp);
    packed_path(o, plan, packed_ending, w->path);
    w->sums = memory_array(uint64_t, (size_t)packed_n_chunks(plan->shape.data_bytes));
    if (!open_locked(w, err)) {
        if (w->fd >= 0)
            (void)close(w->fd);  // another's file stays
        w->fd = -1;
    } else if (reserve(w, err)) {
        return w;
    }
    packed_writer_drop(w);
    return NULL;
}

void *packed_writer_room(struct packed_writer *w, size_t bytes)
{
    if (bytes > SIZE_MAX - w->used - PACKED_CHUNK)
        return NULL;
    if (w->used + bytes > w->capacity) {
        size_t capacity = w->used + bytes + PACKED_CHUNK;
        unsigned char *larger = memory_big_new(capacity);
        if (!larger)
            return NULL;
        if (w->used)
            memcpy(larger, w->buffer, w->used);
        memory_big_free(w->buffer, w->capacity);
        w->buffer = larger;
        w->capacity = capacity;
    }
    return w->buffer + w->used;
}

static bool write_out(struct packed_writer *w, const void *bytes, size_t len, struct error *err)
{
    while (len > 0) {
        ssize_t n = pwrite(w->fd, bytes, len, (off_t)w->written);
        if (n == 0 || (n < 0 && errno != EINTR))
            return error_set(err, ERR_IO, "write '%s': %s", w->temp,
                             n == 0 ? "nothing was taken" : strerror(errno));
        if (n > 0) {
            bytes = (const char *)bytes + n;
            w->written += (uint64_t)n;
            len -= (size_t)n;
        }
    }
    return true;
}

// All whole chunks, or with `rest` everything.
static bool flush(struct packed_writer *w, bool rest, struct error *err)
{
    size_t out = rest ? w->used : w->used / PACKED_CHUNK * PACKED_CHUNK;
    for (size_t at = 0; at < out; at += PACKED_CHUNK) {
        size_t len = out - at < PACKED_CHUNK ? out - at : PACKED_CHUNK;
        w->sums[w->written / PACKED_CHUNK] = checksum_bytes(w->buffer + at, len);
        if (!write_out(w, w->buffer + at, len, err))
            return false;
    }
    if (out)
        memmove(w->buffer, w->buffer + out, w->used - out);
    w->used -= out;
    return true;
}

bool packed_writer_add(struct packed_writer *w, size_t bytes, struct error *err)
{
    w->used += bytes;
    return flush(w, false, err);
}

bool packed_writer_align(struct packed_writer *w, struct error *err)
{
    size_t gap = (size_t)((PACKED_ALIGN - (w->written + w->used) % PACKED_ALIGN) % PACKED_ALIGN);
    if (gap == 0)
        return true;
    void *room = packed_writer_room(w, gap);
    if (!room)
        return error_set(err, ERR_MEMORY, "no memory for %zu bytes", gap);
    memset(room, 0, gap);
    return packed_writer_add(w, gap, err);
}

static bool unchanged(const struct model_file *file, struct error *err)
{
    for (size_t i = 0; i < model_file_n_mappings(file); i++)
        if (!mapping_unchanged(model_file_mapping(file, i)))
            return error_set(err, ERR_IO, "'%s' changed meanwhile", model_file_path(file));
    return true;
}

static bool write_end(struct packed_writer *w, struct error *err)
{
    const struct packed_shape *s = &w->plan->shape;
    size_t len = (size_t)packed_end_bytes(s);
    if (!flush(w, true, err))
        return false;
    if (w->written != s->data_bytes)
        return error_set(err, ERR_INTERNAL, "write '%s': not what was planned", w->temp);
    void *end = memory_new(1, len);
    packed_end_write(s, w->sums, end);
    bool ok = write_out(w, end, len, err);
    free(end);
    return ok;
}

struct packed *packed_writer_end(struct packed_writer *w, const struct model_file *file,
                                 struct thread_pool *pool, struct error *err)
{
    struct packed *p = NULL;
    if (write_end(w, err) && unchanged(file, err)) {
        int fd = w->fd;
        w->fd = -1;  // packed_map's now
        p = packed_map(fd, w->plan, pool, err);
        if (p)
            packed_settle(p, fd, w->temp, w->path);
        else
            (void)unlink(w->temp);
    }
    packed_writer_drop(w);
    return p;
}

void packed_writer_drop(struct packed_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0) {
        (void)unlink(w->temp);
        (void)close(w->fd);
    }
    memory_big_free(w->buffer, w->capacity);
    free(w->sums);
    free(w);
}
