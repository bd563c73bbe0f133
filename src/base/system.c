#include "base/system.h"

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cgroup.h"

enum { PATH_BYTES = 8200 };

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

// Pages of files that this process has mapped and touched: weights that are used where they lie in
// the page cache. Nobody has them to spare, though the system counts them as such.
static uint64_t files_in_use(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return 0;
    uint64_t size, resident, of_files = 0;
    if (fscanf(f, "%" SCNu64 " %" SCNu64 " %" SCNu64, &size, &resident, &of_files) != 3)
        of_files = 0;
    (void)fclose(f);
    return of_files * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

struct allowance {
    uint64_t in_use, least;
};

// What a control group's limit leaves; pages of files that can go count as free.
static void look_at_group(void *self, const char *folder, bool version_2)
{
    struct allowance *a = self;
    char path[3][PATH_BYTES];
    const char *names[3] = {version_2 ? "memory.max" : "memory.limit_in_bytes",
                            version_2 ? "memory.current" : "memory.usage_in_bytes", "memory.stat"};
    uint64_t limit, used;
    for (int i = 0; i < 3; i++)
        if (snprintf(path[i], PATH_BYTES, "%s/%s", folder, names[i]) >= PATH_BYTES)
            return;
    if (!read_number(path[0], &limit) || !read_number(path[1], &used))
        return;
    const char *file_pages = version_2 ? "inactive_file" : "total_inactive_file";
    uint64_t left = less(limit, less(used, less(reclaimable(path[2], file_pages), a->in_use)));
    a->least = left < a->least ? left : a->least;
}

uint64_t system_memory_available(void)
{
    struct allowance a = {.in_use = files_in_use(), .least = available_in_system()};
    if (a.least != UINT64_MAX)
        a.least = less(a.least, a.in_use);
    cgroup_each("memory", look_at_group, &a);
    return a.least;
}

void system_give_way(void)
{
#if defined(__linux__)
    enum { NICER = 10 };  // on Linux a priority is a thread's own
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, 0) + NICER);
#endif
}

int system_thread_start(pthread_t *thread, void *(*run)(void *self), void *self)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(thread, NULL, run, self);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}
