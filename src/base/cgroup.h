// cgroup.h - the control groups that this process is in: its own, and all above up to the root.
//
// Version 2 has one tree of groups, version 1 one for each controller; both may be mounted. A
// container sees its own group as the root, and may be told a path that it cannot see: then only
// the root counts, as far as it can be seen.
// Threads: any.
// Source: docs.kernel.org/admin-guide/cgroup-v2.html, and cgroup-v1 beside it.
#pragma once
#include <stdbool.h>

typedef void (*cgroup_visit)(void *self, const char *folder, bool version_2);

// Visits the folders of `controller` ("memory", "cpu"), of version 2 and of version 1.
void cgroup_each(const char *controller, cgroup_visit visit, void *self);
// The same of a file as /proc/self/cgroup and a folder as /sys/fs/cgroup, for tests.
void cgroup_each_in(const char *groups, const char *mount, const char *controller,
                    cgroup_visit visit, void *self);
