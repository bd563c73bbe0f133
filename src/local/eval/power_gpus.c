// power_gpus.c - NVIDIA's GPUs, through their management library, which is loaded only where it is.
#include <dlfcn.h>
#include <stdlib.h>

#include "base/memory.h"
#include "local/eval/power.h"

enum { GPUS_MAX = 64 };

typedef void *device;  // nvmlDevice_t is a pointer

struct power_gpus {
    void *library;
    int (*stop)(void);
    int (*energy)(device, unsigned long long *millijoules);
    int (*power)(device, unsigned int *milliwatts);
    device devices[GPUS_MAX];
    unsigned int n;
};

// A function's address, which dlsym gives as an object's.
static bool find(void *library, const char *name, void *function)
{
    void *address = dlsym(library, name);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

static bool open_devices(struct power_gpus *g)
{
    int (*start)(void);
    int (*count)(unsigned int *);
    int (*device_at)(unsigned int, device *);
    unsigned int n = 0;
    if (!find(g->library, "nvmlInit_v2", &start) || !find(g->library, "nvmlShutdown", &g->stop) ||
        !find(g->library, "nvmlDeviceGetCount_v2", &count) ||
        !find(g->library, "nvmlDeviceGetHandleByIndex_v2", &device_at) ||
        !find(g->library, "nvmlDeviceGetTotalEnergyConsumption", &g->energy) ||
        !find(g->library, "nvmlDeviceGetPowerUsage", &g->power) || start() != 0)
        return false;
    if (count(&n) == 0)
        for (unsigned int i = 0; i < n && i < GPUS_MAX; i++)
            if (device_at(i, &g->devices[g->n]) == 0)
                g->n++;
    if (g->n > 0)
        return true;
    (void)g->stop();
    return false;
}

struct power_gpus *power_gpus_open(void)
{
    void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return NULL;
    struct power_gpus *g = memory_array(struct power_gpus, 1);
    g->library = library;
    if (open_devices(g))
        return g;
    (void)dlclose(library);
    free(g);
    return NULL;
}

bool power_gpus_joules(struct power_gpus *g, double *joules)
{
    *joules = 0;
    for (unsigned int i = 0; i < g->n; i++) {
        unsigned long long millijoules = 0;
        if (g->energy(g->devices[i], &millijoules) != 0)
            return false;
        *joules += 1e-3 * (double)millijoules;
    }
    return true;
}

bool power_gpus_watts(struct power_gpus *g, double *watts)
{
    *watts = 0;
    for (unsigned int i = 0; i < g->n; i++) {
        unsigned int milliwatts = 0;
        if (g->power(g->devices[i], &milliwatts) != 0)
            return false;
        *watts += 1e-3 * (double)milliwatts;
    }
    return true;
}

void power_gpus_close(struct power_gpus *g)
{
    if (!g)
        return;
    (void)g->stop();
    (void)dlclose(g->library);
    free(g);
}
