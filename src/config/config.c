// config.c - where the file is, and from its text to the structs of config.h (sections.c reads
// them).
#include "config/config.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "config/rows.h"
#include "config/sections.h"
#include "config/tree.h"

static struct config nothing_written(void)
{
    return (struct config){.port = -1,
                           .cost = {.watts = -1,
                                    .usd_per_kwh = -1,
                                    .hardware_usd = -1,
                                    .hardware_years = -1,
                                    .usd_per_hour = -1,
                                    .utilization = -1}};
}

static bool parse(struct slice text, const char *name, const char *folder, struct config *out,
                  struct error *err)
{
    struct arena nodes = {0};
    struct tree_node *root = NULL;
    *out = nothing_written();
    struct arena *owned = memory_array(struct arena, 1);
    out->owned = owned;
    out->path = arena_text(owned, slice_str(name));
    struct reader r = {.name = out->path,
                       .folder = folder ? arena_text(owned, slice_str(folder)) : NULL,
                       .arena = owned,
                       .config = out,
                       .err = err};
    bool ok = tree_parse(text, name, &nodes, &root, err) && (!root || sections_read(&r, root));
    arena_release(&nodes);
    if (!ok)
        config_release(out);
    return ok;
}

bool config_parse(const char *text, size_t len, const char *name, struct config *out,
                  struct error *err)
{
    return parse(slice_of(text, len), name, NULL, out, err);
}

// False: this user has no home, so there is no such file.
static bool default_path(char path[PATH_MAX])
{
    const char *hearth = getenv("HEARTH_HOME"), *xdg = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    int n = -1;
    if (hearth && *hearth)
        n = snprintf(path, PATH_MAX, "%s/hearth.yaml", hearth);
    else if (xdg && xdg[0] == '/')  // its specification says to ignore others
        n = snprintf(path, PATH_MAX, "%s/hearth/hearth.yaml", xdg);
    else if (home && *home)
        n = snprintf(path, PATH_MAX, "%s/.config/hearth/hearth.yaml", home);
    return n > 0 && n < PATH_MAX;
}

bool config_read(const char *path, struct config *out, struct error *err)
{
    char found[PATH_MAX], folder[PATH_MAX];
    struct buf text = {0};
    *out = nothing_written();
    if (!path) {
        if (!default_path(found) || !file_exists(found))
            return true;
        path = found;
    }
    const char *slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1,
                   slash ? path : ".");
    bool ok = file_read(path, TREE_MAX_BYTES, &text, err) &&
              parse(buf_view(&text), path, folder, out, err);
    buf_release(&text);
    return ok;
}

void config_release(struct config *c)
{
    if (c->owned)
        arena_release(c->owned);
    free(c->owned);
    *c = nothing_written();
}

const struct config_route *config_find_route(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->n_routes; i++)
        if (strcmp(c->routes[i].name, name) == 0)
            return &c->routes[i];
    return NULL;
}

const struct config_provider *config_find_provider(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->n_providers; i++)
        if (strcmp(c->providers[i].name, name) == 0)
            return &c->providers[i];
    return NULL;
}

bool config_wrap(const struct config *c, int line, int column, struct error *err)
{
    return error_wrap(err, "%.100s, line %d, column %d", c->path ? c->path : "configuration", line,
                      column);
}
