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

bool place_shipped(const char *name, char path[PLACE_BYTES])
{
    char self[PLACE_BYTES], mark[PLACE_BYTES];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return false;
    self[n] = 0;
    char *slash = strrchr(self, '/');
    if (!slash)
        return false;
    *slash = 0;
    if (snprintf(path, PLACE_BYTES, "%s/../share/hearth/%s", self, name) < PLACE_BYTES &&
        file_exists(path))
        return true;
    // A build tree is told by its layers.txt, so that no stranger's share/ is picked up.
    for (int i = 0; i < 6 && (slash = strrchr(self, '/')) != NULL && slash != self; i++) {
        *slash = 0;
        if (snprintf(mark, sizeof mark, "%s/layers.txt", self) < (int)sizeof mark &&
            file_exists(mark))
            return snprintf(path, PLACE_BYTES, "%s/share/hearth/%s", self, name) < PLACE_BYTES &&
                   file_exists(path);
    }
    return false;
}
