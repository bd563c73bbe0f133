// power.h - what the machine draws, where it tells: processors and their memory by RAPL
// (/sys/class/powercap), GPUs by NVML. It knows no fans, disks or power supplies.
//
// Threads: a meter belongs to one thread.
// Source: docs.kernel.org/power/powercap/powercap.html; NVML API reference (nvml.h).
#pragma once
#include <stdbool.h>

struct power_meter;
struct power_reading {
    bool cpu, gpu;  // whether it told
    double cpu_watts, gpu_watts;
    double seconds;
};

// NULL: /sys/class/powercap. Begins to measure; what cannot be read is left out.
struct power_meter *power_meter_start(const char *powercap);
// The mean since then; frees the meter.
void power_meter_stop(struct power_meter *m, struct power_reading *out);

// For the meter: the GPUs' energy so far, or their draw at the moment, all together.
struct power_gpus;
struct power_gpus *power_gpus_open(void);  // NULL: there is no such library, or no GPU
bool power_gpus_joules(struct power_gpus *g, double *joules);
bool power_gpus_watts(struct power_gpus *g, double *watts);
void power_gpus_close(struct power_gpus *g);
