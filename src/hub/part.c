// part.c - unfinished downloads: opened, written, recorded, hashed, turned into blobs.
#include "hub/part.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mapping.h"
#include "hub/digest.h"
#include "hub/store_impl.h"

enum { RECORD_MAX_BYTES = 4 << 20, RECORD_EVERY_NS = 1000000000, HASH_CHUNK = 128 << 10 };

static void paths(const struct store *s, const char *id, char part[STORE_PATH_BYTES],
                  char record[STORE_PATH_BYTES])
{
    store_path(s, part, "blobs/%s.part", id);
    store_path(s, record, "blobs/%s.part.json", id);
}

bool part_read_record(struct slice text, uint64_t bytes, struct ranges *done)
{
    json_t *o = json_parse(text, NULL);
    int64_t stated = -1;
    *done = (struct ranges){0};
    bool ok = o && json_get_i64(o, "bytes", &stated) && stated >= 0 && (uint64_t)stated == bytes &&
              ranges_read(json_object_get(o, "done"), bytes, done);
    json_decref(o);
    return ok;
}

// What an earlier try left; nothing where the record is missing, or does not fit the file.
static void read_record(struct part *p, const char *path, off_t file_bytes)
{
    struct buf text = {0};
    if ((uint64_t)file_bytes == p->bytes && file_read(path, RECORD_MAX_BYTES, &text, NULL))
        (void)part_read_record(buf_view(&text), p->bytes, &p->done);
    buf_release(&text);
}

// Takes the disk's space now, where the file system can, rather than run out of it in the middle.
static bool reserve(struct part *p, const char *path, struct error *err)
{
    int failed = p->bytes ? fallocate(p->fd, 0, 0, (off_t)p->bytes) : 0;
    if (failed && (errno == EOPNOTSUPP || errno == ENOSYS))
        failed = ftruncate(p->fd, (off_t)p->bytes);
    return failed == 0 || store_write_error("write", path, errno, err);
}

// The lock is ours; is the path still this file? If not, who had the lock finished or removed it.
static bool is_still(const char *path, const struct stat *ours)
{
    struct stat st;
    return stat(path, &st) == 0 && st.st_dev == ours->st_dev && st.st_ino == ours->st_ino;
}

// Opens and locks the file. PART_BUSY also where it was exchanged in between: look again later.
static enum part_found take(struct part *p, const char *path, struct stat *st, struct error *err)
{
    p->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (p->fd < 0) {
        store_write_error("open", path, errno, err);
        return PART_FAILED;
    }
    if (flock(p->fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK || errno == EINTR)
            return PART_BUSY;
        store_write_error("lock", path, errno, err);
        return PART_FAILED;
    }
    if (fstat(p->fd, st) != 0) {
        store_write_error("stat", path, errno, err);
        return PART_FAILED;
    }
    return is_still(path, st) ? PART_OPEN : PART_BUSY;
}

enum part_found part_open(struct part *p, const struct store *s, const char *id, uint64_t bytes,
                          bool with_git, struct error *err)
{
    char path[STORE_PATH_BYTES], record[STORE_PATH_BYTES];
    struct stat st;
    *p = (struct part){.store = s, .fd = -1, .bytes = bytes, .with_git = with_git};
    (void)snprintf(p->id, sizeof p->id, "%s", id);
    paths(s, id, path, record);
    enum part_found found = take(p, path, &st, err);
    if (found == PART_OPEN) {
        read_record(p, record, st.st_size);
        if (p->done.n == 0)
            (void)unlink(record);
        if ((uint64_t)st.st_size > bytes)
            (void)ftruncate(p->fd, 0);
        if (!reserve(p, path, err))
            found = PART_FAILED;
    }
    if (found == PART_OPEN) {
        p->digest = digest_new(bytes, with_git);
        p->recorded_ns = clock_ns();
        return PART_OPEN;
    }
    ranges_release(&p->done);
    if (p->fd >= 0)
        (void)close(p->fd);
    p->fd = -1;
    return found;
}

static void release(struct part *p)
{
    if (p->fd >= 0)
        (void)close(p->fd);
    digest_free(p->digest);
    ranges_release(&p->done);
    p->digest = NULL;
    p->fd = -1;
}

void part_close(struct part *p)
{
    if (!p->store || p->fd < 0)
        return;
    part_record(p, true);
    release(p);
}

bool part_restart(struct part *p, struct error *err)
{
    char path[STORE_PATH_BYTES], record[STORE_PATH_BYTES];
    paths(p->store, p->id, path, record);
    (void)unlink(record);
    p->done.n = 0;
    p->n_hashed = 0;
    p->changed = false;
    digest_free(p->digest);
    p->digest = digest_new(p->bytes, p->with_git);
    return reserve(p, path, err);
}

void part_discard(struct part *p)
{
    char path[STORE_PATH_BYTES], record[STORE_PATH_BYTES];
    paths(p->store, p->id, path, record);
    (void)unlink(record);
    (void)unlink(path);
    release(p);
}

bool part_write(struct part *p, uint64_t at, struct slice bytes, struct error *err)
{
    for (size_t done = 0; done < bytes.len;) {
        ssize_t n = pwrite(p->fd, bytes.ptr + done, bytes.len - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            char path[STORE_PATH_BYTES];
            store_path(p->store, path, "blobs/%s.part", p->id);
            return store_write_error("write", path, n < 0 ? errno : ENOSPC, err);
        }
        done += (size_t)n;
    }
    ranges_add(&p->done, at, at + bytes.len);
    p->changed = true;
    return true;
}

// The record is exchanged whole, so that a kill leaves the old or the new one. On a full disk the
// old one stays, and the download goes on: its own space is its already.
void part_record(struct part *p, bool at_once)
{
    char path[STORE_PATH_BYTES], record[STORE_PATH_BYTES], fresh[STORE_PATH_BYTES];
    int64_t now = clock_ns();
    if (p->fd < 0 || !p->changed || (!at_once && now - p->recorded_ns < RECORD_EVERY_NS))
        return;
    p->recorded_ns = now;
    struct buf text = {0};
    paths(p->store, p->id, path, record);
    store_path(p->store, fresh, "blobs/%s.part.new", p->id);
    buf_printf(&text, "{\"bytes\":%" PRIu64 ",\"done\":", p->bytes);
    ranges_write(&p->done, &text);
    buf_text_add(&text, "}\n");
    FILE *f = fopen(fresh, "we");
    bool ok = f && fwrite(text.ptr, 1, text.len, f) == text.len;
    ok = (!f || fclose(f) == 0) && ok && rename(fresh, record) == 0;
    buf_release(&text);
    p->changed = !ok;
    if (!ok) {
        log_debug("write '%s': %s", record, strerror(errno));
        (void)unlink(fresh);
    }
}

bool part_is_whole(const struct part *p)
{
    return ranges_prefix(&p->done) == p->bytes;
}

bool part_hash(struct part *p, uint64_t max_bytes, struct error *err)
{
    char chunk[HASH_CHUNK];
    uint64_t to = ranges_prefix(&p->done);
    if (to - p->n_hashed > max_bytes)
        to = p->n_hashed + max_bytes;
    if (p->fd < 0 || to <= p->n_hashed)
        return false;
    while (p->n_hashed < to) {
        size_t want = to - p->n_hashed < sizeof chunk ? (size_t)(to - p->n_hashed) : sizeof chunk;
        ssize_t n = pread(p->fd, chunk, want, (off_t)p->n_hashed);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_set(err, ERR_IO, "read '%s.part': %s", p->id,
                             n < 0 ? strerror(errno) : "it ends too early");
        digest_add(p->digest, slice_of(chunk, (size_t)n));
        p->n_hashed += (uint64_t)n;
    }
    return true;
}

void part_hashes(struct part *p, char sha256[65], char git[41])
{
    digest_end(p->digest, sha256, git);
}

bool part_finish(struct part *p, const char *sha256, struct error *err)
{
    char path[STORE_PATH_BYTES], record[STORE_PATH_BYTES], blob[STORE_PATH_BYTES],
        folder[STORE_PATH_BYTES];
    paths(p->store, p->id, path, record);
    store_path(p->store, blob, "blobs/sha256-%s", sha256);
    store_path(p->store, folder, "blobs");
    (void)fchmod(p->fd, 0444);  // one content, perhaps of many names: nobody writes into it
    if (fsync(p->fd) != 0)
        return store_write_error("sync", path, errno, err);
    if (rename(path, blob) != 0)
        return store_write_error("rename", path, errno, err);
    (void)unlink(record);
    release(p);
    return store_sync_folder(folder, err);
}

uint64_t part_allocated(const struct store *s, const char *id, uint64_t bytes)
{
    char path[STORE_PATH_BYTES];
    struct stat st;
    store_path(s, path, "blobs/%s.part", id);
    if (stat(path, &st) != 0 || st.st_blocks <= 0)
        return 0;
    uint64_t has = (uint64_t)st.st_blocks * 512;
    return has < bytes ? has : bytes;
}
