#include "base/cgroup.h"

#include <stdio.h>
#include <string.h>

#include "base/mapping.h"

enum { PATH_BYTES = 4096 };

struct walk {
    const char *mount, *controller;
    cgroup_visit visit;
    void *self;
};

static void visit_at(const struct walk *w, const char *tree, const char *group, bool version_2)
{
    char folder[2 * PATH_BYTES];
    int n = snprintf(folder, sizeof folder, "%s%s%s", w->mount, tree, group);
    if (n < (int)sizeof folder && file_is_folder(folder))
        w->visit(w->self, folder, version_2);
}

// From the group up to its tree's root. Cuts `group` on the way.
static void walk_up(const struct walk *w, const char *tree, char *group, bool version_2)
{
    for (char *slash; (slash = strrchr(group, '/')) && group[1]; *slash = 0) {
        visit_at(w, tree, group, version_2);
        if (slash == group)
            break;
    }
    visit_at(w, tree, "", version_2);
}

// Whether a comma-separated list has the name.
static bool has_name(const char *list, size_t n, const char *name)
{
    size_t len = strlen(name);
    while (n) {
        const char *comma = memchr(list, ',', n);
        size_t item = comma ? (size_t)(comma - list) : n;
        if (item == len && memcmp(list, name, len) == 0)
            return true;
        list += comma ? item + 1 : item;
        n -= comma ? item + 1 : item;
    }
    return false;
}

// "0::/group" of version 2, "5:cpu,cpuacct:/group" of version 1, whose tree is mounted by its
// controller's name.
static void walk_line(const struct walk *w, char *line)
{
    char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL, tree[80];
    if (!group || group[1] != '/')
        return;
    line[strcspn(line, "\n")] = 0;
    list++;
    if (group == list)
        walk_up(w, "", group + 1, true);
    else if (has_name(list, (size_t)(group - list), w->controller) &&
             snprintf(tree, sizeof tree, "/%s", w->controller) < (int)sizeof tree)
        walk_up(w, tree, group + 1, false);
}

void cgroup_each_in(const char *groups, const char *mount, const char *controller,
                    cgroup_visit visit, void *self)
{
    struct walk w = {mount, controller, visit, self};
    FILE *f = fopen(groups, "re");
    char line[PATH_BYTES];
    if (!f)
        return;
    while (fgets(line, sizeof line, f))
        walk_line(&w, line);
    (void)fclose(f);
}

void cgroup_each(const char *controller, cgroup_visit visit, void *self)
{
    cgroup_each_in("/proc/self/cgroup", "/sys/fs/cgroup", controller, visit, self);
}
