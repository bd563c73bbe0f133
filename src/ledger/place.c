// place.c - "sqlite", "sqlite:PATH" or "postgresql://...": the store, its driver, its folder.
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mapping.h"
#include "base/memory.h"
#include "ledger/ledger_impl.h"

enum { PATH_BYTES = 4096 };
static const char driver_name[] = "hearth-postgres.so";

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

static bool default_path(char path[PATH_BYTES], struct error *err)
{
    const char *hearth = variable("HEARTH_HOME"), *data = variable("XDG_DATA_HOME");
    const char *home = variable("HOME");
    int n;
    if (hearth)
        n = snprintf(path, PATH_BYTES, "%s/ledger.db", hearth);
    else if (data && data[0] == '/')  // its specification says to ignore others
        n = snprintf(path, PATH_BYTES, "%s/hearth/ledger.db", data);
    else if (home)
        n = snprintf(path, PATH_BYTES, "%s/.local/share/hearth/ledger.db", home);
    else
        return error_set(err, ERR_USAGE, "no place for the ledger: set HEARTH_HOME or HOME");
    return (n > 0 && n < PATH_BYTES) ||
           error_set(err, ERR_LIMIT, "the path of the ledger is longer than %d bytes", PATH_BYTES);
}

static bool make_folders(const char *path, struct error *err)
{
    char folder[PATH_BYTES];
    (void)snprintf(folder, sizeof folder, "%s", path);
    for (char *p = folder + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        if (mkdir(folder, 0700) != 0 && errno != EEXIST)
            return error_set(err, ERR_IO, "make folder '%s': %s", folder, strerror(errno));
        *p = '/';
    }
    return true;
}

static bool place_sqlite(struct ledger *l, const char *path, struct error *err)
{
    char usual[PATH_BYTES];
    if (!path) {
        if (!default_path(usual, err) || !make_folders(usual, err))
            return false;
        path = usual;
    }
    if (!*path || strlen(path) >= PATH_BYTES)
        return error_set(err, ERR_USAGE, "'sqlite:' needs the path of a file");
    l->ops = &store_sqlite;
    l->where = memory_text(path);
    return true;
}

// Beside the binary, in ../lib/hearth, or above it in a build tree, where tests are.
static bool driver_path(char path[PATH_BYTES])
{
    char self[PATH_BYTES / 2];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return false;
    self[n] = 0;
    for (int up = 0; up < 4; up++) {
        char *slash = strrchr(self, '/');
        if (!slash || slash == self)
            return false;
        *slash = 0;
        (void)snprintf(path, PATH_BYTES, "%s/%s", self, driver_name);
        if (file_exists(path))
            return true;
        (void)snprintf(path, PATH_BYTES, "%s/../lib/hearth/%s", self, driver_name);
        if (up == 0 && file_exists(path))
            return true;
    }
    return false;
}

static bool place_postgres(struct ledger *l, const char *url, struct error *err)
{
    char path[PATH_BYTES];
    if (!driver_path(path))
        return error_set(err, ERR_UNSUPPORTED,
                         "a PostgreSQL ledger needs %s beside the binary or in ../lib/hearth; it "
                         "is built where libpq-dev is installed",
                         driver_name);
    l->driver = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!l->driver)
        return error_set(err, ERR_UNSUPPORTED,
                         "PostgreSQL's driver cannot be loaded (is libpq5 installed?): %s",
                         dlerror());
    const struct store_ops *(*get)(int) = NULL;
    *(void **)&get = dlsym(l->driver, "hearth_store_postgres");
    l->ops = get ? get(STORE_ABI) : NULL;
    if (!l->ops)
        return error_set(err, ERR_UNSUPPORTED, "%s belongs to another version of Hearth", path);
    l->where = memory_text(url);
    return true;
}

bool ledger_place(struct ledger *l, const char *where, struct error *err)
{
    if (!where || !*where || strcmp(where, "sqlite") == 0)
        return place_sqlite(l, NULL, err);
    if (strncmp(where, "sqlite:", 7) == 0)
        return place_sqlite(l, where + 7, err);
    if (strncmp(where, "postgresql://", 13) == 0 || strncmp(where, "postgres://", 11) == 0)
        return place_postgres(l, where, err);
    return error_set(err, ERR_USAGE,
                     "a ledger is sqlite, sqlite:PATH or postgresql://..., not '%.*s'",
                     (int)strcspn(where, ":@"), where);  // nothing that may be a password
}

void ledger_place_release(struct ledger *l)
{
    free(l->where);
    if (l->driver)
        (void)dlclose(l->driver);
}
