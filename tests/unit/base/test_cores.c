// test_cores.c - which CPUs are computed on, for machines made up by hwloc.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <hwloc.h>

#include "base/cores.h"
#include "base/error.h"

static struct cores cores;

static hwloc_topology_t machine(const char *synthetic)
{
    hwloc_topology_t t;
    assert_int_equal(hwloc_topology_init(&t), 0);
    assert_int_equal(hwloc_topology_set_synthetic(t, synthetic), 0);
    assert_int_equal(hwloc_topology_load(t), 0);
    return t;
}

static void add_kind(hwloc_topology_t t, const char *cpus, int rank, const char *key,
                     const char *value)
{
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    struct hwloc_info_s info = {(char *)key, (char *)value};
    assert_int_equal(hwloc_bitmap_list_sscanf(set, cpus), 0);
    assert_int_equal(hwloc_cpukinds_register(t, set, rank, 1, &info, 0), 0);
    hwloc_bitmap_free(set);
}

static void set_of(cpu_set_t *set, int from, int to)
{
    CPU_ZERO(set);
    for (int i = from; i <= to; i++)
        CPU_SET((unsigned)i, set);
}

static void places_are(const int *cpus, int n)
{
    assert_int_equal(cores.n, n);
    for (int i = 0; i < n; i++)
        assert_int_equal(cores.places[i].cpu, cpus[i]);
}

static void keeps_to(enum pin pin, int n_threads, int i, int from, int to)
{
    cpu_set_t set, expected;
    set_of(&expected, from, to);
    assert_int_equal(cores_keep_to(&cores, pin, n_threads, i, &set), from <= to);
    assert_true(CPU_EQUAL(&set, &expected));
}

enum { NONE = -1 };

static void one_thread_for_each_core(void **state)
{
    (void)state;
    hwloc_topology_t t = machine("numa:1 core:4 pu:2");
    cores_plan(&cores, t, NULL, 0);
    hwloc_topology_destroy(t);
    places_are((const int[]){0, 2, 4, 6, 1, 3, 5, 7}, 8);
    assert_int_equal(cores.n_threads, 4);
    assert_int_equal(cores.n_fast, 4);
    assert_int_equal(cores.n_nodes, 1);
    assert_false(cores.hybrid);
    keeps_to(PIN_AUTO, 4, 0, 0, NONE);  // the system knows as well
    keeps_to(PIN_CORES, 4, 1, 2, 2);
    keeps_to(PIN_CORES, 8, 4, 1, 1);
    keeps_to(PIN_CORES, 9, 8, 0, NONE);
    keeps_to(PIN_OFF, 4, 1, 0, NONE);
}

static void only_cpus_that_may_be_used(void **state)
{
    (void)state;
    cpu_set_t set;
    hwloc_topology_t t = machine("numa:1 core:4 pu:2");
    set_of(&set, 3, 6);  // second thread of a core, a whole core, first thread of another
    cores_plan(&cores, t, &set, 0);
    places_are((const int[]){3, 4, 6, 5}, 4);
    assert_int_equal(cores.n_threads, 3);
    CPU_ZERO(&set);
    cores_plan(&cores, t, &set, 0);
    assert_int_equal(cores.n, 1);
    assert_int_equal(cores.n_threads, 1);
    hwloc_topology_destroy(t);
}

static void no_more_threads_than_time_is_given(void **state)
{
    (void)state;
    static const int quotas[] = {0, 1, 3, 4, 100}, threads[] = {4, 1, 3, 4, 4};
    hwloc_topology_t t = machine("numa:1 core:4 pu:2");
    for (int i = 0; i < 5; i++) {
        cores_plan(&cores, t, NULL, quotas[i]);
        assert_int_equal(cores.n_threads, threads[i]);
        assert_int_equal(cores.n, 8);
    }
    hwloc_topology_destroy(t);
}

// As many laptops: two cores of two threads that are meant for it, then four that are not.
static void performance_cores_of_a_hybrid_cpu(void **state)
{
    (void)state;
    hwloc_topology_t t = machine("numa:1 core:8 pu:1");
    add_kind(t, "4-7", 0, "CoreType", "IntelAtom");
    add_kind(t, "0-1", 1, "CoreType", "IntelCore");
    add_kind(t, "2-3", 2, "CoreType", "IntelCore");  // these may clock higher
    cores_plan(&cores, t, NULL, 0);
    places_are((const int[]){0, 1, 2, 3, 4, 5, 6, 7}, 8);
    assert_int_equal(cores.n_threads, 4);
    assert_true(cores.hybrid);
    keeps_to(PIN_AUTO, 4, 3, 0, 3);
    keeps_to(PIN_AUTO, 2, 0, 0, 3);
    keeps_to(PIN_AUTO, 8, 0, 0, NONE);  // who asks for all gets all
    cpu_set_t slow;
    set_of(&slow, 4, 5);
    cores_plan(&cores, t, &slow, 0);  // nothing else is ours
    places_are((const int[]){4, 5}, 2);
    assert_int_equal(cores.n_threads, 2);
    keeps_to(PIN_AUTO, 2, 0, 0, NONE);
    hwloc_topology_destroy(t);
}

static void slow_cores_first_in_number_come_last_in_order(void **state)
{
    (void)state;
    hwloc_topology_t t = machine("numa:1 core:8 pu:1");
    add_kind(t, "0-3", 0, "LinuxCapacity", "280");
    add_kind(t, "4-6", 1, "LinuxCapacity", "830");
    add_kind(t, "7", 2, "LinuxCapacity", "1024");
    cores_plan(&cores, t, NULL, 0);
    places_are((const int[]){4, 5, 6, 7, 0, 1, 2, 3}, 8);
    assert_int_equal(cores.n_threads, 4);
    assert_true(cores.hybrid);
    keeps_to(PIN_AUTO, 4, 1, 4, 7);
    keeps_to(PIN_CORES, 8, 4, 0, 0);
    hwloc_topology_destroy(t);
}

static void cores_that_may_clock_higher_do_not_make_the_rest_slow(void **state)
{
    (void)state;
    hwloc_topology_t t = machine("numa:1 core:8 pu:1");
    add_kind(t, "0-5", 0, "FrequencyMaxMHz", "4400");
    add_kind(t, "6-7", 1, "FrequencyMaxMHz", "5700");
    cores_plan(&cores, t, NULL, 0);
    assert_int_equal(cores.n_threads, 8);
    assert_false(cores.hybrid);
    hwloc_topology_destroy(t);
}

static void threads_stay_on_their_node(void **state)
{
    (void)state;
    hwloc_topology_t t = machine("numa:2 core:4 pu:2");
    cores_plan(&cores, t, NULL, 0);
    assert_int_equal(cores.n_threads, 8);
    assert_int_equal(cores.n_nodes, 2);
    for (int i = 0; i < 16; i++)
        assert_int_equal(cores.places[i].node, cores.places[i].cpu / 8);
    cpu_set_t set;
    assert_true(cores_keep_to(&cores, PIN_AUTO, 8, 5, &set));
    assert_int_equal(CPU_COUNT(&set), 4);
    assert_true(CPU_ISSET(8, &set) && CPU_ISSET(10, &set) && CPU_ISSET(14, &set));
    set_of(&set, 8, 15);  // of the first node nothing is ours: it is not counted
    cores_plan(&cores, t, &set, 0);
    assert_int_equal(cores.n_nodes, 1);
    assert_int_equal(cores.places[0].node, 0);
    keeps_to(PIN_AUTO, 4, 0, 0, NONE);
    hwloc_topology_destroy(t);
}

static void a_large_machine_is_cut_and_not_overrun(void **state)
{
    (void)state;
    hwloc_topology_t t = machine("numa:70 core:16 pu:2");
    cores_plan(&cores, t, NULL, 0);
    hwloc_topology_destroy(t);
    assert_int_equal(cores.n, CPUS_MAX);
    assert_int_equal(cores.n_threads, CPUS_MAX / 2);
    assert_true(cores.n_nodes > 1 && cores.n_nodes <= NODES_MAX);
}

static void quotas_are_read_as_the_system_writes_them(void **state)
{
    (void)state;
    assert_int_equal(cores_quota_of("200000 100000\n"), 2);
    assert_int_equal(cores_quota_of("150000 100000"), 2);
    assert_int_equal(cores_quota_of("1000 100000"), 1);
    static const char *const none[] = {"max 100000", "-1 100000",       "", "5", "100 0",
                                       "x",          "99999999999999 1"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(cores_quota_of(none[i]), 0);
}

static void the_names_of_pinning(void **state)
{
    (void)state;
    enum pin pin;
    struct error err = {0};
    assert_true(pin_from_name("cores", &pin, &err) && pin == PIN_CORES);
    assert_true(pin_from_name("off", &pin, &err) && pin == PIN_OFF);
    assert_true(pin_from_name("auto", &pin, &err) && pin == PIN_AUTO);
    assert_true(pin_from_name(NULL, &pin, &err) && pin == PIN_AUTO);
    assert_false(pin_from_name("on", &pin, &err));
    assert_int_equal(err.code, ERR_USAGE);
}

// Whatever this machine is: within what the process may use, and less when that is less.
static void this_machine_has_a_plan(void **state)
{
    (void)state;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    cores_find(&cores);
    assert_true(cores.n >= 1 && cores.n <= CPU_COUNT(&all));
    assert_true(cores.n_threads >= 1 && cores.n_threads <= cores.n);
    for (int i = 0; i < cores.n; i++)
        assert_true(CPU_ISSET((unsigned)cores.places[i].cpu, &all));
    CPU_ZERO(&one);
    CPU_SET((unsigned)cores.places[cores.n - 1].cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    cores_find(&cores);
    assert_int_equal(cores.n, 1);
    assert_int_equal(cores.n_threads, 1);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
}

static void a_topology_of_another_machine_is_not_believed(void **state)
{
    (void)state;
    cpu_set_t all;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    assert_int_equal(setenv("HWLOC_SYNTHETIC", "numa:2 core:64 pu:2", 1), 0);
    cores_find(&cores);
    (void)unsetenv("HWLOC_SYNTHETIC");
    assert_int_equal(cores.n, CPU_COUNT(&all));
    assert_int_equal(cores.n_nodes, 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_for_each_core),
        cmocka_unit_test(only_cpus_that_may_be_used),
        cmocka_unit_test(no_more_threads_than_time_is_given),
        cmocka_unit_test(performance_cores_of_a_hybrid_cpu),
        cmocka_unit_test(slow_cores_first_in_number_come_last_in_order),
        cmocka_unit_test(cores_that_may_clock_higher_do_not_make_the_rest_slow),
        cmocka_unit_test(threads_stay_on_their_node),
        cmocka_unit_test(a_large_machine_is_cut_and_not_overrun),
        cmocka_unit_test(quotas_are_read_as_the_system_writes_them),
        cmocka_unit_test(the_names_of_pinning),
        cmocka_unit_test(this_machine_has_a_plan),
        cmocka_unit_test(a_topology_of_another_machine_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
