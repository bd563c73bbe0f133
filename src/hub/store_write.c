// store_write.c - names come and go: under the store's lock, by renames that are all or nothing.
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mapping.h"
#include "hub/store_impl.h"
#include "local/formats/shown.h"

bool store_write_error(const char *what, const char *path, int error_number, struct error *err)
{
    if (error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG)
        return error_set(
            err, ERR_IO,
            "no space left on the disk (%s '%s'): make room and pull again, it goes on where it "
            "stopped",
            what, shown_path(path).text);
    return error_set(err, ERR_IO, "%s '%s': %s", what, shown_path(path).text,
                     strerror(error_number));
}

bool store_sync_folder(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);  // some file systems cannot
    if (!ok)
        store_write_error("sync", path, errno, err);
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

// mkdir -p of everything before the last slash.
static bool make_parents(const char *path, struct error *err)
{
    char folder[STORE_PATH_BYTES];
    (void)snprintf(folder, sizeof folder, "%s", path);
    for (char *p = folder + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = 0;
        if (mkdir(folder, 0777) != 0 && errno != EEXIST)
            return store_write_error("make folder", folder, errno, err);
        *p = '/';
    }
    return true;
}

bool store_prepare(const struct store *s, struct error *err)
{
    static const char *const folders[] = {"blobs", "names", "files"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char path[STORE_PATH_BYTES];
        store_path(s, path, "%s/", folders[i]);
        if (!make_parents(path, err))
            return false;
    }
    return true;
}

int store_lock(const struct store *s, struct error *err)
{
    char path[STORE_PATH_BYTES];
    store_path(s, path, "lock");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) {
        store_write_error("open", path, errno, err);
        return -1;
    }
    while (flock(fd, LOCK_EX) != 0) {
        if (errno == EINTR)  // held for moments only, so that Ctrl-C need not end the wait
            continue;
        store_write_error("lock", path, errno, err);
        (void)close(fd);
        return -1;
    }
    return fd;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static bool remove_tree(const char *path, struct error *err)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
        return true;
    return store_write_error("remove", path, errno, err);
}

// A hard link, which costs nothing and outlives a move of the store; where the file system has
// none, a symbolic link that climbs from the file's folder to the root.
static bool link_blob(const struct store *s, const char *sha256, const char *path,
                      struct error *err)
{
    char blob[STORE_PATH_BYTES];
    struct buf climb = {0};
    store_path(s, blob, "blobs/sha256-%s", sha256);
    if (!make_parents(path, err))
        return false;
    if (link(blob, path) == 0)
        return true;
    int why = errno;
    if (why != EPERM && why != EOPNOTSUPP && why != EMLINK && why != ENOSYS && why != EXDEV)
        return store_write_error("link", path, why, err);
    for (const char *p = path + strlen(s->root) + 1; (p = strchr(p, '/')) != NULL; p++)
        buf_text_add(&climb, "../");
    buf_printf(&climb, "blobs/sha256-%s", sha256);
    bool ok = symlink(buf_text(&climb), path) == 0 || store_write_error("link", path, errno, err);
    buf_release(&climb);
    return ok;
}

// The files of a name under their own names, beside the place where they will be.
static bool link_files(const struct store *s, const struct manifest *m, const char *folder,
                       struct error *err)
{
    if (!remove_tree(folder, err))  // what a killed process left
        return false;
    for (size_t i = 0; i < m->n_files; i++) {
        char path[STORE_PATH_BYTES];
        store_path(s, path, "%s/%s", folder + strlen(s->root) + 1, m->files[i].path);
        if (!link_blob(s, m->files[i].sha256, path, err))
            return false;
    }
    return true;
}

static bool write_all(int fd, struct slice bytes)
{
    for (size_t done = 0; done < bytes.len;) {
        ssize_t n = write(fd, bytes.ptr + done, bytes.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

// The last step of a name's birth: whoever sees the manifest finds everything else in place.
static bool write_manifest(const struct store *s, const struct manifest *m, struct error *err)
{
    char path[STORE_PATH_BYTES], fresh[STORE_PATH_BYTES], folder[STORE_PATH_BYTES];
    struct buf text = {0};
    store_manifest_path(s, m, path);
    store_path(s, fresh, "names/%s/.new", m->name);
    store_path(s, folder, "names/%s", m->name);
    if (!make_parents(path, err))
        return false;
    manifest_write(m, &text);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool ok = fd >= 0 && write_all(fd, buf_view(&text)) && fsync(fd) == 0;
    if (!ok)
        store_write_error("write", fresh, errno, err);
    if (fd >= 0)
        (void)close(fd);
    buf_release(&text);
    if (ok && rename(fresh, path) != 0)
        ok = store_write_error("rename", fresh, errno, err);
    return ok && store_sync_folder(folder, err);
}

static bool is_used(const struct manifest_list *all, const char *sha256)
{
    for (size_t i = 0; i < all->n; i++)
        for (size_t k = 0; k < all->items[i].n_files; k++)
            if (strcmp(all->items[i].files[k].sha256, sha256) == 0)
                return true;
    return false;
}

// Removes the blobs of a name that is gone, but for those that another one uses.
static void drop_blobs(const struct store *s, const struct manifest *m, uint64_t *freed)
{
    struct manifest_list all;
    store_list(s, &all);
    for (size_t i = 0; i < m->n_files; i++) {
        char path[STORE_PATH_BYTES];
        const struct manifest_file *f = &m->files[i];
        if (is_used(&all, f->sha256))
            continue;
        store_path(s, path, "blobs/sha256-%s", f->sha256);
        if (unlink(path) == 0)
            *freed += f->bytes;
        store_path(s, path, "blobs/git-%s", f->git);
        if (f->git[0])
            (void)unlink(path);
    }
    manifest_list_release(&all);
}

bool store_check_name(const struct store *s, const char *name, const char *repo, struct error *err)
{
    struct manifest_list all;
    bool ok = true;
    store_list(s, &all);
    for (size_t i = 0; i < all.n && ok; i++)
        if (strcmp(all.items[i].name, name) == 0 && strcasecmp(all.items[i].repo, repo) != 0)
            ok = error_set(err, ERR_UNSUPPORTED,
                           "the name '%s' is taken by %s: choose another one with --name", name,
                           all.items[i].repo);
    manifest_list_release(&all);
    return ok;
}

static bool blobs_are_there(const struct store *s, const struct manifest *m)
{
    for (size_t i = 0; i < m->n_files; i++)
        if (!store_has_blob(s, m->files[i].sha256, m->files[i].bytes))
            return false;
    return true;
}

// Puts the new files in the place of the old ones. The old manifest goes first: in between there
// is no name, rather than one that lies.
static bool replace(const struct store *s, const struct manifest *m, const char *fresh,
                    struct error *err)
{
    char manifest[STORE_PATH_BYTES], folder[STORE_PATH_BYTES];
    store_manifest_path(s, m, manifest);
    store_files_path(s, m, folder);
    if (unlink(manifest) != 0 && errno != ENOENT)
        return store_write_error("remove", manifest, errno, err);
    if (!remove_tree(folder, err))
        return false;
    if (rename(fresh, folder) != 0)
        return store_write_error("rename", fresh, errno, err);
    return write_manifest(s, m, err);
}

enum store_published store_publish(const struct store *s, const struct manifest *m,
                                   struct error *err)
{
    char fresh[STORE_PATH_BYTES], path[STORE_PATH_BYTES];
    struct manifest old = {0};
    uint64_t freed = 0;
    enum store_published done = STORE_FAILED;
    int lock = store_lock(s, err);
    if (lock < 0)
        return STORE_FAILED;
    store_path(s, fresh, "files/%s/.new", m->name);
    bool had = store_load(s, m->name, m->quant, &old, NULL);
    if (!store_check_name(s, m->name, m->repo, err))
        goto out;
    if (!blobs_are_there(s, m)) {
        done = STORE_BLOBS_GONE;
    } else if (had && manifest_same(&old, m) && store_model_path(s, &old, path, NULL)) {
        done = STORE_PUBLISHED;
    } else if (link_files(s, m, fresh, err) && replace(s, m, fresh, err)) {
        if (had)
            drop_blobs(s, &old, &freed);
        done = STORE_PUBLISHED;
    }
out:
    manifest_release(&old);
    (void)close(lock);
    return done;
}

bool store_remove(const struct store *s, const struct manifest *m, uint64_t *freed,
                  struct error *err)
{
    char path[STORE_PATH_BYTES];
    int lock = store_lock(s, err);
    if (lock < 0)
        return false;
    store_manifest_path(s, m, path);
    bool ok = unlink(path) == 0 || errno == ENOENT || store_write_error("remove", path, errno, err);
    if (ok) {
        store_files_path(s, m, path);
        ok = remove_tree(path, err);
        drop_blobs(s, m, freed);
        store_path(s, path, "names/%s/.new", m->name);
        (void)unlink(path);
        store_path(s, path, "names/%s", m->name);
        (void)rmdir(path);  // stays while it holds another quantization
        store_path(s, path, "files/%s", m->name);
        (void)rmdir(path);
    }
    (void)close(lock);
    return ok;
}
