#include "base/cores.h"

#include <hwloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cgroup.h"
#include "base/error.h"

enum { KINDS_MAX = 16 };

// What differs among the cores, and whether a kind is meant for such work.
struct kinds {
    hwloc_cpuset_t cpus[KINDS_MAX];
    bool fast[KINDS_MAX];
    int n;
};

static const char *info(const struct hwloc_info_s *infos, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++)
        if (strcmp(infos[i].name, name) == 0)
            return infos[i].value;
    return NULL;
}

// Intel says it of each core; elsewhere the system states what a core can do, of 1024. Other
// differences (a few cores that may clock higher) do not make the rest slow.
static void judge(struct kinds *k, const bool *intel, const long *capacity)
{
    bool said = false;
    long most = 0;
    for (int i = 0; i < k->n; i++) {
        said |= intel[i];
        most = capacity[i] > most ? capacity[i] : most;
    }
    for (int i = 0; i < k->n; i++)
        k->fast[i] = said ? intel[i] : capacity[i] <= 0 || capacity[i] * 5 >= most * 3;
}

static void read_kinds(struct kinds *k, hwloc_topology_t t)
{
    bool intel[KINDS_MAX] = {false};
    long capacity[KINDS_MAX] = {0};
    int n = hwloc_cpukinds_get_nr(t, 0);
    *k = (struct kinds){0};
    for (int i = 0; i < n && k->n < KINDS_MAX; i++) {
        struct hwloc_info_s *infos = NULL;
        unsigned n_infos = 0;
        hwloc_cpuset_t cpus = hwloc_bitmap_alloc();
        if (hwloc_cpukinds_get_info(t, (unsigned)i, cpus, NULL, &n_infos, &infos, 0) != 0) {
            hwloc_bitmap_free(cpus);
            continue;
        }
        const char *type = info(infos, n_infos, "CoreType");
        const char *said = info(infos, n_infos, "LinuxCapacity");
        intel[k->n] = type && strcmp(type, "IntelCore") == 0;
        capacity[k->n] = said ? strtol(said, NULL, 10) : 0;
        k->cpus[k->n++] = cpus;
    }
    judge(k, intel, capacity);
}

static bool is_fast(const struct kinds *k, unsigned cpu)
{
    for (int i = 0; i < k->n; i++)
        if (hwloc_bitmap_isset(k->cpus[i], cpu))
            return k->fast[i];
    return true;
}

static void kinds_release(struct kinds *k)
{
    for (int i = 0; i < k->n; i++)
        hwloc_bitmap_free(k->cpus[i]);
}

static bool usable(const cpu_set_t *may_use, unsigned cpu)
{
    return cpu < CPUS_MAX && (!may_use || CPU_ISSET(cpu, may_use));
}

static short node_of(hwloc_topology_t t, unsigned cpu)
{
    hwloc_obj_t node = NULL;
    for (int i = 0; i < NODES_MAX; i++) {
        node = hwloc_get_next_obj_by_type(t, HWLOC_OBJ_NUMANODE, node);
        if (!node)
            break;
        if (hwloc_bitmap_isset(node->cpuset, cpu))
            return (short)i;
    }
    return 0;
}

// Four rounds over the cores: first threads of fast cores, first threads of slow ones, then what
// else there is. `first` is the first thread of the core that may be used.
static void add_places(struct cores *c, hwloc_topology_t t, const struct kinds *k,
                       const cpu_set_t *may_use, bool fast, bool first)
{
    int n_cores = hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_CORE);
    hwloc_obj_type_t type = n_cores > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
    for (hwloc_obj_t o = NULL; (o = hwloc_get_next_obj_by_type(t, type, o));) {
        bool seen = false;
        unsigned cpu;
        hwloc_bitmap_foreach_begin(cpu, o->cpuset) if (usable(may_use, cpu))
        {
            if (is_fast(k, cpu) == fast && seen != first && c->n < CPUS_MAX)
                c->places[c->n++] = (struct cpu_place){(short)cpu, node_of(t, cpu), fast && first};
            seen = true;
        }
        hwloc_bitmap_foreach_end();
    }
}

// Nodes without a place, of memory alone or not ours to use, are not counted.
static void number_nodes(struct cores *c)
{
    short number[NODES_MAX];
    c->n_nodes = 0;
    for (int node = 0; node < NODES_MAX; node++) {
        number[node] = -1;
        for (int i = 0; i < c->n && number[node] < 0; i++)
            if (c->places[i].node == node)
                number[node] = (short)c->n_nodes++;
    }
    for (int i = 0; i < c->n; i++)
        c->places[i].node = number[c->places[i].node];
}

static void finish(struct cores *c, int quota)
{
    if (c->n == 0)
        c->places[c->n++] = (struct cpu_place){.fast = true};
    while (c->n_fast < c->n && c->places[c->n_fast].fast)
        c->n_fast++;
    number_nodes(c);
    c->n_threads = c->n_fast > 0 ? c->n_fast : c->n;  // only slow cores may be ours
    if (quota > 0 && quota < c->n_threads)
        c->n_threads = quota;
}

void cores_plan(struct cores *c, struct hwloc_topology *topology, const cpu_set_t *may_use,
                int quota)
{
    struct kinds kinds;
    memset(c, 0, sizeof *c);
    read_kinds(&kinds, topology);
    add_places(c, topology, &kinds, may_use, true, true);
    add_places(c, topology, &kinds, may_use, false, true);
    c->hybrid = c->n > 0 && !is_fast(&kinds, (unsigned)c->places[c->n - 1].cpu);
    add_places(c, topology, &kinds, may_use, true, false);
    add_places(c, topology, &kinds, may_use, false, false);
    kinds_release(&kinds);
    finish(c, quota);
}

int cores_quota_of(const char *line)
{
    long long quota = 0, period = 0;
    if (sscanf(line, "%lld %lld", &quota, &period) != 2 || quota <= 0 || period <= 0 ||
        quota / period >= CPUS_MAX)  // "max 100000" reads nothing, -1 is version 1's word for it
        return 0;
    return (int)((quota + period - 1) / period);
}

static bool read_line(const char *path, char *line, size_t size)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    bool ok = fgets(line, (int)size, f) != NULL;
    (void)fclose(f);
    return ok;
}

static int less_of(int a, int b)  // 0: no limit
{
    return a == 0 ? b : b == 0 ? a : a < b ? a : b;
}

// Of one control group.
static void look_at_group(void *self, const char *folder, bool version_2)
{
    int *least = self;
    char path[8300], line[80], both[160];
    if (snprintf(path, sizeof path, "%s/%s", folder, version_2 ? "cpu.max" : "cpu.cfs_quota_us") >=
            (int)sizeof path ||
        !read_line(path, line, sizeof line))
        return;
    if (!version_2) {
        char period[40];
        (void)snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
        if (!read_line(path, period, sizeof period))
            return;
        (void)snprintf(both, sizeof both, "%s %s", line, period);
    }
    *least = less_of(*least, cores_quota_of(version_2 ? line : both));
}

// The least quota of our control group and all above it.
static int cgroup_quota(void)
{
    int least = 0;
    cgroup_each("cpu", look_at_group, &least);
    return least;
}

static bool load(hwloc_topology_t *t)
{
    if (hwloc_topology_init(t) != 0)
        return false;
    // Cores, nodes and kinds are enough. The x86 part would run on each CPU in turn.
    (void)hwloc_topology_set_components(*t, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
    (void)hwloc_topology_set_all_types_filter(*t, HWLOC_TYPE_FILTER_KEEP_NONE);
    (void)hwloc_topology_set_type_filter(*t, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
    if (hwloc_topology_load(*t) == 0 && hwloc_topology_is_thissystem(*t))
        return true;
    hwloc_topology_destroy(*t);
    return false;
}

// Each CPU is a core of its own.
static void plan_without_topology(struct cores *c, const cpu_set_t *may_use, int quota)
{
    memset(c, 0, sizeof *c);
    for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
        if (may_use && CPU_ISSET(cpu, may_use))
            c->places[c->n++] = (struct cpu_place){.cpu = (short)cpu, .fast = true};
    finish(c, quota);
}

void cores_find(struct cores *c)
{
    hwloc_topology_t t;
    cpu_set_t set;
    CPU_ZERO(&set);
    const cpu_set_t *may_use = sched_getaffinity(0, sizeof set, &set) == 0 ? &set : NULL;
    int quota = cgroup_quota();
    if (!load(&t)) {
        plan_without_topology(c, may_use, quota);
        return;
    }
    cores_plan(c, t, may_use, quota);
    hwloc_topology_destroy(t);
}

bool cores_keep_to(const struct cores *c, enum pin pin, int n_threads, int i, cpu_set_t *out)
{
    CPU_ZERO(out);
    if (pin == PIN_OFF || i >= c->n)
        return false;
    if (pin == PIN_CORES) {
        CPU_SET((unsigned)c->places[i].cpu, out);
        return true;
    }
    if (n_threads > c->n_fast || (c->n_nodes == 1 && !c->hybrid))
        return false;
    // The system moves a thread among them, away from who else is busy there.
    for (int k = 0; k < c->n_fast; k++)
        if (c->places[k].node == c->places[i].node)
            CPU_SET((unsigned)c->places[k].cpu, out);
    return true;
}

bool pin_from_name(const char *name, enum pin *pin, struct error *err)
{
    static const char *const names[] = {"auto", "cores", "off"};
    *pin = PIN_AUTO;
    for (int i = 0; name && i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            *pin = (enum pin)i;
            return true;
        }
    }
    return !name || !name[0] ||
           error_set(err, ERR_USAGE, "pinning of threads: '%s' is not auto, cores or off", name);
}
