// cpu_group.h - a group of tests that shares a CPU backend of one thread: setup and teardown for
// cmocka_run_group_tests.
#pragma once
#include "local/backend/backend.h"

static struct backend *cpu;

static int cpu_start(void **state)
{
    struct error err;
    (void)state;
    cpu = backend_cpu_new(&(struct cpu_options){.threads = 1}, &err);
    return cpu ? 0 : -1;
}

static int cpu_stop(void **state)
{
    (void)state;
    backend_free(cpu);
    return 0;
}
