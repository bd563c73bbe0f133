// store.c - where the store is, what is in it, and what a name stands for.
#include "hub/store.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "hub/store_impl.h"
#include "local/formats/shown.h"

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

bool store_open(struct store *s, struct error *err)
{
    const char *hearth = variable("HEARTH_HOME"), *data = variable("XDG_DATA_HOME");
    const char *home = variable("HOME");
    int n;
    if (hearth)
        n = snprintf(s->root, sizeof s->root, "%s/models", hearth);
    else if (data && data[0] == '/')  // its specification says to ignore others
        n = snprintf(s->root, sizeof s->root, "%s/hearth/models", data);
    else if (home)
        n = snprintf(s->root, sizeof s->root, "%s/.local/share/hearth/models", home);
    else
        return error_set(err, ERR_USAGE, "no place for models: set HEARTH_HOME or HOME");
    return (n > 0 && n < (int)sizeof s->root) ||
           error_set(err, ERR_LIMIT, "the path of the store is longer than %d bytes",
                     STORE_ROOT_BYTES);
}

void store_path(const struct store *s, char out[STORE_PATH_BYTES], const char *format, ...)
{
    va_list args;
    int n = snprintf(out, STORE_PATH_BYTES, "%s/", s->root);
    va_start(args, format);
    n += vsnprintf(out + n, STORE_PATH_BYTES - (size_t)n, format, args);
    va_end(args);
    assert(n < STORE_PATH_BYTES);
}

static const char *folder_of_quant(const struct manifest *m)
{
    return m->quant[0] ? m->quant : "-";
}

void store_files_path(const struct store *s, const struct manifest *m, char out[STORE_PATH_BYTES])
{
    store_path(s, out, "files/%s/%s", m->name, folder_of_quant(m));
}

void store_manifest_path(const struct store *s, const struct manifest *m,
                         char out[STORE_PATH_BYTES])
{
    store_path(s, out, "names/%s/%s.json", m->name, folder_of_quant(m));
}

bool store_load(const struct store *s, const char *name, const char *quant, struct manifest *m,
                struct error *err)
{
    char path[STORE_PATH_BYTES];
    struct buf text = {0};
    *m = (struct manifest){0};
    (void)snprintf(m->name, sizeof m->name, "%s", name);
    (void)snprintf(m->quant, sizeof m->quant, "%s", quant);
    store_manifest_path(s, m, path);
    bool ok =
        file_read(path, MANIFEST_MAX_BYTES, &text, err) &&
        (manifest_read(m, buf_view(&text), err) || error_wrap(err, "'%s'", shown_path(path).text));
    buf_release(&text);
    return ok;
}

// "q4_k_m" of "q4_k_m.json", "" of "-.json"; false for what is no manifest.
static bool quant_of_file(const char *file, char quant[HUB_QUANT_BYTES])
{
    size_t n = strlen(file);
    if (n < 6 || n - 5 >= HUB_QUANT_BYTES || strcmp(file + n - 5, ".json") != 0)
        return false;
    (void)snprintf(quant, HUB_QUANT_BYTES, "%.*s", (int)(n - 5), file);
    if (strcmp(quant, "-") == 0)
        quant[0] = 0;
    else if (!quant[0] || !name_is_quant(quant))
        return false;
    return true;
}

// Adds the quantizations of a name; the first that cannot be read is told in *broken.
static void list_name(const struct store *s, const char *name, struct manifest_list *list,
                      struct error *broken)
{
    char path[STORE_PATH_BYTES], quant[HUB_QUANT_BYTES];
    store_path(s, path, "names/%s", name);
    DIR *d = opendir(path);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        struct manifest m;
        struct error err = {0};
        if (!quant_of_file(e->d_name, quant))
            continue;
        if (store_load(s, name, quant, &m, &err)) {
            memory_grow(list->items, list->capacity, list->n + 1);
            list->items[list->n++] = m;
            continue;
        }
        manifest_release(&m);
        if (err.code == ERR_IO)  // removed meanwhile, which is no news
            continue;
        list->n_broken++;
        if (!broken->code)
            *broken = err;
    }
    if (d)
        (void)closedir(d);
}

static int by_name(const void *a, const void *b)
{
    const struct manifest *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : strcmp(x->quant, y->quant);
}

static void sort(struct manifest_list *list)
{
    if (list->n)
        qsort(list->items, list->n, sizeof *list->items, by_name);
}

void store_list(const struct store *s, struct manifest_list *list)
{
    char path[STORE_PATH_BYTES];
    *list = (struct manifest_list){0};
    store_path(s, path, "names");
    DIR *d = opendir(path);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        struct error broken = {0};
        if (name_is_stored(e->d_name))
            list_name(s, e->d_name, list, &broken);
        if (broken.code)
            log_warn("%s: left out", broken.text);
    }
    if (d)
        (void)closedir(d);
    sort(list);
}

void manifest_list_release(struct manifest_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        manifest_release(&list->items[i]);
    free(list->items);
    *list = (struct manifest_list){0};
}

// A name's folder changes with each of its quantizations, the folder of all with each name.
static uint64_t mark_folder(const char *path, uint64_t mark)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return mark;
    uint64_t of_this[] = {(uint64_t)st.st_ino, (uint64_t)st.st_mtim.tv_sec,
                          (uint64_t)st.st_mtim.tv_nsec};
    return mark + hash_bytes(of_this, sizeof of_this, 1);  // in any order
}

uint64_t store_mark(const struct store *s)
{
    char path[STORE_PATH_BYTES];
    store_path(s, path, "names");
    uint64_t mark = mark_folder(path, 1);
    DIR *d = opendir(path);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (!name_is_stored(e->d_name))
            continue;
        store_path(s, path, "names/%s", e->d_name);
        mark = mark_folder(path, mark);
    }
    if (d)
        (void)closedir(d);
    return mark;
}

// The manifest of the wanted quantization of a name, or with NULL of the only one there is.
static bool pick(const struct store *s, const char *name, const char *quant, struct manifest *m,
                 struct error *err)
{
    struct manifest_list list = {0};
    struct error broken = {0};
    struct buf there = {0};
    size_t found = 0;
    list_name(s, name, &list, &broken);
    sort(&list);
    for (size_t i = 0; i < list.n; i++) {
        char shown[MANIFEST_SHOWN_BYTES];
        manifest_shown(&list.items[i], shown);
        buf_printf(&there, "%s%s", i ? ", " : "", shown);
        if (quant ? strcmp(list.items[i].quant, quant) == 0 : list.n == 1)
            found = i + 1;
    }
    if (found) {
        *m = list.items[found - 1];
        list.items[found - 1] = (struct manifest){0};
    } else if (list.n == 0 && broken.code) {
        error_set(err, broken.code, "%s: pull it again", broken.text);
    } else if (list.n == 0) {
        error_set(err, ERR_NOT_FOUND, "there is no model '%s' in the local store", name);
    } else if (quant) {
        error_set(err, ERR_UNSUPPORTED, "there is no '%s:%s' in the local store, but %s", name,
                  quant, buf_text(&there));
    } else {
        error_set(err, ERR_UNSUPPORTED, "'%s' is there in several quantizations: %s", name,
                  buf_text(&there));
    }
    manifest_list_release(&list);
    buf_release(&there);
    return found != 0;
}

bool store_find(const struct store *s, const char *reference, struct manifest *m, struct error *err)
{
    char name[MANIFEST_SHOWN_BYTES];
    *m = (struct manifest){0};
    int n = snprintf(name, sizeof name, "%s", reference);
    name_lower(name);
    char *quant = strchr(name, ':');
    if (quant)
        *quant++ = 0;
    if (n < 0 || n >= (int)sizeof name || !name_is_stored(name) ||
        (quant && (!quant[0] || !name_is_quant(quant))))
        return error_set(err, ERR_NOT_FOUND, "there is no model '%s' in the local store",
                         shown_name(slice_str(reference)).text);
    return pick(s, name, quant, m, err);
}

bool store_has_repo(const struct store *s, const char *repo, char shown[MANIFEST_SHOWN_BYTES])
{
    struct manifest_list list;
    bool found = false;
    store_list(s, &list);
    for (size_t i = 0; i < list.n && !found; i++) {
        found = strcasecmp(list.items[i].repo, repo) == 0;
        if (found)
            manifest_shown(&list.items[i], shown);
    }
    manifest_list_release(&list);
    return found;
}

bool store_model_path(const struct store *s, const struct manifest *m, char path[STORE_PATH_BYTES],
                      struct error *err)
{
    char folder[STORE_PATH_BYTES], shown[MANIFEST_SHOWN_BYTES];
    store_files_path(s, m, folder);
    manifest_shown(m, shown);
    for (size_t i = 0; i < m->n_files; i++) {
        struct stat st;
        store_path(s, path, "%s/%s", folder + strlen(s->root) + 1, m->files[i].path);
        if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) ||
            (uint64_t)st.st_size != m->files[i].bytes)
            return error_set(err, ERR_FORMAT,
                             "model '%s': '%s' is not as it was stored: pull %s again", shown,
                             shown_path(m->files[i].path).text, m->repo);
    }
    if (manifest_is_gguf(m))
        store_path(s, path, "%s/%s", folder + strlen(s->root) + 1, m->files[0].path);
    else
        (void)snprintf(path, STORE_PATH_BYTES, "%s", folder);
    return true;
}

bool store_name_of_path(const struct store *s, const char *path, char shown[MANIFEST_SHOWN_BYTES])
{
    char files[STORE_PATH_BYTES], real[PATH_MAX], real_path[PATH_MAX];
    store_path(s, files, "files");
    if (!realpath(files, real) || !realpath(path, real_path))
        return false;
    size_t n = strlen(real);
    if (strncmp(real_path, real, n) != 0 || real_path[n] != '/')
        return false;
    const char *name = real_path + n + 1, *quant = strchr(name, '/');
    if (!quant)
        return false;
    size_t name_len = (size_t)(quant - name), quant_len = strcspn(quant + 1, "/");
    bool plain = quant_len == 1 && quant[1] == '-';
    int len = snprintf(shown, MANIFEST_SHOWN_BYTES, "%.*s%s%.*s", (int)name_len, name,
                       plain ? "" : ":", plain ? 0 : (int)quant_len, quant + 1);
    return len > 0 && len < MANIFEST_SHOWN_BYTES;
}

bool store_has_blob(const struct store *s, const char *sha256, uint64_t bytes)
{
    char path[STORE_PATH_BYTES];
    struct stat st;
    store_path(s, path, "blobs/sha256-%s", sha256);
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == bytes;
}

bool store_find_git(const struct store *s, const char *git, uint64_t bytes, char sha256[65])
{
    char path[STORE_PATH_BYTES], target[80];
    store_path(s, path, "blobs/git-%s", git);
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n != 7 + 64 || memcmp(target, "sha256-", 7) != 0)
        return false;
    target[n] = 0;
    if (!name_is_hex(target + 7, 64) || !store_has_blob(s, target + 7, bytes))
        return false;
    memcpy(sha256, target + 7, 65);
    return true;
}

void store_name_git(const struct store *s, const char *git, const char *sha256)
{
    char path[STORE_PATH_BYTES], target[80];
    store_path(s, path, "blobs/git-%s", git);
    (void)snprintf(target, sizeof target, "sha256-%s", sha256);
    // Without it the file is only fetched again, should another pull want it.
    if (symlink(target, path) != 0 && errno == EEXIST && unlink(path) == 0 &&
        symlink(target, path) != 0)
        log_debug("link '%s': %s", path, strerror(errno));
}
