#include "base/system.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_number(const char *path, uint64_t *value)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    bool ok = fscanf(f, "%" SCNu64, value) == 1;  // "max" is no number: no limit
    (void)fclose(f);
    return ok;
}

static uint64_t available_in_system(void)
{
    FILE *f = fopen("/proc/meminfo", "re");
    if (!f)
        return UINT64_MAX;
    char line[256];
    uint64_t kib, found = UINT64_MAX;
    while (found == UINT64_MAX && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %" SCNu64 " kB", &kib) == 1)
            found = kib * 1024;
    (void)fclose(f);
    return found;
}

// Pages of files count as used there though they can go; so they are added back.
static uint64_t reclaimable(const char *stat_path, const char *name)
{
    FILE *f = fopen(stat_path, "re");
    if (!f)
        return 0;
    char line[256];
    uint64_t found = 0;
    size_t n = strlen(name);
    while (!found && fgets(line, sizeof line, f))
        if (strncmp(line, name, n) == 0 && line[n] == ' ')
            found = strtoull(line + n + 1, NULL, 10);
    (void)fclose(f);
    return found;
}

static uint64_t left_of(const char *limit_path, const char *used_path, const char *stat_path,
                        const char *file_pages)
{
    uint64_t limit, used;
    if (!read_number(limit_path, &limit) || !read_number(used_path, &used))
        return UINT64_MAX;
    uint64_t can_go = reclaimable(stat_path, file_pages);
    used = used > can_go ? used - can_go : 0;
    return limit > used ? limit - used : 0;
}

uint64_t system_memory_available(void)
{
    uint64_t least = available_in_system();
    uint64_t v2 = left_of("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current",
                          "/sys/fs/cgroup/memory.stat", "inactive_file");
    uint64_t v1 = left_of("/sys/fs/cgroup/memory/memory.limit_in_bytes",
                          "/sys/fs/cgroup/memory/memory.usage_in_bytes",
                          "/sys/fs/cgroup/memory/memory.stat", "total_inactive_file");
    least = v2 < least ? v2 : least;
    return v1 < least ? v1 : least;
}
