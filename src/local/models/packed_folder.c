// packed_folder.c - the folder of packed files: its room, and who leaves when it gets narrow.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/shown_bytes.h"
#include "local/models/packed_impl.h"

const char packed_ending[] = ".packed", packed_temp_ending[] = ".packed.tmp";

#define GIB ((uint64_t)1 << 30)

void packed_path(const struct packed_options *o, const struct packed_plan *plan, const char *ending,
                 char path[PACKED_PATH_BYTES])
{
    (void)snprintf(path, PACKED_PATH_BYTES, "%s/%s%s", o->folder, plan->name, ending);
}

static bool make_folders(const char *path, struct error *err)
{
    char part[PACKED_FOLDER_BYTES];
    (void)snprintf(part, sizeof part, "%s", path);
    for (char *slash = part + 1; slash; *slash = '/') {
        slash = strchr(slash + 1, '/');
        if (slash)
            *slash = 0;
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return error_set(err, ERR_IO, "make folder '%s': %s", part, strerror(errno));
        if (!slash)
            break;
    }
    return true;
}

struct kept {
    char name[256];
    uint64_t bytes;
    struct timespec used;
};
struct listing {
    struct kept *items;
    size_t n, capacity;
    uint64_t bytes;
};

static bool ends_with(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);
    return n > m && strcmp(name + n - m, ending) == 0;
}

// A temporary file belongs to who holds its lock; without one it was left behind.
static void remove_if_left_behind(int folder, const char *name)
{
    int fd = openat(folder, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        (void)unlinkat(folder, name, 0);
    (void)close(fd);
}

static void add_file(struct listing *l, int folder, const char *name)
{
    struct stat st;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
        return;
    memory_grow(l->items, l->capacity, l->n + 1);
    struct kept *k = &l->items[l->n++];
    (void)snprintf(k->name, sizeof k->name, "%s", name);
    k->bytes = (uint64_t)st.st_size;
    k->used = st.st_mtim;  // packed_open sets it
    l->bytes += k->bytes;
}

static bool list(const char *path, const char *own_temp, struct listing *l, struct error *err)
{
    DIR *d = opendir(path);
    if (!d)
        return error_set(err, ERR_IO, "open folder '%s': %s", path, strerror(errno));
    for (struct dirent *e; (e = readdir(d));) {
        if (ends_with(e->d_name, packed_ending))
            add_file(l, dirfd(d), e->d_name);
        else if (ends_with(e->d_name, packed_temp_ending) && strcmp(e->d_name, own_temp) != 0)
            remove_if_left_behind(dirfd(d), e->d_name);
    }
    (void)closedir(d);
    return true;
}

static int oldest_first(const void *a, const void *b)
{
    const struct kept *x = a, *y = b;
    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    if (x->used.tv_nsec != y->used.tv_nsec)
        return x->used.tv_nsec < y->used.tv_nsec ? -1 : 1;
    return strcmp(x->name, y->name);
}

// What may stand in the folder, this file included, so that the disk keeps some room for others.
static uint64_t bound(const struct packed_options *o, uint64_t held, const struct statvfs *disk)
{
    uint64_t free_bytes = (uint64_t)disk->f_bavail * disk->f_frsize;
    uint64_t reserve = (uint64_t)disk->f_blocks * disk->f_frsize / 50;
    reserve = reserve < GIB ? GIB : reserve > 8 * GIB ? 8 * GIB : reserve;
    uint64_t room = free_bytes + held > reserve ? free_bytes + held - reserve : 0;
    uint64_t wanted = o->max_bytes ? o->max_bytes : (free_bytes + held) / 4;
    if (!o->max_bytes && wanted > 64 * GIB)
        wanted = 64 * GIB;
    return wanted < room ? wanted : room;
}

static bool remove_until_it_fits(const struct packed_options *o, struct listing *l, uint64_t need,
                                 struct error *err)
{
    struct statvfs disk;
    if (statvfs(o->folder, &disk) != 0)
        return error_set(err, ERR_IO, "room in '%s': %s", o->folder, strerror(errno));
    uint64_t most = bound(o, l->bytes, &disk);
    if (need > most)
        return error_set(err, ERR_LIMIT, "packed weights of %s are more than '%s' may hold (%s)",
                         shown_bytes((double)need).text, o->folder, shown_bytes((double)most).text);
    if (l->n)
        qsort(l->items, l->n, sizeof *l->items, oldest_first);
    for (size_t i = 0; i < l->n && l->bytes > most - need; i++) {
        char path[PACKED_FOLDER_BYTES + 256];
        (void)snprintf(path, sizeof path, "%s/%s", o->folder, l->items[i].name);
        if (unlink(path) != 0)
            continue;
        log_debug("packed weights: removed '%s'", path);
        l->bytes -= l->items[i].bytes;
    }
    return l->bytes <= most - need ||
           error_set(err, ERR_IO, "no room in '%s', and nothing can be removed", o->folder);
}

bool packed_make_room(const struct packed_options *o, const struct packed_plan *plan,
                      struct error *err)
{
    struct listing l = {0};
    char own_temp[sizeof plan->name + sizeof packed_temp_ending];
    (void)snprintf(own_temp, sizeof own_temp, "%s%s", plan->name, packed_temp_ending);
    bool ok = make_folders(o->folder, err) && list(o->folder, own_temp, &l, err) &&
              remove_until_it_fits(o, &l, packed_file_bytes(&plan->shape), err);
    free(l.items);
    return ok;
}
