// test_power.c - energy counters as Linux shows them: packages and memory are added up, cores in a
// package are not counted twice, a counter may begin anew, and one that cannot be read is no zero;
// and GPUs as NVIDIA's library tells them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <math.h>
#include <sys/stat.h>
#include <time.h>

#include "local/eval/power.h"
#include "../../support/temp_folder.h"

static char root[256];

static void put(const char *zone, const char *file, const char *text)
{
    char path[400];
    (void)snprintf(path, sizeof path, "%s/%s", root, zone);
    (void)mkdir(path, 0777);
    (void)snprintf(path, sizeof path, "%s/%s/%s", root, zone, file);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void zone(const char *name, const char *what, const char *energy)
{
    put(name, "name", what);
    put(name, "energy_uj", energy);
    put(name, "max_energy_range_uj", "1000000000\n");
}

static double joules(const struct power_reading *r)
{
    return r->cpu_watts * r->seconds;
}

static struct power_meter *start(void)
{
    struct power_meter *m = power_meter_start(root);
    (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return m;
}

static void packages_and_memory_are_added_up(void **state)
{
    struct power_reading r;
    (void)state;
    assert_true(temp_home(root, sizeof root));
    zone("intel-rapl:0", "package-0\n", "1000000\n");
    zone("intel-rapl:0:0", "core\n", "500000\n");
    zone("intel-rapl:0:1", "dram\n", "0\n");
    zone("intel-rapl:1", "package-1\n", "999000000\n");
    zone("intel-rapl:2", "psys\n", "0\n");
    zone("other", "package-9\n", "0\n");
    struct power_meter *m = start();
    zone("intel-rapl:0", "package-0\n", "4000000\n");
    zone("intel-rapl:0:0", "core\n", "3500000\n");
    zone("intel-rapl:0:1", "dram\n", "500000\n");
    zone("intel-rapl:1", "package-1\n", "1000000\n");  // it began anew
    zone("intel-rapl:2", "psys\n", "77000000\n");
    zone("other", "package-9\n", "77000000\n");
    power_meter_stop(m, &r);
    assert_true(r.cpu && r.seconds > 0);
    assert_true(fabs(joules(&r) - (3 + 0.5 + 2)) < 1e-9);
    temp_remove(root);
}

static void what_cannot_be_read_is_not_told(void **state)
{
    struct power_reading r;
    (void)state;
    assert_true(temp_home(root, sizeof root));
    power_meter_stop(start(), &r);
    assert_false(r.cpu);
    zone("intel-rapl:0", "package-0\n", "no number\n");
    power_meter_stop(start(), &r);
    assert_false(r.cpu);
    zone("intel-rapl:0", "package-0\n", "5000\n");
    struct power_meter *m = start();
    zone("intel-rapl:0", "package-0\n", "\n");  // gone while it was measured
    power_meter_stop(m, &r);
    assert_false(r.cpu);
    temp_remove(root);
}

// A library of the same name, which counts 5 J more each time it is asked and draws 40 W, made here
// and loaded before the meter looks for the real one.
static const char library[] =
    "static unsigned long long asked;\n"
    "int nvmlInit_v2(void) { return 0; }\n"
    "int nvmlShutdown(void) { return 0; }\n"
    "int nvmlDeviceGetCount_v2(unsigned *n) { *n = 2; return 0; }\n"
    "int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **d) { *d = (char *)8 + i; return 0; }\n"
    "int nvmlDeviceGetTotalEnergyConsumption(void *d, unsigned long long *e)\n"
    "{ *e = 5000 * ++asked; return d == (char *)8 && OLD ? 3 : 0; }\n"
    "int nvmlDeviceGetPowerUsage(void *d, unsigned *w) { (void)d; *w = 40000; return 0; }\n";

static void *load_library(const char *flags)
{
    char path[400], command[1600];
    (void)snprintf(path, sizeof path, "%s/nvml.so", root);
    put(".", "nvml.c", library);
    (void)snprintf(command, sizeof command,
                   "cc %s -shared -fPIC -Wl,-soname,libnvidia-ml.so.1 -o '%s' '%s/nvml.c'", flags,
                   path, root);
    return system(command) == 0 ? dlopen(path, RTLD_NOW) : NULL;
}

static void gpus_tell_their_energy_or_else_their_draw(void **state)
{
    (void)state;
    for (int old = 0; old < 2; old++) {
        struct power_reading r;
        assert_true(temp_home(root, sizeof root));
        void *nvml = load_library(old ? "-DOLD=1" : "-DOLD=0");
        if (!nvml) {
            temp_remove(root);
            skip();
        }
        power_meter_stop(start(), &r);
        assert_true(r.gpu && !r.cpu);
        if (old)
            assert_true(fabs(r.gpu_watts - 80) < 1e-9);
        else  // 5 + 10 before, 15 + 20 after
            assert_true(fabs(r.gpu_watts * r.seconds - 20) < 1e-9);
        assert_int_equal(dlclose(nvml), 0);
        temp_remove(root);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(packages_and_memory_are_added_up),
    cmocka_unit_test(what_cannot_be_read_is_not_told),
    cmocka_unit_test(gpus_tell_their_energy_or_else_their_draw),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
