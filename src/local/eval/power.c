#include "local/eval/power.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mapping.h"
#include "base/memory.h"

enum { ZONES_MAX = 64, FOLDER_BYTES = 512, ZONE_PATH_BYTES = FOLDER_BYTES + 32 };

struct zone {
    char path[ZONE_PATH_BYTES];  // of the counter
    uint64_t micros, range;      // where it stood; where it begins anew
};
struct power_meter {
    struct zone zones[ZONES_MAX];
    int n_zones;
    struct power_gpus *gpus;
    double gpu_joules;
    bool gpu_counts;  // energy; else only draw
    double started;
};

static bool read_file(const char *path, struct buf *text)
{
    buf_clear(text);
    return file_read(path, 256, text, NULL);
}

static bool read_number(const char *path, uint64_t *n)
{
    struct buf text = {0};
    char *end;
    bool ok = read_file(path, &text);
    *n = ok ? strtoull(buf_text(&text), &end, 10) : 0;
    ok = ok && end != buf_text(&text);
    buf_release(&text);
    return ok;
}

// Packages hold their cores and what else is in them; memory has zones of its own.
static bool is_counted(const char folder[FOLDER_BYTES])
{
    char path[ZONE_PATH_BYTES];
    struct buf name = {0};
    (void)snprintf(path, sizeof path, "%s/name", folder);
    bool counted = read_file(path, &name) && (strncmp(buf_text(&name), "package", 7) == 0 ||
                                              strncmp(buf_text(&name), "dram", 4) == 0);
    buf_release(&name);
    return counted;
}

static void add_zone(struct power_meter *m, const char folder[FOLDER_BYTES])
{
    char range[ZONE_PATH_BYTES];
    struct zone z = {0};
    if (m->n_zones == ZONES_MAX || !is_counted(folder))
        return;
    int n = snprintf(z.path, sizeof z.path, "%s/energy_uj", folder);
    int k = snprintf(range, sizeof range, "%s/max_energy_range_uj", folder);
    if (n >= (int)sizeof z.path || k >= (int)sizeof range || !read_number(z.path, &z.micros))
        return;  // the counter is often for root only
    (void)read_number(range, &z.range);
    m->zones[m->n_zones++] = z;
}

static void find_zones(struct power_meter *m, const char *powercap)
{
    DIR *d = opendir(powercap);
    if (!d)
        return;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        char folder[FOLDER_BYTES];
        if (strncmp(e->d_name, "intel-rapl:", 11) == 0 &&  // so it is called for AMD's too
            snprintf(folder, sizeof folder, "%s/%s", powercap, e->d_name) < (int)sizeof folder)
            add_zone(m, folder);
    }
    closedir(d);
}

struct power_meter *power_meter_start(const char *powercap)
{
    struct power_meter *m = memory_array(struct power_meter, 1);
    m->gpus = power_gpus_open();
    m->gpu_counts = m->gpus && power_gpus_joules(m->gpus, &m->gpu_joules);
    find_zones(m, powercap ? powercap : "/sys/class/powercap");
    m->started = clock_s();
    return m;
}

void power_meter_stop(struct power_meter *m, struct power_reading *out)
{
    double joules = 0;
    *out = (struct power_reading){.seconds = clock_s() - m->started, .cpu = m->n_zones > 0};
    for (int i = 0; i < m->n_zones; i++) {
        const struct zone *z = &m->zones[i];
        uint64_t now;
        if (!read_number(z->path, &now) || (now < z->micros && z->range < z->micros - now))
            out->cpu = false;
        else
            joules +=
                1e-6 * (double)(now < z->micros ? z->range - z->micros + now : now - z->micros);
    }
    if (out->seconds <= 0)
        out->cpu = false;
    if (out->cpu)
        out->cpu_watts = joules / out->seconds;
    if (m->gpu_counts && power_gpus_joules(m->gpus, &joules) && out->seconds > 0) {
        out->gpu = joules >= m->gpu_joules;
        out->gpu_watts = out->gpu ? (joules - m->gpu_joules) / out->seconds : 0;
    } else if (m->gpus) {
        out->gpu = power_gpus_watts(m->gpus, &out->gpu_watts);
    }
    power_gpus_close(m->gpus);
    free(m);
}
