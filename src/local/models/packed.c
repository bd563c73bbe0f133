#include "local/models/packed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "local/models/packed_impl.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22  // since Linux 5.14
#endif

enum { USES_TO_TRY = 16 };

struct packed {
    unsigned char *data;
    size_t bytes;
    int fd;  // of a file that is being made lasting, which holds its lock; else -1
    bool settling, moving, moved;  // moved: or is about to be
    pthread_t settler, mover;
    long n_used;
    atomic_long uses_to_move;  // LONG_MAX: never, as far as is known
    atomic_bool stop_moving;
    char temp[PACKED_PATH_BYTES], path[PACKED_PATH_BYTES];
};

// Mapped at a multiple of the huge pages' size, so that the page cache's own huge pages, where it
// has such, are mapped as a whole.
static unsigned char *map_aligned(int fd, size_t bytes)
{
    const size_t huge = PACKED_CHUNK, page = (size_t)sysconf(_SC_PAGESIZE);
    size_t kept = (bytes + page - 1) / page * page;
    unsigned char *all = mmap(NULL, kept + huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED)
        return NULL;
    size_t skip = (huge - (uintptr_t)all % huge) % huge;
    unsigned char *data = mmap(all + skip, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
    if (data == MAP_FAILED) {
        (void)munmap(all, kept + huge);
        return NULL;
    }
    if (skip)
        (void)munmap(all, skip);
    (void)munmap(data + kept, huge - skip);
    (void)madvise(data, kept, MADV_HUGEPAGE);
    return data;
}

struct check {
    const unsigned char *data;
    size_t bytes;
    const uint64_t *sums;
    int fd;
    atomic_bool unreadable, damaged;
};

// Reads a chunk into the page cache and into our page tables. A disk that fails is an error here
// and not a signal, as it would be if the mapping were read first.
static bool bring_in(const struct check *c, size_t at, size_t len)
{
    if (madvise((void *)(c->data + at), len, MADV_POPULATE_READ) == 0)
        return true;
    if (errno != EINVAL)
        return false;
    char piece[16384];  // an older kernel
    for (size_t end = at + len; at < end;) {
        ssize_t n = pread(c->fd, piece, sizeof piece, (off_t)at);
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        at += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static void check_chunk(void *self, int item, int worker)
{
    struct check *c = self;
    size_t at = (size_t)item * PACKED_CHUNK, left = c->bytes - at;
    size_t len = left < PACKED_CHUNK ? left : PACKED_CHUNK;
    (void)worker;
    if (atomic_load(&c->unreadable) || atomic_load(&c->damaged))
        return;
    if (!bring_in(c, at, len))
        atomic_store(&c->unreadable, true);
    else if (checksum_bytes(c->data + at, len) != c->sums[item])
        atomic_store(&c->damaged, true);
}

static bool check_data(const struct packed *p, int fd, const uint64_t *sums,
                       struct thread_pool *pool, struct error *err)
{
    struct check c = {.data = p->data, .bytes = p->bytes, .sums = sums, .fd = fd};
    thread_pool_run(pool, check_chunk, &c, (int)packed_n_chunks(p->bytes));
    if (atomic_load(&c.unreadable))
        return error_set(err, ERR_IO, "it cannot be read");
    return !atomic_load(&c.damaged) || error_set(err, ERR_FORMAT, "its data are damaged");
}

static bool read_whole(int fd, void *out, size_t len, off_t at)
{
    while (len > 0) {
        ssize_t n = pread(fd, out, len, at);
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        if (n > 0) {
            out = (char *)out + n;
            len -= (size_t)n;
            at += n;
        }
    }
    return true;
}

// The size must be exactly right before anything is mapped.
static bool check_end(int fd, const struct packed_shape *s, uint64_t *sums, struct error *err)
{
    struct stat st;
    size_t len = (size_t)packed_end_bytes(s);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return error_set(err, ERR_IO, "not a regular file");
    if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
        return error_set(err, ERR_IO, "others may have written it");
    if ((uint64_t)st.st_size != packed_file_bytes(s))
        return error_set(err, ERR_FORMAT, "%lld bytes instead of %" PRIu64, (long long)st.st_size,
                         packed_file_bytes(s));
    void *end = memory_new(1, len);
    bool ok = (read_whole(fd, end, len, (off_t)s->data_bytes) ||
               error_set(err, ERR_IO, "it cannot be read")) &&
              packed_end_read(s, end, len, sums, err);
    free(end);
    return ok;
}

struct packed *packed_map(int fd, const struct packed_plan *plan, struct thread_pool *pool,
                          struct error *err)
{
    const struct packed_shape *s = &plan->shape;
    uint64_t *sums = memory_array(uint64_t, (size_t)packed_n_chunks(s->data_bytes));
    struct packed *p = memory_array(struct packed, 1);
    p->bytes = (size_t)s->data_bytes;
    p->fd = -1;
    atomic_store(&p->uses_to_move, LONG_MAX);
    bool ok = check_end(fd, s, sums, err);
    if (ok && !(p->data = map_aligned(fd, p->bytes)))
        ok = error_set(err, ERR_IO, "map it: %s", strerror(errno));
    ok = ok && check_data(p, fd, sums, pool, err);
    free(sums);
    if (ok)
        return p;
    (void)close(fd);
    packed_close(p);
    return NULL;
}

struct packed *packed_open(const struct packed_options *o, const struct packed_plan *plan,
                           struct thread_pool *pool, struct error *err)
{
    char path[PACKED_PATH_BYTES];
    packed_path(o, plan, packed_ending, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        error_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "packed weights '%s': %s", path,
                  strerror(errno));
        return NULL;
    }
    struct packed *p = packed_map(fd, plan, pool, err);
    if (!p) {
        (void)error_wrap(err, "packed weights '%s'", path);
        return NULL;
    }
    (void)futimens(fd, NULL);  // the folder keeps what was used last
    (void)close(fd);
    log_debug("packed weights: mapped '%s'", path);
    return p;
}

const void *packed_at(const struct packed *p, uint64_t offset)
{
    return p->data + offset;
}

static long uses_to_move(const struct packed *p)
{
    struct packed_trial t;
    return packed_try(p->data, p->bytes, &t) ? packed_uses_to_move(&t) : LONG_MAX;
}

static void *try_to_read(void *self)
{
    struct packed *p = self;
    atomic_store(&p->uses_to_move, uses_to_move(p));
    return NULL;
}

static void *move(void *self)
{
    struct packed *p = self;
    (void)packed_move(p->data, p->bytes, &p->stop_moving);
    return NULL;
}

static void wait_for_mover(struct packed *p)
{
    if (p->moving)
        (void)pthread_join(p->mover, NULL);
    p->moving = false;
}

static void start_mover(struct packed *p, void *run(void *))
{
    wait_for_mover(p);
    p->moving = pthread_create(&p->mover, NULL, run, p) == 0;
}

void packed_used(struct packed *p)
{
    if (!p || p->moved)
        return;
    p->n_used++;
    if (p->n_used == USES_TO_TRY)
        start_mover(p, try_to_read);
    p->moved = p->n_used >= atomic_load(&p->uses_to_move);
    if (p->moved)
        start_mover(p, move);
}

void packed_warm_up(struct packed *p)
{
    if (!p || p->moved)
        return;
    wait_for_mover(p);
    p->moved = true;
    if (uses_to_move(p) != LONG_MAX)
        (void)move(p);
}

// The name comes after the bytes, also on the disk.
static void *settle(void *self)
{
    struct packed *p = self;
    char folder[PACKED_PATH_BYTES];
    if (fsync(p->fd) != 0 || rename(p->temp, p->path) != 0) {
        log_debug("packed weights '%s': %s", p->path, strerror(errno));
        (void)unlink(p->temp);
        return NULL;
    }
    log_debug("packed weights: wrote '%s'", p->path);
    (void)snprintf(folder, sizeof folder, "%s", p->path);
    *strrchr(folder, '/') = 0;
    int fd = open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
    return NULL;
}

void packed_settle(struct packed *p, int fd, const char *temp, const char *path)
{
    p->fd = fd;
    (void)snprintf(p->temp, sizeof p->temp, "%s", temp);
    (void)snprintf(p->path, sizeof p->path, "%s", path);
    p->settling = pthread_create(&p->settler, NULL, settle, p) == 0;
    if (!p->settling)
        (void)settle(p);
}

void packed_close(struct packed *p)
{
    if (!p)
        return;
    atomic_store(&p->stop_moving, true);
    wait_for_mover(p);
    if (p->settling)
        (void)pthread_join(p->settler, NULL);
    if (p->fd >= 0)
        (void)close(p->fd);
    if (p->data)
        (void)munmap(p->data, p->bytes);
    free(p);
}
