#include "base/places.h"

#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mapping.h"

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

bool place_data(const char *name, char path[PLACE_BYTES], struct error *err)
{
    const char *hearth = variable("HEARTH_HOME"), *data = variable("XDG_DATA_HOME");
    const char *home = variable("HOME");
    int n;
    if (hearth)
        n = snprintf(path, PLACE_BYTES, "%s/%s", hearth, name);
    else if (data && data[0] == '/')  // its specification says to ignore others
        n = snprintf(path, PLACE_BYTES, "%s/hearth/%s", data, name);
    else if (home)
        n = snprintf(path, PLACE_BYTES, "%s/.local/share/hearth/%s", home, name);
    else
        return error_set(err, ERR_USAGE, "no place for %s: set HEARTH_HOME or HOME", name);
    return (n > 0 && n < PLACE_BYTES) ||
           error_set(err, ERR_LIMIT, "the path of %s is longer than %d bytes", name, PLACE_BYTES);
}

bool place_near_program(const char *sub, bool (*take)(const char *folder, void *self), void *self)
{
    char at[PLACE_BYTES], folder[PLACE_BYTES];
    ssize_t n = readlink("/proc/self/exe", at, sizeof at - 1);
    if (n <= 0)
        return false;
    at[n] = 0;
    char *slash = strrchr(at, '/');
    if (!slash)
        return false;
    *slash = 0;
    if (snprintf(folder, sizeof folder, "%s/../share/hearth", at) < (int)sizeof folder &&
        take(folder, self))
        return true;
    // A build tree: build/release/hearth or build/release/tests/unit/x/test_x below the root, which
    // is told by its layers.txt, so that no stranger's files are picked up.
    for (int i = 0; i < 6 && (slash = strrchr(at, '/')) != NULL && slash != at; i++) {
        *slash = 0;
        if (snprintf(folder, sizeof folder, "%s/layers.txt", at) < (int)sizeof folder &&
            file_exists(folder))
            return snprintf(folder, sizeof folder, "%s/%s", at, sub) < (int)sizeof folder &&
                   take(folder, self);
    }
    return false;
}

struct shipped {
    const char *name;
    char *path;
};

static bool has_file(const char *folder, void *self)
{
    const struct shipped *s = self;
    return snprintf(s->path, PLACE_BYTES, "%s/%s", folder, s->name) < PLACE_BYTES &&
           file_exists(s->path);
}

bool place_shipped(const char *name, char path[PLACE_BYTES])
{
    struct shipped s = {name, path};
    return place_near_program("share/hearth", has_file, &s);
}
