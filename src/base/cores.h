// cores.h - which of the machine's CPUs to compute on, in which order, and how many.
//
// A plan is a pure function of a topology (hwloc's), of the CPUs that the process may use, and of
// the CPU time that its control groups allow: one thread for each physical core of the fast kind.
// Cores of a hybrid CPU's slow kinds and second threads of a core come last: they are used only by
// who asks for more threads than there are fast cores.
// Threads: pure functions.
// Source: hwloc's "CPU kinds" (open-mpi.org/projects/hwloc); cpu.max in
// docs.kernel.org/admin-guide/cgroup-v2.html; cpu.cfs_quota_us in the same for version 1.
#pragma once
#include <sched.h>
#include <stdbool.h>

struct error;
struct hwloc_topology;

enum { CPUS_MAX = 1024, NODES_MAX = 64 };  // CPUs and NUMA nodes beyond are left alone

struct cpu_place {
    short cpu;   // the system's number
    short node;  // of memory, counted from 0 among those that places have
    bool fast;   // of the fast kind, and the first thread of its core
};
struct cores {
    int n;          // places
    int n_fast;     // of them; they come first
    int n_nodes;    // at least 1
    int n_threads;  // worth computing with: n_fast, or less where CPU time is limited
    bool hybrid;    // some cores are of a slow kind
    struct cpu_place places[CPUS_MAX];
};

// may_use NULL: all. quota: CPUs' worth of time that may be used; 0: no limit. There is always one
// place, be it CPU 0.
void cores_plan(struct cores *c, struct hwloc_topology *topology, const cpu_set_t *may_use,
                int quota);
// The plan for this process on this machine, as it is now. (A topology named by HWLOC_SYNTHETIC or
// HWLOC_XMLFILE is another machine's: then CPUs are counted, and nothing else is believed.)
void cores_find(struct cores *c);

// The CPUs that a thread at places[i] should keep to. PIN_AUTO: those of fast kinds on its node, or
// none in particular (false) where that would be all of them, or where n_threads are more than the
// fast places. PIN_CORES: its own place, false beyond the last.
enum pin { PIN_AUTO, PIN_CORES, PIN_OFF };
bool cores_keep_to(const struct cores *c, enum pin pin, int n_threads, int i, cpu_set_t *out);

// "auto" (NULL too), "cores", "off". False with err (ERR_USAGE) for anything else.
bool pin_from_name(const char *name, enum pin *pin, struct error *err);

// CPUs' worth of time of a line "quota period" of cpu.max, rounded up; 0: no limit.
int cores_quota_of(const char *line);
